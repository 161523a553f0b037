use super::*;
use crate::outlet::Outlet;
use engine::Time;
use std::io::Read;
use std::net::{IpAddr, TcpListener, UdpSocket};

fn report(n: u16) -> FlowReport {
    FlowReport {
        source: IpAddr::from([10, 0, 0, 1]),
        destination: IpAddr::from([10, 0, 0, 2]),
        source_port: n,
        destination_port: 53,
        protocol: 17,
        reason: EndReason::Idle,
        tcp_flags: [0; 2],
        packets: [3, 4],
        bytes: [u64::from(n), 5],
        first: Time::from_nanos(1_000_000),
        last: Time::from_nanos(2_999_999),
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Sequence number, domain, kinds of sets, and source ports of IPv4 records.
fn look(message: &[u8]) -> (u64, u64, Vec<u64>, Vec<u64>) {
    assert_eq!(number(&message[..2]), 10);
    assert_eq!(number(&message[2..4]), message.len() as u64);
    let (mut left, mut kinds, mut ports) = (&message[16..], Vec::new(), Vec::new());
    while !left.is_empty() {
        let (set, rest) = left.split_at(number(&left[2..4]) as usize);
        let kind = number(&set[..2]);
        kinds.push(kind);
        if kind == 256 {
            assert_eq!((set.len() - 4) % 68, 0);
            ports.extend(set[4..].chunks_exact(68).map(|record| number(&record[8..10])));
        }
        left = rest;
    }
    (number(&message[8..12]), number(&message[12..16]), kinds, ports)
}

#[test]
fn records_are_numbered_and_no_message_is_too_long() {
    let (mut encoder, mut messages) = (Encoder::new(9, 512), Vec::new());
    for n in 0..20 {
        encoder.add(&report(n), 1, |message, records| messages.push((message.to_vec(), records)));
    }
    encoder.flush(1, |message, records| messages.push((message.to_vec(), records)));
    let (mut sent, mut all) = (0, Vec::new());
    for (i, (message, records)) in messages.iter().enumerate() {
        assert!(message.len() <= 512);
        let (sequence, domain, kinds, ports) = look(message);
        assert_eq!((sequence, domain), (sent, 9));
        assert_eq!(kinds, if i == 0 { vec![2, 256] } else { vec![256] });
        assert_eq!(ports.len() as u32, *records);
        sent += ports.len() as u64;
        all.extend(ports);
    }
    assert_eq!(all, (0..20).collect::<Vec<u64>>());
}

#[test]
fn both_ip_versions_have_sets_and_templates_of_their_own() {
    let (mut encoder, mut messages) = (Encoder::new(1, 1400), Vec::new());
    let six = FlowReport {
        source: "::1".parse().expect("an address"),
        destination: "::2".parse().expect("an address"),
        ..report(1)
    };
    for report in [report(1), six, six, report(2)] {
        encoder.add(&report, 1, |_, _| panic!("there is room"));
    }
    encoder.flush(1, |message, _| messages.push(message.to_vec()));
    encoder.refresh_templates();
    encoder.add(&six, 1, |_, _| panic!("there is room"));
    encoder.flush(1, |message, _| messages.push(message.to_vec()));
    assert_eq!(look(&messages[0]).2, [2, 256, 257, 256]);
    assert_eq!(look(&messages[1]).2, [2, 257]);
}

#[test]
fn a_new_session_begins_with_templates_and_number_zero() {
    let (mut encoder, mut messages) = (Encoder::new(1, 1400), Vec::new());
    encoder.add(&report(1), 1, |_, _| panic!("there is room"));
    encoder.flush(1, |_, _| {});
    encoder.add(&report(2), 1, |_, _| panic!("there is room"));
    assert_eq!(encoder.restart(), 1, "one waited");
    encoder.add(&report(3), 1, |_, _| panic!("there is room"));
    encoder.flush(1, |message, _| messages.push(message.to_vec()));
    assert_eq!(look(&messages[0]), (0, 1, vec![2, 256], vec![3]));
}

fn target(to: transport::Destination) -> Target {
    Target { to, limit: 512, refresh: Duration::from_secs(60), domain: 1 }
}

fn send(outlet: &mut Outlet<Report>, worker: u32, flows: std::ops::Range<u16>) {
    flows.for_each(|n| outlet.send(Report { worker, flow: report(n) }));
}

#[test]
fn each_worker_is_a_domain_of_its_own() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let to = transport::Destination::Udp(socket.local_addr().expect("an address"));
    let (writer, unsent) = Exporter::writer(&target(to));
    let (mut one, mut other) = (writer.outlet(), writer.outlet());
    send(&mut one, 0, 0..3);
    send(&mut other, 1, 3..6);
    writer.close(Exporter::flush).expect("sent");
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut message = [0; 2000];
        let len = socket.recv(&mut message).expect("a message");
        let (sequence, domain, _, ports) = look(&message[..len]);
        assert_eq!(sequence, 0);
        seen.push((domain, ports));
    }
    seen.sort();
    assert_eq!(seen, [(1, vec![0, 1, 2]), (2, vec![3, 4, 5])]);
    assert_eq!((one.lost(), unsent.load(Ordering::Relaxed)), (0, 0));
}

#[test]
fn over_tcp_messages_follow_each_other() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let to = transport::Destination::Tcp(listener.local_addr().expect("an address"));
    let (writer, _) = Exporter::writer(&target(to));
    let mut outlet = writer.outlet();
    send(&mut outlet, 0, 0..20);
    drop(outlet);
    writer.close(Exporter::flush).expect("sent");
    drop(writer);
    let mut bytes = Vec::new();
    listener.accept().expect("a connection").0.read_to_end(&mut bytes).expect("read");
    let mut ports = Vec::new();
    let mut left = &bytes[..];
    while !left.is_empty() {
        let (message, rest) = left.split_at(number(&left[2..4]) as usize);
        ports.extend(look(message).3);
        left = rest;
    }
    assert_eq!(ports, (0..20).collect::<Vec<u64>>());
}

#[test]
fn reports_to_nobody_are_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let to = transport::Destination::Tcp(listener.local_addr().expect("an address"));
    drop(listener);
    let (writer, unsent) = Exporter::writer(&target(to));
    let mut outlet = writer.outlet();
    send(&mut outlet, 0, 0..20);
    writer.close(Exporter::flush).expect("that is no failure");
    assert_eq!(unsent.load(Ordering::Relaxed) + outlet.lost(), 20);
}

#[test]
fn a_file_that_cannot_be_written_is_a_failure_that_is_told_once() {
    let to = transport::Destination::File("/nowhere/flows.ipfix".into());
    let (writer, _) = Exporter::writer(&target(to));
    let mut outlet = writer.outlet();
    send(&mut outlet, 0, 0..3);
    assert!(writer.close(Exporter::flush).is_err());
    assert!(outlet.tells_failure() && !outlet.tells_failure());
    assert_eq!(outlet.lost(), 3);
}
