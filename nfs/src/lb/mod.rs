//! A load balancer for TCP and UDP: Maglev hashing, a table of connections, three ways to a back-end.

mod commands;
mod config;
mod connections;
mod errors;
mod forward;
mod maglev;
mod moving;
mod quick;
mod state;
#[cfg(test)]
mod tests;

pub use config::{BackendConfig, Config, Mode, Plan, Protocol, ServiceConfig};

use crate::fragments::Fragments;
use crate::tunnel::{MALFORMED, Other, Refused, Size};
use connections::{Connection, Connections, Inserted};
use engine::{
    BURST, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Part, Reason, Site, State, Time,
    WorkerSite,
};
use moving::Moving;
use quick::Quick;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::any::Any;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tables::flow_table::Hint;
use wire::flow::DEFAULT_SEED;
use wire::{FlowKey, FlowKey4, FlowKey6, FragmentKey, UsualIpv4, Words4};

const NO_SERVICE: Reason = Reason::new(3);
const NO_BACKEND: Reason = Reason::new(4);

const PASSED: usize = 0;
const OPENED: usize = 1;
const MOVED: usize = 2;
const EXPIRED: usize = 3;
const EVICTED: usize = 4;
const RETURNED: usize = 5;

/// Connections that may expire per tick.
const PER_TICK: usize = 256;

/// Whether a back-end gets packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    /// It does.
    #[default]
    Up,
    /// Those of the connections that it has, and no new ones.
    Drain,
    /// None.
    Down,
}

/// What is said of a back-end at run time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Standing {
    health: Health,
    weight: u32,
}

/// The NF, on one worker.
pub struct Lb {
    plan: Arc<Plan>,
    worker: WorkerSite,
    v4: Connections<Words4>,
    v6: Connections<FlowKey6>,
    /// Datagrams in fragments, whose later ones go where the first went.
    fragments: Fragments<Course>,
    /// By number of the back-end.
    standings: Vec<Standing>,
    /// By number of the service: Maglev's table, whose entries are numbers of back-ends.
    tables: Vec<Box<[u16]>>,
    sizes: Vec<Size>,
    /// By number of the back-end: what is written into usual packets of its connections, if it is up and that is all
    /// that there is to do; and into packets from it.
    forth: Vec<Option<Quick>>,
    back: Vec<Option<Quick>>,
}

/// Where a packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Course {
    /// To that back-end.
    Forth(u16),
    /// From that back-end behind NAT to its client.
    Back(u16),
}

/// What a packet of the burst is, before its connection is looked up.
#[derive(Clone, Copy, Default)]
struct Staged {
    key: Words4,
    hash: u32,
    is_syn: bool,
    usual: bool,
}

impl Staged {
    #[inline(always)]
    fn of(packet: UsualIpv4<'_>, seed: u64) -> Staged {
        let key = Words4::of_usual(packet);
        Staged { key, hash: key.hash_with(seed), is_syn: packet.tcp_flags() & 0x12 == 0x02, usual: true }
    }
}

impl Lb {
    /// Fills the table of a service anew.
    fn refill(&mut self, service: usize) {
        let Some(known) = self.plan.services.get(service) else { return };
        let in_use: Vec<(u16, maglev::Permutation, u32)> = known
            .backends
            .clone()
            .filter(|&n| self.standings[n].health == Health::Up && self.standings[n].weight > 0)
            .map(|n| (n as u16, self.plan.backends[n].permutation, self.standings[n].weight))
            .collect();
        self.tables[service] = maglev::table(self.plan.table_size, &in_use);
        for n in known.backends.clone() {
            let is_up = self.standings[n].health == Health::Up;
            self.forth[n] = Quick::forth(known, &self.plan.backends[n]).filter(|_| is_up);
        }
    }

    /// The back-end for a new connection to a service, by Maglev's table.
    fn choose(&self, service: usize, hash: u64) -> Option<u16> {
        let table = self.tables.get(service)?;
        table.get((hash % table.len().max(1) as u64) as usize).copied()
    }

    /// Whether a packet of a known connection stays with its back-end.
    #[inline(always)]
    fn stays(&self, backend: u16, is_syn: bool) -> bool {
        match self.standings.get(usize::from(backend)).map(|standing| standing.health) {
            Some(Health::Up) => true,
            // The client opens another connection from the same port.
            Some(Health::Drain) => !is_syn,
            Some(Health::Down) | None => false,
        }
    }

    /// A packet of which no connection is known, or one that has to move, or is no usual one.
    #[cold]
    fn unusual(&mut self, burst: &mut Burst, i: usize, cx: &mut Cx<'_>) -> Result<(), Refused> {
        let headers = burst.headers(i);
        let frame = burst.bytes(i);
        let Some(own) = FlowKey::from_packet(&headers, frame) else { return Err(Refused::Other(NO_SERVICE)) };
        let datagram = FragmentKey::from_packet(&headers, frame);
        if headers.is_later_fragment() {
            let course = datagram.and_then(|datagram| self.fragments.later(datagram, cx.now()));
            let course = course.ok_or(Refused::Other(NO_SERVICE))?;
            if headers.malformed().is_some() {
                return Err(Refused::Drop(MALFORMED));
            }
            return self.follow(course, false, burst, i, cx);
        }
        if let Some(datagram) = &datagram {
            // Its identification has come round: what was known is of another datagram.
            self.fragments.forget(datagram);
        }
        let about = FlowKey::of_icmp_error(&headers, frame);
        let key = about.unwrap_or(own);
        let forth = (key.destination(), key.destination_port(), key.protocol());
        let back = (key.source(), key.source_port(), key.protocol());
        // Errors for somebody else may have anything in them.
        let is_here = own.destination() == key.destination();
        let service = self.plan.by_endpoint.get(&forth).copied().filter(|_| is_here);
        let backend = self.plan.by_source.get(&back).copied();
        let is_broken = headers.malformed().is_some() || headers.l4_offset().is_none();
        let course = match (service, backend) {
            (None, None) => return Err(Refused::Other(NO_SERVICE)),
            _ if is_broken => return Err(Refused::Drop(MALFORMED)),
            (Some(service), _) => {
                let is_syn = headers.tcp_flags(frame).is_some_and(|flags| flags & 0x12 == 0x02);
                Course::Forth(self.of_connection(&key, service, is_syn, about.is_none(), cx)?)
            }
            (None, Some(backend)) => Course::Back(backend as u16),
        };
        if let Some(datagram) = datagram {
            self.fragments.first(datagram, course, cx.now());
        }
        self.follow(course, about.is_some(), burst, i, cx)
    }

    /// Sends a packet where it is to go. `is_error`: it is an ICMP error about a connection.
    fn follow(
        &mut self,
        course: Course,
        is_error: bool,
        burst: &mut Burst,
        i: usize,
        cx: &mut Cx<'_>,
    ) -> Result<(), Refused> {
        match course {
            Course::Forth(backend) => self.send(backend, is_error, burst, i, cx),
            Course::Back(backend) => {
                let Some(backend) = self.plan.backends.get(usize::from(backend)) else {
                    return Err(Refused::Drop(NO_BACKEND));
                };
                cx.count(RETURNED, 1);
                forward::to_client(&self.plan, backend, is_error, burst, i)
            }
        }
    }

    /// The back-end of a connection, which is opened or moved if need be. Without `open` nothing changes: an ICMP error
    /// keeps no connection alive.
    fn of_connection(
        &mut self,
        key: &FlowKey,
        service: usize,
        is_syn: bool,
        open: bool,
        cx: &mut Cx<'_>,
    ) -> Result<u16, Refused> {
        let now = cx.now();
        let known = match key {
            FlowKey::V4(key) => {
                let words = Words4::from(*key);
                let hash = words.hash_with(self.worker.seed);
                if open {
                    self.v4.touch(Hint::default(), &words, hash, now).copied()
                } else {
                    self.v4.get(&words, hash).copied()
                }
            }
            FlowKey::V6(key) => {
                let hash = key.hash_with(self.worker.seed);
                if open {
                    self.v6.touch(Hint::default(), key, hash, now).copied()
                } else {
                    self.v6.get(key, hash).copied()
                }
            }
        };
        if let Some(known) = known
            && self.stays(known.backend, is_syn)
        {
            return Ok(known.backend);
        }
        // The hash is the same on every balancer, so that another one takes over without knowing connections.
        let hash = u64::from(key.hash_with(DEFAULT_SEED)) << 16 | u64::from(key.source_port());
        let backend = self.choose(service, hash).ok_or(Refused::Drop(NO_BACKEND))?;
        if open {
            cx.count(if known.is_some() { MOVED } else { OPENED }, 1);
            if self.take_in(*key, Connection { last: now, backend }) == Inserted::Evicted {
                cx.count(EVICTED, 1);
            }
        }
        Ok(backend)
    }

    /// Notes a connection under the key of its packets to the service.
    fn take_in(&mut self, key: FlowKey, connection: Connection) -> Inserted {
        match key {
            FlowKey::V4(key) => {
                let words = Words4::from(key);
                self.v4.insert(words, words.hash_with(self.worker.seed), connection)
            }
            FlowKey::V6(key) => self.v6.insert(key, key.hash_with(self.worker.seed), connection),
        }
    }

    #[inline]
    fn send(
        &mut self,
        backend: u16,
        is_error: bool,
        burst: &mut Burst,
        i: usize,
        cx: &mut Cx<'_>,
    ) -> Result<(), Refused> {
        let Lb { plan, sizes, .. } = self;
        let Some(backend) = plan.backends.get(usize::from(backend)) else {
            return Err(Refused::Drop(NO_BACKEND));
        };
        forward::to_backend(plan, backend, is_error, &mut sizes[backend.service], burst, i, cx)
    }

    /// The back-end of the packet's connection, if it is a usual packet of one that stays where it is.
    #[inline(always)]
    fn known(&mut self, staged: &Staged, hint: Hint, now: Time) -> Option<u16> {
        if !staged.usual {
            return None;
        }
        let connection = self.v4.touch(hint, &staged.key, staged.hash, now)?;
        let backend = connection.backend;
        self.stays(backend, staged.is_syn).then_some(backend)
    }

    /// Rewrites the usual packets of connections that stay where they are; returns the others, one bit each.
    #[inline(always)]
    fn quick(
        &mut self,
        burst: &mut Burst,
        staged: &[Staged; BURST],
        hints: &[Hint; BURST],
        now: Time,
    ) -> u32 {
        let n = burst.len();
        let mut left = if n < BURST { (1 << n) - 1 } else { u32::MAX };
        let Lb { v4, forth, .. } = self;
        burst.for_each_mut(|i, bytes| {
            let i = i % BURST;
            if staged[i].usual
                && let Some(connection) = v4.touch(hints[i], &staged[i].key, staged[i].hash, now)
                && let Some(Some(write)) = forth.get(usize::from(connection.backend))
            {
                write.apply(bytes);
                left &= !(1 << i);
            }
        });
        left
    }

    /// What is written into a usual packet that comes from a back-end behind NAT, and is for no service.
    fn back(&self, staged: &Staged) -> Option<&Quick> {
        if !staged.usual || self.plan.by_source.is_empty() {
            return None;
        }
        let key = FlowKey4::from(staged.key);
        let end = |address: u32, port| (Ipv4Addr::from(address).into(), port, key.proto);
        let backend = self.plan.by_source.get(&end(key.src, key.sport))?;
        let is_for_service = self.plan.by_endpoint.contains_key(&end(key.dst, key.dport));
        self.back.get(*backend)?.as_ref().filter(|_| !is_for_service)
    }
}

impl Nf for Lb {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let (now, seed) = (cx.now(), self.worker.seed);
        let n = burst.len().min(BURST);
        let mut staged = [Staged::default(); BURST];
        if let Some(packets) = burst.all_usual() {
            packets.zip(&mut staged).for_each(|(packet, staged)| *staged = Staged::of(packet, seed));
        } else {
            for ((headers, frame), staged) in burst.parsed().zip(&mut staged) {
                if let Some(packet) = headers.usual_ipv4(frame) {
                    *staged = Staged::of(packet, seed);
                }
            }
        }
        staged[..n].iter().for_each(|staged| self.v4.prefetch(staged.hash));
        let mut hints = [Hint::default(); BURST];
        for (hint, staged) in hints.iter_mut().zip(&staged[..n]).filter(|(_, staged)| staged.usual) {
            *hint = self.v4.hint(staged.hash);
        }
        let mut left = self.quick(burst, &staged, &hints, now);
        let (other, mut passed, mut returned) = (self.plan.other, 0, 0);
        while left != 0 {
            let i = left.trailing_zeros() as usize;
            left &= left - 1;
            let result = if let Some(backend) = self.known(&staged[i], hints[i], now) {
                self.send(backend, false, burst, i, cx)
            } else if let Some(write) = self.back(&staged[i]) {
                returned += 1;
                burst.bytes_mut(i).map(|bytes| write.apply(bytes)).ok_or(Refused::Judged)
            } else {
                self.unusual(burst, i, cx)
            };
            match result {
                Ok(()) | Err(Refused::Judged) => {}
                Err(Refused::Other(_)) if other == Other::Pass => passed += 1,
                Err(Refused::Other(reason) | Refused::Drop(reason)) => burst.drop(i, reason),
            }
        }
        for (counter, n) in [(PASSED, passed), (RETURNED, returned)] {
            if n > 0 {
                cx.count(counter, n);
            }
        }
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        let expired = self.v4.expire(cx.now(), PER_TICK) + self.v6.expire(cx.now(), PER_TICK);
        if expired > 0 {
            cx.count(EXPIRED, expired as u64);
        }
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        if let Ok(old) = (old as Box<dyn Any>).downcast::<Lb>() {
            self.inherit(&old);
        }
    }

    fn split(&mut self, owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        self.part_with(owner)
    }

    fn join(&mut self, part: Part) {
        if let Ok(part) = part.downcast::<Moving>() {
            self.take_up(*part);
        }
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.answer(name, arguments)
    }
}

impl Kind for Lb {
    const NAME: &'static str = "lb";
    const SUMMARY: &'static str =
        "balances TCP and UDP over back-ends: Maglev hashing, connection table, NAT or direct return";
    const DROPS: &'static [&'static str] = &["malformed", "too_large", "no_room", "no_service", "no_backend"];
    const COUNTERS: &'static [&'static str] =
        &["passed", "opened", "moved", "expired", "evicted", "returned"];
    const COMMANDS: &'static [Command] = commands::COMMANDS;
    const EXAMPLE: &'static str = "\
[[services]]
address = \"192.0.2.1\"
port = 80
mode = \"nat\"
backends = [
  { name = \"web1\", address = \"10.0.0.1\", port = 8080 },
  { name = \"web2\", address = \"10.0.0.2\", port = 8080, weight = 2 },
]
";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config, site)
    }

    fn effects(plan: &Plan) -> Effects {
        plan.effects()
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        let back = |backend: &config::Backend| Quick::back(plan, &plan.services[backend.service], backend);
        let up = |backend: &config::Backend| Standing { health: Health::Up, weight: backend.weight };
        let mut lb = Lb {
            worker: *worker,
            v4: Connections::new(plan.connections, plan.idle_nanos, worker.seed),
            v6: Connections::new(plan.connections, plan.idle_nanos, worker.seed),
            fragments: Fragments::new(worker.seed),
            standings: plan.backends.iter().map(up).collect(),
            tables: plan.services.iter().map(|_| Box::default()).collect(),
            sizes: plan.services.iter().map(|service| Size::new(service.way)).collect(),
            forth: vec![None; plan.backends.len()],
            back: plan.backends.iter().map(back).collect(),
            plan: Arc::clone(plan),
        };
        (0..plan.services.len()).for_each(|service| lb.refill(service));
        lb
    }
}
