//! Where packets go: a device's transmit queue with a buffer before it, or a capture file.

use crate::note::Note;
use crate::stats::PortCounters;
use crate::time::Time;
use capture::{CaptureError, Writer};
use dpdk::{BURST, Mbuf, Mbufs, TxQueue};
use std::collections::VecDeque;
use std::time::Duration;

/// Packets that wait for a transmit queue that is full; more are dropped as `tx_full`.
const BACKLOG: usize = 1024;
/// A burst of at least this many goes out at once; smaller ones are gathered until the end of the round.
const DIRECT: usize = BURST / 2;

/// How a worker reaches a port.
pub(crate) enum Tx {
    /// By a queue of its own.
    Queue(Box<QueueTx>),
    /// By writing to a capture.
    Capture(Box<CaptureTx>),
    /// Over the ring to a worker that has a queue.
    Via(usize),
    /// Not at all: no chain of the plan ends there.
    Unused,
}

/// A transmit queue with what waits for it.
pub(crate) struct QueueTx {
    queue: TxQueue,
    buffer: Mbufs,
    backlog: VecDeque<Mbuf>,
}

impl QueueTx {
    pub(crate) fn new(queue: TxQueue) -> Self {
        QueueTx { queue, buffer: Mbufs::new(), backlog: VecDeque::with_capacity(BACKLOG) }
    }

    /// Sends a burst or keeps it for [`QueueTx::flush`]. Order is kept.
    #[inline]
    pub(crate) fn send(&mut self, mbufs: &mut Mbufs, counters: &PortCounters) {
        if self.buffer.is_empty() && self.backlog.is_empty() && mbufs.len() >= DIRECT {
            self.push(Some(mbufs), counters);
            if mbufs.is_empty() {
                return;
            }
        }
        while !mbufs.is_empty() {
            self.buffer.append(mbufs);
            if self.buffer.is_full() {
                self.flush(counters);
            }
        }
    }

    /// Sends what is kept, as far as the queue takes it. Returns how many packets still wait.
    #[inline]
    pub(crate) fn flush(&mut self, counters: &PortCounters) -> usize {
        if self.buffer.is_empty() && self.backlog.is_empty() {
            return 0;
        }
        self.flush_some(counters)
    }

    fn flush_some(&mut self, counters: &PortCounters) -> usize {
        // What has waited longest goes first.
        let mut older = Mbufs::new();
        while !self.backlog.is_empty() {
            while !older.is_full() {
                let Some(mbuf) = self.backlog.pop_front() else { break };
                if let Err(mbuf) = older.push(mbuf) {
                    self.backlog.push_front(mbuf);
                    break;
                }
            }
            self.push(Some(&mut older), counters);
            if !older.is_empty() {
                let rest: usize = older.len();
                for mbuf in older.drain() {
                    self.backlog.push_back(mbuf);
                }
                self.backlog.rotate_right(rest);
                break;
            }
        }
        if self.backlog.is_empty() {
            self.push(None, counters);
        }
        for mbuf in self.buffer.drain() {
            if self.backlog.len() < BACKLOG {
                self.backlog.push_back(mbuf);
            } else {
                counters.tx_full.add(1);
            }
        }
        self.backlog.len()
    }

    /// Gives packets (`None`: those in the buffer) to the queue, as many as it takes.
    #[inline]
    fn push(&mut self, mbufs: Option<&mut Mbufs>, counters: &PortCounters) {
        let refused = self.queue.refused();
        let gone = self.queue.send(mbufs.unwrap_or(&mut self.buffer)) as u64;
        let refused = self.queue.refused() - refused;
        counters.sent.add(gone - refused);
        if refused > 0 {
            counters.tx_refused.add(refused);
        }
    }

    /// Gives up on what waits: the device no longer takes anything.
    fn give_up(&mut self, counters: &PortCounters) {
        counters.tx_full.add((self.buffer.len() + self.backlog.len()) as u64);
        self.buffer.clear();
        self.backlog.clear();
    }
}

/// How long a device may take for what waits for it when everything is to come to rest. One whose peer is gone
/// takes nothing ever again, and must not keep the engine from changing or stopping.
const STUCK: Duration = Duration::from_millis(200);

/// Whether so many TSC cycles are longer than a device may take.
pub(crate) fn is_stuck(cycles: u64) -> bool {
    u128::from(cycles) * 1_000 > STUCK.as_millis() * u128::from(dpdk::tsc_hz())
}

/// Drops, as `tx_full`, what waits for devices.
pub(crate) fn give_up(tx: &mut [Tx], counters: &[PortCounters]) {
    for (tx, counters) in tx.iter_mut().zip(counters) {
        if let Tx::Queue(queue) = tx {
            queue.give_up(counters);
        }
    }
}

/// Writes packets to a capture: at once where one worker writes, in input order at the end where several do.
pub(crate) enum CaptureTx {
    Direct { writer: Box<Writer>, error: Option<CaptureError> },
    Ordered(Vec<Recorded>),
}

/// A packet that waits for its place in the output.
pub(crate) struct Recorded {
    pub sequence: u64,
    time: Time,
    original_len: u32,
    bytes: Box<[u8]>,
}

impl CaptureTx {
    /// Writes packets as of `now`. Only in a replay do notes tell what captures lacked of them.
    pub(crate) fn write(&mut self, mbufs: &mut Mbufs, now: Time, replay: bool, counters: &PortCounters) {
        for mbuf in mbufs.drain() {
            let note = if replay { Note::read(&mbuf) } else { Note::default() };
            let original_len = u32::try_from(mbuf.len() + usize::from(note.cut)).unwrap_or(u32::MAX);
            counters.sent_bytes.add(mbuf.len() as u64);
            match self {
                CaptureTx::Direct { writer, error } => {
                    let written = writer.write(now.as_nanos(), original_len, mbuf.segments());
                    match written {
                        Ok(()) => counters.sent.add(1),
                        Err(failure) => {
                            counters.write_error.add(1);
                            error.get_or_insert(failure);
                        }
                    }
                }
                CaptureTx::Ordered(records) => {
                    let mut bytes = Vec::with_capacity(mbuf.len());
                    mbuf.segments().for_each(|segment| bytes.extend_from_slice(segment));
                    counters.sent.add(1);
                    let bytes = bytes.into_boxed_slice();
                    records.push(Recorded { sequence: note.sequence, time: now, original_len, bytes });
                }
            }
        }
    }
}

/// Writes what several workers recorded, in input order, and closes the file.
pub(crate) fn write_ordered(mut writer: Writer, mut records: Vec<Recorded>) -> Result<(), CaptureError> {
    records.sort_by_key(|record| record.sequence);
    for record in &records {
        writer.write(record.time.as_nanos(), record.original_len, [&*record.bytes])?;
    }
    writer.finish()
}
