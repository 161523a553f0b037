//! Packets that the router sends itself, those that waited, and fragments.

use super::icmp::gather;
use super::interface::{Hop, Interface, is_link_local};
use super::neighbours::Found;
use super::route::Route;
use super::{ASKED, FRAGMENTED, FRAGMENTS, NEIGHBOURS_FULL, NO_ROOM, QUEUE_FULL, Router, UNRESOLVED, UNSENT};
use engine::{Burst, Cx, Reason};
use std::net::IpAddr;
use wire::protocol::ether_type;
use wire::{Headers, Mac, ipv4};

const LINK: usize = 14;
/// More fragments follow.
const MORE: u16 = 0x2000;
/// Padding between options, and what stands for one that is not copied.
const NO_OPERATION: u8 = 1;

impl Router {
    /// The hop that leads to an address.
    pub(super) fn hop_to(&self, address: IpAddr) -> Option<Hop> {
        match self.way_to(address, address, &Headers::default(), &[])? {
            Route::Via(hops) => hops.first().copied(),
            Route::Link(interface) => Some(Hop { interface, address }),
            Route::Own(_) | Route::Discard | Route::Unreachable => None,
        }
    }

    /// Sends an IP packet of the router's own.
    pub(super) fn send(&mut self, hop: Hop, packet: &[u8], cx: &mut Cx<'_>) {
        let plan = self.plan.clone();
        let Some(out) = plan.interface(hop.interface) else { return };
        if out.gate.is_none() {
            return cx.count(UNSENT, 1);
        }
        if packet.len() <= usize::from(out.mtu) {
            return self.launch(hop, out, packet, cx);
        }
        let long = ipv4::Packet::new_checked(packet).is_ok_and(|packet| !packet.dont_fragment());
        if !long || self.cut(hop, out, packet, cx).is_err() {
            cx.count(UNSENT, 1);
        }
    }

    /// Sends an IP packet that fits, now or when the neighbour is known.
    fn launch(&mut self, hop: Hop, out: &Interface, packet: &[u8], cx: &mut Cx<'_>) {
        let found = self.neighbours.seek(hop, cx.now());
        let mac = match found {
            Found::Known(mac) => mac,
            Found::New | Found::Sought => Mac::ZERO,
            Found::Full => return cx.count(UNSENT, 1),
        };
        let kind = if packet.first().is_some_and(|byte| byte >> 4 == 6) {
            ether_type::IPV6
        } else {
            ether_type::IPV4
        };
        let Some(frame) = self.frame(out, mac, kind, packet, cx) else { return cx.count(UNSENT, 1) };
        match found {
            Found::Known(_) => cx.emit(out.gate.unwrap_or(0), frame),
            _ => {
                if let Some(evicted) = self.neighbours.wait(hop, frame) {
                    cx.discard(evicted, QUEUE_FULL);
                }
                if found == Found::New {
                    self.ask(&hop, None, cx);
                }
            }
        }
    }

    fn frame(
        &mut self,
        out: &Interface,
        to: Mac,
        kind: u16,
        packet: &[u8],
        cx: &mut Cx<'_>,
    ) -> Option<engine::Packet> {
        let mut made = std::mem::take(&mut self.made);
        made.clear();
        made.extend_from_slice(&to.0);
        made.extend_from_slice(&out.mac.0);
        made.extend_from_slice(&kind.to_be_bytes());
        made.extend_from_slice(packet);
        let frame = cx.new_packet().and_then(|mut frame| frame.fill(&made).then_some(frame));
        self.made = made;
        frame
    }

    /// Sends a message to a MAC address that is known without asking.
    pub(super) fn send_direct(
        &mut self,
        out: &Interface,
        to: Mac,
        kind: u16,
        message: &[u8],
        cx: &mut Cx<'_>,
    ) {
        let Some(gate) = out.gate else { return cx.count(UNSENT, 1) };
        match self.frame(out, to, kind, message, cx) {
            Some(frame) => cx.emit(gate, frame),
            None => cx.count(UNSENT, 1),
        }
    }

    /// Asks for a neighbour: at its address, when it had one.
    pub(super) fn ask(&mut self, hop: &Hop, mac: Option<Mac>, cx: &mut Cx<'_>) {
        let plan = self.plan.clone();
        let Some(out) = plan.interface(hop.interface) else { return };
        cx.count(ASKED, 1);
        match hop.address {
            IpAddr::V4(address) => self.ask_v4(address, out, mac, cx),
            IpAddr::V6(address) => self.ask_v6(address, out, mac, cx),
        }
    }

    /// A neighbour was found: what waited for it goes.
    pub(super) fn release(&mut self, hop: &Hop, cx: &mut Cx<'_>) {
        let Some(adjacency) = self.adjacency(hop) else { return };
        while cx.emit_room() > 0
            && let Some(mut packet) = self.neighbours.next_waiting(hop)
        {
            match packet.bytes_mut().and_then(|bytes| bytes.first_chunk_mut::<12>()) {
                Some(macs) => {
                    *macs = adjacency.rewrite;
                    cx.emit(adjacency.gate, packet);
                }
                None => cx.discard(packet, Reason::NO_MBUFS),
            }
        }
        while let Some(packet) = self.neighbours.next_waiting(hop) {
            cx.discard(packet, NO_ROOM);
        }
    }

    /// Cuts a packet of the burst into fragments that fit.
    pub(super) fn fragment(
        &mut self,
        burst: &mut Burst,
        i: usize,
        headers: &Headers,
        hop: Hop,
        out: &Interface,
        cx: &mut Cx<'_>,
    ) -> Result<(), Reason> {
        let mut whole = std::mem::take(&mut self.whole);
        gather(&mut whole, burst.segments(i), usize::MAX);
        let length = headers.l3_len().unwrap_or(0);
        let cut = match whole.get_mut(LINK..LINK + length) {
            Some(packet) => {
                if let Ok(mut packet) = ipv4::Packet::new_checked(&mut *packet) {
                    packet.decrement_ttl();
                }
                self.cut(hop, out, packet, cx)
            }
            None => Err(super::MALFORMED),
        };
        self.whole = whole;
        cut.map(|()| burst.absorb(i))
    }

    /// Sends an IPv4 packet in fragments (RFC 791 section 3.2): all of them or none.
    fn cut(&mut self, hop: Hop, out: &Interface, packet: &[u8], cx: &mut Cx<'_>) -> Result<(), Reason> {
        let view = ipv4::Packet::new_checked(packet).map_err(|_| super::MALFORMED)?;
        let (header, data) = packet.split_at(view.header_len());
        let step = (usize::from(out.mtu) - header.len()) & !7;
        if data.len().div_ceil(step) > cx.emit_room() {
            return Err(NO_ROOM);
        }
        match self.neighbours.seek(hop, cx.now()) {
            Found::Full => return Err(NEIGHBOURS_FULL),
            Found::New => self.ask(&hop, None, cx),
            Found::Known(_) | Found::Sought => {}
        }
        cx.count(FRAGMENTED, 1);
        let fields = view.fragment();
        let mut piece = [0u8; 1 << 11];
        let mut long;
        for (i, part) in data.chunks(step).enumerate() {
            let more = (i + 1) * step < data.len() || fields & MORE != 0;
            let offset = (fields & 0x1fff).wrapping_add((i * step / 8) as u16);
            // Of usual frames there is a place on the stack; of jumbo frames in memory.
            let total = header.len() + part.len();
            let bytes = match piece.get_mut(..total) {
                Some(bytes) => bytes,
                None => {
                    long = vec![0; total];
                    &mut long[..]
                }
            };
            bytes[..header.len()].copy_from_slice(header);
            bytes[header.len()..].copy_from_slice(part);
            if i > 0 {
                forget_options(&mut bytes[20..header.len()]);
            }
            if let Ok(mut fragment) = ipv4::Packet::new_checked(&mut *bytes) {
                fragment.set_total_len(total as u16);
                fragment.set_fragment(fields & 0xc000 | offset & 0x1fff | if more { MORE } else { 0 });
                fragment.fill_checksum();
            }
            cx.count(FRAGMENTS, 1);
            self.launch(hop, out, bytes, cx);
        }
        Ok(())
    }

    /// The interface of a message, when an address is near enough to be a neighbour there.
    pub(super) fn neighbour(&self, interface: u16, address: IpAddr) -> Option<Hop> {
        let on = self.plan.interface(interface)?;
        let near = (on.reaches(address) || is_link_local(address))
            && !on.has(address)
            && !address.is_unspecified()
            && !address.is_multicast();
        near.then_some(Hop { interface, address })
    }

    /// Lets packets go that wait for neighbours of a former configuration.
    pub(super) fn let_go(&mut self, cx: &mut Cx<'_>) {
        while let Some(packet) = self.neighbours.pop_waiting() {
            cx.discard(packet, UNRESOLVED);
        }
    }
}

/// Options that only the first fragment carries give way to padding, so that the header keeps its length.
fn forget_options(options: &mut [u8]) {
    let mut at = 0;
    while let Some(&kind) = options.get(at) {
        let len = match kind {
            0 => return,
            NO_OPERATION => 1,
            _ => options.get(at + 1).map_or(0, |len| usize::from(*len)),
        };
        if len == 0 || at + len > options.len() {
            return;
        }
        if kind & 0x80 == 0 {
            options[at..at + len].fill(NO_OPERATION);
        }
        at += len;
    }
}
