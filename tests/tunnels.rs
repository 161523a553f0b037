//! Tunnels against programs that know them: the kernel's VXLAN and VLAN devices with real traffic, and `tshark`.

mod rig;

#[allow(dead_code, reason = "the tests of devices use the rest")]
#[path = "devices/network.rs"]
mod network;

use capture::Reader;
use network::{Network, run};
use rig::{Folder, Run, assert_balanced, braid, example};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const MAC_A: &str = "02:00:00:00:00:0a";
const MAC_B: &str = "02:00:00:00:00:0b";
/// Braid's own, as the kernel at the other end of a tunnel knows it.
const MAC_BRAID: &str = "02:00:00:00:00:01";

/// Frames from `a` go into the tunnel and those from `b` come out of it; the switch brings ICMP errors back to `a`.
fn tunnel(kind: &str, encap: &str, decap: &str) -> String {
    format!(
        "[engine]\nidle = \"adaptive\"\nsocket = \"braid.sock\"\n\
         [ports.a]\ndevice = \"net_af_packet0,iface=to-a\"\n[ports.b]\ndevice = \"net_af_packet1,iface=to-b\"\n\
         [nf.into]\nkind = \"{kind}\"\nencap = {{ {encap} }}\n[nf.out]\nkind = \"{kind}\"\ndecap = {{ {decap} }}\n\
         [nf.switch]\nkind = \"l2fwd\"\nlearn = false\ntable = {{ \"{MAC_A}\" = \"a\", \"{MAC_B}\" = \"b\" }}\n\
         [[chain]]\nname = \"there\"\nfrom = \"a\"\npath = [\"into\", \"switch\"]\nto = [\"a\", \"b\"]\n\
         [[chain]]\nname = \"back\"\nfrom = \"b\"\npath = [\"out\"]\nto = \"a\"\n"
    )
}

/// Gives the hosts known MAC addresses, and takes the inner addresses off `b`'s cable.
fn prepare(network: &Network) {
    for (host, mac) in [('a', MAC_A), ('b', MAC_B)] {
        network.tell(host, "ip", &["link", "set", "eth0", "address", mac]);
    }
    network.tell('b', "ip", &["addr", "flush", "dev", "eth0", "scope", "global"]);
}

/// Puts the inner addresses on a device of `b`.
fn address(network: &Network, device: &str) {
    network.tell('b', "ip", &["addr", "add", "10.9.0.2/24", "dev", device]);
    network.tell('b', "ip", &["addr", "add", "fd00:9::2/64", "dev", device, "nodad"]);
    network.tell('b', "ip", &["link", "set", device, "up"]);
    network.tell('b', "ethtool", &["-K", device, "tx", "off", "tso", "off", "gso", "off"]);
}

/// What iperf3 carries in a second at the least, on a machine that has much else to do.
const IPERF3_LEAST: u64 = 1 << 20;

/// Sends for a second with iperf3 from `a` to `b` and back; returns how many bytes arrived.
fn iperf3(network: &Network, back: bool) -> u64 {
    let mut server = network.on('b', || {
        let quiet = Command::new("iperf3").args(["-s", "-1"]).stdout(Stdio::null()).spawn();
        quiet.expect("iperf3")
    });
    let begun = Instant::now();
    let arrived = loop {
        let output = network.on('a', || {
            let mut client = Command::new("iperf3");
            client.args(["-c", "10.9.0.2", "-t", "1", "-J", "--connect-timeout", "2000"]);
            if back {
                client.arg("-R");
            }
            client.output().expect("iperf3")
        });
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        match report["end"]["sum_received"]["bytes"].as_u64() {
            Some(bytes) => break bytes,
            None => {
                assert!(begun.elapsed() < Duration::from_secs(15), "iperf3 does not get through: {report}")
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let _ = server.kill();
    let _ = server.wait();
    arrived
}

fn kernel_vxlan(test: &str, local: &str, remote: &str, prefix: &str, overhead: u32) {
    let Some(network) = Network::new(test) else { return };
    let folder = Folder::new(test);
    prepare(&network);
    network.tell('b', "ip", &["addr", "add", &format!("{remote}/{prefix}"), "dev", "eth0", "nodad"]);
    network.tell('b', "ip", &["neigh", "add", local, "lladdr", MAC_BRAID, "dev", "eth0", "nud", "permanent"]);
    let (id, ends) = (["id", "42"], ["local", remote, "remote", local, "dstport", "4789", "dev", "eth0"]);
    network.tell('b', "ip", &[&["link", "add", "vx0", "type", "vxlan"], &id[..], &ends].concat());
    address(&network, "vx0");

    let ends = format!("vni = 42, local = \"{local}\", remote = \"{remote}\"");
    let macs = format!("macs = {{ source = \"{MAC_BRAID}\", destination = \"{MAC_B}\" }}");
    let icmp = "icmp_from = [\"10.9.0.254\", \"fd00:9::fe\"]";
    let braid = Run::start(&folder, &tunnel("vxlan", &format!("{ends}, {macs}, {icmp}"), &ends));
    assert!(network.ping("10.9.0.2", 56) && network.ping("fd00:9::2", 56), "pings go both ways");
    // What does not fit is told to its sender, whose kernel believes it.
    assert!(
        !network.ping_with("10.9.0.2", 1450, &["-Mdo"]) && !network.ping_with("fd00:9::2", 1450, &["-Mdo"])
    );
    let mtu = format!("mtu {}", 1500 - overhead);
    for to in ["10.9.0.2", "fd00:9::2"] {
        let route = network.tell('a', "ip", &["route", "get", to]);
        assert!(route.contains(&mtu), "{route}");
    }
    assert!(network.ping_with("10.9.0.2", 1500 - overhead as usize - 28, &["-Mdo"]), "the largest that fits");
    network.transfer("10.9.0.2:8080", 4 << 20);
    for back in [false, true] {
        assert!(iperf3(&network, back) >= IPERF3_LEAST);
    }
    let ended = braid.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    let dropped = &account.packets.dropped;
    assert!(dropped.get("into.too_large").is_some_and(|n| *n >= 2), "{dropped:?}");
    let expected = ["into.too_large", "out.not_tunnel", "switch.unreachable"];
    assert!(dropped.keys().all(|reason| expected.contains(&reason.as_str())), "{dropped:?}");
}

#[test]
fn a_kernel_speaks_vxlan_with_braid_over_ipv4() {
    kernel_vxlan("vxlan4", "192.0.2.1", "192.0.2.2", "24", 50);
}

#[test]
fn a_kernel_speaks_vxlan_with_braid_over_ipv6() {
    kernel_vxlan("vxlan6", "2001:db8:2::1", "2001:db8:2::2", "64", 70);
}

#[test]
fn a_kernel_speaks_vlan_with_braid() {
    let Some(network) = Network::new("vlan") else { return };
    let device = ["link", "add", "link", "eth0", "name", "eth0.5", "type", "vlan", "id", "5"];
    let added = network.on('b', || Command::new("ip").args(device).output().expect("ip"));
    if !added.status.success() {
        println!(
            "skipped: this kernel has no VLAN devices: {}",
            String::from_utf8_lossy(&added.stderr).trim()
        );
        return;
    }
    let folder = Folder::new("vlan");
    prepare(&network);
    address(&network, "eth0.5");
    let braid = Run::start(&folder, &tunnel("vlan", "id = 5", "id = 5"));
    assert!(network.ping("10.9.0.2", 56) && network.ping("fd00:9::2", 56), "pings go both ways");
    network.transfer("10.9.0.2:8080", 4 << 20);
    for back in [false, true] {
        assert!(iperf3(&network, back) >= IPERF3_LEAST);
    }
    assert_eq!(braid.stop().code, Some(0));
}

/// A configuration whose one chain has these NFs, each `name = "…"` with the rest of its table.
fn chain(nfs: &[(&str, &str)]) -> String {
    let mut config = "[engine]\nsocket = \"off\"\n[ports.lan]\ndevice = \"net_null0\"\n[ports.wan]\n\
                      device = \"net_null1\"\n"
        .to_owned();
    let names: Vec<String> = (0..nfs.len()).map(|i| format!("\"nf{i}\"")).collect();
    for (i, (kind, table)) in nfs.iter().enumerate() {
        config += &format!("[nf.nf{i}]\nkind = \"{kind}\"\n{table}\n");
    }
    config
        + &format!("[[chain]]\nname = \"c\"\nfrom = \"lan\"\npath = [{}]\nto = \"wan\"\n", names.join(", "))
}

/// Replays a capture through these NFs.
fn replay(folder: &Folder, input: &Path, nfs: &[(&str, &str)]) -> std::path::PathBuf {
    let config = folder.file("replay.toml", chain(nfs));
    let out = folder.path("out.pcap");
    let ended = braid([Path::new("replay"), &config, input, &out]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    out
}

fn frames(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = Reader::open(path).expect("a capture");
    let mut frames = Vec::new();
    while let Some(frame) = reader.next().expect("a frame") {
        frames.push(frame.bytes.to_vec());
    }
    frames
}

const VXLAN: &str = "encap = { vni = 42, local = \"192.0.2.1\", remote = \"192.0.2.2\", mtu = 9000, checksum = true, \
                     macs = { source = \"02:00:00:00:00:01\", destination = \"02:00:00:00:00:02\" } }";
const IPIP: &str = "encap = { local = \"192.0.2.1\", remote = \"192.0.2.2\", mtu = 9000, other = \"pass\" }";
const IP6IP: &str =
    "encap = { local = \"2001:db8::1\", remote = \"2001:db8::2\", mtu = 9000, other = \"pass\" }";
const MPLS: &str = "encap = { labels = [100, 200], mtu = 9000, other = \"pass\" }";

#[test]
fn what_goes_into_a_tunnel_comes_out_as_it_was() {
    let folder = Folder::new("round-trip");
    for (kind, into, out) in [
        ("vlan", "encap = { id = 5 }", "decap = { id = 5 }"),
        ("ipip", IPIP, "decap = { local = \"192.0.2.2\", remote = \"192.0.2.1\", other = \"pass\" }"),
        ("ipip", IP6IP, "decap = { local = \"2001:db8::2\", remote = \"2001:db8::1\", other = \"pass\" }"),
        ("mpls", MPLS, "decap = { labels = [100, 200], other = \"pass\" }"),
        ("vxlan", VXLAN, "decap = { vni = 42, local = \"192.0.2.2\", remote = \"192.0.2.1\" }"),
    ] {
        for name in ["http.pcap", "ping.pcap", "dns.pcap"] {
            let out = replay(&folder, &example(name), &[(kind, into), (kind, out)]);
            assert!(frames(&out) == frames(&example(name)), "{name} through {kind} {into} is another");
        }
    }
}

/// The values of fields, frame by frame, as `tshark` finds them; checksums are checked.
fn tshark(path: &Path, fields: &[&str]) -> Vec<Vec<String>> {
    let mut arguments = vec!["-r", path.to_str().expect("UTF-8"), "-T", "fields", "-E", "occurrence=a"];
    arguments.extend(["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"]);
    fields.iter().for_each(|field| arguments.extend(["-e", field]));
    let text = run("tshark", &arguments);
    text.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

#[test]
fn tshark_finds_what_the_tunnels_put_on() {
    if Command::new("tshark").arg("-v").output().is_err() {
        println!("skipped: tshark is not installed");
        return;
    }
    let folder = Folder::new("tshark");
    let input = example("http.pcap");
    let plain = tshark(&input, &["ip.proto", "ip.src", "ipv6.src"]);
    let ip = |row: &Vec<String>| !row[1].is_empty() || !row[2].is_empty();
    assert!(plain.iter().filter(|row| ip(row)).count() > 20, "{plain:?}");
    let decode = |nf: (&str, &str), fields: &[&str]| {
        let decoded = tshark(&replay(&folder, &input, &[nf]), fields);
        assert_eq!(decoded.len(), plain.len());
        decoded
    };

    let rows = decode(
        ("vlan", "encap = { id = 5, tag = \"802.1ad\", priority = 3 }"),
        &["ieee8021ad.id", "ieee8021ad.priority", "vlan.id"],
    );
    for row in &rows {
        assert!(row.iter().any(|value| value == "5") && row.iter().any(|value| value == "3"), "{row:?}");
    }

    let fields = ["mpls.label", "mpls.bottom", "ip.src", "ipv6.src", "_ws.malformed"];
    for (row, plain) in decode(("mpls", MPLS), &fields).iter().zip(&plain).filter(|(_, plain)| ip(plain)) {
        assert_eq!(row[0], "100,200");
        assert!(["0,1", "False,True"].contains(&row[1].as_str()), "{row:?}");
        assert_eq!((&row[2], &row[3], row[4].as_str()), (&plain[1], &plain[2], ""), "{plain:?}");
    }

    let fields = ["ip.src", "ip.checksum.status", "ipv6.src", "ip.len"];
    for (row, plain) in decode(("ipip", IPIP), &fields).iter().zip(&plain).filter(|(_, plain)| ip(plain)) {
        let outer_and_inner: Vec<&str> =
            ["192.0.2.1", &plain[1]].into_iter().filter(|address| !address.is_empty()).collect();
        assert_eq!(row[0], outer_and_inner.join(","));
        assert!(row[1].split(',').all(|status| ["1", "Good"].contains(&status)), "{row:?}");
        assert_eq!(row[2], plain[2]);
    }

    let fields = ["vxlan.vni", "udp.checksum.status", "ip.src", "udp.dstport", "udp.srcport"];
    for (row, plain) in decode(("vxlan", VXLAN), &fields).iter().zip(&plain) {
        assert_eq!(row[0], "42", "{row:?}");
        assert!(["1", "Good"].iter().any(|good| row[1].starts_with(good)), "{row:?}");
        assert!(row[2].starts_with("192.0.2.1") && row[2].ends_with(plain[1].as_str()), "{row:?}");
        assert!(row[3].starts_with("4789"), "{row:?}");
    }
}
