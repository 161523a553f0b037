//! Packets for tests and for messages that are sent now and then: layers by name, outermost first.
//!
//! Lengths, types and checksums are right unless told otherwise. It allocates; the fast path does not
//! use it.
//!
//! ```
//! use wire::builder::Builder;
//!
//! let frame = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
//!     .vlan(5)
//!     .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
//!     .ttl(3)
//!     .udp(1000, 53)
//!     .payload(b"who is there?")
//!     .build();
//! let headers = wire::parse(&frame);
//! assert_eq!(headers.vlan(), Some(5));
//! assert_eq!(headers.ports(&frame), Some((1000, 53)));
//! ```

mod fragments;
mod icmp_error;
mod layer;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use fragments::fragments;
pub use icmp_error::icmp_error;
use layer::{IpHeader, Layer, TcpHeader};

use crate::mac::Mac;
use crate::mpls::Entry;
use crate::protocol::{ether_type, ip};

/// A packet being described. Methods that set a value change the last layer that has it, and without one
/// do nothing. The default has no layer at all: for IP packets without a link header.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    layers: Vec<Layer>,
    payload: Vec<u8>,
    pad_to: usize,
}

impl Builder {
    /// A frame from `src` to `dst`.
    pub fn ethernet(src: impl Into<Mac>, dst: impl Into<Mac>) -> Builder {
        Builder::default().inner_ethernet(src, dst)
    }

    /// An Ethernet header inside: after [`vxlan`](Self::vxlan).
    pub fn inner_ethernet(self, src: impl Into<Mac>, dst: impl Into<Mac>) -> Builder {
        self.layer(Layer::Ethernet { src: src.into(), dst: dst.into(), ether_type: None })
    }

    fn layer(mut self, layer: Layer) -> Builder {
        self.layers.push(layer);
        self
    }

    /// Sets the EtherType of the last Ethernet header or tag.
    pub fn ether_type(mut self, kind: u16) -> Builder {
        for layer in self.layers.iter_mut().rev() {
            if let Layer::Ethernet { ether_type, .. } | Layer::Vlan { ether_type, .. } = layer {
                *ether_type = Some(kind);
                break;
            }
        }
        self
    }

    /// A tag with this identifier and priority 0.
    pub fn vlan(self, id: u16) -> Builder {
        self.tag(ether_type::VLAN, id & 0x0fff)
    }

    /// A service tag (0x88a8) with this identifier: before [`vlan`](Self::vlan).
    pub fn qinq(self, id: u16) -> Builder {
        self.tag(ether_type::QINQ, id & 0x0fff)
    }

    /// A tag of any type, with its control information.
    pub fn tag(self, kind: u16, tci: u16) -> Builder {
        self.layer(Layer::Vlan { kind, tci, ether_type: None })
    }

    /// An ARP message; see [`crate::arp::REQUEST`].
    pub fn arp(self, operation: u16, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Builder {
        self.layer(Layer::Arp { operation, sender, target })
    }

    /// One label; the bottom of the stack is set by what follows.
    pub fn mpls(self, label: u32, ttl: u8) -> Builder {
        self.layer(Layer::Mpls(Entry { label, class: 0, bottom: false, ttl }))
    }

    /// A PPPoE session header.
    pub fn pppoe(self, session: u16) -> Builder {
        self.layer(Layer::Pppoe { session })
    }

    /// An IPv4 header: TTL 64, no options, identification 0.
    pub fn ipv4(self, src: impl Into<Ipv4Addr>, dst: impl Into<Ipv4Addr>) -> Builder {
        self.layer(Layer::Ip(IpHeader::new(IpAddr::V4(src.into()), IpAddr::V4(dst.into()))))
    }

    /// An IPv6 header: hop limit 64.
    pub fn ipv6(self, src: impl Into<Ipv6Addr>, dst: impl Into<Ipv6Addr>) -> Builder {
        self.layer(Layer::Ip(IpHeader::new(IpAddr::V6(src.into()), IpAddr::V6(dst.into()))))
    }

    fn ip(mut self, change: impl FnOnce(&mut IpHeader)) -> Builder {
        let header = self.layers.iter_mut().rev().find_map(|layer| match layer {
            Layer::Ip(header) => Some(header),
            _ => None,
        });
        if let Some(header) = header {
            change(header);
        }
        self
    }

    /// TTL or hop limit.
    pub fn ttl(self, ttl: u8) -> Builder {
        self.ip(|header| header.ttl = ttl)
    }

    /// DSCP, 6 bits.
    pub fn dscp(self, dscp: u8) -> Builder {
        self.ip(|header| header.traffic_class = (dscp << 2) | (header.traffic_class & 3))
    }

    /// ECN, 2 bits.
    pub fn ecn(self, ecn: u8) -> Builder {
        self.ip(|header| header.traffic_class = header.traffic_class & 0xfc | ecn & 3)
    }

    /// IPv4 identification.
    pub fn id(self, id: u16) -> Builder {
        self.ip(|header| header.id = id)
    }

    /// IPv4 don't-fragment flag.
    pub fn dont_fragment(self) -> Builder {
        self.ip(|header| header.fragment |= 0x4000)
    }

    /// IPv4 fragment: offset in bytes (a multiple of 8), and whether more follow.
    pub fn fragment(self, offset: u16, more: bool) -> Builder {
        self.ip(|header| {
            header.fragment = (header.fragment & 0xc000) | (offset / 8) | if more { 0x2000 } else { 0 };
        })
    }

    /// IPv6 flow label, 20 bits.
    pub fn flow_label(self, label: u32) -> Builder {
        self.ip(|header| header.flow_label = label & 0xf_ffff)
    }

    /// IPv4 options, filled up with zeros to words of 4 bytes; what exceeds 40 bytes is left out.
    pub fn ip_options(self, options: &[u8]) -> Builder {
        self.ip(|header| header.options = layer::padded(options, 4, 40))
    }

    /// Protocol or next header of IP, whatever follows.
    pub fn protocol(self, protocol: u8) -> Builder {
        self.ip(|header| header.protocol = Some(protocol))
    }

    /// IPv4 total length or IPv6 payload length, right or not.
    pub fn raw_ip_length(self, length: u16) -> Builder {
        self.ip(|header| header.length = Some(length))
    }

    /// First byte of the IP header, right or not: version and IPv4's header length.
    pub fn raw_ip_first_byte(self, byte: u8) -> Builder {
        self.ip(|header| header.first_byte = Some(byte))
    }

    /// An IPv6 extension header: `data` follows next header and length, filled up with zeros.
    pub fn extension(self, kind: u8, data: &[u8]) -> Builder {
        let mut data = data.to_vec();
        let len = (data.len() + 2).next_multiple_of(8).min(256 * 8);
        data.resize(len - 2, 0);
        self.layer(Layer::Extension { kind, data })
    }

    /// IPv6 hop-by-hop options with a PadN option and nothing else.
    pub fn hop_by_hop(self) -> Builder {
        self.extension(ip::HOP_BY_HOP, &[1, 4])
    }

    /// IPv6 destination options with a PadN option and nothing else.
    pub fn destination_options(self) -> Builder {
        self.extension(ip::DESTINATION_OPTIONS, &[1, 4])
    }

    /// An IPv6 fragment header: offset in bytes (a multiple of 8), whether more follow, identification.
    pub fn ipv6_fragment(self, offset: u16, more: bool, id: u32) -> Builder {
        let mut data = (offset & 0xfff8 | u16::from(more)).to_be_bytes().to_vec();
        data.extend(id.to_be_bytes());
        self.layer(Layer::Extension { kind: ip::FRAGMENT, data })
    }

    /// An authentication header with an integrity check value of 12 bytes, zero.
    pub fn authentication(self, spi: u32, sequence: u32) -> Builder {
        let mut data = vec![0; 2];
        data.extend(spi.to_be_bytes());
        data.extend(sequence.to_be_bytes());
        data.resize(22, 0);
        self.layer(Layer::Extension { kind: ip::AH, data })
    }

    /// A TCP header: flags 0, sequence numbers 0, window 65535.
    pub fn tcp(self, src_port: u16, dst_port: u16) -> Builder {
        self.layer(Layer::Tcp(TcpHeader { src_port, dst_port, window: 65535, ..TcpHeader::default() }))
    }

    fn tcp_header(mut self, change: impl FnOnce(&mut TcpHeader)) -> Builder {
        let header = self.layers.iter_mut().rev().find_map(|layer| match layer {
            Layer::Tcp(header) => Some(header),
            _ => None,
        });
        if let Some(header) = header {
            change(header);
        }
        self
    }

    /// TCP flags; see [`crate::tcp::flags`].
    pub fn flags(self, flags: u8) -> Builder {
        self.tcp_header(|header| header.flags = flags)
    }

    /// TCP sequence number.
    pub fn seq(self, seq: u32) -> Builder {
        self.tcp_header(|header| header.seq = seq)
    }

    /// TCP acknowledgement number; sets ACK.
    pub fn ack(self, ack: u32) -> Builder {
        self.tcp_header(|header| {
            header.ack = ack;
            header.flags |= crate::tcp::flags::ACK;
        })
    }

    /// TCP window.
    pub fn window(self, window: u16) -> Builder {
        self.tcp_header(|header| header.window = window)
    }

    /// TCP options, filled up with zeros to words of 4 bytes; what exceeds 40 bytes is left out.
    pub fn tcp_options(self, options: &[u8]) -> Builder {
        self.tcp_header(|header| header.options = layer::padded(options, 4, 40))
    }

    /// TCP data offset in words of 4 bytes, right or not.
    pub fn raw_data_offset(self, words: u8) -> Builder {
        self.tcp_header(|header| header.data_offset = Some(words))
    }

    /// A UDP header.
    pub fn udp(self, src_port: u16, dst_port: u16) -> Builder {
        self.layer(Layer::Udp { src_port, dst_port, length: None, checksum: true })
    }

    /// UDP length, right or not.
    pub fn raw_udp_length(mut self, value: u16) -> Builder {
        for layer in self.layers.iter_mut().rev() {
            if let Layer::Udp { length, .. } = layer {
                *length = Some(value);
                break;
            }
        }
        self
    }

    /// UDP without a checksum.
    pub fn no_udp_checksum(mut self) -> Builder {
        for layer in self.layers.iter_mut().rev() {
            if let Layer::Udp { checksum, .. } = layer {
                *checksum = false;
                break;
            }
        }
        self
    }

    /// An SCTP common header; chunks are the payload.
    pub fn sctp(self, src_port: u16, dst_port: u16, verification_tag: u32) -> Builder {
        self.layer(Layer::Sctp { src_port, dst_port, verification_tag })
    }

    /// An ICMP header (ICMPv6 after an IPv6 header); `rest` is its second word.
    pub fn icmp(self, kind: u8, code: u8, rest: u32) -> Builder {
        self.layer(Layer::Icmp { kind, code, rest })
    }

    /// An ICMP or ICMPv6 echo request.
    pub fn echo_request(self, identifier: u16, sequence: u16) -> Builder {
        let kind = if self.is_ipv6() { crate::icmpv6::ECHO_REQUEST } else { crate::icmp::ECHO_REQUEST };
        self.icmp(kind, 0, u32::from(identifier) << 16 | u32::from(sequence))
    }

    /// An ICMP or ICMPv6 echo reply.
    pub fn echo_reply(self, identifier: u16, sequence: u16) -> Builder {
        let kind = if self.is_ipv6() { crate::icmpv6::ECHO_REPLY } else { crate::icmp::ECHO_REPLY };
        self.icmp(kind, 0, u32::from(identifier) << 16 | u32::from(sequence))
    }

    fn is_ipv6(&self) -> bool {
        layer::enclosing_ip(&self.layers).is_some_and(|header| header.src.is_ipv6())
    }

    /// A UDP header to port 4789 and a VXLAN header; then [`inner_ethernet`](Self::inner_ethernet), or a
    /// whole frame as payload.
    pub fn vxlan(self, src_port: u16, vni: u32) -> Builder {
        self.udp(src_port, crate::protocol::port::VXLAN).layer(Layer::Vxlan { vni })
    }

    /// Makes the checksum of the last layer wrong (of layers that have none: nothing).
    pub fn bad_checksum(mut self) -> Builder {
        if let Some(layer) = self.layers.pop() {
            self.layers.push(Layer::BadChecksum(Box::new(layer)));
        }
        self
    }

    /// What the last layer carries.
    pub fn payload(mut self, payload: &[u8]) -> Builder {
        self.payload = payload.to_vec();
        self
    }

    /// A payload of this many bytes, counting up from 0.
    pub fn payload_len(mut self, len: usize) -> Builder {
        self.payload = (0..len).map(|i| i as u8).collect();
        self
    }

    /// Zeros after the packet until the frame has `len` bytes (Ethernet's minimum: 60).
    pub fn pad_to(mut self, len: usize) -> Builder {
        self.pad_to = len;
        self
    }

    /// The packet's bytes.
    pub fn build(self) -> Vec<u8> {
        let mut bytes = self.payload;
        for (i, layer) in self.layers.iter().enumerate().rev() {
            bytes = layer.wrap(&bytes, &self.layers[..i], self.layers.get(i + 1));
        }
        if bytes.len() < self.pad_to {
            bytes.resize(self.pad_to, 0);
        }
        bytes
    }
}
