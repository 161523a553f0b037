//! A firewall that knows connections, between real kernels: a client connects out, and nobody connects in.

mod rig;

#[allow(dead_code, reason = "it is shared with the tests of devices")]
#[path = "devices/network.rs"]
mod network;

use network::Network;
use rig::spaces::exchange;
use rig::{Folder, Run, assert_balanced, call};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

const CONFIG: &str = "\
[engine]
idle = \"adaptive\"
socket = \"braid.sock\"
[ports.a]
device = \"net_pcap0,iface=to-a\"
[ports.b]
device = \"net_pcap1,iface=to-b\"
[nf.edge]
kind = \"firewall\"
rules = [
  \"allow ct state established,related\",
  \"allow icmp6 ct state untracked\",
  \"deny ct state invalid\",
  \"allow from 10.9.0.1,fd00:9::1 ct state new\",
]
tracking.capacity = 1024
[[chain]]
name = \"out\"
from = \"a\"
path = [\"edge\"]
to = \"b\"
[[chain]]
name = \"in\"
from = \"b\"
path = [\"edge\"]
to = \"a\"
";

/// Whether a host can connect to another one that listens there; if so they exchange some bytes.
fn connects(network: &Network, from: char, (at, address): (char, Ipv4Addr)) -> bool {
    let address = SocketAddr::from((address, 7000));
    let listener = network.on(at, || TcpListener::bind(address).expect("a listener"));
    let client = network.on(from, || TcpStream::connect_timeout(&address, Duration::from_secs(2)));
    let Ok(mut client) = client else { return false };
    let (mut server, _) = listener.accept().expect("a connection");
    exchange(&mut client, &mut server);
    exchange(&mut server, &mut client);
    true
}

#[test]
fn a_client_connects_out_and_nobody_connects_in() {
    let Some(network) = Network::new("firewall") else { return };
    let folder = Folder::new("firewall");
    let braid = Run::start(&folder, CONFIG);
    assert!(connects(&network, 'a', ('b', OUTSIDE)), "out");
    assert!(!connects(&network, 'b', ('a', INSIDE)), "in");
    assert!(network.ping("10.9.0.2", 56) && network.ping("fd00:9::2", 56), "answers come in");
    assert!(network.ping("10.9.0.2", 4000), "in fragments too");
    assert!(network.is_refused((OUTSIDE, 9).into()), "an error about a packet of a connection comes in");

    let mut client = braid.client();
    let arguments =
        json!({ "nf": "edge", "command": "connections", "arguments": { "selector": { "port": 7000 } } });
    let listed = call(&mut client, "nf.command", arguments).to_string();
    let (out, back) = ("\"src\":\"10.9.0.1\"", "\"src\":\"10.9.0.2\"");
    assert!(listed.contains(out) && !listed.contains(back), "what was denied left a trace: {listed}");
    let ended = braid.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    assert!(account.packets.dropped["edge.default_denied"] >= 1, "{:?}", account.packets.dropped);
}
