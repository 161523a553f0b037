//! What a packet says of its place in its flow.

use crate::smart::flow_of;
use crate::smart::shim::{BITS, Shim};
use wire::flow::mix;
use wire::tcp::flags;
use wire::{FlowKey, Headers};

/// Numbers of shims are brought to 32 bits, so that they wrap as sequence numbers do.
const SHIFT: u32 = 32 - BITS;

/// A piece of a flow: a range of sequence numbers, or a shim's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    /// Where it begins.
    pub start: u32,
    /// Where the next one begins. The same for a packet without data.
    pub end: u32,
    /// Tells it from all others but its own copies; never 0.
    pub digest: u64,
    /// The shim's epoch, if it has a shim.
    pub epoch: Option<u8>,
    /// A sender may send the same bytes again with nothing to tell them by: no identification.
    pub anonymous: bool,
    /// The connection begins.
    pub syn: bool,
    /// It is reset.
    pub rst: bool,
}

/// How far `a` is ahead of `b`, negative if it is behind.
#[inline]
pub(super) fn ahead(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

/// The later of two.
#[inline]
pub(super) fn later(a: u32, b: u32) -> u32 {
    if ahead(a, b) > 0 { a } else { b }
}

/// What a packet is to a merge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sort {
    /// A piece of a flow whose order is known.
    Piece(FlowKey, Piece),
    /// UDP without a number.
    Unnumbered,
    /// Neither TCP nor UDP, or not a whole packet.
    Other,
}

impl Sort {
    #[inline]
    pub(super) fn of(headers: &Headers, frame: &[u8]) -> Sort {
        Sort::look(headers, frame).unwrap_or(Sort::Other)
    }

    fn look(headers: &Headers, frame: &[u8]) -> Option<Sort> {
        let key = flow_of(headers, frame)?;
        let at = headers.l4_offset()?;
        let shim = Shim::read(headers, frame);
        let id = if headers.is_ipv4() {
            let &[a, b] = frame.get(headers.l3_offset() + 4..)?.first_chunk()?;
            u16::from_be_bytes([a, b])
        } else {
            0
        };
        // The IP packet's length too, which a path changes only together with the shim.
        let outside = u64::from(id) << 32 | headers.l3_len()? as u64;
        let word = |at: usize| Some(u64::from_be_bytes(*frame.get(at..)?.first_chunk()?));
        let flags = headers.tcp_flags(frame).unwrap_or(0);
        let tcp = headers.is_tcp();
        // Sequence, acknowledgement, flags, window, checksum; of UDP ports, length, checksum.
        let inside = if tcp { mix(word(at + 4)?, word(at + 12)?, 0) } else { word(at)? };
        let (start, end) = match shim {
            Some(shim) => {
                let start = shim.number << SHIFT;
                (start, start.wrapping_add(1 << SHIFT))
            }
            None if !tcp => return Some(Sort::Unnumbered),
            None => {
                let &[a, b, c, d] = frame.get(at + 4..)?.first_chunk()?;
                let start = u32::from_be_bytes([a, b, c, d]);
                let controls = u32::from(flags & flags::SYN != 0) + u32::from(flags & flags::FIN != 0);
                let length = headers.payload_len()? as u32 + controls;
                (start, start.wrapping_add(length))
            }
        };
        let number = shim.map_or(1 << 40, |shim| u64::from(shim.epoch) << 24 | u64::from(shim.number));
        Some(Sort::Piece(
            key,
            Piece {
                start,
                end,
                digest: mix(inside, outside, number) | 1,
                epoch: shim.map(|shim| shim.epoch),
                anonymous: shim.is_none() && id == 0,
                syn: flags & flags::SYN != 0,
                rst: flags & flags::RST != 0,
            },
        ))
    }
}
