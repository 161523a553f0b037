//! How a host's TCP speaks when it opens, accepts, ends or refuses: what p0f 2 looks at, from one segment.

use std::fmt;
use wire::tcp::{self, flags, kind};
use wire::{Headers, ipv4, ipv6};

/// Options that are looked at; those behind them do not matter.
pub(super) const MOST_OPTIONS: usize = 16;
/// A packet of this size or larger is just large.
pub(super) const LARGE: u16 = 100;

/// Which kind of segment a fingerprint is of: each has signatures of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::monitor) enum Moment {
    Syn,
    SynAck,
    Fin,
    Rst,
}

impl Moment {
    pub(in crate::monitor) const ALL: [Moment; 4] = [Moment::Syn, Moment::SynAck, Moment::Fin, Moment::Rst];

    /// Of a segment with these flags, if any.
    pub(super) fn of(tcp_flags: u8) -> Option<Moment> {
        if tcp_flags & flags::SYN != 0 {
            return Some(if tcp_flags & flags::ACK != 0 { Moment::SynAck } else { Moment::Syn });
        }
        let ends = (tcp_flags & flags::FIN != 0).then_some(Moment::Fin);
        ends.or((tcp_flags & flags::RST != 0).then_some(Moment::Rst))
    }
}

/// What is unusual about a segment, a bit for each letter of [`Quirks::LETTERS`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub(super) struct Quirks(u16);

impl Quirks {
    /// In the order in which they are written: RST with ACK (K), sequence number as acknowledgement number (Q) or zero
    /// (0), options behind their end (P), IP identification (IPv4) or flow label (IPv6) of zero (Z), IP options (I),
    /// urgent pointer (U), reserved bits (X), acknowledgement number (A), echoed time stamp (T), other flags (F), data
    /// (D), broken options (!), FIN with ACK (N), IPv6 flow label (L).
    pub(super) const LETTERS: &'static str = "KQ0PZIUXATFD!NL";

    /// From letters in any order, or a dot for none.
    pub(super) fn parse(text: &str) -> Option<Quirks> {
        if text == "." {
            return Some(Quirks::default());
        }
        text.chars().try_fold(Quirks::default(), |quirks, letter| {
            Some(Quirks(quirks.0 | 1 << Quirks::LETTERS.find(letter)?))
        })
    }

    fn set(&mut self, letter: char, on: bool) {
        if let Some(bit) = Quirks::LETTERS.find(letter).filter(|_| on) {
            self.0 |= 1 << bit;
        }
    }
}

impl fmt::Display for Quirks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Quirks::default() {
            return f.write_str(".");
        }
        let letters = Quirks::LETTERS.chars().enumerate();
        letters.filter(|(bit, _)| self.0 & 1 << bit != 0).try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

/// A fingerprint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::monitor) struct Print {
    pub(super) window: u16,
    pub(super) ttl: u8,
    pub(super) dont_fragment: bool,
    /// Bytes of the IP packet; of IPv6 without its header.
    pub(super) size: u16,
    options: [u8; MOST_OPTIONS],
    count: u8,
    pub(super) quirks: Quirks,
    /// Values of options, 0 without them.
    pub(super) mss: u16,
    pub(super) scale: u8,
    pub(super) stamp: u32,
}

impl Print {
    /// Of a TCP segment whose headers are whole.
    pub(in crate::monitor) fn of(headers: &Headers, frame: &[u8]) -> Option<Print> {
        let ip = frame.get(headers.l3_offset()..)?;
        let segment = frame.get(headers.l4_offset()?..headers.payload_offset()?.min(frame.len()))?;
        let tcp = tcp::Packet::new_checked(segment).ok()?;
        let mut quirks = Quirks::default();
        let (ttl, dont_fragment, size) = if headers.is_ipv4() {
            let ip = ipv4::Packet::new_checked(ip).ok()?;
            quirks.set('Z', ip.id() == 0);
            quirks.set('I', ip.header_len() > ipv4::HEADER_LEN);
            (ip.ttl(), ip.dont_fragment(), ip.total_len())
        } else {
            let ip = ipv6::Packet::new_checked(ip).ok()?;
            quirks.set('Z', ip.flow_label() == 0);
            quirks.set('L', ip.flow_label() != 0);
            (ip.hop_limit(), true, ip.payload_len())
        };
        let of = |flag: u8| tcp.flags() & flag != 0;
        quirks.set('K', of(flags::RST) && of(flags::ACK));
        quirks.set('0', of(flags::RST) && tcp.seq() == 0);
        quirks.set('Q', of(flags::RST) && tcp.seq() != 0 && tcp.seq() == tcp.ack());
        quirks.set('U', tcp.urgent() != 0);
        quirks.set('X', segment[12] & 0x0f != 0);
        quirks.set('A', tcp.ack() != 0);
        quirks.set('F', of(flags::FIN | flags::PSH | flags::URG));
        quirks.set('D', headers.payload_len().is_some_and(|bytes| bytes > 0));
        quirks.set('N', of(flags::FIN) && of(flags::ACK));
        let mut print = Print {
            window: tcp.window(),
            ttl,
            dont_fragment,
            size,
            options: [0; MOST_OPTIONS],
            count: 0,
            quirks,
            mss: 0,
            scale: 0,
            stamp: 0,
        };
        print.read_options(&segment[tcp::HEADER_LEN..tcp.header_len().min(segment.len())]);
        Some(print)
    }

    /// Notes the options in their order, also those behind the end of the list.
    fn read_options(&mut self, mut left: &[u8]) {
        while let Some((&option, rest)) = left.split_first()
            && usize::from(self.count) < MOST_OPTIONS
        {
            let len = match option {
                kind::END | kind::NOP => 1,
                _ => rest.first().map_or(0, |len| usize::from(*len)),
            };
            let Some(data) = left.get(..len).filter(|data| !data.is_empty()) else {
                return self.quirks.set('!', true);
            };
            let word = |at: usize| {
                data.get(at..).and_then(<[u8]>::first_chunk).map(|four| u32::from_be_bytes(*four))
            };
            match (option, len) {
                (kind::END, _) => self.quirks.set('P', !rest.is_empty()),
                (kind::NOP, _) | (kind::SACK_PERMITTED, 2) => {}
                (kind::MSS, 4) => self.mss = u16::from_be_bytes([data[2], data[3]]),
                (kind::WINDOW_SCALE, 3) => self.scale = data[2],
                (kind::TIMESTAMPS, 10) => {
                    self.stamp = word(2).unwrap_or(0);
                    self.quirks.set('T', word(6).is_some_and(|echo| echo != 0));
                }
                (kind::MSS | kind::WINDOW_SCALE | kind::SACK_PERMITTED | kind::TIMESTAMPS, _) | (_, ..=1) => {
                    return self.quirks.set('!', true);
                }
                _ => {}
            }
            self.options[usize::from(self.count)] = option;
            self.count += 1;
            left = &left[len..];
        }
    }

    /// Kinds of the options, in order.
    pub(super) fn options(&self) -> &[u8] {
        &self.options[..usize::from(self.count)]
    }

    /// The largest packet that the sender's link takes, as far as it says.
    pub(super) fn mtu(&self) -> Option<u16> {
        (self.mss > 0).then(|| self.mss.saturating_add(40))
    }

    /// Hours since the sender's start, if its clock of time stamps ticks a hundred times per second.
    pub(super) fn uptime_hours(&self) -> Option<u32> {
        (self.stamp > 0).then_some(self.stamp / 360_000)
    }

    /// How many times the window is `of`; `None` if it is no multiple.
    pub(super) fn windows_in(&self, of: u16) -> Option<u16> {
        (of > 0 && self.window > 0 && self.window.is_multiple_of(of)).then(|| self.window / of)
    }
}

/// Routers on the way, from what is left of the time to live: it began as 32, 64, 128 or 255.
pub(super) fn distance(ttl: u8) -> u8 {
    let start = [32, 64, 128].into_iter().find(|start| ttl <= *start).unwrap_or(255);
    start - ttl
}

/// As p0f 2 writes a signature, with the values that were seen.
impl fmt::Display for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mtu = self.mtu().unwrap_or(0);
        if let Some(times) = self.windows_in(self.mss).or_else(|| self.windows_in(1460)) {
            write!(f, "S{times}")?;
        } else if let Some(times) = self.windows_in(mtu).or_else(|| self.windows_in(1500)) {
            write!(f, "T{times}")?;
        } else {
            write!(f, "{}", self.window)?;
        }
        write!(f, ":{}:{}:", self.ttl, u8::from(self.dont_fragment))?;
        if self.size < LARGE {
            write!(f, "{}:", self.size)?
        } else {
            write!(f, "*({}):", self.size)?
        }
        if self.count == 0 {
            f.write_str(".")?;
        }
        for (i, option) in self.options().iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            match *option {
                kind::END => f.write_str("E")?,
                kind::NOP => f.write_str("N")?,
                kind::MSS => write!(f, "M{}", self.mss)?,
                kind::WINDOW_SCALE => write!(f, "W{}", self.scale)?,
                kind::SACK_PERMITTED => f.write_str("S")?,
                kind::TIMESTAMPS if self.stamp > 0 => f.write_str("T")?,
                kind::TIMESTAMPS => f.write_str("T0")?,
                other => write!(f, "?{other}")?,
            }
        }
        write!(f, ":{}", self.quirks)
    }
}
