//! One-way links: a drop-tail queue, a rate, a delay, losses.
//!
//! A link needs one event per packet, its arrival at the other end: packets leave in the order in which they came, so
//! when one comes it is known when it will be out. What waits is counted in bytes exactly: packets that are out by now
//! are taken off the count before a new one is judged.

use crate::packet::Packet;
use crate::quantity::{Picos, Rate, SECOND};
use crate::random::Random;
use std::collections::VecDeque;

/// A packet in a link.
#[derive(Clone, Copy, Debug)]
struct Inside {
    packet: Packet,
    /// When its last bit is out.
    out: Picos,
}

/// What a link did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct LinkCount {
    /// Packets that were taken in.
    pub packets: u64,
    /// Their bytes on the link.
    pub bytes: u64,
    /// Packets for which there was no room.
    pub dropped: u64,
    /// Packets that were lost under way.
    pub lost: u64,
    /// The most bytes that ever waited.
    pub most_queued: u64,
    /// How long bits were being sent.
    pub busy: Picos,
}

/// What became of a packet that was given to a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offered {
    /// It is in; the link was empty, and this is when it arrives.
    First(Picos),
    /// It is in, behind others.
    Behind,
    /// There was no room.
    Dropped,
}

/// A packet at the other end of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrived {
    /// The packet.
    pub packet: Packet,
    /// Whether it was lost under way.
    pub lost: bool,
    /// When the next one arrives.
    pub next: Option<Picos>,
}

/// A one-way link.
#[derive(Clone, Debug)]
pub struct Link {
    rate: Rate,
    /// Picoseconds of a byte times 2^16.
    byte: u64,
    delay: Picos,
    limit: u64,
    /// Of 2^64 packets, so many are lost.
    loss: u64,
    free: Picos,
    inside: VecDeque<Inside>,
    /// Of those inside, the last ones that still wait or are being sent.
    waiting: usize,
    queued: u64,
    /// What it did.
    pub count: LinkCount,
}

impl Link {
    /// A link of that rate, delay, queue in bytes, and share of lost packets.
    pub fn new(rate: Rate, delay: Picos, limit: u64, loss: f64) -> Link {
        let mut link = Link {
            rate,
            byte: 0,
            delay,
            limit,
            loss: 0,
            free: 0,
            inside: VecDeque::new(),
            waiting: 0,
            queued: 0,
            count: LinkCount::default(),
        };
        link.set(rate, loss);
        link
    }

    /// Changes rate and losses for packets that come from now on.
    pub fn set(&mut self, rate: Rate, loss: f64) {
        self.rate = rate;
        self.byte = ((u128::from(8 * SECOND) << 16) / u128::from(rate.bits())) as u64;
        // 2^64 times a share; all of them is the largest number.
        self.loss = (loss.clamp(0.0, 1.0) * 18_446_744_073_709_551_616.0) as u64;
    }

    /// Its rate now.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// How long a packet that comes now waits before it is sent.
    pub fn waiting(&self, now: Picos) -> Picos {
        self.free.saturating_sub(now)
    }

    /// Bytes that wait or are being sent.
    pub fn queued(&mut self, now: Picos) -> u64 {
        while self.waiting > 0 {
            let Some(first) = self.inside.get(self.inside.len() - self.waiting) else { break };
            if first.out > now {
                break;
            }
            self.queued -= u64::from(first.packet.wire_bytes());
            self.waiting -= 1;
        }
        self.queued
    }

    /// Gives it a packet.
    pub fn offer(&mut self, packet: Packet, now: Picos) -> Offered {
        let bytes = u64::from(packet.wire_bytes());
        let queued = self.queued(now) + bytes;
        // What is being sent is out of the queue as far as its port is concerned, but counts here until it is out: a
        // queue of one packet's length can always send.
        if queued > self.limit.max(bytes) {
            self.count.dropped += 1;
            return Offered::Dropped;
        }
        let takes = ((u128::from(bytes) * u128::from(self.byte)) >> 16) as u64;
        self.free = self.free.max(now) + takes;
        self.count.packets += 1;
        self.count.bytes += bytes;
        self.count.busy += takes;
        self.count.most_queued = self.count.most_queued.max(queued);
        let first = self.inside.is_empty();
        self.inside.push_back(Inside { packet, out: self.free });
        self.waiting += 1;
        self.queued = queued;
        if first { Offered::First(self.free + self.delay) } else { Offered::Behind }
    }

    /// Takes out the packet whose time has come.
    pub fn arrive(&mut self, now: Picos, random: &mut Random) -> Option<Arrived> {
        self.queued(now);
        let packet = self.inside.pop_front()?.packet;
        let lost = self.loss > 0 && random.bits() < self.loss;
        self.count.lost += u64::from(lost);
        Some(Arrived { packet, lost, next: self.inside.front().map(|next| next.out + self.delay) })
    }

    /// Packets in it.
    pub fn inside(&self) -> impl Iterator<Item = &Packet> {
        self.inside.iter().map(|inside| &inside.packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::PacketKind;
    use crate::quantity::MICROSECOND;
    use crate::random::Stream;

    fn packet(len: u16) -> Packet {
        let frame = Packet::NO_FRAME;
        Packet {
            flow: 0,
            number: 0,
            frame,
            len,
            ident: 0,
            route: 0,
            hop: 0,
            kind: PacketKind::Data,
            made: false,
        }
    }

    fn link(limit: u64) -> Link {
        Link::new("10gbit".parse().expect("a rate"), MICROSECOND, limit, 0.0)
    }

    /// A full frame at 10 Gbit/s: 1538 bytes of 800 ps.
    const FULL: Picos = 1538 * 800;

    #[test]
    fn a_packet_arrives_after_its_time_on_the_link_and_the_delay() {
        let mut random = Random::new(1, Stream::Loss);
        let mut link = link(10_000);
        assert_eq!(link.offer(packet(1460), 5), Offered::First(5 + FULL + MICROSECOND));
        assert_eq!(link.offer(packet(1460), 6), Offered::Behind);
        let first = link.arrive(5 + FULL + MICROSECOND, &mut random).expect("a packet");
        assert_eq!(first.next, Some(5 + 2 * FULL + MICROSECOND));
        let second = link.arrive(5 + 2 * FULL + MICROSECOND, &mut random).expect("a packet");
        assert_eq!((second.next, second.lost), (None, false));
        assert_eq!(link.arrive(5 + 3 * FULL, &mut random), None);
    }

    #[test]
    fn a_full_queue_drops_and_has_room_again_when_a_packet_is_out() {
        let mut link = link(3 * 1538);
        let offers: Vec<bool> = (0..4).map(|_| link.offer(packet(1460), 0) == Offered::Dropped).collect();
        assert_eq!(offers, [false, false, false, true]);
        assert_eq!(link.queued(FULL - 1), 3 * 1538);
        assert_eq!(link.queued(FULL), 2 * 1538);
        assert_eq!(link.offer(packet(1460), FULL), Offered::Behind);
        assert_eq!((link.count.packets, link.count.dropped, link.count.busy), (4, 1, 4 * FULL));
    }

    #[test]
    fn losses_are_as_many_as_said() {
        let mut random = Random::new(1, Stream::Loss);
        let mut link = Link::new("10gbit".parse().expect("a rate"), 0, u64::MAX, 0.25);
        let sent = (0..10_000).filter(|_| link.offer(packet(0), 0) != Offered::Dropped).count();
        assert_eq!(sent, 10_000);
        let lost = (0..10_000).filter(|_| link.arrive(SECOND, &mut random).is_some_and(|a| a.lost)).count();
        assert!((2_300..2_700).contains(&lost), "{lost}");
    }
}
