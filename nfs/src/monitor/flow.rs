//! One flow: what is known of the packets between two endpoints.

use engine::Time;
use wire::{Direction, FlowKey};

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// [`Flow::known`] when the first sequence numbers of both directions are known.
const ALL_KNOWN: u8 = 0b11;

/// A record may not say more, so that there is room to count on for longer than any network runs.
pub(super) const MOST_COUNTED: u64 = 1 << 63;

/// What a packet adds to its flow.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Sample {
    /// Bytes of the IP packet.
    pub bytes: u32,
    /// Sequence and acknowledgement number; only of TCP.
    pub seq: u32,
    pub ack: u32,
    pub tcp_flags: u8,
    pub is_tcp: bool,
    /// The packet's place in the burst.
    pub place: u8,
    /// Sent by the canonical key's destination.
    pub reverse: bool,
}

/// What is known of a flow. Arrays are by direction: first what the canonical key's source sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow {
    pub(super) packets: [u64; 2],
    pub(super) bytes: [u64; 2],
    pub(super) first: Time,
    pub(super) last: Time,
    /// First sequence number, where it is known.
    pub(super) base: [u32; 2],
    pub(super) tcp_flags: [u8; 2],
    /// Bit d: `base[d]` is known.
    pub(super) known: u8,
    /// In which direction its first packet went.
    pub(super) originator: Direction,
    /// Bytes that the sketches have not been told of.
    pub(super) untold: u32,
}

impl Flow {
    pub(super) fn new(sample: &Sample, now: Time) -> Flow {
        let mut flow = Flow {
            packets: [0; 2],
            bytes: [0; 2],
            first: now,
            last: now,
            base: [0; 2],
            tcp_flags: [0; 2],
            known: 0,
            originator: if sample.reverse { Direction::Reverse } else { Direction::Forward },
            untold: 0,
        };
        flow.add(sample, now);
        flow
    }

    /// The same flow from this packet on, after a report of what was.
    pub(super) fn anew(&self, sample: &Sample, now: Time) -> Flow {
        let counted = Flow { base: self.base, known: self.known, ..Flow::new(sample, now) };
        Flow { originator: self.originator, ..counted }
    }

    /// Counts a packet.
    #[inline(always)]
    pub(super) fn add(&mut self, sample: &Sample, now: Time) {
        let direction = usize::from(sample.reverse);
        self.packets[direction] += 1;
        self.bytes[direction] += u64::from(sample.bytes);
        self.tcp_flags[direction] |= sample.tcp_flags;
        self.last = self.last.max(now);
        if sample.is_tcp && self.known != ALL_KNOWN {
            self.learn(sample);
        }
    }

    /// First sequence numbers: of a SYN its own, of another first segment the one before it; and what the other
    /// side acknowledges before it was heard.
    #[cold]
    fn learn(&mut self, sample: &Sample) {
        let direction = usize::from(sample.reverse);
        if self.known & 1 << direction == 0 {
            let is_syn = sample.tcp_flags & SYN != 0;
            self.base[direction] = if is_syn { sample.seq } else { sample.seq.wrapping_sub(1) };
            self.known |= 1 << direction;
        }
        if self.known & 1 << (1 - direction) == 0 && sample.tcp_flags & ACK != 0 {
            self.base[1 - direction] = sample.ack.wrapping_sub(1);
            self.known |= 1 << (1 - direction);
        }
    }

    /// The packet belongs to another connection between the same endpoints: a SYN whose sequence number is not the
    /// one that this connection began with.
    #[inline(always)]
    pub(super) fn is_over_at(&self, sample: &Sample) -> bool {
        sample.tcp_flags & (SYN | ACK) == SYN && self.begins_anew(sample)
    }

    #[cold]
    fn begins_anew(&self, sample: &Sample) -> bool {
        let direction = usize::from(sample.reverse);
        self.known & 1 << direction != 0 && self.base[direction] != sample.seq
    }

    /// Joins what was gathered of the same flow elsewhere.
    pub(super) fn merge(&mut self, other: &Flow) {
        if other.first < self.first {
            (self.first, self.originator) = (other.first, other.originator);
        }
        self.last = self.last.max(other.last);
        for direction in 0..2 {
            self.packets[direction] = sum(self.packets[direction], other.packets[direction]);
            self.bytes[direction] = sum(self.bytes[direction], other.bytes[direction]);
            self.tcp_flags[direction] |= other.tcp_flags[direction];
            if self.known & 1 << direction == 0 {
                self.base[direction] = other.base[direction];
            }
        }
        self.known |= other.known;
        self.untold = self.untold.saturating_add(other.untold);
    }

    /// Packets of both directions.
    pub(super) fn packets(&self) -> u64 {
        self.packets[0].saturating_add(self.packets[1])
    }

    /// Bytes of both directions.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes[0].saturating_add(self.bytes[1])
    }
}

/// What records add to `counted` takes it to [`MOST_COUNTED`] at the most, however often they come.
fn sum(counted: u64, more: u64) -> u64 {
    counted.max(counted.saturating_add(more).min(MOST_COUNTED))
}

/// A flow as its users see it: from the side of who sent its first packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    /// As in the first packet.
    pub key: FlowKey,
    /// What the originator sent, and what came back.
    pub packets: [u64; 2],
    pub bytes: [u64; 2],
    pub tcp_flags: [u8; 2],
    pub first: Time,
    pub last: Time,
}

impl Seen {
    /// `key` is the canonical key.
    pub(super) fn new(key: FlowKey, flow: &Flow) -> Seen {
        let Flow { mut packets, mut bytes, mut tcp_flags, first, last, .. } = *flow;
        let mut key = key;
        if flow.originator == Direction::Reverse {
            key = key.reversed();
            packets.reverse();
            bytes.reverse();
            tcp_flags.reverse();
        }
        Seen { key, packets, bytes, tcp_flags, first, last }
    }
}
