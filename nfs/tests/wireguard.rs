//! Two WireGuard ends, and a handshake of somebody else's.

mod referee;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use boringtun::noise::TunnResult;
use boringtun::noise::rate_limiter::RateLimiter;
use engine::{Fate, Record, Role, Scope, Selector};
use referee::Bench;
use serde_json::json;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;
use wire::builder::Builder;

const A: [&str; 2] =
    ["AKeZaHwBxjiKLFnkY2unvEdOTtg4AL+M9dQXfopFVFk=", "Igge9KzRytKNwrgkzDE/8hrLu6Ly0OqVdvOPWhA5KR4="];
const B: [&str; 2] =
    ["cFIxTUyBs1Qil414hBwEgvasEax8CKJ5IS5ZougplWs=", "YDCttCs9e1J52/g9vEnwJJa+2x6RqaayAYMpSVQfGEY="];

fn end(is_a: bool, more: &str) -> Bench {
    let (keys, other, near, far) = if is_a { (A, B, 1, 2) } else { (B, A, 2, 1) };
    Bench::new(
        "wireguard",
        &format!(
            "private_key = \"{}\"\nlocal = \"192.0.2.{near}\"\nport = 51820\n\
             macs = {{ source = \"02:00:00:00:00:0{near}\", destination = \"02:00:00:00:00:0{far}\" }}\n\
             {more}\n[[peers]]\npublic_key = \"{}\"\nallowed = [\"10.{far}.0.0/16\"]\n\
             preshared_key = \"{}\"\n{}",
            keys[0],
            other[1],
            B[0],
            if is_a { "endpoint = \"192.0.2.2:51820\"\n" } else { "" },
        ),
    )
}

fn packet(from: u8, to: u8, n: u16) -> Vec<u8> {
    let ends = [[10, from, 0, 1], [10, to, 0, 1]].map(Ipv4Addr::from);
    Builder::ethernet([2; 6], [4; 6]).ipv4(ends[0], ends[1]).udp(n, 9).payload_len(50).build()
}

/// Gives each end what the other one sends until nobody sends; returns what came out of the tunnel.
fn converse(ends: &mut [Bench; 2], first: Vec<Vec<u8>>, mut to: usize) -> Vec<Vec<u8>> {
    let (mut out, mut sent) = (Vec::new(), first);
    while !sent.is_empty() {
        let mut answers = Vec::new();
        for frame in sent {
            let (fate, emitted) = ends[to].round(&frame);
            match fate {
                Fate::Forward(bytes) => out.push(bytes),
                Fate::Absorb => {}
                other => panic!("{other:?}"),
            }
            answers.extend(emitted.into_iter().map(|emitted| emitted.bytes));
        }
        (sent, to) = (answers, 1 - to);
    }
    out
}

#[test]
fn packets_wait_for_the_handshake_and_come_out_as_they_were() {
    let mut ends = [end(true, ""), end(false, "")];
    assert_eq!(ends[1].send(&packet(2, 1, 1)), Err("no_endpoint"));
    let mut sent = Vec::new();
    for n in 0..5 {
        let (fate, emitted) = ends[0].round(&packet(1, 2, n));
        assert_eq!(fate, Fate::Absorb);
        sent.extend(emitted.into_iter().map(|emitted| emitted.bytes));
    }
    assert_eq!(sent.len(), 1, "one handshake for all");
    assert_eq!((&sent[0][..12], sent[0][15]), (&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], 0x88));
    let out = converse(&mut ends, sent, 1);
    let numbers: Vec<u16> = out.iter().map(|frame| u16::from_be_bytes([frame[34], frame[35]])).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    for (to, from) in [(1, 0), (0, 1), (1, 0)] {
        let inner = packet(from as u8 + 1, to as u8 + 1, 9);
        let mut sealed = ends[from].send(&inner).expect("sealed");
        assert_eq!(ends[to].send(&sealed).expect("opened")[14..], inner[14..]);
        assert_eq!(ends[to].send(&sealed), Err("replayed"));
        // Another source address inside than the peer may have.
        let last = sealed.len() - 1;
        sealed[last] ^= 1;
        sealed[40..42].fill(0);
        assert_eq!(ends[to].send(&sealed), Err("replayed"), "the counter is looked at first");
    }
    let inner = packet(7, 2, 9);
    let sealed = ends[0].send(&inner).expect("sealed");
    assert_eq!(ends[1].send(&sealed), Err("wrong_source"));
    let shown = ends[1].stand().command("peers", &json!({})).expect("an answer");
    assert_eq!(shown["peers"][0]["endpoint"], "192.0.2.1:51820");
    assert!(!shown.to_string().contains(&B[0][..10]), "{shown}");
}

/// Both ends have something to send, and one of them begins.
#[test]
fn what_waits_goes_in_its_order_whoever_begins() {
    let mut ends = [end(true, ""), end(false, "")];
    let place = Record {
        kind: "peer".to_owned(),
        version: 1,
        role: Role::Supporting,
        scope: Scope::Shared,
        key: json!({ "public_key": A[1] }),
        value: json!({ "endpoint": "192.0.2.1:51820", "since": 0 }),
    };
    ends[1].stand().state().expect("state").import(&[place]).expect("taken");
    for n in 1..4 {
        assert_eq!(ends[1].round(&packet(2, 1, n)).0, Fate::Absorb);
    }
    let (_, begun) = ends[0].round(&packet(1, 2, 9));
    let out = converse(&mut ends, begun.into_iter().map(|emitted| emitted.bytes).collect(), 1);
    let numbers: Vec<u16> = out.iter().map(|frame| u16::from_be_bytes([frame[34], frame[35]])).collect();
    assert_eq!(numbers, [9, 1, 2, 3]);
}

/// The peer sends from another address: answers go there, and so does the state of who imports it.
#[test]
fn a_peer_may_move() {
    let mut ends = [end(true, ""), end(false, "")];
    let (_, emitted) = ends[0].round(&packet(1, 2, 1));
    converse(&mut ends, emitted.into_iter().map(|emitted| emitted.bytes).collect(), 1);
    let mut sealed = ends[0].send(&packet(1, 2, 2)).expect("sealed");
    sealed[26..30].copy_from_slice(&[203, 0, 113, 9]);
    sealed[34..36].copy_from_slice(&999u16.to_be_bytes());
    sealed[40..42].fill(0);
    wire::ipv4::Packet::new_checked(&mut sealed[14..]).expect("IPv4").fill_checksum();
    ends[1].send(&sealed).expect("opened");
    let answer = ends[1].send(&packet(2, 1, 3)).expect("sealed");
    assert_eq!((&answer[30..34], &answer[36..38]), (&[203, 0, 113, 9][..], &999u16.to_be_bytes()[..]));
    let records = ends[1].stand().export(&Selector::default()).expect("state");
    assert_eq!(records[0].value["endpoint"], "203.0.113.9:999");
    let mut other = end(false, "");
    other.stand().state().expect("state").import(&records).expect("taken");
    assert_eq!(other.stand().export(&Selector::default()).expect("state"), records);
    for nowhere in ["0.0.0.0:999", "224.0.0.1:999", "203.0.113.9:0"] {
        let mut bad = records.clone();
        bad[0].value["endpoint"] = json!(nowhere);
        assert!(other.stand().state().expect("state").import(&bad).is_err(), "{nowhere}");
    }
    // Without a session, there is a handshake to that address.
    let (_, emitted) = other.round(&packet(2, 1, 1));
    assert_eq!(emitted[0].bytes[30..34], [203, 0, 113, 9]);
}

/// Who knows a peer's public key and has seen a handshake with it can make the cookie that the peer would send. Messages
/// go on to the peer.
#[test]
fn a_cookie_of_somebody_else_moves_nobody() {
    let mut a = end(true, "");
    let (_, emitted) = a.round(&packet(1, 2, 1));
    let key = BASE64_STANDARD.decode(B[1]).expect("base64");
    let key: [u8; 32] = key.try_into().expect("32 bytes");
    let crowded = RateLimiter::new(&key.into(), 0);
    let mut room = [0; 64];
    let answer = crowded.verify_packet(Some([192, 0, 2, 1].into()), &emitted[0].bytes[42..], &mut room);
    let Err(TunnResult::WriteToNetwork(cookie)) = answer else { panic!("no cookie") };
    let ends = [[203, 0, 113, 9], [192, 0, 2, 1]].map(Ipv4Addr::from);
    let frame = Builder::ethernet([2; 6], [4; 6]).ipv4(ends[0], ends[1]).udp(999, 51820).payload(cookie);
    let frame = frame.build();
    assert_eq!(a.round(&frame).0, Fate::Absorb, "it is as good as the peer's");
    let shown = a.stand().command("peers", &json!({})).expect("an answer");
    assert_eq!(shown["peers"][0]["endpoint"], "192.0.2.2:51820");
    // What no answer gets to is nobody's place.
    let mut odd = frame;
    odd[26..30].copy_from_slice(&[224, 0, 0, 1]);
    odd[40..42].fill(0);
    wire::ipv4::Packet::new_checked(&mut odd[14..]).expect("IPv4").fill_checksum();
    assert_eq!(a.send(&odd), Err("malformed"));
}

#[test]
fn a_crowd_of_handshakes_must_prove_where_it_is() {
    let mut b = end(false, "handshakes = 3");
    let mut cookies = 0;
    for _ in 0..6 {
        let mut a = end(true, "");
        let (_, emitted) = a.round(&packet(1, 2, 1));
        let (fate, answer) = b.round(&emitted[0].bytes);
        let kind = answer.first().map(|answer| answer.bytes[42]);
        if fate == Fate::Drop("under_load") {
            assert_eq!(kind, Some(3), "a cookie is the answer");
            cookies += 1;
            // With the cookie, it is let in; the library sends again after five seconds, sooner than which this is not
            // tried.
            assert_eq!(a.round(&answer[0].bytes).0, Fate::Absorb);
        }
    }
    assert_eq!(cookies, 3);
}

/// The first frame of Wireshark's capture is a handshake to a responder whose key is known.
#[test]
fn a_captured_handshake_is_answered() {
    let path =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/protocols/dev/ws_wireguard-ping-tcp.pcap");
    if !Path::new(path).exists() {
        println!("skipped: {path} is not here");
        return;
    }
    let mut reader = capture::Reader::open(path).expect("a capture");
    let mut frame = reader.next().expect("a frame").expect("one").bytes.to_vec();
    let headers = wire::parse(&frame);
    // It was to be filled in by hardware that was not there.
    let udp_at = headers.l4_offset().expect("UDP");
    frame[udp_at + 6..udp_at + 8].fill(0);
    let ((_, to), (_, port)) = (headers.addresses(&frame).expect("IP"), headers.ports(&frame).expect("UDP"));
    let config = |peer: &str| {
        format!(
            "private_key = \"{}\"\nlocal = \"{to}\"\nport = {port}\n\
             macs = {{ source = \"02:00:00:00:00:01\", destination = \"02:00:00:00:00:02\" }}\n\
             [[peers]]\npublic_key = \"{peer}\"\nallowed = [\"0.0.0.0/0\"]\n",
            B[0]
        )
    };
    let mut known = Bench::new("wireguard", &config(A[1]));
    let (fate, emitted) = known.round(&frame);
    let message = emitted.first().map(|answer| &answer.bytes[answer.bytes.len() - 92..][..4]);
    assert_eq!((fate, message), (Fate::Absorb, Some(&[2, 0, 0, 0][..])));
    assert_eq!(known.round(&frame).0, Fate::Drop("replayed"));
    let mut stranger = Bench::new("wireguard", &config("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="));
    assert_eq!(stranger.round(&frame).0, Fate::Drop("unknown_peer"));
    stranger.now = stranger.now + Duration::from_secs(1);
    assert_eq!(stranger.round(&frame[..frame.len() - 1]).0, Fate::Drop("malformed"));
}
