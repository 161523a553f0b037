//! An ids that looks at each packet by itself: what it finds so, what it leaves, and which rules it refuses.
#![cfg(feature = "ids")]

mod referee;

use engine::Site;
use referee::Bench;
use toml::de::ValueDeserializer;
use wire::builder::{Builder, fragments};

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [192, 0, 2, 1];

fn ids(rule: &str) -> Bench {
    Bench::new("ids", &format!("scope = \"packets\"\nmode = \"drop\"\nrules = '{rule}'"))
}

fn tcp(payload: &[u8]) -> Vec<u8> {
    Builder::ethernet([2; 6], [4; 6]).ipv4(A, B).tcp(4000, 80).flags(0x18).payload(payload).build()
}

#[test]
fn a_word_is_found_in_any_packet_that_has_all_of_it() {
    let mut ids = ids("drop tcp any any -> any 80 (content:\"attack\"; sid:1;)");
    assert_eq!(ids.send(&tcp(b"an attack")), Err("rule"));
    // The next packet of the connection has nothing to do with it.
    assert!(ids.send(&tcp(b"goes on")).is_ok());
    // No streams, no datagrams.
    assert!(ids.send(&tcp(b"an att")).is_ok() && ids.send(&tcp(b"ack")).is_ok());
    for fragment in fragments(&tcp(&[b"attack ".as_slice(); 40].concat()), 200, 7) {
        assert!(ids.send(&fragment).is_ok());
    }
    // Nobody asks for a handshake, or for a good checksum.
    let bad =
        Builder::ethernet([2; 6], [4; 6]).ipv4(A, B).tcp(1, 80).bad_checksum().payload(b"attack").build();
    assert_eq!(ids.send(&bad), Err("rule"));
}

#[test]
fn a_rule_about_addresses_is_about_every_packet() {
    let mut ids = ids("drop ip 10.0.0.0/8 any -> any any (sid:1;)");
    for _ in 0..3 {
        assert_eq!(ids.send(&tcp(b"x")), Err("rule"));
    }
    let other = Builder::ethernet([2; 6], [4; 6]).ipv4(B, A).tcp(80, 4000).payload(b"x").build();
    assert!(ids.send(&other).is_ok());
}

#[test]
fn rules_that_need_more_than_a_packet_are_refused_by_name_and_line() {
    let file = std::env::temp_dir().join(format!("braid-ids-packets-{}.rules", std::process::id()));
    let config = format!("{{ rules = {:?}, scope = \"packets\" }}", file.display().to_string());
    for (keyword, rule) in [
        ("flow", "tcp any any -> any any (flow:established; content:\"word\"; sid:2;)"),
        ("bits", "tcp any any -> any any (content:\"word\"; flowbits:set,seen; sid:3;)"),
        (
            "threshold",
            "udp any any -> any any (threshold:type limit, track by_src, count 1, seconds 60; sid:4;)",
        ),
        (
            "detection_filter",
            "udp any any -> any any (detection_filter:track by_src, count 2, seconds 1; sid:5;)",
        ),
        ("protocol", "http any any -> any any (http.uri; content:\"/\"; sid:6;)"),
        ("protocol", "tcp-stream any any -> any any (content:\"word\"; sid:7;)"),
        ("application", "tcp any any -> any any (http.uri; content:\"/\"; sid:8;)"),
        ("stream_size", "tcp any any -> any any (stream_size:both,>,100; sid:9;)"),
    ] {
        let text = format!("# two rules\nalert icmp any any -> any any (itype:8; sid:1;)\nalert {rule}\n");
        std::fs::write(&file, text).expect("a file");
        let configured = nfs::registry()
            .get("ids")
            .expect("ids")
            .configure(ValueDeserializer::parse(&config).expect("TOML"))
            .expect("a configuration");
        let prepared = configured.prepare(&Site::default()).expect("a rule is left");
        let remarks: Vec<String> = prepared.remarks().into_iter().map(|remark| remark.message).collect();
        let refusal = format!(
            "{}:3:1: {keyword}: with scope = \"packets\" nothing is known but the packet",
            file.display()
        );
        assert_eq!(remarks, ["1 of 2 rules were not taken".to_owned(), refusal], "{rule}");
    }
    let _ = std::fs::remove_file(file);
}
