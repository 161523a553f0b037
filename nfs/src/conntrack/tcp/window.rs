//! Which sequence numbers can be: the window, as an observer between the two sides knows it.
//!
//! The four bounds are those of Guido van Rooij, *Real Stateful TCP Packet Filtering in IP Filter* (2000): a segment
//! ends within what its receiver has offered and begins no more than a window before; it acknowledges nothing that was
//! not sent, and nothing from long ago.

use super::super::verdict::Cause;
use super::segment::{Segment, after};
use serde::{Deserialize, Serialize};
use wire::tcp::flags;

/// An acknowledgement may be this much older than the newest, in bytes: more than the largest window without scaling.
const ACK_AGE: u32 = 66_000;

/// What is known of one side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct Side {
    /// After the highest number that it has sent.
    pub end: u32,
    /// After the highest number that it may send: acknowledgement and window of the other side.
    pub max_end: u32,
    /// The largest window that it has offered; 0 while it has not been heard.
    pub max_window: u32,
    /// The highest acknowledgement that it has sent.
    pub max_ack: Option<u32>,
    /// Its window is shifted left by so much.
    pub scale: u8,
    /// It has offered to scale windows.
    pub scales: bool,
    /// It accepts selective acknowledgements.
    pub sacks: bool,
    /// Its window is not known, as the connection was picked up in its middle.
    pub liberal: bool,
    /// It was the first to send a FIN.
    pub closes: bool,
}

impl Side {
    /// That of the SYN that opens a connection.
    pub(super) fn of_syn(segment: &Segment) -> Side {
        let end = segment.end();
        let mut side =
            Side { end, max_end: end, max_window: u32::from(segment.window).max(1), ..Side::default() };
        side.offer(segment);
        side
    }

    /// Those of the sender of a segment in the middle of a connection, and of its receiver.
    pub(super) fn of_middle(segment: &Segment) -> (Side, Side) {
        let unknown = Side { sacks: true, liberal: true, ..Side::default() };
        let (end, max_window) = (segment.end(), u32::from(segment.window).max(1));
        (Side { end, max_window, max_end: end.wrapping_add(max_window), ..unknown }, unknown)
    }

    /// The options of a SYN, which begins anew.
    pub(super) fn offer(&mut self, segment: &Segment) {
        (self.max_ack, self.closes) = (None, false);
        self.scale = segment.scale.unwrap_or(0);
        self.scales = segment.scale.is_some();
        self.sacks = segment.sack_permitted;
    }

    /// The first segment from a side, or a SYN with a higher number than before. Whether that is all there is to check.
    #[cold]
    fn meet(&mut self, receiver: &mut Side, segment: &Segment, answers: bool, sack: u32) -> bool {
        let (end, window) = (segment.end(), u32::from(segment.window));
        let unheard = self.max_window == 0;
        if segment.has(flags::SYN) {
            (self.end, self.max_end, self.max_window) = (end, end, window.max(1));
            // As in Linux, a SYN that is repeated without any option leaves what an earlier one has offered.
            if segment.has_options {
                self.offer(segment);
            }
            // RFC 7323 section 2.2: only if both offer it.
            if answers && !(self.scales && receiver.scales) {
                self.scale = 0;
                receiver.scale = 0;
            }
            return !segment.has(flags::ACK) && (unheard || answers);
        }
        self.end = end;
        self.max_window = (window << self.scale).max(1);
        self.max_end = end.wrapping_add(self.max_window);
        if receiver.max_window == 0 {
            receiver.end = sack;
            receiver.max_end = sack;
        } else if sack == receiver.end.wrapping_add(1) {
            // Likely the answer to a keep-alive, whose byte does not count.
            receiver.end = sack;
        }
        false
    }
}

/// What is to be known of a segment besides itself.
#[derive(Clone, Copy)]
pub(super) struct Circumstance {
    /// Sent by the responder.
    pub answers: bool,
    /// The connection's state before was that of an unanswered SYN.
    pub syn_sent: bool,
    /// Or of an answered one.
    pub opening: bool,
    /// No window is checked.
    pub liberal: bool,
}

/// What a segment that may be was good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Heed {
    /// It is in the window, and has been learned from.
    Learned,
    /// It is taken for right, as there is nothing to check it against.
    Taken,
    /// It is a little beyond the window or from before it. Its receiver drops it and says what it has: so it may pass,
    /// but changes nothing but the highest number seen, where it is beyond.
    Ignored,
}

/// Checks a segment against the window, and learns from it.
pub(super) fn check(
    sender: &mut Side,
    receiver: &mut Side,
    segment: &Segment,
    at: Circumstance,
) -> Result<Heed, Cause> {
    let (mut seq, mut end) = (segment.seq, segment.end());
    let (mut ack, mut sack) = (segment.ack, segment.ack);
    if receiver.sacks {
        sack = segment.sack;
    }
    let syn = segment.has(flags::SYN);
    let first = sender.max_window == 0 || (syn && at.opening && after(end, sender.end));
    if first && sender.meet(receiver, segment, at.answers, sack) {
        return Ok(Heed::Taken);
    }
    let rst = segment.has(flags::RST);
    if !segment.has(flags::ACK) || (rst && ack == 0) {
        // Without an acknowledgement, and in resets of some hosts with a zero for one: it is as good as right.
        (ack, sack) = (receiver.end, receiver.end);
    }
    if rst && seq == 0 && at.syn_sent {
        // It refuses a SYN.
        (seq, end) = (sender.end, sender.end);
    }
    let near =
        receiver.max_window == 0 || after(end, sender.end.wrapping_sub(receiver.max_window).wrapping_sub(1));
    let oldest = receiver.end.wrapping_sub(sender.max_window.max(ACK_AGE)).wrapping_sub(1);
    // What cannot be checked teaches nothing either.
    let liberal = sender.liberal || at.liberal;
    let otherwise = |outcome| if liberal { Ok(Heed::Taken) } else { outcome };
    let recent = after(sack, oldest);
    if after(seq, sender.max_end) {
        let surplus = end.wrapping_sub(sender.max_end).wrapping_add(1);
        if receiver.max_window != 0
            && near
            && recent
            && !after(sack, receiver.end)
            && surplus <= receiver.max_window
        {
            // Some send more than they were offered, and the other side may take it, and acknowledge it.
            sender.end = end;
            return otherwise(Ok(Heed::Ignored));
        }
        return otherwise(Err(Cause::TcpSeqAbove));
    }
    if after(sack, receiver.end) {
        return otherwise(Err(Cause::TcpAckAbove));
    }
    if !near || !recent {
        return otherwise(Ok(Heed::Ignored));
    }
    learn(sender, receiver, segment, (ack, sack), end);
    Ok(Heed::Learned)
}

#[inline(always)]
fn learn(sender: &mut Side, receiver: &mut Side, segment: &Segment, (ack, sack): (u32, u32), end: u32) {
    // RFC 7323 section 2.2: the window of a SYN is never scaled.
    let scale = if segment.has(flags::SYN) { 0 } else { sender.scale };
    let window = u32::from(segment.window) << scale;
    sender.max_window = sender.max_window.max(window.wrapping_add(sack.wrapping_sub(ack)));
    if after(end, sender.end) {
        sender.end = end;
    }
    if segment.has(flags::ACK) && sender.max_ack.is_none_or(|newest| after(ack, newest)) {
        sender.max_ack = Some(ack);
    }
    if receiver.max_window != 0 && after(end, sender.max_end) {
        receiver.max_window = receiver.max_window.wrapping_add(end.wrapping_sub(sender.max_end));
    }
    let offered = sack.wrapping_add(window);
    if after(offered.wrapping_add(1), receiver.max_end) {
        // A window of nothing still lets one byte probe it.
        receiver.max_end = offered.wrapping_add(u32::from(window == 0));
    }
}
