//! ICMP errors about connections behind NAT, and the packet inside them: both get the back-end's address and port, or
//! the service's again (RFC 5508 section 4.2, and what follows for ICMPv6, whose checksum covers the addresses).

use super::forward::{End, readdress, rewrite};
use std::net::IpAddr;
use wire::Headers;
use wire::checksum::{Delta, Sum};

/// An error about a packet from the service, which goes on to the back-end that sent it.
pub(super) fn to_backend(bytes: &mut [u8], headers: &Headers, backend: (IpAddr, u16)) {
    inside(bytes, headers, End::Source, backend);
    outside(bytes, headers, End::Destination, backend.0);
}

/// An error about a packet to a back-end, which goes on to the client. It comes from the back-end itself, of which the
/// client knows nothing, or from a router on the way, whose address stays.
pub(super) fn to_client(bytes: &mut [u8], headers: &Headers, backend: IpAddr, service: (IpAddr, u16)) {
    inside(bytes, headers, End::Destination, service);
    if headers.addresses(bytes).is_some_and(|(sender, _)| sender == backend) {
        outside(bytes, headers, End::Source, service.0);
    }
}

/// Rewrites the packet inside.
fn inside(bytes: &mut [u8], headers: &Headers, end: End, (address, port): (IpAddr, u16)) {
    let Some(inner) = headers.embedded(bytes) else { return };
    // What lies behind the end of the message is no part of it.
    let length = headers.l3_len().map_or(0, |length| headers.l3_offset() + length);
    let length = length.min(bytes.len());
    let Some(message) = bytes.get_mut(..length) else { return };
    // Its headers and no more: what follows does not change.
    let headers_end = inner.ports_offset().map_or(length, |l4| (l4 + 20).min(length));
    let sum = |message: &[u8]| {
        !Sum::new().bytes(message.get(inner.l3_offset()..headers_end).unwrap_or_default()).checksum()
    };
    let before = sum(message);
    rewrite(message, &inner, end, address, port);
    let change = Delta::NONE.u16(before, sum(message));
    mend(message, headers, change);
}

/// Rewrites an address of the error's own header.
fn outside(bytes: &mut [u8], headers: &Headers, end: End, address: IpAddr) {
    let Some(change) = readdress(bytes, headers.l3_offset(), end, address) else { return };
    if !headers.is_ipv4() {
        mend(bytes, headers, change);
    }
}

/// Brings the checksum of the message up to date.
fn mend(bytes: &mut [u8], headers: &Headers, change: Delta) {
    let field = headers.l4_offset().and_then(|icmp| bytes.get_mut(icmp + 2..)?.first_chunk_mut::<2>());
    if let Some(checksum) = field {
        *checksum = change.update(*checksum);
    }
}
