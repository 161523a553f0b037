//! A flow as it leaves one instance for another.

use super::half::{Half, URGENTS};
use super::{Flow, State};
use crate::pool::Held;
use crate::{Config, Pool, hex};
use serde::{Deserialize, Serialize};

/// No place in a stream is further: leaves room to add.
const FURTHEST: u64 = 1 << 60;

/// A flow and all that it holds, as a value that can be stored and sent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowRecord {
    state: State,
    client_reverse: Option<bool>,
    reset: bool,
    halves: [HalfRecord; 2],
}

/// One direction.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HalfRecord {
    half: Half,
    /// Segments held: where they begin and end, and whether they are doubtful.
    held: Vec<(u64, u64, bool)>,
    /// Bytes held, and where they begin.
    #[serde(default)]
    bytes: Vec<Run>,
}

/// Bytes without a gap.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    at: u64,
    #[serde(with = "hex")]
    bytes: Vec<u8>,
}

/// Why a record was not taken in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadRecord {
    /// Its parts contradict each other.
    #[error("the parts of the flow's record contradict each other")]
    Malformed,
    /// It holds more than a direction may.
    #[error("the flow holds more than is configured")]
    TooMuch,
    /// The pool has no room for it, even after eviction.
    #[error("the flow's bytes do not fit into the pool")]
    NoRoom,
}

impl Flow {
    /// The flow and what it holds.
    pub fn export(&self, pool: &Pool) -> FlowRecord {
        let Flow { state, client_reverse, reset, ref halves } = *self;
        FlowRecord {
            state,
            client_reverse,
            reset,
            halves: halves.each_ref().map(|half| HalfRecord::of(half, pool)),
        }
    }

    /// The flow of a record. It goes on as the exported one would have, as long as `config` is the same.
    pub fn import(record: &FlowRecord, config: &Config, pool: &mut Pool) -> Result<Flow, BadRecord> {
        for half in &record.halves {
            half.check(config)?;
        }
        let FlowRecord { state, client_reverse, reset, ref halves } = *record;
        let mut flow =
            Flow { state, client_reverse, reset, halves: halves.each_ref().map(|half| half.half.clone()) };
        for (half, record) in flow.halves.iter_mut().zip(halves) {
            half.handle = None;
            if let Err(error) = record.restore(half, pool) {
                flow.release(pool);
                return Err(error);
            }
        }
        Ok(flow)
    }
}

impl HalfRecord {
    fn of(half: &Half, pool: &Pool) -> HalfRecord {
        let mut record = HalfRecord { half: half.clone(), held: Vec::new(), bytes: Vec::new() };
        (record.half.handle, record.half.was_lost) = (None, half.lost(pool));
        let Some(handle) = half.handle.filter(|&handle| pool.has(handle)) else {
            record.half.kept = half.next;
            return record;
        };
        let mut runs = vec![(half.kept, half.next)];
        for &Held { from, to, doubtful } in pool.held(handle).filter(|held| held.to > half.next) {
            record.held.push((from, to, doubtful));
            let from = from.max(half.next);
            match runs.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => runs.push((from, to)),
            }
        }
        for (from, to) in runs.into_iter().filter(|(from, to)| from < to) {
            let bytes = pool.bytes(handle, from, to).flat_map(|(_, bytes)| bytes).copied().collect();
            record.bytes.push(Run { at: from, bytes });
        }
        record
    }

    /// Whether a direction like this can be, and may.
    fn check(&self, config: &Config) -> Result<(), BadRecord> {
        let half = &self.half;
        let places = [half.next, half.sent, half.acked, half.right, half.widest, half.fin.unwrap_or(0)];
        let plausible = half.kept <= half.next
            && places.iter().chain(&half.urgents).all(|&place| place <= FURTHEST)
            && usize::from(half.urgent_count) <= URGENTS
            && half.isn_count <= 2
            && half.shift.is_none_or(|shift| shift <= 14);
        let top = half.next.saturating_add(u64::from(config.window));
        let mut end = half.kept;
        let in_order = self.bytes.iter().enumerate().all(|(index, run)| {
            let after = if index == 0 { run.at >= end } else { run.at > end };
            end = run.at.saturating_add(run.bytes.len() as u64);
            after && !run.bytes.is_empty() && end <= top
        });
        let sorted = self.held.is_sorted_by_key(|held| held.0);
        let there = self
            .held
            .iter()
            .all(|&(from, to, _)| from < to && to > half.next && self.has(from.max(half.next), to));
        let kept = self.held.is_empty() && self.bytes.is_empty() || self.has(half.kept, half.next);
        if !(plausible && in_order && sorted && there && kept) {
            return Err(BadRecord::Malformed);
        }
        let many = self.held.len() > config.segments.max(1) as usize;
        let much = half.next - half.kept > u64::from(config.window) && !self.bytes.is_empty();
        if many || much { Err(BadRecord::TooMuch) } else { Ok(()) }
    }

    /// Whether the bytes from `from` to `to` are there.
    fn has(&self, from: u64, to: u64) -> bool {
        from >= to
            || self
                .bytes
                .iter()
                .any(|run| run.at <= from && to <= run.at.saturating_add(run.bytes.len() as u64))
    }

    fn restore(&self, half: &mut Half, pool: &mut Pool) -> Result<(), BadRecord> {
        if self.bytes.is_empty() {
            half.kept = half.next;
            return Ok(());
        }
        let handle = pool.open();
        half.handle = Some(handle);
        for Run { at, bytes } in &self.bytes {
            pool.reserve(handle, *at, at + bytes.len() as u64).map_err(|_| BadRecord::NoRoom)?;
            pool.write(handle, *at, bytes);
        }
        for &(from, to, doubtful) in &self.held {
            pool.hold(handle, Held { from, to, doubtful }).map_err(|_| BadRecord::NoRoom)?;
        }
        Ok(())
    }
}
