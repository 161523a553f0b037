//! What a packet carries in its mbuf while it is not in a burst: on a ring, or waiting.

use crate::time::Time;
use dpdk::Mbuf;

/// The engine's note on a packet: 24 bytes in the mbuf's dynamic field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Note {
    /// When it was received.
    pub arrival: Time,
    /// Its place in the input, 48 bits; orders the output of several workers. Only kept in a replay.
    pub sequence: u64,
    /// How many bytes the capture lacks of the packet that was on the wire.
    pub cut: u16,
    /// The graph that wrote the note.
    pub generation: u32,
    /// The chain it is in.
    pub chain: u16,
    /// Where in the chain it goes on.
    pub next: Next,
}

/// Where a packet goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// At a stage of its chain.
    Stage(u16),
    /// At the NF of that position in its chain, which it meets once more.
    Again(u16),
    /// Out of a port.
    Port(u16),
}

impl Default for Next {
    fn default() -> Self {
        Next::Stage(0)
    }
}

const TO_PORT: u64 = 0x8000;
const AGAIN: u64 = 0x4000;

impl Note {
    #[inline]
    pub(crate) fn read(mbuf: &Mbuf) -> Note {
        let [arrival, order, place] = mbuf.meta();
        let next = (place & 0x3fff) as u16;
        Note {
            arrival: Time::from_nanos(arrival),
            sequence: order >> 16,
            cut: order as u16,
            generation: (place >> 32) as u32,
            chain: (place >> 16) as u16,
            next: match place & (TO_PORT | AGAIN) {
                0 => Next::Stage(next),
                AGAIN => Next::Again(next),
                _ => Next::Port(next),
            },
        }
    }

    #[inline]
    pub(crate) fn write(self, mbuf: &mut Mbuf) {
        let next = match self.next {
            Next::Stage(stage) => u64::from(stage),
            Next::Again(position) => u64::from(position) | AGAIN,
            Next::Port(port) => u64::from(port) | TO_PORT,
        };
        let place = u64::from(self.generation) << 32 | u64::from(self.chain) << 16 | next;
        mbuf.set_meta([self.arrival.as_nanos(), self.sequence << 16 | u64::from(self.cut), place]);
    }
}
