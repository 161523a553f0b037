//! The load balancer between real clients and servers: `curl` and Python's `http.server`, in network namespaces.

mod rig;

#[allow(dead_code, reason = "the tests of devices use the rest")]
#[path = "devices/network.rs"]
mod network;

use network::Network;
use rig::spaces::{self, Spaces};
use rig::{Folder, Run, assert_balanced, call};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a page may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A web server on `b`, whose page `who` has its name.
fn server(network: &Network, folder: &Folder, name: &str, address: &str, port: u16) -> Server {
    let root = folder.path(name);
    std::fs::create_dir_all(&root).expect("a folder");
    std::fs::write(root.join("who"), name).expect("a page");
    let (port, root) = (port.to_string(), root.display().to_string());
    let child = network.on('b', || {
        let mut python = Command::new("python3");
        python.args(["-m", "http.server", &port, "--bind", address, "--directory", &root]);
        python.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("python3")
    });
    Server(child)
}

/// The page that `a` gets; empty when there is none.
fn get(network: &Network, url: &str) -> String {
    let output = network
        .on('a', || Command::new("curl").args(["-s", "-g", "--max-time", "5", url]).output().expect("curl"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until a page is there: Python takes its time.
fn await_page(network: &Network, url: &str, name: &str) {
    let begun = Instant::now();
    while get(network, url) != name {
        assert!(begun.elapsed() < Duration::from_secs(20), "{name} does not answer at {url}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const MACS: [(char, &str); 2] = [('a', "02:00:00:00:00:0a"), ('b', "02:00:00:00:00:0b")];
const BALANCER: &str = "02:00:00:00:00:01";

const CONFIG: &str = r#"
[engine]
idle = "adaptive"
socket = "braid.sock"
[ports.a]
device = "net_af_packet0,iface=to-a"
[ports.b]
device = "net_af_packet1,iface=to-b"

[nf.front]
kind = "lb"
table_size = 251
clients_mac = "02:00:00:00:00:0a"
[[nf.front.services]]
address = "10.9.0.100"
port = 80
mode = "nat"
backends = [
  { name = "one", address = "10.9.0.2", port = 8001, mac = "02:00:00:00:00:0b" },
  { name = "two", address = "10.9.0.3", port = 8002, mac = "02:00:00:00:00:0b" },
]
[[nf.front.services]]
address = "fd00:9::100"
port = 80
mode = "nat"
backends = [{ name = "six", address = "fd00:9::2", port = 8006, mac = "02:00:00:00:00:0b" }]
[[nf.front.services]]
address = "10.9.0.101"
port = 80
mode = "mac"
backends = [{ name = "direct", address = "10.9.0.2", mac = "02:00:00:00:00:0b" }]
[[nf.front.services]]
address = "10.9.0.102"
port = 80
mode = "ipip"
local = "10.9.0.254"
mtu = 9000
backends = [{ name = "tunnelled", address = "10.9.0.2", mac = "02:00:00:00:00:0b" }]

# What a back-end behind a tunnel does: the kernel need not have a device for it.
[nf.unwrap]
kind = "ipip"
decap = { local = "10.9.0.2", remote = "10.9.0.254", other = "pass" }

[[chain]]
name = "there"
from = "a"
path = ["front", "unwrap"]
to = "b"
[[chain]]
name = "back"
from = "b"
path = ["front"]
to = "a"
"#;

#[test]
fn real_http_goes_through_in_every_mode() {
    let Some(network) = Network::new("lb") else { return };
    for tool in ["curl", "python3"] {
        if Command::new(tool).arg("--version").output().is_err() {
            println!("skipped: {tool} is not installed");
            return;
        }
    }
    let folder = Folder::new("lb");
    for (host, mac) in MACS {
        network.tell(host, "ip", &["link", "set", "eth0", "address", mac]);
    }
    for address in ["10.9.0.100", "10.9.0.101", "10.9.0.102", "fd00:9::100"] {
        let entry = ["neigh", "add", address, "lladdr", BALANCER, "dev", "eth0", "nud", "permanent"];
        network.tell('a', "ip", &entry);
    }
    for address in ["10.9.0.1", "fd00:9::1"] {
        let entry = ["neigh", "add", address, "lladdr", MACS[0].1, "dev", "eth0", "nud", "permanent"];
        network.tell('b', "ip", &entry);
    }
    network.tell('b', "ip", &["addr", "add", "10.9.0.3/24", "dev", "eth0"]);
    network.tell('b', "ip", &["link", "set", "lo", "up"]);
    for address in ["10.9.0.101/32", "10.9.0.102/32"] {
        network.tell('b', "ip", &["addr", "add", address, "dev", "lo"]);
    }
    let servers = [
        ("one", "10.9.0.2", 8001),
        ("two", "10.9.0.3", 8002),
        ("six", "fd00:9::2", 8006),
        ("direct", "10.9.0.101", 80),
        ("tunnelled", "10.9.0.102", 80),
    ];
    let _servers = servers.map(|(name, address, port)| server(&network, &folder, name, address, port));
    let braid = Run::start(&folder, CONFIG);

    await_page(&network, "http://[fd00:9::100]/who", "six");
    await_page(&network, "http://10.9.0.101/who", "direct");
    await_page(&network, "http://10.9.0.102/who", "tunnelled");
    let front = "http://10.9.0.100/who";
    await_page(&network, front, "one");
    await_page(&network, front, "two");
    // Both have a share; one that drains gets nothing new.
    let met: BTreeSet<String> = (0..24).map(|_| get(&network, front)).collect();
    assert_eq!(met, ["one", "two"].map(str::to_owned).into());
    let set = |health: &str| {
        let arguments = json!({ "backend": "one", "health": health });
        let command = json!({ "nf": "front", "command": "set", "arguments": arguments });
        call(&mut braid.client(), "nf.command", command);
    };
    for health in ["drain", "down"] {
        set(health);
        for _ in 0..8 {
            assert_eq!(get(&network, front), "two", "{health}");
        }
    }
    set("up");
    await_page(&network, front, "one");

    let ended = braid.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    assert!(account.packets.dropped.is_empty(), "{:?}", account.packets.dropped);
}

/// A router, at whose other side is a client, and a server with the balancer between them.
const NARROW: &str = r#"
[engine]
idle = "adaptive"
socket = "braid.sock"
[ports.router]
device = "net_af_packet0,iface=to-router"
[ports.server]
device = "net_af_packet1,iface=to-server"
[nf.front]
kind = "lb"
table_size = 251
clients_mac = "02:00:00:00:00:0a"
[[nf.front.services]]
address = "10.9.0.100"
port = 80
mode = "nat"
backends = [{ name = "one", address = "10.9.0.2", port = 8001, mac = "02:00:00:00:00:0b" }]
[[chain]]
name = "there"
from = "router"
path = ["front"]
to = "server"
[[chain]]
name = "back"
from = "server"
path = ["front"]
to = "router"
"#;

#[test]
fn a_server_behind_nat_hears_of_a_narrow_path_to_its_client() {
    let Some(spaces) = Spaces::new("lbmtu", &["client", "router", "server"]) else { return };
    let (router, client) = (spaces.of("router"), spaces.of("client"));
    let between = ["link", "add", "narrow", "netns", &router, "type", "veth"];
    spaces::run("ip", &[&between[..], &["peer", "name", "eth0", "netns", &client]].concat());
    for (host, mac, addresses) in [
        ("router", MACS[0].1, ["10.9.0.1/24", "fd00:9::1/64"]),
        ("server", MACS[1].1, ["10.9.0.2/24", "fd00:9::2/64"]),
    ] {
        spaces.join(host);
        spaces.tell(host, "ip", &["link", "set", "eth0", "address", mac]);
        spaces.address(host, "eth0", addresses);
    }
    spaces.address("router", "narrow", ["10.8.0.1/24", "fd00:8::1/64"]);
    spaces.address("client", "eth0", ["10.8.0.2/24", "fd00:8::2/64"]);
    // The client says that it takes 1 460 bytes, and the way to it does not.
    spaces.tell("router", "ip", &["link", "set", "narrow", "mtu", "1300"]);
    spaces.tell("router", "sysctl", &["-qw", "net.ipv4.ip_forward=1"]);
    spaces.tell("client", "ip", &["route", "add", "default", "via", "10.8.0.1"]);
    spaces.tell("server", "ip", &["route", "add", "10.8.0.0/24", "via", "10.9.0.1"]);
    for (host, address, mac) in [("router", "10.9.0.100", BALANCER), ("server", "10.9.0.1", MACS[0].1)] {
        let entry = ["neigh", "add", address, "lladdr", mac, "dev", "eth0", "nud", "permanent"];
        spaces.tell(host, "ip", &entry);
    }
    let folder = Folder::new("lbmtu");
    let page: Vec<u8> = (0..300_000u32).map(|i| (i >> 3) as u8).collect();
    let listener = spaces.on("server", || TcpListener::bind("10.9.0.2:8001").expect("a listener"));
    let braid = Run::start(&folder, NARROW);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_write_timeout(Some(PATIENCE)).expect("a time-out");
            stream.write_all(&page).expect("to send");
        });
        let arrived = spaces.on("client", || {
            let front = "10.9.0.100:80".parse().expect("an address");
            let mut stream = TcpStream::connect_timeout(&front, PATIENCE).expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).expect("all bytes");
            bytes
        });
        assert!(arrived == page, "the page has changed on its way");
    });
    let known = spaces.tell("server", "ip", &["route", "get", "10.8.0.2"]);
    assert!(known.contains("mtu 1300"), "{known}");
    let ended = braid.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(ended.account().packets.dropped.is_empty(), "{:?}", ended.account().packets.dropped);
}
