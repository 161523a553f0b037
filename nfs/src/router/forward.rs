//! The way of a packet that goes through: a short one for what is usual, and the whole one.

use super::icmp::Error;
use super::interface::{Hop, Interface, is_link_local};
use super::neighbours::Found;
use super::route::Route;
use super::routes::Way;
use super::usual::{Glance, HEAD, Usual};
use super::{
    Adjacency, BAD_CHECKSUM, DISCARD, LINK_LOCAL, MALFORMED, MARTIAN, MULTICAST, NEIGHBOURS_FULL,
    NO_INTERFACE, NO_ROUTE, NOT_IP, ONE_WAY, OTHER_HOST, QUEUE_FULL, Router, TAGGED, TOO_LONG, TTL,
};
use engine::{BURST, Burst, Cx, Reason};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tables::lpm::NONE;
use wire::flow::mix;
use wire::protocol::ether_type;
use wire::{Headers, Mac, Malformed, checksum, icmpv6, ipv4, ipv6};

/// Bytes of an Ethernet header.
const LINK: usize = 14;

/// A packet that is good and can go on, as far as its headers say.
struct Passenger {
    source: IpAddr,
    destination: IpAddr,
    length: usize,
    ttl: u8,
    /// IPv4: it may not be fragmented. IPv6 never may.
    whole: bool,
}

impl Router {
    /// Works on a burst: usual packets together, in stages, then the others one by one.
    #[inline]
    pub(super) fn forward(&mut self, burst: &mut Burst, cx: &mut Cx<'_>) {
        let n = burst.len();
        let all = if n == BURST { u32::MAX } else { (1 << n) - 1 };
        let Glance { destinations, lengths, quick } = match burst.common_ingress() {
            Some(port) => self.glance(burst, port),
            None => self.glance_at_each(burst),
        };
        let mut ways = [NONE; BURST];
        self.table.v4.lookup_bulk_or(&destinations[..n], NONE, &mut ways[..n]);
        let mut gates = [0u8; BURST];
        // By the default gate all leave, or not.
        let mut some_gate = 0;
        let mut left = all & !quick;
        let mut write = |i: usize, bytes: &mut [u8]| {
            let i = i % BURST;
            let gate = match self.adjacencies.get(ways[i] as usize) {
                Some(adjacency) if lengths[i] <= adjacency.mtu => rewrite(bytes, adjacency),
                Some(Adjacency { mtu: 0, .. }) => {
                    let adjacency = self.other_adjacency(ways[i], destinations[i], bytes);
                    if lengths[i] <= adjacency.mtu {
                        rewrite(bytes, &adjacency)
                    } else {
                        left |= 1 << i;
                        0
                    }
                }
                _ => {
                    left |= 1 << i;
                    0
                }
            };
            gates[i] = gate;
            some_gate |= gate;
        };
        if quick == all {
            burst.for_each_mut(write);
        } else {
            for i in bits(quick) {
                if let Some(bytes) = burst.bytes_mut(i) {
                    write(i, bytes);
                }
            }
        }
        if some_gate != 0 {
            choose_gates(burst, quick & !left, &gates);
        }
        for i in bits(left) {
            if let Err(reason) = self.single(burst, i, cx) {
                burst.drop(i, reason);
            }
        }
    }

    /// Looks at packets that all came by one port.
    #[inline(always)]
    fn glance(&self, burst: &Burst, port: u16) -> Glance {
        let mut glance = Glance::NOTHING;
        if let Some((_, interface)) = self.plan.on_port(port) {
            let usual = Usual::at(interface.mac);
            for (i, (bytes, length)) in burst.frames().enumerate().take(BURST) {
                glance.at(i, bytes, length, &usual);
            }
        }
        glance
    }

    /// Looks at packets each of which may have come by another port.
    #[inline(never)]
    fn glance_at_each(&self, burst: &Burst) -> Glance {
        let mut glance = Glance::NOTHING;
        for (i, (bytes, length)) in burst.frames().enumerate().take(BURST) {
            if let Some((_, interface)) = self.plan.on_port(burst.ingress(i)) {
                glance.at(i, bytes, length, &Usual::at(interface.mac));
            }
        }
        glance
    }

    /// That of one of several gateways, or of the neighbour that the packet is for.
    #[inline(never)]
    fn other_adjacency(&self, way: u32, destination: u32, frame: &[u8]) -> Adjacency {
        let Some(Way { route, members }) = self.table.ways.get(way as usize) else { return Adjacency::NONE };
        match route {
            Route::Via(_) => {
                // Of other packets only the whole way knows where the ports are.
                let Some(packet) = wire::parse(frame).usual_ipv4(frame) else { return Adjacency::NONE };
                let ((source, _), (sport, dport)) = (packet.addresses(), packet.ports());
                let flow = source ^ (u32::from(sport) << 16 | u32::from(dport)).rotate_left(16);
                let member = members.get(pick(flow, destination, self.plan.seed, members.len()));
                member.and_then(|&way| self.adjacencies.get(way as usize).copied()).unwrap_or(Adjacency::NONE)
            }
            Route::Link(interface) => {
                self.adjacency(&Hop::v4(*interface, destination)).unwrap_or(Adjacency::NONE)
            }
            _ => Adjacency::NONE,
        }
    }

    /// The whole way, of one packet. `Err`: it ends here.
    fn single(&mut self, burst: &mut Burst, i: usize, cx: &mut Cx<'_>) -> Result<(), Reason> {
        let plan = self.plan.clone();
        let (index, interface) = plan.on_port(burst.ingress(i)).ok_or(NO_INTERFACE)?;
        let headers = burst.headers(i);
        if headers.vlan_count() > 0 {
            return Err(TAGGED);
        }
        let frame = burst.bytes(i);
        let to = Mac(*frame.first_chunk().ok_or(MALFORMED)?);
        if to != interface.mac && !to.is_multicast() {
            return Err(OTHER_HOST);
        }
        match headers.ether_type() {
            ether_type::ARP => return self.arp(burst, i, index, interface, cx),
            ether_type::IPV4 | ether_type::IPV6 => {}
            _ => return Err(NOT_IP),
        }
        let passenger = examine(&headers, frame)?;
        let (source, destination) = (passenger.source, passenger.destination);
        let ours = destination == IpAddr::V6(interface.link_local);
        if let (IpAddr::V6(_), Some((icmpv6::NEIGHBOUR_SOLICITATION | icmpv6::NEIGHBOUR_ADVERTISEMENT, _))) =
            (source, headers.icmp_type_code(frame))
            && (destination.is_multicast() || ours || self.is_own(destination))
        {
            return self.discovery(burst, i, index, interface, cx);
        }
        if destination.is_multicast() || destination == IpAddr::V4(Ipv4Addr::BROADCAST) || to.is_multicast() {
            return Err(MULTICAST);
        }
        if !may_send(source) {
            return Err(MARTIAN);
        }
        if ours {
            return self.receive(burst, i, Some(Hop { interface: index, address: source }), cx);
        }
        if is_link_local(destination) {
            return Err(LINK_LOCAL);
        }
        let hop = match self.way_to(source, destination, &headers, frame) {
            None => return Err(self.tell(burst, i, Error::NoRoute, NO_ROUTE, cx)),
            Some(Route::Own(_)) => {
                let back = Hop { interface: index, address: source };
                return self.receive(burst, i, is_link_local(source).then_some(back), cx);
            }
            Some(Route::Discard) => return Err(DISCARD),
            Some(Route::Unreachable) => return Err(self.tell(burst, i, Error::NoRoute, NO_ROUTE, cx)),
            Some(Route::Link(interface)) => Hop { interface, address: destination },
            Some(Route::Via(hops)) => *hops.first().ok_or(NO_ROUTE)?,
        };
        // RFC 4291 section 2.5.6: what a link-local address sent stays on the link.
        if is_link_local(source) {
            return Err(LINK_LOCAL);
        }
        if passenger.ttl <= 1 {
            return Err(self.tell(burst, i, Error::TimeExceeded, TTL, cx));
        }
        let out = plan.interface(hop.interface).ok_or(NO_ROUTE)?;
        let gate = out.gate.ok_or(ONE_WAY)?;
        if passenger.length > usize::from(out.mtu) {
            if passenger.whole {
                return Err(self.tell(burst, i, Error::TooLong(out.mtu), TOO_LONG, cx));
            }
            return self.fragment(burst, i, &headers, hop, out, cx);
        }
        let Some(bytes) = burst.bytes_mut(i) else { return Ok(()) };
        lower_ttl(bytes);
        match self.neighbours.seek(hop, cx.now()) {
            Found::Known(mac) => {
                bytes[..6].copy_from_slice(&mac.0);
                bytes[6..12].copy_from_slice(&out.mac.0);
                burst.gate(i, gate);
                return Ok(());
            }
            Found::Full => return Err(NEIGHBOURS_FULL),
            Found::New => self.ask(&hop, None, cx),
            Found::Sought => {}
        }
        if let Some(packet) = burst.take(i)
            && let Some(evicted) = self.neighbours.wait(hop, packet)
        {
            cx.discard(evicted, QUEUE_FULL);
        }
        Ok(())
    }

    /// Where a packet goes; of several gateways one, the same for all packets of a flow.
    pub(super) fn way_to(
        &self,
        source: IpAddr,
        destination: IpAddr,
        headers: &Headers,
        frame: &[u8],
    ) -> Option<Route> {
        let way = match destination {
            IpAddr::V4(address) => self.table.v4.lookup(address.into()),
            IpAddr::V6(address) => self.table.v6.lookup(address.into()),
        }?;
        let Way { route, members } = self.table.ways.get(way as usize)?;
        if members.is_empty() {
            return Some(route.clone());
        }
        // Fragments of a datagram go together, whether they have ports or not.
        let ports = if headers.is_fragment() { None } else { headers.ports(frame) };
        let (sport, dport) = ports.unwrap_or_default();
        let ports = u32::from(sport) << 16 | u32::from(dport);
        let number = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let flow = u32::from(source) ^ ports.rotate_left(16);
                pick(flow, destination.into(), self.plan.seed, members.len())
            }
            _ => {
                let folded = |address| match address {
                    IpAddr::V4(address) => u64::from(u32::from(address)),
                    IpAddr::V6(address) => {
                        let bits = u128::from(address);
                        mix((bits >> 64) as u64, bits as u64, self.plan.seed)
                    }
                };
                let both = mix(folded(source), folded(destination), self.plan.seed);
                pick(both as u32 ^ ports, (both >> 32) as u32, self.plan.seed, members.len())
            }
        };
        self.table.ways.get(*members.get(number)? as usize).map(|way| way.route.clone())
    }

    /// Whether an address is one of the router's.
    pub(super) fn is_own(&self, address: IpAddr) -> bool {
        self.plan.interfaces.iter().any(|interface: &Interface| interface.has(address))
    }
}

/// One of `count` members for a flow.
#[inline]
fn pick(flow: u32, destination: u32, seed: u64, count: usize) -> usize {
    let hash = mix(u64::from(flow), u64::from(destination), seed) as u32;
    ((u64::from(hash) * count as u64) >> 32) as usize
}

/// Gates of those packets that take the short way and were not lost for want of a copy.
fn choose_gates(burst: &mut Burst, quick: u32, gates: &[u8; BURST]) {
    for i in bits(quick) {
        if gates[i] != 0 && burst.verdict(i) == engine::Verdict::Forward {
            burst.gate(i, gates[i]);
        }
    }
}

/// The numbers of the bits that are set, from the lowest on.
#[inline(always)]
fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let i = mask.trailing_zeros() as usize;
        mask &= mask.wrapping_sub(1);
        (i < BURST).then_some(i)
    })
}

/// Writes MAC addresses and a TTL lowered by one, with the checksum, into a usual packet; the gate by which it leaves.
#[inline(always)]
fn rewrite(bytes: &mut [u8], adjacency: &Adjacency) -> u8 {
    if let Some(head) = bytes.first_chunk_mut::<HEAD>() {
        head[..12].copy_from_slice(&adjacency.rewrite);
        head[22] = head[22].wrapping_sub(1);
        let sum = u16::from_be_bytes([head[24], head[25]]);
        [head[24], head[25]] = checksum::update_ttl(sum).to_be_bytes();
    }
    adjacency.gate
}

/// The same for the TTL or hop limit of any good packet.
fn lower_ttl(bytes: &mut [u8]) {
    let Some(packet) = bytes.get_mut(LINK..) else { return };
    if let Ok(mut packet) = ipv4::Packet::new_checked(&mut packet[..]) {
        packet.decrement_ttl();
    } else if let Ok(mut packet) = ipv6::Packet::new_checked(packet) {
        packet.decrement_hop_limit();
    }
}

/// Whether a source address may be in a packet that is forwarded (RFC 1812 section 5.3.7).
fn may_send(source: IpAddr) -> bool {
    match source {
        IpAddr::V4(source) => !matches!(source.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(source) => {
            !(source.is_multicast() || source == Ipv6Addr::UNSPECIFIED || source == Ipv6Addr::LOCALHOST)
        }
    }
}

/// Reads what forwarding depends on, if the packet is good. What is wrong above IP is not a router's affair.
fn examine(headers: &Headers, frame: &[u8]) -> Result<Passenger, Reason> {
    use Malformed::*;
    let wrong = matches!(
        headers.malformed(),
        Some(
            EthernetTruncated
                | Ipv4Truncated
                | Ipv4BadVersion
                | Ipv4BadHeaderLength
                | Ipv4BadTotalLength
                | Ipv4PayloadTruncated
                | Ipv4BadOption
                | Ipv6Truncated
                | Ipv6BadVersion
                | Ipv6PayloadTruncated
        )
    );
    if wrong || headers.is_cut() || headers.l3_offset() != LINK {
        return Err(MALFORMED);
    }
    let (source, destination) = headers.addresses(frame).ok_or(MALFORMED)?;
    let length = headers.l3_len().ok_or(MALFORMED)?;
    let ttl = headers.ttl(frame).ok_or(MALFORMED)?;
    let mut whole = true;
    if headers.is_ipv4() {
        let bytes = frame.get(LINK..).ok_or(MALFORMED)?;
        let packet = ipv4::Packet::new_checked(bytes).map_err(|_| MALFORMED)?;
        if !packet.checksum_is_valid() {
            return Err(BAD_CHECKSUM);
        }
        whole = packet.dont_fragment();
    }
    Ok(Passenger { source, destination, length, ttl, whole })
}
