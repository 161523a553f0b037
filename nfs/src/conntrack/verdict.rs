//! What a tracker says of a packet.

use wire::Malformed;

/// What a packet is to the connections that are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Of a connection of which only the originator has been heard, perhaps its first.
    New,
    /// Of a connection of which both sides have been heard, or the first of the other side.
    Established,
    /// An ICMP error about a packet of a known connection.
    Related,
    /// Of no connection, and known, and may not begin one.
    Invalid(Cause),
    /// Not a matter of connections: not IP, neighbour discovery.
    Untracked,
}

/// Why a packet is invalid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The table is full of connections that are in use.
    TableFull,
    /// TCP flags that do not go together.
    TcpFlags,
    /// TCP that belongs to no connection and does not begin one.
    TcpUnopened,
    /// TCP that cannot come in this state of the connection.
    TcpState,
    /// A TCP segment beyond the window.
    TcpSeqAbove,
    /// It acknowledges what was not sent.
    TcpAckAbove,
    /// A reset whose number is none that its sender would use.
    TcpReset,
    /// ICMP that answers no query, or is of a type that neither asks nor answers.
    IcmpUnsolicited,
    /// An ICMP error about no known connection.
    IcmpUnrelated,
    /// A later fragment of a datagram whose first was not seen, or was invalid.
    FragmentUnknown,
    /// A later fragment that would overwrite the transport header (RFC 1858, RFC 3128).
    FragmentOverlap,
    /// Headers that are broken or cut off.
    Malformed(Malformed),
}

const OWN: [&str; 11] = [
    "table_full",
    "tcp_flags",
    "tcp_unopened",
    "tcp_state",
    "tcp_seq_above",
    "tcp_ack_above",
    "tcp_reset",
    "icmp_unsolicited",
    "icmp_unrelated",
    "fragment_unknown",
    "fragment_overlap",
];

impl Cause {
    /// Names of all causes, in order of [`number`](Self::number): those of malformed packets, as `wire` names them,
    /// come last.
    pub const NAMES: [&'static str; OWN.len() + Malformed::ALL.len()] = {
        let mut names = [""; OWN.len() + Malformed::ALL.len()];
        let mut i = 0;
        while i < names.len() {
            names[i] = if i < OWN.len() { OWN[i] } else { Malformed::ALL[i - OWN.len()].name() };
            i += 1;
        }
        names
    };

    /// Its place in [`NAMES`](Self::NAMES).
    pub fn number(self) -> u8 {
        match self {
            Cause::TableFull => 0,
            Cause::TcpFlags => 1,
            Cause::TcpUnopened => 2,
            Cause::TcpState => 3,
            Cause::TcpSeqAbove => 4,
            Cause::TcpAckAbove => 5,
            Cause::TcpReset => 6,
            Cause::IcmpUnsolicited => 7,
            Cause::IcmpUnrelated => 8,
            Cause::FragmentUnknown => 9,
            Cause::FragmentOverlap => 10,
            Cause::Malformed(malformed) => OWN.len() as u8 + malformed as u8 - 1,
        }
    }

    /// Its name, as a drop reason.
    pub fn name(self) -> &'static str {
        Cause::NAMES[usize::from(self.number())]
    }
}
