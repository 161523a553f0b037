//! How far a connection is, and how long it may be quiet there.

use super::config::Timeouts;
use serde::{Deserialize, Serialize};
use wire::protocol::ip;

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Phase {
    /// TCP: the originator has sent a SYN.
    SynSent,
    /// TCP: both have sent a SYN, and none has acknowledged (RFC 9293, figure 7).
    SimultaneousOpen,
    /// TCP: the SYN was answered.
    SynReceived,
    /// TCP: found in the middle, and only one side has been heard.
    PickedUp,
    /// TCP: both have acknowledged.
    Established,
    /// TCP: one side has sent its FIN.
    FinWait,
    /// TCP: and the other has acknowledged it.
    CloseWait,
    /// TCP: both have sent their FIN.
    LastAck,
    /// TCP: and the last was acknowledged.
    TimeWait,
    /// TCP: reset.
    Closed,
    /// UDP: only one side has been heard.
    UdpUnreplied,
    /// UDP: both have.
    UdpStream,
    /// ICMP and ICMPv6 queries.
    Icmp,
    /// Another protocol.
    Other,
}

impl Phase {
    /// How many there are.
    pub(super) const COUNT: usize = Phase::Other as usize + 1;
    /// Every one, in order of its number.
    pub(super) const ALL: [Phase; Phase::COUNT] = {
        use Phase::*;
        [
            SynSent,
            SimultaneousOpen,
            SynReceived,
            PickedUp,
            Established,
            FinWait,
            CloseWait,
            LastAck,
            TimeWait,
            Closed,
            UdpUnreplied,
            UdpStream,
            Icmp,
            Other,
        ]
    };

    /// The first of a connection that is not TCP, and what it is once both sides were heard.
    pub(super) fn of_datagrams(protocol: u8, replied: bool) -> Phase {
        match (protocol, replied) {
            (ip::UDP | ip::UDP_LITE, false) => Phase::UdpUnreplied,
            (ip::UDP | ip::UDP_LITE, true) => Phase::UdpStream,
            (ip::ICMP | ip::ICMPV6, _) => Phase::Icmp,
            _ => Phase::Other,
        }
    }

    /// A phase of TCP.
    pub(super) fn is_tcp(self) -> bool {
        (self as u8) < Phase::UdpUnreplied as u8
    }

    /// A connection that is over, or was never whole.
    pub(super) fn is_over(self) -> bool {
        matches!(self, Phase::TimeWait | Phase::Closed)
    }

    /// One side has sent its FIN, or it is over.
    pub(super) fn is_closing(self) -> bool {
        matches!(self, Phase::FinWait | Phase::CloseWait | Phase::LastAck) || self.is_over()
    }

    /// Data can go both ways.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Phase::Established | Phase::PickedUp)
    }
}

/// How long a connection may be quiet, by its phase, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience([u64; Phase::COUNT]);

impl Patience {
    pub(super) fn of(timeouts: &Timeouts) -> Patience {
        Patience(Phase::ALL.map(|phase| {
            let span = match phase {
                Phase::SynSent | Phase::SimultaneousOpen => timeouts.tcp_syn_sent,
                Phase::SynReceived => timeouts.tcp_syn_received,
                Phase::PickedUp => timeouts.tcp_picked_up,
                Phase::Established => timeouts.tcp_established,
                Phase::FinWait => timeouts.tcp_fin_wait,
                Phase::CloseWait => timeouts.tcp_close_wait,
                Phase::LastAck => timeouts.tcp_last_ack,
                Phase::TimeWait => timeouts.tcp_time_wait,
                Phase::Closed => timeouts.tcp_closed,
                Phase::UdpUnreplied => timeouts.udp_unreplied,
                Phase::UdpStream => timeouts.udp_stream,
                Phase::Icmp => timeouts.icmp,
                Phase::Other => timeouts.other,
            };
            span.as_nanos()
        }))
    }

    /// In nanoseconds.
    #[inline(always)]
    pub(super) fn with(&self, phase: Phase) -> u64 {
        self.0[phase as usize]
    }
}
