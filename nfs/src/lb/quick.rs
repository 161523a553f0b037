//! What is written into usual packets, made ready for each back-end.

use super::config::{Backend, Mode, Plan, Service};
use std::net::IpAddr;
use wire::Mac;
use wire::checksum::Delta;
use wire::protocol::ip;

/// What becomes of the usual packets of one direction of a back-end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quick {
    /// The destination of the frame; its source is then who had it before, as behind a router.
    mac: Option<Mac>,
    end: Option<End>,
}

/// Another address and port for one end of an IPv4 packet, and what that does to checksums (RFC 1624).
#[derive(Clone, Copy, Debug)]
struct End {
    /// The source, not the destination.
    is_source: bool,
    address: [u8; 4],
    port: [u8; 2],
    ip: Delta,
    transport: Delta,
}

impl Quick {
    /// Of packets to a back-end. `None`: there is more to do than to write.
    pub fn forth(service: &Service, backend: &Backend) -> Option<Quick> {
        let end = match service.mode {
            Mode::Ipip => return None,
            Mode::Mac => None,
            Mode::Nat => {
                let (address, port, _) = service.endpoint;
                Some(End::new(false, (address, port), (backend.address, backend.port))?)
            }
        };
        Some(Quick { mac: backend.mac, end })
    }

    /// Of packets from a back-end behind NAT.
    pub fn back(plan: &Plan, service: &Service, backend: &Backend) -> Option<Quick> {
        let (address, port, _) = service.endpoint;
        let end = End::new(true, (backend.address, backend.port), (address, port))?;
        (service.mode == Mode::Nat).then_some(Quick { mac: plan.clients_mac, end: Some(end) })
    }

    /// Rewrites a packet that [`wire::Headers::usual_ipv4`] knows.
    #[inline(always)]
    pub fn apply(&self, packet: &mut [u8]) {
        let Some((head, rest)) = packet.split_first_chunk_mut::<42>() else { return };
        if let Some(mac) = self.mac {
            head.copy_within(..6, 6);
            head[..6].copy_from_slice(&mac.0);
        }
        let Some(end) = &self.end else { return };
        [head[24], head[25]] = end.ip.update([head[24], head[25]]);
        let (address_at, port_at) = if end.is_source { (26, 34) } else { (30, 36) };
        head[address_at..address_at + 4].copy_from_slice(&end.address);
        head[port_at..port_at + 2].copy_from_slice(&end.port);
        if head[23] == ip::UDP {
            [head[40], head[41]] = end.transport.update_udp([head[40], head[41]]);
        } else if let Some(field) = rest.get_mut(8..10) {
            field.copy_from_slice(&end.transport.update([field[0], field[1]]));
        }
    }
}

impl End {
    /// `None` for IPv6.
    fn new(is_source: bool, from: (IpAddr, u16), to: (IpAddr, u16)) -> Option<End> {
        let (IpAddr::V4(old), IpAddr::V4(new)) = (from.0, to.0) else { return None };
        let ip = Delta::NONE.u32(old.into(), new.into());
        let transport = ip.u16(from.1, to.1);
        Some(End { is_source, address: new.octets(), port: to.1.to_be_bytes(), ip, transport })
    }
}
