//! ICMP errors about a packet.

use std::net::IpAddr;

use super::Builder;
use crate::ethernet::{Frame, HEADER_LEN};
use crate::headers::parse;

/// The ICMP or ICMPv6 error that `from` sends back about the packet in `frame`, in a frame from its
/// destination MAC to its source MAC, with its VLAN tags. `rest` is the second word of the header.
///
/// Embeds the IPv4 header and 8 bytes (RFC 792), or as much of an IPv6 packet as fits into 1280 bytes
/// (RFC 4443 section 2.4). `None` if `from` is of another IP version than the packet, or it is not IP.
/// Whether an error may be sent at all (RFC 1122 section 3.2.2) is the caller's to decide.
pub fn icmp_error(frame: &[u8], from: IpAddr, kind: u8, code: u8, rest: u32) -> Option<Vec<u8>> {
    let headers = parse(frame);
    let (to, _) = headers.addresses(frame)?;
    let start = headers.l3_offset();
    let end = (start + headers.l3_len()?).min(frame.len());
    let packet = frame.get(start..end)?;
    let link = Frame::new_checked(frame).ok()?;
    let builder = Builder::default();
    let (builder, quoted) = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (builder.ipv4(from, to), headers.ip_header_len() + 8),
        (IpAddr::V6(from), IpAddr::V6(to)) => (builder.ipv6(from, to), 1280 - 40 - 8),
        _ => return None,
    };
    let quoted = &packet[..packet.len().min(quoted)];
    let message = builder.icmp(kind, code, rest).payload(quoted).build();
    let mut out = Vec::with_capacity(start + message.len());
    out.extend(link.src().0);
    out.extend(link.dst().0);
    // The tags and the EtherType as they came; a PPPoE session header would need its new length.
    let tags_end = HEADER_LEN + 4 * usize::from(headers.vlan_count());
    if tags_end != start {
        return None;
    }
    out.extend(&frame[12..start]);
    out.extend(message);
    Some(out)
}
