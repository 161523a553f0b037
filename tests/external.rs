//! NFs of other people behind ports, as they are: the Linux kernel's address translation, and ettercap, which looks into
//! packets for what its rule forbids; one by one, and side by side. Hosts and NFs are in network namespaces.

mod rig;

use rig::spaces::{Spaces, run};
use rig::{Folder, Run, assert_balanced, call, stats};
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take that happens at once on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
/// Of the translator, on the outside: who its clients seem to be.
const TRANSLATED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

/// Two hosts, a translator and an inspector, each with cables to the middle: `a` is inside, `b` outside.
struct Town {
    spaces: Spaces,
    inspector: Option<Child>,
}

impl Town {
    /// Builds it; without root or a tool it says so and is `None`.
    fn new(test: &str) -> Option<Town> {
        let tools = [("nft", "--version"), ("etterfilter", "--version"), ("iperf3", "--version")];
        for (tool, arguments) in tools {
            if Command::new(tool).arg(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
            {
                println!("skipped: {tool} is not installed");
                return None;
            }
        }
        let spaces = Spaces::new(test, &["a", "b", "nat", "ids"])?;
        for (here, host, there) in [
            ("braid-a", "a", "eth0"),
            ("braid-b", "b", "eth0"),
            ("nat-a", "nat", "a"),
            ("nat-b", "nat", "b"),
            ("ids-a", "ids", "a"),
            ("ids-b", "ids", "b"),
        ] {
            let space = spaces.of(host);
            run("ip", &["link", "add", here, "type", "veth", "peer", "name", there, "netns", &space]);
            run("ip", &["link", "set", "dev", here, "up"]);
            spaces.tell(host, "sysctl", &["-qw", "net.ipv6.conf.all.disable_ipv6=1"]);
            spaces.tell(host, "ip", &["link", "set", "dev", there, "up"]);
            // No half checksums, and no packets glued together: there is no kernel in between that would know of it.
            spaces.tell(
                host,
                "ethtool",
                &["-K", there, "tx", "off", "tso", "off", "gso", "off", "gro", "off"],
            );
        }
        Some(Town { spaces, inspector: None })
    }

    fn address(&self, host: &str, interface: &str, address: &str) {
        self.spaces.tell(host, "ip", &["addr", "add", address, "dev", interface]);
    }

    /// The kernel in `nat` routes from inside to outside, and gives everybody the address of its outside.
    fn translate(&self) {
        self.address("a", "eth0", "10.9.0.1/24");
        self.spaces.tell("a", "ip", &["route", "add", "default", "via", "10.9.0.254"]);
        self.address("b", "eth0", "203.0.113.9/24");
        self.address("nat", "a", "10.9.0.254/24");
        self.address("nat", "b", "203.0.113.1/24");
        self.spaces.tell("nat", "sysctl", &["-qw", "net.ipv4.ip_forward=1"]);
        self.spaces.tell(
            "nat",
            "nft",
            &["add table ip t; add chain ip t p { type nat hook postrouting priority 100; }; \
               add rule ip t p oif \"b\" masquerade"],
        );
    }

    /// ettercap in `ids` lets through what does not say "forbidden".
    fn inspect(&mut self, folder: &Folder) {
        let rules = folder.file("ids.ecf", "if (search(DATA.data, \"forbidden\")) {\n   drop();\n}\n");
        let compiled = folder.path("ids.ef");
        run("etterfilter", &[&rules.display().to_string(), "-o", &compiled.display().to_string()]);
        let said = folder.path("ids.log");
        let space = self.spaces.of("ids");
        let arguments = ["netns", "exec", &space, "ettercap", "-T", "-q", "-i", "a", "-B", "b", "-F"];
        let child = Command::new("ip")
            .args(arguments)
            .arg(&compiled)
            .stdin(Stdio::null())
            .stdout(File::create(&said).expect("a file"))
            .stderr(Stdio::null())
            .spawn()
            .expect("ettercap starts");
        self.inspector = Some(child);
        let begun = Instant::now();
        while !folder.read("ids.log").contains("Text only Interface activated") {
            assert!(begun.elapsed() < PATIENCE, "ettercap does not start: {}", folder.read("ids.log"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop_inspector(&mut self) {
        if let Some(mut child) = self.inspector.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn ping(&self, to: Ipv4Addr, bytes: usize) -> bool {
        let (to, bytes) = (to.to_string(), bytes.to_string());
        self.spaces.ask("a", "ping", &["-q", "-c3", "-i0.1", "-W2", "-s", &bytes, &to]).status.success()
    }

    /// Pings until there is an answer to each of three.
    fn assert_reaches(&self, to: Ipv4Addr) {
        let begun = Instant::now();
        while !self.ping(to, 56) {
            assert!(begun.elapsed() < PATIENCE, "no answer from {to}");
        }
    }

    /// Who `a` is for `b`, over TCP with some bytes in it.
    fn visitor(&self, to: Ipv4Addr) -> IpAddr {
        let listener = self.spaces.on("b", || TcpListener::bind((to, 7000)).expect("a listener"));
        std::thread::scope(|scope| {
            let seen = scope.spawn(|| {
                let (mut stream, from) = listener.accept().expect("a connection");
                std::io::copy(&mut stream, &mut std::io::sink()).expect("all bytes");
                from.ip()
            });
            self.spaces.on("a", || {
                let to = (to, 7000).into();
                let mut stream = TcpStream::connect_timeout(&to, PATIENCE).expect("a connection");
                stream.write_all(&[7; 100_000]).expect("to send");
            });
            seen.join().expect("the listener")
        })
    }

    /// Which of three datagrams arrive: the second says what is forbidden.
    fn datagrams(&self, to: Ipv4Addr) -> Vec<String> {
        let receiver = self.spaces.on("b", || UdpSocket::bind((to, 5555)).expect("a socket"));
        receiver.set_read_timeout(Some(Duration::from_millis(1500))).expect("a time-out");
        self.spaces.on("a", || {
            let sender = UdpSocket::bind("0.0.0.0:5555").expect("a socket");
            for text in ["good morning", "a forbidden word", "good evening"] {
                sender.send_to(text.as_bytes(), (to, 5555)).expect("to send");
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let mut bytes = [0; 2000];
        let received = std::iter::from_fn(|| receiver.recv(&mut bytes).ok().map(|n| bytes[..n].to_vec()));
        received.map(|bytes| String::from_utf8(bytes).expect("text")).collect()
    }

    /// Two seconds of iperf3 from `a` to `b`: bits per second that arrived.
    fn iperf(&self, to: Ipv4Addr) -> f64 {
        let space = self.spaces.of("b");
        let begun = Instant::now();
        loop {
            let mut server = Command::new("ip")
                .args(["netns", "exec", &space, "iperf3", "-s", "-1"])
                .stdout(Stdio::null())
                .spawn()
                .expect("iperf3 starts");
            let ended = self.spaces.ask("a", "iperf3", &["-c", &to.to_string(), "-t", "2", "-J"]);
            let _ = server.kill();
            let _ = server.wait();
            // One that comes before the server listens, or whose control connection breaks, has no sum.
            let report = serde_json::from_slice::<serde_json::Value>(&ended.stdout).unwrap_or_default();
            if let Some(rate) = report["end"]["sum_received"]["bits_per_second"].as_f64() {
                break rate;
            }
            assert!(begun.elapsed() < PATIENCE, "iperf3: {}", String::from_utf8_lossy(&ended.stdout));
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        self.stop_inspector();
    }
}

const ENGINE: &str = "[engine]\nidle = \"adaptive\"\nsocket = \"braid.sock\"\n";

fn port(number: u32, name: &str, interface: &str) -> String {
    format!("[ports.{name}]\ndevice = \"net_pcap{number},iface={interface}\"\n")
}

const CHAINS: &str = "\
[[chain]]
name = \"outward\"
from = \"a\"
path = [\"outward\"]
to = \"b\"
[[chain]]
name = \"inward\"
from = \"b\"
path = [\"inward\"]
to = \"a\"
";

/// Ends a run, without anything in flight.
fn ended(run: Run<'_>) -> engine::Snapshot {
    let ended = run.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    account
}

/// A counter of an NF, over its chain and its way back.
fn counted(account: &engine::Snapshot, nf: &str, counter: &str) -> u64 {
    let nodes = account.chains.values().filter_map(|chain| chain.nfs.get(nf));
    nodes.filter_map(|node| node.counters.get(counter)).sum()
}

/// A short run of `scripts/flood outside`.
#[test]
fn an_nf_that_fails_in_every_way_takes_nobody_else_along() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/flood");
    let ended = Command::new(script)
        .args(["outside", "--packets", "1e5"])
        .env("BRAID", env!("CARGO_BIN_EXE_braid"))
        .output()
        .expect("scripts/flood runs");
    let (said, wrong) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    println!("{said}");
    assert!(ended.status.success() && said.contains("PASS  the account at the end"), "{said}{wrong}");
}

#[test]
fn the_kernel_translates_addresses_behind_two_ports() {
    let Some(town) = Town::new("ext-nat") else { return };
    let folder = Folder::new("external-nat");
    town.translate();
    let nf = |name: &str, out: &str, back: &str, address: &str, port: &str| {
        format!(
            "[nf.{name}]\nkind = \"external\"\nout = \"{out}\"\nin = \"{back}\"\ncarrier = \"id\"\n\
             writes = [\"eth.src\", \"eth.dst\", \"ip.ttl\", \"{address}\", \"{port}\", \"icmp_rest\"]\n\
             timeout = \"500ms\"\n"
        )
    };
    let config = ENGINE.to_owned()
        + &port(0, "a", "braid-a")
        + &port(1, "b", "braid-b")
        + &port(2, "nat_a", "nat-a")
        + &port(3, "nat_b", "nat-b")
        + &nf("outward", "nat_a", "nat_b", "ip.src", "sport")
        + &nf("inward", "nat_b", "nat_a", "ip.dst", "dport")
        + CHAINS;
    let braid = Run::start(&folder, &config);
    town.assert_reaches(OUTSIDE);
    assert!(town.ping(OUTSIDE, 4000), "fragments go to the NF without an id");
    assert_eq!(town.visitor(OUTSIDE), IpAddr::from(TRANSLATED), "the kernel has translated");
    let rate = town.iperf(OUTSIDE);
    println!("iperf3 through the kernel's translation: {:.0} Mb/s", rate / 1e6);
    assert!(rate > 1e6, "{rate}");

    // The kernel stops: its packets are lost, and when it goes on all is as before.
    town.spaces.tell("nat", "ip", &["link", "set", "dev", "b", "down"]);
    assert!(!town.ping(OUTSIDE, 56));
    town.spaces.tell("nat", "ip", &["link", "set", "dev", "b", "up"]);
    town.assert_reaches(OUTSIDE);
    let begun = Instant::now();
    let mut client = braid.client();
    loop {
        let flight =
            call(&mut client, "nf.command", json!({ "nf": "outward", "command": "flight", "arguments": {} }));
        if flight.to_string().contains("\"in_flight\":0") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "packets stay in flight: {flight}");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(stats(&mut client).packets.held, 0);
    let account = ended(braid);
    for nf in ["outward", "inward"] {
        assert!(counted(&account, nf, "answered") > 100, "{nf}: {:?}", account.chains);
        assert!(counted(&account, nf, "generated") > 0, "{nf}: its ARP");
    }
    assert!(counted(&account, "outward", "timed_out") >= 1, "{:?}", account.chains);
}

#[test]
fn a_program_that_looks_into_packets_drops_what_its_rule_forbids() {
    let Some(mut town) = Town::new("ext-ids") else { return };
    let folder = Folder::new("external-ids");
    town.address("a", "eth0", "10.9.0.1/24");
    town.address("b", "eth0", "10.9.0.2/24");
    town.inspect(&folder);
    let nf = |name: &str, out: &str, back: &str| {
        format!(
            "[nf.{name}]\nkind = \"external\"\nout = \"{out}\"\nin = \"{back}\"\ncarrier = \"id\"\nwrites = []\n\
             fifo = true\ntimeout = \"500ms\"\n"
        )
    };
    let config = ENGINE.to_owned()
        + &port(0, "a", "braid-a")
        + &port(1, "b", "braid-b")
        + &port(2, "ids_a", "ids-a")
        + &port(3, "ids_b", "ids-b")
        + &nf("outward", "ids_a", "ids_b")
        + &nf("inward", "ids_b", "ids_a")
        + CHAINS;
    let braid = Run::start(&folder, &config);
    let to = Ipv4Addr::new(10, 9, 0, 2);
    town.assert_reaches(to);
    assert_eq!(town.datagrams(to), ["good morning", "good evening"]);
    assert_eq!(town.visitor(to), IpAddr::from(INSIDE));

    // Without it nothing passes; once it is back, everything does.
    town.stop_inspector();
    assert!(!town.ping(to, 56));
    town.inspect(&folder);
    town.assert_reaches(to);
    let account = ended(braid);
    let missed = counted(&account, "outward", "gaps") + counted(&account, "outward", "timed_out");
    assert!(missed >= 1, "the datagram that was dropped is missed: {:?}", account.chains);
}

#[test]
fn both_run_side_by_side_on_the_same_packets() {
    let Some(mut town) = Town::new("ext-both") else { return };
    let folder = Folder::new("external-both");
    town.translate();
    town.inspect(&folder);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/external.toml");
    let text = std::fs::read_to_string(example).expect("the example");
    let braid = Run::start(&folder, &text.replace("[engine]\n", "[engine]\nsocket = \"braid.sock\"\n"));
    town.assert_reaches(OUTSIDE);
    assert_eq!(town.visitor(OUTSIDE), IpAddr::from(TRANSLATED), "the kernel has translated");
    let rate = town.iperf(OUTSIDE);
    println!("iperf3 through both: {:.0} Mb/s", rate / 1e6);
    assert!(rate > 1e5, "{rate}");
    // Behind a packet that it drops, ettercap numbers identifications anew, so that what follows cannot be known again.
    assert_eq!(town.datagrams(OUTSIDE)[..], ["good morning"], "the other has inspected");
    let account = ended(braid);
    assert!(counted(&account, "outward", "merged") > 50, "{:?}", account.chains);
    assert!(counted(&account, "outward", "gaps") + counted(&account, "outward", "timed_out") >= 1);
}
