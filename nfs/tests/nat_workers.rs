//! Address translation by several workers is that by one.

use engine::{
    Buffers, ChainPlan, Cursor, Device, Engine, Idle, NfPlan, OnPanic, Plan, PortPlan, Record, Selector,
    Site, Snapshot,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tables::expression::Expression;
use wire::builder::{Builder, fragments, icmp_error};
use wire::tcp::flags::{ACK, SYN};
use wire::{FlowKey4, Mac};

const CONFIG: &str = "
inside = [\"10.0.0.0/8\"]
pool = [\"203.0.113.1\", \"203.0.113.2\"]
filtering = \"endpoint_independent\"
forward = { \"tcp 203.0.113.1:80\" = \"10.0.0.5:8080\" }
one_to_one = { \"203.0.113.9\" = \"10.0.0.9\" }
";
const WEB: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Endpoints that send first.
const ENDPOINTS: u16 = 600;
/// Packets between what has to happen in turn: more than there can be on the way between workers at once.
const APART: u16 = 3000;

fn host(number: u16) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, (number % 50) as u8)
}

fn ipv4(source: Ipv4Addr, destination: Ipv4Addr) -> Builder {
    Builder::ethernet(Mac::ZERO, Mac::ZERO).ipv4(source, destination)
}

fn key(frame: &[u8]) -> FlowKey4 {
    FlowKey4::from_packet(&wire::parse(frame), frame).expect("IPv4")
}

fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{name}", std::process::id()))
}

fn port(name: &str, device: Device) -> PortPlan {
    PortPlan::new(name, device)
}

fn plan(workers: usize, input: &Path, output: &Path) -> Plan {
    let config = format!("{{ {} }}", CONFIG.trim().replace('\n', ", "));
    let config = toml::de::ValueDeserializer::parse(&config).expect("TOML");
    let registry = nfs::registry();
    let configured = registry.get("nat").expect("registered").configure(config).expect("a configuration");
    let site = Site { name: "nat".to_owned(), workers, seed: 7, ..Site::default() };
    let nat = NfPlan {
        name: "nat".to_owned(),
        prepared: configured.prepare(&site).expect("prepared"),
        on_panic: OnPanic::Drop,
        snapshot: None,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Plan {
        cores: (0..workers).map(|worker| worker % cores).collect(),
        helpers: Vec::new(),
        idle: Idle::Adaptive,
        buffers: Buffers::default(),
        ports: vec![
            port("in", Device::CaptureSource(input.to_owned())),
            port("out", Device::CaptureSink(output.to_owned())),
        ],
        nfs: vec![nat],
        chains: vec![ChainPlan {
            name: "chain".to_owned(),
            from: 0,
            matcher: Expression::parse("all").expect("an expression"),
            path: vec![0],
            to: vec![1],
            parallel: None,
        }],
        seed: 7,
    }
}

/// What came of a capture.
struct Played {
    frames: Vec<Vec<u8>>,
    /// By worker.
    state: Vec<Vec<Record>>,
    account: Snapshot,
}

fn play(eal: &dpdk::Eal, workers: usize, frames: &[Vec<u8>]) -> Played {
    let (input, output) = (scratch(&format!("in-{workers}.pcap")), scratch(&format!("out-{workers}.pcap")));
    let mut writer = capture::Writer::create(&input, capture::Format::PcapNano).expect("create");
    for (number, frame) in frames.iter().enumerate() {
        let nanos = 1_700_000_000_000_000_000 + number as u64 * 10_000;
        writer.write(nanos, frame.len() as u32, [&frame[..]]).expect("write");
    }
    writer.finish().expect("finish");
    let engine = Engine::start(eal, plan(workers, &input, &output)).expect("start");
    let begun = Instant::now();
    while !engine.exhausted() {
        assert!(begun.elapsed() < Duration::from_secs(60), "the replay does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    let account = engine.stop().expect("stop");
    let page = |worker| {
        let (mut all, mut next) = (Vec::new(), Some(Cursor::default()));
        while let Some(at) = next {
            let (records, cursor) =
                engine.export_page("nat", worker, at, &Selector::default()).expect("a page");
            all.extend(records);
            next = cursor;
        }
        all
    };
    let state = (0..workers).map(page).collect();
    let mut reader = capture::Reader::open(&output).expect("a capture");
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = reader.next() {
        frames.push(frame.bytes.to_vec());
    }
    for path in [input, output] {
        let _ = std::fs::remove_file(path);
    }
    Played { frames, state, account }
}

/// The first packet of each endpoint, of all protocols.
fn first(number: u16) -> Builder {
    let (from, port) = (host(number), 2000 + number);
    match number % 3 {
        0 => ipv4(from, WEB).udp(port, 53).payload(b"question"),
        1 => ipv4(from, WEB).tcp(port, 80).flags(SYN),
        _ => ipv4(from, WEB).echo_request(port, 1).payload(b"question"),
    }
}

/// What the remote end answers.
fn answer(out: &[u8]) -> Builder {
    let FlowKey4 { src, dst, sport, dport, proto } = key(out);
    let back = ipv4(dst.into(), src.into());
    match proto {
        6 => back.tcp(dport, sport).flags(SYN | ACK),
        17 => back.udp(dport, sport).payload(b"answer"),
        _ => back.echo_reply(sport, 1).payload(b"answer"),
    }
}

/// Packets that keep what is before them from what is behind.
fn filler() -> impl Iterator<Item = Vec<u8>> {
    (0..APART).map(|number| ipv4(Ipv4Addr::new(10, 0, 2, 1), WEB).udp(20_000 + number, 53).pad_to(60).build())
}

/// A capture in which everything is: both directions, errors, fragments in any order, forwarded ports, addresses of
/// one's own, packets from one inside host to another. `outside` are the first packets of the endpoints, translated.
fn everything(outside: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = (0..ENDPOINTS).map(|number| first(number).build()).collect();
    all.extend(outside.iter().map(|out| answer(out).build()));
    let about = |out: &Vec<u8>| icmp_error(out, Ipv4Addr::new(198, 51, 100, 1).into(), 3, 1, 0);
    all.extend(outside.iter().step_by(7).filter_map(about));
    for number in 0..100 {
        let visitor = Ipv4Addr::new(192, 0, 2, 2 + (number % 9) as u8);
        all.push(ipv4(visitor, Ipv4Addr::new(203, 0, 113, 1)).tcp(3000 + number, 80).flags(SYN).build());
        all.push(ipv4(Ipv4Addr::new(10, 0, 0, 5), visitor).tcp(8080, 3000 + number).flags(SYN | ACK).build());
        all.push(ipv4(visitor, Ipv4Addr::new(203, 0, 113, 9)).udp(3000 + number, 5).payload(b"x").build());
        all.push(ipv4(Ipv4Addr::new(10, 0, 0, 9), visitor).udp(5, 3000 + number).payload(b"x").build());
    }
    for number in (0..90).step_by(3) {
        let long = ipv4(host(number), WEB).udp(2000 + number, 53).payload_len(3000).build();
        let mut pieces = fragments(&long, 1500, number.into());
        pieces.rotate_left(usize::from(number) / 3 % 3);
        all.extend(pieces);
        let FlowKey4 { src, sport, .. } = key(&outside[usize::from(number)]);
        let long = ipv4(WEB, src.into()).udp(53, sport).payload_len(3000).build();
        let mut pieces = fragments(&long, 1500, number.into());
        pieces.rotate_right(usize::from(number) / 3 % 3);
        all.extend(pieces);
    }
    all.extend(filler());
    // Each UDP endpoint speaks to the next one by its outside endpoint, and to the forwarded port and the address of
    // one's own.
    let others = || (0..ENDPOINTS).step_by(3).map(|number| (number, (number + 3) % ENDPOINTS));
    for (number, other) in others() {
        let FlowKey4 { src, sport, .. } = key(&outside[usize::from(other)]);
        let from = host(number);
        all.push(ipv4(from, src.into()).udp(2000 + number, sport).payload(b"neighbour").build());
        all.push(ipv4(from, Ipv4Addr::new(203, 0, 113, 1)).tcp(2000 + number, 80).flags(SYN).build());
        all.push(
            ipv4(from, Ipv4Addr::new(203, 0, 113, 9)).udp(2000 + number, 7).payload(b"neighbour").build(),
        );
        let long = ipv4(from, src.into()).udp(2000 + number, sport).payload_len(2000).build();
        all.extend(fragments(&long, 1500, 7000 + u32::from(number)));
    }
    all.extend(filler());
    for (number, other) in others() {
        let FlowKey4 { src, sport, .. } = key(&outside[usize::from(number)]);
        all.push(ipv4(host(other), src.into()).udp(2000 + other, sport).payload(b"yes?").build());
        // And has had enough of one that came.
        let came = ipv4(src.into(), host(other)).udp(sport, 2000 + other).payload(b"neighbour").build();
        all.extend(icmp_error(&came, host(other).into(), 3, 3, 0));
    }
    // To nobody, a fragment without its first, and what is no packet of ours.
    all.push(ipv4(WEB, Ipv4Addr::new(203, 0, 113, 1)).udp(53, 9).payload(b"x").build());
    let long = ipv4(host(0), WEB).udp(2000, 53).payload_len(3000).build();
    all.extend(fragments(&long, 1500, 9999).into_iter().skip(1));
    all.push(ipv4(WEB, Ipv4Addr::new(198, 51, 100, 7)).udp(1, 2).build());
    all
}

#[test]
fn several_workers_translate_as_one_does() {
    let opening: Vec<Vec<u8>> = (0..ENDPOINTS).map(|number| first(number).build()).collect();
    let eal = dpdk::Eal::init(&dpdk::EalOptions::default()).expect("DPDK starts without hugepages");
    let outside = play(&eal, 1, &opening).frames;
    assert_eq!(outside.len(), opening.len());
    let all = everything(&outside);
    let mut expected: Option<(Vec<Vec<u8>>, Vec<Record>)> = None;
    for workers in [1, 2, 4] {
        let Played { mut frames, state, account } = play(&eal, workers, &all);
        assert!(account.packets.balanced(), "{workers} workers: {:?}", account.packets);
        assert_eq!(account.packets.held, 0);
        let dropped = BTreeMap::from([
            ("nat.fragment_without_first".to_owned(), 2),
            ("nat.no_mapping".to_owned(), 1),
            ("nat.untranslated".to_owned(), 1),
        ]);
        assert_eq!(account.packets.dropped, dropped, "{workers} workers");
        // However many parts of the way each of them went.
        let errors = all.iter().filter(|frame| wire::parse(frame).is_icmp_error(frame)).count();
        assert!(errors > usize::from(ENDPOINTS) / 3);
        assert_eq!(
            account.chains["chain"].nfs["nat"].counters["icmp_errors"], errors as u64,
            "{workers} workers"
        );
        for (worker, records) in state.iter().enumerate() {
            let sessions = records.iter().filter(|record| record.kind == "session").count();
            assert!(sessions > 6000 / workers / 2, "worker {worker} of {workers} has {sessions} sessions");
        }
        // Every neighbour was reached, and saw the outside endpoint of who sent.
        for number in (0..ENDPOINTS).step_by(3) {
            let (from, to) = (key(&outside[usize::from(number)]), (number + 3) % ENDPOINTS);
            let arrived = frames.iter().filter(|frame| frame.ends_with(b"neighbour")).map(|frame| key(frame));
            let arrived = arrived.filter(|key| (key.src, key.sport) == (from.src, from.sport));
            let reached: BTreeSet<_> = arrived.map(|key| (Ipv4Addr::from(key.dst), key.dport)).collect();
            let own = (Ipv4Addr::new(10, 0, 0, 9), 7);
            assert_eq!(reached, BTreeSet::from([(host(to), 2000 + to), own]), "{workers} workers");
        }
        assert_one_to_one(&state);
        let mut state: Vec<Record> =
            state.into_iter().flatten().filter(|record| record.kind == "session").collect();
        state.sort_by_key(|record| record.key.to_string());
        frames.sort();
        match &expected {
            None => expected = Some((frames, state)),
            Some((first, records)) => {
                assert!(frames == *first, "{workers} workers: other packets come out");
                assert!(state == *records, "{workers} workers: another state");
            }
        }
    }
}

/// No outside endpoint stands for two inside ones, and none inside has two.
fn assert_one_to_one(state: &[Vec<Record>]) {
    let (mut outside, mut inside) = (BTreeMap::new(), BTreeMap::new());
    let sessions = state.iter().flatten().filter(|record| record.value["source_mapping"] == true);
    for Record { key, value, .. } in sessions {
        let ours = format!("{} {} {}", key["proto"], key["src"], key["sport"]);
        let theirs = format!("{} {} {}", key["proto"], value["src"], value["sport"]);
        assert_eq!(*outside.entry(theirs.clone()).or_insert(ours.clone()), ours, "{theirs}");
        assert_eq!(*inside.entry(ours.clone()).or_insert(theirs.clone()), theirs, "{ours}");
    }
    assert!(outside.len() > 3000, "{}", outside.len());
}
