//! Capture files: pcap and pcapng in, Ethernet frames with nanosecond timestamps out, and back.
//!
//! [`Reader`] streams a file, a pipe or any [`std::io::Read`], gzip-compressed or not, in a fixed amount of
//! memory (about 1 MiB). Every packet comes out as an Ethernet frame, whatever the file's link type:
//!
//! | link type | becomes |
//! |---|---|
//! | 1 Ethernet | itself; a frame check sequence, where captured, stays as a trailer |
//! | 113 Linux cooked (SLL), 276 (SLL2) | source MAC from the header where it has one, ethertype from the header; 802.2 and raw 802.3 become length-field frames |
//! | 9 PPP, 50 PPP in HDLC-like framing | IPv4, IPv6 and MPLS by their ethertypes; every other PPP protocol as a PPPoE session frame (RFC 2516, session 0), so that LCP, IPCP, … stay readable; Cisco HDLC, which is found under both numbers, by its ethertype |
//! | 12, 14, 101 raw IP | IPv6 where the version field says 6, otherwise IPv4: a bad version is left for the IP parser to judge |
//! | 228 raw IPv4, 229 raw IPv6 | that ethertype |
//! | 0 BSD loopback, 108 OpenBSD loopback | by the address family, in either byte order; families that are not IP are skipped |
//!
//! Addresses that the file does not have are [`SYNTHETIC_SOURCE`] and [`SYNTHETIC_DESTINATION`]; cooked packets
//! that were broadcast or multicast go to the broadcast address or to [`SYNTHETIC_GROUP`].
//! What cannot be put into an Ethernet frame is skipped and counted by reason ([`Skipped`]).
//! Other link types are refused by name.
//!
//! [`Writer`] writes Ethernet frames, the same bytes for the same packets on every machine.
//!
//! `pcap-parser` reads file, section and interface headers, and `pcap-file` writes. Packet records are read by
//! hand: `pcap-parser` allocates a list per packet that has options, reads a record's bytes before anyone can
//! object to its length, and knows no obsolete packet blocks.
#![forbid(unsafe_code)]

mod error;
mod ethernet;
mod link;
mod pcap;
mod pcapng;
mod reader;
mod window;
mod writer;

pub use error::CaptureError;
pub use ethernet::{SYNTHETIC_DESTINATION, SYNTHETIC_GROUP, SYNTHETIC_SOURCE, Skipped};
pub use link::LinkType;
pub use reader::{Frame, Progress, Reader};
pub use writer::{Format, Writer};

/// The longest packet record that is read or written, in bytes: tcpdump's default snapshot length.
pub const MAX_RECORD: usize = 256 * 1024;

/// How finely a capture's timestamps are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    /// Microseconds or coarser.
    Micro,
    /// Finer than microseconds.
    Nano,
}

#[cfg(test)]
mod tests;
