//! IPsec: ESP tunnels (RFC 4301, RFC 4303) with AES-GCM (RFC 4106), under keys from elsewhere.

mod association;
mod cipher;
mod commands;
mod config;
mod open;
mod ownership;
mod seal;
mod state;
#[cfg(test)]
mod tests;
mod window;

pub use config::{Config, Plan, Selector, Tunnel, Udp};

use crate::tunnel::{self, LINK, MACS, MALFORMED, Refused, Size, after_tags, each, fits};
use association::Associations;
use engine::{
    Affinity, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Ownership, Part, Reason,
    Site, State, StateKind, WorkerSite,
};
use serde_json::Value;
use std::any::Any;
use std::sync::Arc;
use tables::classifier::Key;
use wire::{Field, Fields, FlowKey};

const NO_POLICY: Reason = Reason::new(3);
const NO_ASSOCIATION: Reason = Reason::new(4);
const SEQUENCE_OVERFLOW: Reason = Reason::new(5);
const UNPROTECTED: Reason = Reason::new(6);
const UNKNOWN_SPI: Reason = Reason::new(7);
const WRONG_ADDRESS: Reason = Reason::new(8);
const FRAGMENT: Reason = Reason::new(9);
const BAD_CHECKSUM: Reason = Reason::new(10);
const REPLAYED: Reason = Reason::new(11);
const TOO_OLD: Reason = Reason::new(12);
const BAD_ICV: Reason = Reason::new(13);
const BAD_PADDING: Reason = Reason::new(14);
const NOT_TUNNEL_MODE: Reason = Reason::new(15);
const WRONG_SELECTOR: Reason = Reason::new(16);
const CONGESTED: Reason = Reason::new(17);

/// Behind the counters of every tunnel.
const SEALED: usize = 2;
const OPENED: usize = 3;
const DUMMIES: usize = 4;
const KEEPALIVES: usize = 5;

/// Bytes of SPI and sequence number.
const ESP_LEN: usize = 8;

/// Room for a packet that does not lie in one piece.
pub(crate) struct Scratch(Vec<u8>);

impl Scratch {
    /// Room for any IP packet: it never grows.
    fn new() -> Scratch {
        Scratch(Vec::with_capacity(1 << 17))
    }

    /// The first `len` bytes of a packet in one piece, behind `front` bytes of room.
    fn gather(&mut self, burst: &Burst, i: usize, front: usize, len: usize) -> &mut Vec<u8> {
        self.0.clear();
        self.0.resize(front, 0);
        burst.segments(i).for_each(|segment| self.0.extend_from_slice(segment));
        self.0.truncate(front + len);
        &mut self.0
    }
}

/// The NF, on one worker.
pub struct Vpn {
    worker: usize,
    plan: Arc<Plan>,
    associations: Associations,
    sizes: Vec<Size>,
    scratch: Scratch,
}

/// A packet as selectors see it.
fn key_of(flow: &FlowKey) -> Key {
    let mut key = match flow {
        FlowKey::V4(flow) => Key::ipv4(flow.src, flow.dst, flow.proto, 0, 0),
        FlowKey::V6(flow) => Key::ipv6(flow.src, flow.dst, flow.proto, 0, 0),
    };
    key.has_ports = false;
    key
}

impl Plan {
    /// The tunnel that packets of a flow leave by.
    #[inline]
    fn tunnel(&self, flow: &FlowKey) -> Option<usize> {
        let selector = self.selectors.classify(&key_of(flow))?;
        self.tunnel_of.get(selector as usize).copied()
    }
}

impl Vpn {
    fn one(&mut self, burst: &mut Burst, i: usize, cx: &mut Cx<'_>) -> Result<(), Refused> {
        let Vpn { plan, associations, sizes, scratch, .. } = self;
        let headers = burst.headers(i);
        let frame = burst.bytes(i);
        let (true, Some(start)) = (headers.is_ip(), after_tags(&headers)) else {
            return Err(Refused::Other(NO_POLICY));
        };
        if plan.is_esp(&headers, frame) {
            return plan.open(burst, i, associations, scratch, cx);
        }
        // An error goes with the flow that it is about, as steering has it (RFC 4301 section 6).
        let flow = FlowKey::of_flow(&headers, frame).ok_or(Refused::Drop(MALFORMED))?;
        let Some(tunnel) = plan.tunnel(&flow) else {
            let is_back = plan.tunnel(&flow.reversed()).is_some();
            return Err(if is_back { Refused::Drop(UNPROTECTED) } else { Refused::Other(NO_POLICY) });
        };
        let len = fits(&headers, burst.packet_len(i)).ok_or(Refused::Drop(MALFORMED))?;
        let (Some(route), Some(size)) = (plan.tunnels.get(tunnel), sizes.get_mut(tunnel)) else {
            return Err(Refused::Drop(NO_ASSOCIATION));
        };
        let association = associations.outbound(tunnel);
        route.seal(burst, i, association, (&headers, start, len), (size, scratch), cx)
    }
}

impl Nf for Vpn {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let other = self.plan.other;
        each(burst, cx, other, |burst, i, cx| self.one(burst, i, cx));
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        if let Ok(old) = (old as Box<dyn Any>).downcast::<Vpn>() {
            self.take_over(*old);
        }
    }

    fn split(&mut self, owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        self.part(owner)
    }

    fn join(&mut self, part: Part) {
        self.take_in(part);
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.obey(name, arguments)
    }
}

impl Kind for Vpn {
    const NAME: &'static str = "vpn";
    const SUMMARY: &'static str = "IPsec tunnels: ESP with AES-GCM, both ways";
    const DROPS: &'static [&'static str] = &[
        "malformed",
        "too_large",
        "no_room",
        "no_policy",
        "no_association",
        "sequence_overflow",
        "unprotected",
        "unknown_spi",
        "wrong_address",
        "fragment",
        "bad_checksum",
        "replayed",
        "too_old",
        "bad_icv",
        "bad_padding",
        "not_tunnel_mode",
        "wrong_selector",
        "congested",
    ];
    const COUNTERS: &'static [&'static str] =
        &[tunnel::COUNTERS[0], tunnel::COUNTERS[1], "sealed", "opened", "dummies", "keepalives"];
    const COMMANDS: &'static [Command] = commands::COMMANDS;
    const SECRETS: &'static [&'static str] = &["keymat"];
    const EXAMPLE: &'static str = "\
[[tunnels]]
name = \"branch\"
local = \"198.51.100.1\"
remote = \"198.51.100.2\"
selectors = [{ local = \"10.0.0.0/8\", remote = \"192.0.2.0/24\" }]
outbound = [{ spi = 0x1001, keymat = \"000102030405060708090a0b0c0d0e0f10111213\" }]
inbound = [{ spi = 0x2001, keymat = \"202122232425262728292a2b2c2d2e2f30313233\" }]
";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config, site)
    }

    /// What is sealed depends on all of a packet.
    fn effects(plan: &Plan) -> Effects {
        let tells = plan.tunnels.iter().any(|tunnel| tunnel.way.tells());
        let sets_macs =
            plan.tunnels.iter().any(|tunnel| tunnel.outer_macs.is_some() || tunnel.inner_macs.is_some());
        let unread = if tells { Fields::EMPTY } else { MACS.with(Field::VlanPriority) };
        let beyond = Fields::ALL.without(LINK);
        Effects {
            reads: Fields::ALL.without(unread),
            writes: if sets_macs { beyond.union(MACS) } else { beyond },
            changes_length: true,
            may_drop: true,
            may_create: tells,
            state: StateKind::Learns,
            affinity: Affinity::Owned,
            ..Effects::NONE
        }
    }

    fn ownership(plan: &Arc<Plan>) -> Option<Arc<dyn Ownership>> {
        Some(Arc::clone(plan) as Arc<dyn Ownership>)
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        Vpn {
            worker: worker.index,
            plan: Arc::clone(plan),
            associations: Associations::new(plan, worker.seed),
            sizes: plan.tunnels.iter().map(|tunnel| Size::new(tunnel.way)).collect(),
            scratch: Scratch::new(),
        }
    }
}
