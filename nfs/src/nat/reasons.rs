//! Names of what the translator drops and counts.

use engine::Reason;
use wire::Malformed;

pub(super) const UNTRANSLATED: Reason = Reason::new(0);
pub(super) const NO_MAPPING: Reason = Reason::new(1);
pub(super) const FILTERED: Reason = Reason::new(2);
pub(super) const NOT_OPENING: Reason = Reason::new(3);
pub(super) const PORTS_EXHAUSTED: Reason = Reason::new(4);
pub(super) const SESSIONS_EXHAUSTED: Reason = Reason::new(5);
pub(super) const CONFLICT: Reason = Reason::new(6);
pub(super) const UNSUPPORTED_PROTOCOL: Reason = Reason::new(7);
pub(super) const FRAGMENT_WITHOUT_FIRST: Reason = Reason::new(8);
pub(super) const ICMP_UNRELATED: Reason = Reason::new(9);
pub(super) const ICMP_BAD_CHECKSUM: Reason = Reason::new(10);
pub(super) const ICMP_OTHER: Reason = Reason::new(11);

const OWN: [&str; 12] = [
    "untranslated",
    "no_mapping",
    "filtered",
    "not_opening",
    "ports_exhausted",
    "sessions_exhausted",
    "conflict",
    "unsupported_protocol",
    "fragment_without_first",
    "icmp_unrelated",
    "icmp_bad_checksum",
    "icmp_other",
];

/// The translator's own, then those of malformed packets, which are named as `wire` names them.
pub(super) const REASONS: [&str; OWN.len() + Malformed::ALL.len()] = {
    let mut names = [""; OWN.len() + Malformed::ALL.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = if i < OWN.len() { OWN[i] } else { Malformed::ALL[i - OWN.len()].name() };
        i += 1;
    }
    names
};

/// What is wrong with a packet, as a reason.
pub(super) fn of_malformed(malformed: Malformed) -> Reason {
    Reason::new((OWN.len() + malformed as usize - 1) as u8)
}

pub(super) const COUNTERS: [&str; 6] =
    ["passed", "sessions_opened", "sessions_expired", "sessions_evicted", "mappings_made", "icmp_errors"];
pub(super) const PASSED: usize = 0;
pub(super) const OPENED: usize = 1;
pub(super) const EXPIRED: usize = 2;
pub(super) const EVICTED: usize = 3;
pub(super) const MAPPED: usize = 4;
pub(super) const ICMP_ERRORS: usize = 5;
