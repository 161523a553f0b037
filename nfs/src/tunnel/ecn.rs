//! Explicit congestion notification through tunnels (RFC 6040).

const NOT_ECT: u8 = 0b00;
const ECT_1: u8 = 0b01;
const CE: u8 = 0b11;

/// The mark with which a packet leaves a tunnel, of the two that it came with (figure 4). `None`: it is dropped, as
/// congestion was met and the sender would not learn of it otherwise.
#[inline]
pub(super) fn leaving(inner: u8, outer: u8) -> Option<u8> {
    match (inner & 3, outer & 3) {
        (NOT_ECT, CE) => None,
        (NOT_ECT, _) => Some(NOT_ECT),
        (CE, _) | (_, CE) => Some(CE),
        (_, ECT_1) => Some(ECT_1),
        (inner, _) => Some(inner),
    }
}
