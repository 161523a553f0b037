//! IP in IP: IPv4 or IPv6 inside of IPv4 (RFC 2003, RFC 4213) or IPv6 (RFC 2473).

mod config;
#[cfg(test)]
mod tests;

pub use config::{Config, Decap, Encap, Plan};

use crate::tunnel::{
    COUNTERS, Header, MALFORMED, Marks, Refused, Size, after_tags, each, fits, insert, mark_inner, remove,
    set_ether_type, set_macs,
};
use engine::{Burst, ConfigError, Cx, Effects, Kind, Nf, Reason, Site, WorkerSite};
use std::sync::Arc;
use wire::flow::DEFAULT_SEED;
use wire::protocol::{ether_type, ip};
use wire::{FlowKey, ipv4};

const NOT_IP: Reason = Reason::new(3);
const NOT_TUNNEL: Reason = Reason::new(4);
const WRONG_ADDRESS: Reason = Reason::new(5);
const FRAGMENT: Reason = Reason::new(6);
const BAD_CHECKSUM: Reason = Reason::new(7);
const CONGESTED: Reason = Reason::new(8);

/// The NF, on one worker.
pub struct IpIp {
    plan: Arc<Plan>,
    size: Option<Size>,
}

impl Nf for IpIp {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        match (&*self.plan, &mut self.size) {
            (Plan::Encap(wrap), Some(size)) => {
                each(burst, cx, wrap.other, |burst, i, cx| wrap.wrap(burst, i, size, cx));
            }
            (Plan::Decap(unwrap), _) => each(burst, cx, unwrap.other, |burst, i, _| unwrap.unwrap(burst, i)),
            (Plan::Encap(_), None) => {}
        }
    }
}

impl config::Wrap {
    fn wrap(&self, burst: &mut Burst, i: usize, size: &mut Size, cx: &mut Cx<'_>) -> Result<(), Refused> {
        let headers = burst.headers(i);
        let (true, Some(start)) = (headers.is_ip(), after_tags(&headers)) else {
            return Err(Refused::Other(NOT_IP));
        };
        let len = fits(&headers, burst.packet_len(i)).ok_or(Refused::Drop(MALFORMED))?;
        let outer_len = self.ends.header_len();
        size.admit(burst, i, cx, (len, outer_len))?;
        let frame = burst.bytes(i);
        let class = headers.traffic_class(frame).unwrap_or(0);
        let header = Header {
            class: self.dscp.of(class >> 2) << 2 | class & 3,
            ttl: self.ttl.of(headers.ttl(frame).unwrap_or(0)),
            protocol: if headers.is_ipv4() { ip::IPV4 } else { ip::IPV6 },
            flow_label: FlowKey::from_packet(&headers, frame).map_or(0, |key| key.hash_with(DEFAULT_SEED)),
            payload: len,
        };
        // What pads a short frame does not go along.
        if !burst.truncate(i, start + len) {
            return Err(Refused::Drop(MALFORMED));
        }
        let bytes = insert(burst, i, start, outer_len)?;
        set_ether_type(bytes, start, self.ends.ether_type());
        set_macs(bytes, self.macs.as_ref());
        self.ends.write(&mut bytes[start..], header);
        Ok(())
    }
}

impl config::Unwrap {
    fn unwrap(&self, burst: &mut Burst, i: usize) -> Result<(), Refused> {
        let headers = burst.headers(i);
        let frame = burst.bytes(i);
        let inner_type = match (headers.is_ip(), headers.protocol()) {
            (true, Some(ip::IPV4)) => ether_type::IPV4,
            (true, Some(ip::IPV6)) => ether_type::IPV6,
            _ => return Err(Refused::Other(NOT_TUNNEL)),
        };
        if self.ends.is_some_and(|ends| !ends.sent(&headers, frame)) {
            return Err(Refused::Other(WRONG_ADDRESS));
        }
        if headers.is_fragment() {
            return Err(Refused::Drop(FRAGMENT));
        }
        let (Some(start), Some(inner_at), None) =
            (after_tags(&headers), headers.payload_offset(), headers.malformed())
        else {
            return Err(Refused::Drop(MALFORMED));
        };
        let checked = ipv4::Packet::new_checked(frame.get(start..).unwrap_or_default());
        if checked.is_ok_and(|outer| !outer.checksum_is_valid()) {
            return Err(Refused::Drop(BAD_CHECKSUM));
        }
        let end = start + headers.l3_len().unwrap_or(0);
        let inner = wire::parse_ip(frame, inner_at, burst.packet_len(i).min(end));
        if inner.ether_type() != inner_type || !inner.is_ip() || fits(&inner, end).is_none() {
            return Err(Refused::Drop(MALFORMED));
        }
        let class = |of: &wire::Headers| of.traffic_class(frame).unwrap_or(0);
        let marks = Marks { inner: class(&inner), outer: class(&headers) };
        let class = marks.leaving(self.dscp).ok_or(Refused::Drop(CONGESTED))?;
        if !burst.truncate(i, end) {
            return Err(Refused::Drop(MALFORMED));
        }
        let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
        mark_inner(bytes, inner_at, class);
        set_ether_type(bytes, start, inner_type);
        set_macs(bytes, self.macs.as_ref());
        remove(burst, i, start, inner_at - start)
    }
}

impl Kind for IpIp {
    const NAME: &'static str = "ipip";
    const SUMMARY: &'static str = "puts IP packets into IP packets, or takes them out";
    const DROPS: &'static [&'static str] = &[
        "malformed",
        "too_large",
        "no_room",
        "not_ip",
        "not_tunnel",
        "wrong_address",
        "fragment",
        "bad_checksum",
        "congested",
    ];
    const COUNTERS: &'static [&'static str] = &COUNTERS;
    const EXAMPLE: &'static str = "encap = { local = \"198.51.100.1\", remote = \"198.51.100.2\" }\n";

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
        IpIp { plan: Arc::clone(plan), size }
    }
}
