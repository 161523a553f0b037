//! One layer of a packet, and its bytes.

use std::net::{IpAddr, Ipv4Addr};

use crate::checksum::{self, Sum};
use crate::mac::Mac;
use crate::mpls::Entry;
use crate::protocol::{ether_type, ip};
use crate::{arp, icmp, icmpv6, ipv4, pppoe, sctp, tcp, udp, vxlan};

#[derive(Clone, Debug)]
pub(super) enum Layer {
    Ethernet { src: Mac, dst: Mac, ether_type: Option<u16> },
    Vlan { kind: u16, tci: u16, ether_type: Option<u16> },
    Arp { operation: u16, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr) },
    Mpls(Entry),
    Pppoe { session: u16 },
    Ip(IpHeader),
    Extension { kind: u8, data: Vec<u8> },
    Tcp(TcpHeader),
    Udp { src_port: u16, dst_port: u16, length: Option<u16>, checksum: bool },
    Sctp { src_port: u16, dst_port: u16, verification_tag: u32 },
    Icmp { kind: u8, code: u8, rest: u32 },
    Vxlan { vni: u32 },
    BadChecksum(Box<Layer>),
}

#[derive(Clone, Debug)]
pub(super) struct IpHeader {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub ttl: u8,
    pub traffic_class: u8,
    pub id: u16,
    pub fragment: u16,
    pub flow_label: u32,
    pub options: Vec<u8>,
    pub protocol: Option<u8>,
    pub length: Option<u16>,
    pub first_byte: Option<u8>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct TcpHeader {
    pub src_port: u16,
    pub dst_port: u16,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub options: Vec<u8>,
    pub data_offset: Option<u8>,
}

/// Zeros after `bytes` up to a multiple of `unit`; at most `max` in all.
pub(super) fn padded(bytes: &[u8], unit: usize, max: usize) -> Vec<u8> {
    let mut bytes = bytes[..bytes.len().min(max)].to_vec();
    bytes.resize(bytes.len().next_multiple_of(unit), 0);
    bytes
}

/// The innermost IP header of these layers.
pub(super) fn enclosing_ip(layers: &[Layer]) -> Option<&IpHeader> {
    layers.iter().rev().find_map(|layer| match layer.inner() {
        Layer::Ip(header) => Some(header),
        _ => None,
    })
}

impl IpHeader {
    pub fn new(src: IpAddr, dst: IpAddr) -> IpHeader {
        IpHeader {
            src,
            dst,
            ttl: 64,
            traffic_class: 0,
            id: 0,
            fragment: 0,
            flow_label: 0,
            options: Vec::new(),
            protocol: None,
            length: None,
            first_byte: None,
        }
    }

    fn pseudo_header(&self, protocol: u8, len: usize) -> Sum {
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                Sum::pseudo_v4(src.into(), dst.into(), protocol, len as u32)
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                Sum::pseudo_v6(src.into(), dst.into(), protocol, len as u32)
            }
            _ => Sum::new(),
        }
    }

    fn bytes(&self, payload: &[u8], protocol: u8) -> Vec<u8> {
        let mut out = Vec::new();
        match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let header_len = ipv4::HEADER_LEN + self.options.len();
                let total = self.length.unwrap_or((header_len + payload.len()) as u16);
                out.extend([0x40 | (header_len / 4) as u8, self.traffic_class]);
                for word in [total, self.id, self.fragment] {
                    out.extend(word.to_be_bytes());
                }
                out.extend([self.ttl, protocol, 0, 0]);
                out.extend(src.octets());
                out.extend(dst.octets());
                out.extend(&self.options);
                let sum = Sum::new().bytes(&out);
                // The first byte may be wrong on purpose; the checksum then covers what is sent.
                let first = self.first_byte.unwrap_or(out[0]);
                let sum = sum.u16(u16::from(first) << 8).u16(!(u16::from(out[0]) << 8));
                out[10..12].copy_from_slice(&sum.checksum().to_be_bytes());
                out[0] = first;
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label;
                out.extend(first.to_be_bytes());
                out.extend(self.length.unwrap_or(payload.len() as u16).to_be_bytes());
                out.extend([protocol, self.ttl]);
                out.extend(src.octets());
                out.extend(dst.octets());
                out[0] = self.first_byte.unwrap_or(out[0]);
            }
            _ => {}
        }
        out.extend(payload);
        out
    }
}

impl Layer {
    fn inner(&self) -> &Layer {
        match self {
            Layer::BadChecksum(layer) => layer.inner(),
            layer => layer,
        }
    }

    /// What the layer outside calls this one.
    fn ether_type(&self) -> Option<u16> {
        match self.inner() {
            Layer::Vlan { kind, .. } => Some(*kind),
            Layer::Arp { .. } => Some(ether_type::ARP),
            Layer::Mpls(_) => Some(ether_type::MPLS),
            Layer::Pppoe { .. } => Some(ether_type::PPPOE_SESSION),
            Layer::Ip(header) if header.src.is_ipv6() => Some(ether_type::IPV6),
            Layer::Ip(_) => Some(ether_type::IPV4),
            _ => None,
        }
    }

    fn ip_protocol(&self, outside: &[Layer]) -> Option<u8> {
        match self.inner() {
            Layer::Ip(header) if header.src.is_ipv6() => Some(ip::IPV6),
            Layer::Ip(_) => Some(ip::IPV4),
            Layer::Extension { kind, .. } => Some(*kind),
            Layer::Tcp(_) => Some(ip::TCP),
            Layer::Udp { .. } => Some(ip::UDP),
            Layer::Sctp { .. } => Some(ip::SCTP),
            Layer::Icmp { .. } if enclosing_ip(outside).is_some_and(|header| header.src.is_ipv6()) => {
                Some(ip::ICMPV6)
            }
            Layer::Icmp { .. } => Some(ip::ICMP),
            _ => None,
        }
    }

    /// This layer around `payload`, within `outside`; `next` is the layer that `payload` starts with.
    pub fn wrap(&self, payload: &[u8], outside: &[Layer], next: Option<&Layer>) -> Vec<u8> {
        // Without a layer inside: IEEE's local experimental EtherType, IANA's experimental protocol.
        let next_type = next.and_then(Layer::ether_type).unwrap_or(0x88b5);
        let next_protocol = next.and_then(|layer| layer.ip_protocol(&with(outside, self))).unwrap_or(253);
        let pseudo_header = |protocol: u8, len: usize| {
            enclosing_ip(outside).map_or(Sum::new(), |header| header.pseudo_header(protocol, len))
        };
        let mut out = Vec::new();
        match self {
            Layer::Ethernet { src, dst, ether_type } => {
                out.extend(dst.0);
                out.extend(src.0);
                out.extend(ether_type.unwrap_or(next_type).to_be_bytes());
            }
            Layer::Vlan { tci, ether_type, .. } => {
                out.extend(tci.to_be_bytes());
                out.extend(ether_type.unwrap_or(next_type).to_be_bytes());
            }
            Layer::Arp { operation, sender, target } => {
                out.extend(arp::FORMAT);
                out.extend(operation.to_be_bytes());
                for (mac, address) in [sender, target] {
                    out.extend(mac.0);
                    out.extend(address.octets());
                }
            }
            Layer::Mpls(entry) => {
                let bottom = !matches!(next.map(Layer::inner), Some(Layer::Mpls(_)));
                out.extend(u32::from(Entry { bottom, ..*entry }).to_be_bytes());
            }
            Layer::Pppoe { session } => {
                let protocol = if next_type == ether_type::IPV6 { pppoe::PPP_IPV6 } else { pppoe::PPP_IPV4 };
                for word in [0x1100, *session, (payload.len() + 2) as u16, protocol] {
                    out.extend(word.to_be_bytes());
                }
            }
            Layer::Ip(header) => return header.bytes(payload, header.protocol.unwrap_or(next_protocol)),
            Layer::Extension { kind, data } => {
                let len = match *kind {
                    ip::FRAGMENT => 0,
                    ip::AH => (data.len() + 2) / 4 - 2,
                    _ => (data.len() + 2) / 8 - 1,
                };
                out.extend([next_protocol, len as u8]);
                out.extend(data);
            }
            Layer::Tcp(header) => return header.bytes(payload, pseudo_header),
            Layer::Udp { src_port, dst_port, length, checksum } => {
                let len = length.unwrap_or((udp::HEADER_LEN + payload.len()) as u16);
                for word in [*src_port, *dst_port, len, 0] {
                    out.extend(word.to_be_bytes());
                }
                out.extend(payload);
                if *checksum {
                    let sum = pseudo_header(ip::UDP, usize::from(len)).bytes(&out);
                    let sent = checksum::for_udp(sum.checksum());
                    out[6..8].copy_from_slice(&sent.to_be_bytes());
                }
                return out;
            }
            Layer::Sctp { src_port, dst_port, verification_tag } => {
                out.extend(src_port.to_be_bytes());
                out.extend(dst_port.to_be_bytes());
                out.extend(verification_tag.to_be_bytes());
                out.extend([0; 4]);
                out.extend(payload);
                if let Ok(mut packet) = sctp::Packet::new_checked(&mut out[..]) {
                    packet.fill_checksum();
                }
                return out;
            }
            Layer::Icmp { kind, code, rest } => {
                out.extend([*kind, *code, 0, 0]);
                out.extend(rest.to_be_bytes());
                out.extend(payload);
                let is_v6 = self.ip_protocol(outside) == Some(ip::ICMPV6);
                let len = out.len();
                if is_v6 && let Ok(mut packet) = icmpv6::Packet::new_checked(&mut out[..]) {
                    packet.fill_checksum(pseudo_header(ip::ICMPV6, len));
                } else if let Ok(mut packet) = icmp::Packet::new_checked(&mut out[..]) {
                    packet.fill_checksum();
                }
                return out;
            }
            Layer::Vxlan { vni } => out.extend(vxlan::header(*vni)),
            Layer::BadChecksum(layer) => {
                let mut out = layer.wrap(payload, outside, next);
                layer.spoil_checksum(&mut out);
                return out;
            }
        }
        out.extend(payload);
        out
    }

    fn spoil_checksum(&self, bytes: &mut [u8]) {
        let at = match self {
            Layer::Ip(header) if header.src.is_ipv4() => 10,
            Layer::Tcp(_) => 16,
            Layer::Udp { .. } => 6,
            Layer::Sctp { .. } => 10,
            Layer::Icmp { .. } => 2,
            _ => return,
        };
        if let Some(field) = bytes.get_mut(at..at + 2) {
            // One more is another number modulo 0xffff; 0 would mean "none" in UDP.
            let wrong = u16::from_be_bytes([field[0], field[1]]).checked_add(1).unwrap_or(1);
            field.copy_from_slice(&wrong.to_be_bytes());
        }
    }
}

/// The layers around what `layer` wraps.
fn with(outside: &[Layer], layer: &Layer) -> Vec<Layer> {
    let mut layers = outside.to_vec();
    layers.push(layer.clone());
    layers
}

impl TcpHeader {
    fn bytes(&self, payload: &[u8], pseudo_header: impl Fn(u8, usize) -> Sum) -> Vec<u8> {
        let header_len = tcp::HEADER_LEN + self.options.len();
        let mut out = Vec::new();
        out.extend(self.src_port.to_be_bytes());
        out.extend(self.dst_port.to_be_bytes());
        out.extend(self.seq.to_be_bytes());
        out.extend(self.ack.to_be_bytes());
        out.extend([self.data_offset.unwrap_or((header_len / 4) as u8) << 4, self.flags]);
        out.extend(self.window.to_be_bytes());
        out.extend([0; 4]);
        out.extend(&self.options);
        out.extend(payload);
        let checksum = pseudo_header(ip::TCP, out.len()).bytes(&out).checksum();
        out[16..18].copy_from_slice(&checksum.to_be_bytes());
        out
    }
}
