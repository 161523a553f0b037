//! What becomes of a packet, and the bindings and sessions that follow from it (RFC 6146 section 3.5).

use super::bib::{Bib, Endpoint6};
use super::config::{Filtering, Plan, Untranslated, WithoutChecksum, is_host};
use super::packet::{Ip, Way, change};
use super::reasons::*;
use super::sessions::{Key, Outline, Protocol, Sessions};
use super::tcp::{self, Side, State};
use crate::fragments::Fragments;
use crate::nat::Endpoint;
use crate::teller::Complaint;
use engine::{Reason, Time};
use std::sync::Arc;
use wire::checksum::{Delta, Sum};
use wire::protocol::ip;
use wire::tcp::flags::{RST, SYN};
use wire::{FlowKey, FlowKey4, FlowKey6, FragmentKey, Headers, icmp, icmpv6, ipv4, ipv6};

/// Why a packet is not translated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// It is none of the translator's, and goes on as it is.
    Pass,
    Drop(Reason),
    /// It ends, and its sender may be told why.
    Complain(Reason, Complaint),
}

/// How a packet is translated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Turn {
    /// Addresses and ports that it gets.
    pub to: FlowKey,
    /// What that does to a checksum over them.
    pub delta: Delta,
    pub way: Way,
    /// It is UDP without a checksum, and gets one.
    pub sums: bool,
}

/// How many sessions and bindings came and went, and what there was not enough of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Turnover {
    pub opened: u64,
    pub mapped: u64,
    pub expired: u64,
    /// Packets that found no free port, and no place for a session.
    pub no_port: u64,
    pub no_place: u64,
}

/// What a packet does to its session.
#[derive(Clone, Copy)]
struct Event {
    /// TCP's flags.
    flags: u8,
    /// It is an ICMP query, not an answer.
    asks: bool,
    now: Time,
}

/// All that a worker's translator knows.
pub(super) struct Translator {
    pub plan: Arc<Plan>,
    pub sessions: Sessions,
    pub bib: Bib,
    /// What the addresses of datagrams became whose first fragment went by.
    pub fragments: Fragments<FlowKey>,
    /// Identification of the next IPv4 packet that is no fragment.
    pub next_id: u16,
    pub turnover: Turnover,
}

impl Translator {
    pub(super) fn new(plan: &Arc<Plan>, seed: u64) -> Translator {
        Translator {
            plan: Arc::clone(plan),
            sessions: Sessions::new(plan.config.capacity, seed),
            bib: Bib::new(plan, seed),
            fragments: Fragments::new(seed),
            next_id: 1,
            turnover: Turnover::default(),
        }
    }

    /// Identification for an IPv4 packet.
    pub(super) fn identification(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }

    /// What becomes of an IP packet without faults, which is no ICMP error.
    pub(super) fn judge(
        &mut self,
        headers: &Headers,
        frame: &[u8],
        now: Time,
    ) -> Result<(Ip, Turn), Refusal> {
        self.admit(headers, frame)?;
        let datagram = FragmentKey::from_packet(headers, frame);
        let unsupported = Refusal::Drop(UNSUPPORTED_PROTOCOL);
        if headers.is_later_fragment() {
            let known = datagram.and_then(|datagram| self.fragments.later(datagram, now));
            let to = known.ok_or(Refusal::Drop(FRAGMENT_WITHOUT_FIRST))?;
            let ip = Protocol::of_key(&to).and_then(|protocol| Ip::read(headers, frame, protocol));
            let way = way(headers.is_ipv4(), &to);
            return Ok((ip.ok_or(unsupported)?, Turn { to, delta: Delta::NONE, way, sums: false }));
        }
        let ip = Protocol::of(headers)
            .and_then(|protocol| Ip::read(headers, frame, protocol))
            .ok_or(unsupported)?;
        if ip.protocol == Protocol::Icmp && headers.is_fragment() {
            // A pseudo-header of the whole would be needed, which nobody has (RFC 7915 section 1.2).
            return Err(Refusal::Drop(ICMP_FRAGMENT));
        }
        let kind = headers.icmp_type_code(frame).map(|(kind, _)| kind);
        let asks = match kind {
            Some(icmp::ECHO_REQUEST) if headers.is_ipv4() => true,
            Some(icmp::ECHO_REPLY) if headers.is_ipv4() => false,
            Some(icmpv6::ECHO_REQUEST) if headers.is_ipv6() => true,
            Some(icmpv6::ECHO_REPLY) if headers.is_ipv6() => false,
            Some(_) => return Err(Refusal::Drop(ICMP_OTHER)),
            None => false,
        };
        let event = Event { flags: headers.tcp_flags(frame).unwrap_or(0), asks, now };
        let mut sums = false;
        if ip.protocol == Protocol::Udp && headers.is_ipv4() {
            let place = frame.get(ip.data + 6..ip.data + 8);
            sums = place.is_some_and(|checksum| checksum == [0, 0]);
            let drops = self.plan.config.udp_without_checksum == WithoutChecksum::Drop;
            if sums && (drops || datagram.is_some()) {
                return Err(Refusal::Drop(NO_UDP_CHECKSUM));
            }
        }
        let key = FlowKey::from_packet(headers, frame).ok_or(unsupported)?;
        let (to, delta) = match key {
            FlowKey::V6(key) => self.outward(key, ip.protocol, event)?,
            FlowKey::V4(key) => self.inward(key, ip.protocol, event)?,
        };
        if let Some(datagram) = datagram {
            self.fragments.first(datagram, to, now);
        }
        Ok((ip, Turn { to, delta, way: way(headers.is_ipv4(), &to), sums }))
    }

    /// Whether a packet is for the translator, and fit for it, by its IP headers.
    pub(super) fn admit(&self, headers: &Headers, frame: &[u8]) -> Result<(), Refusal> {
        let l3 = headers.l3_offset();
        if let Some((src, dst)) = headers.ipv6_addresses(frame) {
            if !self.plan.prefix.contains(dst) {
                return Err(self.other());
            }
            // What comes from the prefix itself would go round and round (RFC 6146 section 3.5).
            if !is_host(src) || self.plan.prefix.contains(src) {
                return Err(Refusal::Drop(BAD_SOURCE));
            }
            let peer = self.plan.prefix.extract(dst);
            if !peer.is_some_and(|peer| self.plan.prefix.stands_for(peer)) {
                return Err(Refusal::Drop(NOT_GLOBAL));
            }
            if frame.get(l3 + 6).copied().is_some_and(ipv6::is_extension) {
                self.admit_extensions(frame, l3)?;
            }
        } else {
            let packet = ipv4::Packet::new_checked(frame.get(l3..).unwrap_or_default());
            let packet = packet.map_err(|malformed| Refusal::Drop(of_malformed(malformed)))?;
            if !self.plan.is_outside(packet.dst()) {
                return Err(self.other());
            }
            if !self.plan.prefix.stands_for(packet.src()) {
                return Err(Refusal::Drop(NOT_GLOBAL));
            }
            if !packet.checksum_is_valid() {
                return Err(Refusal::Drop(IPV4_BAD_CHECKSUM));
            }
            for option in packet.options() {
                match option {
                    Ok(option) if option.is_source_route() && is_unexpired(option.data) => {
                        return Err(Refusal::Complain(SOURCE_ROUTE, Complaint::SourceRoute(0)));
                    }
                    Ok(_) => {}
                    Err(malformed) => return Err(Refusal::Drop(of_malformed(malformed))),
                }
            }
        }
        if headers.ttl(frame).is_none_or(|hops| hops <= 1) {
            return Err(Refusal::Complain(TTL_EXPIRED, Complaint::TimeExceeded));
        }
        Ok(())
    }

    /// Extension headers are left out on the way to IPv4, but for those that mean something there (RFC 7915 section
    /// 5.1).
    fn admit_extensions(&self, frame: &[u8], l3: usize) -> Result<(), Refusal> {
        for extension in ipv6::extensions(frame, l3) {
            let left = frame.get(extension.offset + 3).copied().unwrap_or(0);
            if extension.kind == ip::ROUTING && left > 0 {
                let at = u8::try_from(extension.offset + 3 - l3).unwrap_or(0);
                return Err(Refusal::Complain(SOURCE_ROUTE, Complaint::SourceRoute(at)));
            }
            if extension.kind == ip::AH {
                return Err(Refusal::Drop(UNSUPPORTED_PROTOCOL));
            }
        }
        Ok(())
    }

    fn other(&self) -> Refusal {
        match self.plan.config.untranslated {
            Untranslated::Pass => Refusal::Pass,
            Untranslated::Drop => Refusal::Drop(UNTRANSLATED),
        }
    }

    /// The session key of a packet from the IPv6 side.
    pub(super) fn key_of(&self, key: &FlowKey6, protocol: Protocol) -> Option<Key> {
        let peer_port = if protocol == Protocol::Icmp { 0 } else { key.dport };
        let peer = self.plan.prefix.extract(key.dst)?;
        Some(Key { host: key.src, peer, port: key.sport, peer_port, protocol })
    }

    /// A packet from the IPv6 side.
    fn outward(
        &mut self,
        from: FlowKey6,
        protocol: Protocol,
        event: Event,
    ) -> Result<(FlowKey, Delta), Refusal> {
        let key = self.key_of(&from, protocol).ok_or(Refusal::Drop(NOT_GLOBAL))?;
        let (to, delta) = match self.sessions.of_v6(&key) {
            Some(id) => {
                let passed = self.sessions.pass(&self.plan, id, (Side::V6, event.flags), event.now);
                let (key, session) = passed.ok_or(Refusal::Drop(NOT_OPENING))?;
                let to = key.v4(session.outside);
                // What follows the IPv4 address in the destination does not matter (RFC 6052 section 2.2), but counts.
                let is_usual = from.dst == self.plan.prefix.embed(key.peer);
                (to, if is_usual { session.to_v4 } else { change(&from.into(), &to.into()) })
            }
            None => {
                self.has_receiver(&key)?;
                let to = key.v4(self.open_outward(key, event).map_err(Refusal::Drop)?);
                (to, change(&from.into(), &to.into()))
            }
        };
        if !self.plan.is_outside(to.dst) {
            return Ok((to.into(), delta));
        }
        // To an IPv4 address of the translator: back from there (RFC 6146 section 3.8).
        let (to, _) = self.inward(to, protocol, event)?;
        Ok((to, change(&from.into(), &to)))
    }

    /// Whether what is sent to the translator's own IPv4 addresses is for somebody: else nothing begins.
    fn has_receiver(&self, key: &Key) -> Result<(), Refusal> {
        let peer = Endpoint { address: key.peer, port: key.peer_port, protocol: key.protocol.v4() };
        // Whom a query is for, only its identifier on the other side tells.
        let has = key.protocol == Protocol::Icmp
            || !self.plan.is_outside(peer.address)
            || self.plan.forward.0.contains_key(&peer)
            || self.bib.inside_of(peer).is_some();
        if has { Ok(()) } else { Err(Refusal::Drop(NO_MAPPING)) }
    }

    /// The first packet of a session from the IPv6 side: the IPv4 endpoint that stands for its sender.
    fn open_outward(&mut self, key: Key, event: Event) -> Result<Endpoint, Reason> {
        let plan = Arc::clone(&self.plan);
        let inside = key.inside();
        let fixed = plan.forward.1.get(&inside).copied();
        let bound = fixed.or_else(|| self.bib.get(inside).map(|binding| binding.outside));
        match (key.protocol, bound) {
            (Protocol::Icmp, _) if !event.asks => return Err(NOT_OPENING),
            // Something of a connection that nobody knows: it goes on if there is a binding, and changes nothing.
            (Protocol::Tcp, Some(outside)) if !tcp::opens(event.flags) => return Ok(outside),
            (Protocol::Tcp, None) if !tcp::opens(event.flags) => return Err(NOT_OPENING),
            _ => {}
        }
        if self.sessions.is_full() {
            self.turnover.no_place += 1;
            return Err(SESSIONS_EXHAUSTED);
        }
        let outside = match bound {
            Some(outside) => outside,
            None => {
                let Some(outside) = self.bib.choose(&plan, inside) else {
                    self.turnover.no_port += 1;
                    return Err(PORTS_EXHAUSTED);
                };
                if !self.bib.make(&plan, inside, outside) {
                    self.turnover.no_place += 1;
                    return Err(SESSIONS_EXHAUSTED);
                }
                self.turnover.mapped += 1;
                outside
            }
        };
        self.begin(key, outside, Side::V6, event.now)?;
        Ok(outside)
    }

    /// A packet from the IPv4 side.
    fn inward(
        &mut self,
        from: FlowKey4,
        protocol: Protocol,
        event: Event,
    ) -> Result<(FlowKey, Delta), Refusal> {
        let (to, delta) = match self.sessions.of_v4(&from) {
            Some(id) => {
                let passed = self.sessions.pass(&self.plan, id, (Side::V4, event.flags), event.now);
                let (key, session) = passed.ok_or(Refusal::Drop(NO_MAPPING))?;
                (key.v6(&self.plan).reversed(), session.to_v6)
            }
            None => {
                let key = self.open_inward(from, protocol, event).map_err(Refusal::Drop)?;
                let to = key.v6(&self.plan).reversed();
                (to, change(&from.into(), &to.into()))
            }
        };
        Ok((to.into(), delta))
    }

    /// The first packet of a session from the IPv4 side.
    fn open_inward(&mut self, from: FlowKey4, protocol: Protocol, event: Event) -> Result<Key, Reason> {
        let outside = Endpoint { address: from.dst, port: from.dport, protocol: protocol.v4() };
        let fixed = self.plan.forward.0.get(&outside).copied();
        let inside = fixed.or_else(|| self.bib.inside_of(outside)).ok_or(NO_MAPPING)?;
        if fixed.is_none() && !self.lets_in(outside, from.src) {
            return Err(FILTERED);
        }
        let peer_port = if protocol == Protocol::Icmp { 0 } else { from.sport };
        let key = Key { host: inside.address, peer: from.src, port: inside.port, peer_port, protocol };
        match protocol {
            Protocol::Icmp if !event.asks => return Err(NOT_OPENING),
            Protocol::Tcp if event.flags & RST != 0 && event.flags & SYN != 0 => return Err(NOT_OPENING),
            Protocol::Tcp if !tcp::opens(event.flags) => return Ok(key),
            _ => {}
        }
        if self.sessions.is_full() {
            self.turnover.no_place += 1;
            return Err(SESSIONS_EXHAUSTED);
        }
        self.begin(key, outside, Side::V4, event.now)?;
        Ok(key)
    }

    fn lets_in(&self, outside: Endpoint, remote: u32) -> bool {
        match self.plan.config.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => self.bib.lets_in(outside, remote),
        }
    }

    /// Makes a new session of a binding that is there.
    fn begin(&mut self, key: Key, outside: Endpoint, by: Side, now: Time) -> Result<(), Reason> {
        let state = (key.protocol == Protocol::Tcp).then(|| State::begun(by));
        let ends = Time::from_nanos(now.as_nanos().saturating_add(self.plan.lifetime(key.protocol, state)));
        if !self.enter(&Outline { key, outside, state, last: now, ends }) {
            self.bib.drop_unused(&Arc::clone(&self.plan), key.inside());
            self.turnover.no_place += 1;
            return Err(SESSIONS_EXHAUSTED);
        }
        self.turnover.opened += 1;
        Ok(())
    }

    /// Puts a session, whose binding is there, into its tables.
    pub(super) fn enter(&mut self, outline: &Outline) -> bool {
        let opened = self.sessions.open(&self.plan, outline);
        if opened {
            self.bib.hold(outline.key.inside(), outline.outside, outline.key.peer);
        }
        opened
    }

    /// Ends a session, and a binding that was only its own.
    pub(super) fn end(&mut self, key: &Key) {
        let closed = self.sessions.of_v6(key).and_then(|id| self.sessions.close(id));
        if let Some((key, session)) = closed {
            self.bib.release(&self.plan, key.inside(), session.outside, key.peer);
        }
    }

    /// Ends what was silent for too long.
    pub(super) fn expire(&mut self, now: Time, budget: usize) {
        let Translator { plan, sessions, bib, turnover, .. } = self;
        let expired = sessions.expire(now, budget, |key, session| {
            bib.release(plan, key.inside(), session.outside, key.peer);
        });
        turnover.expired += expired as u64;
    }

    /// The IPv4 endpoint that an IPv6 endpoint has, of whatever kind.
    pub(super) fn outside_of(&self, inside: Endpoint6) -> Option<Endpoint> {
        let fixed = self.plan.forward.1.get(&inside).copied();
        fixed.or_else(|| self.bib.get(inside).map(|binding| binding.outside))
    }
}

/// Which way a packet goes, by where it comes from and what it becomes.
fn way(from_v4: bool, to: &FlowKey) -> Way {
    match (from_v4, to) {
        (_, FlowKey::V4(_)) => Way::To4,
        (true, FlowKey::V6(_)) => Way::To6,
        (false, FlowKey::V6(_)) => Way::Hairpin,
    }
}

/// Whether a source route, by the data of the option, has places left to go to (RFC 791 section 3.1).
fn is_unexpired(data: &[u8]) -> bool {
    data.first().is_some_and(|pointer| usize::from(*pointer) <= data.len() + 2)
}

/// Whether an ICMP error is whole, and its checksum right; in IPv4 also that of the header inside it.
pub(super) fn is_sound<'a>(
    headers: &Headers,
    frame: &[u8],
    segments: impl Iterator<Item = &'a [u8]>,
    packet_len: usize,
) -> bool {
    let (Some(start), Some(len)) = (headers.l4_offset(), headers.l3_len()) else { return false };
    let end = headers.l3_offset() + len;
    let Some(inner) = headers.embedded(frame) else { return false };
    let (sum, inner_is_right) = match headers.ipv6_addresses(frame) {
        Some((src, dst)) => (Sum::pseudo_v6(src, dst, ip::ICMPV6, (end - start) as u32), true),
        None => {
            let header = frame.get(inner.l3_offset()..inner.l3_offset() + inner.ip_header_len());
            (Sum::new(), header.is_some_and(|header| Sum::new().bytes(header).is_valid()))
        }
    };
    let message = super::packet::pieces(segments, start, end - start);
    end <= packet_len && inner_is_right && message.fold(sum, Sum::bytes).is_valid()
}
