//! How a packet gets to a back-end, and back.

use super::config::{Backend, Mode, Plan};
use super::errors;
use crate::tunnel::{Header, MALFORMED, Refused, Size, after_tags, fits, insert, set_ether_type};
use engine::{Burst, Cx};
use std::net::IpAddr;
use wire::checksum::Delta;
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
    is_error: bool,
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
            if is_error {
                errors::to_backend(bytes, &headers, (backend.address, backend.port));
            } else {
                rewrite(bytes, &headers, End::Destination, backend.address, backend.port);
            }
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
pub(super) fn to_client(
    plan: &Plan,
    backend: &Backend,
    is_error: bool,
    burst: &mut Burst,
    i: usize,
) -> Result<(), Refused> {
    let headers = burst.headers(i);
    let (address, port, _) = plan.services[backend.service].endpoint;
    let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
    if is_error {
        errors::to_client(bytes, &headers, backend.address, (address, port));
    } else if headers.addresses(bytes).is_some_and(|(sender, _)| sender == backend.address) {
        // Else it is the rest of a router's ICMP error in fragments.
        rewrite(bytes, &headers, End::Source, address, port);
    }
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

/// Gives one end of a packet another address and port, and brings the checksums up to date (RFC 1624). A later fragment
/// has neither ports nor a transport checksum; a packet inside an ICMP error may be cut off before its checksum.
#[inline]
pub(super) fn rewrite(bytes: &mut [u8], headers: &Headers, end: End, address: IpAddr, port: u16) {
    let Some(delta) = readdress(bytes, headers.l3_offset(), end, address) else { return };
    let Some(l4) = headers.ports_offset() else { return };
    let port_at = l4 + if end == End::Source { 0 } else { 2 };
    let Some(old) = get(bytes, port_at) else { return };
    let delta = delta.u16(u16::from_be_bytes(old), port);
    put(bytes, port_at, port.to_be_bytes());
    let is_udp = headers.protocol() == Some(ip::UDP);
    let sum_at = l4 + if is_udp { 6 } else { 16 };
    let Some(sum) = get(bytes, sum_at) else { return };
    put(bytes, sum_at, if is_udp { delta.update_udp(sum) } else { delta.update(sum) });
}

/// Gives one end of the packet whose IP header is at `l3` another address; returns what that does to checksums which
/// cover addresses. `None`: the header is cut off.
#[inline]
pub(super) fn readdress(bytes: &mut [u8], l3: usize, end: End, address: IpAddr) -> Option<Delta> {
    let is_source = end == End::Source;
    match address {
        IpAddr::V4(new) => {
            let at = l3 + if is_source { 12 } else { 16 };
            let delta = Delta::NONE.u32(u32::from_be_bytes(get(bytes, at)?), new.into());
            let sum = get(bytes, l3 + 10)?;
            put(bytes, l3 + 10, delta.update(sum));
            put(bytes, at, new.octets());
            Some(delta)
        }
        IpAddr::V6(new) => {
            let at = l3 + if is_source { 8 } else { 24 };
            let old: [u8; 16] = get(bytes, at)?;
            let new = new.octets();
            put(bytes, at, new);
            let words = old.as_chunks::<4>().0.iter().zip(new.as_chunks::<4>().0);
            Some(words.fold(Delta::NONE, |delta, (old, new)| {
                delta.u32(u32::from_be_bytes(*old), u32::from_be_bytes(*new))
            }))
        }
    }
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
