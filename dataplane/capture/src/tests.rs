//! Files of every format, byte by byte.

use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::*;

const ETHERNET: u16 = 1;
const RAW: u16 = 101;

/// A file put together field by field, in one byte order.
#[derive(Clone, Default)]
struct Bytes {
    big: bool,
    bytes: Vec<u8>,
}

impl Bytes {
    fn u16(mut self, value: u16) -> Self {
        let field = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes.extend(field);
        self
    }

    fn u32(mut self, value: u32) -> Self {
        let field = if self.big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes.extend(field);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A pcapng block around a body, which is padded.
    fn block(self, kind: u32, body: Bytes) -> Self {
        let mut body = body.bytes;
        body.resize(body.len().next_multiple_of(4), 0);
        let length = body.len() as u32 + 12;
        self.u32(kind).u32(length).raw(&body).u32(length)
    }

    fn part(&self) -> Bytes {
        Bytes { big: self.big, bytes: Vec::new() }
    }

    fn section(self) -> Self {
        let body = self.part().u32(0x1a2b_3c4d).u16(1).u16(0).raw(&[0xff; 8]);
        self.block(pcapng::SECTION_HEADER, body)
    }

    /// An interface; `options` are code, value and padding.
    fn interface(self, link: u16, snaplen: u32, options: Bytes) -> Self {
        let body = self.part().u16(link).u16(0).u32(snaplen).raw(&options.bytes);
        self.block(1, body)
    }

    fn resolution(self, exponent: u8) -> Self {
        self.u16(9).u16(1).raw(&[exponent, 0, 0, 0])
    }

    fn enhanced(self, interface: u32, ticks: u64, packet: &[u8]) -> Self {
        let length = packet.len() as u32;
        let body = self.part().u32(interface).u32((ticks >> 32) as u32).u32(ticks as u32);
        self.block(6, body.u32(length).u32(length + 10).raw(packet))
    }
}

fn pcap(big: bool, magic: u32, link: u16) -> Bytes {
    let start = Bytes { big, bytes: Vec::new() };
    start.u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65535).u32(u32::from(link))
}

fn section(big: bool) -> Bytes {
    Bytes { big, bytes: Vec::new() }.section()
}

fn reader(bytes: &[u8]) -> Result<Reader, CaptureError> {
    Reader::new(Cursor::new(bytes.to_vec()), "test")
}

type Packet = (u64, u32, Vec<u8>);

/// Everything that a file delivers, and the error that ended it.
fn read(bytes: &[u8]) -> (Vec<Packet>, Option<String>) {
    let mut packets = Vec::new();
    let mut reader = match reader(bytes) {
        Ok(reader) => reader,
        Err(error) => return (packets, Some(error.to_string())),
    };
    loop {
        match reader.next() {
            Ok(Some(frame)) => packets.push((frame.timestamp_ns, frame.original_len, frame.bytes.to_vec())),
            Ok(None) => return (packets, None),
            Err(error) => {
                assert!(reader.next().unwrap().is_none(), "a reader ends after an error");
                return (packets, Some(error.to_string()));
            }
        }
    }
}

const FRAME: [u8; 18] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x08, 0x00, 0x45, 0, 0, 20];

#[test]
fn a_microsecond_pcap_file_is_read() {
    #[rustfmt::skip]
    let file = [
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
        10, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 64, 0, 0, 0, 0xaa, 0xbb,
    ];
    assert_eq!(read(&file), (vec![(10_000_005_000, 64, vec![0xaa, 0xbb])], None));
}

#[test]
fn pcap_is_read_in_either_byte_order_and_both_units() {
    for big in [false, true] {
        for (magic, nanos, resolution) in
            [(0xa1b2_c3d4, 7000, Resolution::Micro), (0xa1b2_3c4d, 7, Resolution::Nano)]
        {
            let file = pcap(big, magic, ETHERNET).u32(3).u32(7).u32(18).u32(18).raw(&FRAME).bytes;
            assert_eq!(read(&file), (vec![(3_000_000_000 + nanos, 18, FRAME.to_vec())], None));
            assert_eq!(reader(&file).unwrap().resolution(), resolution);
        }
    }
}

#[test]
fn records_of_the_modified_format_are_eight_bytes_longer() {
    for big in [false, true] {
        let record = |file: Bytes| file.u32(3).u32(7).u32(18).u32(18).u32(1).u32(2).raw(&FRAME);
        let file = record(record(pcap(big, 0xa1b2_cd34, ETHERNET))).bytes;
        let packet = (3_000_007_000, 18, FRAME.to_vec());
        assert_eq!(read(&file), (vec![packet.clone(), packet], None));
    }
}

#[test]
fn the_fcs_bits_beside_the_link_type_are_no_part_of_it() {
    let header = Bytes::default().u32(0xa1b2_c3d4).u16(2).u16(4).u32(0).u32(0).u32(65535).u32(0x2400_0001);
    let file = header.u32(0).u32(0).u32(18).u32(18).raw(&FRAME).bytes;
    assert_eq!(read(&file).0.len(), 1);
}

#[test]
fn pcapng_is_read_in_either_byte_order() {
    for big in [false, true] {
        let none = Bytes::default();
        let file = section(big).interface(ETHERNET, 0, none).enhanced(0, 5_000_001, &FRAME).bytes;
        assert_eq!(read(&file), (vec![(5_000_001_000, 28, FRAME.to_vec())], None));
        assert_eq!(reader(&file).unwrap().resolution(), Resolution::Micro);
    }
}

#[test]
fn each_interface_has_its_own_link_type_and_clock() {
    for big in [false, true] {
        let options = Bytes { big, bytes: Vec::new() };
        let offset = if big { 100_u64.to_be_bytes() } else { 100_u64.to_le_bytes() };
        let nanos = options.clone().resolution(9).u16(14).u16(8).raw(&offset).u16(0).u16(0);
        let file = section(big)
            .interface(ETHERNET, 0, options.clone().resolution(3))
            .interface(RAW, 0, nanos)
            .interface(ETHERNET, 0, options.resolution(0x80 | 10))
            .enhanced(1, 42, &[0x45, 0, 0])
            .enhanced(0, 1500, &FRAME)
            .enhanced(2, 1024 + 512, &FRAME)
            .bytes;
        let mut raw = [SYNTHETIC_DESTINATION, SYNTHETIC_SOURCE].concat();
        raw.extend([0x08, 0x00, 0x45, 0, 0]);
        let expected = vec![
            (100_000_000_042, 3 + 10 + 14, raw),
            (1_500_000_000, 28, FRAME.to_vec()),
            (1_500_000_000, 28, FRAME.to_vec()),
        ];
        assert_eq!(read(&file), (expected, None));
        assert_eq!(reader(&file).unwrap().resolution(), Resolution::Nano);
    }
}

#[test]
fn a_section_may_have_another_byte_order_and_forgets_the_interfaces() {
    let little = section(false).interface(ETHERNET, 0, Bytes::default()).enhanced(0, 1, &FRAME).bytes;
    let big = section(true).interface(RAW, 0, Bytes::default()).enhanced(0, 2, &[0x60]).bytes;
    let (packets, error) = read(&[&little[..], &big, &little].concat());
    assert_eq!(packets.iter().map(|p| p.0).collect::<Vec<_>>(), [1000, 2000, 1000]);
    assert_eq!(packets[1].2[12..], [0x86, 0xdd, 0x60]);
    assert_eq!(error, None);

    let without = section(true).enhanced(0, 2, &[0x60]).bytes;
    let (packets, error) = read(&[&little[..], &without].concat());
    assert_eq!(packets.len(), 1);
    let at = little.len() + section(true).bytes.len();
    let says = format!("test: packet 2 at byte {at}: interface 0 was never described (0 were)");
    assert_eq!(error, Some(says));
}

#[test]
fn simple_packets_are_cut_at_the_snaplen_and_keep_the_time_before_them() {
    let file = section(false).interface(ETHERNET, 18, Bytes::default()).enhanced(0, 9, &FRAME);
    let body = file.part().u32(1000).raw(&FRAME);
    let file = file.block(3, body).bytes;
    let frame = FRAME.to_vec();
    assert_eq!(read(&file), (vec![(9000, 28, frame.clone()), (9000, 1000, frame)], None));
}

#[test]
fn obsolete_packet_blocks_are_read() {
    for big in [false, true] {
        let file = section(big).interface(ETHERNET, 0, Bytes::default());
        let body = file.part().u16(0).u16(77).u32(1).u32(2).u32(18).u32(60).raw(&FRAME);
        let file = file.block(2, body).bytes;
        assert_eq!(read(&file), (vec![(((1 << 32) + 2) * 1000, 60, FRAME.to_vec())], None));
    }
}

#[test]
fn unknown_blocks_are_passed_over_however_long() {
    let long = Bytes { big: false, bytes: vec![7; 3 << 20] };
    let file = section(false).block(0x0bad_0000, long.clone()).interface(ETHERNET, 0, Bytes::default());
    let file = file.enhanced(0, 1, &FRAME).block(0x8000_0001, long).enhanced(0, 2, &FRAME).bytes;
    let (packets, error) = read(&file);
    assert_eq!((packets.len(), error), (2, None));
}

#[test]
fn gzip_is_recognised_by_its_first_bytes() {
    let file = pcap(false, 0xa1b2_c3d4, ETHERNET).u32(3).u32(7).u32(18).u32(18).raw(&FRAME).bytes;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&file).unwrap();
    let compressed = encoder.finish().unwrap();
    assert_eq!(read(&compressed), read(&file));
    let (packets, error) = read(&compressed[..compressed.len() - 10]);
    assert!(packets.len() <= 1);
    assert!(error.unwrap().contains("reading packet"));
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let record = |captured: u32| {
        pcap(false, 0xa1b2_c3d4, ETHERNET).u32(1).u32(1).u32(captured).u32(captured).raw(&FRAME).bytes
    };
    let good = record(18);
    let two = [&good[..], &good[24..]].concat();
    let block =
        |length: u32, trailer: u32| section(false).u32(5).u32(length).u32(0).u32(trailer).raw(&[0; 64]).bytes;
    let interface = section(false).interface(ETHERNET, 0, Bytes::default());
    let overlong = interface.part().u32(0).u32(0).u32(0).u32(19).u32(19).raw(&[0; 16]);
    #[rustfmt::skip]
    let rows = [
        (Vec::new(), 0, "test: not a capture file (it is empty); expected pcap or pcapng, gzip-compressed or not"),
        (b"abc".to_vec(), 0, "it has only 3 bytes"),
        (b"GET / HTTP/1.1".to_vec(), 0, "it starts with the bytes [47, 45, 54, 20]"),
        (good[..20].to_vec(), 0, "test: packet 1 at byte 0 is cut short: the pcap file header needs 24 bytes, 20 are left"),
        (two[..two.len() - 1].to_vec(), 1, "test: packet 2 at byte 58 is cut short: the record needs 34 bytes, 33 are left"),
        (two[..60].to_vec(), 1, "test: packet 2 at byte 58 is cut short: the record header needs 16 bytes, 2 are left"),
        (record(u32::MAX), 0, "test: packet 1 at byte 24: a length of 4294967295 bytes where at most 262144 can be"),
        (record(262_145), 0, "a length of 262145 bytes where at most 262144 can be"),
        (pcap(false, 0xa1b2_c3d4, 6).bytes, 0, "test: link type 6 (IEEE 802.5 Token Ring) is not supported; supported: 0 BSD loopback, 1 Ethernet, 9 PPP"),
        (pcap(false, 0xa1b2_c3d4, 9999).bytes, 0, "link type 9999 (not in our list of names"),
        (Bytes::default().u32(0xa1b2_c3d4).u16(3).u16(0).raw(&[0; 16]).bytes, 0, "pcap version 3.0 is not supported, only 2.x is"),
        (section(false).interface(6, 0, Bytes::default()).enhanced(0, 1, &FRAME).bytes, 0, "link type 6 (IEEE 802.5 Token Ring) is not supported"),
        (section(false).bytes[..20].to_vec(), 0, "a block needs 28 bytes, 20 are left"),
        (block(16, 20), 0, "test: packet 1 at byte 40: a block says 16 bytes at its start and 20 at its end"),
        (block(11, 11), 0, "test: packet 1 at byte 28: a block of type 0x5 says that it is 11 bytes long, which no block can be"),
        (block(0, 0), 0, "says that it is 0 bytes long"),
        (block(1 << 30, 0), 0, "is cut short: a block needs 1073741820 bytes"),
        (interface.clone().block(6, overlong).bytes, 0, "a length of 19 bytes where at most 16 can be"),
        (interface.clone().u32(6).u32(0xffff_fff0).raw(&[0; 64]).bytes, 0, "a length of 4294967280 bytes where at most 524288 can be"),
        (interface.enhanced(0, 1, &FRAME).raw(&[6, 0]).bytes, 1, "a block's header needs 12 bytes, 2 are left"),
    ];
    for (file, packets, says) in rows {
        let (delivered, error) = read(&file);
        let error = error.unwrap_or_default();
        assert!(error.contains(says), "expected: {says}\n     got: {error}");
        assert_eq!(delivered.len(), packets, "{says}");
    }
    let missing = Reader::open("/no/such/file.pcap").unwrap_err().to_string();
    assert_eq!(missing, "/no/such/file.pcap: No such file or directory (os error 2)");
}

/// Delivers a byte at a time and is interrupted in between, as a slow pipe.
struct Dribble {
    bytes: Vec<u8>,
    at: usize,
    interrupt: bool,
}

impl Read for Dribble {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let Some(&byte) = self.bytes.get(self.at) else { return Ok(0) };
        buffer[0] = byte;
        self.at += 1;
        Ok(1)
    }
}

#[test]
fn a_stream_may_come_in_pieces() {
    let bytes = pcap(false, 0xa1b2_c3d4, ETHERNET).u32(3).u32(7).u32(18).u32(18).raw(&FRAME).bytes;
    let mut reader = Reader::new(Dribble { bytes, at: 0, interrupt: false }, "pipe").unwrap();
    assert_eq!(reader.next().unwrap().unwrap().bytes, FRAME);
    assert!(reader.next().unwrap().is_none());
    assert_eq!(reader.progress(), Progress { read: 58, total: None });
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn written(format: Format, packets: &[Packet]) -> Vec<u8> {
    let output = Shared::default();
    let mut writer = Writer::new(output.clone(), format, "out").unwrap();
    for (time, original_len, bytes) in packets {
        let (head, tail) = bytes.split_at(bytes.len() / 3);
        writer.write(*time, *original_len, [head, &[], tail]).unwrap();
    }
    writer.finish().unwrap();
    let bytes = output.0.lock().unwrap();
    bytes.clone()
}

#[test]
fn what_is_written_is_read_back() {
    let longest = vec![0x5a; MAX_RECORD];
    let last = u64::from(u32::MAX) * 1_000_000_000 + 999_999_999;
    let packets = [
        (1_700_000_000_123_456_789, 18, FRAME.to_vec()),
        (0, 1500, vec![1]),
        (5, 0, Vec::new()),
        (last, MAX_RECORD as u32, longest),
    ];
    assert_eq!(read(&written(Format::PcapNano, &packets)), (packets.to_vec(), None));
    assert_eq!(read(&written(Format::PcapNg, &packets)), (packets.to_vec(), None));
    let micro = packets.map(|(time, length, bytes)| (time / 1000 * 1000, length, bytes));
    assert_eq!(read(&written(Format::Pcap, &micro)), (micro.to_vec(), None));
}

#[test]
fn the_bytes_written_are_the_same_everywhere() {
    let packets = [(10_000_005_000, 64, vec![0xaa, 0xbb])];
    #[rustfmt::skip]
    assert_eq!(written(Format::Pcap, &packets), [
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
        10, 0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 64, 0, 0, 0, 0xaa, 0xbb,
    ]);
    #[rustfmt::skip]
    assert_eq!(written(Format::PcapNg, &packets), [
        0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0,
        1, 0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0,
        6, 0, 0, 0, 36, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0x88, 0xf7, 0x0b, 0x54,
        2, 0, 0, 0, 64, 0, 0, 0, 0xaa, 0xbb, 0, 0, 36, 0, 0, 0,
    ]);
}

#[test]
fn what_a_format_cannot_hold_is_refused() {
    let mut writer = Writer::new(io::sink(), Format::Pcap, "out.pcap").unwrap();
    let late = writer.write(5_000_000_000_000_000_000, 1, [&[0_u8][..]]).unwrap_err().to_string();
    assert!(
        late.starts_with("out.pcap: packet 1: 5000000000000000000 ns since 1970 is after 2106"),
        "{late}"
    );
    let half = vec![0; MAX_RECORD / 2 + 1];
    let long = writer.write(0, 0, [&half[..], &half[..]]).unwrap_err().to_string();
    assert_eq!(long, "out.pcap: packet 1: it has 262146 bytes or more, at most 262144 can be");
    assert_eq!(writer.packets(), 0);
    let folder = Writer::create("/no/such/folder/out.pcap", Format::Pcap).unwrap_err().to_string();
    assert!(folder.starts_with("/no/such/folder/out.pcap: No such file"), "{folder}");
}

/// A disk that is full.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_at_the_latest_when_finishing() {
    let mut writer = Writer::new(Full, Format::PcapNg, "out.pcapng").unwrap();
    writer.write(0, 18, [&FRAME[..]]).unwrap();
    let error = writer.finish().unwrap_err().to_string();
    assert_eq!(error, "out.pcapng: writing packet 1: no storage space");
}

#[test]
fn the_output_format_keeps_the_sources_timestamps_whole() {
    assert_eq!(Format::for_path("a.pcap", Resolution::Micro), Format::Pcap);
    assert_eq!(Format::for_path("a.pcap", Resolution::Nano), Format::PcapNano);
    assert_eq!(Format::for_path("a.PCAPNG", Resolution::Micro), Format::PcapNg);
    assert_eq!(Format::for_path("a", Resolution::Micro), Format::Pcap);
}
