//! Which bits of a frame belong to which field.

use super::{Field, Fields};
use crate::headers::{Headers, IpVersion};
use crate::order::get_u16;
use crate::protocol::{ether_type, ip, port};
use crate::{ipv6, mpls};

/// Sets to 0xff (or, in shared bytes, to the field's bits) every byte of `out` that belongs to one of
/// `fields`, and clears all others. `out` is as long as `frame`; what is longer stays clear, what is
/// shorter is left out. `headers` are those of this frame.
///
/// With [`Fields::ALL`] every bit of a frame is set: what no known header covers is
/// [`Field::Payload`].
pub fn mask(headers: &Headers, frame: &[u8], fields: Fields, out: &mut [u8]) {
    let mut painter = Painter { fields, out, len: frame.len() };
    painter.out.fill(0);
    let payload = painter.link(headers, frame);
    painter.paint(payload, frame.len().saturating_sub(payload), Field::Payload);
}

struct Painter<'a> {
    fields: Fields,
    out: &'a mut [u8],
    len: usize,
}

impl Painter<'_> {
    /// `len` whole bytes from `at`, as far as there are any.
    fn paint(&mut self, at: usize, len: usize, field: Field) {
        if self.fields.contains(field) {
            let end = (at + len).min(self.len).min(self.out.len());
            if let Some(bytes) = self.out.get_mut(at..end) {
                bytes.fill(0xff);
            }
        }
    }

    /// Some bits of one byte.
    fn bits(&mut self, at: usize, bits: u8, field: Field) {
        if self.fields.contains(field)
            && at < self.len
            && let Some(byte) = self.out.get_mut(at)
        {
            *byte |= bits;
        }
    }

    /// Ethernet and tags, then the rest. Each step returns where the payload starts.
    fn link(&mut self, headers: &Headers, frame: &[u8]) -> usize {
        self.paint(0, 6, Field::EthDst);
        self.paint(6, 6, Field::EthSrc);
        let mut at = 12;
        for _ in 0..headers.vlan_count() {
            self.paint(at, 2, Field::Vlan);
            self.bits(at + 2, 0xf0, Field::VlanPriority);
            self.bits(at + 2, 0x0f, Field::Vlan);
            self.paint(at + 3, 1, Field::Vlan);
            at += 4;
        }
        self.paint(at, 2, Field::EtherType);
        at += 2;
        match headers.ip_version() {
            Some(IpVersion::V4) => {
                // A PPPoE session header may lie between.
                self.paint(at, headers.l3_offset().saturating_sub(at), Field::Payload);
                self.ipv4(headers, frame)
            }
            Some(IpVersion::V6) => {
                self.paint(at, headers.l3_offset().saturating_sub(at), Field::Payload);
                self.ipv6(headers, frame)
            }
            None => self.not_ip(headers, frame, at),
        }
    }

    fn not_ip(&mut self, headers: &Headers, frame: &[u8], at: usize) -> usize {
        match headers.ether_type() {
            ether_type::ARP => {
                self.paint(at, 28, Field::Arp);
                at + 28
            }
            ether_type::MPLS | ether_type::MPLS_UPSTREAM => {
                let labels = mpls::stack_len(frame.get(at..).unwrap_or_default()).unwrap_or(0);
                self.paint(at, labels, Field::MplsLabel);
                at + labels
            }
            _ => at,
        }
    }

    fn ipv4(&mut self, headers: &Headers, frame: &[u8]) -> usize {
        let at = headers.l3_offset();
        self.bits(at, 0xf0, Field::IpVersion);
        self.bits(at, 0x0f, Field::IpOptions);
        self.bits(at + 1, 0xfc, Field::IpDscp);
        self.bits(at + 1, 0x03, Field::IpEcn);
        self.paint(at + 2, 2, Field::IpLength);
        self.paint(at + 4, 2, Field::IpId);
        self.paint(at + 6, 2, Field::IpFragment);
        self.paint(at + 8, 1, Field::IpTtl);
        self.paint(at + 9, 1, Field::IpProto);
        self.paint(at + 10, 2, Field::IpChecksum);
        self.paint(at + 12, 4, Field::IpSrc);
        self.paint(at + 16, 4, Field::IpDst);
        let len = headers.ip_header_len().max(20);
        self.paint(at + 20, len - 20, Field::IpOptions);
        self.transport(headers, frame, at + len)
    }

    fn ipv6(&mut self, headers: &Headers, frame: &[u8]) -> usize {
        let at = headers.l3_offset();
        self.bits(at, 0xf0, Field::IpVersion);
        self.bits(at, 0x0f, Field::IpDscp);
        self.bits(at + 1, 0xc0, Field::IpDscp);
        self.bits(at + 1, 0x30, Field::IpEcn);
        self.bits(at + 1, 0x0f, Field::Ipv6FlowLabel);
        self.paint(at + 2, 2, Field::Ipv6FlowLabel);
        self.paint(at + 4, 2, Field::IpLength);
        self.paint(at + 6, 1, Field::IpProto);
        self.paint(at + 7, 1, Field::IpTtl);
        self.paint(at + 8, 16, Field::IpSrc);
        self.paint(at + 24, 16, Field::IpDst);
        let mut end = at + 40;
        for extension in ipv6::extensions(frame, at) {
            self.paint(extension.offset, 1, Field::IpProto);
            if extension.kind == ip::FRAGMENT {
                self.paint(extension.offset + 1, 3, Field::IpFragment);
                self.paint(extension.offset + 4, 4, Field::IpId);
            } else {
                self.paint(extension.offset + 1, extension.len - 1, Field::IpOptions);
            }
            end = extension.offset + extension.len;
        }
        self.transport(headers, frame, end)
    }

    /// What follows IP at `at`. A cut header is payload, but for its ports.
    fn transport(&mut self, headers: &Headers, frame: &[u8], at: usize) -> usize {
        let Some(protocol) = headers.protocol() else { return at };
        if headers.has_ports() {
            self.paint(at, 2, Field::Sport);
            self.paint(at + 2, 2, Field::Dport);
        }
        let after_ports = if headers.has_ports() { at + 4 } else { at };
        if headers.l4_offset() != Some(at) {
            return after_ports;
        }
        match protocol {
            ip::TCP => self.tcp(headers, at),
            ip::UDP => {
                self.paint(at + 4, 2, Field::L4Length);
                self.paint(at + 6, 2, Field::L4Checksum);
                if get_u16(frame, at + 2) == Some(port::VXLAN) {
                    self.paint(at + 12, 3, Field::VxlanVni);
                }
                at + 8
            }
            ip::ICMP | ip::ICMPV6 if headers.icmp_type_code(frame).is_some() => {
                self.paint(at, 2, Field::IcmpType);
                self.paint(at + 2, 2, Field::L4Checksum);
                self.paint(at + 4, 4, Field::IcmpRest);
                at + 8
            }
            ip::SCTP => {
                self.paint(at + 4, 4, Field::Payload);
                self.paint(at + 8, 4, Field::L4Checksum);
                at + 12
            }
            _ => after_ports,
        }
    }

    fn tcp(&mut self, headers: &Headers, at: usize) -> usize {
        self.paint(at + 4, 4, Field::TcpSeq);
        self.paint(at + 8, 4, Field::TcpAck);
        self.bits(at + 12, 0xf0, Field::TcpOptions);
        self.bits(at + 12, 0x0f, Field::TcpFlags);
        self.paint(at + 13, 1, Field::TcpFlags);
        self.paint(at + 14, 2, Field::TcpWindow);
        self.paint(at + 16, 2, Field::L4Checksum);
        self.paint(at + 18, 2, Field::TcpUrgent);
        let end = headers.payload_offset().unwrap_or(at + 20);
        self.paint(at + 20, end.saturating_sub(at + 20), Field::TcpOptions);
        end
    }
}
