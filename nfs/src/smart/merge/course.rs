//! How far a flow has come.

use super::piece::{Piece, ahead, later};
use crate::smart::flows::Kept;
use engine::Time;

/// What is further from a flow than this is not of the connection that was known: the largest window of TCP (RFC 7323
/// section 2.3).
const WINDOW: u32 = 1 << 30;
/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// A flow on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Course {
    /// The epoch of its numbers, if it has any.
    pub epoch: Option<u8>,
    /// Where the connection began, if that was seen.
    pub isn: Option<u32>,
    /// Where the next piece in order begins.
    pub next: u32,
    /// The end of the latest piece that came.
    pub highest: u32,
    /// When the last packet came, in nanoseconds since the epoch.
    pub last: u64,
    /// Held packets, in order.
    pub head: u32,
    pub tail: u32,
    pub held: u32,
    /// The burst in which packets of it were let go behind the burst.
    pub emitted: u64,
    /// Where the next packet is remembered.
    pub place: u32,
}

impl Kept for Course {
    fn last(&self) -> u64 {
        self.last
    }
}

/// What a piece is to a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kin {
    /// Of the connection that is known.
    Own,
    /// The first of another one.
    New,
    /// Of one before, or of none: it does not matter for the order.
    Stray,
}

impl Course {
    /// A flow that is seen for the first time, in the middle perhaps. Numbers begin at 0, so that one of the first
    /// `reach` of them may have others before it.
    pub(super) fn from(piece: &Piece, reach: u32, now: Time) -> Course {
        let early = piece.epoch.is_some() && piece.start >> 8 < reach;
        let next = if early { 0 } else { piece.start };
        Course {
            epoch: piece.epoch,
            isn: piece.syn.then_some(piece.start),
            next,
            highest: next,
            last: now.as_nanos(),
            head: NONE,
            tail: NONE,
            held: 0,
            emitted: 0,
            place: 0,
        }
    }

    /// The flow begins anew at a piece.
    pub(super) fn restart(&mut self, piece: &Piece, reach: u32, now: Time) {
        let Course { place, emitted, .. } = *self;
        *self = Course { place, emitted, ..Course::from(piece, reach, now) };
    }

    #[inline]
    pub(super) fn kin(&self, piece: &Piece) -> Kin {
        if piece.epoch != self.epoch {
            // What is left of numbers before these, or was not numbered yet.
            let stray = match (piece.epoch, self.epoch) {
                (Some(theirs), Some(ours)) => ours.wrapping_sub(theirs) < 4,
                (None, Some(_)) => !piece.syn,
                _ => false,
            };
            return if stray { Kin::Stray } else { Kin::New };
        }
        if piece.epoch.is_none() && piece.syn && self.isn.is_some_and(|isn| isn != piece.start) {
            return Kin::New;
        }
        if ahead(piece.start, self.next).unsigned_abs() > WINDOW {
            return if piece.rst { Kin::Stray } else { Kin::New };
        }
        Kin::Own
    }

    /// All of it is beyond everything that came: no copy of it can have been seen.
    #[inline]
    pub(super) fn is_fresh(&self, piece: &Piece) -> bool {
        piece.start != piece.end && ahead(piece.start, self.highest) >= 0
    }

    /// The piece comes too early.
    #[inline]
    pub(super) fn is_early(&self, piece: &Piece) -> bool {
        ahead(piece.start, self.next) > 0
    }

    /// The piece has left in order, or late.
    #[inline]
    pub(super) fn advance(&mut self, piece: &Piece) {
        self.next = later(piece.end, self.next);
    }
}
