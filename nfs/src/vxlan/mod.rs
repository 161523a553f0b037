//! VXLAN (RFC 7348): Ethernet frames in UDP over IPv4 or IPv6.

mod config;
#[cfg(test)]
mod tests;

pub use config::{Config, Decap, Encap, Plan};

use crate::tunnel::{
    COUNTERS, Header, MALFORMED, Marks, NO_ROOM, Other, Refused, Size, each, insert, mark_inner,
    set_ether_type,
};
use engine::{Burst, ConfigError, Cx, Effects, Kind, Nf, Reason, Site, WorkerSite};
use std::sync::Arc;
use wire::checksum::{Sum, for_udp};
use wire::ethernet::HEADER_LEN;
use wire::flow::{DEFAULT_SEED, mix};
use wire::protocol::ip;
use wire::{Ends4, FlowKey, Headers, ipv4, udp, vxlan};

const NOT_TUNNEL: Reason = Reason::new(3);
const WRONG_ADDRESS: Reason = Reason::new(4);
const WRONG_VNI: Reason = Reason::new(5);
const FRAGMENT: Reason = Reason::new(6);
const BAD_CHECKSUM: Reason = Reason::new(7);
const BAD_FLAGS: Reason = Reason::new(8);
const CONGESTED: Reason = Reason::new(9);

/// The first of the dynamic ports (RFC 6335): source ports are from there on (RFC 7348 section 5).
const FIRST_PORT: u16 = 49152;

/// The NF, on one worker.
pub struct Vxlan {
    plan: Arc<Plan>,
    size: Option<Size>,
}

impl Nf for Vxlan {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        match (&*self.plan, &mut self.size) {
            (Plan::Encap(wrap), Some(size)) => {
                each(burst, cx, Other::Drop, |burst, i, cx| wrap.wrap(burst, i, size, cx));
            }
            (Plan::Decap(unwrap), _) => each(burst, cx, unwrap.other, |burst, i, _| unwrap.unwrap(burst, i)),
            (Plan::Encap(_), None) => {}
        }
    }
}

/// A hash of the frame's flow: of its stations, if it is not IP. Fragments of a datagram have one hash.
#[inline]
fn flow_hash(headers: &Headers, frame: &[u8]) -> u32 {
    if let Some(packet) = headers.usual_ipv4(frame) {
        return Ends4::of_usual(packet).0.hash_with(DEFAULT_SEED);
    }
    match FlowKey::from_packet(headers, frame) {
        Some(key) if !headers.is_fragment() => key.symmetric_hash(),
        Some(FlowKey::V4(key)) => mix(key.src.into(), key.dst.into(), DEFAULT_SEED) as u32,
        Some(FlowKey::V6(key)) => {
            let half = |address: u128| mix(address as u64, (address >> 64) as u64, DEFAULT_SEED);
            mix(half(key.src), half(key.dst), DEFAULT_SEED) as u32
        }
        None => {
            let macs: [u8; 12] = frame.first_chunk().copied().unwrap_or_default();
            let half = |mac: &[u8]| mac.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
            mix(half(&macs[..6]), half(&macs[6..]), DEFAULT_SEED) as u32
        }
    }
}

/// One of 16 384 ports.
#[inline]
fn source_port(hash: u32) -> u16 {
    FIRST_PORT | (hash >> 18) as u16
}

impl config::Wrap {
    fn wrap(&self, burst: &mut Burst, i: usize, size: &mut Size, cx: &mut Cx<'_>) -> Result<(), Refused> {
        let headers = burst.headers(i);
        let frame = burst.bytes(i);
        if frame.len() < HEADER_LEN {
            return Err(Refused::Drop(MALFORMED));
        }
        let len = burst.packet_len(i);
        let link = headers.l3_offset();
        let outer_len = self.ends.header_len();
        let datagram = udp::HEADER_LEN + vxlan::HEADER_LEN + len;
        size.admit(burst, i, cx, (len - link, link + outer_len + datagram - len))?;
        let frame = burst.bytes(i);
        let hash = flow_hash(&headers, frame);
        let class = headers.traffic_class(frame).unwrap_or(0);
        let header = Header {
            class: self.dscp.of(class >> 2) << 2 | class & 3,
            ttl: self.ttl,
            protocol: ip::UDP,
            flow_label: hash,
            payload: datagram,
        };
        let mut start = [0; udp::HEADER_LEN + vxlan::HEADER_LEN];
        for (at, word) in [(0, source_port(hash)), (2, self.port), (4, datagram as u16)] {
            start[at..at + 2].copy_from_slice(&word.to_be_bytes());
        }
        start[udp::HEADER_LEN..].copy_from_slice(&vxlan::header(self.vni));
        if self.checksum {
            let sum = self.ends.pseudo_header(ip::UDP, datagram).bytes(&start);
            let checksum = for_udp(burst.segments(i).fold(sum, Sum::bytes).checksum());
            start[6..8].copy_from_slice(&checksum.to_be_bytes());
        }
        let udp_at = HEADER_LEN + outer_len;
        let bytes = insert(burst, i, 0, udp_at + start.len())?;
        bytes[..self.macs.len()].copy_from_slice(&self.macs);
        set_ether_type(bytes, HEADER_LEN, self.ends.ether_type());
        self.ends.write(&mut bytes[HEADER_LEN..], header);
        bytes[udp_at..udp_at + start.len()].copy_from_slice(&start);
        Ok(())
    }
}

impl config::Unwrap {
    fn unwrap(&self, burst: &mut Burst, i: usize) -> Result<(), Refused> {
        let headers = burst.headers(i);
        let frame = burst.bytes(i);
        let to_port = headers.ports(frame).is_some_and(|(_, port)| port == self.port);
        if headers.protocol() != Some(ip::UDP) || !(to_port || headers.is_later_fragment()) {
            return Err(Refused::Other(NOT_TUNNEL));
        }
        if !self.ends.sent(&headers, frame) {
            return Err(Refused::Other(WRONG_ADDRESS));
        }
        if headers.is_fragment() {
            return Err(Refused::Drop(FRAGMENT));
        }
        let (Some(udp_at), Some(vxlan_at), None) =
            (headers.l4_offset(), headers.payload_offset(), headers.malformed())
        else {
            return Err(Refused::Drop(MALFORMED));
        };
        let udp = udp::Packet::new_checked(frame.get(udp_at..).unwrap_or_default());
        let udp = udp.map_err(|_| Refused::Drop(MALFORMED))?;
        let datagram = usize::from(udp.length());
        if !self.checks(burst, i, &headers, (udp_at, datagram), udp.checksum()) {
            return Err(Refused::Drop(BAD_CHECKSUM));
        }
        let (inner_at, end) = (vxlan_at + vxlan::HEADER_LEN, udp_at + datagram);
        let (Some(inner_len), Some(carried)) =
            (end.checked_sub(inner_at), frame.get(vxlan_at..end.min(frame.len())))
        else {
            return Err(Refused::Drop(MALFORMED));
        };
        let header = vxlan::Packet::new_checked(carried).map_err(|_| Refused::Drop(BAD_FLAGS))?;
        if header.vni() != self.vni {
            return Err(Refused::Other(WRONG_VNI));
        }
        let inner_frame = header.payload();
        if inner_frame.len() < HEADER_LEN {
            return Err(Refused::Drop(MALFORMED));
        }
        let inner = wire::parse_with_len(inner_frame, inner_len);
        let mark = match inner.traffic_class(inner_frame) {
            Some(class) => {
                let marks = Marks { inner: class, outer: headers.traffic_class(frame).unwrap_or(0) };
                Some(marks.leaving(self.dscp).ok_or(Refused::Drop(CONGESTED))?)
            }
            None => None,
        };
        if let Some(class) = mark {
            let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
            mark_inner(bytes, inner_at + inner.l3_offset(), class);
        }
        if burst.truncate(i, end) && burst.trim_front(i, inner_at) {
            Ok(())
        } else {
            Err(Refused::Drop(NO_ROOM))
        }
    }

    /// Whether the checksums outside are right. Without one in UDP there is nothing to check (RFC 7348 section 4.1,
    /// for IPv6 RFC 6935).
    fn checks(
        &self,
        burst: &Burst,
        i: usize,
        headers: &Headers,
        (udp_at, len): (usize, usize),
        checksum: u16,
    ) -> bool {
        let outer = burst.bytes(i).get(headers.l3_offset()..).unwrap_or_default();
        if ipv4::Packet::new_checked(outer).is_ok_and(|outer| !outer.checksum_is_valid()) {
            return false;
        }
        if checksum == 0 {
            return true;
        }
        let (mut skip, mut left) = (udp_at, len);
        let mut sum = self.ends.pseudo_header(ip::UDP, len);
        for segment in burst.segments(i) {
            let part = segment.get(skip..).unwrap_or_default();
            let part = &part[..part.len().min(left)];
            skip = skip.saturating_sub(segment.len());
            left -= part.len();
            sum = sum.bytes(part);
        }
        sum.is_valid()
    }
}

impl Kind for Vxlan {
    const NAME: &'static str = "vxlan";
    const SUMMARY: &'static str = "puts Ethernet frames into VXLAN, or takes them out";
    const DROPS: &'static [&'static str] = &[
        "malformed",
        "too_large",
        "no_room",
        "not_tunnel",
        "wrong_address",
        "wrong_vni",
        "fragment",
        "bad_checksum",
        "bad_flags",
        "congested",
    ];
    const COUNTERS: &'static [&'static str] = &COUNTERS;
    const EXAMPLE: &'static str = "\
[encap]
vni = 42
local = \"192.0.2.1\"
remote = \"192.0.2.2\"
macs = { source = \"02:00:00:00:00:01\", destination = \"02:00:00:00:00:02\" }
";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, _site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config)
    }

    fn effects(plan: &Plan) -> Effects {
        plan.effects()
    }

    fn instance(plan: &Arc<Plan>, _worker: &WorkerSite) -> Self {
        let size = match &**plan {
            Plan::Encap(wrap) => Some(Size::new(wrap.way)),
            Plan::Decap(_) => None,
        };
        Vxlan { plan: Arc::clone(plan), size }
    }
}
