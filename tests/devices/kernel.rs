//! Devices on top of a kernel interface: af_packet, af_xdp, pcap on an interface, tap.

use crate::files::{finish_after, frames};
use crate::network::{Network, run};
use crate::rig::{Folder, Run, assert_balanced, call, example, stats};
use capture::{Format, Writer};
use engine::Snapshot;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// The engine in all of these tests; `more` are further lines of its table.
fn engine(more: &str) -> String {
    format!("[engine]\nidle = \"adaptive\"\nsocket = \"braid.sock\"\n{more}\n")
}

/// Two ports, joined both ways through a monitor; the devices with further lines of their tables.
fn joined(a: &str, b: &str) -> String {
    format!(
        "[ports.a]\ndevice = {a}\n[ports.b]\ndevice = {b}\n\
         [nf.watch]\nkind = \"monitor\"\nflows = \"flows.jsonl\"\n\
         [[chain]]\nname = \"there\"\nfrom = \"a\"\npath = [\"watch\"]\nto = \"b\"\n\
         [[chain]]\nname = \"back\"\nfrom = \"b\"\npath = [\"watch\"]\nto = \"a\"\n"
    )
}

/// Flows that the monitor reported, of one protocol.
fn flows(folder: &Folder, protocol: u64) -> Vec<Value> {
    let lines: Vec<Value> = folder
        .read("flows.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("a flow in JSON"))
        .collect();
    lines.into_iter().filter(|flow| flow["proto"] == protocol).collect()
}

/// A number of a flow.
fn number(flow: &Value, key: &str) -> u64 {
    flow[key].as_u64().unwrap_or_else(|| panic!("no {key} in {flow}"))
}

/// Flows of ICMP (1) or ICMPv6 (58) echo: only they have an identifier for a port.
fn pings(folder: &Folder, protocol: u64) -> Vec<Value> {
    flows(folder, protocol).into_iter().filter(|flow| number(flow, "sport") > 0).collect()
}

/// Events of a run as they come, "source name".
fn events(run: &Run<'_>) -> Receiver<String> {
    let mut client = run.client();
    call(&mut client, "events.subscribe", json!({}));
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        while let Ok(event) = client.notification() {
            let word = |key: &str| event["params"][key].as_str().unwrap_or_default().to_owned();
            if sender.send(format!("{} {}", word("source"), word("name"))).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Waits for an event; others that come before it do not matter.
fn await_event(events: &Receiver<String>, wanted: &str) {
    loop {
        let event = events.recv_timeout(Duration::from_secs(5));
        if event.unwrap_or_else(|_| panic!("no event '{wanted}'")) == wanted {
            return;
        }
    }
}

/// Ends a run that has to have gone well.
fn ended(run: Run<'_>) -> Snapshot {
    let ended = run.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    account
}

#[test]
fn af_packet_joins_two_hosts_through_a_firewall_a_monitor_and_a_switch() {
    let Some(network) = Network::new("packet") else { return };
    let folder = Folder::new("devices-packet");
    let chain = |name: &str| {
        format!(
            "[[chain]]\nname = \"from-{name}\"\nfrom = \"{name}\"\npath = [\"edge\", \"watch\", \"switch\"]\n\
             to = [\"a\", \"b\"]\n"
        )
    };
    let config = engine("")
        + "[ports.a]\ndevice = \"net_af_packet0,iface=to-a\"\n[ports.b]\ndevice = \"net_af_packet1,iface=to-b\"\n\
           [nf.edge]\nkind = \"firewall\"\nrules = [\"deny tcp to any port 23\", \"allow ip\"]\n\
           [nf.watch]\nkind = \"monitor\"\nflows = \"flows.jsonl\"\n[nf.switch]\nkind = \"l2fwd\"\n"
        + &chain("a")
        + &chain("b");
    let braid = Run::start(&folder, &config);

    assert!(network.ping("10.9.0.2", 56) && network.ping("fd00:9::2", 56), "pings go both ways");
    network.transfer("10.9.0.2:8080", 4 << 20);
    network.transfer("[fd00:9::2]:8080", 1 << 20);
    let telnet: SocketAddr = "10.9.0.2:23".parse().expect("an address");
    let listener = network.on('b', || TcpListener::bind(telnet).expect("a listener"));
    let attempt = network.on('a', || TcpStream::connect_timeout(&telnet, Duration::from_millis(300)));
    assert!(attempt.is_err(), "the firewall lets nobody through to port 23");
    drop(listener);
    // The driver has the kernel put IPv4 fragments together (PACKET_FANOUT_FLAG_DEFRAG), and what comes of it is
    // longer than a frame may be: it arrives cut, and ends under the name of that. IPv6 fragments pass.
    assert!(!network.ping("10.9.0.2", 4000));
    assert!(network.ping("fd00:9::2", 4000), "IPv6 fragments pass");

    let account = ended(braid);
    let dropped = |reason: &str| account.packets.dropped.get(reason).copied().unwrap_or(0);
    assert!(dropped("edge.denied") >= 1, "{:?}", account.packets.dropped);
    assert_eq!(dropped("edge.ipv4_payload_truncated"), 3, "{:?}", account.packets.dropped);
    assert_eq!(account.packets.dropped.len(), 2, "nothing else is lost: {:?}", account.packets.dropped);
    assert_eq!(
        account.packets.received,
        account.ports["a"].received + account.ports["b"].received,
        "what came in came in by a port"
    );
    let web: Vec<Value> = flows(&folder, 6).into_iter().filter(|flow| flow["dport"] == 8080).collect();
    assert_eq!(web.len(), 2);
    assert!(web.iter().any(|flow| number(flow, "bytes") > 4 << 20), "{web:?}");
    let (v4, v6) = (pings(&folder, 1), pings(&folder, 58));
    assert_eq!((v4.len(), v6.len()), (1, 2), "{v4:?} {v6:?}");
    for flow in v4 {
        assert_eq!((number(&flow, "packets"), number(&flow, "packets_back")), (3, 3), "{flow}");
        assert_eq!((number(&flow, "bytes"), number(&flow, "bytes_back")), (3 * 84, 3 * 84), "{flow}");
    }
}

#[test]
fn af_packet_carries_jumbo_frames_follows_the_link_and_is_promiscuous_on_request() {
    let Some(network) = Network::new("jumbo") else { return };
    let folder = Folder::new("devices-jumbo");
    for host in ['a', 'b'] {
        network.tell(host, "ip", &["link", "set", "eth0", "mtu", "9000"]);
    }
    let port = |number: u32, name: &str, size: &str, more: &str| {
        format!("\"net_af_packet{number},iface=to-{name}{size}\"\nmtu = 9000{more}")
    };
    let large = ",blocksz=16384,framesz=16384,framecnt=256";
    // Of usual frames the ring would cut what is longer; that is refused, with what would be right.
    let config = engine("") + &joined(&port(0, "a", "", ""), &port(1, "b", "", ""));
    let refused = Run::spawn(&folder, &config, &[]).wait();
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains(large), "{}", refused.err);

    let a = port(0, "a", large, "\npromiscuous = false");
    let config = engine("buffers = { size = 16384 }") + &joined(&a, &port(1, "b", large, ""));
    let braid = Run::start(&folder, &config);
    assert!(network.ping_with("10.9.0.2", 8900, &["-Mdo"]), "packets of 8928 bytes arrive whole");
    let (a, b) = (run("ip", &["link", "show", "to-a"]), run("ip", &["link", "show", "to-b"]));
    assert!(!a.contains("PROMISC") && b.contains("PROMISC"), "{a}{b}");
    assert!(a.contains("mtu 9000") && b.contains("mtu 9000"), "{a}{b}");

    let events = events(&braid);
    network.tell('b', "ip", &["link", "set", "eth0", "down"]);
    await_event(&events, "port.b link_down");
    let links = stats(&mut braid.client()).ports;
    assert!(links["a"].link && !links["b"].link);
    network.tell('b', "ip", &["link", "set", "eth0", "up"]);
    await_event(&events, "port.b link_up");
    assert!(network.ping("10.9.0.2", 56), "it works again");
    ended(braid);
    let pings = pings(&folder, 1);
    assert_eq!(pings.len(), 2, "{pings:?}");
    assert_eq!((number(&pings[0], "bytes"), number(&pings[0], "bytes_back")), (3 * 8928, 3 * 8928));
}

/// Two workers behind devices of one queue each: both directions of a flow and all fragments of a datagram meet
/// the same worker, so the monitor has one flow for each, with all its packets.
fn two_workers_keep_flows_together(test: &str, device: impl Fn(&str) -> String) {
    let Some(network) = Network::new(test) else { return };
    let folder = Folder::new(&format!("devices-{test}"));
    let config = engine("workers = 2") + &joined(&device("a"), &device("b"));
    let braid = Run::start(&folder, &config);
    for bytes in [56, 4000] {
        assert!(network.ping("10.9.0.2", bytes) && network.ping("fd00:9::2", bytes), "{bytes} bytes");
    }
    for port in 8000..8016 {
        network.transfer(&format!("10.9.0.2:{port}"), 64 << 10);
    }
    let account = ended(braid);
    assert!(account.packets.dropped.is_empty(), "{:?}", account.packets.dropped);

    let tcp = flows(&folder, 6);
    assert_eq!(tcp.len(), 16, "one flow for each connection");
    assert!(
        tcp.iter().all(|flow| number(flow, "bytes") > 64 << 10 && number(flow, "packets_back") > 2),
        "{tcp:?}"
    );
    // 4008 bytes of ICMP are three fragments, of 20 bytes of IPv4 header each, or of 40 and 8 of IPv6.
    for (protocol, small, large) in [(1, 84, 4008 + 60), (58, 104, 4008 + 144)] {
        let mut counts: Vec<_> = pings(&folder, protocol)
            .iter()
            .map(|flow| ["packets", "bytes", "packets_back", "bytes_back"].map(|key| number(flow, key)))
            .collect();
        counts.sort_unstable();
        assert_eq!(
            counts,
            [[3, 3 * small, 3, 3 * small], [9, 3 * large, 9, 3 * large]],
            "protocol {protocol}"
        );
    }
}

#[test]
fn af_xdp_with_two_workers_keeps_flows_and_fragments_together() {
    use rustix::net::{AddressFamily, SocketType, socket};
    if let Err(error) = socket(AddressFamily::XDP, SocketType::RAW, None)
        && rustix::process::geteuid().is_root()
    {
        println!("skipped: this kernel has no AF_XDP: {error}");
        return;
    }
    let number = |name: &str| u32::from(name == "b");
    two_workers_keep_flows_together("xdp", |name| format!("\"net_af_xdp{},iface=to-{name}\"", number(name)));
}

#[test]
fn pcap_on_an_interface_with_two_workers_keeps_flows_and_fragments_together() {
    let number = |name: &str| u32::from(name == "b");
    two_workers_keep_flows_together("libpcap", |name| {
        format!("\"net_pcap{},iface=to-{name}\"", number(name))
    });
}

#[test]
fn tap_with_two_queues_and_two_workers_joins_this_kernel_to_a_host() {
    let Some(_network) = Network::new("tap") else { return };
    let folder = Folder::new("devices-tap");
    let tap = "\"net_tap0,iface=braid-tap\"\nrx_queues = 2\nmtu = 1400";
    let config = engine("workers = 2") + &joined(tap, "\"net_pcap0,iface=to-b\"");
    let braid = Run::start(&folder, &config);
    let shown = run("ip", &["link", "show", "braid-tap"]);
    assert!(shown.contains("mtu 1400"), "{shown}");
    run("ip", &["addr", "add", "10.9.0.1/24", "dev", "braid-tap"]);
    run("ip", &["link", "set", "braid-tap", "up"]);
    for _ in 0..8 {
        run("ping", &["-q", "-c1", "-W2", "10.9.0.2"]);
    }
    run("ping", &["-q", "-c3", "-i0.05", "-W2", "-s1300", "10.9.0.2"]);
    let events = events(&braid);
    run("ip", &["link", "set", "braid-tap", "down"]);
    await_event(&events, "port.a link_down");
    run("ip", &["link", "set", "braid-tap", "up"]);
    await_event(&events, "port.a link_up");
    let account = ended(braid);
    assert!(account.packets.dropped.is_empty(), "{:?}", account.packets.dropped);
    let pings = pings(&folder, 1);
    assert_eq!(pings.len(), 9, "one flow for each ping");
    let total = |key: &str| pings.iter().map(|flow| number(flow, key)).sum::<u64>();
    assert_eq!((total("packets"), total("packets_back")), (11, 11));
    assert_eq!((total("bytes"), total("bytes_back")), (8 * 84 + 3 * 1328, 8 * 84 + 3 * 1328));
}

#[test]
fn tap_with_one_queue_serves_two_workers_and_drops_what_is_too_long_for_it() {
    let Some(network) = Network::new("tap1") else { return };
    network.tell('b', "ip", &["link", "set", "eth0", "mtu", "9000"]);
    run("ip", &["link", "set", "to-b", "mtu", "9000"]);
    let folder = Folder::new("devices-tap1");
    let config = engine("workers = 2") + &joined("\"net_tap0,iface=braid-tap\"", "\"net_pcap0,iface=to-b\"");
    let braid = Run::start(&folder, &config);
    run("ip", &["addr", "add", "10.9.0.1/24", "dev", "braid-tap"]);
    run("ip", &["link", "set", "braid-tap", "up"]);
    run("ping", &["-q", "-c3", "-i0.05", "-W2", "10.9.0.2"]);
    network.on('b', || {
        let socket = UdpSocket::bind("10.9.0.2:4000").expect("a socket");
        socket.send_to(&[0; 8000], "10.9.0.1:4000").expect("to send");
    });
    run("ping", &["-q", "-c3", "-i0.05", "-W2", "10.9.0.2"]);
    let account = ended(braid);
    assert_eq!(account.packets.dropped.get("a.tx_refused"), Some(&1), "{:?}", account.packets);
    assert_eq!(pings(&folder, 1).len(), 2, "the tap goes on");
}

/// VLAN tags are not in the frame when the kernel hands it over: the driver has to put them back.
#[test]
fn af_packet_keeps_vlan_tags_and_every_byte() {
    let Some(_network) = Network::new("tags") else { return };
    let folder = Folder::new("devices-tags");
    let mut sent = frames(&example("http.pcap"));
    for frame in sent.iter_mut().step_by(2) {
        frame.splice(12..12, [0x81, 0x00, 0x60, 0x05]);
    }
    let source = folder.path("in.pcap");
    let mut writer = Writer::create(&source, Format::Pcap).expect("a capture");
    for (time, frame) in (0..).zip(&sent) {
        writer.write(time, 0, [&frame[..]]).expect("a frame");
    }
    writer.finish().expect("a capture");
    run("ip", &["link", "add", "near", "type", "veth", "peer", "name", "far"]);
    for end in ["near", "far"] {
        run("ip", &["link", "set", end, "up"]);
    }
    let config = engine("")
        + "[ports.in]\ndevice = \"net_pcap0,rx_pcap=in.pcap\"\n[ports.near]\ndevice = \"net_af_packet0,iface=near\"\n\
           [ports.far]\ndevice = \"net_af_packet1,iface=far\"\n[ports.out]\ndevice = \"pcap:out.pcap\"\n\
           [[chain]]\nname = \"there\"\nfrom = \"in\"\nto = \"near\"\n\
           [[chain]]\nname = \"on\"\nfrom = \"far\"\nto = \"out\"\n";
    finish_after(Run::start(&folder, &config), "out", sent.len() as u64);
    assert!(sent == frames(&folder.path("out.pcap")), "what comes out is what went in");
}

#[test]
fn pcap_on_an_interface_carries_jumbo_frames_in_several_segments() {
    let Some(network) = Network::new("segments") else { return };
    let folder = Folder::new("devices-segments");
    for host in ['a', 'b'] {
        network.tell(host, "ip", &["link", "set", "eth0", "mtu", "9000"]);
        run("ip", &["link", "set", &format!("to-{host}"), "mtu", "9000"]);
    }
    let device = |number: u32, host: &str| format!("\"net_pcap{number},iface=to-{host}\"\nmtu = 9000");
    let braid = Run::start(&folder, &(engine("") + &joined(&device(0, "a"), &device(1, "b"))));
    // Buffers are of 2048 bytes: these packets lie in five.
    assert!(
        network.ping_with("10.9.0.2", 8900, &["-Mdo"]) && network.ping_with("fd00:9::2", 8900, &["-Mdo"])
    );
    network.transfer("10.9.0.2:8080", 1 << 20);
    let account = ended(braid);
    assert!(account.packets.dropped.is_empty(), "{:?}", account.packets.dropped);
    assert!(
        account.ports["a"].received_bytes > 500 * account.ports["a"].received,
        "{:?}",
        account.ports["a"]
    );
}
