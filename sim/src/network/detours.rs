//! What becomes of the packets of priority flows at a node, as SMART has it.

use super::Network;
use crate::detour::Merged;
use crate::packet::Packet;
use crate::schedule::Event;
use crate::topology::NodeId;
use crate::traffic::Arrival;
use smart::policy::Way;

impl<F: Iterator<Item = Arrival>> Network<'_, F> {
    /// A packet goes on from a node, as SMART has it.
    pub(super) fn proceed(&mut self, node: NodeId, packet: Packet) {
        let flow = &mut self.flows[packet.flow as usize];
        let Some(smart) = self.smart.as_mut().filter(|_| flow.arrival.priority && packet.is_data()) else {
            return self.on(packet);
        };
        // At its host a packet waits for the host's own packets: no route helps there.
        let link = flow.link(&packet).filter(|_| packet.hop > 0);
        let waits = link.map_or(0, |link| self.links[link as usize].waiting(self.now));
        // On its first route, if it has no other, or on that other one.
        let route = flow.plan.as_ref().map_or(0, |plan| plan.route);
        if let Some(link) = link.filter(|_| packet.route == route)
            && smart.notice(packet.flow, flow, (link, waits), packet.number, self.now)
        {
            flow.noticed = true;
            self.schedule.add(self.now + smart.terms.reaction, Event::Notice(packet.flow));
        }
        let Some(plan) = &mut flow.plan else { return self.on(packet) };
        if node == plan.from && packet.route == 0 && packet.number >= plan.packet {
            let other = Packet { route: plan.route, ..packet };
            if plan.way == Way::Divert {
                flow.count.diverted += 1;
                return self.on(other);
            }
            flow.count.cloned += 1;
            self.account.made += 1;
            let yields = smart.yields(plan, &packet, waits);
            let copy = Packet { made: true, ..self.nfs.copy(other) };
            self.on(copy);
            return if yields { self.yields(packet) } else { self.on(packet) };
        }
        if smart.yields(plan, &packet, waits) {
            return self.yields(packet);
        }
        if node != plan.to {
            return self.on(packet);
        }
        let hold = smart.terms.hold;
        let merged = plan.merge.take(packet, self.now);
        if let (Merged::Held, Some(due)) = (&merged, plan.merge.due(hold)) {
            self.schedule.add(due, Event::Merge(packet.flow));
        }
        match merged {
            Merged::On(packets) => packets.into_iter().for_each(|packet| self.on(packet)),
            Merged::Held => {}
            Merged::Copy => {
                self.account.absorbed += 1;
                self.nfs.release(packet);
            }
        }
    }

    /// A packet is not sent where it would wait, as a copy of it is under way.
    fn yields(&mut self, packet: Packet) {
        if let Some(smart) = &mut self.smart {
            smart.yielded += 1;
        }
        self.account.absorbed += 1;
        self.nfs.release(packet);
    }

    /// The controller has decided on a flow.
    pub(super) fn decide(&mut self, number: u32) {
        let flow = &mut self.flows[number as usize];
        if let (Some(smart), false) = (&mut self.smart, flow.sender.is_done()) {
            smart.decide(number, flow, self.now, self.setting.topology);
        }
    }

    /// A merge point stops waiting, if it is time.
    pub(super) fn give_up(&mut self, number: u32) {
        let (Some(smart), Some(plan)) = (&self.smart, &mut self.flows[number as usize].plan) else { return };
        match plan.merge.due(smart.terms.hold) {
            Some(due) if due > self.now => self.schedule.add(due, Event::Merge(number)),
            Some(_) => plan.merge.give_up().into_iter().for_each(|packet| self.on(packet)),
            None => {}
        }
    }
}
