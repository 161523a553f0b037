//! One connection: who began it, how far it is, and what TCP knows of it.

use super::config::Settings;
use super::phase::Phase;
use super::tcp::{Segment, SegmentKind, Step, Tcp};
use super::verdict::Cause;
use engine::Time;
use wire::Direction;

/// What a packet says to its connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Content {
    /// TCP.
    Tcp(Segment),
    /// A later fragment of TCP: the number after its last byte.
    TcpPart { end: u32 },
    /// A later fragment of another protocol.
    Part,
    /// An ICMP answer, which begins nothing.
    Answer,
    /// Anything else.
    #[default]
    Datagram,
}

/// A connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connection {
    /// When a packet last kept it alive.
    pub(super) last: Time,
    pub(super) phase: Phase,
    /// The direction of its first packet, by the key that both directions share.
    pub(super) originator: Direction,
    /// The other side has been heard.
    pub(super) replied: bool,
    /// It was once whole: TCP has shaken hands, UDP has asked, heard an answer, and gone on.
    pub(super) assured: bool,
    /// Zero for all that is not TCP.
    pub(super) tcp: Tcp,
}

/// What a packet was to its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Met {
    /// A part of it: it lives on.
    Alive,
    /// It passes, and does not keep the connection alive.
    Ignored,
    /// The last of it: it is to be forgotten.
    Last,
    /// The first of another connection between the same ends.
    Another,
    /// It cannot be.
    Invalid(Cause),
}

impl Connection {
    /// The connection that a packet begins.
    pub(super) fn begin(
        content: &Content,
        protocol: u8,
        originator: Direction,
        settings: &Settings,
        now: Time,
    ) -> Result<Connection, Cause> {
        let (tcp, phase) = match content {
            Content::Tcp(segment) => Tcp::begin(segment, settings.pick_up)?,
            Content::TcpPart { .. } | Content::Part => return Err(Cause::FragmentUnknown),
            Content::Answer => return Err(Cause::IcmpUnsolicited),
            Content::Datagram => (Tcp::default(), Phase::of_datagrams(protocol, false)),
        };
        Ok(Connection { last: now, phase, originator, replied: false, assured: false, tcp })
    }

    /// From here on it is forgotten, if no packet comes.
    #[inline(always)]
    pub(super) fn deadline(&self, settings: &Settings) -> u64 {
        self.last.as_nanos().saturating_add(settings.patience.with(self.phase))
    }

    /// It may give way to a new one: half-open, or over.
    #[inline(always)]
    pub(super) fn is_expendable(&self) -> bool {
        !self.assured || self.phase.is_over()
    }

    /// A packet of it.
    #[inline(always)]
    pub(super) fn meet(
        &mut self,
        content: &Content,
        direction: Direction,
        protocol: u8,
        settings: &Settings,
        now: Time,
    ) -> Met {
        let by_responder = direction != self.originator;
        let by = usize::from(by_responder);
        let before = self.phase;
        match content {
            Content::Tcp(segment) => {
                let known = (self.replied, self.assured, settings.liberal);
                match self.tcp.observe(before, by, segment, known) {
                    Step::To(phase) => {
                        if !self.replied && segment.kind() == Some(SegmentKind::Rst) {
                            return Met::Last;
                        }
                        if !self.replied && before == Phase::SynSent && phase == Phase::SynSent {
                            // Else whoever repeats a SYN, or reuses its ports, keeps the connection half-open for ever.
                            return Met::Ignored;
                        }
                        let one_sided = phase == Phase::Established && !(self.replied || by_responder);
                        self.phase = if one_sided { Phase::PickedUp } else { phase };
                        let shook =
                            matches!(before, Phase::SynReceived | Phase::Established | Phase::PickedUp);
                        self.assured |= self.replied && shook && phase == Phase::Established;
                    }
                    Step::Ignored => {
                        self.replied |= by_responder;
                        return Met::Ignored;
                    }
                    Step::Reopened => return Met::Another,
                    Step::Invalid(cause) => return Met::Invalid(cause),
                }
            }
            Content::TcpPart { end } => {
                if let Err(cause) = self.tcp.extend(by, *end) {
                    return Met::Invalid(cause);
                }
            }
            Content::Part | Content::Answer | Content::Datagram => {
                self.assured |= self.replied && !by_responder && before != Phase::Icmp;
                self.phase = Phase::of_datagrams(protocol, self.replied || by_responder);
            }
        }
        self.replied |= by_responder;
        self.last = self.last.max(now);
        Met::Alive
    }
}
