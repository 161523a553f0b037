//! What becomes of a packet that the short way does not know: the first of a session, one that changes a
//! connection's state, ICMP, fragments, tagged packets.

use super::config::{Plan, Untranslated, is_of_many};
use super::errors;
use super::fragments::{First, Fragments};
use super::mappings::Mappings;
use super::reasons::*;
use super::sessions::{Outline, Sessions};
use super::tcp;
use super::tuple::{Endpoint, Rewrite, Tuple};
use engine::{Reason, Time};
use std::sync::Arc;
use wire::protocol::ip;
use wire::tcp::flags::{ACK, RST, SYN};
use wire::{FlowKey, FlowKey4, FragmentKey, Headers, icmp};

/// Sessions of a protocol without an answer that are looked at for one whose port is of use.
const CANDIDATES: usize = 256;

/// What becomes of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fate {
    /// It is none of ours.
    Pass,
    Drop(Reason),
    /// Addresses and ports change.
    Whole(Rewrite),
    /// Addresses only: a later fragment.
    Addresses(Rewrite),
    /// An ICMP error about a packet of a session, by the tuple of that session in the error's direction before and
    /// after.
    Error {
        from: Tuple,
        to: Tuple,
    },
}

impl Fate {
    /// Rewrites the packet.
    pub(super) fn apply(&self, headers: &Headers, packet: &mut [u8]) {
        let l3 = headers.l3_offset();
        match self {
            Fate::Pass | Fate::Drop(_) => {}
            Fate::Whole(rewrite) => {
                let l4 = l3 + headers.ip_header_len();
                rewrite.apply(packet, l3, l4, headers.protocol().unwrap_or(0));
            }
            Fate::Addresses(rewrite) => rewrite.apply_addresses(packet, l3),
            Fate::Error { from, to } => errors::rewrite(headers, packet, *from, *to),
        }
    }
}

/// How many sessions and mappings came and went, and what there was not enough of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Turnover {
    pub opened: u64,
    pub mapped: u64,
    pub expired: u64,
    pub evicted: u64,
    /// Packets that found no free port, and no place for a session.
    pub no_port: u64,
    pub no_place: u64,
}

/// All that a worker's translator knows.
pub(super) struct Translator {
    pub plan: Arc<Plan>,
    pub sessions: Sessions,
    pub mappings: Mappings,
    pub fragments: Fragments,
    pub turnover: Turnover,
}

/// An end of a new session, translated.
struct Translated {
    outside_or_inside: Endpoint,
    /// The inside endpoint of the dynamic mapping, if it is one.
    mapping: Option<Endpoint>,
}

impl Translator {
    pub(super) fn new(plan: &Arc<Plan>, seed: u64) -> Translator {
        Translator {
            plan: Arc::clone(plan),
            sessions: Sessions::new(plan.config.capacity, seed),
            mappings: Mappings::new(plan, seed),
            fragments: Fragments::new(seed),
            turnover: Turnover::default(),
        }
    }

    /// Decides what becomes of an IPv4 packet without faults.
    pub(super) fn judge(&mut self, headers: &Headers, frame: &[u8], now: Time) -> Fate {
        if headers.is_icmp_error(frame) {
            return self.error(headers, frame);
        }
        let Some(key) = FlowKey4::from_packet(headers, frame) else { return Fate::Pass };
        let tuple = Tuple::from(key);
        if headers.is_later_fragment() {
            let known =
                FragmentKey::from_packet(headers, frame).and_then(|key| self.fragments.find(key, now));
            return match known {
                Some(rewrite) => Fate::Addresses(rewrite),
                None => self.other(&tuple, FRAGMENT_WITHOUT_FIRST),
            };
        }
        let flags = headers.tcp_flags(frame).unwrap_or(0);
        let kind = headers.icmp_type_code(frame).map(|(kind, _)| kind);
        let rewrite = match self.sessions.find(&tuple) {
            Some((id, _)) => self.sessions.pass(&self.plan, id, flags, now),
            None => match self.open(tuple, flags, kind, now) {
                Ok(rewrite) => Some(rewrite),
                Err(fate) => return fate,
            },
        };
        let Some(rewrite) = rewrite else { return Fate::Pass };
        if let Some(datagram) = FragmentKey::from_packet(headers, frame) {
            let first = First { from: tuple, to: rewrite.result(tuple.protocol), seen: now };
            self.fragments.learn(datagram, first);
        }
        Fate::Whole(rewrite)
    }

    /// Whether a packet of that fate is but half translated: from inside to an outside address of somebody inside, which
    /// has its source translated first. Then it is like one from outside.
    pub(super) fn is_half(&self, fate: &Fate) -> bool {
        match fate {
            Fate::Pass | Fate::Drop(_) => false,
            Fate::Whole(rewrite) | Fate::Addresses(rewrite) => self.plan.is_outside(rewrite.result(0).dst),
            Fate::Error { to, .. } => self.plan.is_outside(to.dst),
        }
    }

    /// The fate of a packet that cannot be translated: `reason`, if it is one that should be.
    fn other(&self, tuple: &Tuple, reason: Reason) -> Fate {
        let outgoing =
            self.plan.is_inside(tuple.src) && !self.plan.is_inside(tuple.dst) && !is_of_many(tuple.dst);
        if outgoing || self.plan.is_outside(tuple.dst) {
            return Fate::Drop(reason);
        }
        match self.plan.config.untranslated {
            Untranslated::Pass => Fate::Pass,
            Untranslated::Drop => Fate::Drop(UNTRANSLATED),
        }
    }

    /// The first packet of a session.
    fn open(&mut self, key: Tuple, flags: u8, icmp: Option<u8>, now: Time) -> Result<Rewrite, Fate> {
        let inward = self.plan.is_outside(key.dst);
        let outward =
            self.plan.is_inside(key.src) && (inward || !self.plan.is_inside(key.dst) && !is_of_many(key.dst));
        if !inward && !outward {
            return Err(self.other(&key, UNTRANSLATED));
        }
        match icmp {
            // Requests have even numbers but for the first, replies are one above.
            Some(icmp::ECHO_REQUEST | 13 | 15 | 17) | None => {}
            Some(kind) if icmp::has_identifier(kind) => return Err(Fate::Drop(NOT_OPENING)),
            Some(_) => return Err(Fate::Drop(ICMP_OTHER)),
        }
        if flags & RST != 0 {
            return Err(Fate::Drop(NOT_OPENING));
        }
        // The destination first: what nobody inside asked for makes no mapping. Of what comes from inside its worker
        // finds it, when the source is translated.
        if inward && outward && !self.may_stand_for_somebody(key.destination()) {
            return Err(Fate::Drop(NO_MAPPING));
        }
        let destination = match inward && !outward {
            true => Some(self.destination(&key)?),
            false => None,
        };
        let dynamic = destination.as_ref().is_some_and(|translated| translated.mapping.is_some());
        if dynamic && key.protocol() == ip::TCP && flags & (SYN | ACK) != SYN {
            return Err(Fate::Drop(NOT_OPENING));
        }
        if self.sessions.is_full() {
            self.make_room(None);
        }
        let source = match outward {
            true => Some(self.source(&key)?),
            false => None,
        };
        let mut result = key;
        if let Some(translated) = &destination {
            result = result.with_destination(translated.outside_or_inside);
        }
        if let Some(translated) = &source {
            result = result.with_source(translated.outside_or_inside);
        }
        let source_mapping = source.and_then(|translated| translated.mapping);
        let allowed = match &destination {
            Some(Translated { mapping: Some(_), .. }) => {
                self.mappings.lets_in(self.plan.config.filtering, key.destination(), result.src)
            }
            _ => true,
        };
        let state = tcp::State::default();
        let state = if key.protocol() == ip::TCP { state.after(false, flags) } else { state.seen(false) };
        let outline = Outline {
            key,
            result,
            source: source_mapping,
            destination: destination.and_then(|translated| translated.mapping),
            since: now,
            state,
            last: [now, Time::ZERO],
        };
        // Its last session may have given way to make room.
        let gone = |inside| self.mappings.get(inside).is_none();
        let refused = if outline.destination.is_some_and(gone) {
            Some(NO_MAPPING)
        } else if !allowed {
            Some(FILTERED)
        } else if !self.sessions.has_place_for(&key, &result) {
            Some(CONFLICT)
        } else if !self.begin(&outline) {
            self.turnover.no_place += 1;
            Some(SESSIONS_EXHAUSTED)
        } else {
            None
        };
        if let Some(reason) = refused {
            self.drop_unused(source_mapping);
            return Err(Fate::Drop(reason));
        }
        self.turnover.opened += 1;
        Ok(Rewrite::new(key, result))
    }

    /// A mapping that was made for a session that is not to be.
    fn drop_unused(&mut self, inside: Option<Endpoint>) {
        if let Some(inside) = inside
            && self.mappings.get(inside).is_some_and(|mapping| mapping.sessions == 0)
        {
            self.mappings.release(&self.plan, inside);
        }
    }

    /// Whether an outside endpoint may lead somewhere, as far as every worker knows. Queries have no port to be sent
    /// to: among inside hosts they go to addresses of one host only (RFC 5508 REQ-7).
    fn may_stand_for_somebody(&self, outside: Endpoint) -> bool {
        let is_given_out = outside.protocol != ip::ICMP
            && self.plan.blocks.contains(outside.port)
            && self.plan.places.contains_key(&outside.address);
        is_given_out || self.plan.inside_of(outside).is_some()
    }

    /// The inside endpoint that an outside one stands for.
    fn destination(&self, key: &Tuple) -> Result<Translated, Fate> {
        let outside = key.destination();
        if let Some(inside) = self.plan.inside_of(outside) {
            return self.fixed(inside);
        }
        match self.mappings.inside_of(outside) {
            Some(inside) => Ok(Translated { outside_or_inside: inside, mapping: Some(inside) }),
            None => Err(Fate::Drop(NO_MAPPING)),
        }
    }

    /// The other protocols with a pseudo-header are not known well enough to keep their checksums right.
    fn fixed(&self, endpoint: Endpoint) -> Result<Translated, Fate> {
        match endpoint.protocol {
            ip::DCCP | ip::UDP_LITE => Err(Fate::Drop(UNSUPPORTED_PROTOCOL)),
            _ => Ok(Translated { outside_or_inside: endpoint, mapping: None }),
        }
    }

    /// The outside endpoint that stands for an inside one.
    fn source(&mut self, key: &Tuple) -> Result<Translated, Fate> {
        let inside = key.source();
        if let Some(&outside) = self.plan.forward.1.get(&inside) {
            return Ok(Translated { outside_or_inside: outside, mapping: None });
        }
        if let Some(&outside) = self.plan.one_to_one.1.get(&inside.address) {
            return self.fixed(Endpoint { address: outside, ..inside });
        }
        if let Some(mapping) = self.mappings.get(inside) {
            return Ok(Translated { outside_or_inside: mapping.outside, mapping: Some(inside) });
        }
        if !matches!(inside.protocol, ip::TCP | ip::UDP | ip::ICMP) {
            return Err(Fate::Drop(UNSUPPORTED_PROTOCOL));
        }
        let mut chosen = self.mappings.choose(&self.plan, inside);
        if chosen.is_none() && self.make_room(Some(inside)) {
            chosen = self.mappings.choose(&self.plan, inside);
        }
        let Some(outside) = chosen else {
            self.turnover.no_port += 1;
            return Err(Fate::Drop(PORTS_EXHAUSTED));
        };
        if !self.mappings.make(&self.plan, inside, outside) {
            self.turnover.no_place += 1;
            return Err(Fate::Drop(SESSIONS_EXHAUSTED));
        }
        self.turnover.mapped += 1;
        Ok(Translated { outside_or_inside: outside, mapping: Some(inside) })
    }

    /// Ends the session that has waited longest for its first answer, if one does: any, or one that alone has a port
    /// that an inside endpoint could have.
    fn make_room(&mut self, wanting: Option<Endpoint>) -> bool {
        let blocks = self.plan.blocks;
        let found = match wanting {
            None => self.sessions.longest_unanswered(),
            Some(wanting) => self.sessions.unanswered(wanting.protocol).take(CANDIDATES).find(|index| {
                let source = self.sessions.get(*index).and_then(|session| session.source);
                source.is_some_and(|inside| {
                    blocks.of(inside) == blocks.of(wanting)
                        && self.mappings.get(inside).is_some_and(|mapping| mapping.sessions == 1)
                })
            }),
        };
        let Some(index) = found else { return false };
        self.end(index);
        self.turnover.evicted += 1;
        true
    }

    /// Makes a session whose mappings are there.
    pub(super) fn begin(&mut self, outline: &Outline) -> bool {
        if !self.sessions.open(&self.plan, outline) {
            return false;
        }
        if let Some(inside) = outline.source {
            self.mappings.hold(inside);
            self.mappings.permit(outline.result.source(), outline.key.dst);
        }
        if let Some(inside) = outline.destination {
            self.mappings.hold(inside);
        }
        true
    }

    /// Ends a session, and mappings that were only its own.
    pub(super) fn end(&mut self, index: u32) -> Option<Outline> {
        let outline = self.sessions.close(index)?;
        if let Some(inside) = outline.source {
            self.mappings.forbid(outline.result.source(), outline.key.dst);
            self.mappings.release(&self.plan, inside);
        }
        if let Some(inside) = outline.destination {
            self.mappings.release(&self.plan, inside);
        }
        Some(outline)
    }

    /// Ends what was silent for too long.
    pub(super) fn expire(&mut self, now: Time, mut budget: usize) {
        self.fragments.expire(now, budget);
        while let Some(index) = self.sessions.next_expired(&self.plan, now, &mut budget) {
            self.end(index);
            self.turnover.expired += 1;
        }
    }

    /// An ICMP error: it is about a packet of a session, and goes to whoever sent that (RFC 5508 section 4). The
    /// session's time and state stay as they are (REQ-6, RFC 5382 REQ-10).
    fn error(&self, headers: &Headers, frame: &[u8]) -> Fate {
        let kind = headers.icmp_type_code(frame).map(|(kind, _)| kind);
        if matches!(kind, Some(icmp::REDIRECT | icmp::SOURCE_QUENCH)) {
            // Redirects are for one link only; source quench is deprecated by RFC 6633.
            return Fate::Drop(ICMP_OTHER);
        }
        let Some((_, to)) = headers.ipv4_addresses(frame) else { return Fate::Pass };
        let Some(FlowKey::V4(key)) = FlowKey::of_icmp_error(headers, frame) else {
            return Fate::Drop(ICMP_UNRELATED);
        };
        let from = Tuple::from(key);
        if to != from.dst {
            return Fate::Drop(ICMP_UNRELATED);
        }
        match self.sessions.find(&from) {
            Some((_, entry)) => Fate::Error { from, to: entry.rewrite.result(from.protocol) },
            None => self.other(&from, ICMP_UNRELATED),
        }
    }
}
