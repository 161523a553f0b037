//! The queues of a started port, one owner each.

use std::fmt;
use std::sync::Arc;

use crate::mbuf::Look;
use crate::port::{Arrival, Running, Shape};
use crate::{Mbuf, Mbufs, gate};

/// Headers are contiguous this far.
const CONTIGUOUS: usize = 256;
/// EtherType of IPv4.
const IPV4: u16 = 0x0800;
/// An Ethernet header; devices may hang on less.
pub(crate) const SHORTEST: usize = 14;

/// A receive queue. The port runs at least as long as this lives.
pub struct RxQueue {
    running: Arc<Running>,
    port: u16,
    queue: u16,
    refused: u64,
    arrival: Arrival,
}

/// A transmit queue. The port runs at least as long as this lives.
pub struct TxQueue {
    running: Arc<Running>,
    port: u16,
    queue: u16,
    /// The device takes packets of several segments.
    multi_segment: bool,
    /// The device's checks for checksum offloads are to run first.
    prepare: bool,
    /// Bytes of the longest frame that may be given to the device.
    longest: usize,
    refused: u64,
}

impl RxQueue {
    pub(crate) fn new(running: &Arc<Running>, port: u16, queue: u16, arrival: Arrival) -> RxQueue {
        RxQueue { running: Arc::clone(running), port, queue, refused: 0, arrival }
    }

    /// Appends received packets to `into`, as far as it has room, and returns how many. The first 256 bytes
    /// of each (or all, if it is shorter) are in its first segment. Give it an empty burst where possible:
    /// some devices receive nothing into fewer than four slots.
    #[inline]
    pub fn receive(&mut self, into: &mut Mbufs) -> usize {
        self.receive_noting(into, false).packets
    }

    /// [`RxQueue::receive`], saying what was received: headers are looked at anyway, and the first bytes of the frames
    /// too if `look`.
    #[inline]
    pub fn receive_noting(&mut self, into: &mut Mbufs, look: bool) -> Received {
        let before = into.len();
        let spare = into.spare();
        let received = {
            let _passage = gate::enter();
            // SAFETY: the queue exists and the port runs (`running`), &mut self makes this the only thread
            // on it, and `spare` has room for as many nullable pointers as it is long.
            unsafe {
                dpdk_sys::braid_rx_burst(self.port, self.queue, spare.as_mut_ptr().cast(), spare.len() as u16)
            }
        };
        if received == 0 {
            return Received::default();
        }
        // SAFETY: the device has put that many packets there and given them to us.
        unsafe { into.grow(usize::from(received), true) };
        if let Some(packets) = into.as_slice() {
            let packets = &packets[before..];
            let plain =
                if look { Received::plain::<true>(packets) } else { Received::plain::<false>(packets) };
            if let Some(received) = plain {
                return received;
            }
        }
        let packets = self.gather_headers(into, before);
        let bytes = into.used()[before..].iter().flatten().map(|mbuf| mbuf.len() as u64).sum();
        Received { packets, bytes, ipv4: false }
    }

    /// Brings the first 256 bytes together in packets from slot `before` on; drops those for which there is
    /// no mbuf.
    #[cold]
    fn gather_headers(&mut self, into: &mut Mbufs, before: usize) -> usize {
        into.changed();
        for slot in &mut into.used()[before..] {
            if slot.as_mut().is_some_and(|mbuf| !mbuf.ensure_contiguous(CONTIGUOUS)) {
                *slot = None;
                self.refused += 1;
            }
        }
        // Only what was just received may be moved: holes before it are the caller's.
        into.compact_from(before);
        into.len() - before
    }

    /// How a thread that sleeps can know of packets here.
    #[must_use]
    pub fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// Packets dropped so far because their headers were in pieces and no mbuf was free to gather them.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The port's number, as in [`Mbuf::port`].
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The queue's number within the port.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.queue
    }
}

/// What was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// How many packets.
    pub packets: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Every one has the EtherType of IPv4 right after the addresses. If not set nothing is known.
    pub ipv4: bool,
}

impl Received {
    /// `None` when a packet is not plain.
    #[inline(always)]
    fn plain<const LOOK: bool>(packets: &[Mbuf]) -> Option<Received> {
        let (mut look, mut other_types) = (Look::default(), 0);
        for mbuf in packets {
            look.at(mbuf);
            if LOOK {
                let ether_type =
                    mbuf.data().get(12..14).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
                other_types |= ether_type ^ IPV4;
            }
        }
        let ipv4 = LOOK && other_types == 0;
        look.is_plain().then_some(Received { packets: packets.len(), bytes: look.bytes, ipv4 })
    }
}

impl TxQueue {
    pub(crate) fn new(running: &Arc<Running>, port: u16, queue: u16, shape: &Shape) -> TxQueue {
        let &Shape { multi_segment, prepare, longest } = shape;
        TxQueue { running: Arc::clone(running), port, queue, multi_segment, prepare, longest, refused: 0 }
    }

    /// Sends packets from the front of `from`, as many as the device takes, and returns how many left
    /// `from`. The rest stays, without holes. Never waits.
    ///
    /// Packets should be exclusive: one that is shared is copied, since devices may write to what they send.
    /// What can never be sent is dropped, counted by [`TxQueue::refused`] and counted as gone:
    ///
    /// - a packet of less than 14 bytes, and one too long for a device that would stop at it;
    /// - one of several segments that the device does not take and that fits in no mbuf;
    /// - one whose checksum offload the device refuses.
    #[inline]
    pub fn send(&mut self, from: &mut Mbufs) -> usize {
        // One segment is no longer than this.
        let takes_all = !self.prepare && self.longest >= usize::from(u16::MAX);
        if takes_all && from.is_plain() {
            return self.burst(from, from.len());
        }
        self.send_checked(from)
    }

    /// The first `count` packets, which the device can take.
    #[inline]
    fn burst(&mut self, from: &mut Mbufs, count: usize) -> usize {
        if count == 0 {
            return 0;
        }
        let sent = {
            let _passage = gate::enter();
            // SAFETY: the queue exists and the port runs (`running`), &mut self makes this the only thread
            // on it, and the first `count` slots hold packets, exclusive ones.
            unsafe {
                dpdk_sys::braid_tx_burst(self.port, self.queue, from.used().as_mut_ptr().cast(), count as u16)
            }
        };
        let sent = usize::from(sent).min(count);
        // SAFETY: the device owns those packets now.
        unsafe { from.forget_front(sent) };
        sent
    }

    /// The way for bursts of which not enough is known.
    fn send_checked(&mut self, from: &mut Mbufs) -> usize {
        from.compact();
        let (multi_segment, lengths) = (self.multi_segment, SHORTEST..=self.longest);
        let ready = |mbuf: &Mbuf| {
            mbuf.is_exclusive() & (multi_segment | mbuf.is_contiguous()) & lengths.contains(&mbuf.len())
        };
        if !self.prepare && from.iter().all(ready) {
            return self.burst(from, from.len());
        }
        self.mend_and_send(from)
    }

    /// The way for bursts with packets that need something first.
    #[cold]
    fn mend_and_send(&mut self, from: &mut Mbufs) -> usize {
        let before = from.len();
        from.changed();
        // Packets that are in order, from the front; one that only lacks an mbuf waits for the next time.
        let mut ready = 0;
        for slot in from.used() {
            let Some(mbuf) = slot else { continue };
            let sendable = (SHORTEST..=self.longest).contains(&mbuf.len())
                && (self.multi_segment || fits_one_mbuf(mbuf));
            if !sendable {
                *slot = None;
                self.refused += 1;
            } else if !mbuf.make_exclusive() || !(self.multi_segment || mbuf.linearize()) {
                break;
            }
            ready += 1;
        }
        let dropped = from.used()[..ready].iter().filter(|slot| slot.is_none()).count();
        from.compact();
        let mut ready = ready - dropped;
        if self.prepare {
            ready = self.prepare_offloads(from, ready);
        }
        let gone_unsent = before - from.len();
        gone_unsent + self.burst(from, ready)
    }

    /// Runs the device's checks on the first `ready` packets; drops those that it refuses. Returns how many
    /// are left of them.
    fn prepare_offloads(&mut self, from: &mut Mbufs, mut ready: usize) -> usize {
        let mut passed = 0;
        while passed < ready {
            let _passage = gate::enter();
            let rest = &mut from.used()[passed..ready];
            // SAFETY: as in `burst`; the packets stay ours.
            passed += usize::from(unsafe {
                dpdk_sys::braid_tx_prepare(self.port, self.queue, rest.as_mut_ptr().cast(), rest.len() as u16)
            });
            if passed < ready {
                drop(from.take(passed));
                from.compact();
                ready -= 1;
                self.refused += 1;
            }
        }
        ready
    }

    /// Packets dropped so far because the device can never send them.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The port's number.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The queue's number within the port.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.queue
    }
}

/// Whether the packet could be put into one mbuf of its pool.
fn fits_one_mbuf(mbuf: &Mbuf) -> bool {
    mbuf.is_contiguous() || mbuf.len() <= mbuf.segment_room()
}

impl fmt::Debug for RxQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RxQueue({} of {})", self.queue, self.running.device())
    }
}

impl fmt::Debug for TxQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TxQueue({} of {})", self.queue, self.running.device())
    }
}
