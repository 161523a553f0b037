//! Every configuration of `examples` runs and does what it says: those on captures as they stand, those on kernel
//! interfaces between hosts in network namespaces, the one on NICs with other devices in their place.

mod rig;

#[allow(dead_code, reason = "the tests of devices use the rest")]
#[path = "devices/network.rs"]
mod network;

use engine::Snapshot;
use network::{Network, run};
use rig::{Folder, Run, assert_balanced, braid};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long anything may take that happens at once on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// All examples with their texts, by file name.
fn examples() -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder()).expect("examples").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("readable"))
        })
        .collect()
}

fn example(name: &str) -> String {
    examples().remove(name).unwrap_or_else(|| panic!("no example {name}"))
}

/// An example in a folder of the test's, with a control socket there; `idle` where it says so.
fn with_socket(text: &str) -> String {
    assert!(text.contains("[engine]\n"), "{text}");
    text.replace("[engine]\n", "[engine]\nsocket = \"braid.sock\"\n")
}

fn ended(run: Run<'_>) -> Snapshot {
    let ended = run.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    account
}

/// Pings until there is an answer to each of three.
fn assert_reaches(network: &Network, to: &str) {
    let begun = Instant::now();
    while !network.ping(to, 56) {
        assert!(begun.elapsed() < PATIENCE, "no answer from {to}");
    }
}

/// Renames the cables of a network to the interfaces that the examples name.
fn rename(network: &Network) {
    for host in ['a', 'b'] {
        let (from, to) = (format!("to-{host}"), format!("braid-{host}"));
        run("ip", &["link", "set", &from, "down"]);
        run("ip", &["link", "set", &from, "name", &to]);
        run("ip", &["link", "set", &to, "up"]);
        network.tell(host, "ip", &["link", "set", "lo", "up"]);
    }
}

#[test]
fn there_is_an_example_of_every_kind_of_nf() {
    let texts: String = examples().into_values().collect();
    let shown: BTreeSet<&str> =
        texts.split("kind = \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    for entry in nfs::registry().iter() {
        assert!(shown.contains(entry.name), "no example has an NF of kind {}", entry.name);
    }
}

#[test]
fn examples_without_interfaces_run_as_they_stand() {
    // Where they write to.
    fs::create_dir_all(folder().join("../target/demo")).expect("a folder");
    let mut ran = 0;
    for (name, text) in examples() {
        let devices: Vec<&str> = text.lines().filter(|line| line.starts_with("device = ")).collect();
        let anywhere = |line: &&str| line.contains("\"pcap:") || line.contains("\"net_null");
        if !devices.iter().all(anywhere) {
            continue;
        }
        ran += 1;
        let path = folder().join(&name);
        let ended = braid(["run".as_ref(), path.as_os_str(), "--json".as_ref(), "--duration=2s".as_ref()]);
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.err);
        let account = ended.account();
        assert_balanced(&account);
        assert!(account.packets.sent > 0, "{name}: {:?}", account.packets);
        for (chain, seen) in &account.chains {
            for (nf, seen) in &seen.nfs {
                assert!(seen.packets > 0 && seen.panics == 0, "{name}: {chain}: nothing reached {nf}");
            }
        }
    }
    assert!(ran >= 12, "only {ran} examples ran");
}

#[test]
fn the_example_of_a_bridge_connects_two_kernels() {
    let Some(network) = Network::new("example-bridge") else { return };
    rename(&network);
    let folder = Folder::new("example-bridge");
    let braid = Run::start(&folder, &with_socket(&example("bridge.toml")));
    assert_reaches(&network, "10.9.0.2");
    assert_reaches(&network, "fd00:9::2");
    network.transfer("10.9.0.2:8080", 1 << 20);
    let telnet: SocketAddr = "10.9.0.2:23".parse().expect("an address");
    let refused = network.on('a', || TcpStream::connect_timeout(&telnet, Duration::from_secs(1)));
    assert_eq!(refused.map(drop).unwrap_err().kind(), std::io::ErrorKind::TimedOut, "the firewall drops it");
    let account = ended(braid);
    assert!(account.packets.dropped["edge.denied"] > 0, "{:?}", account.packets);
}

#[test]
fn the_example_of_a_router_connects_two_networks() {
    let Some(network) = Network::new("example-router") else { return };
    rename(&network);
    // The gateway of the default route is host b.
    for (host, v4, v4_gateway, v6, v6_gateway) in [
        ('a', "192.0.2.2/25", "192.0.2.1", "2001:db8:a::2/64", "2001:db8:a::1"),
        ('b', "192.0.2.129/25", "192.0.2.130", "2001:db8:b::2/64", "2001:db8:b::1"),
    ] {
        network.tell(host, "ip", &["addr", "add", v4, "dev", "eth0"]);
        network.tell(host, "ip", &["addr", "add", v6, "dev", "eth0", "nodad"]);
        network.tell(host, "ip", &["route", "add", "default", "via", v4_gateway]);
        network.tell(host, "ip", &["-6", "route", "add", "default", "via", v6_gateway]);
    }
    for address in ["203.0.113.9/32", "2001:db8:ffff::9/128"] {
        network.tell('b', "ip", &["addr", "add", address, "dev", "lo"]);
    }
    let folder = Folder::new("example-router");
    let braid = Run::start(&folder, &with_socket(&example("router.toml")));
    for to in ["192.0.2.1", "192.0.2.129", "203.0.113.9", "2001:db8:b::2", "2001:db8:ffff::9"] {
        assert_reaches(&network, to);
    }
    network.transfer("203.0.113.9:8080", 1 << 20);
    assert!(!network.ping("198.51.100.1", 56), "that network is discarded");
    let account = ended(braid);
    assert!(account.packets.dropped["router.discard"] > 0, "{:?}", account.packets);
}

#[test]
fn the_example_on_nics_runs_on_other_devices() {
    let mut text = example("nic.toml");
    for (nic, other) in [
        ("cores = [2, 3]", "workers = 2"),
        ("hugepages = true\n", ""),
        ("mtu = 9000\n", ""),
        ("checksum_offload = true\n", ""),
        ("0000:3b:00.0", "net_null0"),
        ("0000:3b:00.1", "net_null1"),
    ] {
        assert!(text.contains(nic), "no {nic} in it");
        text = text.replace(nic, other);
    }
    let folder = Folder::new("example-nic");
    folder.file("demo.rules", fs::read(self::folder().join("demo.rules")).expect("rules"));
    let ended = Run::spawn(&folder, &with_socket(&text), &["--duration", "1s"]).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    assert!(account.chains.values().all(|chain| chain.packets > 0), "both ways: {:?}", account.packets);
}
