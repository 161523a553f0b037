//! Classic pcap: a file header, then records (draft-ietf-opsawg-pcap).

use pcap_parser::pcap::parse_pcap_header;

use crate::error::Fault;
use crate::link::LinkType;
use crate::reader::{Record, check_length};
use crate::window::{Order, Window};
use crate::{MAX_RECORD, Resolution};

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// Kuznetzov's "modified" format adds interface index, protocol and packet type to each record.
const MODIFIED_RECORD_HEADER: usize = 24;
const MODIFIED: u32 = 0xa1b2_cd34;

/// The magic numbers as they stand in the file, read in little-endian order.
pub(crate) fn is_magic(magic: u32) -> bool {
    matches!(magic, 0xa1b2_c3d4 | 0xa1b2_3c4d | MODIFIED)
        || matches!(magic.swap_bytes(), 0xa1b2_c3d4 | 0xa1b2_3c4d | MODIFIED)
}

/// What the file header says about the records.
#[derive(Debug)]
pub(crate) struct Classic {
    order: Order,
    link: LinkType,
    record_header: usize,
    nanos_per_unit: u64,
}

impl Classic {
    /// Reads the file header.
    pub(crate) fn open(window: &mut Window) -> Result<Self, Fault> {
        let mut header = [0; FILE_HEADER];
        header.copy_from_slice(window.need(FILE_HEADER, "the pcap file header")?);
        let modified_big = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) == MODIFIED;
        if modified_big {
            // pcap-parser knows the modified format in little-endian order only; past the magic number, the
            // header is that of any big-endian file.
            header[..4].copy_from_slice(&0xa1b2_c3d4_u32.to_be_bytes());
        }
        let (_, parsed) = parse_pcap_header(&header)
            .map_err(|_| Fault::Malformed("the pcap file header cannot be read".to_owned()))?;
        if parsed.version_major != 2 {
            return Err(Fault::Malformed(format!(
                "pcap version {}.{} is not supported, only 2.x is",
                parsed.version_major, parsed.version_minor
            )));
        }
        window.consume(FILE_HEADER);
        // The upper bits tell whether a frame check sequence was captured, and of what length.
        let number = parsed.network.0 as u32 & 0x03ff_ffff;
        Ok(Self {
            order: if parsed.is_bigendian() { Order::Big } else { Order::Little },
            link: LinkType::from_number(number).ok_or(Fault::UnsupportedLink(number))?,
            record_header: if modified_big || parsed.is_modified_format() {
                MODIFIED_RECORD_HEADER
            } else {
                RECORD_HEADER
            },
            nanos_per_unit: if parsed.is_nanosecond_precision() { 1 } else { 1000 },
        })
    }

    pub(crate) fn resolution(&self) -> Resolution {
        if self.nanos_per_unit == 1 { Resolution::Nano } else { Resolution::Micro }
    }

    /// The next record; none at the end of the file.
    pub(crate) fn next(&mut self, window: &mut Window) -> Result<Option<Record>, Fault> {
        if window.peek(1)?.is_empty() {
            return Ok(None);
        }
        let header = window.need(self.record_header, "the record header")?;
        let seconds = self.order.u32(header, 0);
        let fraction = self.order.u32(header, 4);
        let captured_len = self.order.u32(header, 8);
        let original_len = self.order.u32(header, 12);
        let captured = check_length(captured_len, MAX_RECORD)?;
        window.need(self.record_header + captured, "the record")?;
        window.consume(self.record_header);
        Ok(Some(Record {
            data: window.consume(captured),
            timestamp_ns: u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.nanos_per_unit,
            original_len,
            link: self.link,
        }))
    }
}
