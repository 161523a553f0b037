//! Writing Ethernet frames.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use pcap_file::pcap::{PcapHeader, PcapWriter, RawPcapPacket};
use pcap_file::pcapng::blocks::ENHANCED_PACKET_BLOCK;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{PcapNgWriter, RawBlock};
use pcap_file::{DataLink, Endianness, PcapError, TsResolution};

use crate::error::CaptureError;
use crate::{MAX_RECORD, Resolution};

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;
/// Interface, time and lengths before the packet of an enhanced packet block. They are put together here:
/// pcap-file's own enhanced packet block allocates for each packet.
const BLOCK_FIELDS: usize = 20;

/// What is written. Timestamps finer than the format's unit are cut off, so the format wants to be chosen by the
/// source's resolution: [`Format::for_path`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Classic pcap, microseconds: what every tool reads.
    Pcap,
    /// Classic pcap, nanoseconds.
    PcapNano,
    /// pcapng, nanoseconds.
    PcapNg,
}

impl Format {
    /// pcapng for a name that ends in `.pcapng` or `.ntar`; otherwise classic pcap in the unit that keeps the
    /// source's timestamps whole.
    pub fn for_path(path: impl AsRef<Path>, source: Resolution) -> Self {
        let extension = path.as_ref().extension().map(|e| e.to_ascii_lowercase());
        match (extension.as_ref().and_then(|e| e.to_str()), source) {
            (Some("pcapng" | "ntar"), _) => Self::PcapNg,
            (_, Resolution::Micro) => Self::Pcap,
            (_, Resolution::Nano) => Self::PcapNano,
        }
    }
}

type Output = BufWriter<Box<dyn Write + Send>>;

enum Container {
    Classic { writer: PcapWriter<Output>, nanos_per_unit: u64 },
    Ng(PcapNgWriter<Output>),
}

/// Writes a capture of Ethernet frames. Little-endian on every machine: the same packets give the same bytes.
pub struct Writer {
    file: String,
    container: Container,
    /// The record that is being put together.
    record: Vec<u8>,
    packets: u64,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("file", &self.file)
            .field("packets", &self.packets)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// Creates or replaces a file.
    ///
    /// # Errors
    /// If it cannot be created or its header cannot be written.
    pub fn create(path: impl AsRef<Path>, format: Format) -> Result<Self, CaptureError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let file = File::create(path).map_err(|source| CaptureError::Open { file: name.clone(), source })?;
        Self::new(file, format, &name)
    }

    /// Writes to a stream; `name` is what error messages call it.
    ///
    /// # Errors
    /// If the file header cannot be written.
    pub fn new(
        output: impl Write + Send + 'static,
        format: Format,
        name: &str,
    ) -> Result<Self, CaptureError> {
        let output: Output = BufWriter::with_capacity(1 << 16, Box::new(output));
        let container = match format {
            Format::Pcap => classic(output, TsResolution::MicroSecond, 1000),
            Format::PcapNano => classic(output, TsResolution::NanoSecond, 1),
            Format::PcapNg => ng(output),
        }
        .map_err(|error| write_error(error, name, 0))?;
        Ok(Self { file: name.to_owned(), container, record: Vec::new(), packets: 0 })
    }

    /// Writes a packet of any number of segments. `original_len` is its length on the wire; the captured length
    /// is used if that is greater.
    ///
    /// # Errors
    /// If the packet is longer than [`MAX_RECORD`], its time does not fit (classic pcap ends in 2106), or the
    /// output cannot be written.
    pub fn write<'a>(
        &mut self,
        timestamp_ns: u64,
        original_len: u32,
        segments: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(), CaptureError> {
        self.record.clear();
        if let Container::Ng(_) = self.container {
            self.record.resize(BLOCK_FIELDS, 0);
        }
        let captured = gather(&mut self.record, segments).map_err(|length| {
            self.unwritable(format!("it has {length} bytes or more, at most {MAX_RECORD} can be"))
        })?;
        let original_len = original_len.max(captured);
        let written = match &mut self.container {
            Container::Classic { writer, nanos_per_unit } => {
                let Ok(ts_sec) = u32::try_from(timestamp_ns / SECOND) else {
                    return Err(self.unwritable(format!(
                        "{timestamp_ns} ns since 1970 is after 2106, where classic pcap ends; write pcapng"
                    )));
                };
                writer.write_raw_packet(&RawPcapPacket {
                    ts_sec,
                    ts_frac: (timestamp_ns % SECOND / *nanos_per_unit) as u32,
                    incl_len: captured,
                    orig_len: original_len,
                    data: Cow::Borrowed(&self.record),
                })
            }
            Container::Ng(writer) => {
                let (high, low) = ((timestamp_ns >> 32) as u32, timestamp_ns as u32);
                let fields = [0, high, low, captured, original_len];
                for (place, field) in self.record.chunks_exact_mut(4).zip(fields) {
                    place.copy_from_slice(&field.to_le_bytes());
                }
                self.record.resize(self.record.len().next_multiple_of(4), 0);
                let block_len = self.record.len() as u32 + 12;
                writer.write_raw_block(&RawBlock {
                    type_: ENHANCED_PACKET_BLOCK,
                    initial_len: block_len,
                    body: Cow::Borrowed(&self.record),
                    trailer_len: block_len,
                })
            }
        };
        written.map_err(|error| write_error(error, &self.file, self.packets + 1))?;
        self.packets += 1;
        Ok(())
    }

    fn unwritable(&self, what: String) -> CaptureError {
        CaptureError::Unwritable { file: self.file.clone(), packet: self.packets + 1, what }
    }

    /// Packets written so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Hands everything to the system. A writer that is dropped instead loses errors.
    ///
    /// # Errors
    /// If the output cannot be written.
    pub fn finish(self) -> Result<(), CaptureError> {
        let mut output = match self.container {
            Container::Classic { writer, .. } => writer.into_writer(),
            Container::Ng(writer) => writer.into_inner(),
        };
        output.flush().map_err(|source| CaptureError::Write { file: self.file, packet: self.packets, source })
    }
}

fn classic(output: Output, ts_resolution: TsResolution, nanos_per_unit: u64) -> Result<Container, PcapError> {
    let header = PcapHeader {
        version_major: 2,
        version_minor: 4,
        ts_correction: 0,
        ts_accuracy: 0,
        snaplen: MAX_RECORD as u32,
        datalink: DataLink::ETHERNET,
        ts_resolution,
        endianness: Endianness::Little,
    };
    Ok(Container::Classic { writer: PcapWriter::with_header(output, header)?, nanos_per_unit })
}

fn ng(output: Output) -> Result<Container, PcapError> {
    let mut writer = PcapNgWriter::with_endianness(output, Endianness::Little)?;
    writer.write_pcapng_block(InterfaceDescriptionBlock {
        linktype: DataLink::ETHERNET,
        snaplen: MAX_RECORD as u32,
        options: vec![InterfaceDescriptionOption::IfTsResol(9)],
    })?;
    Ok(Container::Ng(writer))
}

/// Appends the segments and gives their length, or the length at which they became too long.
fn gather<'a>(record: &mut Vec<u8>, segments: impl IntoIterator<Item = &'a [u8]>) -> Result<u32, usize> {
    let start = record.len();
    for segment in segments {
        let length = record.len() - start + segment.len();
        if length > MAX_RECORD {
            return Err(length);
        }
        record.extend_from_slice(segment);
    }
    Ok((record.len() - start) as u32)
}

fn write_error(error: PcapError, file: &str, packet: u64) -> CaptureError {
    let source = match error {
        PcapError::IoError(source) => source,
        other => io::Error::other(other.to_string()),
    };
    CaptureError::Write { file: file.to_owned(), packet, source }
}
