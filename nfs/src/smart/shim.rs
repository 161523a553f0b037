//! The number of a packet within its flow, as it travels between a breakpoint and a merge: 8 bytes in the IP header.
//!
//! IPv4: an option of the experimental type 158 (RFC 4727 section 3.2; copied, class 0), right behind the fixed header.
//!
//! ```text
//! | 158 | 8 | 0xb5 | 0x1d | epoch | number, 24 bits |
//! ```
//!
//! IPv6: a destination options header as the first extension header, with one option of the experimental type 0x1e (RFC
//! 4727 section 3.3; passed over by who does not know it).
//!
//! ```text
//! | next header | 0 | 0x1e | 4 | epoch | number, 24 bits |
//! ```

use crate::tunnel::{insert, remove};
use engine::Burst;
use wire::checksum::Delta;
use wire::protocol::ip;
use wire::{Field, Fields, Headers};

/// Bytes of a shim.
pub(super) const LEN: usize = 8;
/// Numbers are of so many bits.
pub(super) const BITS: u32 = 24;
/// What is written when one comes or goes.
pub(super) const WRITES: Fields =
    Fields::of(&[Field::IpOptions, Field::IpLength, Field::IpProto, Field::IpChecksum, Field::Length]);

const V4: [u8; 4] = [158, LEN as u8, 0xb5, 0x1d];
/// Behind the next header.
const V6: [u8; 3] = [0, 0x1e, 4];
/// Longest header of IPv4.
const MOST_V4: usize = 60;

/// What a shim says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Shim {
    /// Another one: the numbers have begun anew.
    pub epoch: u8,
    /// Of [`BITS`] bits, from 0.
    pub number: u32,
}

impl Shim {
    fn bytes(self) -> [u8; 4] {
        let [_, a, b, c] = self.number.to_be_bytes();
        [self.epoch, a, b, c]
    }

    /// The shim of a packet, if it has one.
    #[inline]
    pub(super) fn read(headers: &Headers, frame: &[u8]) -> Option<Shim> {
        let start = headers.l3_offset();
        let at = if headers.is_ipv4() {
            let there = headers.ip_header_len() >= 20 + LEN;
            (there && frame.get(start + 20..start + 24)? == V4).then_some(start + 24)?
        } else if headers.is_ipv6() {
            let there = *frame.get(start + 6)? == ip::DESTINATION_OPTIONS;
            (there && frame.get(start + 41..start + 44)? == V6).then_some(start + 44)?
        } else {
            return None;
        };
        let &[epoch, a, b, c] = frame.get(at..)?.first_chunk()?;
        Some(Shim { epoch, number: u32::from_be_bytes([0, a, b, c]) })
    }

    /// Puts the shim into a whole TCP or UDP packet, whose IP packet then has at most `mtu` bytes. `false`: there is no
    /// room for it, and the packet is as it was.
    pub(super) fn put(self, burst: &mut Burst, i: usize, mtu: usize) -> bool {
        let headers = burst.headers(i);
        let (start, is_v4) = (headers.l3_offset(), headers.is_ipv4());
        let long = headers.l3_len().is_none_or(|len| len + LEN > mtu);
        if long || is_v4 && headers.ip_header_len() + LEN > MOST_V4 {
            return false;
        }
        let keep = start + if is_v4 { 20 } else { 40 };
        let Ok(bytes) = insert(burst, i, keep, LEN) else { return false };
        let Some(header) = bytes.get_mut(start..keep + LEN) else { return false };
        if is_v4 {
            header[20..24].copy_from_slice(&V4);
            header[24..28].copy_from_slice(&self.bytes());
            adjust_v4(header, true);
        } else {
            header[40] = std::mem::replace(&mut header[6], ip::DESTINATION_OPTIONS);
            header[41..44].copy_from_slice(&V6);
            header[44..48].copy_from_slice(&self.bytes());
            lengthen(&mut header[4..6], true);
        }
        true
    }

    /// Takes the shim out of a packet that has one. `false`: there was no buffer, and the packet has its verdict.
    pub(super) fn take(burst: &mut Burst, i: usize) -> bool {
        let headers = burst.headers(i);
        let (start, is_v4) = (headers.l3_offset(), headers.is_ipv4());
        let keep = start + if is_v4 { 20 } else { 40 };
        let Some(header) = burst.bytes_mut(i).and_then(|bytes| bytes.get_mut(start..keep + LEN)) else {
            return false;
        };
        if is_v4 {
            adjust_v4(header, false);
        } else {
            header[6] = header[40];
            lengthen(&mut header[4..6], false);
        }
        remove(burst, i, keep, LEN).is_ok()
    }
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Header length, total length, and the checksum, which the words of the shim change too (RFC 1624).
fn adjust_v4(header: &mut [u8], comes: bool) {
    let before = (word(header, 0), word(header, 2));
    header[0] = if comes { header[0].wrapping_add(2) } else { header[0].wrapping_sub(2) };
    lengthen(&mut header[2..4], comes);
    let delta = Delta::NONE.u16(before.0, word(header, 0)).u16(before.1, word(header, 2));
    let delta = (20..28).step_by(2).fold(delta, |delta, at| {
        let word = word(header, at);
        if comes { delta.u16(0, word) } else { delta.u16(word, 0) }
    });
    let sum = delta.update([header[10], header[11]]);
    header[10..12].copy_from_slice(&sum);
}

fn lengthen(field: &mut [u8], comes: bool) {
    let before = word(field, 0);
    let after = if comes { before.wrapping_add(LEN as u16) } else { before.wrapping_sub(LEN as u16) };
    field.copy_from_slice(&after.to_be_bytes());
}
