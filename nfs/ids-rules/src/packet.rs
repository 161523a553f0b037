//! What a rule demands of a packet's headers. Every demand of a rule must hold.

use crate::number::Number;

/// A demand on one packet, other than on its bytes.
///
/// A packet that lacks the header in question (say [`Window`](Self::Window) of a UDP packet, [`Ttl`](Self::Ttl)
/// of ARP) does not match, whatever the comparison, also when it is negated.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PacketTest {
    /// `dsize`: length of the transport payload in bytes (TCP, UDP, ICMP: after its header; other protocols: after
    /// the IP header).
    Dsize(Number),
    /// `flags`, `tcp.flags`: TCP flags.
    TcpFlags(TcpFlags),
    /// `ttl`: TTL of IPv4 or hop limit of IPv6.
    Ttl(Number),
    /// `id`: identification of IPv4 (no match on IPv6).
    IpId(Number),
    /// `ipopts`: an IPv4 option is there.
    IpOption(IpOption),
    /// `fragbits`: reserved, don't-fragment and more-fragments of IPv4.
    FragBits(FragBits),
    /// `fragoffset`: fragment offset in units of eight bytes, as in the header; IPv4, or IPv6 with a fragment header.
    FragOffset(Number),
    /// `ip_proto`: protocol of IPv4, or the protocol after all extension headers of IPv6.
    IpProto(Number),
    /// `tos`: the whole type-of-service byte of IPv4 or traffic class of IPv6.
    Tos(Number),
    /// `sameip`: source and destination address are the same.
    SameIp,
    /// `itype`: type of ICMP or ICMPv6.
    IcmpType(Number),
    /// `icode`: code of ICMP or ICMPv6.
    IcmpCode(Number),
    /// `icmp_id`: identifier of the ICMP and ICMPv6 messages that have one (echo, timestamp, information, address
    /// mask), in host order.
    IcmpId(u16),
    /// `icmp_seq`: sequence number of the same messages.
    IcmpSeq(u16),
    /// `icmpv6.mtu`: the MTU in an ICMPv6 Packet Too Big message.
    Icmpv6Mtu(Number),
    /// `seq`, `tcp.seq`: raw sequence number.
    TcpSeq(u32),
    /// `ack`, `tcp.ack`: raw acknowledgement number, also where the flag ACK is not set.
    TcpAck(u32),
    /// `window`, `tcp.window`: window field without scaling.
    Window(Number),
    /// `tcp.mss`: the MSS option; without it no match.
    TcpMss(Number),
    /// `stream_size`: bytes seen of a TCP connection.
    StreamSize(FlowSize),
    /// `flow.age`: whole seconds between the flow's first packet and this one.
    FlowAge(Number),
    /// `flow.pkts`: packets of the flow so far, this one included.
    FlowPackets(FlowSize),
    /// `flow.bytes`: bytes of the flow's packets so far, this one included, from the link header on.
    FlowBytes(FlowSize),
}

/// TCP flags to compare: `flags:[modifier]flags[,ignored]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TcpFlags {
    /// The flags, bits as in byte 13 of the header (FIN is 1, CWR 128); zero for `flags:0`.
    pub flags: u8,
    /// Flags that the comparison leaves out (`,12` is 0xc0): cleared in the packet's byte first.
    pub ignored: u8,
    /// How they are compared.
    pub compare: BitCompare,
}

/// How bits of a header are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BitCompare {
    /// No modifier: exactly these bits are set.
    Exactly,
    /// `+`: all of them, others may be.
    All,
    /// `*`: at least one of them.
    Any,
    /// `!`: not all of them are set.
    Not,
}

impl BitCompare {
    fn matches(self, bits: u8, wanted: u8) -> bool {
        match self {
            Self::Exactly => bits == wanted,
            Self::All => bits & wanted == wanted,
            Self::Any => bits & wanted != 0,
            Self::Not => bits & wanted != wanted,
        }
    }
}

impl TcpFlags {
    /// Whether byte 13 of a TCP header meets the demand.
    ///
    /// `!0` and `*0` demand that any flag at all is set; `+0` holds always.
    pub fn matches(self, byte: u8) -> bool {
        let bits = byte & !self.ignored;
        if self.flags == 0 {
            return match self.compare {
                BitCompare::Exactly => bits == 0,
                BitCompare::All => true,
                BitCompare::Any | BitCompare::Not => bits != 0,
            };
        }
        self.compare.matches(bits, self.flags & !self.ignored)
    }
}

/// The three bits before the fragment offset of IPv4, as `fragbits` compares them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FragBits {
    /// The bits, as in the top three bits of byte 6 moved down: reserved 4, don't fragment 2, more fragments 1.
    pub bits: u8,
    /// How they are compared.
    pub compare: BitCompare,
}

impl FragBits {
    /// Whether byte 6 of an IPv4 header meets the demand.
    pub fn matches(self, byte: u8) -> bool {
        self.compare.matches(byte >> 5, self.bits)
    }
}

/// An option of the IPv4 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpOption {
    /// `any`: there is some option.
    Any,
    /// The option with this type byte: `rr` 7, `lsrr` 131, `eol` 0, `nop` 1, `ts` 68, `sec` 130, `esec` 133,
    /// `ssrr` 137, `satid` 136, `qs` 25, `cipso` 134, `rtralt` 148.
    Type(u8),
}

/// `stream_size:<direction>,<mode>,<number>`, and alike `flow.pkts` and `flow.bytes`.
///
/// The stream size of a direction is what its stream has covered: the next expected sequence number minus the
/// initial one, so SYN and FIN count one each. Without a connection in the stream table it does not match; nor does
/// a packet without a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowSize {
    /// Of what was sent by whom.
    pub sent: SentBy,
    /// How much.
    pub size: Number,
}

/// Which directions of a flow are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SentBy {
    /// What the server sent (`stream_size:server`, `flow.pkts:toclient`).
    Server,
    /// What the client sent (`stream_size:client`, `flow.pkts:toserver`).
    Client,
    /// Each of both directions must meet it.
    Both,
    /// One of them must.
    Either,
}

#[cfg(test)]
mod tests;
