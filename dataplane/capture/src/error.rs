//! What can be wrong with a capture file, and where.

use std::io;

use crate::link;

/// Why a capture could not be opened, read or written. Offsets are in bytes of the (decompressed) file; packets
/// are counted from 1, as Wireshark does.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file could not be opened or created.
    #[error("{file}: {source}")]
    Open {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// Reading failed, damaged gzip data included.
    #[error("{file}: reading packet {packet} at byte {offset}: {source}")]
    Read {
        /// The file.
        file: String,
        /// The packet that was being read.
        packet: u64,
        /// Where its record starts.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// Writing failed.
    #[error("{file}: writing packet {packet}: {source}")]
    Write {
        /// The file.
        file: String,
        /// The packet that was being written.
        packet: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The file is neither pcap nor pcapng.
    #[error("{file}: not a capture file ({found}); expected pcap or pcapng, gzip-compressed or not")]
    NotACapture {
        /// The file.
        file: String,
        /// How it starts.
        found: String,
    },
    /// The packets are of a link type that cannot be put into Ethernet frames.
    #[error(
        "{file}: link type {number} ({}) is not supported; supported: {}",
        link::name_of(*number),
        link::supported()
    )]
    UnsupportedLink {
        /// The file.
        file: String,
        /// The number in the file, of the registry at <https://www.tcpdump.org/linktypes.html>.
        number: u32,
    },
    /// The file ends in the middle of a record.
    #[error(
        "{file}: packet {packet} at byte {offset} is cut short: {what} needs {wanted} bytes, {got} are left"
    )]
    CutShort {
        /// The file.
        file: String,
        /// The packet that is incomplete.
        packet: u64,
        /// Where its record starts.
        offset: u64,
        /// The part that is incomplete.
        what: &'static str,
        /// Bytes that it should have.
        wanted: u64,
        /// Bytes that it has.
        got: u64,
    },
    /// The file contradicts its format or exceeds a limit.
    #[error("{file}: packet {packet} at byte {offset}: {what}")]
    Malformed {
        /// The file.
        file: String,
        /// The packet that was being read.
        packet: u64,
        /// Where its record starts.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A packet that the output format cannot hold.
    #[error("{file}: packet {packet}: {what}")]
    Unwritable {
        /// The file.
        file: String,
        /// The packet.
        packet: u64,
        /// What does not fit.
        what: String,
    },
}

/// A problem, before the reader adds which file, which packet and where.
#[derive(Debug)]
pub(crate) enum Fault {
    Io(io::Error),
    NotACapture(String),
    UnsupportedLink(u32),
    CutShort { what: &'static str, wanted: u64, got: u64 },
    Malformed(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    pub(crate) fn locate(self, file: &str, packet: u64, offset: u64) -> CaptureError {
        let file = file.to_owned();
        match self {
            Self::Io(source) => CaptureError::Read { file, packet, offset, source },
            Self::NotACapture(found) => CaptureError::NotACapture { file, found },
            Self::UnsupportedLink(number) => CaptureError::UnsupportedLink { file, number },
            Self::CutShort { what, wanted, got } => {
                CaptureError::CutShort { file, packet, offset, what, wanted, got }
            }
            Self::Malformed(what) => CaptureError::Malformed { file, packet, offset, what },
        }
    }
}
