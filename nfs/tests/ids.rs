//! An ids on packets made by hand: what evaders do is found as if they had not, what is told of it, and how much memory
//! it takes.
#![cfg(feature = "ids")]

use dpdk::{BURST, Eal, EalOptions};
use engine::{Fate, Input, Packing, Prepared, Site, Stand, StandPools, Time, WorkerSite};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wire::builder::{self, Builder};
use wire::tcp::flags::{ACK, FIN, PSH, RST, SYN};

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 1];

fn pools() -> StandPools {
    let options = EalOptions { memory_mb: 64, ..EalOptions::default() };
    StandPools::new(&Eal::init(&options).expect("DPDK"), 512).expect("packet memory")
}

/// An ids under a configuration, with a file for what it tells.
fn prepared(config: &str, eve: &str) -> (Arc<dyn Prepared>, PathBuf) {
    let file = std::env::temp_dir().join(format!("braid-ids-{}-{eve}.json", std::process::id()));
    let _ = std::fs::remove_file(&file);
    let text = format!("{{ eve = {:?}, {config} }}", file.display().to_string());
    let config = toml::de::ValueDeserializer::parse(&text).expect("TOML");
    let registry = nfs::registry();
    let configured = registry.get("ids").expect("ids").configure(config).expect("a configuration");
    let prepared = configured.prepare(&Site { workers: 1, ..Site::default() }).expect("good rules");
    (prepared, file)
}

fn stand(pools: &StandPools, prepared: &dyn Prepared) -> Stand {
    Stand::new(pools, prepared, WorkerSite { index: 0, count: 1, seed: 1 })
}

/// The alerts of frames, a millisecond apart, and how many frames were dropped.
fn alerts(pools: &StandPools, config: &str, eve: &str, frames: &[Vec<u8>]) -> (Vec<Value>, usize) {
    let (prepared, file) = prepared(config, eve);
    let mut stand = stand(pools, prepared.as_ref());
    let mut now = Time::from_nanos(1_700_000_000_000_000_000);
    let mut dropped = 0;
    for frame in frames {
        now = now + Duration::from_millis(1);
        let round = stand.run(&[Input { bytes: frame, ingress: 0 }], Packing::Contiguous, now).expect("room");
        dropped += round.fates.iter().filter(|fate| **fate == Fate::Drop("rule")).count();
    }
    stand.drain(now);
    drop(stand);
    prepared.finish(&[]).expect("written");
    let lines = std::fs::read_to_string(&file).unwrap_or_default();
    let _ = std::fs::remove_file(&file);
    (lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), dropped)
}

fn ip() -> Builder {
    Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(CLIENT, SERVER)
}

fn back() -> Builder {
    Builder::ethernet([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]).ipv4(SERVER, CLIENT)
}

/// A segment of the client, `at` bytes into its stream.
fn segment(at: u32, text: &[u8]) -> Builder {
    ip().tcp(4000, 80).flags(ACK | PSH).seq(1001 + at).ack(5001).payload(text)
}

/// A connection in which the client sends `middle`, and the server acknowledges `sent` bytes of it.
fn connection(middle: Vec<Builder>, sent: u32) -> Vec<Vec<u8>> {
    let mut all = vec![
        ip().tcp(4000, 80).flags(SYN).seq(1000),
        back().tcp(80, 4000).flags(SYN | ACK).seq(5000).ack(1001),
        ip().tcp(4000, 80).flags(ACK).seq(1001).ack(5001),
    ];
    all.extend(middle);
    all.push(back().tcp(80, 4000).flags(ACK).seq(5001).ack(1001 + sent));
    all.push(ip().tcp(4000, 80).flags(FIN | ACK).seq(1001 + sent).ack(5001));
    all.push(back().tcp(80, 4000).flags(FIN | ACK).seq(5001).ack(1002 + sent));
    all.push(ip().tcp(4000, 80).flags(ACK).seq(1002 + sent).ack(5002));
    all.into_iter().map(Builder::build).collect()
}

const RULE: &str = "rules = ['drop tcp any any -> any 80 (msg:\"an attack\"; flow:established,to_server; \
                    content:\"ATTACK\"; content:\"NOW\"; distance:1; within:3; classtype:bad-unknown; sid:7; rev:2;)']";
const TEXT: &[u8] = b"this is an ATTACK NOW, or so it seems";

/// Ways to send [`TEXT`], each of which its receiver reads as that.
fn ways() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let length = TEXT.len() as u32;
    let cut = |size: usize| {
        let pieces = TEXT.chunks(size).enumerate();
        pieces.map(|(i, piece)| segment((i * size) as u32, piece)).collect::<Vec<_>>()
    };
    let mut shuffled = cut(5);
    shuffled.reverse();
    let mut twice = cut(9);
    twice.extend(cut(9));
    let mut overlapping = cut(8);
    overlapping.insert(1, segment(4, &TEXT[4..20]));
    let mut decoys = Vec::new();
    for (i, piece) in TEXT.chunks(6).enumerate() {
        decoys.push(segment(6 * i as u32, &[b'x'; 6][..piece.len()]).bad_checksum());
        decoys.push(segment(6 * i as u32, piece));
    }
    let mut short_lived = vec![segment(0, &TEXT[..8])];
    short_lived.push(segment(8, &[b'x'; 29]).ttl(3));
    short_lived.push(segment(8, &TEXT[8..]));
    let reset =
        vec![segment(0, &TEXT[..14]), ip().tcp(4000, 80).flags(RST).seq(900_000), segment(14, &TEXT[14..])];
    let with_data = {
        let mut frames = connection(cut(10), length);
        frames[0] = ip().tcp(4000, 80).flags(SYN).seq(1000).payload(b"nobody reads this").build();
        frames
    };
    let in_fragments = {
        let mut frames = connection(Vec::new(), length);
        let pieces = builder::fragments(&segment(0, TEXT).build(), 44, 99);
        assert!(pieces.len() > 2);
        frames.splice(3..3, pieces.into_iter().rev());
        frames
    };
    vec![
        ("plain", connection(cut(TEXT.len()), length)),
        ("tiny segments", connection(cut(1), length)),
        ("out of order", connection(shuffled, length)),
        ("everything twice", connection(twice, length)),
        ("overlapping", connection(overlapping, length)),
        ("decoys with bad checksums", connection(decoys, length)),
        ("decoys with a low TTL", connection(short_lived, length)),
        ("a reset that nobody heeds", connection(reset, length)),
        ("data with the SYN", with_data),
        ("in fragments", in_fragments),
    ]
}

#[test]
fn the_same_alert_comes_however_the_bytes_are_sent() {
    let pools = pools();
    for (number, (way, frames)) in ways().into_iter().enumerate() {
        let (found, dropped) = alerts(&pools, RULE, &format!("evasion-{number}"), &frames);
        assert_eq!((found.len(), dropped), (1, 0), "{way}: {found:?}");
        let alert = &found[0];
        assert_eq!(alert["alert"]["signature_id"], 7, "{way}");
        assert_eq!(alert["alert"]["action"], "allowed", "{way}");
        assert_eq!(
            (alert["src_ip"].as_str(), alert["dest_port"].as_u64()),
            (Some("10.0.0.1"), Some(80)),
            "{way}"
        );
        assert_eq!(alert["direction"], "to_server", "{way}");
    }
}

#[test]
fn in_mode_drop_the_end_of_the_attack_does_not_arrive() {
    let pools = pools();
    let config = format!("mode = \"drop\", {RULE}");
    for (number, (way, frames)) in ways().into_iter().enumerate() {
        let (found, dropped) = alerts(&pools, &config, &format!("drop-{number}"), &frames);
        assert_eq!(found.len(), 1, "{way}: {found:?}");
        assert_eq!(found[0]["alert"]["action"], "blocked", "{way}");
        assert!(dropped > 0, "{way}");
    }
}

#[test]
fn an_alert_says_what_suricata_says() {
    let pools = pools();
    let (found, _) = alerts(&pools, RULE, "eve", &ways()[0].1);
    let alert = &found[0];
    assert_eq!(alert["event_type"], "alert");
    assert_eq!(alert["timestamp"], "2023-11-14T22:13:20.005000+0000");
    assert_eq!(alert["proto"], "TCP");
    assert_eq!(alert["alert"]["gid"], 1);
    assert_eq!(alert["alert"]["rev"], 2);
    assert_eq!(alert["alert"]["signature"], "an attack");
    assert_eq!(alert["alert"]["category"], "Potentially Bad Traffic");
    assert_eq!(alert["alert"]["severity"], 2);
    assert_eq!(alert["flow"]["src_ip"], "10.0.0.1");
    assert_eq!(alert["flow"]["pkts_toserver"], 3);
    let (again, _) = alerts(&pools, RULE, "again", &ways()[0].1);
    assert_eq!(found, again, "a replay says the same");
}

/// A new configuration takes over in the middle of the attack, with other rules besides.
#[test]
fn a_change_of_rules_keeps_streams() {
    let pools = pools();
    let more =
        RULE.replace("rules = [", "rules = ['alert udp any any -> any any (content:\"other\"; sid:1;)', ");
    let (before, _) = prepared(RULE, "before");
    let (after, file) = prepared(&more, "after");
    let frames = connection(vec![segment(0, &TEXT[..14]), segment(14, &TEXT[14..])], TEXT.len() as u32);
    let mut now = Time::from_nanos(1_700_000_000_000_000_000);
    let mut stand = stand(&pools, before.as_ref());
    for (i, frame) in frames.iter().enumerate() {
        now = now + Duration::from_millis(1);
        if i == 4 {
            let mut heir = self::stand(&pools, after.as_ref());
            heir.adopt(stand, now);
            stand = heir;
        }
        stand.run(&[Input { bytes: frame, ingress: 0 }], Packing::Contiguous, now).expect("room");
    }
    stand.drain(now);
    drop(stand);
    after.finish(&[]).expect("written");
    let lines = std::fs::read_to_string(&file).unwrap_or_default();
    let _ = std::fs::remove_file(&file);
    assert_eq!(lines.lines().count(), 1, "{lines}");
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number of pages") * 4096
}

/// Connections without end, each with a hole, bytes behind it, half a request, and a fragment.
#[test]
fn memory_stays_flat_whatever_comes() {
    let pools = pools();
    let config = format!("capacity = 4096, streams = {{ memory = 4194304 }}, {RULE}")
        .replace("rules = [", "rules = ['alert http any any -> any any (http.uri; content:\"x\"; sid:9;)', ");
    let (prepared, _) = prepared(&config, "flat");
    let mut stand = stand(&pools, prepared.as_ref());
    let mut now = Time::from_nanos(1_700_000_000_000_000_000);
    let filler = [b'y'; 1200];
    let mut after_warming = 0;
    for round in 0..600u32 {
        let mut frames = Vec::new();
        for i in 0..32 {
            let number = round * 32 + i;
            let client = [10, (number >> 16) as u8, (number >> 8) as u8, number as u8];
            let from = |client: [u8; 4]| {
                Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(client, SERVER)
            };
            let tcp = |flags: u8, seq: u32| from(client).tcp(4000, 80).flags(flags).seq(seq);
            let to = || Builder::ethernet([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]).ipv4(SERVER, client);
            frames.push(tcp(SYN, 1000).build());
            frames.push(to().tcp(80, 4000).flags(SYN | ACK).seq(5000).ack(1001).build());
            frames.push(tcp(ACK, 1001).ack(5001).payload(b"GET /x HTTP/1.1\r\nA: ").build());
            frames.push(tcp(ACK, 5000).ack(5001).payload(&filler).build());
            frames.push(to().tcp(80, 4000).flags(ACK).seq(5001).ack(1021).build());
            frames.push(
                from(client).protocol(17).id(number as u16).fragment(8, true).payload(&filler[..800]).build(),
            );
        }
        for burst in frames.chunks(BURST) {
            now = now + Duration::from_micros(10);
            let inputs: Vec<_> = burst.iter().map(|bytes| Input { bytes, ingress: 0 }).collect();
            stand.run(&inputs, Packing::Contiguous, now).expect("room");
        }
        stand.tick(now);
        if round == 299 {
            after_warming = resident();
        }
    }
    let grown = resident().saturating_sub(after_warming);
    assert!(grown < 8 << 20, "{grown} bytes more after as many connections again");
}
