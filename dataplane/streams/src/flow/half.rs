//! What one end of a connection sends: numbers, limits and marks.

use crate::pool::Handle;
use crate::{Policy, Pool, Segment};
use serde::{Deserialize, Serialize};

/// Urgent bytes that a direction keeps track of until they would be handed out.
pub(super) const URGENTS: usize = 4;

/// The window scale that is assumed where no handshake was seen: the largest there is (RFC 7323 section 2.3), so that
/// nothing the receiver may have taken is thought out of its window.
const UNKNOWN_SCALE: u8 = 14;

/// What one end of a connection sends. Places in its stream are 64 bits wide, so they never wrap; the first byte after
/// the SYN is 0.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Half {
    /// Initial sequence numbers that its SYNs had: the first and the last.
    pub isns: [u32; 2],
    /// How many of them count: with two, the other end's answer decides.
    pub isn_count: u8,
    /// Whether sequence numbers are known, from a SYN or from the other end's acknowledgements.
    pub known: bool,
    /// Whether anything came from this end.
    pub seen: bool,
    /// Whether the other end has acknowledged its SYN, or the connection was picked up without.
    pub open: bool,
    /// Shift of the window scale option in its SYN.
    pub shift: Option<u8>,
    /// Whether it was picked up without a SYN, or without knowing what else its SYN said.
    pub midstream: bool,

    /// The next byte to hand out, …
    pub next: u64,
    /// … and its sequence number.
    pub next_seq: u32,
    /// Handed-out bytes from here on are kept for comparison.
    pub kept: u64,
    /// One past the last byte that was sent.
    pub sent: u64,
    /// Up to where the other end has acknowledged.
    pub acked: u64,
    /// Up to where the other end has room.
    pub right: u64,
    /// The widest window that the other end offered.
    pub widest: u64,

    /// Where it ends.
    pub fin: Option<u64>,
    pub fin_acked: bool,
    /// Whether its end was handed out.
    pub ended: bool,
    /// Whether as much as wanted was handed out.
    pub stopped: bool,
    /// Last timestamp (`TS.Recent` of RFC 7323).
    pub timestamp: Option<u32>,
    /// TTL of its first segment.
    pub ttl: u8,
    /// Segments since the other end acknowledged beyond `next`, while `next` is missing.
    pub waited: u32,
    /// Places of urgent bytes, as many as `urgent_count` says.
    pub urgents: [u64; URGENTS],
    pub urgent_count: u8,

    /// Whether another flow took what it held and this was not said yet, in a record; elsewhere the pool knows.
    pub was_lost: bool,
    /// What it holds in the pool.
    #[serde(skip)]
    pub handle: Option<Handle>,
}

impl Half {
    /// One whose SYN has this sequence number.
    pub fn of_syn(segment: &Segment<'_>) -> Half {
        Half {
            shift: segment.window_scale.map(|shift| shift.min(UNKNOWN_SCALE)),
            timestamp: segment.timestamp,
            ttl: segment.ttl,
            ..Half::of_isn(segment.seq)
        }
    }

    /// One whose SYN had this sequence number.
    pub fn of_isn(isn: u32) -> Half {
        let next_seq = isn.wrapping_add(1);
        Half { isns: [isn; 2], isn_count: 1, known: true, seen: true, next_seq, ..Half::default() }
    }

    /// One picked up at this sequence number.
    pub fn at(next_seq: u32) -> Half {
        Half { known: true, open: true, midstream: true, next_seq, ..Half::default() }
    }

    /// Whether another flow took what it held and this was not said yet.
    pub fn lost(&self, pool: &Pool) -> bool {
        self.was_lost || self.handle.is_some_and(|handle| !pool.has(handle))
    }

    /// Where a sequence number is in the stream; before its beginning it is negative.
    #[inline]
    pub fn place(&self, seq: u32) -> i64 {
        self.next as i64 + i64::from(seq.wrapping_sub(self.next_seq) as i32)
    }

    /// Goes on to `to`.
    #[inline]
    pub fn advance(&mut self, to: u64) {
        self.next_seq = self.next_seq.wrapping_add((to - self.next) as u32);
        self.next = to;
        self.waited = 0;
    }

    /// Chooses among the initial sequence numbers the one that `ack` acknowledges. Says how many bytes it acknowledges
    /// besides; `None`: it belongs to none of them.
    pub fn settle(&mut self, ack: u32) -> Option<u64> {
        let most = self.sent.max(self.right);
        let beyond = |isn: u32| u64::from(ack.wrapping_sub(isn).wrapping_sub(1));
        let fits = |isn: &u32| beyond(*isn) <= most;
        let isns = self.isns;
        let isn = *isns[..usize::from(self.isn_count.min(2))].iter().find(|isn| fits(isn))?;
        if self.isn_count > 1 || self.isns[0] != isn {
            (self.isns, self.isn_count) = ([isn; 2], 1);
        }
        Some(beyond(isn))
    }

    /// By how much the windows that this end offers are shifted, given what the other end's SYN said.
    pub fn scale(&self, other: &Half) -> u8 {
        if self.midstream || other.midstream {
            return UNKNOWN_SCALE;
        }
        match (self.shift, other.shift) {
            (Some(shift), Some(_)) => shift,
            _ => 0,
        }
    }

    /// Whether the receiver of a RST at this place would heed it: exactly where it expects the next byte (RFC 5961), or,
    /// in some systems, anywhere in its window.
    pub fn heeds_reset(&self, place: i64, contiguous: u64, policy: Policy) -> bool {
        let Ok(place) = u64::try_from(place) else { return false };
        let after_fin = self.fin.is_some_and(|fin| place == fin + 1);
        let exact = place == self.acked || place == contiguous || place == self.sent || after_fin;
        let windowed = matches!(policy, Policy::Linux | Policy::OldLinux | Policy::Solaris);
        exact || windowed && (self.acked..=self.right.max(self.sent)).contains(&place)
    }

    /// Takes note of an urgent byte. `false`: there are too many.
    pub fn mark_urgent(&mut self, place: u64) -> bool {
        let count = usize::from(self.urgent_count);
        if self.urgents[..count].contains(&place) {
            return true;
        }
        let Some(free) = self.urgents.get_mut(count) else { return false };
        *free = place;
        self.urgent_count += 1;
        self.urgents[..=count].sort_unstable();
        true
    }

    /// The first urgent byte from `from` to `to`; forgets those before.
    pub fn urgent_between(&mut self, from: u64, to: u64) -> Option<u64> {
        while self.urgent_count > 0 {
            let first = self.urgents[0];
            if first >= from {
                return (first < to).then_some(first);
            }
            self.urgents.rotate_left(1);
            self.urgent_count -= 1;
        }
        None
    }
}
