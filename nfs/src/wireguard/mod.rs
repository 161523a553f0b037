//! WireGuard (Donenfeld, NDSS 2017): the protocol by the library `boringtun`, the packets around it by us.

mod config;
mod packets;
mod peers;
mod state;
#[cfg(test)]
mod tests;

pub use config::{Config, PeerConfig, Plan};

use crate::tunnel::{self, Ends, LINK, MACS, MALFORMED, NO_ROOM, Refused, Size, each};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use engine::{
    Affinity, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Reason, Site, State,
    StateKind, Time, WorkerSite,
};
use packets::Room;
use peers::Peers;
use serde::Deserialize;
use serde_json::{Value, json};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use wire::Fields;

const NO_PEER: Reason = Reason::new(3);
const NO_ENDPOINT: Reason = Reason::new(4);
const NO_SESSION: Reason = Reason::new(5);
const FRAGMENT: Reason = Reason::new(6);
const BAD_CHECKSUM: Reason = Reason::new(7);
const BAD_MESSAGE: Reason = Reason::new(8);
const BAD_MAC: Reason = Reason::new(9);
const UNDER_LOAD: Reason = Reason::new(10);
const UNKNOWN_PEER: Reason = Reason::new(11);
const UNEXPECTED: Reason = Reason::new(12);
const REPLAYED: Reason = Reason::new(13);
const BAD_TAG: Reason = Reason::new(14);
const WRONG_SOURCE: Reason = Reason::new(15);
const CONGESTED: Reason = Reason::new(16);

/// Behind the counters of every tunnel.
const SEALED: usize = 2;
const OPENED: usize = 3;
const WAITING: usize = 4;
const HANDSHAKES: usize = 5;
const COOKIES: usize = 6;
const KEEPALIVES: usize = 7;

/// The first byte of a message with a packet in it, and of one with a cookie.
const DATA: u8 = 4;
const COOKIE: u8 = 3;
/// How often timers are looked at; those of the protocol are of whole seconds.
const ROUND: Duration = Duration::from_millis(100);

/// The NF, on one worker.
pub struct WireGuard {
    plan: Arc<Plan>,
    peers: Peers,
    size: Size,
    room: Room,
    looked: Time,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl WireGuard {
    fn show(&self) -> Value {
        let peers = self.plan.peers.iter().zip(&self.peers.all).map(|(planned, peer)| {
            let (age, sent, received, _, _) = peer.tunn.stats();
            json!({
                "public_key": BASE64_STANDARD.encode(planned.public),
                "endpoint": peer.endpoint,
                "handshake_seconds_ago": age.map(|age| age.as_secs()),
                "sealed": { "packets": peer.sealed, "bytes": sent },
                "opened": { "packets": peer.opened, "bytes": received },
            })
        });
        json!({ "public_key": BASE64_STANDARD.encode(self.plan.public), "peers": peers.collect::<Vec<_>>() })
    }
}

impl Nf for WireGuard {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let other = self.plan.other;
        each(burst, cx, other, |burst, i, cx| self.one(burst, i, cx));
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        if cx.now().since(self.looked) >= ROUND {
            self.looked = cx.now();
            self.run_timers(cx);
        }
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        if let Ok(old) = (old as Box<dyn Any>).downcast::<WireGuard>() {
            self.peers.take_over(&self.plan, old.peers, &old.plan);
            self.looked = old.looked;
        }
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        match name {
            "peers" => crate::arguments::<Nothing>(arguments).map(|_| self.show()),
            _ => Err(CommandError::Unknown(name.to_owned())),
        }
    }
}

impl Kind for WireGuard {
    const NAME: &'static str = "wireguard";
    const SUMMARY: &'static str = "a WireGuard interface and its peers";
    const DROPS: &'static [&'static str] = &[
        "malformed",
        "too_large",
        "no_room",
        "no_peer",
        "no_endpoint",
        "no_session",
        "fragment",
        "bad_checksum",
        "bad_message",
        "bad_mac",
        "under_load",
        "unknown_peer",
        "unexpected",
        "replayed",
        "bad_tag",
        "wrong_source",
        "congested",
    ];
    const COUNTERS: &'static [&'static str] = &[
        tunnel::COUNTERS[0],
        tunnel::COUNTERS[1],
        "sealed",
        "opened",
        "waiting",
        "handshakes",
        "cookies",
        "keepalives",
    ];
    const COMMANDS: &'static [Command] =
        &[Command { name: "peers", summary: "the peers: where they are, since when, how much they sent" }];
    const SECRETS: &'static [&'static str] = &["private_key", "preshared_key"];
    const EXAMPLE: &'static str = "\
private_key = \"AKeZaHwBxjiKLFnkY2unvEdOTtg4AL+M9dQXfopFVFk=\"
local = \"198.51.100.1\"
macs = { source = \"02:00:00:00:00:01\", destination = \"02:00:00:00:00:02\" }
[[peers]]
public_key = \"YDCttCs9e1J52/g9vEnwJJa+2x6RqaayAYMpSVQfGEY=\"
allowed = [\"10.77.0.0/16\"]
";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config, site)
    }

    /// All of a packet is sealed. Handshakes and what waited for them are packets of the NF's own.
    fn effects(_plan: &Plan) -> Effects {
        Effects {
            reads: Fields::ALL,
            writes: Fields::ALL.without(LINK).union(MACS),
            changes_length: true,
            may_drop: true,
            may_create: true,
            state: StateKind::Learns,
            affinity: Affinity::One,
            ..Effects::NONE
        }
    }

    fn instance(plan: &Arc<Plan>, _worker: &WorkerSite) -> Self {
        WireGuard {
            plan: Arc::clone(plan),
            peers: Peers::new(plan),
            size: Size::new(plan.way),
            room: Room::new(),
            looked: Time::ZERO,
        }
    }
}
