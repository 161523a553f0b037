//! Reading: from bytes to Ethernet frames.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;

use crate::error::{CaptureError, Fault};
use crate::ethernet::{self, Skipped};
use crate::link::LinkType;
use crate::pcap::Classic;
use crate::pcapng::{Ng, SECTION_HEADER};
use crate::window::Window;
use crate::{Resolution, pcap};

/// A packet as an Ethernet frame; it borrows the reader's buffer until the next one is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Nanoseconds since 1970-01-01, UTC.
    pub timestamp_ns: u64,
    /// The frame, from the destination address on; as much of it as was captured.
    pub bytes: &'a [u8],
    /// Length on the wire, counted as an Ethernet frame; never less than `bytes.len()`.
    pub original_len: u32,
    /// The link type that it was captured with.
    pub link: LinkType,
}

/// How far a reader has come, in bytes of the file as it is on disk (compressed bytes for a compressed file).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read, up to a buffer's length ahead of the packets delivered.
    pub read: u64,
    /// Bytes in all; unknown for pipes and streams.
    pub total: Option<u64>,
}

/// A packet of the file, before it is made a frame: `data` is its place in the window.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) data: Range<usize>,
    pub(crate) timestamp_ns: u64,
    pub(crate) original_len: u32,
    pub(crate) link: LinkType,
}

/// A length from the file, refused before anything of that length is read.
pub(crate) fn check_length(length: u32, limit: usize) -> Result<usize, Fault> {
    match usize::try_from(length) {
        Ok(length) if length <= limit => Ok(length),
        _ => Err(Fault::Malformed(format!("a length of {length} bytes where at most {limit} can be"))),
    }
}

#[derive(Debug)]
enum Container {
    Classic(Classic),
    Ng(Ng),
}

/// Reads a capture, packet by packet, in a fixed amount of memory.
pub struct Reader {
    file: String,
    window: Window,
    container: Container,
    /// The frame of a packet whose link type is not Ethernet.
    frame: Vec<u8>,
    records: u64,
    skipped: Skipped,
    bytes_read: Arc<AtomicU64>,
    total: Option<u64>,
    /// Set at the end and after an error, from which there is no way to find the next record.
    ended: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("file", &self.file)
            .field("container", &self.container)
            .field("records", &self.records)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a capture file or a named pipe.
    ///
    /// # Errors
    /// If it cannot be opened, is not a capture, is damaged before its first packet, or (classic pcap) has a
    /// link type that is not supported.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(|source| CaptureError::Open { file: name.clone(), source })?;
        let mut reader = Self::new(file, &name)?;
        reader.total = metadata.is_file().then_some(metadata.len());
        Ok(reader)
    }

    /// Reads a capture from a stream; `name` is what error messages call it.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn new(source: impl Read + Send + 'static, name: &str) -> Result<Self, CaptureError> {
        let bytes_read = Arc::new(AtomicU64::new(0));
        let counted = Counted { source, bytes_read: Arc::clone(&bytes_read) };
        let start = |source| {
            let mut window = Window::new(decompressed(source)?);
            let container = recognise(&mut window).map_err(|fault| (fault, window.offset()))?;
            Ok((window, container))
        };
        let (window, container) =
            start(counted).map_err(|(fault, offset): (Fault, u64)| fault.locate(name, 1, offset))?;
        Ok(Self {
            file: name.to_owned(),
            window,
            container,
            frame: Vec::new(),
            records: 0,
            skipped: Skipped::default(),
            bytes_read,
            total: None,
            ended: false,
        })
    }

    /// The next packet; none at the end of the file, and after an error.
    ///
    /// # Errors
    /// If the file is cut short, contradicts its format, has a packet longer than [`MAX_RECORD`](crate::MAX_RECORD),
    /// or (pcapng) has a packet of a link type that is not supported.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend its items")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        while !self.ended {
            let record = match &mut self.container {
                Container::Classic(classic) => classic.next(&mut self.window),
                Container::Ng(section) => section.next(&mut self.window),
            };
            let record = match record {
                Ok(Some(record)) => record,
                Ok(None) => {
                    self.ended = true;
                    break;
                }
                Err(fault) => {
                    self.ended = true;
                    // A record is consumed only once it is found whole: the window stands where it starts.
                    let offset = self.window.offset();
                    return Err(fault.locate(&self.file, self.records + 1, offset));
                }
            };
            self.records += 1;
            let Record { data, timestamp_ns, original_len, link } = record;
            if link == LinkType::Ethernet {
                let bytes = self.window.slice(data);
                let original_len = original_len.max(bytes.len() as u32);
                return Ok(Some(Frame { timestamp_ns, bytes, original_len, link }));
            }
            match ethernet::frame(link, self.window.slice(data), original_len, &mut self.frame) {
                Ok(original_len) => {
                    let bytes = &self.frame[..];
                    let original_len = original_len.max(bytes.len() as u32);
                    return Ok(Some(Frame { timestamp_ns, bytes, original_len, link }));
                }
                Err(skip) => self.skipped.count(skip),
            }
        }
        Ok(None)
    }

    /// How finely the timestamps are recorded: for pcapng, by the interfaces described before the first packet,
    /// and later by those described so far.
    pub fn resolution(&self) -> Resolution {
        match &self.container {
            Container::Classic(classic) => classic.resolution(),
            Container::Ng(section) => section.resolution(),
        }
    }

    /// Packets of the file read so far, the skipped ones included.
    pub fn packets(&self) -> u64 {
        self.records
    }

    /// Packets that no Ethernet frame could be made of, so far.
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// How far the reading has come.
    pub fn progress(&self) -> Progress {
        Progress { read: self.bytes_read.load(Ordering::Relaxed), total: self.total }
    }
}

/// Counts what is read, below any decompression.
struct Counted<R> {
    source: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.bytes_read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// The source, through a gzip decoder if it starts as gzip data do (RFC 1952).
fn decompressed(mut source: impl Read + Send + 'static) -> Result<Box<dyn Read + Send>, (Fault, u64)> {
    let mut magic = Vec::with_capacity(2);
    source.by_ref().take(2).read_to_end(&mut magic).map_err(|e| (Fault::Io(e), 0))?;
    let gzip = magic == [0x1f, 0x8b];
    let whole = Cursor::new(magic).chain(source);
    Ok(if gzip { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
}

/// Reads the header of whichever format it is.
fn recognise(window: &mut Window) -> Result<Container, Fault> {
    let start = window.peek(4)?;
    let Some(&magic) = start.first_chunk::<4>() else {
        return Err(Fault::NotACapture(match start.len() {
            0 => "it is empty".to_owned(),
            n => format!("it has only {n} bytes"),
        }));
    };
    match u32::from_le_bytes(magic) {
        SECTION_HEADER => Ng::open(window).map(Container::Ng),
        number if pcap::is_magic(number) => Classic::open(window).map(Container::Classic),
        _ => Err(Fault::NotACapture(format!("it starts with the bytes {magic:02x?}"))),
    }
}

#[cfg(test)]
mod tests;
