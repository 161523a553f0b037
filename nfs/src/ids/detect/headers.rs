//! Whether a rule's demands on packet headers hold.

use super::super::packet::Packet;
use super::subject::Numbers;
use ids_rules::buffer::Buffer;
use ids_rules::number::Number;
use ids_rules::packet::{FlowSize, IpOption, PacketTest, SentBy};
use wire::IpVersion;
use wire::tcp::{self, TcpOption};

/// IPv4's type byte of the option that ends the list, and of the one that is nothing.
const END_OF_OPTIONS: u8 = 0;
const NO_OPERATION: u8 = 1;

/// Whether one demand holds; `packet` is none where a part of a stream is looked at, which has no headers.
pub(in crate::ids) fn holds(
    test: &PacketTest,
    packet: Option<&Packet<'_>>,
    numbers: Option<&Numbers>,
) -> bool {
    of_flow(test, numbers).or_else(|| asked(test, packet?)).unwrap_or(false)
}

/// A demand on the flow; `None` if it is one on the packet, or there is no flow.
fn of_flow(test: &PacketTest, numbers: Option<&Numbers>) -> Option<bool> {
    let numbers = numbers?;
    match test {
        PacketTest::StreamSize(wanted) => Some(size(wanted, numbers.covered?)),
        PacketTest::FlowPackets(wanted) => Some(size(wanted, numbers.packets)),
        PacketTest::FlowBytes(wanted) => Some(size(wanted, numbers.bytes)),
        PacketTest::FlowAge(wanted) => Some(wanted.matches(numbers.age)),
        _ => None,
    }
}

fn asked(test: &PacketTest, packet: &Packet<'_>) -> Option<bool> {
    let header = packet.ip_header();
    let ipv4 = (packet.headers.ip_version() == Some(IpVersion::V4)).then_some(header);
    let number = |number: &Number, value: u64| Some(number.matches(value));
    match test {
        PacketTest::Dsize(wanted) => {
            (!packet.headers.is_fragment()).then(|| wanted.matches(packet.payload.len() as u64))
        }
        PacketTest::TcpFlags(wanted) => Some(wanted.matches(packet.tcp()?.flags())),
        PacketTest::Ttl(wanted) => number(wanted, packet.headers.ttl(packet.frame)?.into()),
        PacketTest::IpId(wanted) => number(wanted, u16_at(ipv4?, 4)?.into()),
        PacketTest::IpOption(wanted) => Some(has_option(ipv4?.get(20..)?, *wanted)),
        PacketTest::FragBits(wanted) => Some(wanted.matches(*ipv4?.get(6)?)),
        PacketTest::FragOffset(wanted) => {
            let offset = if ipv4.is_some() && !packet.headers.is_fragment() {
                0
            } else {
                packet.headers.fragment_offset(packet.frame)?
            };
            number(wanted, offset as u64 / 8)
        }
        PacketTest::IpProto(wanted) => number(wanted, packet.protocol().into()),
        PacketTest::Tos(wanted) => number(wanted, packet.headers.traffic_class(packet.frame)?.into()),
        PacketTest::SameIp => Some(packet.source() == packet.destination()),
        PacketTest::IcmpType(wanted) => number(wanted, packet.icmp()?.0.into()),
        PacketTest::IcmpCode(wanted) => number(wanted, packet.icmp()?.1.into()),
        PacketTest::IcmpId(wanted) => Some(packet.icmp_word(4)? == *wanted),
        PacketTest::IcmpSeq(wanted) => Some(packet.icmp_word(6)? == *wanted),
        PacketTest::Icmpv6Mtu(wanted) => {
            let too_big = packet.headers.is_icmpv6() && packet.icmp()?.0 == 2;
            let mtu = packet.transport_header().get(4..8)?;
            too_big
                .then(|| mtu.iter().fold(0, |mtu, byte| mtu << 8 | u64::from(*byte)))
                .and_then(|mtu| number(wanted, mtu))
        }
        PacketTest::TcpSeq(wanted) => Some(packet.tcp()?.seq() == *wanted),
        PacketTest::TcpAck(wanted) => Some(packet.tcp()?.ack() == *wanted),
        PacketTest::Window(wanted) => number(wanted, packet.tcp()?.window().into()),
        PacketTest::TcpMss(wanted) => {
            let header = packet.tcp()?;
            let mss = header.options().find_map(|option| match option {
                Ok(TcpOption::Mss(mss)) => Some(mss),
                _ => None,
            });
            number(wanted, mss?.into())
        }
        PacketTest::StreamSize(_)
        | PacketTest::FlowAge(_)
        | PacketTest::FlowPackets(_)
        | PacketTest::FlowBytes(_) => None,
    }
}

fn size(wanted: &FlowSize, [to_server, to_client]: [u64; 2]) -> bool {
    let (of_client, of_server) = (wanted.size.matches(to_server), wanted.size.matches(to_client));
    match wanted.sent {
        SentBy::Client => of_client,
        SentBy::Server => of_server,
        SentBy::Both => of_client && of_server,
        SentBy::Either => of_client || of_server,
    }
}

fn has_option(mut options: &[u8], wanted: IpOption) -> bool {
    let IpOption::Type(wanted) = wanted else { return !options.is_empty() };
    while let Some(&kind) = options.first() {
        if kind == wanted {
            return true;
        }
        let length = match kind {
            END_OF_OPTIONS => return false,
            NO_OPERATION => 1,
            _ => usize::from(options.get(1).copied().unwrap_or(0)).max(2),
        };
        options = options.get(length..).unwrap_or_default();
    }
    false
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|both| u16::from_be_bytes(*both))
}

impl<'a> Packet<'a> {
    /// Its TCP header.
    fn tcp(&self) -> Option<tcp::Packet<&'a [u8]>> {
        self.is_tcp().then(|| tcp::Packet::new_checked(self.segment()).ok()).flatten()
    }

    /// Type and code of ICMP.
    pub(in crate::ids) fn icmp(&self) -> Option<(u8, u8)> {
        self.headers.icmp_type_code(self.frame).filter(|_| !self.headers.is_fragment())
    }

    /// A word of the second half of an ICMP message's header, where that is identifier and sequence number.
    fn icmp_word(&self, at: usize) -> Option<u16> {
        let (kind, _) = self.icmp()?;
        let has_them = if self.headers.is_icmpv6() {
            matches!(kind, 128 | 129)
        } else {
            matches!(kind, 0 | 8 | 13..=18)
        };
        has_them.then(|| u16_at(self.transport_header(), at)).flatten()
    }

    /// The bytes of a buffer that is a header.
    pub(in crate::ids) fn header(&self, buffer: Buffer) -> Option<&'a [u8]> {
        let transport = |is: bool| is.then(|| self.transport_header()).filter(|header| !header.is_empty());
        match buffer {
            Buffer::Ipv4Header => self.headers.is_ipv4().then(|| self.ip_header()),
            Buffer::Ipv6Header => self.headers.is_ipv6().then(|| self.ip_header()),
            Buffer::TcpHeader => transport(self.headers.is_tcp()),
            Buffer::UdpHeader => transport(self.headers.is_udp()),
            Buffer::Icmpv4Header => transport(self.headers.is_icmp()),
            Buffer::Icmpv6Header => transport(self.headers.is_icmpv6()),
            _ => None,
        }
    }
}
