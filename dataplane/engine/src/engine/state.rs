//! State and commands of NFs, through the workers' mailboxes; after a stop, directly.

use super::{Engine, Inner};
use crate::error::EngineError;
use crate::nf::{CommandError, Nf};
use crate::state::{Cursor, Record, Selector, StateError};
use crate::worker::Worker;
use serde_json::Value;
use std::cmp::Ordering;

type Page = (Vec<Record>, Option<Cursor>);

impl Engine {
    /// One page (at most [`crate::PAGE`] records) of an NF's state on one worker, and where to go on. Packets
    /// flow between pages.
    ///
    /// # Errors
    /// No such NF or worker, an NF that keeps no state, a worker that does not answer.
    pub fn export_page(
        &self,
        nf: &str,
        worker: usize,
        cursor: Cursor,
        selector: &Selector,
    ) -> Result<Page, EngineError> {
        let mut inner = self.lock();
        let index = inner.nf(nf)?;
        inner.page(index, worker, cursor, selector)
    }

    /// All of an NF's state on all workers, in canonical order: by kind, then by key.
    ///
    /// # Errors
    /// As [`Engine::export_page`].
    pub fn export(&self, nf: &str, selector: &Selector) -> Result<Vec<Record>, EngineError> {
        let mut inner = self.lock();
        let index = inner.nf(nf)?;
        inner.export_all(index, selector)
    }

    /// Takes records in. Each worker keeps the ones that belong to it. Returns how many there were.
    ///
    /// # Errors
    /// No such NF, an NF that keeps no state, records that it refuses.
    pub fn import(&self, nf: &str, records: Vec<Record>) -> Result<usize, EngineError> {
        let mut inner = self.lock();
        let index = inner.nf(nf)?;
        inner.import(index, records)
    }

    /// Has every worker's instance of an NF answer a command; the answers by worker.
    ///
    /// # Errors
    /// No such NF, and whatever an instance says against it.
    pub fn command(&self, nf: &str, name: &str, arguments: &Value) -> Result<Vec<Value>, EngineError> {
        let mut inner = self.lock();
        let index = inner.nf(nf)?;
        let failed = |source| EngineError::Command { nf: nf.to_owned(), source };
        let workers = inner.plan.cores.len();
        let mut answers = Vec::with_capacity(workers);
        for worker in 0..workers {
            let (name, arguments) = (name.to_owned(), arguments.clone());
            let answer: Result<Value, CommandError> =
                inner.with_instance(index, worker, move |nf| nf.command(&name, &arguments))?;
            answers.push(answer.map_err(failed)?);
        }
        Ok(answers)
    }
}

impl Inner {
    fn nf(&self, name: &str) -> Result<usize, EngineError> {
        let found = self.plan.nfs.iter().position(|nf| nf.name == name);
        found.ok_or_else(|| EngineError::NoSuchNf(name.to_owned()))
    }

    /// Runs something on one worker's instance.
    fn with_instance<T: Send + 'static>(
        &mut self,
        nf: usize,
        worker: usize,
        question: impl FnOnce(&mut dyn Nf) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        let name = self.plan.nfs[nf].name.clone();
        if let Some(ended) = &mut self.ended {
            let graph = ended.graphs.get_mut(worker).ok_or(EngineError::NoSuchWorker(worker))?;
            let instance = graph.instances[nf].as_mut().ok_or(EngineError::Poisoned(name))?;
            return Ok(question(instance.as_mut()));
        }
        let hand = self.crew.hands.get(worker).ok_or(EngineError::NoSuchWorker(worker))?;
        let asked = hand.ask(move |worker: &mut Worker| {
            let instance = worker.graph.as_mut()?.instances.get_mut(nf)?.as_mut()?;
            Some(question(instance.as_mut()))
        });
        match asked {
            Some(Some(answer)) => Ok(answer),
            Some(None) => Err(EngineError::Poisoned(name)),
            None => Err(EngineError::Stalled { worker, millis: crate::crew::PATIENCE.as_millis() as u64 }),
        }
    }

    fn page(
        &mut self,
        nf: usize,
        worker: usize,
        cursor: Cursor,
        selector: &Selector,
    ) -> Result<Page, EngineError> {
        let selector = selector.clone();
        let page = self.with_instance(nf, worker, move |nf| {
            let state = nf.state().ok_or(StateError::Unsupported)?;
            let mut records = Vec::new();
            let next = state.export(cursor, &selector, &mut records);
            Ok((records, next))
        })?;
        page.map_err(|source| EngineError::State { nf: self.plan.nfs[nf].name.clone(), source })
    }

    /// All state of an NF, in canonical order.
    pub(crate) fn export_all(&mut self, nf: usize, selector: &Selector) -> Result<Vec<Record>, EngineError> {
        let mut all = Vec::new();
        for worker in 0..self.plan.cores.len() {
            let mut cursor = Some(Cursor::default());
            while let Some(at) = cursor {
                let (records, next) = self.page(nf, worker, at, selector)?;
                all.extend(records);
                cursor = next;
            }
        }
        sort(&mut all);
        Ok(all)
    }

    fn import(&mut self, nf: usize, records: Vec<Record>) -> Result<usize, EngineError> {
        let count = records.len();
        let workers = self.plan.cores.len();
        let failed = |source| EngineError::State { nf: self.plan.nfs[nf].name.clone(), source };
        // Which worker a record belongs to is known to the NF alone: the records go into a fresh instance, which
        // is then split as when workers are added.
        let affinity = self.layout.nfs[nf].affinity;
        let prepared = self.plan.nfs[nf].prepared.clone();
        let mut whole = prepared.instance(&crate::rewire::worker_site(&self.plan, 0));
        let state = whole.state().ok_or(StateError::Unsupported).map_err(failed)?;
        state.import(&records).map_err(failed)?;
        if workers == 1 {
            return self.import_into(nf, 0, records).map(|()| count);
        }
        let layout = self.layout.clone();
        // A worker number beyond all workers: whatever is split off belongs to somebody.
        let parts = whole.split(&|key| crate::steer::owner(&layout, affinity, key));
        if parts.is_empty() {
            // Not split by flow: replicated state, which every worker has.
            for worker in 0..workers {
                self.import_into(nf, worker, records.clone())?;
            }
            return Ok(count);
        }
        // What `split` leaves belongs to worker 0, for which the fresh instance was made.
        let mut rest = Vec::new();
        let mut cursor = Some(Cursor::default());
        while let (Some(at), Some(state)) = (cursor, whole.state()) {
            cursor = state.export(at, &Selector::default(), &mut rest);
        }
        self.import_into(nf, 0, rest)?;
        for (worker, part) in parts {
            self.with_instance(nf, worker, move |nf| nf.join(part))?;
        }
        Ok(count)
    }

    fn import_into(&mut self, nf: usize, worker: usize, records: Vec<Record>) -> Result<(), EngineError> {
        let imported = self.with_instance(nf, worker, move |nf| match nf.state() {
            Some(state) => state.import(&records),
            None => Err(StateError::Unsupported),
        })?;
        imported.map_err(|source| EngineError::State { nf: self.plan.nfs[nf].name.clone(), source })
    }
}

/// Canonical order: by kind, then by key as text.
fn sort(records: &mut [Record]) {
    records.sort_by(|a, b| {
        a.kind
            .cmp(&b.kind)
            .then_with(|| match (&a.key, &b.key) {
                (Value::String(a), Value::String(b)) => a.cmp(b),
                (a, b) => a.to_string().cmp(&b.to_string()),
            })
            .then(Ordering::Equal)
    });
}
