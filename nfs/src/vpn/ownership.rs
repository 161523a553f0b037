//! Which worker owns a packet: an association's sequence numbers and its window are in one place.
//!
//! What arrives is owned by its outer addresses, and what leaves by those that it will have. So all associations
//! between two ends meet one worker, both ways. Where the other end may have any address, as behind NAT, all
//! associations of this end do.

use super::config::Plan;
use crate::tunnel::Ends;
use engine::Ownership;
use wire::flow::{DEFAULT_SEED, mix};
use wire::protocol::ip;
use wire::{FlowKey, FlowKey4, FlowKey6};

impl Ownership for Plan {
    fn owner(&self, flow: &FlowKey) -> u32 {
        let arriving = match flow.protocol() {
            ip::ESP => self.groups.get(&(flow.destination(), Some(flow.source()))),
            ip::UDP if self.udp_ports.contains(&flow.destination_port()) => {
                self.groups.get(&(flow.destination(), None))
            }
            _ => None,
        };
        let leaving = || self.tunnels.get(self.tunnel(flow)?).map(|tunnel| tunnel.group);
        match arriving.copied().or_else(leaving) {
            Some(group) => (mix(group.into(), 0, DEFAULT_SEED) >> 32) as u32,
            None => flow.symmetric_hash(),
        }
    }

    fn says(&self) -> String {
        self.says.clone()
    }
}

impl Plan {
    /// The flow of what arrives for a tunnel.
    pub(super) fn flow(&self, tunnel: usize) -> Option<FlowKey> {
        let tunnel = self.tunnels.get(tunnel)?;
        let (proto, sport, dport) =
            tunnel.udp.map_or((ip::ESP, 0, 0), |udp| (ip::UDP, udp.remote, udp.local));
        Some(match tunnel.ends {
            Ends::V4 { local, remote } => {
                FlowKey::V4(FlowKey4 { src: remote, dst: local, proto, sport, dport })
            }
            Ends::V6 { local, remote } => {
                FlowKey::V6(FlowKey6 { src: remote, dst: local, proto, sport, dport })
            }
        })
    }
}
