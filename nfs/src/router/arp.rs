//! ARP (RFC 826): the router's own addresses are answered for, and neighbours heard.

use super::interface::Interface;
use super::{ANSWERED, BAD_MESSAGE, CONFLICTS, Router};
use engine::{Burst, Cx, Reason};
use std::net::{IpAddr, Ipv4Addr};
use wire::builder::Builder;
use wire::protocol::ether_type;
use wire::{Mac, arp};

const LINK: usize = 14;

impl Router {
    /// A message that came in by an interface.
    pub(super) fn arp(
        &mut self,
        burst: &mut Burst,
        i: usize,
        index: u16,
        interface: &Interface,
        cx: &mut Cx<'_>,
    ) -> Result<(), Reason> {
        let bytes = burst.bytes(i).get(LINK..).ok_or(BAD_MESSAGE)?;
        let message = arp::Packet::new_checked(bytes).map_err(|_| BAD_MESSAGE)?;
        let (operation, mac) = (message.operation(), message.sender_mac());
        let sender = Ipv4Addr::from(message.sender_ip());
        let target = Ipv4Addr::from(message.target_ip());
        if !mac.is_unicast() || !matches!(operation, arp::REQUEST | arp::REPLY) {
            return Err(BAD_MESSAGE);
        }
        let ours = interface.addresses.iter().any(|(own, _)| *own == IpAddr::V4(target));
        let hop = self.neighbour(index, sender.into());
        if let Some(hop) = hop {
            // Whoever asks for the router will be answered, and soon be spoken to: it may be new.
            if ours && operation == arp::REQUEST {
                self.heard(hop, mac, true, true, cx);
            } else {
                self.answered(hop, mac, cx);
            }
        } else if interface.has(sender.into()) && mac != interface.mac {
            cx.count(CONFLICTS, 1);
            cx.event("address_conflict", u64::from(u32::from(sender)));
        }
        let probe = sender.is_unspecified();
        if operation == arp::REQUEST && ours && (hop.is_some() || probe) {
            let reply = message_of(arp::REPLY, (interface.mac, target), (mac, sender));
            cx.count(ANSWERED, 1);
            self.send_direct(interface, mac, ether_type::ARP, &reply, cx);
        }
        burst.absorb(i);
        Ok(())
    }

    /// Asks who has an address.
    pub(super) fn ask_v4(&mut self, address: Ipv4Addr, out: &Interface, mac: Option<Mac>, cx: &mut Cx<'_>) {
        let Some(IpAddr::V4(own)) = out.source_for(address.into()) else { return };
        let question = message_of(arp::REQUEST, (out.mac, own), (Mac::ZERO, address));
        self.send_direct(out, mac.unwrap_or(Mac::BROADCAST), ether_type::ARP, &question, cx);
    }
}

fn message_of(operation: u16, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Vec<u8> {
    Builder::default().arp(operation, sender, target).build()
}
