//! A rule as text: what [`parse`](crate::parse) reads back as the same rule.

mod payload;

use std::{
    fmt::{self, Display, Formatter, Write},
    net::{Ipv4Addr, Ipv6Addr},
};

use crate::{
    bits::{BitCommand, BitOwner, BitTest},
    buffer::{Application, Buffer},
    number::Number,
    packet::{BitCompare, FlowSize, IpOption, PacketTest, SentBy},
    parse::IP_OPTIONS,
    payload::{Test, Transform},
    rule::{
        Action, DnsTest, Endpoint, FlowDirection, FlowState, Fragments, Protocol, Rule, StreamOnly, Target,
    },
    sets::AddressSet,
    threshold::{ThresholdKind, Track},
};

impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            Action::Pass => "pass",
            Action::Drop => "drop",
            Action::Alert => "alert",
        };
        let arrow = if self.both_ways { "<>" } else { "->" };
        write!(f, "{action} {} {} {arrow} {} (", self.protocol, self.source, self.destination)?;
        if !self.meta.message.is_empty() {
            write!(f, "msg:\"{}\"; ", Escaped(&self.meta.message))?;
        }
        self.write_flow(f)?;
        self.packet.iter().try_for_each(|test| write_packet(f, test))?;
        let mut chosen: (Buffer, &[Transform]) = (Buffer::Payload, &[]);
        for (index, group) in self.buffers.iter().enumerate() {
            let sized = index == 0 && group.tests.iter().any(|test| matches!(test, Test::BufferSize(_)));
            let this = (group.buffer, group.transforms.as_slice());
            if this != chosen || group.buffer == Buffer::DnsQuery || sized {
                write!(f, "{}; ", group.buffer.name())?;
                chosen = this;
            }
            payload::write_group(f, group, self)?;
        }
        for test in &self.dns {
            let (name, number) = match test {
                DnsTest::Opcode(number) => ("opcode", number),
                DnsTest::Rcode(number) => ("rcode", number),
                DnsTest::RecordType(number) => ("rrtype", number),
            };
            write!(f, "dns.{name}:{number}; ")?;
        }
        for test in &self.application {
            let name = test.application.map_or("unknown", application_name);
            write!(f, "app-layer-protocol:{}{name}; ", not(test.negated))?;
        }
        self.bits.iter().try_for_each(|bit| write_bit(f, bit))?;
        if self.noalert {
            f.write_str("noalert; ")?;
        }
        self.write_rates(f)?;
        self.write_meta(f)
    }
}

impl Rule {
    fn write_flow(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let flow = self.flow;
        let words = [
            flow.direction.map(|direction| match direction {
                FlowDirection::ToServer => "to_server",
                FlowDirection::ToClient => "to_client",
            }),
            flow.state.map(|state| match state {
                FlowState::Established => "established",
                FlowState::NotEstablished => "not_established",
            }),
            flow.stream.map(|stream| match stream {
                StreamOnly::Only => "only_stream",
                StreamOnly::No => "no_stream",
            }),
            flow.fragments.map(|fragments| match fragments {
                Fragments::Only => "only_frag",
                Fragments::No => "no_frag",
            }),
        ];
        let words: Vec<&str> = words.into_iter().flatten().collect();
        if words.is_empty() { Ok(()) } else { write!(f, "flow:{}; ", words.join(",")) }
    }

    fn write_rates(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(filter) = self.detection_filter {
            write!(
                f,
                "detection_filter:track {}, count {}, seconds {}; ",
                filter.track, filter.count, filter.seconds
            )?;
        }
        let Some(threshold) = self.threshold else { return Ok(()) };
        let (kind, length) = match threshold.kind {
            ThresholdKind::Limit => ("limit", format!("seconds {}", threshold.seconds)),
            ThresholdKind::Every => ("threshold", format!("seconds {}", threshold.seconds)),
            ThresholdKind::Both => ("both", format!("seconds {}", threshold.seconds)),
            ThresholdKind::Backoff { multiplier } => ("backoff", format!("multiplier {multiplier}")),
        };
        write!(f, "threshold:type {kind}, track {}, count {}, {length}; ", threshold.track, threshold.count)
    }

    fn write_meta(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let meta = &self.meta;
        if let Some(class) = &meta.class {
            write!(f, "classtype:{}; ", class.name)?;
        }
        for (kind, identifier) in &meta.references {
            write!(f, "reference:{kind},{} ; ", Escaped(identifier))?;
        }
        if !meta.metadata.is_empty() {
            let pairs: Vec<String> =
                meta.metadata.iter().map(|(key, value)| format!("{key} {value}")).collect();
            write!(f, "metadata:{} ; ", pairs.join(", "))?;
        }
        match meta.target {
            Some(Target::Source) => f.write_str("target:src_ip; ")?,
            Some(Target::Destination) => f.write_str("target:dest_ip; ")?,
            None => {}
        }
        write!(f, "gid:{}; sid:{}; rev:{}; priority:{};)", meta.gid, meta.sid, meta.rev, meta.priority)
    }
}

/// Text with backslashes before what ends it.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            ';' | '"' | '\\' | ':' => write!(f, "\\{c}"),
            c => f.write_char(c),
        })
    }
}

fn not(negated: bool) -> &'static str {
    if negated { "!" } else { "" }
}

fn application_name(application: Application) -> &'static str {
    match application {
        Application::Http => "http",
        Application::Tls => "tls",
        Application::Dns => "dns",
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ip => "ip",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Tcp => "tcp",
            Self::TcpPacket => "tcp-pkt",
            Self::TcpStream => "tcp-stream",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Icmpv4 => "icmpv4",
            Self::Icmpv6 => "icmpv6",
            Self::Sctp => "sctp",
            Self::Application(application) => application_name(*application),
        })
    }
}

impl Display for Endpoint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let outside;
        let (sign, set) = if self.negated {
            outside = self.addresses.complement();
            ("!", &outside)
        } else {
            ("", &self.addresses)
        };
        // A negation within a group that takes everything in nevertheless.
        if set.is_none() {
            f.write_str("[any,[!0.0.0.0]]")?;
        } else {
            write!(f, "{sign}{set}")?;
        }
        if self.ports.is_any() {
            return f.write_str(" any");
        }
        let range =
            |&(low, high): &(u16, u16)| if low == high { low.to_string() } else { format!("{low}:{high}") };
        write!(f, " [{}]", self.ports.ranges().iter().map(range).collect::<Vec<_>>().join(","))
    }
}

impl Display for AddressSet {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_any() {
            return f.write_str("any");
        }
        let mut ranges = Vec::new();
        for &(low, high) in self.v4_ranges() {
            let (first, last) = (Ipv4Addr::from_bits(low), Ipv4Addr::from_bits(high));
            ranges.push(if low == high { first.to_string() } else { format!("{first}-{last}") });
        }
        for &(low, high) in self.v6_ranges() {
            let (first, last) = (Ipv6Addr::from_bits(low), Ipv6Addr::from_bits(high));
            ranges.push(if low == high { first.to_string() } else { format!("{first}-{last}") });
        }
        write!(f, "[{}]", ranges.join(","))
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal(n) => write!(f, "{n}"),
            Self::NotEqual(n) => write!(f, "!{n}"),
            Self::Less(n) => write!(f, "<{n}"),
            Self::AtMost(n) => write!(f, "<={n}"),
            Self::More(n) => write!(f, ">{n}"),
            Self::AtLeast(n) => write!(f, ">={n}"),
            Self::Between(low, high) => write!(f, "{low}<>{high}"),
            Self::NotBetween(low, high) => write!(f, "!{low}<>{high}"),
            Self::Masked(mask, n) => write!(f, "&{mask}={n}"),
            Self::NotMasked(mask, n) => write!(f, "&{mask}!={n}"),
        }
    }
}

impl Display for Track {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "by_src",
            Self::Destination => "by_dst",
            Self::Both => "by_both",
            Self::Rule => "by_rule",
            Self::Flow => "by_flow",
        })
    }
}

fn write_packet(f: &mut Formatter<'_>, test: &PacketTest) -> fmt::Result {
    match test {
        PacketTest::Dsize(n) => write!(f, "dsize:{n}; "),
        PacketTest::TcpFlags(flags) => {
            write!(f, "flags:{}{}", sign(flags.compare), letters(flags.flags))?;
            if flags.ignored != 0 {
                write!(f, ",{}", letters(flags.ignored))?;
            }
            f.write_str("; ")
        }
        PacketTest::Ttl(n) => write!(f, "ttl:{n}; "),
        PacketTest::IpId(n) => write!(f, "id:{n}; "),
        PacketTest::IpOption(IpOption::Any) => f.write_str("ipopts:any; "),
        PacketTest::IpOption(IpOption::Type(number)) => {
            let name = IP_OPTIONS.iter().find(|(_, known)| known == number).map_or("any", |(name, _)| name);
            write!(f, "ipopts:{name}; ")
        }
        PacketTest::FragBits(test) => {
            let bits = [(4, 'R'), (2, 'D'), (1, 'M')];
            let bits: String =
                bits.iter().filter(|(bit, _)| test.bits & bit != 0).map(|&(_, name)| name).collect();
            write!(f, "fragbits:{}{bits}; ", sign(test.compare))
        }
        PacketTest::FragOffset(n) => write!(f, "fragoffset:{n}; "),
        PacketTest::IpProto(n) => write!(f, "ip_proto:{n}; "),
        PacketTest::Tos(n) => write!(f, "tos:{n}; "),
        PacketTest::SameIp => f.write_str("sameip; "),
        PacketTest::IcmpType(n) => write!(f, "itype:{n}; "),
        PacketTest::IcmpCode(n) => write!(f, "icode:{n}; "),
        PacketTest::IcmpId(n) => write!(f, "icmp_id:{n}; "),
        PacketTest::IcmpSeq(n) => write!(f, "icmp_seq:{n}; "),
        PacketTest::Icmpv6Mtu(n) => write!(f, "icmpv6.mtu:{n}; "),
        PacketTest::TcpSeq(n) => write!(f, "seq:{n}; "),
        PacketTest::TcpAck(n) => write!(f, "ack:{n}; "),
        PacketTest::Window(n) => write!(f, "window:{n}; "),
        PacketTest::TcpMss(n) => write!(f, "tcp.mss:{n}; "),
        PacketTest::StreamSize(size) => write_stream_size(f, size),
        PacketTest::FlowAge(n) => write!(f, "flow.age:{n}; "),
        PacketTest::FlowPackets(size) => write!(f, "flow.pkts:{},{}; ", towards(size.sent), size.size),
        PacketTest::FlowBytes(size) => write!(f, "flow.bytes:{},{}; ", towards(size.sent), size.size),
    }
}

fn write_stream_size(f: &mut Formatter<'_>, test: &FlowSize) -> fmt::Result {
    let (operator, size) = match test.size {
        Number::Equal(n) => ("=", n),
        Number::NotEqual(n) => ("!=", n),
        Number::Less(n) => ("<", n),
        Number::AtMost(n) => ("<=", n),
        Number::More(n) => (">", n),
        Number::AtLeast(n) => (">=", n),
        // No operator of stream_size makes them.
        Number::Between(..) | Number::NotBetween(..) | Number::Masked(..) | Number::NotMasked(..) => {
            return Ok(());
        }
    };
    let sent = match test.sent {
        SentBy::Server => "server",
        SentBy::Client => "client",
        SentBy::Both => "both",
        SentBy::Either => "either",
    };
    write!(f, "stream_size:{sent},{operator},{size}; ")
}

fn towards(sent: SentBy) -> &'static str {
    match sent {
        SentBy::Server => "toclient",
        SentBy::Client => "toserver",
        SentBy::Both => "both",
        SentBy::Either => "either",
    }
}

fn sign(compare: BitCompare) -> &'static str {
    match compare {
        BitCompare::Exactly => "",
        BitCompare::All => "+",
        BitCompare::Any => "*",
        BitCompare::Not => "!",
    }
}

fn letters(flags: u8) -> String {
    if flags == 0 {
        return "0".to_owned();
    }
    "FSRPAUEC"
        .chars()
        .enumerate()
        .filter(|(bit, _)| flags >> bit & 1 == 1)
        .map(|(_, letter)| letter)
        .collect()
}

fn write_bit(f: &mut Formatter<'_>, bit: &BitTest) -> fmt::Result {
    let command = match bit.command {
        BitCommand::Set => "set",
        BitCommand::Unset => "unset",
        BitCommand::Toggle => "toggle",
        BitCommand::IsSet => "isset",
        BitCommand::IsNotSet => "isnotset",
    };
    let names = bit.names.join("|");
    let expire = bit.expire.unwrap_or(1);
    match bit.owner {
        BitOwner::Flow => write!(f, "flowbits:{command},{names}; "),
        BitOwner::Source => write!(f, "hostbits:{command},{names},src,{expire}; "),
        BitOwner::Destination => write!(f, "hostbits:{command},{names},dst,{expire}; "),
        BitOwner::Pair => write!(f, "xbits:{command},{names},track ip_pair,expire {expire}; "),
    }
}

#[cfg(test)]
mod tests;
