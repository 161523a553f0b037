//! The way of a packet that goes through: a short one for what is usual, and the whole one.

use super::icmp::Error;
use super::interface::{Hop, Interface, is_link_local};
use super::neighbours::Found;
use super::route::Route;
use super::routes::Way;
use super::{
    Adjacency, BAD_CHECKSUM, DISCARD, LINK_LOCAL, MALFORMED, MARTIAN, MULTICAST, NEIGHBOURS_FULL,
    NO_INTERFACE, NO_ROUTE, NOT_IP, ONE_WAY, OTHER_HOST, QUEUE_FULL, Router, TAGGED, TOO_LONG, TTL,
};
use engine::{BURST, Burst, Cx, Reason};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wire::flow::mix;
use wire::protocol::ether_type;
use wire::{Headers, Mac, Malformed, checksum, icmpv6, ipv4, ipv6};

/// In place of a way: there is no route.
const NOWHERE: u32 = u32::MAX;
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
        let mut ingress = [0u16; BURST];
        for (i, ingress) in ingress.iter_mut().enumerate().take(n) {
            *ingress = burst.ingress(i);
        }
        let mut destinations = [0u32; BURST];
        let mut lengths = [0u16; BURST];
        // Bit i: packet i takes the short way.
        let mut quick = 0u32;
        let mut known = (u16::MAX, None);
        for i in 0..n {
            if ingress[i] != known.0 {
                known = (ingress[i], self.plan.on_port(ingress[i]).map(|(_, interface)| interface.mac));
            }
            let (Some(mac), Some(head)) = (known.1, burst.bytes(i).first_chunk::<34>()) else { continue };
            destinations[i] = u32::from_be_bytes([head[30], head[31], head[32], head[33]]);
            lengths[i] = u16::from_be_bytes([head[16], head[17]]);
            quick |= u32::from(is_usual(head, mac, burst.packet_len(i))) << i;
        }
        let mut ways = [NOWHERE; BURST];
        self.table.v4.lookup_bulk_or(&destinations[..n], NOWHERE, &mut ways[..n]);
        let mut adjacencies = [Adjacency::NONE; BURST];
        // By the default gate all leave, or not.
        let mut gates = 0;
        for i in 0..n {
            let adjacency = self.quick_adjacency(ways[i], destinations[i], burst, i);
            adjacencies[i] = adjacency;
            gates |= adjacency.gate;
            quick &= !(u32::from(lengths[i] > adjacency.mtu) << i);
        }
        let all = if n == BURST { u32::MAX } else { (1 << n) - 1 };
        if quick == all {
            burst.for_each_mut(|i, bytes| rewrite(bytes, &adjacencies[i % BURST]));
            if gates != 0 {
                self.choose_gates(burst, quick, &adjacencies);
            }
            return;
        }
        let mut rest = quick;
        while rest != 0 {
            let i = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            if let Some(bytes) = burst.bytes_mut(i) {
                rewrite(bytes, &adjacencies[i]);
            }
        }
        self.choose_gates(burst, quick, &adjacencies);
        let mut rest = all & !quick;
        while rest != 0 {
            let i = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            if let Err(reason) = self.single(burst, i, ingress[i], cx) {
                burst.drop(i, reason);
            }
        }
    }

    /// Gates of those packets that take the short way and were not lost for want of a copy.
    fn choose_gates(&self, burst: &mut Burst, quick: u32, adjacencies: &[Adjacency; BURST]) {
        let mut rest = quick;
        while rest != 0 {
            let i = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            if adjacencies[i].gate != 0 && burst.verdict(i) == engine::Verdict::Forward {
                burst.gate(i, adjacencies[i].gate);
            }
        }
    }

    /// What to write into a usual packet; one without an MTU when that is not as simple.
    #[inline(always)]
    fn quick_adjacency(&self, way: u32, destination: u32, burst: &Burst, i: usize) -> Adjacency {
        match self.adjacencies.get(way as usize) {
            Some(adjacency) if adjacency.mtu != 0 => *adjacency,
            Some(_) => self.other_adjacency(way, destination, burst.bytes(i)),
            None => Adjacency::NONE,
        }
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
    fn single(&mut self, burst: &mut Burst, i: usize, ingress: u16, cx: &mut Cx<'_>) -> Result<(), Reason> {
        let plan = self.plan.clone();
        let (index, interface) = plan.on_port(ingress).ok_or(NO_INTERFACE)?;
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

/// Writes MAC addresses and a TTL lowered by one, with the checksum, into a usual packet.
#[inline(always)]
fn rewrite(bytes: &mut [u8], adjacency: &Adjacency) {
    let Some(head) = bytes.first_chunk_mut::<34>() else { return };
    head[..12].copy_from_slice(&adjacency.rewrite);
    let old = u16::from_be_bytes([head[22], head[23]]);
    let sum = u16::from_be_bytes([head[24], head[25]]);
    head[22] = head[22].wrapping_sub(1);
    let sum = checksum::update_u16(sum, old, old.wrapping_sub(0x0100));
    [head[24], head[25]] = sum.to_be_bytes();
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

/// Whether a frame is what most are: for the router, untagged, with a good IPv4 header without options, and to be
/// forwarded as far as that header says. What it carries is not looked at.
#[inline(always)]
fn is_usual(head: &[u8; 34], mac: Mac, length: usize) -> bool {
    let word =
        |at: usize| u64::from(u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]));
    // RFC 1812 section 5.2.2: a router must verify the checksum.
    let total = word(14) + word(18) + word(22) + word(26) + word(30);
    let total = (total & 0xffff_ffff) + (total >> 32);
    let total = (total & 0xffff) + (total >> 16);
    let sum = (total & 0xffff) + (total >> 16);
    let packet = usize::from(u16::from_be_bytes([head[16], head[17]]));
    let source = u32::from_be_bytes([head[26], head[27], head[28], head[29]]);
    // Without branches of their own: all of them hold for nearly every packet.
    (head[..6] == mac.0)
        & (head[12..15] == [0x08, 0x00, 0x45])
        & (sum == 0xffff)
        & (head[22] > 1)
        & (packet >= 20)
        & (LINK + packet <= length)
        & may_send_v4(source)
}

/// Whether a source address may be in a packet that is forwarded (RFC 1812 section 5.3.7).
#[inline(always)]
fn may_send_v4(source: u32) -> bool {
    let first = source >> 24;
    first.wrapping_sub(1) < 223 && first != 127
}

fn may_send(source: IpAddr) -> bool {
    match source {
        IpAddr::V4(source) => may_send_v4(source.into()),
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
