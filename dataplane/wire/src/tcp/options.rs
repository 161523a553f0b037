//! TCP options (RFC 9293 section 3.1, RFC 7323, RFC 2018, RFC 8684).

use crate::headers::Malformed;
use crate::order::{u16_at, u32_at};

/// Option kinds.
pub mod kind {
    /// End of the list.
    pub const END: u8 = 0;
    /// Padding between options.
    pub const NOP: u8 = 1;
    /// Maximum segment size.
    pub const MSS: u8 = 2;
    /// Window scale (RFC 7323).
    pub const WINDOW_SCALE: u8 = 3;
    /// Selective acknowledgement permitted (RFC 2018).
    pub const SACK_PERMITTED: u8 = 4;
    /// Selective acknowledgement (RFC 2018).
    pub const SACK: u8 = 5;
    /// Timestamps (RFC 7323).
    pub const TIMESTAMPS: u8 = 8;
    /// Multipath TCP (RFC 8684).
    pub const MPTCP: u8 = 30;
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpOption<'a> {
    /// Maximum segment size, in bytes.
    Mss(u16),
    /// Window scale: the shift.
    WindowScale(u8),
    /// Selective acknowledgement permitted.
    SackPermitted,
    /// Selective acknowledgement.
    Sack(SackBlocks<'a>),
    /// Timestamps.
    Timestamps {
        /// The sender's clock.
        value: u32,
        /// The last value that it received.
        echo: u32,
    },
    /// Multipath TCP: what follows kind and length, the subtype in its first four bits.
    Mptcp(&'a [u8]),
    /// Any other.
    Other {
        /// Its kind.
        kind: u8,
        /// What follows kind and length.
        data: &'a [u8],
    },
}

/// The blocks of a selective acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SackBlocks<'a>(&'a [u8]);

impl SackBlocks<'_> {
    /// First sequence number of each block, and the one after its last.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> {
        self.0.chunks_exact(8).map(|block| (u32_at(block, 0), u32_at(block, 4)))
    }
}

/// Iterator over options, without padding; after an error it ends.
#[derive(Clone, Debug)]
pub struct Options<'a>(&'a [u8]);

impl<'a> Options<'a> {
    /// The options in these bytes.
    pub fn new(bytes: &'a [u8]) -> Options<'a> {
        Options(bytes)
    }

    /// Kind and data of the next option, whatever its kind.
    fn next_raw(&mut self) -> Option<Result<(u8, &'a [u8]), Malformed>> {
        loop {
            match *self.0 {
                [] | [kind::END, ..] => return None,
                [kind::NOP, ref rest @ ..] => self.0 = rest,
                [kind, len, ..] if len >= 2 && usize::from(len) <= self.0.len() => {
                    let (option, rest) = self.0.split_at(usize::from(len));
                    self.0 = rest;
                    return Some(Ok((kind, &option[2..])));
                }
                _ => {
                    self.0 = &[];
                    return Some(Err(Malformed::TcpBadOption));
                }
            }
        }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<TcpOption<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let (kind, data) = match self.next_raw()? {
            Ok(option) => option,
            Err(malformed) => return Some(Err(malformed)),
        };
        Some(Ok(match (kind, data.len()) {
            (kind::MSS, 2) => TcpOption::Mss(u16_at(data, 0)),
            (kind::WINDOW_SCALE, 1) => TcpOption::WindowScale(data[0]),
            (kind::SACK_PERMITTED, 0) => TcpOption::SackPermitted,
            (kind::SACK, len) if len % 8 == 0 => TcpOption::Sack(SackBlocks(data)),
            (kind::TIMESTAMPS, 8) => TcpOption::Timestamps { value: u32_at(data, 0), echo: u32_at(data, 4) },
            (kind::MPTCP, 1..) => TcpOption::Mptcp(data),
            (kind::MSS..=kind::SACK | kind::TIMESTAMPS | kind::MPTCP, _) => {
                self.0 = &[];
                return Some(Err(Malformed::TcpBadOption));
            }
            _ => TcpOption::Other { kind, data },
        }))
    }
}

/// Where in `bytes` the first option of this kind starts.
pub(super) fn offset_of(bytes: &[u8], wanted: u8) -> Option<usize> {
    let mut options = Options::new(bytes);
    while let Some(Ok((kind, data))) = options.next_raw() {
        if kind == wanted {
            return Some(bytes.len() - options.0.len() - data.len() - 2);
        }
    }
    None
}
