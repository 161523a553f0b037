//! Translation between IP versions, and of IPv6 prefixes, between real kernels.

mod rig;

#[allow(dead_code, reason = "it is shared with the tests of devices")]
#[path = "devices/network.rs"]
mod network;

use network::Network;
use rig::{Folder, Run, assert_balanced, call};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// One NF between `a` and `b`. Not with DPDK's af_packet, which would put fragments of IPv4 together.
fn config(nf: &str) -> String {
    format!(
        "[engine]\nidle = \"adaptive\"\nsocket = \"braid.sock\"\n\
         [ports.a]\ndevice = \"net_pcap0,iface=to-a\"\n[ports.b]\ndevice = \"net_pcap1,iface=to-b\"\n\
         [nf.edge]\n{nf}\n\
         [[chain]]\nname = \"out\"\nfrom = \"a\"\npath = [\"edge\"]\nto = \"b\"\n\
         [[chain]]\nname = \"in\"\nfrom = \"b\"\npath = [\"edge\"]\nto = \"a\"\n"
    )
}

const NAT64: &str =
    "kind = \"nat64\"\npool = [\"9.9.9.1\"]\nforward = { \"tcp 9.9.9.1:8080\" = \"[fd00:9::1]:80\" }";
const NPTV6: &str = "kind = \"nptv6\"\nprefixes = { \"fd00:9::/48\" = \"2001:db8:9::/48\" }";

fn mac(network: &Network, host: char) -> String {
    let shown = network.tell(host, "ip", &["-o", "link", "show", "eth0"]);
    let mac = shown.split_once("link/ether ").expect("a MAC address").1;
    mac.split(' ').next().expect("a MAC address").to_owned()
}

/// Runs `ip` on a host.
fn ip(network: &Network, host: char, words: &str) {
    network.tell(host, "ip", &words.split(' ').collect::<Vec<_>>());
}

/// `a` knows IPv6 only and `b` IPv4 only; each takes the other's cable for the way to what the translator stands for.
fn one_version_each(test: &str) -> Option<Network> {
    let network = Network::new(test)?;
    let (a, b) = (mac(&network, 'a'), mac(&network, 'b'));
    ip(&network, 'a', "-4 addr flush dev eth0");
    ip(&network, 'b', "addr flush dev eth0");
    ip(&network, 'a', &format!("neigh replace fd00:9::64 lladdr {b} dev eth0"));
    ip(&network, 'a', "route add 64:ff9b::/96 via fd00:9::64 dev eth0");
    ip(&network, 'b', "addr add 9.9.9.9/24 dev eth0");
    ip(&network, 'b', &format!("neigh replace 9.9.9.1 lladdr {a} dev eth0"));
    Some(network)
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address with a port")
}

/// Connects from a host to an address, behind which another host listens; both send something. Whom the listener saw.
fn visit(network: &Network, (from, to): (char, &str), (host, listen): (char, &str)) -> Option<IpAddr> {
    let listener = network.on(host, || TcpListener::bind(at(listen)).expect("a listener"));
    let mut client = network.on(from, || TcpStream::connect_timeout(&at(to), Duration::from_secs(5))).ok()?;
    let (mut server, seen) = listener.accept().expect("a connection");
    for sends in [true, false] {
        let (sender, receiver) = if sends { (&mut client, &mut server) } else { (&mut server, &mut client) };
        receiver.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
        sender.write_all(&[7; 30_000]).expect("to send");
        let mut bytes = [0; 30_000];
        receiver.read_exact(&mut bytes).expect("all of it");
        assert_eq!(bytes, [7; 30_000]);
    }
    Some(seen.ip())
}

/// A question and an answer by UDP of so many bytes each; whom the server saw.
fn ask(network: &Network, to: &str, listen: &str, len: usize) -> IpAddr {
    let server = network.on('b', || UdpSocket::bind(at(listen)).expect("a socket"));
    let any = if at(to).is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
    let client = network.on('a', || UdpSocket::bind(at(any)).expect("a socket"));
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    }
    let mut bytes = vec![0; 10_000];
    client.send_to(&vec![3; len], at(to)).expect("to send");
    let (n, from) = server.recv_from(&mut bytes).expect("the question");
    assert!(bytes[..n] == vec![3; len]);
    server.send_to(&vec![4; len], from).expect("to send");
    let (n, _) = client.recv_from(&mut bytes).expect("the answer");
    assert!(bytes[..n] == vec![4; len]);
    from.ip()
}

#[test]
fn an_ipv6_host_and_an_ipv4_host_meet_through_nat64() {
    let Some(network) = one_version_each("nat64") else { return };
    let folder = Folder::new("nat64");
    let braid = Run::start(&folder, &config(NAT64));
    for bytes in [0, 56, 1400] {
        assert!(network.ping("64:ff9b::9.9.9.9", bytes), "{bytes}");
    }
    let pool: IpAddr = "9.9.9.1".parse().expect("an address");
    assert_eq!(visit(&network, ('a', "[64:ff9b::9.9.9.9]:7000"), ('b', "9.9.9.9:7000")), Some(pool));
    let seen = visit(&network, ('b', "9.9.9.1:8080"), ('a', "[fd00:9::1]:80"));
    assert_eq!(seen, Some("64:ff9b::9.9.9.9".parse().expect("an address")));
    // In one packet, and in fragments.
    for len in [100, 1400, 4000] {
        assert_eq!(ask(&network, "[64:ff9b::9.9.9.9]:5300", "9.9.9.9:5300", len), pool, "{len}");
    }
    assert!(network.is_refused(at("[64:ff9b::9.9.9.9]:9")));
    let mut client = braid.client();
    let listed =
        call(&mut client, "nf.command", json!({ "nf": "edge", "command": "mappings", "arguments": {} }));
    assert!(listed.to_string().contains("[fd00:9::1]:"), "{listed}");
    let ended = braid.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_balanced(&ended.account());
}

/// A tool that runs on a host until the test is over.
struct Tool(Child);

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
fn curl_and_iperf3_reach_an_ipv4_server() {
    let Some(network) = one_version_each("nat64-curl") else { return };
    let folder = Folder::new("nat64-curl");
    let braid = Run::start(&folder, &config(NAT64));
    if is_installed("curl") {
        let web = network.on('b', || TcpListener::bind(at("9.9.9.9:8000")).expect("a listener"));
        let page = std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = web.accept().expect("a visitor");
                let _ = stream.read(&mut [0; 2000]);
                stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello").expect("to answer");
            });
            network.tell('a', "curl", &["-gsS", "--max-time", "10", "http://[64:ff9b::9.9.9.9]:8000/"])
        });
        assert_eq!(page, "hello");
    }
    if is_installed("iperf3") {
        let space = network.host('b');
        let mut server = Command::new("ip");
        server.args(["netns", "exec", &space, "iperf3", "-s", "-B", "9.9.9.9"]);
        let _server = Tool(server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("ip runs"));
        for direction in [&[][..], &["-R"], &["-u", "-b", "20M"]] {
            let begun = Instant::now();
            // The server may not be up yet, or busy with who was there before.
            let bytes = loop {
                let space = network.host('a');
                let fixed =
                    ["netns", "exec", space.as_str(), "iperf3", "-c", "64:ff9b::909:909", "-t", "1", "-J"];
                let output = Command::new("ip").args(fixed).args(direction).output().expect("ip runs");
                let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
                let sums = ["sum_received", "sum"].map(|key| report["end"][key]["bytes"].as_u64());
                if let Some(bytes) = sums.into_iter().flatten().next() {
                    break bytes;
                }
                assert!(
                    begun.elapsed() < Duration::from_secs(20),
                    "iperf3 {direction:?} does not get through"
                );
                std::thread::sleep(Duration::from_millis(100));
            };
            assert!(bytes > 1 << 20, "{direction:?}: {bytes} bytes");
            println!("iperf3 {direction:?}: {} Mbit/s", bytes * 8 / 1_000_000);
        }
    }
    let ended = braid.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_balanced(&ended.account());
}

#[test]
fn hosts_meet_through_another_prefix() {
    let Some(network) = Network::new("nptv6") else { return };
    let (a, b) = (mac(&network, 'a'), mac(&network, 'b'));
    ip(&network, 'b', "-6 addr flush dev eth0");
    ip(&network, 'b', "addr add 2001:db8:ffff::2/64 dev eth0 nodad");
    ip(&network, 'a', &format!("neigh replace fd00:9::fe lladdr {b} dev eth0"));
    ip(&network, 'a', "route add 2001:db8::/32 via fd00:9::fe dev eth0");
    ip(&network, 'b', &format!("neigh replace 2001:db8:ffff::fe lladdr {a} dev eth0"));
    ip(&network, 'b', "route add 2001:db8:9::/48 via 2001:db8:ffff::fe dev eth0");
    let folder = Folder::new("nptv6");
    let braid = Run::start(&folder, &config(NPTV6));
    for bytes in [56, 4000] {
        assert!(network.ping("2001:db8:ffff::2", bytes), "{bytes}");
    }
    let seen = visit(&network, ('a', "[2001:db8:ffff::2]:7000"), ('b', "[2001:db8:ffff::2]:7000"));
    let seen = seen.expect("a connection");
    // fd00 + 9 - (2001 + db8 + 9) in one's complement, for the subnet.
    assert_eq!(seen, "2001:db8:9:cf47::1".parse::<IpAddr>().expect("an address"));
    assert_eq!(ask(&network, "[2001:db8:ffff::2]:5300", "[2001:db8:ffff::2]:5300", 4000), seen);
    // The other way round, to the address that was seen.
    let back = visit(&network, ('b', "[2001:db8:9:cf47::1]:7000"), ('a', "[fd00:9::1]:7000"));
    assert_eq!(back, Some("2001:db8:ffff::2".parse().expect("an address")));
    assert!(network.is_refused(at("[2001:db8:ffff::2]:9")));
    let ended = braid.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_balanced(&ended.account());
}
