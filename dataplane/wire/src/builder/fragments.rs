//! A datagram cut into fragments.

use crate::headers::{IpVersion, parse};
use crate::order::{Value, u16_at};
use crate::protocol::ip;
use crate::{ipv4, ipv6};

/// Cuts the IP packet of `frame` into frames whose IP packets have at most `mtu` bytes (RFC 791 section
/// 3.2; RFC 8200 section 4.5, with `id`, of which IPv4 takes the low 16 bits). Every fragment carries
/// IPv4's options. The frame itself if it fits or is not whole IP; padding is dropped.
///
/// An `mtu` too small for a header and 8 bytes counts as just large enough.
pub fn fragments(frame: &[u8], mtu: usize, id: u32) -> Vec<Vec<u8>> {
    let headers = parse(frame);
    let start = headers.l3_offset();
    let packet = headers.l3_len().and_then(|len| frame.get(start..start + len));
    match (packet, headers.ip_version()) {
        (Some(packet), Some(version)) if packet.len() > mtu => {
            let link = &frame[..start];
            match version {
                IpVersion::V4 => v4(link, packet, headers.ip_header_len(), mtu, id as u16),
                IpVersion::V6 => v6(link, packet, mtu, id),
            }
        }
        _ => vec![frame.to_vec()],
    }
}

/// Bytes of data per fragment: a multiple of 8, at least 8.
fn step(mtu: usize, headers: usize) -> usize {
    (mtu.saturating_sub(headers) & !7).max(8)
}

fn v4(link: &[u8], packet: &[u8], header_len: usize, mtu: usize, id: u16) -> Vec<Vec<u8>> {
    let (header, data) = packet.split_at(header_len);
    let base = u16_at(header, 6);
    let step = step(mtu, header_len);
    let mut out = Vec::new();
    for (i, piece) in data.chunks(step).enumerate() {
        let more = (i + 1) * step < data.len() || base & 0x2000 != 0;
        let offset = (base & 0x1fff) + (i * step / 8) as u16;
        let mut bytes = [header, piece].concat();
        if let Ok(mut fragment) = ipv4::Packet::new_checked(&mut bytes[..]) {
            fragment.set_total_len((header_len + piece.len()) as u16);
            fragment.set_id(id);
            fragment.set_fragment(base & 0xc000 | offset | if more { 0x2000 } else { 0 });
            fragment.fill_checksum();
        }
        out.push([link, &bytes].concat());
    }
    out
}

fn v6(link: &[u8], packet: &[u8], mtu: usize, id: u32) -> Vec<Vec<u8>> {
    // Routers read hop-by-hop options and routing headers: they come before the fragment header.
    let mut next_at = 6;
    let mut split = ipv6::HEADER_LEN;
    for extension in ipv6::extensions(packet, 0) {
        if matches!(extension.kind, ip::HOP_BY_HOP | ip::ROUTING) {
            next_at = extension.offset;
            split = extension.offset + extension.len;
        }
    }
    let (head, data) = packet.split_at(split);
    let step = step(mtu, split + 8);
    let mut out = Vec::new();
    for (i, piece) in data.chunks(step).enumerate() {
        let more = (i + 1) * step < data.len();
        let mut fragment = [head, &[0; 8], piece].concat();
        fragment[split] = fragment[next_at];
        fragment[next_at] = ip::FRAGMENT;
        ((i * step) as u16 | u16::from(more)).write(&mut fragment, split + 2);
        id.write(&mut fragment, split + 4);
        let payload_len = (fragment.len() - ipv6::HEADER_LEN) as u16;
        payload_len.write(&mut fragment, 4);
        out.push([link, &fragment].concat());
    }
    out
}
