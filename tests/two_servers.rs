//! Packets side by side on two servers: agents as processes in network namespaces, a mirror on one server and the merge on
//! the other (M/M) or on the same one (MM), over VXLAN and over VLAN tags. What arrives is what one `braid replay` makes of
//! the same packets with the same chain in order.

mod rig;

#[allow(dead_code, reason = "the tests of agents use the rest")]
#[path = "agent/cluster.rs"]
mod cluster;

use cluster::{Cluster, Process, until};
use dpdk::{Eal, EalOptions, Mbufs, Pool, Port, PortConfig, RxQueue, TxQueue};
use engine::Snapshot;
use rig::spaces::{Spaces, run};
use rig::{Folder, assert_balanced, braid, example};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Of all interfaces: room for a frame of 1522 bytes with two tags, in a VXLAN.
const MTU: &str = "1700";
/// How long all frames may take.
const PATIENCE: Duration = Duration::from_secs(90);
const CAPTURES: [&str; 5] = ["dns.pcap", "http.pcap", "ping.pcap", "tls.pcap", "vlan.pcapng"];
/// Frames that the second server has yet to see: few, as the ring of a `net_pcap` holds sixteen that come one by one.
const WINDOW: usize = 4;
/// How long one half of a packet waits for the other: longer than a busy machine takes.
const TIMEOUT: &str = "2s";

/// `edge` and `inspect` drop packets in the midst of flows, `swap` and `rewrite` write.
const NFS: &str = r#"
[nf.edge]
kind = "firewall"
rules = ["deny udp to any port 53", "deny tcp from any port 80,443 flags psh/psh,fin", "allow ip"]
[nf.swap]
kind = "mac_swap"
[nf.rewrite]
kind = "static_nat"
icmp_errors = "pass"
source = { "10.0.0.0/8" = "172.0.0.0/8" }
[nf.inspect]
kind = "firewall"
rules = ["deny tcp to any port 80 flags psh", "deny icmp type echo-reply", "allow ip"]
"#;
const PATH: &str = "path = [\"edge\", \"swap\", \"rewrite\", \"inspect\"]\n";

/// A chain there, with two pairs side by side. `rewrite` and `inspect` are on these servers.
fn wanted(chain: &str, rewrite: &str, inspect: &str) -> String {
    let on: String = [("edge", "s1"), ("swap", "s2"), ("rewrite", rewrite), ("inspect", inspect)]
        .map(|(nf, server)| format!("[need.{nf}]\ncpu = 0.1\non = [\"{server}\"]\n"))
        .concat();
    format!(
        "{NFS}{on}[[chain]]\nname = \"{chain}\"\nfrom = \"lan\"\n{PATH}to = \"wan\"\nbeside = [\n\
         {{ nfs = [\"edge\", \"swap\"], writes = [\"eth.src\", \"eth.dst\"], timeout = \"{TIMEOUT}\" }},\n\
         {{ nfs = [\"rewrite\", \"inspect\"], writes = [], timeout = \"{TIMEOUT}\" }},\n]\n"
    )
}

fn mac(number: u8) -> String {
    format!("02:00:00:00:01:0{number}")
}

/// s1 and s2 on a cable, with loops, and with etcd on a switch in the middle, to where s1's `lan` leads too.
fn network(spaces: &Spaces) {
    run("ip", &["link", "add", "mgmt", "type", "bridge"]);
    run("ip", &["link", "set", "mgmt", "up"]);
    run("ip", &["addr", "add", "10.255.0.254/24", "dev", "mgmt"]);
    let far = spaces.of("s2");
    for server in ["s1", "s2"] {
        for setting in ["net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"] {
            spaces.tell(server, "sysctl", &["-qw", setting]);
        }
    }
    spaces.tell(
        "s1",
        "ip",
        &["link", "add", "core", "mtu", MTU, "type", "veth", "peer", "core", "netns", &far],
    );
    for (number, server) in ["s1", "s2"].into_iter().enumerate() {
        let number = number as u8 + 1;
        let space = spaces.of(server);
        let end = format!("mgmt{number}");
        run("ip", &["link", "add", &end, "type", "veth", "peer", "name", "mgmt", "netns", &space]);
        run("ip", &["link", "set", &end, "master", "mgmt", "up"]);
        spaces.tell(server, "ip", &["addr", "add", &format!("10.255.0.{number}/24"), "dev", "mgmt"]);
        spaces.tell(server, "ip", &["link", "set", "mgmt", "up"]);
        spaces.tell(server, "ip", &["link", "set", "core", "mtu", MTU, "address", &mac(number), "up"]);
        no_gro(spaces, server, "core");
        for (a, b) in loops(number) {
            spaces.tell(server, "ip", &["link", "add", &a, "mtu", MTU, "type", "veth", "peer", &b]);
            spaces.tell(server, "ip", &["link", "set", &b, "mtu", MTU, "up"]);
            spaces.tell(server, "ip", &["link", "set", &a, "up"]);
            [a, b].iter().for_each(|end| no_gro(spaces, server, end));
        }
    }
    let near = spaces.of("s1");
    run("ip", &["link", "add", "to-lan", "mtu", MTU, "type", "veth", "peer", "lan", "netns", &near]);
    run("ip", &["link", "set", "to-lan", "up"]);
    spaces.tell("s1", "ip", &["link", "set", "lan", "mtu", MTU, "up"]);
    no_gro(spaces, "s1", "lan");
}

/// Has the kernel leave packets apart that come in.
fn no_gro(spaces: &Spaces, server: &str, interface: &str) {
    spaces.tell(server, "ethtool", &["-K", interface, "gro", "off"]);
}

/// The pairs of ports in which a server's copies turn round: s1 has both mirrors and both merges if they are all there.
fn loops(server: u8) -> Vec<(String, String)> {
    (1..=if server == 1 { 4 } else { 2 }).map(|n| (format!("out{n}"), format!("back{n}"))).collect()
}

/// The server's own configuration.
fn base(number: u8, by: &str, device: &str) -> String {
    let pairs: Vec<String> = loops(number).iter().map(|(a, b)| format!("[\"{a}\", \"{b}\"]")).collect();
    let mut text = format!(
        "[server]\ncpu = 2\nmemory = 1000\nloops = [{}]\n\
         [server.link]\nport = \"core\"\naddress = \"10.0.0.{number}\"\nmac = \"{}\"\nmtu = {MTU}\nby = \"{by}\"\n\
         [engine]\nidle = \"adaptive\"\nsocket = \"s{number}.sock\"\n",
        pairs.join(", "),
        mac(number)
    );
    let lan: &[&str] = if number == 1 { &["lan"] } else { &[] };
    let all = loops(number).into_iter().flat_map(|(a, b)| [a, b]);
    let ports = ["core"].iter().chain(lan).map(|port| (*port).to_owned()).chain(all);
    for (i, port) in ports.enumerate() {
        text += &format!("[ports.{port}]\ndevice = \"{device}{i},iface={port}\"\nmtu = {MTU}\n");
    }
    if number == 1 {
        text += "[ports.wan]\ndevice = \"net_pcap_wan,tx_pcap=wan.pcap\"\n";
    }
    text
}

/// Who sends to `lan`, frame by frame as they are.
struct Sender {
    pool: Pool,
    out: TxQueue,
    _back: RxQueue,
    burst: Mbufs,
}

impl Sender {
    fn new(eal: &Eal, device: &str) -> Sender {
        let pool = Pool::new(eal, "sender", 4096, 256, 2048, None).expect("a pool");
        let port = Port::probe(eal, &format!("{device}_lan,iface=to-lan")).expect("an interface");
        let config = PortConfig { mtu: MTU.parse().ok(), ..PortConfig::default() };
        let (back, out) = port.start(&config, std::slice::from_ref(&pool)).expect("it starts");
        let (back, out) = (back.into_iter().next(), out.into_iter().next());
        Sender { pool, out: out.expect("a queue"), _back: back.expect("a queue"), burst: Mbufs::new() }
    }

    fn send(&mut self, frame: &[u8]) {
        let mut mbuf = self.pool.alloc().expect("a buffer");
        assert!(mbuf.fill(frame), "a frame fits");
        assert!(self.burst.push(mbuf).is_ok(), "nothing is left over");
        until("the interface takes it", || self.out.send(&mut self.burst) == 1);
        self.burst.clear();
    }
}

/// Both servers' chains of a plan, together.
#[derive(Debug)]
struct Seen(Vec<Snapshot>);

impl Seen {
    fn of(cluster: &Cluster<'_>) -> Seen {
        Seen(["s1", "s2"].map(|server| cluster.stats(server)).into())
    }

    /// Of an NF, over all parts of this chain.
    fn sum(&self, chain: &str, nf: &str, of: impl Fn(&engine::NfSnapshot) -> u64) -> u64 {
        let of_chain = |name: &str| name.strip_prefix("hop-").unwrap_or(name).starts_with(chain);
        let parts = self.0.iter().flat_map(|seen| &seen.chains).filter(|(name, _)| of_chain(name));
        parts.filter_map(|(_, part)| part.nfs.get(nf)).map(of).sum()
    }

    fn counted(&self, chain: &str, nf: &str, counter: &str) -> u64 {
        self.sum(chain, nf, |nf| nf.counters.get(counter).copied().unwrap_or(0))
    }

    fn dropped(&self, chain: &str, nf: &str, reason: &str) -> u64 {
        self.sum(chain, nf, |nf| nf.dropped.get(reason).copied().unwrap_or(0))
    }
}

fn frames(file: &std::path::Path) -> Vec<Vec<u8>> {
    let mut reader = capture::Reader::open(file).expect("a capture");
    let mut frames = Vec::new();
    while let Some(frame) = reader.next().expect("whole") {
        frames.push(frame.bytes.to_vec());
    }
    frames
}

/// What the chain makes of the captures in order: what goes in, and what comes out.
fn in_order(folder: &Folder, device: &str) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let ports = "[ports.lan]\ndevice = \"net_null0\"\n[ports.wan]\ndevice = \"net_null1\"\n";
    let chain = format!("[[chain]]\nname = \"c\"\nfrom = \"lan\"\n{PATH}to = \"wan\"\n");
    let config = folder.file("replay.toml", format!("{NFS}{ports}{chain}"));
    let mut sent: Vec<Vec<u8>> = CAPTURES.iter().flat_map(|capture| frames(&example(capture))).collect();
    if device == "net_af_packet" {
        // The kernel puts fragments together for it, and makes all tags those of 802.1Q.
        sent.retain(|frame| !wire::parse(frame).is_fragment() && frame[12..14] != [0x88, 0xa8]);
    }
    let (from, to) = (folder.path("in.pcap"), folder.path("out.pcap"));
    let mut writer = capture::Writer::create(&from, capture::Format::Pcap).expect("a file");
    for frame in &sent {
        writer.write(0, frame.len() as u32, [frame.as_slice()]).expect("room");
    }
    writer.finish().expect("room");
    let ended = braid(["replay".as_ref(), config.as_path(), &from, &to]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    (sent, frames(&to))
}

/// Frames by flow, in order. Fragments are a flow of their own.
fn flows(frames: &[Vec<u8>]) -> BTreeMap<String, Vec<&[u8]>> {
    let mut flows = BTreeMap::<String, Vec<&[u8]>>::new();
    for frame in frames {
        let headers = wire::parse(frame);
        let key = if headers.is_fragment() {
            format!("fragments {:?} {:?}", headers.ipv4_addresses(frame), headers.ipv6_addresses(frame))
        } else {
            format!("{:?}", wire::FlowKey::from_packet(&headers, frame))
        };
        flows.entry(key).or_default().push(frame);
    }
    flows
}

/// Sends all frames through a plan, of which so many come out, and looks at the counters.
fn send_through(cluster: &Cluster<'_>, sender: &mut Sender, chain: &str, sent: &[Vec<u8>], expected: usize) {
    let begun = Instant::now();
    let packets_held = || Seen::of(cluster).0.iter().map(|seen| seen.packets.held).sum::<u64>();
    assert_eq!(packets_held(), 0, "{chain}: before");
    for (number, frame) in sent.iter().enumerate() {
        sender.send(frame);
        while Seen::of(cluster).sum(chain, "swap", |nf| nf.packets) as usize + WINDOW < number {
            assert!(begun.elapsed() < PATIENCE, "{chain}: s2 sees no copies: {:?}", Seen::of(cluster));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let [first, second] = ["swap", "inspect"].map(|nf| format!("hop-{chain}-{nf}-merge"));
    until("all is merged or given up", || {
        let seen = Seen::of(cluster);
        let done =
            |merge: &str| seen.counted(chain, merge, "merged") + seen.counted(chain, merge, "timed_out");
        done(&first) == sent.len() as u64 && done(&second) == seen.counted(chain, &first, "merged")
    });
    println!("{chain}: {} frames in {:.1} s", sent.len(), begun.elapsed().as_secs_f64());

    let seen = Seen::of(cluster);
    let lost = [("edge", &first), ("inspect", &second)].map(|(nf, merge)| {
        let denied = seen.dropped(chain, nf, "denied");
        assert!(denied > 10, "{chain}: {nf} drops {denied}");
        assert_eq!(seen.dropped(chain, merge, "lost"), denied, "{chain}: halves without another");
        assert_eq!(seen.counted(chain, merge, "timed_out"), denied);
        denied
    });
    let sent_by = |nf: &str| seen.counted(chain, &format!("hop-{chain}-{nf}-mirror"), "tagged");
    assert_eq!(sent_by("edge"), sent.len() as u64);
    assert_eq!(sent_by("rewrite"), sent.len() as u64 - lost[0]);
    assert_eq!(expected as u64, sent.len() as u64 - lost[0] - lost[1]);
    assert_eq!(packets_held(), 0, "{chain}: buffers are given back");
    for (server, seen) in seen.0.iter().enumerate() {
        let others = |reason: &&String| !reason.ends_with(".lost") && !reason.ends_with(".denied");
        let others: Vec<&String> = seen.packets.dropped.keys().filter(others).collect();
        assert!(others.is_empty(), "{chain}: s{}: {:?}", server + 1, seen.packets);
    }
}

/// The same frames, byte for byte, and each flow in order.
fn compare(chain: &str, received: &[Vec<u8>], expected: &[Vec<u8>]) {
    let (here, there) = (flows(received), flows(expected));
    assert!(here.keys().eq(there.keys()), "{chain}: other flows");
    for (flow, frames) in &here {
        let different = frames.iter().zip(&there[flow]).position(|(a, b)| a != b);
        assert_eq!((frames.len(), different), (there[flow].len(), None), "{chain}: {flow}");
    }
}

#[test]
fn what_runs_side_by_side_on_two_servers_comes_out_as_in_order() {
    let folder = Folder::new("two-servers");
    if Cluster::start(&folder, "10.255.0.254").is_none() {
        return;
    }
    let mut eal = None;
    for (by, device) in [("vlan", "net_pcap"), ("vxlan", "net_af_packet")] {
        let (sent, expected) = in_order(&folder, device);
        let Some(spaces) = Spaces::new(&format!("two-{by}"), &["s1", "s2"]) else { return };
        let folder = Folder::new(&format!("two-servers-{by}"));
        network(&spaces);
        let mut cluster = Cluster::start(&folder, "10.255.0.254").expect("etcd");
        cluster.etcd();
        let options = EalOptions { memory_mb: 256, ..EalOptions::default() };
        let eal = eal.get_or_insert_with(|| Eal::init(&options).expect("DPDK starts without hugepages"));
        let mut sender = Sender::new(eal, device);
        let _planner = cluster.planner("p");
        let mut agents: Vec<Process> = [1, 2]
            .map(|number| {
                let name = format!("s{number}");
                cluster.agent(&name, &base(number, by, device), Some(&spaces.of(&name)))
            })
            .into();
        for (chain, rewrite, inspect, merges) in
            [("apart", "s2", "s1", ["s2", "s1"]), ("one", "s1", "s2", ["s1", "s1"])]
        {
            cluster.set(&wanted(chain, rewrite, inspect));
            until("all run it", || {
                let runs = |config: String| {
                    ["", "hop-"].iter().any(|before| config.contains(&format!("name = \"{before}{chain}")))
                };
                agents.iter().all(|agent| runs(agent.config(&cluster))) && cluster.all_run()
            });
            for (nf, server) in ["swap", "inspect"].into_iter().zip(merges) {
                let join = format!("[nf.hop-{chain}-{nf}-merge]");
                let on = agents.iter().find(|agent| agent.config(&cluster).contains(&join));
                assert_eq!(on.map(|agent| agent.name.as_str()), Some(server), "{join}");
            }
            send_through(&cluster, &mut sender, chain, &sent, expected.len());
        }
        for (server, seen) in Seen::of(&cluster).0.iter().enumerate() {
            println!("{by}: s{}: {:?}", server + 1, seen.packets);
            assert_balanced(seen);
        }
        agents.iter_mut().for_each(Process::end);
        let received = frames(&folder.path("wan.pcap"));
        assert_eq!(received.len(), 2 * expected.len(), "{by}");
        let (apart, one) = received.split_at(expected.len());
        compare("apart", apart, &expected);
        compare("one", one, &expected);
    }
}
