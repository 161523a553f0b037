//! net_pcap on files and net_ring: packets that really pass through a device.

mod setup;

use std::path::{Path, PathBuf};

use dpdk::{Mbufs, Port, PortConfig};
use setup::{bytes, eal, numbered, numbers, packet, pool};

/// A folder of its own that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("braid-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A classic pcap file (magic 0xa1b2c3d4, Ethernet) with these packets.
fn write_capture(path: &Path, packets: &[Vec<u8>]) {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, 1] {
        file.extend(word.to_le_bytes());
    }
    for (second, packet) in packets.iter().enumerate() {
        for word in [second as u32, 0, packet.len() as u32, packet.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    std::fs::write(path, file).unwrap();
}

/// The packets of a classic pcap file.
fn read_capture(path: &Path) -> Vec<Vec<u8>> {
    let file = std::fs::read(path).unwrap();
    let mut rest = &file[24..];
    let mut packets = Vec::new();
    while let Some((header, tail)) = rest.split_at_checked(16) {
        let length = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        packets.push(tail[..length].to_vec());
        rest = &tail[length..];
    }
    packets
}

#[test]
fn a_capture_passes_through_as_it_was_jumbo_frames_included() {
    let eal = eal();
    let folder = Folder::new("pcap");
    let (input, output) = (folder.0.join("in.pcap"), folder.0.join("out.pcap"));
    let packets: Vec<Vec<u8>> = [60, 1514, 2049, 9014, 60, 64]
        .iter()
        .zip(1..)
        .map(|(&length, seed)| (0..length).map(|i: usize| (i * 7 + seed) as u8).collect())
        .collect();
    write_capture(&input, &packets);
    let pool = pool(&eal, 1023);
    let device = format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display());
    let port = Port::probe(&eal, &device).unwrap();
    assert!(port.info().unwrap().multi_segment_tx);
    let (mut rx, mut tx) = port.start(&PortConfig::default(), std::slice::from_ref(&pool)).unwrap();
    let mut burst = Mbufs::new();
    while rx[0].receive(&mut burst) > 0 {}
    assert_eq!(burst.iter().map(bytes).collect::<Vec<_>>(), packets);
    assert!(burst.iter().any(|mbuf| !mbuf.is_contiguous()));
    assert!(burst.iter().all(|mbuf| mbuf.data().len() >= 256.min(mbuf.len())));
    assert_eq!(tx[0].send(&mut burst), packets.len());
    drop((rx, tx, port));
    assert_eq!(read_capture(&output), packets);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn an_empty_pool_loses_packets_softly() {
    let eal = eal();
    let folder = Folder::new("exhausted");
    let input = folder.0.join("in.pcap");
    write_capture(&input, &vec![vec![1; 100]; 40]);
    let pool = pool(&eal, 16);
    let port = Port::probe(&eal, &format!("net_pcap0,rx_pcap={}", input.display())).unwrap();
    let (mut rx, _tx) = port.start(&PortConfig::default(), std::slice::from_ref(&pool)).unwrap();
    let mut burst = Mbufs::new();
    for _ in 0..5 {
        rx[0].receive(&mut burst);
    }
    assert!(burst.len() <= 16);
    burst.clear();
    while rx[0].receive(&mut burst) > 0 {
        burst.clear();
    }
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_capture_that_is_none_is_explained() {
    let eal = eal();
    let folder = Folder::new("broken");
    let input = folder.0.join("in.pcap");
    std::fs::write(&input, b"no capture at all").unwrap();
    let error = Port::probe(&eal, &format!("net_pcap0,rx_pcap={}", input.display())).unwrap_err().to_string();
    assert!(error.contains("DPDK:") && error.contains("in.pcap"), "{error}");
}

#[test]
fn a_ring_port_gives_back_what_it_was_sent() {
    let eal = eal();
    let pool = pool(&eal, 1023);
    let port = Port::probe(&eal, "net_ring0").unwrap();
    let (mut rx, mut tx) = port.start(&PortConfig::default(), std::slice::from_ref(&pool)).unwrap();
    assert_eq!(tx[0].send(&mut numbered(&pool, 20)), 20);
    let mut jumbo = Mbufs::new();
    jumbo.push(packet(&pool, &[9; 5000])).unwrap();
    assert_eq!(tx[0].send(&mut jumbo), 1);
    let mut burst = Mbufs::new();
    assert_eq!(rx[0].receive(&mut burst), 21);
    assert_eq!(numbers(&burst)[..20], (0..20).collect::<Vec<_>>());
    assert_eq!(bytes(burst.get(20).unwrap()), [9; 5000]);
}

#[test]
fn headers_in_pieces_are_gathered_on_reception() {
    let eal = eal();
    let pool = pool(&eal, 1023);
    let port = Port::probe(&eal, "net_ring0").unwrap();
    let (mut rx, mut tx) = port.start(&PortConfig::default(), std::slice::from_ref(&pool)).unwrap();
    let mut pieces = packet(&pool, &(0..3000).map(|i| i as u8).collect::<Vec<_>>());
    assert!(pieces.trim_front(2000));
    assert_eq!(pieces.data().len(), 48);
    let whole = bytes(&pieces);
    let mut burst = Mbufs::new();
    burst.push(pieces).unwrap();
    assert_eq!(tx[0].send(&mut burst), 1);
    assert_eq!(rx[0].receive(&mut burst), 1);
    assert!(burst.get(0).unwrap().data().len() >= 256);
    assert_eq!(bytes(burst.get(0).unwrap()), whole);
    assert_eq!(rx[0].refused(), 0);
}
