//! Network address translation for IPv4 (NAT44): many inside hosts behind a pool of outside addresses, one-to-one
//! addresses, forwarded ports.

mod blocks;
mod commands;
mod config;
mod errors;
mod fragments;
mod mappings;
mod ports;
mod reasons;
mod sessions;
mod state;
mod tcp;
#[cfg(test)]
mod tests;
mod translator;
mod tuple;
mod waiting;

pub use config::{Config, Filtering, Plan, Pooling, Timeouts, Untranslated};

// What NAT64 needs of it, too.
pub(crate) use config::{MOST_ADDRESSES, endpoint, is_of_many, ports, range};
pub(crate) use ports::Ports;
pub(crate) use tuple::{Endpoint, narrow};

use engine::{
    Affinity, BURST, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Ownership, Part, Site,
    State, StateKind, Time, WorkerSite,
};
use fragments::First;
use reasons::*;
use serde_json::Value;
use sessions::Outline;
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tables::flow_table::Hint;
use translator::{Fate, Translator, Turnover};
use waiting::Waiting;
use wire::protocol::ether_type;
use wire::{Field, Fields, FlowKey, FragmentKey, UsualIpv4, Words4};

/// Timers handled per tick.
const PER_TICK: usize = 256;
/// Exhaustion is told of at most this often.
const PAUSE: Duration = Duration::from_secs(1);

/// The NF, on one worker.
pub struct Nat {
    worker: WorkerSite,
    translator: Translator,
    waiting: Waiting,
    /// What of the turnover the counters tell already.
    published: Turnover,
    /// When exhaustion of ports and of sessions was told of last.
    told: [Time; 2],
    /// The packets of the burst in hand.
    keys: [Words4; BURST],
    hashes: [u32; BURST],
}

/// Sessions on their way to another worker, and the datagrams in fragments that may be of them.
struct Moving {
    sessions: Vec<Outline>,
    datagrams: Vec<(FragmentKey, First)>,
}

impl Nat {
    /// Rewrites the packets of sessions that nothing is to be decided about; returns the others, one bit each.
    #[inline(always)]
    fn quick(&mut self, burst: &mut Burst, now: Time) -> u32 {
        let Nat { keys, hashes, translator: Translator { sessions, .. }, .. } = self;
        let mut quick = 0u32;
        let all = if burst.len() < BURST { (1 << burst.len()) - 1 } else { u32::MAX };
        let mut note = |i: usize, packet: UsualIpv4<'_>| {
            let i = i % BURST;
            keys[i] = Words4::of_usual(packet);
            hashes[i] = sessions.hash(&keys[i]);
            quick |= u32::from(packet.tcp_flags() & tcp::CHANGING == 0) << i;
        };
        if let Some(packets) = burst.all_usual() {
            packets.enumerate().for_each(|(i, packet)| note(i, packet));
        } else {
            for (i, (headers, frame)) in burst.parsed().enumerate() {
                if let Some(packet) = headers.usual_ipv4(frame) {
                    note(i, packet);
                }
            }
        }
        let mut left = all;
        if quick == 0 {
            return left;
        }
        // A loop of its own: the processor then works on the hashes of several packets at a time.
        for &hash in &hashes[..burst.len().min(BURST)] {
            sessions.prefetch(hash);
        }
        let mut hints = [Hint::default(); BURST];
        for (i, (hint, &hash)) in hints.iter_mut().zip(&*hashes).enumerate().take(burst.len()) {
            if quick >> i & 1 == 1 {
                *hint = sessions.hint(hash);
            }
        }
        burst.for_each_mut(|i, bytes| {
            let i = i % BURST;
            if quick >> i & 1 == 0 {
                return;
            }
            if let Some(entry) = sessions.touch_hinted(hints[i], &keys[i], hashes[i], now)
                && entry.link.is_settled()
            {
                entry.rewrite.apply_usual(bytes);
                left &= !(1 << i);
            }
        });
        left
    }

    /// A packet about which something is to be decided.
    #[cold]
    fn decide(&mut self, burst: &mut Burst, i: usize, cx: &mut Cx<'_>) {
        let headers = burst.headers(i);
        let is_ipv4 = headers.is_ipv4() || headers.ether_type() == ether_type::IPV4;
        if !is_ipv4 {
            return cx.count(PASSED, 1);
        }
        if let Some(malformed) = headers.malformed() {
            return burst.drop(i, of_malformed(malformed));
        }
        let datagram = FragmentKey::from_packet(&headers, burst.bytes(i));
        // What is half translated afterwards needs the other half; no packet needs more.
        for _ in 0..2 {
            let fate = self.translator.judge(&headers, burst.bytes(i), cx.now());
            match fate {
                Fate::Pass => return cx.count(PASSED, 1),
                Fate::Drop(FRAGMENT_WITHOUT_FIRST) => return self.hold(burst, i, datagram, cx),
                Fate::Drop(reason) => return burst.drop(i, reason),
                Fate::Error { .. } if !errors::is_sound(&headers, burst.segments(i), burst.bytes(i)) => {
                    return burst.drop(i, ICMP_BAD_CHECKSUM);
                }
                // One between inside hosts counts when its second half is done.
                Fate::Error { .. } if !self.translator.is_half(&fate) => cx.count(ICMP_ERRORS, 1),
                Fate::Error { .. } | Fate::Whole(_) | Fate::Addresses(_) => {}
            }
            let Some(bytes) = burst.bytes_mut(i) else { return };
            fate.apply(&headers, bytes);
            if !self.translator.is_half(&fate) {
                break;
            }
            if self.worker.count > 1 {
                // Who has the other half may be another worker.
                if let Some(packet) = burst.take(i) {
                    cx.again(packet);
                }
                break;
            }
        }
        if headers.is_first_fragment()
            && let Some(datagram) = datagram
        {
            while let Some(packet) = self.waiting.next_of(datagram) {
                cx.again(packet);
            }
        }
    }

    /// A later fragment whose first has not come waits for it.
    fn hold(&mut self, burst: &mut Burst, i: usize, datagram: Option<FragmentKey>, cx: &mut Cx<'_>) {
        let Some(datagram) = datagram else { return burst.drop(i, FRAGMENT_WITHOUT_FIRST) };
        let Some(packet) = burst.take(i) else { return };
        if let Some(oldest) = self.waiting.hold(datagram, packet, cx.now()) {
            cx.discard(oldest, FRAGMENT_WITHOUT_FIRST);
        }
    }

    /// Brings the counters up to date, and tells of exhaustion.
    fn publish(&mut self, cx: &mut Cx<'_>) {
        let (now, before) = (self.translator.turnover, self.published);
        if now == before {
            return;
        }
        for (counter, n) in [
            (OPENED, now.opened - before.opened),
            (EXPIRED, now.expired - before.expired),
            (EVICTED, now.evicted - before.evicted),
            (MAPPED, now.mapped - before.mapped),
        ] {
            cx.count(counter, n);
        }
        let known = [self.translator.mappings.len(), self.translator.sessions.len()];
        let short = [
            ("ports_exhausted", now.no_port > before.no_port),
            ("sessions_exhausted", now.no_place > before.no_place),
        ];
        for (((name, is_short), told), known) in short.into_iter().zip(&mut self.told).zip(known) {
            if is_short && (*told == Time::ZERO || cx.now().since(*told) >= PAUSE) {
                *told = cx.now();
                cx.event(name, known as u64);
            }
        }
        self.published = now;
    }
}

impl Nf for Nat {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let mut left = self.quick(burst, cx.now());
        if left == 0 {
            return;
        }
        while left != 0 {
            let i = left.trailing_zeros() as usize;
            left &= left - 1;
            self.decide(burst, i, cx);
        }
        self.publish(cx);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.translator.expire(cx.now(), PER_TICK);
        while let Some(packet) = self.waiting.next_expired(cx.now()) {
            cx.discard(packet, FRAGMENT_WITHOUT_FIRST);
        }
        self.publish(cx);
    }

    fn drain(&mut self, cx: &mut Cx<'_>) {
        while let Some(packet) = self.waiting.give_up() {
            cx.discard(packet, FRAGMENT_WITHOUT_FIRST);
        }
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        let Ok(old) = (old as Box<dyn Any>).downcast::<Nat>() else { return };
        self.waiting = old.waiting;
        if self.worker.seed == old.worker.seed && self.translator.plan.config == old.translator.plan.config {
            let plan = Arc::clone(&self.translator.plan);
            (self.translator, self.published) = (old.translator, old.published);
            self.translator.plan = plan;
            return;
        }
        for outline in old.translator.sessions.all() {
            // What the new configuration has no place for ends.
            let _ = self.translator.take_in(&outline);
        }
        for (datagram, first) in old.translator.fragments.all() {
            self.translator.fragments.learn(datagram, first);
        }
    }

    fn split(&mut self, owner: &dyn Fn(&FlowKey) -> usize) -> Vec<(usize, Part)> {
        let mut parts: BTreeMap<usize, Vec<Outline>> = BTreeMap::new();
        for index in 0..self.translator.plan.config.capacity as u32 {
            let Some(outline) = self.translator.sessions.outline(index) else { continue };
            let worker = owner(&FlowKey::V4(outline.key.into()));
            if !self.translator.plan.is_steerable(&outline) {
                // No worker would have both of its directions.
                self.translator.end(index);
            } else if worker != self.worker.index {
                self.translator.end(index);
                parts.entry(worker).or_default().push(outline);
            }
        }
        let datagrams = self.translator.fragments.all();
        let moving = |sessions| Moving { sessions, datagrams: datagrams.clone() };
        parts.into_iter().map(|(worker, sessions)| (worker, Box::new(moving(sessions)) as Part)).collect()
    }

    fn join(&mut self, part: Part) {
        let Ok(part) = part.downcast::<Moving>() else { return };
        let Moving { mut sessions, datagrams } = *part;
        sessions.sort_by_key(|outline| outline.since);
        for outline in sessions {
            // It has no place only where there are more sessions than one worker can have.
            let _ = self.translator.take_in(&outline);
        }
        for (datagram, first) in datagrams {
            self.translator.fragments.learn(datagram, first);
        }
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.answer(name, arguments)
    }
}

impl Kind for Nat {
    const NAME: &'static str = "nat";
    const SUMMARY: &'static str =
        "translates IPv4 addresses and ports: a pool for inside hosts, one-to-one addresses, forwarded ports";
    const DROPS: &'static [&'static str] = &REASONS;
    const COUNTERS: &'static [&'static str] = &COUNTERS;
    const COMMANDS: &'static [Command] = commands::COMMANDS;
    const EXAMPLE: &'static str = "inside = [\"10.0.0.0/8\"]\npool = [\"203.0.113.1\"]\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config, site)
    }

    fn effects(_plan: &Plan) -> Effects {
        Effects {
            reads: READS,
            writes: WRITES,
            adjusts: CHECKSUMS,
            may_drop: true,
            state: StateKind::Learns,
            holds: true,
            affinity: Affinity::Owned,
            ..Effects::NONE
        }
    }

    fn ownership(plan: &Arc<Plan>) -> Option<Arc<dyn Ownership>> {
        Some(Arc::clone(plan) as Arc<dyn Ownership>)
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        Nat {
            worker: *worker,
            translator: Translator::new(plan, worker.seed),
            waiting: Waiting::new(),
            published: Turnover::default(),
            told: [Time::ZERO; 2],
            keys: [Words4::default(); BURST],
            hashes: [0; BURST],
        }
    }
}

/// What sessions are known by, and what decides whether a packet is well-formed; of ICMP errors, the packet inside.
const READS: Fields = Fields::of(&[
    Field::EtherType,
    Field::Vlan,
    Field::IpVersion,
    Field::IpSrc,
    Field::IpDst,
    Field::IpId,
    Field::IpFragment,
    Field::IpProto,
    Field::IpLength,
    Field::IpChecksum,
    Field::IpOptions,
    Field::Sport,
    Field::Dport,
    Field::L4Length,
    Field::L4Checksum,
    Field::TcpFlags,
    Field::TcpOptions,
    Field::IcmpType,
    Field::IcmpRest,
    Field::Payload,
    Field::Length,
]);

/// By differences alone, those of errors too, which it lets through only where they are right.
const CHECKSUMS: Fields = Fields::of(&[Field::IpChecksum, Field::L4Checksum]);

const WRITES: Fields = Fields::of(&[
    Field::IpSrc,
    Field::IpDst,
    Field::IpChecksum,
    Field::Sport,
    Field::Dport,
    Field::L4Checksum,
    Field::IcmpRest,
    Field::Payload,
]);
