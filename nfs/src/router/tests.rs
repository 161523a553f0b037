use super::route::{Route, Written, parse_route};
use super::*;
use capture::Reader;
use engine::{CommandError, Cursor, Record, Selector};
use harness::{Frame, Rule, Trial};
use serde_json::json;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use wire::builder::{Builder, fragments};
use wire::{icmp, icmpv6};

fn site() -> Site {
    let ports = ["lan", "wan", "dmz"].map(str::to_owned).to_vec();
    Site { ports, gates: vec![1, 2], workers: 1, folder: std::env::temp_dir(), ..Site::default() }
}

fn interface(mac: &str, addresses: &[&str]) -> InterfaceConfig {
    let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
    InterfaceConfig { mac: mac.to_owned(), addresses, mtu: 1500 }
}

fn config(routes: &[&str]) -> Config {
    Config {
        interfaces: [
            ("lan".to_owned(), interface("02:00:00:00:00:0c", &["10.0.0.254/24", "2001:db8::254/64"])),
            ("wan".to_owned(), interface("02:00:00:00:00:0a", &["192.0.2.254/24"])),
        ]
        .into(),
        routes: routes.iter().map(|route| (*route).to_owned()).collect(),
        ..Config::default()
    }
}

fn router(config: &Config) -> Router {
    let plan = Router::prepare(config, &site()).expect("a good configuration");
    Router::instance(&Arc::new(plan), &WorkerSite { index: 0, count: 1, seed: 1 })
}

/// The route to an address, once a condition on it holds: changes are compiled elsewhere.
fn route_to(router: &mut Router, address: &str, expected: &Value) {
    let begun = Instant::now();
    loop {
        router.refresh();
        let answer = router.answer("route_to", &json!({ "address": address })).expect("an answer");
        if answer["route"] == *expected {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{address}: {answer}, expected {expected}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn exported(router: &Router) -> Vec<Record> {
    let (mut records, mut cursor) = (Vec::new(), Some(Cursor::default()));
    while let Some(at) = cursor {
        cursor = router.export(at, &Selector::default(), &mut records);
    }
    records
}

#[test]
fn configurations_that_cannot_be_are_refused_at_their_key() {
    let lan = |lan: InterfaceConfig| Config { interfaces: [("lan".to_owned(), lan)].into(), ..config(&[]) };
    let good = "02:00:00:00:00:0c";
    let file = Config { routes_file: Some("no-such-file".to_owned()), ..config(&[]) };
    let stranger = [("198.51.100.1".to_owned(), good.to_owned())].into();
    for (config, key, words) in [
        (Config::default(), "interfaces", "has interfaces"),
        (
            Config { interfaces: [("lna".to_owned(), interface(good, &[]))].into(), ..config(&[]) },
            "interfaces",
            "'lna'",
        ),
        (lan(interface("02:00", &[])), "interfaces", "six pairs"),
        (lan(interface("ff:ff:ff:ff:ff:ff", &[])), "interfaces", "no station"),
        (lan(interface(good, &["10.0.0.1"])), "interfaces", "prefix length"),
        (lan(interface(good, &["10.0.0.1/33"])), "interfaces", "prefix length"),
        (lan(interface(good, &["224.0.0.1/24"])), "interfaces", "cannot be"),
        (lan(InterfaceConfig { mtu: 1279, ..interface(good, &["2001:db8::1/64"]) }), "interfaces", "1280"),
        (config(&["10.0.0.1/8 via 10.0.0.1"]), "routes", "bits after"),
        (config(&["default"]), "routes", "no way"),
        (config(&["default via 198.51.100.1"]), "routes", "no interface"),
        (config(&["default via 10.0.0.254"]), "routes", "the router itself"),
        (config(&["default via 2001:db8::1"]), "routes", "another IP version"),
        (config(&["::/0 via fe80::1"]), "routes", "add dev PORT"),
        (config(&["default via 10.0.0.1 discard"]), "routes", "'discard'"),
        (config(&["default dev lna"]), "routes", "'lna'"),
        (file, "routes_file", "cannot read"),
        (Config { neighbours: stranger, ..config(&[]) }, "neighbours", "no interface"),
        (Config { capacity: 0, ..config(&[]) }, "capacity", "capacity 0"),
        (Config { reachable: crate::Span::seconds(0), ..config(&[]) }, "reachable", "all the time"),
    ] {
        let error = Plan::new(&config, &site()).err().unwrap_or_else(|| panic!("{words}: accepted"));
        assert_eq!(error.key.as_deref(), Some(key), "{error}");
        assert!(error.message.contains(words), "{words}: {error}");
    }
}

#[test]
fn routes_are_written_as_they_are_read() {
    let plan = Plan::new(&config(&[]), &site()).expect("good");
    for text in [
        "10.8.0.0/16 via 10.0.0.1 dev lan",
        "0.0.0.0/0 via 10.0.0.1 dev lan via 192.0.2.1 dev wan",
        "2001:db8:5::/48 via fe80::1 dev wan",
        "10.9.0.0/16 dev wan",
        "10.9.0.0/16 discard",
        "10.9.0.0/16 unreachable",
    ] {
        let (prefix, route) = parse_route(text, &plan.interfaces).expect(text);
        assert_eq!(format!("{prefix} {}", Written(&route, &plan.interfaces)), text);
    }
}

#[test]
fn routes_change_by_command_and_the_changes_are_state() {
    let mut first = router(&config(&["10.8.0.0/16 via 10.0.0.1"]));
    let old = "via 10.0.0.1 dev lan";
    route_to(&mut first, "10.8.1.1", &json!(old));
    let add = json!({ "routes": ["10.8.1.0/24 via 192.0.2.1", "2001:db8:5::/48 via fe80::1 dev wan"] });
    assert_eq!(first.answer("route_add", &add), Ok(json!({ "added": 2 })));
    route_to(&mut first, "10.8.1.1", &json!("via 192.0.2.1 dev wan"));
    route_to(&mut first, "2001:db8:5::1", &json!("via fe80::1 dev wan"));
    let delete = json!({ "prefixes": ["10.8.0.0/16"] });
    assert_eq!(first.answer("route_delete", &delete), Ok(json!({ "deleted": 1 })));
    route_to(&mut first, "10.8.2.1", &json!(null));
    for (name, arguments) in [
        ("route_delete", json!({ "prefixes": ["10.8.0.0/16"] })),
        ("route_delete", json!({ "prefixes": ["10.0.0.0/24"] })),
        ("route_add", json!({ "routes": ["10.0.0.254/32 discard"] })),
    ] {
        let refused = first.answer(name, &arguments);
        assert!(matches!(refused, Err(CommandError::Failed(_))), "{name} {arguments}: {refused:?}");
    }

    let records = exported(&first);
    assert_eq!(records.iter().filter(|record| record.kind == "route").count(), 3);
    let mut second = router(&config(&["10.8.0.0/16 via 10.0.0.1"]));
    second.import(&records).expect("good records");
    route_to(&mut second, "10.8.1.1", &json!("via 192.0.2.1 dev wan"));
    route_to(&mut second, "10.8.2.1", &json!(null));
    assert_eq!(exported(&second), records);
}

#[test]
fn flows_are_shared_evenly_and_a_route_of_many_gateways_needs_no_more_than_its_members() {
    let mut router = router(&config(&["default via 192.0.2.1 via 192.0.2.2 via 192.0.2.3"]));
    router.refresh();
    let headers = wire::Headers::default();
    let mut counts = [0; 3];
    for source in 0..3000u32 {
        let (from, to) = (IpAddr::from((0x0a00_0000 + source).to_be_bytes()), [203, 0, 113, 1].into());
        let Some(Route::Via(hops)) = router.way_to(from, to, &headers, &[]) else { panic!("no way") };
        let IpAddr::V4(gateway) = hops[0].address else { panic!("not IPv4") };
        counts[usize::from(gateway.octets()[3]) - 1] += 1;
    }
    assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
}

#[test]
fn a_file_of_many_routes_is_found_again_and_a_change_of_it_takes_no_worker() {
    let name = format!("braid-routes-{}.txt", std::process::id());
    let mut text = String::from("# many\n");
    let routes = 100_000u32;
    for i in 0..routes {
        let address = std::net::Ipv4Addr::from(0x2000_0000 + (i << 8));
        writeln!(text, "{address}/24 via 192.0.2.{}", 1 + i % 200).expect("strings take all");
    }
    let path = std::env::temp_dir().join(&name);
    std::fs::write(&path, text).expect("a file");
    let mut router = router(&Config { routes_file: Some(name), ..config(&[]) });
    std::fs::remove_file(&path).expect("the file");
    route_to(&mut router, "32.1.1.9", &json!(format!("via 192.0.2.{} dev wan", 1 + 257 % 200)));
    assert!(router.table.len() > routes as usize);
    assert!(router.table.v4.bytes() < 8 << 20, "{}", router.table.v4.bytes());
    let add = json!({ "routes": ["32.1.1.9/32 discard"] });
    router.answer("route_add", &add).expect("added");
    route_to(&mut router, "32.1.1.9", &json!("discard"));
    route_to(&mut router, "32.1.1.8", &json!(format!("via 192.0.2.{} dev wan", 1 + 257 % 200)));
}

#[test]
fn errors_are_limited_by_rate_with_a_burst() {
    let mut budget = Budget::new(100);
    let at = |millis: u64| Time::from_nanos(1_000_000_000_000 + millis * 1_000_000);
    assert_eq!((0..200).filter(|_| budget.take(at(0))).count(), 50);
    assert_eq!((0..200).filter(|_| budget.take(at(100))).count(), 10);
    assert_eq!((0..200).filter(|_| budget.take(at(50))).count(), 0, "time that runs back gives nothing");
    assert_eq!((0..200).filter(|_| budget.take(at(60_000))).count(), 50);
    assert!(!Budget::new(0).take(at(0)));
}

#[test]
fn updates_reach_the_other_workers_whole() {
    for address in ["192.0.2.1", "2001:db8::1"] {
        let hop = Hop { interface: 3, address: address.parse().expect("an address") };
        let mac = Mac([2, 3, 4, 5, 6, 7]);
        assert_eq!(decode(&encode(KNOWN, &hop, mac)), Some((KNOWN, hop, mac)));
    }
    assert_eq!(decode(&Update([0; 32])), None);
}

/// Hosts on wan and dmz, both with gates; replies to 10.0.0.0/24 leave by dmz.
const TWO_SIDES: &str = "[interfaces.wan]\nmac = \"02:00:00:00:00:0a\"\nmtu = 1280\n\
    addresses = [\"192.0.2.254/24\", \"2001:db8:1::254/64\"]\n\
    [interfaces.dmz]\nmac = \"02:00:00:00:00:0b\"\naddresses = [\"10.0.0.254/24\", \"2001:db8::254/64\"]\n\
    [neighbours]\n\"192.0.2.7\" = \"02:00:00:00:00:07\"\n\"10.0.0.1\" = \"02:00:00:00:00:01\"\n\
    \"2001:db8:1::7\" = \"02:00:00:00:00:07\"\n\"2001:db8::1\" = \"02:00:00:00:00:01\"\n";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("strings take all");
        text
    })
}

/// Plays one packet from dmz, its fate, and the packets that are sent for it.
fn play(config: &str, packet: &[u8], fate: &str, sent: &[(u8, Vec<u8>)]) {
    let mut case =
        format!("%nf router\n%config\n{config}\n%row the packet\nin @dmz hex {}\n{fate}\n", hex(packet));
    for (gate, packet) in sent {
        writeln!(case, "emit {gate} hex {}", hex(packet)).expect("strings take all");
    }
    let played = harness::run_case(&crate::registry(), &case, Path::new("."));
    played.unwrap_or_else(|error| panic!("{error}"));
}

const HOST: [u8; 6] = [2, 0, 0, 0, 0, 1];
const DMZ: [u8; 6] = [2, 0, 0, 0, 0, 0x0b];
const WAN: [u8; 6] = [2, 0, 0, 0, 0, 0x0a];
const FAR: [u8; 6] = [2, 0, 0, 0, 0, 7];

fn from_v4(to: [u8; 4]) -> Builder {
    Builder::ethernet(HOST, DMZ).ipv4([10, 0, 0, 1], to)
}

fn from_v6(to: &str) -> Builder {
    let to: Ipv6Addr = to.parse().expect("an address");
    Builder::ethernet(HOST, DMZ).ipv6("2001:db8::1".parse::<Ipv6Addr>().expect("an address"), to)
}

/// The error of the router's address on dmz about a packet.
fn error_v4(about: &[u8], kind: u8, code: u8, rest: u32) -> Vec<(u8, Vec<u8>)> {
    let quoted = &about[14..about.len().min(14 + 548)];
    let error = Builder::ethernet(DMZ, HOST).ipv4([10, 0, 0, 254], [10, 0, 0, 1]).dont_fragment().dscp(48);
    vec![(1, error.icmp(kind, code, rest).payload(quoted).build())]
}

fn error_v6(about: &[u8], kind: u8, code: u8, rest: u32) -> Vec<(u8, Vec<u8>)> {
    let quoted = &about[14..about.len().min(14 + 1232)];
    let address = |text: &str| text.parse::<Ipv6Addr>().expect("an address");
    let error = Builder::ethernet(DMZ, HOST).ipv6(address("2001:db8::254"), address("2001:db8::1")).dscp(48);
    vec![(1, error.icmp(kind, code, rest).payload(quoted).build())]
}

#[test]
fn senders_are_told_why_their_packets_end() {
    let late = from_v4([192, 0, 2, 7]).ttl(1).udp(1000, 33434).payload_len(40).build();
    play(TWO_SIDES, &late, "drop ttl", &error_v4(&late, icmp::TIME_EXCEEDED, 0, 0));
    let lost = from_v4([203, 0, 113, 1]).udp(1000, 53).payload_len(700).build();
    play(TWO_SIDES, &lost, "drop no_route", &error_v4(&lost, icmp::UNREACHABLE, 0, 0));
    let refused = from_v4([192, 0, 2, 254]).udp(1000, 53).payload_len(40).build();
    play(TWO_SIDES, &refused, "drop to_router", &error_v4(&refused, icmp::UNREACHABLE, 3, 0));
    let long = from_v4([192, 0, 2, 7]).dont_fragment().udp(1000, 53).payload_len(1253).build();
    play(TWO_SIDES, &long, "drop too_long", &error_v4(&long, icmp::UNREACHABLE, 4, 1280));

    let late = from_v6("2001:db8:1::7").ttl(1).udp(1000, 33434).payload_len(40).build();
    play(TWO_SIDES, &late, "drop ttl", &error_v6(&late, icmpv6::TIME_EXCEEDED, 0, 0));
    let lost = from_v6("2001:db8:9::7").udp(1000, 53).payload_len(40).build();
    play(TWO_SIDES, &lost, "drop no_route", &error_v6(&lost, icmpv6::UNREACHABLE, 0, 0));
    let long = from_v6("2001:db8:1::7").udp(1000, 53).payload_len(1300).build();
    play(TWO_SIDES, &long, "drop too_long", &error_v6(&long, icmpv6::PACKET_TOO_BIG, 0, 1280));
}

#[test]
fn nobody_is_told_about_errors_later_fragments_and_groups() {
    let inner = from_v4([192, 0, 2, 7]).udp(1, 2).build();
    let error = from_v4([192, 0, 2, 7]).ttl(1).icmp(icmp::UNREACHABLE, 1, 0).payload(&inner[14..]).build();
    play(TWO_SIDES, &error, "drop ttl", &[]);
    let large = from_v4([192, 0, 2, 7]).ttl(1).udp(1, 2).payload_len(2000).build();
    let pieces = fragments(&large, 1280, 7);
    play(TWO_SIDES, &pieces[0], "drop ttl", &error_v4(&pieces[0], icmp::TIME_EXCEEDED, 0, 0));
    play(TWO_SIDES, &pieces[1], "drop ttl", &[]);
    let silent = format!("icmp_rate = 0\n{TWO_SIDES}");
    let late = from_v4([192, 0, 2, 7]).ttl(1).udp(1000, 33434).payload_len(40).build();
    play(&silent, &late, "drop ttl", &[]);
    let mut to_all = late.clone();
    to_all[..6].fill(0xff);
    play(TWO_SIDES, &to_all, "drop multicast", &[]);
}

#[test]
fn what_does_not_fit_is_cut_into_fragments() {
    // Router alert is copied into every fragment, a timestamp is not.
    let options = [0x94, 4, 0, 0, 0x44, 8, 13, 0, 0, 0, 0, 0];
    for options in [&[][..], &options] {
        let long = from_v4([192, 0, 2, 7]).id(7).ip_options(options).udp(1, 2).payload_len(1400).build();
        let sent: Vec<(u8, Vec<u8>)> = fragments(&long, 1280, 7)
            .into_iter()
            .enumerate()
            .map(|(i, mut piece)| {
                piece[..6].copy_from_slice(&FAR);
                piece[6..12].copy_from_slice(&WAN);
                if i > 0 && !options.is_empty() {
                    piece[38..46].fill(1);
                }
                if let Ok(mut packet) = wire::ipv4::Packet::new_checked(&mut piece[14..]) {
                    packet.decrement_ttl();
                    packet.fill_checksum();
                }
                (0, piece)
            })
            .collect();
        assert_eq!(sent.len(), 2);
        play(TWO_SIDES, &long, "absorb", &sent);
    }
}

/// A capture of real traffic, every packet as if it had been sent to the router; `None` where there is none.
fn frames_of(name: &str) -> Option<Vec<Frame>> {
    let path =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/general/dev")).join(name);
    let Ok(mut reader) = Reader::open(&path) else {
        println!("skipped: there is no {}", path.display());
        return None;
    };
    let mut frames = Vec::new();
    while let Ok(Some(packet)) = reader.next() {
        let mut bytes = packet.bytes.to_vec();
        if let Some(to) = bytes.get_mut(..6).filter(|to| to[0] & 1 == 0) {
            to.copy_from_slice(&DMZ);
        }
        frames.push(Frame { what: name.to_owned(), bytes, ingress: 2 });
    }
    Some(frames)
}

#[test]
fn real_traffic_keeps_the_contract_also_when_the_state_moves_half_way() {
    let registry = crate::registry();
    for name in [
        "ws_dns+icmp.pcapng.gz",
        "ws_arp.pcap",
        "ws_ipv6.pcap",
        "zeek_ipv4_fragmented-3.pcap",
        "zeek_wikipedia.pcap",
    ] {
        let Some(frames) = frames_of(name) else { continue };
        let mut trial = Trial::example(registry.get("router").expect("registered"));
        trial.config = format!(
            "routes = [\"default via 192.0.2.1 via 192.0.2.7\", \"192.168.0.0/16 dev dmz\", \"::/0 via fe80::1 dev wan\"]\n\
             {TWO_SIDES}\"192.0.2.1\" = \"02:00:00:00:00:07\"\n"
        );
        trial.frames = frames;
        for rule in
            [Rule::Packets, Rule::Effects, Rule::CopyOnWrite, Rule::Segments, Rule::State, Rule::Determinism]
        {
            trial.check_rule(rule).assert_clean();
        }
    }
}
