//! SMART: priority flows that arrive in time. A tagger marks them, a breakpoint sends what is left of one another way or
//! both ways, and a merge makes one flow of it again.

pub mod breakpoint;
mod flows;
mod marks;
pub mod merge;
mod meter;
mod records;
mod shim;
pub mod tagger;

use wire::{Field, Fields, FlowKey, Headers};

/// What tells flows apart, and where their packets begin and end.
const FLOW: Fields = Fields::of(&[
    Field::EtherType,
    Field::Vlan,
    Field::IpVersion,
    Field::IpSrc,
    Field::IpDst,
    Field::IpProto,
    Field::IpOptions,
    Field::IpFragment,
    Field::IpLength,
    Field::IpDscp,
    Field::Sport,
    Field::Dport,
    Field::L4Length,
    Field::TcpOptions,
    Field::TcpFlags,
    Field::Length,
]);

/// The flow and the direction of a TCP or UDP packet that is whole and no fragment.
#[inline]
fn flow_of(headers: &Headers, frame: &[u8]) -> Option<FlowKey> {
    let whole = (headers.is_tcp() || headers.is_udp())
        && !headers.is_fragment()
        && !headers.is_cut()
        && headers.malformed().is_none()
        && headers.payload_offset().is_some();
    if whole { FlowKey::from_packet(headers, frame) } else { None }
}

/// By which number events call a flow: the same on all servers, and in the answers to `flows`.
fn id(key: &FlowKey) -> u64 {
    u64::from(key.hash_with(wire::flow::DEFAULT_SEED))
}
