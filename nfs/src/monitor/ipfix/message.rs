//! Messages of IPFIX (RFC 7011): a header, sets of templates, sets of records.

use engine::Time;
use std::net::IpAddr;

/// Version in every header.
const VERSION: u16 = 10;
/// Bytes of a message's header, and of a set's.
const HEADER: usize = 16;
const SET_HEADER: usize = 4;
/// The set of templates.
const TEMPLATES: u16 = 2;
/// Templates of flows over IPv4 and IPv6; data sets have the same numbers.
const OVER_V4: u16 = 256;
const OVER_V6: u16 = 257;
/// The enterprise number of elements of the reverse direction (RFC 5103 section 6.1).
const REVERSE: u32 = 29305;
/// A message is at least this long, whatever is asked: templates and a record.
pub const SMALLEST: usize = 512;
/// A message can say no greater length.
pub const LARGEST: usize = 65_535;

/// An information element (IANA, RFC 7012) and its bytes.
struct Element {
    id: u16,
    len: u16,
    reverse: bool,
}

const fn forward(id: u16, len: u16) -> Element {
    Element { id, len, reverse: false }
}

const fn reverse(id: u16, len: u16) -> Element {
    Element { id, len, reverse: true }
}

const V4_ENDS: [Element; 2] = [forward(8, 4), forward(12, 4)];
const V6_ENDS: [Element; 2] = [forward(27, 16), forward(28, 16)];
/// What follows the addresses, in the order of [`Encoder::record`].
const REST: [Element; 14] = [
    forward(7, 2),   // sourceTransportPort
    forward(11, 2),  // destinationTransportPort
    forward(4, 1),   // protocolIdentifier
    forward(136, 1), // flowEndReason
    forward(239, 1), // biflowDirection
    forward(6, 2),   // tcpControlBits
    reverse(6, 2),
    forward(1, 8), // octetDeltaCount
    reverse(1, 8),
    forward(2, 8), // packetDeltaCount
    reverse(2, 8),
    forward(152, 8), // flowStartMilliseconds
    forward(153, 8), // flowEndMilliseconds
    forward(210, 1), // paddingOctets, so that records have even lengths
];

/// Why a flow is reported: flowEndReason.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum EndReason {
    /// It was quiet for the idle timeout.
    Idle = 1,
    /// It lasted for the active timeout; another report follows.
    Active = 2,
    /// It was seen to end: another connection began between the same ports.
    Ended = 3,
    /// The exporter stops.
    Forced = 4,
    /// Its place was needed for another.
    Resources = 5,
}

/// What is reported of a flow. Arrays are by direction: first what its originator sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlowReport {
    /// The originator.
    pub source: IpAddr,
    /// Who was spoken to; of the same IP version.
    pub destination: IpAddr,
    /// The originator's port, 0 in protocols without.
    pub source_port: u16,
    /// The other's port.
    pub destination_port: u16,
    /// IANA's number.
    pub protocol: u8,
    /// Why it is reported now.
    pub reason: EndReason,
    /// All TCP flags that there were.
    pub tcp_flags: [u8; 2],
    /// Packets since the last report.
    pub packets: [u64; 2],
    /// Bytes of IP packets since the last report.
    pub bytes: [u64; 2],
    /// First packet.
    pub first: Time,
    /// Last packet.
    pub last: Time,
}

/// Writes the messages of one observation domain, in which records are numbered.
pub struct Encoder {
    domain: u32,
    /// Bytes that a message may have.
    limit: usize,
    /// Records in messages that were given out.
    sequence: u32,
    /// The message in the making; empty when there is none.
    message: Vec<u8>,
    /// The last set's kind and where it begins.
    set: Option<(u16, usize)>,
    /// Records in the message.
    records: u32,
    wants_templates: bool,
}

impl Encoder {
    /// For an observation domain, with messages of at most `limit` bytes (from [`SMALLEST`] to [`LARGEST`]).
    pub fn new(domain: u32, limit: usize) -> Encoder {
        let limit = limit.clamp(SMALLEST, LARGEST);
        Encoder {
            domain,
            limit,
            sequence: 0,
            message: Vec::with_capacity(limit),
            set: None,
            records: 0,
            wants_templates: true,
        }
    }

    /// Puts a report into the message. When that is full, it first goes to `send`, with the number of its records;
    /// `seconds` since 1970 is when.
    pub fn add(&mut self, report: &FlowReport, seconds: u32, send: impl FnMut(&[u8], u32)) {
        let (kind, len) = match (report.source, report.destination) {
            (IpAddr::V4(_), IpAddr::V4(_)) => (OVER_V4, length(&V4_ENDS)),
            _ => (OVER_V6, length(&V6_ENDS)),
        };
        let header = if self.set.is_some_and(|(open, _)| open == kind) { 0 } else { SET_HEADER };
        if !self.message.is_empty() && self.message.len() + header + len > self.limit {
            self.flush(seconds, send);
        }
        if self.message.is_empty() {
            self.begin();
        }
        if self.set.is_none_or(|(open, _)| open != kind) {
            self.open(kind);
        }
        self.record(report);
        self.records += 1;
    }

    /// Gives the message out, if there is something in it.
    pub fn flush(&mut self, seconds: u32, mut send: impl FnMut(&[u8], u32)) {
        if self.message.is_empty() {
            return;
        }
        self.close();
        let length = self.message.len() as u16;
        self.message[2..4].copy_from_slice(&length.to_be_bytes());
        self.message[4..8].copy_from_slice(&seconds.to_be_bytes());
        send(&self.message, self.records);
        self.sequence = self.sequence.wrapping_add(self.records);
        (self.records, self.set) = (0, None);
        self.message.clear();
    }

    /// The next message tells the templates again: they may have been lost.
    pub fn refresh_templates(&mut self) {
        self.wants_templates = true;
    }

    /// A new session with the collector begins: it knows nothing, and records are numbered anew. What waited for the old
    /// one is thrown away; returns how many records that were.
    pub fn restart(&mut self) -> u32 {
        (self.sequence, self.wants_templates, self.set) = (0, true, None);
        self.message.clear();
        std::mem::take(&mut self.records)
    }

    /// Header, and templates if they are due. Length and time are filled in at the end.
    fn begin(&mut self) {
        self.put16(VERSION);
        self.put16(0);
        self.put32(0);
        self.put32(self.sequence);
        self.put32(self.domain);
        if std::mem::take(&mut self.wants_templates) {
            self.open(TEMPLATES);
            self.template(OVER_V4, &V4_ENDS);
            self.template(OVER_V6, &V6_ENDS);
        }
    }

    fn open(&mut self, kind: u16) {
        self.close();
        self.set = Some((kind, self.message.len()));
        self.put16(kind);
        self.put16(0);
    }

    /// Fills in the length of the open set.
    fn close(&mut self) {
        if let Some((_, start)) = self.set {
            let length = (self.message.len() - start) as u16;
            self.message[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }

    fn template(&mut self, kind: u16, ends: &[Element]) {
        self.put16(kind);
        self.put16((ends.len() + REST.len()) as u16);
        for element in ends.iter().chain(&REST) {
            self.put16(element.id | if element.reverse { 0x8000 } else { 0 });
            self.put16(element.len);
            if element.reverse {
                self.put32(REVERSE);
            }
        }
    }

    fn record(&mut self, report: &FlowReport) {
        match (report.source, report.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.message.extend(source.octets());
                self.message.extend(destination.octets());
            }
            (source, destination) => {
                self.message.extend(six(source));
                self.message.extend(six(destination));
            }
        }
        self.put16(report.source_port);
        self.put16(report.destination_port);
        // The originator is known by its packet being the first: biflowDirection "initiator".
        self.message.extend([report.protocol, report.reason as u8, 1]);
        report.tcp_flags.into_iter().for_each(|flags| self.put16(flags.into()));
        for number in report.bytes.into_iter().chain(report.packets) {
            self.put64(number);
        }
        for time in [report.first, report.last] {
            self.put64(time.as_nanos() / 1_000_000);
        }
        self.message.push(0);
    }

    fn put16(&mut self, number: u16) {
        self.message.extend(number.to_be_bytes());
    }

    fn put32(&mut self, number: u32) {
        self.message.extend(number.to_be_bytes());
    }

    fn put64(&mut self, number: u64) {
        self.message.extend(number.to_be_bytes());
    }
}

/// Bytes of a record with these addresses.
fn length(ends: &[Element]) -> usize {
    ends.iter().chain(&REST).map(|element| usize::from(element.len)).sum()
}

fn six(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

const _: () = assert!(HEADER + SET_HEADER + 2 * (SET_HEADER + 16 * 8) + SET_HEADER + 100 <= SMALLEST);
