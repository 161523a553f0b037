//! The state of a connection, as far as it decides how long it may be silent (RFC 5382 REQ-2 and REQ-5).

use wire::tcp::flags::{ACK, FIN, RST, SYN};

/// Flags that may change a connection's state.
pub(super) const CHANGING: u8 = SYN | FIN | RST;

/// What was seen of a connection. Of other protocols than TCP: in which directions there were packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct State(u8);

/// Forth; the same back is one bit to the left.
const SEEN: u8 = 1;
const SYNCED: u8 = 1 << 2;
const FINISHED: u8 = 1 << 4;
const RESET: u8 = 1 << 6;
/// One flag in both directions.
const BOTH: u8 = 3;

impl State {
    /// A packet in one direction.
    pub(super) fn seen(self, back: bool) -> State {
        State(self.0 | SEEN << u8::from(back))
    }

    /// A TCP packet in one direction.
    ///
    /// A reset does not end a connection at once: it may be forged. The connection is as good as before when
    /// another packet follows, and else ends like a closed one (RFC 6146 section 3.5.2.2).
    pub(super) fn after(self, back: bool, flags: u8) -> State {
        let direction = u8::from(back);
        if flags & RST != 0 {
            return State(self.0 | RESET);
        }
        let opens = flags & (SYN | ACK) == SYN;
        let before = if opens && self.is_over() { 0 } else { self.0 & !RESET };
        let synced = match flags & (SYN | ACK) {
            SYN => SYNCED << direction,
            // It answers a SYN the other way, seen or not.
            both if both == SYN | ACK => SYNCED * BOTH,
            _ => 0,
        };
        let finished = if flags & FIN != 0 { FINISHED << direction } else { 0 };
        State(before | SEEN << direction | synced | finished)
    }

    fn has(self, flags: u8) -> bool {
        self.0 & flags == flags
    }

    /// There were packets back.
    pub(super) fn has_answer(self) -> bool {
        self.has(SEEN << 1)
    }

    /// Both ends have sent, and if one began with a SYN, so did the other.
    pub(super) fn is_established(self) -> bool {
        let synced = self.0 & (SYNCED * BOTH);
        self.has(SEEN * BOTH) && (synced == 0 || synced == SYNCED * BOTH)
    }

    /// Both ends have closed it, or one has reset it.
    fn is_over(self) -> bool {
        self.has(FINISHED * BOTH) || self.has(RESET)
    }

    /// Established, and not over: it may be silent for hours.
    pub(super) fn is_open(self) -> bool {
        self.is_established() && !self.is_over()
    }

    /// Open and far from closing: only packets with flags of [`CHANGING`] change it.
    pub(super) fn is_settled(self) -> bool {
        self.is_open() && self.0 & (FINISHED * BOTH) == 0
    }

    /// As a number, for a record.
    pub(super) fn bits(self) -> u8 {
        self.0
    }

    /// From a record.
    pub(super) fn from_bits(bits: u8) -> Option<State> {
        (bits & 1 << 7 == 0).then_some(State(bits))
    }

    /// In a word, for people.
    pub(super) fn name(self) -> &'static str {
        if self.is_over() {
            "closed"
        } else if self.is_established() {
            if self.is_settled() { "established" } else { "closing" }
        } else {
            "opening"
        }
    }
}
