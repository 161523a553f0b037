//! No input makes the reader panic, read without end or hold more memory than its buffers.

use std::io::Cursor;
use std::sync::Mutex;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{Format, Writer};

/// Reads to the end and checks what holds for every input.
fn read_all(bytes: &[u8]) -> Result<u64, CaptureError> {
    let mut reader = Reader::new(Cursor::new(bytes.to_vec()), "input")?;
    let mut delivered = 0;
    let outcome = loop {
        match reader.next() {
            Ok(Some(frame)) => {
                assert!(frame.bytes.len() <= frame.original_len as usize);
                delivered += 1;
            }
            Ok(None) => break Ok(delivered),
            Err(error) => break Err(error),
        }
    };
    assert_eq!(delivered + reader.skipped().total(), reader.packets());
    // A vector may hold twice what it was asked for.
    assert!(reader.frame.capacity() <= 2 * (crate::MAX_RECORD + 22));
    assert!(reader.next().unwrap().is_none());
    outcome
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file of three packets in one of the formats.
fn valid(format: Format) -> Vec<u8> {
    let memory = Memory::default();
    let mut writer = Writer::new(memory.clone(), format, "memory").unwrap();
    for length in [60, 0, 333] {
        writer.write(1_700_000_000_123_456_789, 1500, [&vec![length as u8; length][..]]).unwrap();
    }
    writer.finish().unwrap();
    let bytes = memory.0.lock().unwrap();
    bytes.clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
        let _ = read_all(&bytes);
    }

    #[test]
    fn arbitrary_bytes_after_a_good_start_are_read_or_refused(
        bytes in vec(prop_oneof![any::<u8>(), Just(0), Just(1), Just(6), Just(32)], 0..400),
        big in any::<bool>(),
        link in prop_oneof![Just(0_u32), Just(1), Just(9), Just(50), Just(101), Just(113), Just(276)],
    ) {
        let (magic, link) = (0xa1b2_3c4d_u32, if big { link.to_be_bytes() } else { link.to_le_bytes() });
        let magic = if big { magic.to_be_bytes() } else { magic.to_le_bytes() };
        let version = if big { [0, 2, 0, 4] } else { [2, 0, 4, 0] };
        let classic = [&magic[..], &version, &[0; 12], &link].concat();
        let _ = read_all(&[&classic[..], &bytes].concat());
        let ng = valid(Format::PcapNg);
        let _ = read_all(&[&ng[..60], &bytes].concat());
    }

    #[test]
    fn damaged_files_are_read_or_refused(
        format in prop_oneof![Just(Format::Pcap), Just(Format::PcapNg)],
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
        gzip in any::<bool>(),
    ) {
        let mut file = valid(format);
        if gzip {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            io::Write::write_all(&mut encoder, &file).unwrap();
            file = encoder.finish().unwrap();
        }
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        file.truncate(cut.index(file.len() + 1));
        let _ = read_all(&file);
    }
}

#[test]
fn a_length_of_four_gigabytes_is_refused_before_anything_is_read_for_it() {
    let mut file = valid(Format::Pcap);
    file[32..36].copy_from_slice(&[0xff; 4]);
    // 16 GiB of zeros would follow; the reader never asks for them.
    let endless = Cursor::new(file).chain(io::repeat(0).take(16 << 30));
    let mut reader = Reader::new(endless, "input").unwrap();
    assert!(matches!(reader.next(), Err(CaptureError::Malformed { packet: 1, offset: 24, .. })));
    assert!(reader.progress().read <= 1 << 20);
}

#[test]
fn interfaces_without_end_are_refused() {
    let ng = valid(Format::PcapNg);
    let interface = &ng[28..60];
    let mut file = ng[..28].to_vec();
    for _ in 0..70_000 {
        file.extend_from_slice(interface);
    }
    let error = read_all(&file).unwrap_err().to_string();
    assert!(error.ends_with("more than 65536 interfaces in a section"), "{error}");
}

#[test]
fn progress_ends_at_the_length_of_the_file() {
    let path = std::env::temp_dir().join(format!("braid-capture-{}-progress", std::process::id()));
    std::fs::write(&path, valid(Format::Pcap)).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    while reader.next().unwrap().is_some() {}
    std::fs::remove_file(path).unwrap();
    let length = valid(Format::Pcap).len() as u64;
    assert_eq!(reader.progress(), Progress { read: length, total: Some(length) });
}
