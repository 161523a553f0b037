//! The router between hosts that are kernels in network namespaces: ping, traceroute, TCP, small MTUs, changes of routes.
//!
//! ```text
//! a (10.7.0.2) -- braid -- m (10.7.1.2, 10.7.2.1; a router, too) -- b (10.7.2.2)
//! ```

mod rig;

use rig::{Folder, Run, assert_balanced, call};
use serde_json::{Value, json};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// How long a packet may be on its way before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// Three hosts in a row, and a namespace before the first two in which `braid` runs.
struct Hosts {
    name: String,
}

impl Hosts {
    /// Builds them; without root or a tool it says so and is `None`.
    fn new(test: &str) -> Option<Hosts> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: network namespaces need root");
            return None;
        }
        for (tool, arguments) in
            [("ip", "-V"), ("ping", "-V"), ("ethtool", "--version"), ("sysctl", "--version")]
        {
            if Command::new(tool).arg(arguments).output().is_err() {
                println!("skipped: {tool} is not installed");
                return None;
            }
        }
        let hosts = Hosts { name: format!("router-{test}-{}", std::process::id()) };
        for space in ["", "a", "m", "b"] {
            run("ip", &["netns", "add", &hosts.space(space)]);
        }
        hosts.enter("");
        // What the middle's kernel would say of itself does not belong on these cables.
        run("sysctl", &["-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
        for host in ["a", "m"] {
            let (space, name) = (hosts.space(host), format!("to-{host}"));
            run("ip", &["link", "add", &name, "type", "veth", "peer", "name", "eth0", "netns", &space]);
            run("ip", &["link", "set", &name, "up"]);
        }
        let far = hosts.space("b");
        hosts.tell(
            "m",
            "ip",
            &["link", "add", "eth1", "type", "veth", "peer", "name", "eth0", "netns", &far],
        );
        hosts.tell("m", "sysctl", &["-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
        for (host, device, net, number, gateway) in [
            ("a", "eth0", 0, 2, Some(1)),
            ("m", "eth0", 1, 2, Some(1)),
            ("m", "eth1", 2, 1, None),
            ("b", "eth0", 2, 2, Some(1)),
        ] {
            hosts.tell(host, "ip", &["addr", "add", &format!("10.7.{net}.{number}/24"), "dev", device]);
            let v6 = format!("fd00:7:{net}::{number}/64");
            hosts.tell(host, "ip", &["addr", "add", &v6, "dev", device, "nodad"]);
            hosts.tell(host, "ip", &["link", "set", device, "up"]);
            hosts.tell(host, "ip", &["link", "set", "lo", "up"]);
            // There is no kernel behind the cable that would finish checksums and segments.
            hosts.tell(
                host,
                "ethtool",
                &["-K", device, "tx", "off", "tso", "off", "gso", "off", "gro", "off"],
            );
            if let Some(gateway) = gateway {
                hosts.tell(host, "ip", &["route", "add", "default", "via", &format!("10.7.{net}.{gateway}")]);
                let v6 = format!("fd00:7:{net}::{gateway}");
                hosts.tell(host, "ip", &["-6", "route", "add", "default", "via", &v6]);
            }
        }
        Some(hosts)
    }

    /// The namespace of a host; of the middle without a name.
    fn space(&self, host: &str) -> String {
        if host.is_empty() { self.name.clone() } else { format!("{}-{host}", self.name) }
    }

    fn enter(&self, host: &str) {
        let file = File::open(format!("/run/netns/{}", self.space(host))).expect("a namespace");
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("to enter it");
    }

    /// Runs a tool on a host, whatever it comes to.
    fn ask(&self, host: &str, tool: &str, arguments: &[&str]) -> Output {
        let space = self.space(host);
        output("ip", &[&["netns", "exec", space.as_str(), tool], arguments].concat())
    }

    /// Runs a tool on a host; it has to succeed.
    fn tell(&self, host: &str, tool: &str, arguments: &[&str]) -> String {
        let output = self.ask(host, tool, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{host}: {tool} {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What `a` is told when it pings an address.
    fn ping(&self, arguments: &[&str]) -> String {
        let output = self.ask("a", "ping", &[&["-n", "-c2", "-i0.1", "-W3"], arguments].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `action` on a thread that is on a host.
    fn on<T: Send>(&self, host: &str, action: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter(host);
                action()
            });
            thread.join().expect("the action on a host")
        })
    }

    /// Sends bytes over TCP from `a` to a port of `b`, and checks that they arrive as they are.
    fn transfer(&self, to: &str, length: usize) {
        use std::io::{Read, Write};
        let to: SocketAddr = to.parse().expect("an address");
        let data: Vec<u8> = (0..length).map(|i| ((i * 31) >> 3) as u8).collect();
        let listener = self.on("b", || TcpListener::bind(to).expect("a listener"));
        std::thread::scope(|scope| {
            let arrived = scope.spawn(|| {
                let mut bytes = Vec::with_capacity(length);
                let (mut stream, _) = listener.accept().expect("a connection");
                stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
                stream.read_to_end(&mut bytes).expect("all bytes");
                bytes
            });
            self.on("a", || {
                let mut stream = TcpStream::connect_timeout(&to, PATIENCE).expect("a connection");
                stream.set_write_timeout(Some(PATIENCE)).expect("a time-out");
                stream.write_all(&data).expect("to send");
            });
            assert!(arrived.join().expect("the receiver") == data, "the bytes have changed on their way");
        });
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in ["a", "m", "b", ""] {
            output("ip", &["netns", "del", &self.space(host)]);
        }
    }
}

fn run(tool: &str, arguments: &[&str]) -> String {
    let output = output(tool, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn output(tool: &str, arguments: &[&str]) -> Output {
    Command::new(tool).args(arguments).output().expect(tool)
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

    hosts.transfer("10.7.2.2:8080", 8 << 20);
    hosts.transfer("[fd00:7:2::2]:8080", 4 << 20);
    if output("iperf3", &["--version"]).status.success() {
        let space = hosts.space("b");
        let mut server = Command::new("ip")
            .args(["netns", "exec", &space, "iperf3", "-s"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("iperf3");
        let begun = Instant::now();
        let said = loop {
            let client = hosts.ask("a", "iperf3", &["-c", "10.7.2.2", "-t1", "-P2", "-J"]);
            if client.status.success() || begun.elapsed() > PATIENCE {
                break String::from_utf8_lossy(&client.stdout).into_owned();
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
    let socket = hosts.on("b", || UdpSocket::bind("10.7.2.2:9000").expect("a socket"));
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let data: Vec<u8> = (0..1400u32).map(|i| (i * 7) as u8).collect();
    hosts.tell("a", "sysctl", &["-qw", "net.ipv4.ip_no_pmtu_disc=1"]);
    let cut = hosts.on("a", || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket"));
    cut.send_to(&data, "10.7.2.2:9000").expect("sent");
    hosts.tell("a", "sysctl", &["-qw", "net.ipv4.ip_no_pmtu_disc=0"]);
    let mut arrived = vec![0; 2000];
    let length = socket.recv(&mut arrived).expect("the datagram");
    assert!(arrived[..length] == data, "it is whole");

    // With DF the senders are told, and remember.
    let said = hosts.ping(&["-Mdo", "-s", "1400", "10.7.2.2"]);
    assert!(said.contains("mtu = 1280") || said.contains("mtu=1280"), "{said}");
    let said = hosts.ping(&["-Mdo", "-s", "1400", "fd00:7:2::2"]);
    assert!(said.contains("mtu: 1280") || said.contains("mtu=1280") || said.contains("mtu = 1280"), "{said}");
    for far in ["10.7.2.2", "fd00:7:2::2"] {
        let known = hosts.tell("a", "ip", &["route", "get", far]);
        assert!(known.contains("mtu 1280"), "the kernel knows the path to {far}: {known}");
    }
    hosts.transfer("10.7.2.2:8080", 4 << 20);
    hosts.transfer("[fd00:7:2::2]:8080", 4 << 20);
    let account = ended(braid);
    let dropped = |reason: &str| account.packets.dropped.get(reason).copied().unwrap_or(0);
    assert!(dropped("router.too_long") >= 2, "{:?}", account.packets.dropped);
}
