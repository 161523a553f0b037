//! What a rule demands of headers: `dsize`, `flags`, `ttl`, `itype` and so on.

use super::{Builder, Opt, Span, number::number};
use crate::{
    packet::{BitCompare, FlowSize, FragBits, IpOption, PacketTest, SentBy, TcpFlags},
    refusal::Refusal,
};

impl Builder<'_> {
    /// Takes the option if it is about a packet's headers.
    pub(super) fn packet(&mut self, option: Opt<'_>) -> Result<bool, Refusal> {
        let compare = |most: u64| number(option.name, option.need()?, most);
        let exact = |most: u64| option.need()?.unquoted().trim().number(option.name, most);
        let test = match option.name {
            "dsize" => PacketTest::Dsize(compare(65_535)?),
            "flags" | "tcp.flags" => PacketTest::TcpFlags(flags(option)?),
            "ttl" => PacketTest::Ttl(compare(255)?),
            "id" => PacketTest::IpId(compare(65_535)?),
            "ipopts" => PacketTest::IpOption(ip_option(option)?),
            "fragbits" => PacketTest::FragBits(fragment_bits(option)?),
            "fragoffset" => PacketTest::FragOffset(compare(8191)?),
            "ip_proto" => PacketTest::IpProto(ip_protocol(option)?),
            "tos" => PacketTest::Tos(compare(255)?),
            "sameip" => {
                option.bare()?;
                PacketTest::SameIp
            }
            "itype" => PacketTest::IcmpType(compare(255)?),
            "icode" => PacketTest::IcmpCode(compare(255)?),
            "icmp_id" => PacketTest::IcmpId(exact(65_535)? as u16),
            "icmp_seq" => PacketTest::IcmpSeq(exact(65_535)? as u16),
            "icmpv6.mtu" => PacketTest::Icmpv6Mtu(compare(u32::MAX.into())?),
            "seq" | "tcp.seq" => PacketTest::TcpSeq(exact(u32::MAX.into())? as u32),
            "ack" | "tcp.ack" => PacketTest::TcpAck(exact(u32::MAX.into())? as u32),
            "window" | "tcp.window" => PacketTest::Window(compare(65_535)?),
            "tcp.mss" => PacketTest::TcpMss(compare(65_535)?),
            "stream_size" => PacketTest::StreamSize(stream_size(option)?),
            "flow.age" => PacketTest::FlowAge(compare(u32::MAX.into())?),
            "flow.pkts" => PacketTest::FlowPackets(flow_size(option, u32::MAX.into())?),
            "flow.bytes" => PacketTest::FlowBytes(flow_size(option, u64::MAX)?),
            "flow.pkts_toserver" | "flow.pkts_toclient" | "flow.bytes_toserver" | "flow.bytes_toclient" => {
                let sent = if option.name.ends_with('r') { SentBy::Client } else { SentBy::Server };
                let size = FlowSize { sent, size: compare(u64::MAX)? };
                match option.name.starts_with("flow.p") {
                    true => PacketTest::FlowPackets(size),
                    false => PacketTest::FlowBytes(size),
                }
            }
            _ => return Ok(false),
        };
        self.rule.packet.push(test);
        Ok(true)
    }
}

/// `+`, `*` or `!`, before or after letters.
fn modifier(option: Opt<'_>, found: &mut Option<BitCompare>, byte: u8) -> Result<(), Refusal> {
    let compare = match byte {
        b'+' => BitCompare::All,
        b'*' => BitCompare::Any,
        _ => BitCompare::Not,
    };
    match found.replace(compare) {
        None => Ok(()),
        Some(_) => Err(option.bad("takes one of +, * and !")),
    }
}

fn flags(option: Opt<'_>) -> Result<TcpFlags, Refusal> {
    let value = option.need()?;
    let mut parts = value.list();
    let (wanted, ignored) = (parts.next().unwrap_or(value), parts.next());
    if parts.next().is_some() {
        return Err(option.bad("has at most two parts"));
    }
    let letters = |span: Span<'_>, compare: &mut Option<BitCompare>| -> Result<u8, Refusal> {
        let (mut bits, mut none) = (0_u8, false);
        for &byte in span.bytes.iter().filter(|byte| !byte.is_ascii_whitespace()) {
            bits |= match byte.to_ascii_uppercase() {
                b'F' => 0x01,
                b'S' => 0x02,
                b'R' => 0x04,
                b'P' => 0x08,
                b'A' => 0x10,
                b'U' => 0x20,
                b'E' | b'2' => 0x40,
                b'C' | b'1' => 0x80,
                b'0' => {
                    none = true;
                    0
                }
                b'+' | b'*' | b'!' => {
                    modifier(option, compare, byte)?;
                    0
                }
                _ => {
                    let message =
                        format!("\"{}\" is no flag: F, S, R, P, A, U, E, C and 0 are", char::from(byte));
                    return Err(span.bad(option.name, message));
                }
            };
        }
        if none == (bits != 0) {
            return Err(span.bad(option.name, "is letters, or 0 alone for no flag"));
        }
        Ok(bits)
    };
    let mut compare = None;
    let flags = letters(wanted, &mut compare)?;
    let ignored = match ignored {
        Some(span) => {
            let mut none = None;
            let ignored = letters(span, &mut none)?;
            if none.is_some() {
                return Err(span.bad(option.name, "the ignored flags have no modifier"));
            }
            ignored
        }
        None => 0,
    };
    Ok(TcpFlags { flags, ignored, compare: compare.unwrap_or(BitCompare::Exactly) })
}

fn fragment_bits(option: Opt<'_>) -> Result<FragBits, Refusal> {
    let (mut bits, mut compare) = (0_u8, None);
    for &byte in option.need()?.bytes.iter().filter(|byte| !byte.is_ascii_whitespace()) {
        bits |= match byte.to_ascii_uppercase() {
            b'M' => 1,
            b'D' => 2,
            b'R' => 4,
            b'+' | b'*' | b'!' => {
                modifier(option, &mut compare, byte)?;
                0
            }
            _ => return Err(option.bad(format!("\"{}\" is no bit: M, D and R are", char::from(byte)))),
        };
    }
    if bits == 0 {
        return Err(option.bad("needs M, D or R"));
    }
    Ok(FragBits { bits, compare: compare.unwrap_or(BitCompare::Exactly) })
}

/// The options of IPv4 by their names in rules.
pub(crate) const IP_OPTIONS: &[(&str, u8)] = &[
    ("rr", 7),
    ("lsrr", 131),
    ("eol", 0),
    ("nop", 1),
    ("ts", 68),
    ("sec", 130),
    ("esec", 133),
    ("ssrr", 137),
    ("satid", 136),
    ("qs", 25),
    ("cipso", 134),
    ("rtralt", 148),
];

fn ip_option(option: Opt<'_>) -> Result<IpOption, Refusal> {
    let value = option.need()?;
    let name = value.text().to_ascii_lowercase();
    if name == "any" {
        return Ok(IpOption::Any);
    }
    let found = IP_OPTIONS.iter().find(|(known, _)| *known == name);
    found
        .map(|&(_, number)| IpOption::Type(number))
        .ok_or_else(|| option.bad(format!("\"{name}\" is no option")))
}

/// Protocols that rules name in words.
const PROTOCOLS: &[(&str, u8)] = &[
    ("ip", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("ggp", 3),
    ("ipencap", 4),
    ("tcp", 6),
    ("egp", 8),
    ("igp", 9),
    ("udp", 17),
    ("dccp", 33),
    ("ipv6", 41),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", 58),
    ("eigrp", 88),
    ("ospf", 89),
    ("pim", 103),
    ("ipcomp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
];

fn ip_protocol(option: Opt<'_>) -> Result<crate::number::Number, Refusal> {
    use crate::number::Number;
    let value = option.need()?.unquoted().trim();
    let (negated, name) = match value.strip(b"!") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let lower = name.text().to_ascii_lowercase();
    match PROTOCOLS.iter().find(|(known, _)| *known == lower) {
        Some(&(_, number)) if negated => Ok(Number::NotEqual(number.into())),
        Some(&(_, number)) => Ok(Number::Equal(number.into())),
        None => number(option.name, value, 255),
    }
}

fn stream_size(option: Opt<'_>) -> Result<FlowSize, Refusal> {
    let value = option.need()?;
    let parts: Vec<Span<'_>> = value.list().collect();
    let [direction, operator, size] = parts[..] else {
        return Err(option.bad("needs a direction, an operator and a number"));
    };
    let sent = match direction.bytes {
        b"server" => SentBy::Server,
        b"client" => SentBy::Client,
        b"both" => SentBy::Both,
        b"either" => SentBy::Either,
        _ => return Err(direction.bad(option.name, "the direction is server, client, both or either")),
    };
    if !matches!(operator.bytes, b"<" | b">" | b"=" | b"!=" | b">=" | b"<=") {
        return Err(operator.bad(option.name, format!("\"{}\" is no operator", operator.text())));
    }
    let joined = [operator.bytes, size.bytes].concat();
    let size = number(option.name, Span { bytes: &joined, at: size.at }, u32::MAX.into())?;
    Ok(FlowSize { sent, size })
}

fn flow_size(option: Opt<'_>, most: u64) -> Result<FlowSize, Refusal> {
    let Some((direction, size)) = option.need()?.cut(b',') else {
        return Err(option.bad("needs a direction and a number"));
    };
    let sent = match direction.bytes {
        b"toserver" => SentBy::Client,
        b"toclient" => SentBy::Server,
        b"both" => SentBy::Both,
        b"either" => SentBy::Either,
        _ => return Err(direction.bad(option.name, "the direction is toserver, toclient, both or either")),
    };
    Ok(FlowSize { sent, size: number(option.name, size, most)? })
}
