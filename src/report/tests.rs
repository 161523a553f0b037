use super::*;
use engine::{ChainSnapshot, Latency, NfSnapshot, Packets, PortSnapshot};

fn big() -> Snapshot {
    let port = PortSnapshot {
        device: "pcap:/some/long/way/to/a/capture/file-with-a-name-of-its-own.pcap".to_owned(),
        received: 1_234_567_890,
        received_bytes: 1_234_567_890_123,
        sent: 1_234_567_890,
        sent_bytes: 1_234_567_890_123,
        ..PortSnapshot::default()
    };
    let nf = NfSnapshot {
        kind: "firewall".to_owned(),
        packets: 1_234_567_890,
        dropped: [("rule".to_owned(), 17)].into(),
        cycles_per_packet: Some(123.4),
        ..NfSnapshot::default()
    };
    let chain = ChainSnapshot {
        packets: 1_234_567_890,
        bytes: 1_234_567_890_123,
        cycles_per_packet: Some(234.5),
        latency_ns: Some(Latency { p50: 1_234, p99: 12_345, p999: 123_456, max: 1_234_567 }),
        nfs: [("edge".to_owned(), nf)].into(),
        path: vec!["edge".to_owned()],
        fork: None,
    };
    Snapshot {
        seconds: 2.5,
        packets: Packets {
            received: 1_234_567_890,
            sent: 1_234_567_873,
            dropped: [("edge.rule".to_owned(), 17)].into(),
            ..Packets::default()
        },
        ports: [("lan".to_owned(), port)].into(),
        chains: [("egress".to_owned(), chain)].into(),
        workers: Vec::new(),
    }
}

#[test]
fn large_numbers_stay_within_100_columns() {
    for line in tables(&big()).lines() {
        assert!(line.chars().count() <= 100, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn the_account_is_printed_and_checked() {
    let text = tables(&big());
    assert!(text.ends_with(
        "2.500 s: 1 234 567 890 received + 0 created = 1 234 567 873 sent + 17 dropped + 0 absorbed + 0 held"
    ));
    let mut wrong = big();
    wrong.packets.sent += 1;
    assert!(tables(&wrong).contains("does not balance"));
}

#[test]
fn digits_come_in_groups_of_three() {
    for (n, text) in [(0, "0"), (999, "999"), (1000, "1 000"), (1_234_567, "1 234 567")] {
        assert_eq!(grouped(n), text);
    }
}
