//! What is counted for which flow.

use super::super::flow::{Flow, MOST_COUNTED, Seen};
use super::super::record::{Ended, decode, encode};
use super::super::report;
use super::super::state::{is_wanted, parse, record};
use super::{account, flows};
use engine::{Selector, StateError, Time};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use wire::builder::Builder;
use wire::{Direction, FlowKey, FlowKey4, FlowKey6, Mac};

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

fn ipv4(source: u8, destination: u8) -> Builder {
    let address = |last| Ipv4Addr::new(10, 0, 0, last);
    Builder::ethernet(Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]))
        .ipv4(address(source), address(destination))
}

fn tcp(source: u8, destination: u8, ports: (u16, u16), flags: u8, seq: u32) -> Vec<u8> {
    ipv4(source, destination).tcp(ports.0, ports.1).flags(flags).seq(seq).build()
}

fn seen(frames: &[Vec<u8>]) -> Vec<Seen> {
    let frames = (0u64..).zip(frames).map(|(time, frame)| (time, &frame[..], frame.len()));
    let (accounts, ended) = account(64, frames);
    let mut seen: Vec<Seen> = flows(&accounts, &ended).iter().map(|f| Seen::new(f.key, &f.flow)).collect();
    seen.sort_by_key(|seen| (seen.first, seen.key));
    seen
}

#[test]
fn both_directions_are_one_flow_of_who_spoke_first() {
    let request = ipv4(9, 1).udp(4000, 53).payload(b"question").pad_to(60).build();
    let answer = ipv4(1, 9).udp(53, 4000).payload(b"answers").build();
    let flows = seen(&[request.clone(), answer, request]);
    assert_eq!(flows.len(), 1);
    let flow = flows[0];
    assert_eq!(flow.key.to_string(), "10.0.0.9:4000 > 10.0.0.1:53 17");
    assert_eq!((flow.packets, flow.bytes), ([2, 1], [2 * 36, 35]), "IP packets are counted, not padding");
    assert_eq!((flow.first.as_nanos(), flow.last.as_nanos()), (0, 2));
}

#[test]
fn a_vlan_tag_does_not_make_another_flow() {
    let plain = ipv4(1, 2).udp(1, 2).build();
    let tagged = Builder::ethernet(Mac::ZERO, Mac::ZERO)
        .vlan(7)
        .ipv4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2))
        .udp(1, 2)
        .build();
    assert_eq!(seen(&[plain, tagged]).len(), 1);
}

#[test]
fn a_syn_begins_another_connection_where_its_number_is_another() {
    let ports = (1000, 80);
    let syn = |seq| tcp(1, 2, ports, SYN, seq);
    let back = |flags, seq| tcp(2, 1, (80, 1000), flags, seq);
    for (what, frames, expected) in [
        ("a retransmitted SYN", vec![syn(7), syn(7)], 1),
        ("another SYN", vec![syn(7), syn(8)], 2),
        ("the same SYN after a reset", vec![syn(7), back(RST | ACK, 0), syn(7)], 1),
        ("a SYN-ACK of any number", vec![syn(7), back(SYN | ACK, 1), back(SYN | ACK, 2)], 1),
        ("a SYN the other way, never heard of", vec![syn(7), back(SYN, 99)], 1),
        ("a SYN amid a connection", vec![tcp(1, 2, ports, ACK, 50), syn(7)], 2),
        ("the SYN of a connection heard from the middle", vec![tcp(1, 2, ports, ACK, 8), syn(7)], 1),
    ] {
        assert_eq!(seen(&frames).len(), expected, "{what}");
    }
}

#[test]
fn later_fragments_count_for_the_flow_of_the_first() {
    let datagram = ipv4(1, 2).udp(5, 6).payload_len(3000).build();
    let fragments = wire::builder::fragments(&datagram, 1500, 42);
    assert_eq!(fragments.len(), 3);
    let flows = seen(&fragments);
    assert_eq!(flows.len(), 1);
    assert_eq!(flows[0].packets, [3, 0]);
    assert_eq!(flows[0].key.source_port(), 5);
}

#[test]
fn fragments_without_a_first_one_are_of_no_flow() {
    let datagram = ipv4(1, 2).udp(5, 6).payload_len(3000).build();
    let fragments = wire::builder::fragments(&datagram, 1500, 42);
    let frames = fragments[1..].iter().map(|frame| (0, &frame[..], frame.len()));
    let (accounts, ended) = account(64, frames);
    assert_eq!(flows(&accounts, &ended), []);
    assert_eq!(accounts.apart.headless, 2);
    assert_eq!(accounts.protocols[17].packets, 2);
}

#[test]
fn an_echo_is_a_flow_by_its_identifier() {
    let frames = [ipv4(1, 2).echo_request(77, 1).build(), ipv4(2, 1).echo_reply(77, 1).build()];
    let flows = seen(&frames);
    assert_eq!(flows.len(), 1);
    assert_eq!(flows[0].packets, [1, 1]);
    assert_eq!(flows[0].key.to_string(), "10.0.0.1:77 > 10.0.0.2:77 1");
}

#[test]
fn a_full_table_ends_old_flows_and_loses_nothing() {
    let frames: Vec<Vec<u8>> = (0..200).map(|port| ipv4(1, 2).udp(port, 9).build()).collect();
    let (accounts, ended) = account(50, frames.iter().map(|frame| (0, &frame[..], frame.len())));
    assert_eq!(accounts.v4.len(), 50);
    assert_eq!(ended.len(), 150);
    assert_eq!(accounts.turnover().evicted, 150);
    let packets: u64 = flows(&accounts, &ended).iter().map(|ended| ended.flow.packets()).sum();
    assert_eq!(packets, 200);
}

#[test]
fn pages_show_every_flow_once() {
    let v4 = (0..300).map(|port| ipv4(1, 2).udp(port, 9).build());
    let v6 =
        (0..300).map(|port| Builder::ethernet(Mac::ZERO, Mac::ZERO).ipv6(1u128, 2u128).udp(port, 9).build());
    let frames: Vec<Vec<u8>> = v4.chain(v6).collect();
    let (accounts, _) = account(2000, frames.iter().map(|frame| (0, &frame[..], frame.len())));
    let (mut shown, mut from) = (std::collections::BTreeSet::new(), Some(0));
    while let Some(at) = from {
        let mut page = 0;
        from = accounts.page(at, 100, |key, _| {
            assert!(shown.insert(key), "{key} twice");
            page += 1;
            true
        });
        assert!(page <= 100);
    }
    assert_eq!(shown.len(), 600);
}

#[test]
fn a_line_of_the_report_has_exact_times() {
    let key = FlowKey::V4(FlowKey4 { src: 1, dst: 2, sport: 3, dport: 4, proto: 17 });
    let flow = Flow {
        packets: [1, 2],
        bytes: [30, 40],
        first: Time::from_nanos(1_700_000_000_000_000_001),
        last: Time::from_nanos(1_700_000_001_500_000_000),
        base: [0; 2],
        tcp_flags: [0; 2],
        known: 0,
        originator: Direction::Reverse,
        untold: 0,
    };
    let file = std::env::temp_dir().join(format!("braid-report-{}.jsonl", std::process::id()));
    report::write(&file, &[Ended { key, flow }]).expect("written");
    let text = std::fs::read_to_string(&file).expect("readable");
    std::fs::remove_file(&file).expect("removed");
    assert_eq!(
        text,
        "{\"src\":\"0.0.0.2\",\"sport\":4,\"dst\":\"0.0.0.1\",\"dport\":3,\"proto\":17,\"packets\":2,\"bytes\":40,\
         \"packets_back\":1,\"bytes_back\":30,\"first\":1700000000.000000001,\"last\":1700000001.500000000}\n"
    );
}

#[test]
fn records_that_are_not_flows_are_refused() {
    let key = FlowKey::V4(FlowKey4 { src: 1, dst: 2, sport: 3, dport: 4, proto: 17 });
    let (accounts, _) = account(4, [(5, &ipv4(1, 2).udp(3, 4).build()[..], 60)]);
    let good = record(key, &accounts.all()[0].1);
    let newer = engine::Record { version: 3, ..good.clone() };
    assert_eq!(
        parse(&newer).map(|_| ()),
        Err(StateError::TooNew { kind: "flow".into(), found: 3, known: 2 })
    );
    let other = engine::Record { kind: "mac".into(), ..good.clone() };
    assert_eq!(parse(&other).map(|_| ()), Err(StateError::UnknownKind("mac".into())));
    let mut mixed = good;
    mixed.key["src"] = "::1".into();
    assert!(matches!(parse(&mixed), Err(StateError::Malformed { .. })));
}

#[test]
fn a_selector_asks_for_address_port_protocol_and_time() {
    let key = FlowKey::V4(FlowKey4 { src: 0x0a00_0001, dst: 2, sport: 3, dport: 4, proto: 17 });
    let (accounts, _) = account(4, [(5, &ipv4(1, 2).udp(3, 4).build()[..], 60)]);
    let flow = accounts.all()[0].1;
    let wants = |selector: Selector| is_wanted(&selector, &key, &flow);
    assert!(wants(Selector::default()));
    assert!(wants(Selector {
        address: "10.0.0.0/8".parse().ok(),
        port: Some(4),
        protocol: Some(17),
        ..Selector::default()
    }));
    assert!(!wants(Selector { address: "11.0.0.0/8".parse().ok(), ..Selector::default() }));
    assert!(!wants(Selector { port: Some(5), ..Selector::default() }));
    assert!(!wants(Selector { protocol: Some(6), ..Selector::default() }));
    assert!(wants(Selector { since: Some(5), ..Selector::default() }));
    assert!(!wants(Selector { since: Some(6), ..Selector::default() }));
}

fn any_flow() -> impl Strategy<Value = Ended> {
    let v4 = any::<(u32, u32, u16, u16, u8)>()
        .prop_map(|(src, dst, sport, dport, proto)| FlowKey::V4(FlowKey4 { src, dst, sport, dport, proto }));
    let v6 = any::<(u128, u128, u16, u16, u8)>()
        .prop_map(|(src, dst, sport, dport, proto)| FlowKey::V6(FlowKey6 { src, dst, sport, dport, proto }));
    let counts = || [0..=MOST_COUNTED, 0..=MOST_COUNTED];
    let counts = (counts(), counts(), any::<([u32; 2], [u8; 2])>());
    (prop_oneof![v4, v6], counts, any::<(u64, u64, bool)>(), 0u8..4).prop_map(
        |(key, (packets, bytes, (base, tcp_flags)), (first, last, reverse), known)| {
            let same_ends = key == key.reversed();
            let base = [0, 1].map(|i| if known & 1 << i == 0 { 0 } else { base[i] });
            let originator = if reverse && !same_ends { Direction::Reverse } else { Direction::Forward };
            let (first, last) = (Time::from_nanos(first), Time::from_nanos(last));
            let flow = Flow { packets, bytes, first, last, base, tcp_flags, known, originator, untold: 5 };
            Ended { key: key.canonical().0, flow }
        },
    )
}

proptest! {
    #[test]
    fn a_flow_survives_its_record(ended in any_flow()) {
        prop_assert_eq!(parse(&record(ended.key, &ended.flow)), Ok(ended));
    }

    #[test]
    fn a_flow_survives_the_file_where_it_waits(ended in any_flow()) {
        let flow = Flow { base: [0; 2], known: 0, untold: 0, ..ended.flow };
        prop_assert_eq!(decode(&encode(&ended)), Ended { flow, ..ended });
    }

    #[test]
    fn no_frame_makes_it_panic_and_no_packet_is_lost(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 0..40),
        ip4: bool,
    ) {
        let frames: Vec<Vec<u8>> = frames.into_iter().map(|mut frame| {
            if ip4 && frame.len() > 14 {
                frame[12..15].copy_from_slice(&[8, 0, 0x45]);
            }
            frame
        }).collect();
        let (accounts, ended) = account(8, frames.iter().map(|frame| (0, &frame[..], frame.len())));
        let in_flows: u64 = flows(&accounts, &ended).iter().map(|ended| ended.flow.packets()).sum();
        let apart = accounts.apart;
        prop_assert_eq!(in_flows + apart.arp + apart.not_ip + apart.malformed + apart.headless, frames.len() as u64);
    }
}
