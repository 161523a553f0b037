//! Devices without anybody outside: captures read and written by the engine and by DPDK, rings, devices that make
//! and swallow packets.

use crate::rig::{Folder, Run, assert_balanced, example, stats};
use capture::{Format, Reader, Resolution, Writer};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long packets may take from end to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The frames of a capture as they are in the file.
pub fn frames(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = Reader::open(path).unwrap_or_else(|error| panic!("{error}"));
    let mut frames = Vec::new();
    while let Some(frame) = reader.next().expect("a frame") {
        frames.push(frame.bytes.to_vec());
    }
    frames
}

/// A capture of 200 frames of four lengths, up to jumbo frames, each with bytes of its own.
pub fn mixed_lengths(path: &Path) {
    let mut writer = Writer::create(path, Format::for_path(path, Resolution::Micro)).expect("a capture");
    for number in 0..200_u32 {
        let length = [60, 1514, 3000, 9014][number as usize % 4];
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5];
        frame.extend((14..length).map(|at| (number + at) as u8));
        writer.write(u64::from(number) * 1000, length, [&frame[..]]).expect("a frame");
    }
    writer.finish().expect("a capture");
}

/// Waits until so many packets left by a port, then ends the run, which has to have lost none.
pub fn finish_after(run: Run<'_>, port: &str, packets: u64) {
    let begun = Instant::now();
    let mut client = run.client();
    loop {
        let account = stats(&mut client);
        if account.ports[port].sent >= packets {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "of {packets} packets: {:?}", account.packets);
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(client);
    let ended = run.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    assert!(account.packets.dropped.is_empty(), "{:?}", account.packets.dropped);
    assert_eq!(account.ports[port].sent, packets);
}

#[test]
fn a_run_between_captures_ends_by_itself_with_the_same_frames() {
    let folder = Folder::new("devices-captures");
    for name in ["mixed.pcap", "vlan.pcapng"] {
        let source = example(name);
        let config = format!(
            "[engine]\nsocket = \"off\"\n[ports.in]\ndevice = \"pcap:{}\"\n[ports.out]\ndevice = \"pcap:out.pcapng\"\n\
             [[chain]]\nname = \"all\"\nfrom = \"in\"\nto = \"out\"\n",
            source.display()
        );
        let ended = Run::spawn(&folder, &config, &[]).wait();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert_balanced(&ended.account());
        let (sent, arrived) = (frames(&source), frames(&folder.path("out.pcapng")));
        assert!(sent.len() > 50 && sent == arrived, "{name}: {} in, {} out", sent.len(), arrived.len());
    }
}

#[test]
fn net_pcap_reads_and_writes_captures() {
    let folder = Folder::new("devices-pcap");
    let source = folder.path("in.pcap");
    mixed_lengths(&source);
    let config = "[engine]\nsocket = \"braid.sock\"\n\
                  [ports.in]\ndevice = \"net_pcap0,rx_pcap=in.pcap\"\n\
                  [ports.out]\ndevice = \"net_pcap1,tx_pcap=out.pcap\"\n\
                  [[chain]]\nname = \"all\"\nfrom = \"in\"\nto = \"out\"\n";
    finish_after(Run::start(&folder, config), "out", 200);
    assert!(frames(&source) == frames(&folder.path("out.pcap")), "the frames are those that went in");
}

#[test]
fn net_ring_gives_back_what_is_put_in() {
    let folder = Folder::new("devices-ring");
    let source = example("http.pcap");
    let packets = frames(&source);
    // Where the engine itself reads a capture, the run would end with it.
    let config = format!(
        "[engine]\nworkers = 2\nsocket = \"braid.sock\"\n[ports.in]\ndevice = \"net_pcap0,rx_pcap={}\"\n\
         [ports.loop]\ndevice = \"net_ring0\"\n[ports.out]\ndevice = \"pcap:out.pcap\"\n\
         [[chain]]\nname = \"there\"\nfrom = \"in\"\nto = \"loop\"\n\
         [[chain]]\nname = \"back\"\nfrom = \"loop\"\nto = \"out\"\n",
        source.display()
    );
    finish_after(Run::start(&folder, &config), "out", packets.len() as u64);
    assert!(packets == frames(&folder.path("out.pcap")), "in the same order, too");
}

#[test]
fn net_null_makes_packets_of_the_size_and_on_the_queues_that_are_asked_for() {
    let folder = Folder::new("devices-null");
    let config = "[engine]\nworkers = 2\nsocket = \"off\"\n\
                  [ports.in]\ndevice = \"net_null0,size=200\"\nrx_queues = 2\n\
                  [ports.out]\ndevice = \"net_null1,no-rx=1\"\n\
                  [[chain]]\nname = \"all\"\nfrom = \"in\"\nto = \"out\"\n";
    let ended = Run::spawn(&folder, config, &["--duration", "300ms"]).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    assert!(account.packets.dropped.is_empty(), "{:?}", account.packets.dropped);
    let port = &account.ports["in"];
    assert!(port.received > 10_000 && port.received_bytes == 200 * port.received, "{port:?}");
    assert!(account.workers.iter().all(|worker| worker.busy_polls > 100), "{:?}", account.workers);
}
