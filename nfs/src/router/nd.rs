//! Neighbour discovery (RFC 4861): solicitations and advertisements. Router advertisements are not sent.

use super::interface::Interface;
use super::{ANSWERED, BAD_MESSAGE, CONFLICTS, Router};
use engine::{Burst, Cx, Reason};
use std::net::{IpAddr, Ipv6Addr};
use wire::builder::Builder;
use wire::checksum::Sum;
use wire::protocol::{ether_type, ip};
use wire::{Mac, icmpv6};

/// Options: the link-layer address of the sender, and of the target.
const SOURCE_LINK: u8 = 1;
const TARGET_LINK: u8 = 2;
/// Flags of an advertisement: from a router, in answer to a solicitation, and to be believed over what was known.
const ROUTER: u32 = 1 << 31;
const SOLICITED: u32 = 1 << 30;
const OVERRIDE: u32 = 1 << 29;
/// What a packet's first segment has at least: no message is longer.
const FIRST_SEGMENT: usize = 256;
/// All nodes of a link.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

impl Router {
    /// A solicitation or an advertisement that came in by an interface.
    pub(super) fn discovery(
        &mut self,
        burst: &mut Burst,
        i: usize,
        index: u16,
        interface: &Interface,
        cx: &mut Cx<'_>,
    ) -> Result<(), Reason> {
        let headers = burst.headers(i);
        let frame = burst.bytes(i);
        let (source, destination) = headers.ipv6_addresses(frame).ok_or(BAD_MESSAGE)?;
        let end = headers.l3_offset() + headers.l3_len().ok_or(BAD_MESSAGE)?;
        if end > FIRST_SEGMENT {
            return Err(BAD_MESSAGE);
        }
        let message = headers.l4_offset().and_then(|at| frame.get(at..end)).ok_or(BAD_MESSAGE)?;
        let sum = Sum::pseudo_v6(source, destination, ip::ICMPV6, message.len() as u32);
        let target = message.get(8..24).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        let target = Ipv6Addr::from(target.ok_or(BAD_MESSAGE)?);
        // RFC 4861 sections 7.1.1 and 7.1.2.
        let from_here = headers.ttl(frame) == Some(255);
        if !from_here || message[1] != 0 || target.is_multicast() || !sum.bytes(message).is_valid() {
            return Err(BAD_MESSAGE);
        }
        let (source, destination) = (Ipv6Addr::from(source), Ipv6Addr::from(destination));
        let flags = u32::from_be_bytes([message[4], message[5], message[6], message[7]]);
        if message[0] == icmpv6::NEIGHBOUR_SOLICITATION {
            let mac = link_address(&message[24..], SOURCE_LINK)?;
            self.solicited(source, target, mac, (index, interface), cx)?;
        } else {
            let mac = link_address(&message[24..], TARGET_LINK)?;
            if destination.is_multicast() && flags & SOLICITED != 0 {
                return Err(BAD_MESSAGE);
            }
            self.advertised(target, flags, mac, (index, interface), cx);
        }
        burst.absorb(i);
        Ok(())
    }

    fn solicited(
        &mut self,
        source: Ipv6Addr,
        target: Ipv6Addr,
        mac: Option<Mac>,
        (index, interface): (u16, &Interface),
        cx: &mut Cx<'_>,
    ) -> Result<(), Reason> {
        let duplicate_test = source.is_unspecified();
        if duplicate_test && mac.is_some() {
            return Err(BAD_MESSAGE);
        }
        if !interface.has(target.into()) {
            return Ok(());
        }
        let hop = self.neighbour(index, source.into());
        if let (Some(hop), Some(mac)) = (hop, mac) {
            self.heard(hop, mac, true, true, cx);
        }
        let (to, flags) = match hop {
            Some(_) => (source, ROUTER | SOLICITED | OVERRIDE),
            None if duplicate_test => (ALL_NODES, ROUTER | OVERRIDE),
            None => return Ok(()),
        };
        let message = Builder::default()
            .ipv6(target, to)
            .ttl(255)
            .icmp(icmpv6::NEIGHBOUR_ADVERTISEMENT, 0, flags)
            .payload(&body(target, TARGET_LINK, interface.mac))
            .build();
        cx.count(ANSWERED, 1);
        match (hop, mac) {
            (Some(_), Some(mac)) => self.send_direct(interface, mac, ether_type::IPV6, &message, cx),
            (Some(hop), None) => self.send(hop, &message, cx),
            (None, _) => {
                let all = Mac::of_ipv6_multicast(ALL_NODES.into());
                self.send_direct(interface, all, ether_type::IPV6, &message, cx);
            }
        }
        Ok(())
    }

    /// RFC 4861 section 7.2.5: only of neighbours that are known or sought.
    fn advertised(
        &mut self,
        target: Ipv6Addr,
        flags: u32,
        mac: Option<Mac>,
        (index, interface): (u16, &Interface),
        cx: &mut Cx<'_>,
    ) {
        let Some(hop) = self.neighbour(index, target.into()) else {
            if interface.has(target.into()) {
                cx.count(CONFLICTS, 1);
                cx.event("address_conflict", u64::from(interface.port));
            }
            return;
        };
        let known = self.neighbours.get(&hop).and_then(|known| known.mac);
        let mac = match (known, mac) {
            (None, Some(mac)) => mac,
            (Some(known), Some(mac)) if flags & OVERRIDE != 0 || known == mac => mac,
            // It is still there, at the address that is known.
            (Some(known), None) if flags & SOLICITED != 0 => known,
            _ => return,
        };
        self.answered(hop, mac, cx);
    }

    /// Solicits a neighbour.
    pub(super) fn ask_v6(&mut self, address: Ipv6Addr, out: &Interface, mac: Option<Mac>, cx: &mut Cx<'_>) {
        let Some(IpAddr::V6(own)) = out.source_for(address.into()) else { return };
        // The solicited-node group (RFC 4291 section 2.7.1).
        let group = u128::from(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0));
        let group = group | u128::from(address) & 0xff_ffff;
        let (to, mac) = match mac {
            Some(mac) => (address, mac),
            None => (Ipv6Addr::from(group), Mac::of_ipv6_multicast(group)),
        };
        let message = Builder::default()
            .ipv6(own, to)
            .ttl(255)
            .icmp(icmpv6::NEIGHBOUR_SOLICITATION, 0, 0)
            .payload(&body(address, SOURCE_LINK, out.mac))
            .build();
        self.send_direct(out, mac, ether_type::IPV6, &message, cx);
    }
}

/// Target address and one option with a link-layer address.
fn body(target: Ipv6Addr, option: u8, mac: Mac) -> Vec<u8> {
    let mut bytes = target.octets().to_vec();
    bytes.extend([option, 1]);
    bytes.extend(mac.0);
    bytes
}

/// The link-layer address in options, if there is one.
fn link_address(mut options: &[u8], wanted: u8) -> Result<Option<Mac>, Reason> {
    let mut found = None;
    while let [kind, len, ..] = *options {
        let len = usize::from(len) * 8;
        if len == 0 || len > options.len() {
            return Err(BAD_MESSAGE);
        }
        let (option, rest) = options.split_at(len);
        if kind == wanted
            && let Some(mac) = option.get(2..8).and_then(|mac| mac.first_chunk())
        {
            found = Some(Mac(*mac));
        }
        options = rest;
    }
    if !options.is_empty() || found.is_some_and(|mac| !mac.is_unicast()) {
        return Err(BAD_MESSAGE);
    }
    Ok(found)
}
