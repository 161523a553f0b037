//! Where packets come from: a device's receive queue, or a capture file.

use crate::note::{Next, Note};
use crate::time::Time;
use capture::Reader;
use dpdk::{Mbuf, Mbufs, Pool, RxQueue};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Set in an mbuf's port field when it holds the number of a port of the plan and not DPDK's.
pub(crate) const PLAN_PORT: u16 = 0x8000;

/// A receive queue and the port it belongs to.
pub(crate) struct Rx {
    /// Number of the port in the plan.
    pub port: usize,
    pub source: Source,
}

/// What packets are received from.
pub(crate) enum Source {
    Queue(RxQueue),
    Capture(Box<CaptureSource>),
}

/// Plays a capture file: packets of one timestamp at a time, so that every packet meets the NFs at its own time.
pub(crate) struct CaptureSource {
    reader: Reader,
    pool: Pool,
    port: u16,
    sequence: u64,
    pending: Option<(Time, Mbuf)>,
    /// A packet was read and found no buffer; it is read again, so nothing is lost.
    starved: Option<Starved>,
    progress: Arc<SourceProgress>,
}

/// A frame that waits for a buffer.
struct Starved {
    time: Time,
    bytes: Vec<u8>,
    cut: u16,
}

/// How far a capture source is, for those who watch it.
#[derive(Default)]
pub(crate) struct SourceProgress {
    /// Nothing more will come.
    pub exhausted: AtomicBool,
    /// Why the file could not be read to its end.
    pub error: Mutex<Option<String>>,
}

impl CaptureSource {
    pub(crate) fn new(reader: Reader, pool: Pool, port: u16) -> (Self, Arc<SourceProgress>) {
        let progress = Arc::new(SourceProgress::default());
        let source = CaptureSource {
            reader,
            pool,
            port,
            sequence: 0,
            pending: None,
            starved: None,
            progress: progress.clone(),
        };
        (source, progress)
    }

    /// The number of the port in a new plan.
    pub(crate) fn renumber(&mut self, port: u16) {
        self.port = port;
        if let Some((_, mbuf)) = &mut self.pending {
            mbuf.set_port(port | PLAN_PORT);
        }
    }

    /// The time of the next packet; `None` when there is none, or no buffer for it now.
    pub(crate) fn next_time(&mut self) -> Option<Time> {
        if self.pending.is_none() {
            self.pending = self.read();
        }
        self.pending.as_ref().map(|(time, _)| *time)
    }

    /// Packets of one timestamp, at most as many as fit; their time, or `None` when there are none.
    pub(crate) fn receive(&mut self, into: &mut Mbufs) -> Option<Time> {
        let time = self.next_time()?;
        while !into.is_full() && self.next_time() == Some(time) {
            let Some((_, mbuf)) = self.pending.take() else { break };
            if into.push(mbuf).is_err() {
                break;
            }
        }
        Some(time)
    }

    fn read(&mut self) -> Option<(Time, Mbuf)> {
        if self.progress.exhausted.load(Ordering::Relaxed) {
            return None;
        }
        if let Some(frame) = self.starved.take() {
            return match self.fill(frame.time, &frame.bytes, frame.cut) {
                Some(mbuf) => Some((frame.time, mbuf)),
                None => {
                    self.starved = Some(frame);
                    None
                }
            };
        }
        let (time, bytes, cut) = match self.reader.next() {
            Ok(Some(frame)) => {
                let cut = (frame.original_len as usize).saturating_sub(frame.bytes.len());
                let cut = u16::try_from(cut).unwrap_or(u16::MAX);
                (Time::from_nanos(frame.timestamp_ns), frame.bytes, cut)
            }
            Ok(None) => {
                self.progress.exhausted.store(true, Ordering::Release);
                return None;
            }
            Err(error) => {
                if let Ok(mut slot) = self.progress.error.lock() {
                    *slot = Some(error.to_string());
                }
                self.progress.exhausted.store(true, Ordering::Release);
                return None;
            }
        };
        let mut mbuf = match self.pool.alloc() {
            Some(mbuf) => mbuf,
            None => {
                self.starved = Some(Starved { time, bytes: bytes.to_vec(), cut });
                return None;
            }
        };
        if !mbuf.fill(bytes) {
            self.starved = Some(Starved { time, bytes: bytes.to_vec(), cut });
            return None;
        }
        self.stamp(&mut mbuf, time, cut);
        Some((time, mbuf))
    }

    fn fill(&mut self, time: Time, bytes: &[u8], cut: u16) -> Option<Mbuf> {
        let mut mbuf = self.pool.alloc()?;
        if !mbuf.fill(bytes) {
            return None;
        }
        self.stamp(&mut mbuf, time, cut);
        Some(mbuf)
    }

    fn stamp(&mut self, mbuf: &mut Mbuf, time: Time, cut: u16) {
        mbuf.set_port(self.port | PLAN_PORT);
        let note = Note {
            arrival: time,
            sequence: self.sequence,
            cut,
            generation: 0,
            chain: 0,
            next: Next::Stage(0),
        };
        note.write(mbuf);
        self.sequence += 1;
    }
}
