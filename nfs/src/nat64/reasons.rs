//! Names of what the translator drops and counts.

use engine::Reason;
use wire::Malformed;

pub(super) const UNTRANSLATED: Reason = Reason::new(0);
pub(super) const NOT_GLOBAL: Reason = Reason::new(1);
pub(super) const BAD_SOURCE: Reason = Reason::new(2);
pub(super) const NO_MAPPING: Reason = Reason::new(3);
pub(super) const FILTERED: Reason = Reason::new(4);
pub(super) const NOT_OPENING: Reason = Reason::new(5);
pub(super) const PORTS_EXHAUSTED: Reason = Reason::new(6);
pub(super) const SESSIONS_EXHAUSTED: Reason = Reason::new(7);
pub(super) const UNSUPPORTED_PROTOCOL: Reason = Reason::new(8);
pub(super) const FRAGMENT_WITHOUT_FIRST: Reason = Reason::new(9);
pub(super) const ICMP_FRAGMENT: Reason = Reason::new(10);
pub(super) const ICMP_UNRELATED: Reason = Reason::new(11);
pub(super) const ICMP_BAD_CHECKSUM: Reason = Reason::new(12);
pub(super) const ICMP_OTHER: Reason = Reason::new(13);
pub(super) const SOURCE_ROUTE: Reason = Reason::new(14);
pub(super) const TTL_EXPIRED: Reason = Reason::new(15);
pub(super) const TOO_LARGE: Reason = Reason::new(16);
pub(super) const NO_UDP_CHECKSUM: Reason = Reason::new(17);
pub(super) const IPV4_BAD_CHECKSUM: Reason = Reason::new(18);
pub(super) const NO_ROOM: Reason = Reason::new(19);

const OWN: [&str; 20] = [
    "untranslated",
    "not_global",
    "bad_source",
    "no_mapping",
    "filtered",
    "not_opening",
    "ports_exhausted",
    "sessions_exhausted",
    "unsupported_protocol",
    "fragment_without_first",
    "icmp_fragment",
    "icmp_unrelated",
    "icmp_bad_checksum",
    "icmp_other",
    "source_route",
    "ttl_expired",
    "too_large",
    "no_udp_checksum",
    "ipv4_bad_checksum",
    "no_room",
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

pub(super) const COUNTERS: [&str; 9] = [
    "passed",
    "to_ipv4",
    "to_ipv6",
    "hairpinned",
    "sessions_opened",
    "sessions_expired",
    "mappings_made",
    "icmp_errors",
    "icmp_errors_sent",
];
pub(super) const PASSED: usize = 0;
pub(super) const TO_IPV4: usize = 1;
pub(super) const TO_IPV6: usize = 2;
pub(super) const HAIRPINNED: usize = 3;
pub(super) const OPENED: usize = 4;
pub(super) const EXPIRED: usize = 5;
pub(super) const MAPPED: usize = 6;
pub(super) const ICMP_ERRORS: usize = 7;
pub(super) const ICMP_ERRORS_SENT: usize = 8;
