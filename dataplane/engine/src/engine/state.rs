//! State and commands of NFs, through the workers' mailboxes; after a stop, directly.

use super::{Engine, Inner};
use crate::error::EngineError;
use crate::layout::Layout;
use crate::nf::{CommandError, Nf};
use crate::rewire::NextGraphs;
use crate::state::{Cursor, Record, Role, Scope, Selector, StateError};
use crate::worker::Worker;
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

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

    /// Takes records in, all or none. Each worker keeps the ones that belong to it. Returns how many there were.
    /// Only where a worker's table filled with packets' state just while records were handed out, and it refuses its
    /// own, those of the workers before it stay.
    ///
    /// # Errors
    /// No such NF, an NF that keeps no state, records that it refuses.
    pub fn import(&self, nf: &str, records: Vec<Record>) -> Result<usize, EngineError> {
        let mut inner = self.lock();
        let index = inner.nf(nf)?;
        inner.import(index, records)
    }

    /// Has every worker's instance of an NF answer a command; the answers by worker, or the one that they all come to
    /// where the NF says so ([`crate::Kind::follows_from`]). One that is done in steps lets packets flow in between, and
    /// changes of the plan.
    ///
    /// # Errors
    /// No such NF, and whatever an instance says against it.
    pub fn command(&self, nf: &str, name: &str, arguments: &Value) -> Result<Vec<Value>, EngineError> {
        if let Some(answer) = self.lock().command_all(nf, name, arguments)? {
            return Ok(vec![answer]);
        }
        let mut answers = Vec::new();
        // Workers may come and go between the steps; one that is gone has nothing left to do.
        while answers.len() < self.workers() {
            match self.command_one(nf, answers.len(), name, arguments) {
                Ok(answer) => answers.push(answer),
                Err(EngineError::NoSuchWorker(_)) if !answers.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(answers)
    }

    /// Has one worker's instance of an NF do a command, step by step.
    fn command_one(
        &self,
        nf: &str,
        worker: usize,
        name: &str,
        arguments: &Value,
    ) -> Result<Value, EngineError> {
        let mut arguments = arguments.clone();
        loop {
            let mut inner = self.lock();
            let index = inner.nf(nf)?;
            let name = name.to_owned();
            match inner.with_instance(index, worker, move |nf| nf.command(&name, &arguments))? {
                Ok(answer) => return Ok(answer),
                Err(CommandError::Unfinished(next)) => arguments = next,
                Err(source) => return Err(EngineError::Command { nf: nf.to_owned(), source }),
            }
        }
    }
}

impl Inner {
    fn nf(&self, name: &str) -> Result<usize, EngineError> {
        let found = self.plan.nfs.iter().position(|nf| nf.name == name);
        found.ok_or_else(|| EngineError::NoSuchNf(name.to_owned()))
    }

    /// The one answer of all workers to a command, if there is such: of an instance that knows what they know.
    fn command_all(&mut self, nf: &str, name: &str, arguments: &Value) -> Result<Option<Value>, EngineError> {
        let index = self.nf(nf)?;
        let kinds = self.plan.nfs[index].prepared.follows_from(name);
        if kinds.is_empty() || self.plan.cores.len() == 1 {
            return Ok(None);
        }
        let mut records = Vec::new();
        for kind in kinds {
            let selector = Selector { kind: Some((*kind).to_owned()), ..Selector::default() };
            for worker in 0..self.plan.cores.len() {
                records.extend(self.export_selected(index, worker, &selector)?);
            }
        }
        let mut whole = self.scratch(index);
        let known = guarded(|| whole.state().ok_or(StateError::Unsupported)?.import(&records));
        known
            .ok_or_else(|| EngineError::Poisoned(nf.to_owned()))?
            .map_err(|source| EngineError::State { nf: nf.to_owned(), source })?;
        let answer = guarded(|| whole.command(name, arguments));
        answer
            .ok_or_else(|| EngineError::Poisoned(nf.to_owned()))?
            .map(Some)
            .map_err(|source| EngineError::Command { nf: nf.to_owned(), source })
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
            let Some(instance) = graph.instances[nf].as_mut() else {
                return Err(EngineError::Poisoned(name));
            };
            return guarded(|| question(instance.as_mut())).ok_or(EngineError::Poisoned(name));
        }
        let hand = self.crew.hands.get(worker).ok_or(EngineError::NoSuchWorker(worker))?;
        let asked = hand.ask(move |worker: &mut Worker| worker.with_nf(nf, question));
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

    /// All state of an NF's instance on one worker.
    pub(crate) fn export_worker(&mut self, nf: usize, worker: usize) -> Result<Vec<Record>, EngineError> {
        self.export_selected(nf, worker, &Selector::default())
    }

    fn export_selected(
        &mut self,
        nf: usize,
        worker: usize,
        selector: &Selector,
    ) -> Result<Vec<Record>, EngineError> {
        let mut all = Vec::new();
        let mut cursor = Some(Cursor::default());
        while let Some(at) = cursor {
            let (records, next) = self.page(nf, worker, at, selector)?;
            all.extend(records);
            cursor = next;
        }
        Ok(all)
    }

    /// All state of an NF, in canonical order.
    pub(crate) fn export_all(&mut self, nf: usize, selector: &Selector) -> Result<Vec<Record>, EngineError> {
        let mut all = Vec::new();
        for worker in 0..self.plan.cores.len() {
            all.extend(self.export_selected(nf, worker, selector)?);
        }
        if self.plan.cores.len() > 1 {
            let (mut flows, shared): (Vec<_>, Vec<_>) =
                all.into_iter().partition(|record: &Record| record.scope == Scope::Flow);
            let prepared = &self.plan.nfs[nf].prepared;
            let _ = guarded(|| prepared.unite(&mut flows));
            all = flows;
            all.extend(self.merge_shared(nf, shared));
        }
        sort(&mut all);
        Ok(all)
    }

    /// A fresh instance that belongs to nobody and shares with nobody: to look at records with the NF's own eyes.
    fn scratch(&self, nf: usize) -> Box<dyn Nf> {
        let site = crate::rewire::worker_site(&self.plan, 0);
        self.plan.nfs[nf].prepared.instance(&crate::site::WorkerSite { count: 1, ..site })
    }

    /// Records of all instances that belong to no flow, made one: counters added up, replicas counted once. Only
    /// the NF knows how, so a fresh instance takes them all in. What it has no use for, as another worker's own, stays.
    fn merge_shared(&self, nf: usize, shared: Vec<Record>) -> Vec<Record> {
        let mut whole = self.scratch(nf);
        let Some(Some(Ok(()))) = guarded(|| whole.state().map(|state| state.import(&shared))) else {
            return shared;
        };
        let name = |record: &Record| (record.kind.clone(), record.key.to_string());
        let mut missing: HashMap<_, _> = shared.into_iter().map(|record| (name(&record), record)).collect();
        // What it knows besides, nobody asked for.
        let mut merged = all_pages(whole.as_mut());
        merged.retain(|record| missing.remove(&name(record)).is_some());
        merged.extend(missing.into_values());
        merged
    }

    /// What the instances of an NF know that is no flow's and that packets depend on: of all workers but one.
    pub(crate) fn replicas(&mut self, nf: usize, but: Option<usize>) -> Vec<Record> {
        let mut replicas = Vec::new();
        let selector = Selector { scope: Some(Scope::Shared), ..Selector::default() };
        for worker in (0..self.plan.cores.len()).filter(|worker| Some(*worker) != but) {
            let mut cursor = Some(Cursor::default());
            while let Some(at) = cursor {
                // An instance that has fallen knows nothing.
                let page = self.page(nf, worker, at, &selector);
                let Ok((records, next)) = page else { break };
                replicas.extend(records.into_iter().filter(Record::is_replica));
                cursor = next;
            }
        }
        replicas
    }

    /// The instances of the `next` graphs on workers that are new hear what the others know, while packets flow.
    pub(super) fn acquaint(&mut self, layout: &Layout, next: &mut NextGraphs, first: usize) {
        for nf in 0..self.layout.nfs.len() {
            let Some(heir) = layout.heir_of(&self.layout.nfs[nf]) else { continue };
            let replicas = self.replicas(nf, None);
            if replicas.is_empty() {
                continue;
            }
            let mut whole = self.scratch(nf);
            if let Some(Some(Ok(()))) = guarded(|| whole.state().map(|state| state.import(&replicas))) {
                next.acquaint(heir, whole, first, self.clock.at(dpdk::tsc()));
            }
        }
    }

    fn import(&mut self, nf: usize, records: Vec<Record>) -> Result<usize, EngineError> {
        let count = records.len();
        let workers = self.plan.cores.len();
        let name = self.plan.nfs[nf].name.clone();
        let failed = move |source| EngineError::State { nf: name.clone(), source };
        // Everything is tried on a fresh instance first, so that bad records change nothing.
        let mut whole = self.scratch(nf);
        let tried = guarded(|| whole.state().ok_or(StateError::Unsupported)?.import(&records));
        tried.ok_or_else(|| EngineError::Poisoned(self.plan.nfs[nf].name.clone()))?.map_err(&failed)?;
        if workers == 1 {
            return self.import_into(nf, 0, Arc::new(records)).map(|()| count);
        }
        let shares: Vec<_> = self.shares(nf, records).map_err(&failed)?.into_iter().map(Arc::new).collect();
        for (worker, share) in shares.iter().enumerate() {
            let share = Arc::clone(share);
            self.with_instance(nf, worker, move |nf| {
                nf.state().map_or(Err(StateError::Unsupported), |state| state.admits(&share))
            })?
            .map_err(&failed)?;
        }
        for (worker, share) in shares.into_iter().enumerate() {
            self.import_into(nf, worker, share)?;
        }
        Ok(count)
    }

    /// What of some records each worker is to take in.
    fn shares(&self, nf: usize, records: Vec<Record>) -> Result<Vec<Vec<Record>>, StateError> {
        let workers = self.plan.cores.len();
        let (flows, shared): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|record| record.scope == Scope::Flow);
        // Reports are sums over the workers: one of them takes all. What later packets depend on, all have.
        let (reports, replicas): (Vec<_>, Vec<_>) =
            shared.into_iter().partition(|record| record.role == Role::Reporting);
        let mut shares = vec![replicas; workers];
        shares[0].extend(reports);
        // Which worker a flow belongs to, the NF tells as it does when workers are added.
        let mut whole = self.scratch(nf);
        if let Some(state) = whole.state() {
            state.import(&flows)?;
        }
        let (layout, rule) = (&self.layout, &self.layout.nfs[nf].rule);
        let parts = whole.split(&|key| crate::steer::owner(layout, rule, key));
        shares[0].extend(all_pages(whole.as_mut()));
        for (worker, part) in parts {
            let Some(share) = shares.get_mut(worker) else { continue };
            let mut one = self.scratch(nf);
            one.join(part);
            share.extend(all_pages(one.as_mut()));
        }
        Ok(shares)
    }

    fn import_into(
        &mut self,
        nf: usize,
        worker: usize,
        records: Arc<Vec<Record>>,
    ) -> Result<(), EngineError> {
        let imported = self.with_instance(nf, worker, move |nf| match nf.state() {
            Some(state) => state.import(&records),
            None => Err(StateError::Unsupported),
        })?;
        imported.map_err(|source| EngineError::State { nf: self.plan.nfs[nf].name.clone(), source })
    }
}

/// Calls into an NF off the packets' way; `None` when it panicked.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// All state of an instance, page by page; what it gives before it panics, should it.
pub(crate) fn all_pages(instance: &mut dyn Nf) -> Vec<Record> {
    let mut records = Vec::new();
    let mut cursor = Some(Cursor::default());
    while let Some(at) = cursor {
        cursor = guarded(|| {
            let state = instance.state()?;
            state.export(at, &Selector::default(), &mut records)
        })
        .flatten();
    }
    records
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
