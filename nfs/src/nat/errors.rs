//! ICMP errors, and the packet inside them (RFC 5508 section 4).

use super::tuple::{Rewrite, Tuple};
use wire::Headers;
use wire::checksum::{Delta, Sum, of_segments, update_u16};

/// Whether an ICMP message in these segments is whole and its checksum right, and so is that of the IPv4 header
/// inside it (RFC 5508 REQ-3).
pub(super) fn is_sound<'a>(
    headers: &Headers,
    segments: impl Iterator<Item = &'a [u8]>,
    frame: &[u8],
) -> bool {
    let (Some(start), Some(length)) = (headers.l4_offset(), headers.l3_len()) else { return false };
    let end = headers.l3_offset() + length;
    let mut at = 0;
    let message = segments.filter_map(|segment| {
        let (from, to) = (at, at + segment.len());
        at = to;
        segment
            .get(start.saturating_sub(from).min(segment.len())..end.saturating_sub(from).min(segment.len()))
    });
    let Some(inner) = headers.embedded(frame) else { return false };
    let header = inner.l3_offset()..inner.l3_offset() + inner.ip_header_len();
    let is_right = |header: &[u8]| Sum::new().bytes(header).is_valid();
    of_segments(message) == 0 && at >= end && frame.get(header).is_some_and(is_right)
}

/// Rewrites an ICMP error about a packet of a session, whose tuple in the direction of the error is `from`, and `to`
/// on the other side.
pub(super) fn rewrite(headers: &Headers, frame: &mut [u8], from: Tuple, to: Tuple) {
    let (Some(inner), Some(icmp)) = (headers.embedded(frame), headers.l4_offset()) else { return };
    let Some((sender, receiver)) = headers.ipv4_addresses(frame) else { return };
    let l3 = headers.l3_offset();
    let end = headers.l3_len().map_or(0, |length| (l3 + length).min(frame.len()));
    let Some(packet) = frame.get_mut(..end) else { return };
    // Its headers and no more: what follows does not change.
    let (start, l4) = (inner.l3_offset(), inner.l3_offset() + inner.ip_header_len());
    let changing = start..(l4 + 20).min(end);
    let sum = |packet: &[u8]| !Sum::new().bytes(packet.get(changing.clone()).unwrap_or_default()).checksum();
    let before = sum(packet);
    Rewrite::new(from.reversed(), to.reversed()).apply(packet, start, l4, from.protocol());
    let after = sum(packet);
    set(packet, icmp + 2, |checksum| update_u16(checksum, before, after));
    // An error of a router on the way has the router's address, which is not for us to change; but of one inside,
    // nobody outside may learn (RFC 5508 REQ-5).
    let source = if from.src == to.src { sender } else { to.src };
    let delta = Delta::NONE.u32(sender, source).u32(receiver, to.dst);
    set(packet, l3 + 10, |checksum| u16::from_be_bytes(delta.update(checksum.to_be_bytes())));
    for (at, address) in [(l3 + 12, source), (l3 + 16, to.dst)] {
        if let Some(place) = packet.get_mut(at..at + 4) {
            place.copy_from_slice(&address.to_be_bytes());
        }
    }
}

fn set(packet: &mut [u8], at: usize, change: impl FnOnce(u16) -> u16) {
    if let Some(field) = packet.get_mut(at..at + 2) {
        let changed = change(u16::from_be_bytes([field[0], field[1]]));
        field.copy_from_slice(&changed.to_be_bytes());
    }
}
