//! Files of signatures and what they are for: any text is read or refused by line, any packet and any payload matched, in
//! bounded time and without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nfs::monitor::signatures::{Services, Systems};

fuzz_target!(|input: (&str, &[u8])| {
    let (text, bytes) = input;
    let lines = text.lines().count();
    let (systems, wrong) = Systems::parse(text);
    assert!(wrong.iter().all(|(line, _)| (1..=lines).contains(line)));
    // Any bytes, and as a segment that opens a connection.
    let mut frame = vec![0; 14];
    frame[12] = 8;
    frame.extend([0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend(bytes);
    frame.truncate(9000);
    let len = frame.len() - 14;
    frame[16..18].copy_from_slice(&(len as u16).to_be_bytes());
    for frame in [&frame[..], bytes] {
        if let Some((print, _)) = systems.find(frame) {
            assert!(print.len() < 200, "{print}");
        }
    }
    let (services, wrong) = Services::parse(text);
    assert!(wrong.iter().all(|(line, _)| (1..=lines.max(1)).contains(line)));
    if let Some((service, what)) = services.find(bytes) {
        assert!(service.len() <= 200 && what.chars().count() <= 200, "{service} {what}");
        assert_eq!(services.find(bytes), Some((service, what)));
    }
});
