//! pcapng: sections of blocks (draft-ietf-opsawg-pcapng).

use pcap_parser::pcapng::{
    OptionCode, parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le,
    parse_sectionheaderblock,
};

use crate::error::Fault;
use crate::link::LinkType;
use crate::reader::{Record, check_length};
use crate::window::{Order, Window};
use crate::{MAX_RECORD, Resolution};

/// The section header's block type, a palindrome, so that it reads the same in both byte orders.
pub(crate) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// Type and total length before a block's body; the total length again after it.
const FRAMING: usize = 12;
/// The longest block that is looked at: a packet of the greatest length and as much again for options.
const MAX_BLOCK: usize = 2 * MAX_RECORD;
const MAX_INTERFACES: usize = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Interface {
    /// The link type's number: a foreign one matters only when a packet of it turns up.
    link: u32,
    snaplen: u32,
    ticks: Ticks,
}

/// The unit of an interface's timestamps (`if_tsresol`) and their origin (`if_tsoffset`, seconds).
#[derive(Clone, Copy, Debug)]
struct Ticks {
    resolution: u8,
    offset_seconds: i64,
}

impl Ticks {
    /// Nanoseconds since 1970, clamped to what 64 bits hold (the year 2554).
    fn nanos(self, ticks: u64) -> u64 {
        let exponent = u32::from(self.resolution & 0x7f);
        let scaled = u128::from(ticks) * 1_000_000_000;
        let since = if self.resolution & 0x80 != 0 {
            scaled.checked_shr(exponent).unwrap_or(0)
        } else {
            10_u128.checked_pow(exponent).map_or(0, |per_second| scaled / per_second)
        };
        let offset = i128::from(self.offset_seconds) * 1_000_000_000;
        (since as i128 + offset).clamp(0, i128::from(u64::MAX)) as u64
    }

    fn resolution(self) -> Resolution {
        // 2^-6 s is 15 625 µs; 2^-7 s is no whole number of them.
        if self.resolution & 0x7f > 6 { Resolution::Nano } else { Resolution::Micro }
    }
}

/// The section that is being read.
#[derive(Debug)]
pub(crate) struct Ng {
    order: Order,
    interfaces: Vec<Interface>,
    resolution: Resolution,
    /// Simple packet blocks have no time of their own: they get that of the packet before them.
    last_ns: u64,
}

impl Ng {
    /// Reads the section header and everything before the first packet.
    pub(crate) fn open(window: &mut Window) -> Result<Self, Fault> {
        let mut section =
            Self { order: Order::Little, interfaces: Vec::new(), resolution: Resolution::Micro, last_ns: 0 };
        section.section_header(window)?;
        while let Some((kind, length)) = section.block(window)? {
            match kind {
                OBSOLETE_PACKET | SIMPLE_PACKET | ENHANCED_PACKET => break,
                _ => section.other_block(window, kind, length)?,
            }
        }
        Ok(section)
    }

    /// The finest resolution of the interfaces described so far.
    pub(crate) fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// The next packet; none at the end of the file.
    pub(crate) fn next(&mut self, window: &mut Window) -> Result<Option<Record>, Fault> {
        while let Some((kind, length)) = self.block(window)? {
            let record = match kind {
                ENHANCED_PACKET | OBSOLETE_PACKET => self.timed_packet(window, kind, length)?,
                SIMPLE_PACKET => self.simple_packet(window, length)?,
                _ => {
                    self.other_block(window, kind, length)?;
                    continue;
                }
            };
            self.last_ns = record.timestamp_ns;
            return Ok(Some(record));
        }
        Ok(None)
    }

    /// Type and total length of the next block, without consuming it.
    fn block(&self, window: &mut Window) -> Result<Option<(u32, u32)>, Fault> {
        if window.peek(1)?.is_empty() {
            return Ok(None);
        }
        let start = window.need(FRAMING, "a block's header")?;
        let kind = self.order.u32(start, 0);
        if kind == SECTION_HEADER {
            // The new section may have another byte order: its length is read with its header.
            return Ok(Some((kind, 0)));
        }
        let length = self.order.u32(start, 4);
        if length < FRAMING as u32 || !length.is_multiple_of(4) {
            return Err(Fault::Malformed(format!(
                "a block of type {kind:#x} says that it is {length} bytes long, which no block can be"
            )));
        }
        Ok(Some((kind, length)))
    }

    fn other_block(&mut self, window: &mut Window, kind: u32, length: u32) -> Result<(), Fault> {
        match kind {
            SECTION_HEADER => self.section_header(window),
            INTERFACE => self.interface(window, length),
            _ => {
                window.skip(u64::from(length) - 4, "a block")?;
                let trailer = self.order.u32(window.need(4, "a block's trailer")?, 0);
                check_trailer(length, trailer)?;
                window.consume(4);
                Ok(())
            }
        }
    }

    fn section_header(&mut self, window: &mut Window) -> Result<(), Fault> {
        let start = window.need(FRAMING, "the section header")?;
        self.order = match &start[8..12] {
            [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
            other => {
                return Err(Fault::Malformed(format!(
                    "the section header's byte-order magic is {other:02x?}, not 1a 2b 3c 4d in either order"
                )));
            }
        };
        let length = self.order.u32(start, 4);
        let block = whole_block(window, self.order, length)?;
        let (_, header) = parse_sectionheaderblock(block)
            .map_err(|_| Fault::Malformed("the section header cannot be read".to_owned()))?;
        if header.major_version != 1 {
            return Err(Fault::Malformed(format!(
                "pcapng version {}.{} is not supported, only 1.x is",
                header.major_version, header.minor_version
            )));
        }
        self.interfaces.clear();
        window.consume(length as usize);
        Ok(())
    }

    fn interface(&mut self, window: &mut Window, length: u32) -> Result<(), Fault> {
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(Fault::Malformed(format!("more than {MAX_INTERFACES} interfaces in a section")));
        }
        let block = whole_block(window, self.order, length)?;
        let parsed = match self.order {
            Order::Little => parse_interfacedescriptionblock_le(block),
            Order::Big => parse_interfacedescriptionblock_be(block),
        };
        let (_, description) = parsed
            .map_err(|_| Fault::Malformed("an interface description block cannot be read".to_owned()))?;
        let mut ticks = Ticks { resolution: 6, offset_seconds: 0 };
        for option in &description.options {
            match (option.code, option.as_bytes()) {
                (OptionCode::EndOfOpt, _) => break,
                (OptionCode::IfTsresol, Ok(&[resolution])) => ticks.resolution = resolution,
                // Not pcap-parser's own value: that is little-endian whatever the section's order.
                (OptionCode::IfTsoffset, Ok(bytes)) if bytes.len() == 8 => {
                    let (first, second) = (self.order.u32(bytes, 0), self.order.u32(bytes, 4));
                    let (high, low) = match self.order {
                        Order::Little => (second, first),
                        Order::Big => (first, second),
                    };
                    ticks.offset_seconds = (u64::from(high) << 32 | u64::from(low)) as i64;
                }
                _ => {}
            }
        }
        let interface =
            Interface { link: description.linktype.0 as u32, snaplen: description.snaplen, ticks };
        self.resolution = self.resolution.max(ticks.resolution());
        self.interfaces.push(interface);
        window.consume(length as usize);
        Ok(())
    }

    /// An enhanced packet block, or its predecessor, which has 16 bits of interface and 16 of drops.
    fn timed_packet(&self, window: &mut Window, kind: u32, length: u32) -> Result<Record, Fault> {
        const HEADER: usize = 28;
        let block = whole_block(window, self.order, length)?;
        if block.len() < HEADER + 4 {
            return Err(Fault::Malformed(format!(
                "a packet block of {length} bytes has no room for its header"
            )));
        }
        let interface = match kind {
            OBSOLETE_PACKET => u32::from(self.order.u16(block, 8)),
            _ => self.order.u32(block, 8),
        };
        let (high, low) = (self.order.u32(block, 12), self.order.u32(block, 16));
        let captured = check_length(self.order.u32(block, 20), MAX_RECORD.min(block.len() - HEADER - 4))?;
        let original_len = self.order.u32(block, 24);
        let (interface, link) = self.packet_interface(interface)?;
        Ok(Record {
            data: packet_of(window, length, HEADER, captured),
            timestamp_ns: interface.ticks.nanos(u64::from(high) << 32 | u64::from(low)),
            original_len,
            link,
        })
    }

    /// A simple packet block: interface 0, no timestamp, and the captured length follows from the snaplen.
    fn simple_packet(&self, window: &mut Window, length: u32) -> Result<Record, Fault> {
        const HEADER: usize = 12;
        let block = whole_block(window, self.order, length)?;
        if block.len() < HEADER + 4 {
            return Err(Fault::Malformed(format!(
                "a packet block of {length} bytes has no room for its header"
            )));
        }
        let room = MAX_RECORD.min(block.len() - HEADER - 4);
        let original_len = self.order.u32(block, 8);
        let (interface, link) = self.packet_interface(0)?;
        let limit = if interface.snaplen == 0 { u32::MAX } else { interface.snaplen };
        let captured = check_length(original_len.min(limit), room)?;
        let data = packet_of(window, length, HEADER, captured);
        Ok(Record { data, timestamp_ns: self.last_ns, original_len, link })
    }

    fn packet_interface(&self, index: u32) -> Result<(Interface, LinkType), Fault> {
        let interface = self.interfaces.get(index as usize).ok_or_else(|| {
            let described = self.interfaces.len();
            Fault::Malformed(format!("interface {index} was never described ({described} were)"))
        })?;
        let link = LinkType::from_number(interface.link).ok_or(Fault::UnsupportedLink(interface.link))?;
        Ok((*interface, link))
    }
}

/// All of a block that has to be looked at, checked to end as it began.
fn whole_block(window: &mut Window, order: Order, length: u32) -> Result<&[u8], Fault> {
    let total = check_length(length, MAX_BLOCK)?;
    let block = window.need(total, "a block")?;
    if total < FRAMING {
        return Err(Fault::Malformed(format!("a block of {length} bytes is shorter than its framing")));
    }
    check_trailer(length, order.u32(block, total - 4))?;
    Ok(block)
}

fn check_trailer(length: u32, trailer: u32) -> Result<(), Fault> {
    if length == trailer {
        return Ok(());
    }
    Err(Fault::Malformed(format!("a block says {length} bytes at its start and {trailer} at its end")))
}

/// Consumes a packet block and gives the place of its packet.
fn packet_of(window: &mut Window, length: u32, header: usize, captured: usize) -> std::ops::Range<usize> {
    let block = window.consume(length as usize);
    let start = block.start + header;
    start..start + captured
}
