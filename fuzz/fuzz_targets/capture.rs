//! Any bytes are read as a capture to their end or refused; what was read survives being written and read again.
#![no_main]

use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex};

use capture::{Format, Reader, Writer};
use libfuzzer_sys::fuzz_target;

/// Enough to reach every state; a gzip bomb would otherwise take the whole run.
const PACKETS: usize = 1000;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Time, wire length and bytes of the packets up to the end or the first error.
fn packets(bytes: Vec<u8>) -> Vec<(u64, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let Ok(mut reader) = Reader::new(Cursor::new(bytes), "input") else { return found };
    while let Ok(Some(frame)) = reader.next() {
        assert!(frame.bytes.len() <= frame.original_len as usize);
        found.push((frame.timestamp_ns, frame.original_len, frame.bytes.to_vec()));
        if found.len() == PACKETS {
            break;
        }
    }
    found
}

fuzz_target!(|bytes: &[u8]| {
    let first = packets(bytes.to_vec());
    let memory = Memory::default();
    let mut writer = Writer::new(memory.clone(), Format::PcapNg, "memory").unwrap();
    let writable = first.iter().take_while(|packet| packet.2.len() <= capture::MAX_RECORD);
    let writable: Vec<_> = writable.cloned().collect();
    for (time, original_len, frame) in &writable {
        writer.write(*time, *original_len, [&frame[..]]).unwrap();
    }
    writer.finish().unwrap();
    let again = memory.0.lock().unwrap().clone();
    assert_eq!(packets(again), writable);
});
