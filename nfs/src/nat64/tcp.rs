//! The state of a TCP connection, as far as it decides how long it may be silent (RFC 6146 section 3.5.2).

use serde::{Deserialize, Serialize};
use wire::tcp::flags::{ACK, FIN, RST, SYN};

/// The states of RFC 6146 section 3.5.2.1, but for "closed": that is no session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// The IPv4 side has sent a SYN.
    V4Init,
    /// The IPv6 side has sent a SYN.
    V6Init,
    Established,
    /// The IPv4 side has sent a FIN.
    V4Fin,
    /// The IPv6 side has sent a FIN.
    V6Fin,
    BothFin,
    /// A reset was seen; it may be forged.
    Trans,
}

/// Where a packet comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    V6,
    V4,
}

/// Whether a packet begins a connection.
pub(super) fn opens(flags: u8) -> bool {
    flags & (SYN | ACK | RST) == SYN
}

impl State {
    /// The state in which a connection begins.
    pub(super) fn begun(by: Side) -> State {
        match by {
            Side::V6 => State::V6Init,
            Side::V4 => State::V4Init,
        }
    }

    /// The state after a packet, and whether the session's time begins anew with it (RFC 6146 section 3.5.2.2).
    pub(super) fn after(self, from: Side, flags: u8) -> (State, bool) {
        let (syn, fin, reset) = (flags & SYN != 0, flags & FIN != 0, flags & RST != 0);
        match (self, from) {
            (State::V4Init, Side::V6) | (State::V6Init, Side::V4) if syn && !reset => {
                (State::Established, true)
            }
            // A SYN again.
            (State::V4Init | State::V6Init, _) => (self, syn && !reset),
            (State::Established, _) if reset => (State::Trans, true),
            (State::Established, Side::V4) if fin => (State::V4Fin, true),
            (State::Established, Side::V6) if fin => (State::V6Fin, true),
            (State::V4Fin, Side::V6) | (State::V6Fin, Side::V4) if fin => (State::BothFin, true),
            (State::Established | State::V4Fin | State::V6Fin, _) => (self, true),
            // Another connection with the same ports, which RFC 6146 does not think of.
            (State::BothFin, from) if opens(flags) => (State::begun(from), true),
            (State::BothFin, _) => (self, false),
            (State::Trans, _) if reset => (self, false),
            (State::Trans, _) => (State::Established, true),
        }
    }

    /// Whether it may be silent for hours.
    pub(super) fn is_open(self) -> bool {
        matches!(self, State::Established | State::V4Fin | State::V6Fin)
    }

    /// In a word, for people.
    pub(super) fn name(self) -> &'static str {
        match self {
            State::V4Init => "v4_init",
            State::V6Init => "v6_init",
            State::Established => "established",
            State::V4Fin => "v4_fin",
            State::V6Fin => "v6_fin",
            State::BothFin => "both_fin",
            State::Trans => "trans",
        }
    }
}
