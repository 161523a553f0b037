//! The sending end of a flow.

use super::{MSS, Tcp};
use crate::quantity::{MILLISECOND, Picos};

/// Something to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Its first byte in the flow.
    pub from: u32,
    /// Its bytes.
    pub len: u32,
    /// Whether those bytes were sent before.
    pub again: bool,
}

/// A flow being sent.
#[derive(Clone, Debug)]
pub struct Sender {
    tcp: Tcp,
    size: u32,
    /// The first byte that is not acknowledged.
    una: u32,
    /// The next one to send.
    next: u32,
    /// The first that was never sent.
    fresh: u32,
    cwnd: u32,
    ssthresh: u32,
    /// Acknowledged bytes towards the next segment more of the window.
    credit: u32,
    duplicates: u32,
    /// Losses up to here belong to one event of congestion.
    recover: u32,
    recovering: bool,
    /// The byte whose acknowledgement ends a measurement, and when that began.
    timed: Option<(u32, Picos)>,
    smoothed: Picos,
    variation: Picos,
    timeout: Picos,
    /// When the timer runs out.
    deadline: Option<Picos>,
    /// Times that it ran out.
    timeouts: u32,
}

impl Sender {
    /// A flow of `size` bytes.
    pub fn new(tcp: Tcp, size: u32) -> Sender {
        Sender {
            tcp,
            size,
            una: 0,
            next: 0,
            fresh: 0,
            cwnd: tcp.initial_window.max(1) * MSS,
            ssthresh: u32::MAX,
            credit: 0,
            duplicates: 0,
            recover: 0,
            recovering: false,
            timed: None,
            smoothed: 0,
            variation: 0,
            timeout: tcp.least_timeout,
            deadline: None,
            timeouts: 0,
        }
    }

    /// All bytes of the flow.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// Acknowledged bytes.
    pub fn acknowledged(&self) -> u32 {
        self.una
    }

    /// Whether all is acknowledged.
    pub fn is_done(&self) -> bool {
        self.una >= self.size
    }

    /// When its timer runs out.
    pub fn deadline(&self) -> Option<Picos> {
        self.deadline
    }

    /// How often its timer ran out.
    pub fn timeouts(&self) -> u32 {
        self.timeouts
    }

    /// The congestion window, in bytes.
    pub fn window(&self) -> u32 {
        self.cwnd
    }

    /// The smoothed round-trip time; 0 before anything was measured.
    pub fn round_trip(&self) -> Picos {
        self.smoothed
    }

    /// The next segment that the windows let go, if any. Called until there is none.
    pub fn send(&mut self, now: Picos) -> Option<Segment> {
        let left = self.size.saturating_sub(self.next);
        if left == 0 {
            return None;
        }
        let len = left.min(MSS);
        // Two segments more on the first two duplicates (RFC 3042), outside fast recovery.
        let limited = if self.recovering { 0 } else { self.duplicates.min(2) * MSS };
        let window = (self.cwnd.saturating_add(limited)).min(self.tcp.window);
        if self.next - self.una + len > window {
            return None;
        }
        let segment = self.segment(self.next, len, now);
        self.next += len;
        Some(segment)
    }

    fn segment(&mut self, from: u32, len: u32, now: Picos) -> Segment {
        let again = from < self.fresh;
        if again {
            // What is sent twice measures nothing (Karn).
            self.timed = self.timed.filter(|timed| timed.0 <= from);
        } else if self.timed.is_none() {
            self.timed = Some((from + len, now));
        }
        self.fresh = self.fresh.max(from + len);
        self.deadline.get_or_insert(now.saturating_add(self.timeout));
        Segment { from, len, again }
    }

    /// An acknowledgement has come; what has to be sent again at once.
    pub fn acknowledge(&mut self, ack: u32, now: Picos) -> Option<Segment> {
        if ack > self.fresh || self.is_done() {
            return None;
        }
        if ack > self.una { self.advance(ack, now) } else { self.duplicate(ack, now) }
    }

    fn advance(&mut self, ack: u32, now: Picos) -> Option<Segment> {
        let acked = ack - self.una;
        self.una = ack;
        self.next = self.next.max(ack);
        if let Some((_, begun)) = self.timed.filter(|timed| ack >= timed.0) {
            self.measure(now.saturating_sub(begun));
            self.timed = None;
        }
        self.duplicates = 0;
        self.deadline = (!self.is_done()).then(|| now.saturating_add(self.timeout));
        if self.is_done() {
            return None;
        }
        if !self.recovering {
            self.grow(acked);
            return None;
        }
        if ack >= self.recover {
            // RFC 6582, section 3.2, full acknowledgement, option 1.
            let flight = self.next - self.una;
            self.cwnd = self.ssthresh.min(flight.max(MSS) + MSS);
            self.recovering = false;
            return None;
        }
        // A partial acknowledgement: the next hole.
        self.cwnd = self.cwnd.saturating_sub(acked).max(MSS);
        if acked >= MSS {
            self.cwnd += MSS;
        }
        Some(self.first(now))
    }

    fn grow(&mut self, acked: u32) {
        if self.cwnd < self.ssthresh {
            self.cwnd = self.cwnd.saturating_add(acked.min(MSS)).min(self.tcp.window.max(MSS));
            return;
        }
        self.credit = self.credit.saturating_add(acked);
        if self.credit >= self.cwnd {
            self.credit -= self.cwnd;
            self.cwnd = (self.cwnd + MSS).min(self.tcp.window.max(MSS));
        }
    }

    fn duplicate(&mut self, ack: u32, now: Picos) -> Option<Segment> {
        if ack < self.una || self.next == self.una {
            return None;
        }
        self.duplicates += 1;
        if self.recovering {
            self.cwnd = self.cwnd.saturating_add(MSS);
            return None;
        }
        // Not again for the losses of one window (RFC 6582, section 3.2, step 1).
        if self.duplicates != 3 || (self.recover > 0 && ack < self.recover) {
            return None;
        }
        self.ssthresh = self.half();
        self.recover = self.next;
        self.recovering = true;
        self.cwnd = self.ssthresh + 3 * MSS;
        Some(self.first(now))
    }

    /// The first segment that is not acknowledged, once more.
    fn first(&mut self, now: Picos) -> Segment {
        let len = (self.size - self.una).min(MSS);
        self.deadline = Some(now.saturating_add(self.timeout));
        self.segment(self.una, len, now)
    }

    fn half(&self) -> u32 {
        ((self.next - self.una) / 2).max(2 * MSS)
    }

    /// The timer ran out, if `now` is its time: all from the first gap on is to be sent again. `false` when it is not.
    pub fn expire(&mut self, now: Picos) -> bool {
        if self.deadline.is_none_or(|deadline| now < deadline) || self.is_done() {
            return false;
        }
        self.timeouts += 1;
        self.ssthresh = self.half();
        self.cwnd = MSS;
        self.credit = 0;
        self.duplicates = 0;
        self.recovering = false;
        self.recover = self.fresh;
        self.next = self.una;
        self.timed = None;
        self.timeout = self.timeout.saturating_mul(2).min(self.tcp.most_timeout);
        self.deadline = None;
        true
    }

    /// RFC 6298, section 2.
    fn measure(&mut self, sample: Picos) {
        if self.smoothed == 0 {
            self.smoothed = sample.max(1);
            self.variation = sample / 2;
        } else {
            self.variation = self.variation / 4 * 3 + self.smoothed.abs_diff(sample) / 4;
            self.smoothed = self.smoothed / 8 * 7 + sample / 8;
        }
        // The granularity of the clock: there is none, but a timeout of exactly one round trip would always be wrong.
        let spread = (4 * self.variation).max(MILLISECOND / 100);
        self.timeout = (self.smoothed + spread).clamp(self.tcp.least_timeout, self.tcp.most_timeout);
    }
}
