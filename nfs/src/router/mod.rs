//! A router: forwards IPv4 and IPv6 by longest prefix, and does what a router owes its neighbours: ARP, neighbour
//! discovery, ICMP errors, fragments.

mod arp;
mod budget;
mod commands;
mod config;
mod forward;
mod icmp;
mod interface;
mod nd;
mod neighbours;
mod route;
mod routes;
mod send;
mod state;
#[cfg(test)]
mod tests;
mod usual;

pub use config::{Config, InterfaceConfig, Plan};

use budget::Budget;
use engine::{
    Affinity, Burst, Command, CommandError, ConfigError, Cx, Effects, Gates, Kind, Nf, Reason, Site, State,
    StateKind, Time, Update, WorkerSite,
};
use interface::Hop;
use neighbours::{Neighbours, Overdue};
use routes::{RouteTable, Table};
use serde_json::Value;
use std::any::Any;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use wire::{Field, Fields, Mac};

const NO_INTERFACE: Reason = Reason::new(0);
const OTHER_HOST: Reason = Reason::new(1);
const TAGGED: Reason = Reason::new(2);
const NOT_IP: Reason = Reason::new(3);
const MALFORMED: Reason = Reason::new(4);
const BAD_CHECKSUM: Reason = Reason::new(5);
const MARTIAN: Reason = Reason::new(6);
const MULTICAST: Reason = Reason::new(7);
const LINK_LOCAL: Reason = Reason::new(8);
const NO_ROUTE: Reason = Reason::new(9);
const DISCARD: Reason = Reason::new(10);
const TTL: Reason = Reason::new(11);
const TOO_LONG: Reason = Reason::new(12);
const ONE_WAY: Reason = Reason::new(13);
const UNRESOLVED: Reason = Reason::new(14);
const QUEUE_FULL: Reason = Reason::new(15);
const NEIGHBOURS_FULL: Reason = Reason::new(16);
const TO_ROUTER: Reason = Reason::new(17);
const BAD_MESSAGE: Reason = Reason::new(18);
const NO_ROOM: Reason = Reason::new(19);

const FRAGMENTED: usize = 0;
const FRAGMENTS: usize = 1;
const ERRORS_SENT: usize = 2;
const ERRORS_LIMITED: usize = 3;
const ECHOES: usize = 4;
const ASKED: usize = 5;
const ANSWERED: usize = 6;
const LEARNED: usize = 7;
const LOST: usize = 8;
const CONFLICTS: usize = 9;
const UNSENT: usize = 10;

/// Neighbours that may be asked or given up per tick.
const PER_TICK: usize = 64;

/// The NF, on one worker.
pub struct Router {
    plan: Arc<Plan>,
    worker: WorkerSite,
    routes: Arc<RouteTable>,
    table: Arc<Table>,
    /// What to write into packets of each of the table's ways.
    adjacencies: Vec<Adjacency>,
    neighbours: Neighbours,
    errors: Budget,
    /// The time as of the latest call.
    now: Time,
    /// A packet in one piece, and one that is being made.
    whole: Vec<u8>,
    made: Vec<u8>,
}

/// What is written into a packet that leaves by a way, and how: 16 bytes, so that four share a cache line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Adjacency {
    /// Destination and source MAC address.
    rewrite: [u8; 12],
    /// Longest IP packet; 0 when the way is not as simple as that: no single neighbour that is known.
    mtu: u16,
    gate: u8,
    /// The way has several gateways.
    several: bool,
}

impl Adjacency {
    const NONE: Adjacency = Adjacency { rewrite: [0; 12], mtu: 0, gate: 0, several: false };
}

/// First byte of an update: a neighbour is known, one was given up, or somebody answered whom another worker may seek.
const KNOWN: u8 = 1;
const GIVEN_UP: u8 = 2;
const ANSWER: u8 = 3;

impl Router {
    /// What to write to reach a neighbour that is known.
    #[inline]
    fn adjacency(&self, hop: &Hop) -> Option<Adjacency> {
        let interface = self.plan.interface(hop.interface)?;
        let mac = self.neighbours.mac(hop)?;
        let mut rewrite = [0; 12];
        rewrite[..6].copy_from_slice(&mac.0);
        rewrite[6..].copy_from_slice(&interface.mac.0);
        Some(Adjacency { rewrite, mtu: interface.mtu, gate: interface.gate?, several: false })
    }

    /// Takes over the table that was compiled last.
    fn refresh(&mut self) {
        if !Arc::ptr_eq(self.plan.routes(), &self.routes) {
            self.share_routes();
            self.readjust();
        } else if let Some(table) = self.routes.news(self.table.version) {
            self.table = table;
            self.readjust();
        }
    }

    /// Uses the routes that all workers have.
    fn share_routes(&mut self) {
        self.routes = Arc::clone(self.plan.routes());
        self.table = self.routes.table();
    }

    /// Makes all adjacencies anew.
    fn readjust(&mut self) {
        let mut adjacencies = std::mem::take(&mut self.adjacencies);
        adjacencies.clear();
        adjacencies.extend(self.table.ways.iter().map(|way| match &way.route {
            route::Route::Via(hops) if hops.len() == 1 => {
                hops.first().and_then(|hop| self.adjacency(hop)).unwrap_or(Adjacency::NONE)
            }
            route::Route::Via(_) => Adjacency { several: true, ..Adjacency::NONE },
            _ => Adjacency::NONE,
        }));
        self.adjacencies = adjacencies;
    }

    /// A neighbour was found, has changed, or is gone.
    fn adjust(&mut self, hop: &Hop) {
        let now = self.adjacency(hop).unwrap_or(Adjacency::NONE);
        if let Some(way) = self.table.way_of(hop)
            && let Some(adjacency) = self.adjacencies.get_mut(way as usize)
        {
            *adjacency = now;
        }
    }

    /// A neighbour answered, whom this worker may not have asked.
    fn answered(&mut self, hop: Hop, mac: Mac, cx: &mut Cx<'_>) {
        if self.neighbours.get(&hop).is_some() {
            self.heard(hop, mac, false, true, cx);
        } else if cx.workers() > 1 {
            // What finds no room comes again with the next answer.
            let _ = cx.broadcast(encode(ANSWER, &hop, mac));
        }
    }

    /// A neighbour was heard, here or by another worker.
    fn heard(&mut self, hop: Hop, mac: Mac, create: bool, tell: bool, cx: &mut Cx<'_>) {
        let (news, untold) = self.neighbours.heard(hop, mac, cx.now(), create);
        if news {
            cx.count(LEARNED, 1);
            self.adjust(&hop);
            self.release(&hop, cx);
        }
        if tell && untold && !cx.broadcast(encode(KNOWN, &hop, mac)) {
            self.neighbours.untold(&hop);
        }
    }

    /// A neighbour does not answer.
    fn give_up(&mut self, hop: Hop, known: bool, cx: &mut Cx<'_>) {
        cx.count(LOST, 1);
        if known {
            self.adjust(&hop);
            // Whoever is not told finds out by asking.
            let _ = cx.broadcast(encode(GIVEN_UP, &hop, Mac::ZERO));
        }
        self.fail(&hop, cx);
    }
}

/// What happened, the interface (2 bytes), the IP version, the address (16), the MAC address (6).
fn encode(what: u8, hop: &Hop, mac: Mac) -> Update {
    let mut bytes = [0; 32];
    bytes[0] = what;
    bytes[1..3].copy_from_slice(&hop.interface.to_be_bytes());
    match hop.address {
        IpAddr::V4(address) => {
            bytes[3] = 4;
            bytes[4..8].copy_from_slice(&address.octets());
        }
        IpAddr::V6(address) => {
            bytes[3] = 6;
            bytes[4..20].copy_from_slice(&address.octets());
        }
    }
    bytes[20..26].copy_from_slice(&mac.0);
    Update(bytes)
}

fn decode(update: &Update) -> Option<(u8, Hop, Mac)> {
    let bytes = &update.0;
    let interface = u16::from_be_bytes([bytes[1], bytes[2]]);
    let address: IpAddr = match bytes[3] {
        4 => <[u8; 4]>::try_from(bytes.get(4..8)?).ok()?.into(),
        6 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(4..20)?).ok()?).into(),
        _ => return None,
    };
    Some((bytes[0], Hop { interface, address }, Mac(bytes.get(20..26)?.try_into().ok()?)))
}

impl Nf for Router {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        self.now = cx.now();
        self.forward(burst, cx);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.now = cx.now();
        self.refresh();
        for _ in 0..PER_TICK {
            match self.neighbours.overdue(cx.now()) {
                Some(Overdue::Ask(hop, mac)) => self.ask(&hop, mac, cx),
                Some(Overdue::Gone(hop, known)) => self.give_up(hop, known, cx),
                None => break,
            }
        }
    }

    fn drain(&mut self, cx: &mut Cx<'_>) {
        while let Some(packet) = self.neighbours.pop_waiting() {
            cx.discard(packet, UNRESOLVED);
        }
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, cx: &mut Cx<'_>) {
        if let Ok(old) = (old as Box<dyn Any>).downcast::<Router>() {
            self.inherit(*old, cx);
        }
    }

    fn replicate(&mut self, update: &Update, cx: &mut Cx<'_>) {
        match decode(update) {
            Some((KNOWN, hop, mac)) => self.heard(hop, mac, true, false, cx),
            Some((ANSWER, hop, mac)) if self.neighbours.get(&hop).is_some() => {
                self.heard(hop, mac, false, true, cx);
            }
            Some((GIVEN_UP, hop, _)) if self.neighbours.get(&hop).is_some_and(|known| !known.fixed) => {
                self.neighbours.remove(&hop);
                self.adjust(&hop);
                self.fail(&hop, cx);
            }
            _ => {}
        }
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.answer(name, arguments)
    }
}

impl Kind for Router {
    const NAME: &'static str = "router";
    const SUMMARY: &'static str =
        "a router: IPv4 and IPv6 by longest prefix, ARP, neighbour discovery, ICMP errors, fragments";
    const DROPS: &'static [&'static str] = &[
        "no_interface",
        "other_host",
        "tagged",
        "not_ip",
        "malformed",
        "bad_checksum",
        "martian",
        "multicast",
        "link_local",
        "no_route",
        "discard",
        "ttl",
        "too_long",
        "one_way",
        "unresolved",
        "queue_full",
        "neighbours_full",
        "to_router",
        "bad_message",
        "no_room",
    ];
    const COUNTERS: &'static [&'static str] = &[
        "fragmented",
        "fragments",
        "errors_sent",
        "errors_limited",
        "echoes",
        "asked",
        "answered",
        "neighbours_learned",
        "neighbours_lost",
        "conflicts",
        "unsent",
    ];
    const COMMANDS: &'static [Command] = commands::COMMANDS;
    const GATES: Gates = Gates::Ports;
    const EXAMPLE: &'static str = r#"routes = ["default via 192.0.2.1", "10.8.0.0/16 via 10.0.0.2"]

[interfaces.lan]
mac = "02:00:00:00:01:01"
addresses = ["10.0.0.254/24", "2001:db8::254/64"]

[interfaces.wan]
mac = "02:00:00:00:00:01"
addresses = ["192.0.2.254/24", "2001:db8:1::254/64"]
"#;

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config, site)
    }

    fn effects(_plan: &Plan) -> Effects {
        // ICMP errors quote a packet, and echoes return it: nearly all that is in it comes out again.
        let unread = Fields::of(&[Field::EthSrc, Field::VlanPriority, Field::MplsLabel]);
        Effects {
            reads: Fields::ALL.without(unread),
            writes: Fields::of(&[Field::EthSrc, Field::EthDst, Field::IpTtl, Field::IpChecksum]),
            adjusts: Fields::of(&[Field::IpChecksum]),
            changes_length: false,
            may_drop: true,
            may_create: true,
            holds: true,
            state: StateKind::Learns,
            affinity: Affinity::Any,
        }
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        let routes = Arc::clone(plan.routes());
        let mut router = Router {
            plan: Arc::clone(plan),
            worker: *worker,
            table: routes.table(),
            routes,
            adjacencies: Vec::with_capacity(routes::MOST_WAYS),
            neighbours: Neighbours::new(plan, *worker),
            errors: Budget::new(plan.icmp_rate),
            now: Time::ZERO,
            whole: Vec::with_capacity(usize::from(u16::MAX) + 64),
            made: Vec::with_capacity(usize::from(u16::MAX) + 64),
        };
        router.readjust();
        router
    }
}
