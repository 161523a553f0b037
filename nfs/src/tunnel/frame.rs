//! Bytes put in and taken out behind the Ethernet header and its tags.

use super::{NO_ROOM, Refused};
use engine::Burst;
use wire::Headers;
use wire::ethernet::HEADER_LEN;
use wire::vlan::TAG_LEN;

/// Where Ethernet header and tags end, if the network header follows at once (with PPPoE it does not).
#[inline]
pub(crate) fn after_tags(headers: &Headers) -> Option<usize> {
    let end = HEADER_LEN + TAG_LEN * usize::from(headers.vlan_count());
    (headers.l3_offset() == end).then_some(end)
}

/// Makes room for `n` bytes behind the first `keep`, and returns the first segment.
///
/// # Errors
/// No room in front of the packet, or no buffer for a copy of a shared one.
#[inline]
pub(crate) fn insert(burst: &mut Burst, i: usize, keep: usize, n: usize) -> Result<&mut [u8], Refused> {
    let bytes = burst.prepend(i, n).ok_or(Refused::Drop(NO_ROOM))?;
    bytes.copy_within(n..n + keep, 0);
    Ok(bytes)
}

/// Takes out the `n` bytes behind the first `keep`, all in the first segment.
///
/// # Errors
/// No buffer for a copy of a shared packet.
#[inline]
pub(crate) fn remove(burst: &mut Burst, i: usize, keep: usize, n: usize) -> Result<(), Refused> {
    let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
    bytes.copy_within(..keep, n);
    if burst.trim_front(i, n) { Ok(()) } else { Err(Refused::Drop(NO_ROOM)) }
}

/// Sets the EtherType, which are the last two of the first `end` bytes.
#[inline]
pub(crate) fn set_ether_type(bytes: &mut [u8], end: usize, kind: u16) {
    if let Some(field) = bytes.get_mut(end - 2..end) {
        field.copy_from_slice(&kind.to_be_bytes());
    }
}

/// Sets the Ethernet addresses, if there are others than the frame's.
#[inline]
pub(crate) fn set_macs(bytes: &mut [u8], macs: Option<&[u8; 12]>) {
    if let (Some(macs), Some(field)) = (macs, bytes.first_chunk_mut()) {
        *field = *macs;
    }
}
