//! VLAN tags (IEEE 802.1Q): puts a tag in front of those that are there, or takes the outermost off.

mod config;
#[cfg(test)]
mod tests;

pub use config::{Config, Decap, Encap, Plan, Tag};

use crate::tunnel::{COUNTERS, MALFORMED, Other, Refused, Size, each, fits, insert, remove};
use engine::{Burst, ConfigError, Cx, Effects, Kind, Nf, Reason, Site, WorkerSite};
use std::sync::Arc;
use wire::Malformed;
use wire::ethernet::HEADER_LEN;
use wire::headers::MAX_VLANS;
use wire::vlan::TAG_LEN;

const TOO_MANY_TAGS: Reason = Reason::new(3);
const UNTAGGED: Reason = Reason::new(4);
const WRONG_VLAN: Reason = Reason::new(5);

/// Bytes of the MAC addresses, behind which the outermost tag is.
const ADDRESSES: usize = HEADER_LEN - 2;

/// The NF, on one worker.
pub struct Vlan {
    plan: Arc<Plan>,
    size: Option<Size>,
}

impl Nf for Vlan {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let Vlan { plan, size } = self;
        match &**plan {
            Plan::Encap(push) => {
                each(burst, cx, Other::Drop, |burst, i, cx| push.push(burst, i, size.as_mut(), cx))
            }
            Plan::Decap(pop) => each(burst, cx, pop.other, |burst, i, _| pop.pop(burst, i)),
        }
    }
}

impl config::Push {
    fn push(
        &self,
        burst: &mut Burst,
        i: usize,
        size: Option<&mut Size>,
        cx: &mut Cx<'_>,
    ) -> Result<(), Refused> {
        let headers = burst.headers(i);
        if burst.bytes(i).len() < HEADER_LEN {
            return Err(Refused::Drop(MALFORMED));
        }
        // One more, and nobody behind would find what the frame carries.
        if headers.vlan_count() >= MAX_VLANS {
            return Err(Refused::Drop(TOO_MANY_TAGS));
        }
        if let Some(size) = size {
            let carried = burst.packet_len(i).saturating_sub(headers.l3_offset());
            let len = fits(&headers, burst.packet_len(i)).unwrap_or(carried);
            size.admit(burst, i, cx, (len, 0))?;
        }
        let priority = self.priority.of(headers.vlan_priority().unwrap_or(0));
        let tag = insert(burst, i, ADDRESSES, TAG_LEN)?;
        tag[12..14].copy_from_slice(&self.kind.to_be_bytes());
        tag[14..16].copy_from_slice(&(u16::from(priority) << 13 | self.id).to_be_bytes());
        Ok(())
    }
}

impl config::Pop {
    fn pop(&self, burst: &mut Burst, i: usize) -> Result<(), Refused> {
        let headers = burst.headers(i);
        let Some(id) = headers.vlan() else { return Err(Refused::Other(UNTAGGED)) };
        if self.id.is_some_and(|wanted| wanted != id) {
            return Err(Refused::Other(WRONG_VLAN));
        }
        if headers.malformed() == Some(Malformed::TooManyVlans) {
            return Err(Refused::Drop(TOO_MANY_TAGS));
        }
        remove(burst, i, ADDRESSES, TAG_LEN)
    }
}

impl Kind for Vlan {
    const NAME: &'static str = "vlan";
    const SUMMARY: &'static str = "puts a VLAN tag on, or takes the outermost off";
    const DROPS: &'static [&'static str] =
        &["malformed", "too_large", "no_room", "too_many_tags", "untagged", "wrong_vlan"];
    const COUNTERS: &'static [&'static str] = &COUNTERS;
    const EXAMPLE: &'static str = "encap = { id = 5 }\n";

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
            Plan::Encap(push) => push.way.map(Size::new),
            Plan::Decap(_) => None,
        };
        Vlan { plan: Arc::clone(plan), size }
    }
}
