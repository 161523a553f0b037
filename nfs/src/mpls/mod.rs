//! MPLS label stacks (RFC 3032): puts labels on, or takes the stack off.

mod config;
#[cfg(test)]
mod tests;

pub use config::{Config, Decap, Encap, Plan};

use crate::tunnel::{
    COUNTERS, Kept, MALFORMED, Refused, Size, after_tags, each, fits, insert, remove, set_ether_type,
    set_inner_ttl, set_macs,
};
use engine::{Burst, ConfigError, Cx, Effects, Kind, Nf, Reason, Site, WorkerSite};
use std::sync::Arc;
use wire::mpls::{ENTRY_LEN, Entry};
use wire::protocol::ether_type;

const NOT_IP: Reason = Reason::new(3);
const NOT_MPLS: Reason = Reason::new(4);
const WRONG_LABEL: Reason = Reason::new(5);
const TTL_EXPIRED: Reason = Reason::new(6);
const UNKNOWN_PAYLOAD: Reason = Reason::new(7);

/// Labels that a stack has at most, to put on or to take off.
const MOST: usize = 16;

/// The NF, on one worker.
pub struct Mpls {
    plan: Arc<Plan>,
    size: Option<Size>,
}

impl Nf for Mpls {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        match (&*self.plan, &mut self.size) {
            (Plan::Encap(push), Some(size)) => {
                each(burst, cx, push.other, |burst, i, cx| push.push(burst, i, size, cx));
            }
            (Plan::Decap(pop), _) => each(burst, cx, pop.other, |burst, i, _| pop.pop(burst, i)),
            (Plan::Encap(_), None) => {}
        }
    }
}

fn entry_at(bytes: &[u8], at: usize) -> Option<Entry> {
    bytes.get(at..)?.first_chunk().map(|&word| u32::from_be_bytes(word).into())
}

impl config::Push {
    fn push(&self, burst: &mut Burst, i: usize, size: &mut Size, cx: &mut Cx<'_>) -> Result<(), Refused> {
        let headers = burst.headers(i);
        let frame = burst.bytes(i);
        let carried = burst.packet_len(i).saturating_sub(headers.l3_offset());
        // What the labels are put on: a packet, or labels that are there already.
        let (start, len, class, ttl, bottom) = match (headers.ether_type(), after_tags(&headers)) {
            (ether_type::MPLS, Some(start)) => {
                let top = entry_at(frame, start).ok_or(Refused::Drop(MALFORMED))?;
                (start, carried, top.class, top.ttl, false)
            }
            (_, Some(start)) if headers.is_ip() => {
                let len = fits(&headers, burst.packet_len(i)).ok_or(Refused::Drop(MALFORMED))?;
                let class = headers.traffic_class(frame).unwrap_or(0) >> 5;
                (start, len, class, headers.ttl(frame).unwrap_or(0), true)
            }
            _ => return Err(Refused::Other(NOT_IP)),
        };
        let stack_len = self.labels.len() * ENTRY_LEN;
        size.admit(burst, i, cx, (len, stack_len))?;
        let bytes = insert(burst, i, start, stack_len)?;
        set_ether_type(bytes, start, ether_type::MPLS);
        set_macs(bytes, self.macs.as_ref());
        let stack = bytes[start..start + stack_len].chunks_exact_mut(ENTRY_LEN);
        let last = self.labels.len() - 1;
        for (n, (place, &label)) in stack.zip(&*self.labels).enumerate() {
            let bottom = bottom && n == last;
            let entry = Entry { label, class: self.class.of(class), bottom, ttl: self.ttl.of(ttl) };
            place.copy_from_slice(&u32::from(entry).to_be_bytes());
        }
        Ok(())
    }
}

impl config::Pop {
    fn pop(&self, burst: &mut Burst, i: usize) -> Result<(), Refused> {
        let headers = burst.headers(i);
        let (ether_type::MPLS, Some(start)) = (headers.ether_type(), after_tags(&headers)) else {
            return Err(Refused::Other(NOT_MPLS));
        };
        let frame = burst.bytes(i);
        let top = entry_at(frame, start).ok_or(Refused::Drop(MALFORMED))?;
        let mut depth = 0;
        loop {
            let entry = entry_at(frame, start + depth * ENTRY_LEN).ok_or(Refused::Drop(MALFORMED))?;
            if !self.labels.is_empty() && self.labels.get(depth) != Some(&entry.label) {
                return Err(Refused::Other(WRONG_LABEL));
            }
            depth += 1;
            if entry.bottom {
                break;
            }
            if depth == MOST {
                return Err(Refused::Drop(MALFORMED));
            }
        }
        if !self.labels.is_empty() && depth != self.labels.len() {
            return Err(Refused::Other(WRONG_LABEL));
        }
        if top.ttl == 0 {
            return Err(Refused::Drop(TTL_EXPIRED));
        }
        let stack_len = depth * ENTRY_LEN;
        let inner_at = start + stack_len;
        // Nothing says what a stack carries; both kinds of IP say it themselves.
        let inner_type = match frame.get(inner_at).map(|first| first >> 4) {
            Some(4) => ether_type::IPV4,
            Some(6) => ether_type::IPV6,
            _ => return Err(Refused::Drop(UNKNOWN_PAYLOAD)),
        };
        let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
        if self.ttl == Kept::Outer {
            set_inner_ttl(bytes, inner_at, top.ttl);
        }
        set_ether_type(bytes, start, inner_type);
        set_macs(bytes, self.macs.as_ref());
        remove(burst, i, start, stack_len)
    }
}

impl Kind for Mpls {
    const NAME: &'static str = "mpls";
    const SUMMARY: &'static str = "puts MPLS labels on, or takes the label stack off";
    const DROPS: &'static [&'static str] = &[
        "malformed",
        "too_large",
        "no_room",
        "not_ip",
        "not_mpls",
        "wrong_label",
        "ttl_expired",
        "unknown_payload",
    ];
    const COUNTERS: &'static [&'static str] = &COUNTERS;
    const EXAMPLE: &'static str = "encap = { labels = [100, 200] }\n";

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
            Plan::Encap(push) => Some(Size::new(push.way)),
            Plan::Decap(_) => None,
        };
        Mpls { plan: Arc::clone(plan), size }
    }
}
