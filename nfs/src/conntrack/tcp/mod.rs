//! TCP as somebody between the two sides sees it: state by the kinds of segments, then the window.

mod segment;
#[cfg(test)]
mod tests;
mod window;

pub(super) use segment::{Segment, SegmentKind};
pub(super) use window::Side;

use super::phase::Phase;
use super::verdict::Cause;
use segment::after;
use serde::{Deserialize, Serialize};
use window::{Circumstance, Heed};

/// Who sent a segment.
const ORIGINATOR: usize = 0;

/// What is known of a TCP connection, besides its phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tcp {
    /// The originator's side, and the responder's.
    sides: [Side; 2],
    last: Last,
    /// A SYN came from both sides.
    simultaneous: bool,
}

/// The last segment that was not invalid; or the last of an open connection that would have ended it, but was beyond
/// the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Last {
    /// Its kind, as a number.
    kind: u8,
    /// Who sent it.
    by: u8,
    /// The number after the last ACK that was in the window, or the last of any kind that was ignored.
    end: u32,
    /// The acknowledgement in it, where that was the answer to a SYN.
    ack: u32,
    /// The window in the last that was ignored.
    window: u16,
    /// Of an ignored SYN: what it offered.
    scale: Option<u8>,
    sacks: bool,
    /// An ignored SYN came while the last ACK was awaited: the next ACK may be the challenge to it, RFC 5961 section 4.
    challenged: bool,
}

impl Last {
    fn is(&self, kind: SegmentKind) -> bool {
        self.kind == kind as u8
    }
}

/// What becomes of a connection by a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// It is in this phase now.
    To(Phase),
    /// The segment passes, and the connection stays as it is: the two sides know better what it means.
    Ignored,
    /// The segment opens another connection between the same ends.
    Reopened,
    /// It cannot be.
    Invalid(Cause),
}

/// What a kind of segment means in a phase, by the originator or the responder.
fn step(phase: Phase, originator: bool, kind: SegmentKind) -> Step {
    use Phase::*;
    use SegmentKind::*;
    let invalid = Step::Invalid(Cause::TcpState);
    match (kind, phase) {
        (Rst, _) => Step::To(Closed),
        (Syn, SimultaneousOpen) => Step::To(SimultaneousOpen),
        (Syn, TimeWait) => Step::To(SynSent),
        (Syn, SynSent | Closed) if originator => Step::To(SynSent),
        (Syn, SynSent) => Step::To(SimultaneousOpen),
        // RFC 5961 section 4: the receiver answers with a challenge.
        (Syn, _) if originator => Step::Ignored,
        (Syn, _) => invalid,
        (SynAck, SynReceived | SimultaneousOpen) if originator => Step::To(SynReceived),
        (SynAck, _) if originator => invalid,
        (SynAck, SynSent | SimultaneousOpen) => Step::To(SynReceived),
        (SynAck, _) => Step::Ignored,
        (Fin, SynSent | SimultaneousOpen) => invalid,
        (Fin, SynReceived | Established | PickedUp) => Step::To(FinWait),
        (Fin, FinWait | CloseWait | LastAck) => Step::To(LastAck),
        (Ack, SynSent | SimultaneousOpen) if originator => invalid,
        (Ack, SynSent | SimultaneousOpen) => Step::Ignored,
        (Ack, SynReceived) if originator => Step::To(Established),
        (Ack, SynReceived) => Step::To(SynReceived),
        (Ack, Established | PickedUp) => Step::To(Established),
        (Ack, FinWait | CloseWait) => Step::To(CloseWait),
        (Ack, LastAck | TimeWait) => Step::To(TimeWait),
        (Fin, TimeWait) => Step::To(TimeWait),
        (Fin | Ack, _) => Step::To(Closed),
    }
}

impl Tcp {
    /// The connection that a segment begins, and its phase.
    pub(super) fn begin(segment: &Segment, pick_up: bool) -> Result<(Tcp, Phase), Cause> {
        let kind = segment.kind().ok_or(Cause::TcpFlags)?;
        let (sides, phase) = match kind {
            SegmentKind::Syn => ([Side::of_syn(segment), Side::default()], Phase::SynSent),
            SegmentKind::Ack if pick_up => {
                let (sender, receiver) = Side::of_middle(segment);
                ([sender, receiver], Phase::PickedUp)
            }
            _ => return Err(Cause::TcpUnopened),
        };
        let mut tcp = Tcp { sides, ..Tcp::default() };
        let at = Circumstance { answers: false, syn_sent: false, opening: false, liberal: true };
        tcp.check(ORIGINATOR, (kind, segment), at)?;
        tcp.note(ORIGINATOR, kind);
        Ok((tcp, phase))
    }

    #[inline(always)]
    fn check(
        &mut self,
        by: usize,
        (kind, segment): (SegmentKind, &Segment),
        at: Circumstance,
    ) -> Result<Heed, Cause> {
        let [originator, responder] = &mut self.sides;
        let (sender, receiver) =
            if by == ORIGINATOR { (originator, responder) } else { (responder, originator) };
        let heed = window::check(sender, receiver, segment, at)?;
        if heed == Heed::Learned && kind == SegmentKind::Ack {
            self.last.end = segment.end();
        }
        Ok(heed)
    }

    #[inline(always)]
    fn note(&mut self, by: usize, kind: SegmentKind) {
        (self.last.kind, self.last.by) = (kind as u8, by as u8);
    }

    /// A later fragment of a segment from `by` ends at this number.
    pub(super) fn extend(&mut self, by: usize, end: u32) -> Result<(), Cause> {
        let side = &mut self.sides[by];
        if after(end, side.max_end) && !side.liberal {
            return Err(Cause::TcpSeqAbove);
        }
        if after(end, side.end) {
            side.end = end;
        }
        Ok(())
    }

    /// A segment of a connection in `phase` whose state is known; `assured`: it once was open. Whatever the outcome
    /// but `To`, nothing that matters has changed.
    #[inline(always)]
    pub(super) fn observe(
        &mut self,
        phase: Phase,
        by: usize,
        segment: &Segment,
        (replied, assured, liberal): (bool, bool, bool),
    ) -> Step {
        let Some(kind) = segment.kind() else { return Step::Invalid(Cause::TcpFlags) };
        let at = Circumstance {
            answers: by != ORIGINATOR,
            syn_sent: phase == Phase::SynSent,
            opening: matches!(phase, Phase::SynSent | Phase::SynReceived),
            liberal,
        };
        let step = step(phase, by == ORIGINATOR, kind);
        let usual = kind == SegmentKind::Ack && phase == Phase::Established;
        let next = if usual {
            phase
        } else {
            match self.consider(step, phase, by, (kind, segment), (replied, assured)) {
                Considered::Checked(next) => next,
                Considered::Unchecked(next) => {
                    self.note(by, kind);
                    return Step::To(next);
                }
                Considered::Done(step) => return step,
            }
        };
        match self.check(by, (kind, segment), at) {
            Ok(Heed::Learned | Heed::Taken) => {}
            Ok(Heed::Ignored) => return Step::Ignored,
            Err(cause) => {
                if assured {
                    self.doubt(by, kind);
                }
                return Step::Invalid(cause);
            }
        }
        self.note(by, kind);
        if next == Phase::FinWait && phase != Phase::FinWait {
            self.sides[by].closes = true;
        }
        Step::To(next)
    }

    /// What would have ended an open connection was beyond the window: a reset that follows is not of a train of data.
    #[cold]
    fn doubt(&mut self, by: usize, kind: SegmentKind) {
        let answers = usize::from(self.last.by) != by
            && (self.last.is(SegmentKind::Fin) || self.last.is(SegmentKind::Rst));
        if matches!(kind, SegmentKind::Fin | SegmentKind::Rst) && !answers {
            self.note(by, kind);
        }
    }

    /// What the kinds of segments alone do not tell.
    #[cold]
    fn consider(
        &mut self,
        step: Step,
        phase: Phase,
        by: usize,
        (kind, segment): (SegmentKind, &Segment),
        (replied, assured): (bool, bool),
    ) -> Considered {
        let last_by_same = usize::from(self.last.by) == by;
        match step {
            Step::To(Phase::SynSent) if phase.is_over() => {
                // RFC 9293 section 3.6.1: a SYN may reopen what was closed.
                let closed = self.sides.iter().any(|side| side.closes);
                let reset_by_same = last_by_same && self.last.is(SegmentKind::Rst);
                if closed || reset_by_same {
                    return Considered::Done(Step::Reopened);
                }
                self.ignore(phase, by, kind, segment)
            }
            Step::To(Phase::SimultaneousOpen) => {
                self.simultaneous = true;
                Considered::Checked(Phase::SimultaneousOpen)
            }
            Step::To(Phase::SynReceived)
                if self.simultaneous && by != ORIGINATOR && kind == SegmentKind::Ack =>
            {
                Considered::Checked(Phase::Established)
            }
            Step::To(Phase::TimeWait)
                if phase == Phase::LastAck
                    && kind == SegmentKind::Ack
                    && !last_by_same
                    && self.last.is(SegmentKind::Syn)
                    && self.last.challenged =>
            {
                // It answers the SYN, and does not acknowledge the FIN.
                self.last.challenged = false;
                Considered::Done(Step::Ignored)
            }
            Step::To(Phase::Closed) if kind == SegmentKind::Rst => {
                self.reset(phase, by, segment, (replied, assured))
            }
            Step::To(next) => Considered::Checked(next),
            Step::Ignored => self.ignore(phase, by, kind, segment),
            Step::Reopened | Step::Invalid(_) => Considered::Done(step),
        }
    }

    /// A reset ends a connection only with exactly the next number that its receiver expects; with another within the
    /// window the receiver sends a challenge (RFC 5961 section 3.2), and the connection goes on.
    fn reset(
        &mut self,
        phase: Phase,
        by: usize,
        segment: &Segment,
        (replied, assured): (bool, bool),
    ) -> Considered {
        let last_by_same = usize::from(self.last.by) == by;
        let open = phase.is_open() && assured;
        let mut next = Phase::Closed;
        if phase.is_closing() {
            // The same ends may have begun another connection already: what is known of the window is of no use.
            return Considered::Unchecked(next);
        }
        let after_syn = self.last.is(SegmentKind::Syn);
        if let Some(expected) = self.sides[1 - by].max_ack.filter(|_| !after_syn) {
            if segment.seq == 0 && !open {
                // Most likely the answer to a SYN that was ignored.
                return Considered::Checked(next);
            }
            if after(expected, segment.seq) {
                return Considered::Done(Step::Invalid(Cause::TcpReset));
            }
            let follows_data = self.last.is(SegmentKind::Ack) && last_by_same && segment.seq == self.last.end;
            if !open || segment.seq == expected || follows_data {
                return Considered::Checked(next);
            }
            next = phase;
        }
        let answers_ignored =
            (replied && after_syn && !last_by_same) || (!assured && self.last.is(SegmentKind::Ack));
        if answers_ignored && segment.ack == self.last.end {
            return Considered::Unchecked(next);
        }
        let answers_challenge = phase == Phase::SynSent
            && self.last.is(SegmentKind::Ack)
            && usize::from(self.last.by) != ORIGINATOR
            && self.last.ack == segment.seq;
        if answers_challenge {
            return Considered::Unchecked(next);
        }
        Considered::Checked(next)
    }

    /// The two sides may be in step with each other while this record is not: what might show it is remembered.
    fn ignore(&mut self, phase: Phase, by: usize, kind: SegmentKind, segment: &Segment) -> Considered {
        let other = usize::from(self.last.by);
        if kind == SegmentKind::SynAck
            && self.last.is(SegmentKind::Syn)
            && other != by
            && segment.ack == self.last.end
        {
            // It answers the ignored SYN: there is a new connection.
            self.sides[other] = Side {
                end: self.last.end,
                max_end: self.last.end,
                max_window: u32::from(self.last.window).max(1),
                scale: self.last.scale.unwrap_or(0),
                scales: self.last.scale.is_some(),
                sacks: self.last.sacks,
                ..Side::default()
            };
            self.sides[by] = Side { liberal: self.sides[by].liberal, ..Side::default() };
            self.last.challenged = false;
            return Considered::Checked(Phase::SynReceived);
        }
        self.note(by, kind);
        (self.last.end, self.last.window) = (segment.end(), segment.window);
        if kind == SegmentKind::Syn && by == ORIGINATOR {
            self.simultaneous = false;
            (self.last.scale, self.last.sacks) = (segment.scale, segment.sack_permitted);
            self.last.challenged = phase == Phase::LastAck;
        }
        if phase == Phase::SynSent && kind == SegmentKind::Ack && by != ORIGINATOR {
            self.last.ack = segment.ack;
        }
        Considered::Done(Step::Ignored)
    }
}

/// What is left to do for a segment.
enum Considered {
    /// The window is checked, then the connection is in this phase.
    Checked(Phase),
    /// The connection is in this phase, whatever the window.
    Unchecked(Phase),
    /// Nothing.
    Done(Step),
}
