//! The planner. Several may run: the one whose key is in etcd plans, and the others wait for it to go. Every change is
//! made on condition that the key is still its own, so one that was cut off from etcd cannot interfere.

use crate::Tell;
use crate::decide::{Decision, decide};
use crate::etcd::{Change, Etcd, EtcdError, If};
use crate::store::{self, Snapshot};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One planner.
pub struct Planner<'a> {
    /// etcd.
    pub etcd: &'a Etcd,
    /// Its name, for people.
    pub name: String,
    /// How long it may be silent before another takes over, in seconds.
    pub ttl: u64,
    /// Who is told.
    pub tell: &'a Tell<'a>,
}

impl Planner<'_> {
    /// Plans, or waits to, until `over`.
    pub fn run(&self, over: &(dyn Fn() -> bool + Sync)) {
        let mut back_off = BackOff::default();
        // Why it could not, as it was told.
        let mut told = None;
        while !over() {
            let mut led = false;
            match self.lead(&mut led, over) {
                Ok(()) => (back_off, told) = (BackOff::default(), None),
                Err(error) => {
                    let error = Some(error.to_string());
                    if led || told != error {
                        (self.tell)("planner", "interrupted", error.as_deref().unwrap_or_default());
                        told = error;
                    }
                    back_off.wait(over);
                }
            }
        }
    }

    /// Waits for its turn, then plans until that ends.
    fn lead(&self, led: &mut bool, over: &(dyn Fn() -> bool + Sync)) -> Result<(), EtcdError> {
        let slice = slice(self.ttl);
        loop {
            let (revision, there) = self.etcd.get(store::PLANNER)?;
            if over() {
                return Ok(());
            }
            if there.iter().all(|entry| entry.key != store::PLANNER) {
                break;
            }
            self.etcd.watch(store::PLANNER, revision + 1, slice)?;
        }
        let lease = self.etcd.grant(self.ttl)?;
        let key = Change::Put { key: store::PLANNER.to_owned(), value: self.name.clone(), lease };
        if !self.etcd.transact(&[If::Absent(store::PLANNER)], &[key])? {
            return self.etcd.revoke(lease);
        }
        (self.tell)("planner", "leading", &format!("{} plans from now on", self.name));
        *led = true;
        let planned = self.plan(lease, over);
        // Whoever comes next need not wait for the lease to end.
        let _ = self.etcd.revoke(lease);
        planned
    }

    fn plan(&self, lease: i64, over: &(dyn Fn() -> bool + Sync)) -> Result<(), EtcdError> {
        let slice = slice(self.ttl);
        let mut kept = Instant::now();
        while !over() {
            if kept.elapsed() >= slice {
                self.etcd.keep_alive(lease)?;
                kept = Instant::now();
            }
            let there = Snapshot::read(self.etcd)?;
            let mine = there.planner.as_ref().filter(|entry| entry.value == self.name);
            let Some(mine) = mine.map(|entry| entry.created) else { return Err(EtcdError::LeaseEnded) };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            let Decision { parts, changes, events } = decide(&there, u64::try_from(now).unwrap_or(u64::MAX));
            if parts.is_empty() && changes.is_empty() {
                self.etcd.watch(store::ROOT, there.revision + 1, slice)?;
                continue;
            }
            for batch in batches(&parts).chain([&changes[..]]).filter(|batch| !batch.is_empty()) {
                if kept.elapsed() >= slice {
                    self.etcd.keep_alive(lease)?;
                    kept = Instant::now();
                }
                if !self.etcd.transact(&[If::Created(store::PLANNER, mine)], batch)? {
                    return Err(EtcdError::LeaseEnded);
                }
            }
            events.iter().for_each(|event| (self.tell)("planner", &event.name, &event.detail));
        }
        Ok(())
    }
}

/// Most changes in a transaction: etcd takes 128 (`--max-txn-ops`).
const MOST_CHANGES: usize = 100;
/// Most bytes in one, unless a change has more by itself: etcd takes 1.5 MB (`--max-request-bytes`).
const MOST_BYTES: usize = 512 << 10;

/// Changes as etcd takes them, in order.
fn batches(mut changes: &[Change]) -> impl Iterator<Item = &[Change]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |change: &&Change| {
            bytes += match change {
                Change::Put { key, value, .. } => key.len() + value.len(),
                Change::Delete(key) => key.len(),
            };
            bytes <= MOST_BYTES
        };
        let fitting = changes.iter().take(MOST_CHANGES).take_while(fits).count();
        let (batch, rest) = changes.split_at(fitting.max(1).min(changes.len()));
        changes = rest;
        (!batch.is_empty()).then_some(batch)
    })
}

/// How often a lease begins anew, and how long is waited at once.
pub(crate) fn slice(ttl: u64) -> Duration {
    Duration::from_millis((ttl * 1000 / 3).clamp(200, 1000))
}

/// Waits longer from failure to failure, up to 5 s.
#[derive(Default)]
pub(crate) struct BackOff(u32);

impl BackOff {
    pub(crate) fn wait(&mut self, over: &(dyn Fn() -> bool + Sync)) {
        let wait = Duration::from_millis(200 << self.0.min(5)).min(Duration::from_secs(5));
        self.0 = self.0.saturating_add(1);
        let begun = Instant::now();
        while begun.elapsed() < wait && !over() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[cfg(test)]
mod tests;
