//! The end of a run: nothing more comes in, everything that is there goes out, reports are written.

use super::{Engine, Inner, collect};
use crate::device::Loose;
use crate::error::EngineError;
use crate::graph::Graph;
use crate::plan::NfPlan;
use crate::rewire::Orphans;
use crate::sink::{self, CaptureTx};
use crate::snapshot::Snapshot;
use crate::state::{Record, Selector};
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

/// How long held packets are given to leave.
const DRAIN: Duration = Duration::from_secs(2);

/// What is left of the workers after a stop.
pub(crate) struct Ended {
    pub graphs: Vec<Box<Graph>>,
}

impl Engine {
    /// Stops: receives nothing more, lets everything out, has held packets given back, closes captures, writes the
    /// NFs' reports, ends the workers. Counters and state can still be read afterwards. A second call returns the
    /// final counters again.
    ///
    /// # Errors
    /// A worker that does not come round, a capture that could not be read to its end or written, a report
    /// that could not be written. All that can be ended has ended even then.
    pub fn stop(&self) -> Result<Snapshot, EngineError> {
        let mut inner = self.lock();
        let ended = if inner.ended.is_some() { Ok(()) } else { inner.end() };
        let snapshot = inner.snapshot();
        drop(inner);
        // Last, as it takes in NFs that fall while they give back what they hold.
        let supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(supervisor) = supervisor {
            supervisor.end();
        }
        ended.map(|()| snapshot)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            tracing::error!(%error, "while stopping");
        }
    }
}

impl Inner {
    fn end(&mut self) -> Result<(), EngineError> {
        self.crew.quiesce()?;
        let deadline = Instant::now() + DRAIN;
        while Instant::now() < deadline {
            for hand in &self.crew.hands {
                hand.ask(|worker| worker.drain());
            }
            // What was given back may have gone over rings, to NFs that hold it in their turn.
            self.crew.quiesce()?;
            if self.totals().held() == 0 {
                break;
            }
        }
        for hand in &self.crew.hands {
            hand.ask(|worker| worker.give_up());
        }
        let mut graphs = self.crew.take()?;
        let queues = collect(&self.layout, &mut graphs);
        let closed = self.close(queues);
        let threads = std::mem::take(&mut self.crew.hands);
        self.final_workers = threads.iter().map(|hand| super::worker_snapshot(hand, self.clock)).collect();
        threads.into_iter().for_each(crate::crew::Hand::dismiss);
        self.ended = Some(Ended { graphs });
        closed.and(self.read_errors()).and(self.finish_reports())
    }

    /// Closes captures.
    pub(super) fn close(&mut self, queues: BTreeMap<String, Loose>) -> Result<(), EngineError> {
        let mut result = Ok(());
        for (name, loose) in queues {
            let failed = |error: capture::CaptureError| EngineError::Port {
                port: name.clone(),
                message: error.to_string(),
            };
            let ordered = self.ports.get_mut(&name).and_then(|open| open.ordered.take());
            let written = match (ordered, loose.writer.map(|writer| *writer)) {
                (Some(writer), _) => sink::write_ordered(writer, loose.records).map_err(failed),
                (None, Some(CaptureTx::Direct { error: Some(error), .. })) => Err(failed(error)),
                (None, Some(CaptureTx::Direct { writer, error: None })) => writer.finish().map_err(failed),
                (None, _) => Ok(()),
            };
            result = result.and(written);
        }
        result
    }

    /// What kept a capture from being read to its end.
    fn read_errors(&self) -> Result<(), EngineError> {
        for progress in self.ports.values().filter_map(|port| port.progress.as_ref()) {
            let error = progress.error.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(message) = error {
                return Err(EngineError::Capture(message));
            }
        }
        Ok(())
    }

    /// Has every NF write its report from the state of all workers.
    fn finish_reports(&mut self) -> Result<(), EngineError> {
        let nfs: Vec<NfPlan> = self.plan.nfs.clone();
        let mut result = Ok(());
        for (index, nf) in nfs.iter().enumerate() {
            let records = self.export_all(index, &Selector::default()).unwrap_or_default();
            let finished = nf
                .prepared
                .finish(&records)
                .map_err(|error| EngineError::Report { nf: nf.name.clone(), message: error.to_string() });
            result = result.and(finished);
        }
        result
    }
}

/// NFs that a change of configuration removed write their reports, from what their instances leave.
pub(super) fn finish_removed(old: &[NfPlan], orphans: Orphans) {
    let mut records: BTreeMap<usize, Vec<Record>> = BTreeMap::new();
    for (nf, mut instance) in orphans {
        if let Some(nf) = nf {
            records.entry(nf).or_default().extend(super::all_pages(instance.as_mut()));
        }
    }
    for (nf, records) in records {
        if let Some(Err(error)) = super::guarded(|| old[nf].prepared.finish(&records)) {
            tracing::error!(nf = old[nf].name, %error, "its report was not written");
        }
    }
}
