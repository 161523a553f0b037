//! The router between hosts that are kernels in network namespaces: ping, traceroute, TCP, small MTUs, changes of routes.
//!
//! ```text
//! a (10.7.0.2) -- braid -- m (10.7.1.2, 10.7.2.1; a router, too) -- b (10.7.2.2)
//! ```

mod rig;

use rig::spaces::{Spaces, output};
use rig::{Folder, Run, assert_balanced, call};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long a packet may be on its way, or a change to take effect, before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// Three hosts in a row, and a namespace before the first two in which `braid` runs.
struct Hosts(Spaces);

impl Hosts {
    /// Builds them; without root or a tool it says so and is `None`.
    fn new(test: &str) -> Option<Hosts> {
        let spaces = Spaces::new(&format!("router-{test}"), &["a", "m", "b"])?;
        spaces.join("a");
        spaces.join("m");
        let far = spaces.of("b");
        let cable = ["link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", &far];
        spaces.tell("m", "ip", &cable);
        spaces.tell("m", "sysctl", &["-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
        for (host, device, net, number, gateway) in [
            ("a", "eth0", 0, 2, Some(1)),
            ("m", "eth0", 1, 2, Some(1)),
            ("m", "eth1", 2, 1, None),
            ("b", "eth0", 2, 2, Some(1)),
        ] {
            let addresses = [format!("10.7.{net}.{number}/24"), format!("fd00:7:{net}::{number}/64")];
            spaces.address(host, device, [&addresses[0], &addresses[1]]);
            spaces.tell(host, "ip", &["link", "set", "lo", "up"]);
            // What comes in is forwarded as it came.
            spaces.tell(host, "ethtool", &["-K", device, "gro", "off"]);
            if let Some(gateway) = gateway {
                spaces.tell(
                    host,
                    "ip",
                    &["route", "add", "default", "via", &format!("10.7.{net}.{gateway}")],
                );
                let v6 = format!("fd00:7:{net}::{gateway}");
                spaces.tell(host, "ip", &["-6", "route", "add", "default", "via", &v6]);
            }
        }
        Some(Hosts(spaces))
    }

    /// What `a` is told when it pings an address.
    fn ping(&self, arguments: &[&str]) -> String {
        let output = self.0.ask("a", "ping", &[&["-n", "-c2", "-i0.1", "-W3"], arguments].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// `braid` with interfaces 10.7.0.1 to `a` and 10.7.1.1 to `m`, on which packets have up to `mtu` bytes.
fn router(workers: usize, mtu: u16) -> String {
    let mut config = format!(
        "[engine]\nworkers = {workers}\nidle = \"adaptive\"\nsocket = \"braid.sock\"\n\
         [nf.router]\nkind = \"router\"\nicmp_rate = 100\n\
         routes = [\"10.7.2.0/24 via 10.7.1.2\", \"fd00:7:2::/64 via fd00:7:1::2\"]\n"
    );
    for (i, (name, net, mtu)) in [("a", 0, 1500), ("m", 1, mtu)].into_iter().enumerate() {
        config += &format!(
            "[ports.{name}]\ndevice = \"net_af_packet{i},iface=to-{name}\"\n\
             [nf.router.interfaces.{name}]\nmac = \"02:00:00:00:07:0{i}\"\nmtu = {mtu}\n\
             addresses = [\"10.7.{net}.1/24\", \"fd00:7:{net}::1/64\"]\n\
             [[chain]]\nname = \"from-{name}\"\nfrom = \"{name}\"\npath = [\"router\"]\nto = [\"a\", \"m\"]\n"
        );
    }
    config
}

/// Has the router do a command; the answer of the first worker.
fn command(run: &Run<'_>, name: &str, arguments: Value) -> Value {
    let params = json!({ "nf": "router", "command": name, "arguments": arguments });
    call(&mut run.client(), "nf.command", params)["workers"][0].clone()
}

fn ended(run: Run<'_>) -> engine::Snapshot {
    let ended = run.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    account
}

#[test]
fn pings_traceroutes_and_connections_go_through_and_routes_change_meanwhile() {
    let Some(hosts) = Hosts::new("path") else { return };
    let folder = Folder::new("router-path");
    let braid = Run::start(&folder, &router(2, 1500));

    for own in ["10.7.0.1", "10.7.1.1", "fd00:7::1", "fd00:7:1::1"] {
        let said = hosts.ping(&[own]);
        assert!(said.contains(" 0% packet loss"), "the router answers at {own}: {said}");
    }
    for far in ["10.7.2.2", "fd00:7:2::2"] {
        let said = hosts.ping(&[far]);
        assert!(said.contains(" 0% packet loss"), "{said}");
    }
    // Hop by hop, as traceroute does it.
    for (ttl, to, from) in [
        ("1", "10.7.2.2", "10.7.0.1"),
        ("2", "10.7.2.2", "10.7.1.2"),
        ("1", "fd00:7:2::2", "fd00:7::1"),
        ("2", "fd00:7:2::2", "fd00:7:1::2"),
    ] {
        let said = hosts.ping(&["-t", ttl, to]);
        assert!(
            said.to_lowercase().contains(&format!("from {from}")) && said.contains("exceeded"),
            "{ttl}: {said}"
        );
    }
    for far in ["10.7.99.1", "fd00:7:99::1"] {
        let said = hosts.ping(&[far]).to_lowercase();
        assert!(
            said.contains("unreachable") || said.contains("no route"),
            "there is no route to {far}: {said}"
        );
    }
    // Nobody is there: the router asks three times, and tells the sender.
    let said = hosts.ping(&["-W6", "10.7.1.77"]);
    assert!(said.contains("From 10.7.0.1") && said.contains("Destination Host Unreachable"), "{said}");

    hosts.0.transfer("10.7.2.2:8080", 8 << 20);
    hosts.0.transfer("[fd00:7:2::2]:8080", 4 << 20);
    if output("iperf3", &["--version"]).status.success() {
        let space = hosts.0.of("b");
        let mut server = Command::new("ip")
            .args(["netns", "exec", &space, "iperf3", "-s"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("iperf3");
        let begun = Instant::now();
        let said = loop {
            let client = hosts.0.ask("a", "iperf3", &["-c", "10.7.2.2", "-t1", "-P2", "-J"]);
            let said = String::from_utf8_lossy(&client.stdout).into_owned();
            // It may say that nobody listens yet and call that a success.
            if client.status.success() && !said.contains("\"error\"") || begun.elapsed() > PATIENCE {
                break said;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let _ = server.kill();
        let _ = server.wait();
        let report: Value = serde_json::from_str(&said).expect("a report in JSON");
        let bytes = report.pointer("/end/sum_received/bytes").and_then(Value::as_u64).unwrap_or(0);
        assert!(bytes > 1 << 20, "{said}");
    }

    let neighbours = command(&braid, "neighbours", json!({}));
    let text = neighbours.to_string();
    for known in ["10.7.0.2", "10.7.1.2", "fd00:7::2", "fd00:7:1::2"] {
        assert!(text.contains(known), "{text}");
    }
    command(&braid, "route_delete", json!({ "prefixes": ["10.7.2.0/24"] }));
    let begun = Instant::now();
    while hosts.ping(&["10.7.2.2"]).contains(" 0% packet loss") {
        assert!(begun.elapsed() < PATIENCE, "the route stays");
    }
    command(&braid, "route_add", json!({ "routes": ["10.7.2.2/32 via 10.7.1.2"] }));
    let begun = Instant::now();
    while !hosts.ping(&["10.7.2.2"]).contains(" 0% packet loss") {
        assert!(begun.elapsed() < PATIENCE, "the route does not come");
    }
    let account = ended(braid);
    let dropped = |reason: &str| account.packets.dropped.get(reason).copied().unwrap_or(0);
    assert!(dropped("router.ttl") >= 4 && dropped("router.no_route") >= 4, "{:?}", account.packets.dropped);
    assert!(dropped("router.unresolved") >= 1, "{:?}", account.packets.dropped);
}

#[test]
fn what_is_too_long_is_cut_or_told_so_that_kernels_adapt() {
    let Some(hosts) = Hosts::new("mtu") else { return };
    let folder = Folder::new("router-mtu");
    let braid = Run::start(&folder, &router(1, 1280));
    let said = hosts.ping(&["10.7.2.2"]);
    assert!(said.contains(" 0% packet loss"), "{said}");

    // Without DF the router cuts, and the other kernel puts together.
    let socket = hosts.0.on("b", || UdpSocket::bind("10.7.2.2:9000").expect("a socket"));
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let data: Vec<u8> = (0..1400u32).map(|i| (i * 7) as u8).collect();
    hosts.0.tell("a", "sysctl", &["-qw", "net.ipv4.ip_no_pmtu_disc=1"]);
    let cut = hosts.0.on("a", || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket"));
    cut.send_to(&data, "10.7.2.2:9000").expect("sent");
    hosts.0.tell("a", "sysctl", &["-qw", "net.ipv4.ip_no_pmtu_disc=0"]);
    let mut arrived = vec![0; 2000];
    let length = socket.recv(&mut arrived).expect("the datagram");
    assert!(arrived[..length] == data, "it is whole");

    // With DF the senders are told, and remember.
    let said = hosts.ping(&["-Mdo", "-s", "1400", "10.7.2.2"]);
    assert!(said.contains("mtu = 1280") || said.contains("mtu=1280"), "{said}");
    let said = hosts.ping(&["-Mdo", "-s", "1400", "fd00:7:2::2"]);
    assert!(said.contains("mtu: 1280") || said.contains("mtu=1280") || said.contains("mtu = 1280"), "{said}");
    for far in ["10.7.2.2", "fd00:7:2::2"] {
        let known = hosts.0.tell("a", "ip", &["route", "get", far]);
        assert!(known.contains("mtu 1280"), "the kernel knows the path to {far}: {known}");
    }
    hosts.0.transfer("10.7.2.2:8080", 4 << 20);
    hosts.0.transfer("[fd00:7:2::2]:8080", 4 << 20);
    let account = ended(braid);
    let dropped = |reason: &str| account.packets.dropped.get(reason).copied().unwrap_or(0);
    assert!(dropped("router.too_long") >= 2, "{:?}", account.packets.dropped);
}
