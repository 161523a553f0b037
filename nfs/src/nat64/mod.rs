//! Stateful NAT64 (RFC 6146): IPv6 hosts reach IPv4 ones by addresses of a prefix, and share IPv4 addresses of a pool.

mod bib;
mod commands;
mod config;
mod errors;
mod forward;
mod icmp;
mod packet;
mod prefix;
mod reasons;
mod sessions;
mod state;
mod tcp;
#[cfg(test)]
mod tests;
mod translator;

pub use config::{Config, Filtering, Mtu, Plan, Timeouts, Untranslated, WithoutChecksum};

use crate::teller::Teller;
use crate::tunnel::{Refused, after_tags};
use engine::{
    Affinity, BURST, Burst, Command, CommandError, ConfigError, Cx, Effects, Kind, Nf, Site, State,
    StateKind, Time, WorkerSite,
};
use errors::LONGEST;
use forward::rewrite;
use packet::{FRAGMENT_HEADER, Way};
use reasons::*;
use serde_json::Value;
use sessions::Protocol;
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;
use translator::{Refusal, Translator, Turnover};
use wire::protocol::ether_type;
use wire::{Field, Fields, FlowKey, ipv6};

/// Timers handled per tick.
const PER_TICK: usize = 256;
/// Exhaustion is told of at most this often.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest IPv6 packet, in Ethernet with eight tags.
const WHOLE: usize = 46 + ipv6::HEADER_LEN + FRAGMENT_HEADER + u16::MAX as usize;

/// The NF, on one worker.
pub struct Nat64 {
    worker: WorkerSite,
    translator: Translator,
    teller: Teller,
    /// What of the turnover the counters tell already.
    published: Turnover,
    /// When exhaustion of ports and of sessions was told of last.
    told: [Time; 2],
    /// An ICMP error, and what becomes of it.
    error: [Box<[u8]>; 2],
    /// A packet that is to be fragmented.
    whole: Box<[u8]>,
}

/// Packets counted by what became of them.
type Counts = [u64; 3];

impl Nat64 {
    /// Has the processor fetch the sessions of a burst.
    fn prefetch(&self, burst: &mut Burst) {
        let Translator { sessions, plan, .. } = &self.translator;
        let mut hashes = [(0u32, None); BURST];
        for ((headers, frame), found) in burst.parsed().zip(&mut hashes) {
            if !headers.has_ports() {
                continue;
            }
            match FlowKey::from_packet(&headers, frame) {
                Some(FlowKey::V4(key)) => *found = (sessions.prefetch_v4(&key), Some(false)),
                Some(FlowKey::V6(key)) => {
                    let protocol = Protocol::of_v6(key.proto);
                    let key = protocol.and_then(|protocol| self.translator.key_of(&key, protocol));
                    if let Some(key) = key.filter(|key| plan.prefix.stands_for(key.peer)) {
                        *found = (sessions.prefetch_v6(&key), Some(true));
                    }
                }
                None => {}
            }
        }
        for (hash, is_v6) in &hashes[..burst.len()] {
            // Asked for only so that the entry is fetched.
            match is_v6 {
                Some(true) => drop(sessions.hint_v6(*hash)),
                Some(false) => drop(sessions.hint_v4(*hash)),
                None => {}
            }
        }
    }

    fn translate(
        &mut self,
        burst: &mut Burst,
        i: usize,
        cx: &mut Cx<'_>,
        counts: &mut Counts,
    ) -> Result<(), Refusal> {
        let headers = burst.headers(i);
        if !headers.is_ip() && !matches!(headers.ether_type(), ether_type::IPV4 | ether_type::IPV6) {
            return Err(Refusal::Pass);
        }
        if let Some(malformed) = headers.malformed() {
            return Err(Refusal::Drop(of_malformed(malformed)));
        }
        let Some(link) = after_tags(&headers) else { return Err(Refusal::Pass) };
        if headers.is_icmp_error(burst.bytes(i)) {
            self.translator.admit(&headers, burst.bytes(i))?;
            self.translate_error(burst, i, &headers, link)?;
            cx.count(ICMP_ERRORS, 1);
            return Ok(());
        }
        let (mut ip, turn) = self.translator.judge(&headers, burst.bytes(i), cx.now())?;
        ip.hops -= 1;
        match turn.to {
            FlowKey::V4(_) => self.send_v4(burst, i, link, &ip, &turn)?,
            FlowKey::V6(key) if turn.way == Way::Hairpin => {
                let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
                if let Ok(mut packet) = ipv6::Packet::new_checked(bytes.get_mut(link..).unwrap_or_default()) {
                    packet.set_src(key.src);
                    packet.set_dst(key.dst);
                    packet.set_hop_limit(ip.hops);
                }
                rewrite(bytes, ip.data, &ip, &turn);
            }
            FlowKey::V6(key) => self.send_v6(burst, i, (link, ip), &turn, (key.src, key.dst), cx)?,
        }
        counts[turn.way as usize] += 1;
        Ok(())
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
            (MAPPED, now.mapped - before.mapped),
        ] {
            cx.count(counter, n);
        }
        let known = [self.translator.bib.len(), self.translator.sessions.len()];
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

impl Nf for Nat64 {
    fn process(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        self.prefetch(burst);
        let (mut counts, mut passed) = ([0; 3], 0);
        for i in 0..burst.len() {
            match self.translate(burst, i, cx, &mut counts) {
                Ok(()) => {}
                Err(Refusal::Pass) => passed += 1,
                Err(Refusal::Drop(reason)) => burst.drop(i, reason),
                Err(Refusal::Complain(reason, complaint)) => {
                    if self.teller.tell(burst, i, cx, complaint) {
                        cx.count(ICMP_ERRORS_SENT, 1);
                    }
                    burst.drop(i, reason);
                }
            }
        }
        let counts = [(PASSED, passed), (TO_IPV4, counts[0]), (TO_IPV6, counts[1]), (HAIRPINNED, counts[2])];
        for (counter, n) in counts.into_iter().filter(|(_, n)| *n > 0) {
            cx.count(counter, n);
        }
        self.publish(cx);
    }

    fn tick(&mut self, cx: &mut Cx<'_>) {
        self.translator.expire(cx.now(), PER_TICK);
        self.publish(cx);
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }

    fn adopt(&mut self, old: Box<dyn Nf>, _cx: &mut Cx<'_>) {
        let Ok(old) = (old as Box<dyn Any>).downcast::<Nat64>() else { return };
        if self.worker.seed == old.worker.seed && self.translator.plan.config == old.translator.plan.config {
            let plan = Arc::clone(&self.translator.plan);
            (self.translator, self.published) = (old.translator, old.published);
            self.translator.plan = plan;
            return;
        }
        self.translator.next_id = old.translator.next_id;
        for (_, outline) in old.translator.sessions.all() {
            // What the new configuration has no place for ends.
            let _ = self.translator.take_in(&outline);
        }
        old.translator.fragments.page(0, usize::MAX, |datagram, to, seen| {
            self.translator.fragments.first(datagram, *to, seen);
            true
        });
    }

    fn command(&mut self, name: &str, arguments: &Value) -> Result<Value, CommandError> {
        self.answer(name, arguments)
    }
}

impl Kind for Nat64 {
    const NAME: &'static str = "nat64";
    const SUMMARY: &'static str =
        "translates between IPv6 and IPv4: hosts behind a prefix, a pool of IPv4 addresses, forwarded ports";
    const DROPS: &'static [&'static str] = &REASONS;
    const COUNTERS: &'static [&'static str] = &COUNTERS;
    const COMMANDS: &'static [Command] = commands::COMMANDS;
    const EXAMPLE: &'static str = "prefix = \"64:ff9b:1::/96\"\npool = [\"203.0.113.1\"]\n";

    type Config = Config;
    type Plan = Plan;

    fn prepare(config: &Config, _site: &Site) -> Result<Plan, ConfigError> {
        Plan::new(config)
    }

    fn effects(plan: &Plan) -> Effects {
        Effects {
            // An error quotes the packet that it is about.
            reads: if plan.sources.any() { Fields::ALL } else { READS },
            writes: WRITES,
            changes_length: true,
            may_drop: true,
            // Fragments.
            may_create: true,
            state: StateKind::Learns,
            // The two directions of a session have no end in common that steering could go by.
            affinity: Affinity::One,
            ..Effects::NONE
        }
    }

    fn instance(plan: &Arc<Plan>, worker: &WorkerSite) -> Self {
        let buffer = |len: usize| vec![0; len].into_boxed_slice();
        Nat64 {
            worker: *worker,
            translator: Translator::new(plan, worker.seed),
            teller: Teller::new(plan.sources),
            published: Turnover::default(),
            told: [Time::ZERO; 2],
            error: [buffer(LONGEST), buffer(LONGEST)],
            whole: buffer(WHOLE),
        }
    }
}

/// What sessions are known by, what the other version's header is made of, and what decides whether a packet is
/// well-formed; of ICMP errors, the packet inside.
const READS: Fields = Fields::of(&[
    Field::EtherType,
    Field::Vlan,
    Field::IpVersion,
    Field::IpSrc,
    Field::IpDst,
    Field::IpTtl,
    Field::IpDscp,
    Field::IpEcn,
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

const WRITES: Fields = Fields::of(&[
    Field::EtherType,
    Field::IpVersion,
    Field::IpSrc,
    Field::IpDst,
    Field::IpTtl,
    Field::IpDscp,
    Field::IpEcn,
    Field::IpId,
    Field::IpFragment,
    Field::IpProto,
    Field::IpLength,
    Field::IpChecksum,
    Field::IpOptions,
    Field::Ipv6FlowLabel,
    Field::Sport,
    Field::Dport,
    Field::L4Checksum,
    Field::IcmpType,
    Field::IcmpRest,
    Field::Payload,
    Field::Length,
]);
