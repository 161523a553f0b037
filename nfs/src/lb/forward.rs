//! How a packet gets to a back-end, and back.

use super::config::{Backend, Mode, Plan};
use crate::tunnel::{Header, MALFORMED, Refused, Size, after_tags, fits, insert, set_ether_type};
use engine::{Burst, Cx};
use std::net::IpAddr;
use wire::checksum::{update_u16, update_u32, update_u128, update_udp_u16, update_udp_u32, update_udp_u128};
use wire::flow::DEFAULT_SEED;
use wire::protocol::ip;
use wire::{FlowKey, Headers, Mac};

/// Which end of a packet is rewritten.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

/// Sends a packet on to its back-end.
#[inline]
pub(super) fn to_backend(
    plan: &Plan,
    backend: &Backend,
    size: &mut Size,
    burst: &mut Burst,
    i: usize,
    cx: &mut Cx<'_>,
) -> Result<(), Refused> {
    let headers = burst.headers(i);
    match plan.services[backend.service].mode {
        Mode::Ipip => encapsulate(backend, &headers, size, burst, i, cx),
        Mode::Mac => link(backend.mac, burst, i),
        Mode::Nat => {
            let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
            rewrite(bytes, &headers, End::Destination, backend.address, backend.port);
            set_destination(bytes, backend.mac);
            Ok(())
        }
    }
}

/// The destination becomes another station; the source is who had it before, as behind a router.
#[inline]
fn set_destination(bytes: &mut [u8], mac: Option<Mac>) {
    if let Some(mac) = mac
        && let Some(addresses) = bytes.get_mut(..12)
    {
        addresses.copy_within(..6, 6);
        addresses[..6].copy_from_slice(&mac.0);
    }
}

#[inline]
fn link(mac: Option<Mac>, burst: &mut Burst, i: usize) -> Result<(), Refused> {
    let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
    set_destination(bytes, mac);
    Ok(())
}

/// On the way back, the source is the service again.
pub(super) fn to_client(plan: &Plan, backend: &Backend, burst: &mut Burst, i: usize) -> Result<(), Refused> {
    let headers = burst.headers(i);
    let (address, port, _) = plan.services[backend.service].endpoint;
    let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
    rewrite(bytes, &headers, End::Source, address, port);
    set_destination(bytes, plan.clients_mac);
    Ok(())
}

fn encapsulate(
    backend: &Backend,
    headers: &Headers,
    size: &mut Size,
    burst: &mut Burst,
    i: usize,
    cx: &mut Cx<'_>,
) -> Result<(), Refused> {
    let (Some(ends), Some(start), Some(len)) =
        (backend.tunnel, after_tags(headers), fits(headers, burst.packet_len(i)))
    else {
        return Err(Refused::Drop(MALFORMED));
    };
    let outer_len = ends.header_len();
    size.admit(burst, i, cx, (len, outer_len))?;
    let frame = burst.bytes(i);
    let header = Header {
        class: headers.traffic_class(frame).unwrap_or(0),
        ttl: 64,
        protocol: if headers.is_ipv4() { ip::IPV4 } else { ip::IPV6 },
        flow_label: FlowKey::from_packet(headers, frame).map_or(0, |key| key.hash_with(DEFAULT_SEED)),
        payload: len,
    };
    if !burst.truncate(i, start + len) {
        return Err(Refused::Drop(MALFORMED));
    }
    let bytes = insert(burst, i, start, outer_len)?;
    set_ether_type(bytes, start, ends.ether_type());
    set_destination(bytes, backend.mac);
    ends.write(&mut bytes[start..], header);
    Ok(())
}

/// Gives one end of a packet with ports another address and port, and brings the checksums up to date (RFC 1624).
#[inline]
pub(super) fn rewrite(bytes: &mut [u8], headers: &Headers, end: End, address: IpAddr, port: u16) {
    let Some(l4) = headers.l4_offset() else { return };
    let l3 = headers.l3_offset();
    let is_udp = headers.protocol() == Some(ip::UDP);
    let (sum_at, port_at) = (l4 + if is_udp { 6 } else { 16 }, l4 + if end == End::Source { 0 } else { 2 });
    let (Some(old_sum), Some(old_port)) = (get(bytes, sum_at), get(bytes, port_at)) else { return };
    let mut sum = u16::from_be_bytes(old_sum);
    let address_sum = |sum: u16, old: Old| match (old, address, is_udp) {
        (Old::V4(old), IpAddr::V4(new), true) => update_udp_u32(sum, old, new.into()),
        (Old::V4(old), IpAddr::V4(new), false) => update_u32(sum, old, new.into()),
        (Old::V6(old), IpAddr::V6(new), true) => update_udp_u128(sum, old, new.into()),
        (Old::V6(old), IpAddr::V6(new), false) => update_u128(sum, old, new.into()),
        _ => sum,
    };
    match address {
        IpAddr::V4(new) => {
            let at = l3 + if end == End::Source { 12 } else { 16 };
            let (Some(old), Some(header_sum)) = (get(bytes, at), get(bytes, l3 + 10)) else { return };
            let old = u32::from_be_bytes(old);
            let header_sum = update_u32(u16::from_be_bytes(header_sum), old, new.into());
            put(bytes, l3 + 10, header_sum.to_be_bytes());
            put(bytes, at, new.octets());
            sum = address_sum(sum, Old::V4(old));
        }
        IpAddr::V6(new) => {
            let at = l3 + if end == End::Source { 8 } else { 24 };
            let Some(old) = get(bytes, at) else { return };
            put(bytes, at, new.octets());
            sum = address_sum(sum, Old::V6(u128::from_be_bytes(old)));
        }
    }
    let old_port = u16::from_be_bytes(old_port);
    sum = if is_udp { update_udp_u16(sum, old_port, port) } else { update_u16(sum, old_port, port) };
    put(bytes, port_at, port.to_be_bytes());
    put(bytes, sum_at, sum.to_be_bytes());
}

/// An address before it is rewritten.
enum Old {
    V4(u32),
    V6(u128),
}

#[inline(always)]
fn get<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[inline(always)]
fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..at + N) {
        place.copy_from_slice(&value);
    }
}
