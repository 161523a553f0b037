//! Address translation between real kernels, beside what nftables does in the same place.

mod rig;

#[allow(dead_code, reason = "it is shared with the tests of devices")]
#[path = "devices/network.rs"]
mod network;

use network::{Network, run};
use rig::spaces::exchange;
use rig::{Folder, Run, assert_balanced, call};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// `a` is inside, `b` outside; they have to meet at this address.
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);

/// A translator between the two, on so many workers.
fn config(workers: usize) -> String {
    format!("[engine]\nworkers = {workers}\n{REST}")
}

const REST: &str = "\
idle = \"adaptive\"
socket = \"braid.sock\"
[ports.a]
device = \"net_pcap0,iface=to-a\"
[ports.b]
device = \"net_pcap1,iface=to-b\"
[nf.nat]
kind = \"nat\"
inside = [\"10.9.0.1/32\"]
pool = [\"203.0.113.1\"]
forward = { \"tcp 203.0.113.1:8080\" = \"10.9.0.1:80\" }
[[chain]]
name = \"out\"
from = \"a\"
path = [\"nat\"]
to = \"b\"
[[chain]]
name = \"in\"
from = \"b\"
path = [\"nat\"]
to = \"a\"
";

/// What a translator does, seen from its both sides.
#[derive(Debug, PartialEq)]
struct Seen {
    ping: bool,
    /// Of 4 000 bytes: fragments.
    large_ping: bool,
    /// Who the outside host thinks the inside one is.
    client: Option<IpAddr>,
    /// Who comes in by the forwarded port, as the inside host sees it.
    visitor: Option<IpAddr>,
    /// Somebody comes in by another port.
    intruder: bool,
    /// The inside host learns that nobody listens.
    refused: bool,
}

impl Seen {
    fn through(network: &Network) -> Seen {
        Seen {
            ping: network.ping("10.9.0.2", 56),
            large_ping: network.ping("10.9.0.2", 4000),
            client: visit(network, ('a', (REMOTE, 7000)), ('b', (REMOTE, 7000))),
            visitor: visit(network, ('b', (OUTSIDE, 8080)), ('a', (INSIDE, 80))),
            intruder: visit(network, ('b', (OUTSIDE, 8081)), ('a', (INSIDE, 8081))).is_some(),
            refused: network.is_refused((REMOTE, 9).into()),
        }
    }
}

/// Connects from a host to an address, behind which another host listens; both send something. Whom the listener saw.
fn visit(
    network: &Network,
    (from, to): (char, (Ipv4Addr, u16)),
    (at, listen): (char, (Ipv4Addr, u16)),
) -> Option<IpAddr> {
    let listener = network.on(at, || TcpListener::bind(listen).expect("a listener"));
    let mut client =
        network.on(from, || TcpStream::connect_timeout(&to.into(), Duration::from_secs(2))).ok()?;
    let (mut server, seen) = listener.accept().expect("a connection");
    exchange(&mut client, &mut server);
    exchange(&mut server, &mut client);
    Some(seen.ip())
}

/// `b` knows where the outside address is, without ARP, which a translator does not answer.
fn point_b_at_a(network: &Network) {
    let shown = network.tell('a', "ip", &["-o", "link", "show", "eth0"]);
    let mac = shown.split_once("link/ether ").expect("a MAC address").1;
    let mac = mac.split(' ').next().expect("a MAC address");
    network.tell('b', "ip", &["route", "add", "203.0.113.0/24", "dev", "eth0"]);
    network.tell('b', "ip", &["neigh", "replace", "203.0.113.1", "lladdr", mac, "dev", "eth0"]);
}

/// The kernel in the middle translates, by nftables; `false` where it cannot.
fn translate_by_nftables(network: &Network) -> bool {
    for setting in
        ["ip_forward=1", "conf.all.proxy_arp=1", "conf.all.rp_filter=0", "conf.default.rp_filter=0"]
    {
        run("sysctl", &["-qw", &format!("net.ipv4.{setting}")]);
    }
    for (host, address) in [("to-a", "10.9.0.1"), ("to-b", "10.9.0.2")] {
        run("sysctl", &["-qw", &format!("net.ipv4.conf.{host}.rp_filter=0")]);
        run("sysctl", &["-qw", &format!("net.ipv4.neigh.{host}.proxy_delay=0")]);
        run("ip", &["route", "add", address, "dev", host]);
    }
    run("ip", &["addr", "add", "203.0.113.1/32", "dev", "lo"]);
    network.tell('b', "ip", &["route", "add", "203.0.113.0/24", "dev", "eth0"]);
    let rules = "table ip nat { \
        chain post { type nat hook postrouting priority 100; oifname \"to-b\" ip saddr 10.9.0.1 snat to 203.0.113.1; }; \
        chain pre { type nat hook prerouting priority -100; ip daddr 203.0.113.1 tcp dport 8080 dnat to 10.9.0.1:80; }; }";
    let Ok(output) = Command::new("nft").arg(rules).output() else { return false };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("syntax"), "{said}");
    output.status.success()
}

#[test]
fn two_kernels_meet_through_nat_as_they_do_through_nftables() {
    let Some(network) = Network::new("nat") else { return };
    point_b_at_a(&network);
    let folder = Folder::new("nat");
    let braid = Run::start(&folder, &config(1));
    let seen = Seen::through(&network);
    assert_eq!(
        seen,
        Seen {
            ping: true,
            large_ping: true,
            client: Some(OUTSIDE.into()),
            visitor: Some(REMOTE.into()),
            intruder: false,
            refused: true,
        }
    );
    let mut client = braid.client();
    let listed =
        call(&mut client, "nf.command", json!({ "nf": "nat", "command": "mappings", "arguments": {} }));
    assert!(listed.to_string().contains("10.9.0.1:"), "{listed}");
    let ended = braid.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    assert!(account.packets.dropped["nat.no_mapping"] >= 1, "{:?}", account.packets.dropped);
    drop(network);

    let Some(network) = Network::new("nat-nft") else { return };
    if !translate_by_nftables(&network) {
        println!("skipped: nftables does not translate here");
        return;
    }
    assert_eq!(Seen::through(&network), seen);
}

/// A tool that runs on a host until the test is over.
struct Tool(Child);

impl Tool {
    fn start(network: &Network, host: char, arguments: &[&str]) -> Tool {
        let space = network.host(host);
        let child = Command::new("ip")
            .args(["netns", "exec", &space])
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Tool(child.expect("ip runs"))
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_installed(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        println!("skipped: {tool} is not installed");
    }
    found
}

#[test]
fn iperf3_sends_both_ways_and_curl_fetches_a_page() {
    let Some(network) = Network::new("nat-iperf") else { return };
    point_b_at_a(&network);
    let folder = Folder::new("nat-iperf");
    let braid = Run::start(&folder, &config(2));
    if is_installed("curl") {
        let web = network.on('a', || TcpListener::bind((INSIDE, 80)).expect("a listener"));
        let page = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = web.accept().expect("a visitor");
                let _ = stream.read(&mut [0; 2000]);
                let answer = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
                stream.write_all(answer.as_bytes()).expect("to answer");
            });
            network.tell('b', "curl", &["-sS", "--max-time", "10", "http://203.0.113.1:8080/"])
        });
        assert_eq!(page, "hello");
    }
    if is_installed("iperf3") {
        let _server = Tool::start(&network, 'b', &["iperf3", "-s", "-B", "10.9.0.2"]);
        let begun = Instant::now();
        let listens = || {
            let to = SocketAddr::from((REMOTE, 5201));
            network.on('a', || TcpStream::connect_timeout(&to, Duration::from_millis(500))).is_ok()
        };
        while !listens() {
            assert!(begun.elapsed() < Duration::from_secs(20), "iperf3 does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        for direction in [&["-P", "4"][..], &["-P", "4", "-R"], &["-u", "-b", "20M"]] {
            // The server may still be busy with who was there before.
            let report = (0..20).find_map(|_| {
                let space = network.host('a');
                let fixed = ["netns", "exec", space.as_str(), "iperf3", "-c", "10.9.0.2", "-t", "1", "-J"];
                let output = Command::new("ip").args(fixed).args(direction).output().expect("ip runs");
                let report: Value = serde_json::from_slice(&output.stdout).ok()?;
                std::thread::sleep(Duration::from_millis(100));
                output.status.success().then_some(report)
            });
            let report = report.unwrap_or_else(|| panic!("iperf3 {direction:?} does not get through"));
            let sum = ["sum_received", "sum"].iter().find_map(|key| report["end"][key]["bytes"].as_u64());
            assert!(sum > Some(1 << 20), "{direction:?}: {}", report["end"]);
        }
    }
    let ended = braid.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    assert_eq!(account.workers.len(), 2);
}

/// Connections that are open while the workers change.
const CONNECTIONS: usize = 12;

#[test]
fn connections_outlive_changes_of_the_number_of_workers() {
    let Some(network) = Network::new("nat-workers") else { return };
    point_b_at_a(&network);
    let folder = Folder::new("nat-workers");
    let braid = Run::start(&folder, &config(1));
    let listener = network.on('b', || TcpListener::bind((REMOTE, 7001)).expect("a listener"));
    let web = network.on('a', || TcpListener::bind((INSIDE, 80)).expect("a listener"));
    // Half of them from inside, half to the forwarded port.
    let connect = |number: usize| {
        let (from, to, listener) = match number % 2 {
            0 => ('a', (REMOTE, 7001), &listener),
            _ => ('b', (OUTSIDE, 8080), &web),
        };
        let client = network.on(from, || TcpStream::connect_timeout(&to.into(), Duration::from_secs(10)));
        (client.expect("a connection"), listener.accept().expect("a connection").0)
    };
    let mut pairs: Vec<(TcpStream, TcpStream)> = (0..CONNECTIONS).map(connect).collect();
    let changes = AtomicBool::new(true);
    let rounds = std::thread::scope(|scope| {
        let traffic: Vec<_> = pairs
            .iter_mut()
            .map(|(client, server)| {
                scope.spawn(|| {
                    let mut rounds = 0;
                    while changes.load(Ordering::Acquire) || rounds == 0 {
                        exchange(client, server);
                        exchange(server, client);
                        rounds += 1;
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    rounds
                })
            })
            .collect();
        let over = Over(&changes);
        let mut control = braid.client();
        for workers in [2, 3, 1, 4, 2, 1] {
            let applied = call(&mut control, "config.apply", json!({ "config": config(workers) }));
            assert!(applied["generation"].as_u64() > Some(1), "{applied}");
            std::thread::sleep(Duration::from_millis(150));
        }
        drop(over);
        traffic.into_iter().map(|thread| thread.join().expect("all bytes, both ways")).collect::<Vec<u32>>()
    });
    assert!(rounds.iter().all(|rounds| *rounds > 1), "{rounds:?}");
    let ended = braid.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    let translated = |reason: &str| !account.packets.dropped.contains_key(&format!("nat.{reason}"));
    assert!(translated("no_mapping") && translated("not_opening"), "{:?}", account.packets.dropped);
}

/// Tells the traffic that the changes are over, also when one failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
