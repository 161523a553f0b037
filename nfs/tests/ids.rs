//! An ids on packets made by hand: what evaders do is found as if they had not, what is told of it, and how much memory
//! it takes.
#![cfg(feature = "ids")]

mod evasion;

use dpdk::{BURST, Eal, EalOptions};
use engine::{Fate, Input, Packing, Prepared, Site, Stand, StandPools, Time, WorkerSite};
use evasion::{Ends, TEXT, V4, V6};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wire::builder::{self, Builder};
use wire::tcp::flags::{ACK, RST, SYN};

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

const RULE: &str = "rules = ['drop tcp any any -> any 80 (msg:\"an attack\"; flow:established,to_server; \
                    content:\"ATTACK\"; content:\"NOW\"; distance:1; within:3; classtype:bad-unknown; sid:7; rev:2;)']";
/// Over both families, with what the configuration has to say besides.
fn ways() -> impl Iterator<Item = (String, Vec<Vec<u8>>, String)> {
    [V4, V6].into_iter().flat_map(|ends| {
        let family = if ends.six { "IPv6" } else { "IPv4" };
        let all = ends.ways().into_iter();
        all.map(move |way| {
            let settings = format!("streams = {{ {} }}", way.streams);
            (format!("{}, {family}", way.name), way.frames, settings)
        })
    })
}

#[test]
fn the_same_alert_comes_however_the_bytes_are_sent() {
    let pools = pools();
    for (way, frames, settings) in ways() {
        let (found, dropped) = alerts(&pools, &format!("{RULE}, {settings}"), "evasion", &frames);
        assert_eq!((found.len(), dropped), (1, 0), "{way}: {found:?}");
        let alert = &found[0];
        assert_eq!(alert["alert"]["signature_id"], 7, "{way}");
        assert_eq!(alert["alert"]["action"], "allowed", "{way}");
        let source = alert["src_ip"].as_str().expect("an address");
        assert!(["10.0.0.1", "2001:db8::1"].contains(&source), "{way}: {source}");
        assert_eq!(alert["dest_port"], 80, "{way}");
        assert_eq!(alert["direction"], "to_server", "{way}");
    }
}

#[test]
fn in_mode_drop_the_end_of_the_attack_does_not_arrive() {
    let pools = pools();
    for (way, frames, settings) in ways() {
        let config = format!("mode = \"drop\", {RULE}, {settings}");
        let (found, dropped) = alerts(&pools, &config, "drop", &frames);
        assert_eq!(found.len(), 1, "{way}: {found:?}");
        assert_eq!(found[0]["alert"]["action"], "blocked", "{way}");
        assert!(dropped > 0, "{way}");
    }
}

/// What the receiver has of a datagram that was dropped is not made whole by sending the rest again.
#[test]
fn fragments_of_what_was_dropped_are_dropped_when_they_are_sent_again() {
    let pools = pools();
    let mut frames = V4.connection(Vec::new(), TEXT.len() as u32);
    let pieces = builder::fragments(&V4.segment(0, TEXT).build(), 44, 99);
    let count = pieces.len();
    frames.truncate(3);
    frames.extend(pieces.iter().chain(&pieces).cloned());
    let (found, dropped) = alerts(&pools, &format!("mode = \"drop\", {RULE}"), "again", &frames);
    assert_eq!((found.len(), dropped), (1, 1 + count));
}

/// A connection that was reset, and another between the same ends: what the first one began the second does not end.
#[test]
fn a_new_connection_has_nothing_of_the_one_before() {
    let pools = pools();
    let again = Ends { isn: 3_000_000, ..V4 };
    for reset in [RST, RST | ACK] {
        let mut frames: Vec<_> = V4.opening().into_iter().map(Builder::build).collect();
        frames.push(V4.segment(0, b"an ATTACK ").build());
        frames.push(V4.tcp(10).flags(reset).build());
        frames.extend(again.connection(vec![again.segment(0, b"NOW, and so on")], 14));
        let (found, _) = alerts(&pools, RULE, "anew", &frames);
        assert!(found.is_empty(), "{found:?}");
    }
}

/// The word by which a rule is found comes early and often, and in the end where the rest of the rule follows it, just
/// when the window has moved on; and many other words come in between.
#[test]
fn a_rule_waits_for_as_long_as_its_last_word_is_there() {
    let pools = pools();
    let others: String = (0..60)
        .map(|i| {
            format!(
                "'alert tcp any any -> any any (content:\"word{i:02}\"; \
        content:\"never\"; distance:0; sid:{};)', ",
                100 + i
            )
        })
        .collect();
    let rules = RULE.replace("rules = [", &format!("rules = [{others}"));
    for mode in ["alert", "drop"] {
        let mut text = [b"ATTACK ".to_vec(), vec![b'.'; 16_380]].concat();
        text.extend(b"ATTACK ");
        text.extend((0..60).flat_map(|i| format!("word{i:02}").into_bytes()));
        text.extend(b"ATTACK ");
        let first = text.len();
        text.extend(b"NOW");
        let mut middle: Vec<_> = text[..first]
            .chunks(1400)
            .enumerate()
            .map(|(i, piece)| V4.segment(1400 * i as u32, piece))
            .collect();
        middle.push(V4.segment(first as u32, b"NOW"));
        let frames = V4.connection(middle, text.len() as u32);
        let config = format!("mode = \"{mode}\", {rules}");
        let (found, dropped) = alerts(&pools, &config, "waits", &frames);
        assert_eq!((found.len(), dropped > 0), (1, mode == "drop"), "{mode}: {found:?}");
    }
}

/// What IP has behind UDP's data is not UDP's.
#[test]
fn bytes_behind_a_datagram_do_not_hide_its_end() {
    let pools = pools();
    let rule = "rules = ['alert udp any any -> any 9 (content:\"the end\"; endswith; dsize:7; sid:1;)']";
    let frame = |text: &[u8], length: u16| {
        let link = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4([10, 0, 0, 1], SERVER);
        link.udp(1000, 9).raw_udp_length(length).payload(text).build()
    };
    for (text, length, count) in [(&b"the end"[..], 15, 1), (b"the endxxxx", 15, 1), (b"the endxxxx", 19, 0)]
    {
        let (found, _) = alerts(&pools, rule, "udp", &[frame(text, length)]);
        assert_eq!(found.len(), count, "{length}: {found:?}");
    }
}

fn plain() -> Vec<Vec<u8>> {
    V4.connection(vec![V4.segment(0, TEXT)], TEXT.len() as u32)
}

#[test]
fn an_alert_says_what_suricata_says() {
    let pools = pools();
    let (found, _) = alerts(&pools, RULE, "eve", &plain());
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
    let (again, _) = alerts(&pools, RULE, "again", &plain());
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
    let frames =
        V4.connection(vec![V4.segment(0, &TEXT[..14]), V4.segment(14, &TEXT[14..])], TEXT.len() as u32);
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

/// Connections that came before hold all the room there is for windows; who comes next has one all the same.
#[test]
fn who_is_quiet_gives_up_its_window_for_others() {
    let pools = pools();
    let mut frames = Vec::new();
    for port in 1000..1100u16 {
        let to = |flags: u8, at: u32| {
            let link = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4([10, 0, 0, 9], SERVER);
            link.tcp(port, 80).flags(flags).seq(1000 + at).ack(5001)
        };
        let back = |flags: u8, seq: u32, acked: u32| {
            let link = Builder::ethernet([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]).ipv4(SERVER, [10, 0, 0, 9]);
            link.tcp(80, port).flags(flags).seq(seq).ack(1001 + acked).build()
        };
        frames.push(to(0, 0).flags(SYN).build());
        frames.push(back(SYN | ACK, 5000, 0));
        frames.extend((0..5).map(|i| to(ACK, 1 + 1400 * i).payload(&[b'y'; 1400]).build()));
        frames.push(back(ACK, 5001, 7000));
    }
    let (early, late) = TEXT.split_at(14);
    frames.extend(V4.opening().into_iter().map(Builder::build));
    frames.extend([V4.segment(0, early), V4.acks(14), V4.segment(14, late)].map(Builder::build));
    frames.push(V4.acks(TEXT.len() as u32).build());
    let (found, _) = alerts(&pools, &format!("streams = {{ memory = 262144 }}, {RULE}"), "room", &frames);
    assert_eq!(found.len(), 1);
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
