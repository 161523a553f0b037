//! Tunnels that encrypt, with real peers: strongSwan's ESP in user space under keys that its key exchange negotiates,
//! `wireguard-go`, and `tshark` that decrypts ours. And that no secret is ever shown.

mod rig;

#[allow(dead_code, reason = "the tests of devices use the rest")]
#[path = "devices/network.rs"]
mod network;

#[path = "vpn/strongswan.rs"]
mod strongswan;

use control::client::ClientError;
use network::{Network, run};
use rig::{Folder, Run, assert_balanced, braid, call, example};
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use strongswan::{Keys, StrongSwan};

/// How long anything may take that happens at once on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// What iperf3 carries in a second at the least, on a machine that has much else to do.
const IPERF3_LEAST: u64 = 200_000;

/// A program on a host; it ends with this.
pub struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Pings from an address of `a` until there is an answer to each of three.
fn assert_reaches(network: &Network, to: &str, from: &str) {
    let begun = Instant::now();
    while !network.ping_with(to, 56, &["-I", from]) {
        assert!(begun.elapsed() < PATIENCE, "no answer from {to}");
    }
}

/// Sends for a second with iperf3 from `a` to `b` or back; returns how many bytes arrived.
fn iperf3(network: &Network, to: &str, from: &str, back: bool) -> u64 {
    let server = network.on('b', || {
        let mut server = Command::new("iperf3");
        server.args(["-s", "-1", "-B", to]).stdout(Stdio::null()).stderr(Stdio::null());
        Program(server.spawn().expect("iperf3"))
    });
    let begun = Instant::now();
    let arrived = loop {
        let output = network.on('a', || {
            let mut client = Command::new("iperf3");
            client.args(["-c", to, "-B", from, "-t", "1", "-J", "--connect-timeout", "2000"]);
            if back {
                client.arg("-R");
            }
            client.output().expect("iperf3")
        });
        let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        match report["end"]["sum_received"]["bytes"].as_u64() {
            Some(bytes) => break bytes,
            None => assert!(begun.elapsed() < PATIENCE, "iperf3 does not get through: {report}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    drop(server);
    arrived
}

/// Whether the tools are there; says which one is not.
fn has(tools: &[&str]) -> bool {
    let missing = tools.iter().find(|tool| {
        !tool.starts_with('/')
            && Command::new("which").arg(tool).output().map_or(true, |o| !o.status.success())
            || tool.starts_with('/') && !Path::new(tool).exists()
    });
    if let Some(tool) = missing {
        println!("skipped: {tool} is not there");
    }
    missing.is_none()
}

const PORTS: &str = "[engine]\nidle = \"adaptive\"\nsocket = \"braid.sock\"\n\
                     [ports.a]\ndevice = \"net_af_packet0,iface=to-a\"\n\
                     [ports.b]\ndevice = \"net_af_packet1,iface=to-b\"\n";

/// On host `a` strongSwan negotiates keys with host `b`, and has no more to do: Braid, between them, seals and opens
/// for it what `b`'s strongSwan opens and seals.
#[test]
fn strongswan_and_braid_open_what_the_other_one_sealed() {
    if !has(&[strongswan::CHARON, strongswan::LIBIPSEC, "swanctl", "iperf3", "/dev/net/tun"]) {
        return;
    }
    let Some(network) = Network::new("strongswan") else { return };
    let folder = Folder::new("strongswan");
    for (host, outer, inner) in [('a', "192.0.2.1/24", "10.1.0.1/24"), ('b', "192.0.2.2/24", "10.2.0.1/24")] {
        network.tell(host, "ip", &["addr", "add", outer, "dev", "eth0"]);
        network.tell(host, "ip", &["link", "set", "lo", "up"]);
        network.tell(host, "ip", &["addr", "add", inner, "dev", "lo"]);
    }
    network.tell('a', "ip", &["route", "add", "10.2.0.0/24", "via", "192.0.2.2", "mtu", "1400"]);
    let config = format!(
        "{PORTS}[nf.gate]\nkind = \"vpn\"\nother = \"pass\"\n[[nf.gate.tunnels]]\nname = \"b\"\n\
         local = \"192.0.2.1\"\nremote = \"192.0.2.2\"\nudp = {{}}\n\
         selectors = [{{ local = \"10.1.0.0/24\", remote = \"10.2.0.0/24\" }}]\n\
         [[chain]]\nname = \"there\"\nfrom = \"a\"\npath = [\"gate\"]\nto = \"b\"\n\
         [[chain]]\nname = \"back\"\nfrom = \"b\"\npath = [\"gate\"]\nto = \"a\"\n"
    );
    let braid = Run::start(&folder, &config);
    let mut client = braid.client();
    let mut take = |keys: Keys| {
        for (direction, spi, keymat) in
            [("outbound", keys.spi_out, &keys.out), ("inbound", keys.spi_in, &keys.inward)]
        {
            let arguments = json!({ "tunnel": "b", "direction": direction, "spi": spi, "keymat": keymat });
            let params = json!({ "nf": "gate", "command": "sa_add", "arguments": arguments });
            assert_eq!(call(&mut client, "nf.command", params)["workers"][0]["added"], true);
        }
        [keys.out, keys.inward]
    };
    let ours = StrongSwan::start(&network, 'a', &folder);
    let theirs = StrongSwan::start(&network, 'b', &folder);
    ours.initiate();
    let mut secrets = Vec::from(take(ours.keys()));
    assert_reaches(&network, "10.2.0.1", "10.1.0.1");
    for back in [false, true] {
        let bytes = iperf3(&network, "10.2.0.1", "10.1.0.1", back);
        println!("iperf3, back: {back}: {bytes} bytes in a second");
        assert!(bytes >= IPERF3_LEAST, "{bytes}");
    }
    // Other keys, while the tunnel is in use.
    let before = theirs.carried();
    ours.rekey();
    secrets.extend(take(ours.keys()));
    assert_reaches(&network, "10.2.0.1", "10.1.0.1");
    assert!(before.0 > 100 && before.1 > 100, "their kernel was not asked: {before:?}");

    let listed = json!({ "nf": "gate", "command": "sa_list" });
    let listed = call(&mut braid.client(), "nf.command", listed).to_string();
    let state = call(&mut braid.client(), "nf.state.export", json!({ "nf": "gate" })).to_string();
    let ended = braid.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let account = ended.account();
    assert_balanced(&account);
    let dropped = &account.packets.dropped;
    // The peer sends by its new association before we know of it.
    let expected = ["gate.unknown_spi", "gate.replayed", "gate.too_old"];
    assert!(dropped.keys().all(|reason| expected.contains(&reason.as_str())), "{dropped:?}");
    for secret in secrets {
        for shown in [&listed, &state, &ended.err, &ended.out] {
            assert!(!shown.contains(&secret[..16]), "a key is shown: {shown}");
        }
    }
}

const MAC_A: &str = "02:00:00:00:00:0a";
const MAC_B: &str = "02:00:00:00:00:0b";
const MAC_BRAID: &str = "02:00:00:00:00:01";

fn wireguard_go(test: &str, local: &str, remote: &str, prefix: &str) {
    if !has(&["wireguard-go", "wg", "iperf3", "/dev/net/tun"]) {
        return;
    }
    let Some(network) = Network::new(test) else { return };
    let folder = Folder::new(test);
    for (host, mac) in [('a', MAC_A), ('b', MAC_B)] {
        network.tell(host, "ip", &["link", "set", "eth0", "address", mac]);
    }
    network.tell(
        'a',
        "ip",
        &["neigh", "add", "10.9.0.2", "lladdr", MAC_B, "dev", "eth0", "nud", "permanent"],
    );
    network.tell(
        'a',
        "ip",
        &["neigh", "add", "fd00:9::2", "lladdr", MAC_B, "dev", "eth0", "nud", "permanent"],
    );
    network.tell('a', "ip", &["link", "set", "eth0", "mtu", "1420"]);
    network.tell('b', "ip", &["addr", "flush", "dev", "eth0", "scope", "global"]);
    network.tell('b', "ip", &["addr", "add", &format!("{remote}/{prefix}"), "dev", "eth0", "nodad"]);
    network.tell('b', "ip", &["neigh", "add", local, "lladdr", MAC_BRAID, "dev", "eth0", "nud", "permanent"]);
    let key = |name: &str| {
        let private = run("wg", &["genkey"]);
        let path = folder.file(name, &private);
        let public = Command::new("sh").arg("-c").arg(format!("wg pubkey < {}", path.display())).output();
        (
            private.trim().to_owned(),
            String::from_utf8(public.expect("wg").stdout).expect("base64").trim().to_owned(),
        )
    };
    let ((our_private, our_public), (_, their_public)) = (key("a.key"), key("b.key"));
    folder.file("psk", run("wg", &["genpsk"]));
    let device = format!("wgb{}", std::process::id());
    let log = File::create(folder.path("wireguard-go")).expect("a file");
    let peer = network.on('b', || {
        let mut command = Command::new("wireguard-go");
        command.args(["-f", &device]).env("LOG_LEVEL", "verbose").stdout(log.try_clone().expect("a file"));
        Program(command.stderr(log).spawn().expect("wireguard-go"))
    });
    let at = |host: &str, port: u16| {
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    };
    let path = |name: &str| folder.path(name).display().to_string();
    let (private, psk, endpoint) = (path("b.key"), path("psk"), at(local, 51820));
    let mut set = vec!["set", &device, "listen-port", "51821", "private-key", &private, "peer", &our_public];
    set.extend(["preshared-key", &psk, "endpoint", &endpoint, "allowed-ips", "10.9.0.1/32,fd00:9::1/128"]);
    let begun = Instant::now();
    while !network.on('b', || Command::new("wg").args(&set).output().expect("wg").status.success()) {
        assert!(begun.elapsed() < PATIENCE, "wireguard-go does not come up: {}", folder.read("wireguard-go"));
        std::thread::sleep(Duration::from_millis(50));
    }
    network.tell('b', "ip", &["addr", "add", "10.9.0.2/24", "dev", &device]);
    network.tell('b', "ip", &["addr", "add", "fd00:9::2/64", "dev", &device, "nodad"]);
    network.tell('b', "ip", &["link", "set", &device, "up"]);

    let config = format!(
        "{PORTS}[nf.wg]\nkind = \"wireguard\"\nprivate_key_file = \"a.key\"\nlocal = \"{local}\"\n\
         macs = {{ source = \"{MAC_BRAID}\", destination = \"{MAC_B}\" }}\n\
         inner_macs = {{ source = \"{MAC_BRAID}\", destination = \"{MAC_A}\" }}\n\
         [[nf.wg.peers]]\npublic_key = \"{their_public}\"\npreshared_key_file = \"psk\"\n\
         allowed = [\"10.9.0.2/32\", \"fd00:9::2/128\"]\nendpoint = \"{}\"\n\
         [nf.switch]\nkind = \"l2fwd\"\nlearn = false\ntable = {{ \"{MAC_A}\" = \"a\", \"{MAC_B}\" = \"b\" }}\n\
         [[chain]]\nname = \"there\"\nfrom = \"a\"\npath = [\"wg\", \"switch\"]\nto = [\"a\", \"b\"]\n\
         [[chain]]\nname = \"back\"\nfrom = \"b\"\npath = [\"wg\", \"switch\"]\nto = [\"a\", \"b\"]\n",
        at(remote, 51821)
    );
    let braid = Run::start(&folder, &config);
    assert_reaches(&network, "10.9.0.2", "10.9.0.1");
    assert_reaches(&network, "fd00:9::2", "fd00:9::1");
    for back in [false, true] {
        let bytes = iperf3(&network, "10.9.0.2", "10.9.0.1", back);
        println!("iperf3, back: {back}: {bytes} bytes in a second");
        assert!(bytes >= IPERF3_LEAST, "{bytes}");
    }
    // The peer moves to another port, and is answered there once it has sent.
    network
        .on('b', || Command::new("wg").args(["set", &device, "listen-port", "40000"]).output().expect("wg"));
    let space = network.host('b');
    run("ip", &["netns", "exec", &space, "ping", "-q", "-c1", "-W5", "10.9.0.1"]);
    assert_reaches(&network, "10.9.0.2", "10.9.0.1");
    let shown = call(&mut braid.client(), "nf.command", json!({ "nf": "wg", "command": "peers" }));
    assert_eq!(shown["workers"][0]["peers"][0]["endpoint"], json!(at(remote, 40000)), "{shown}");
    assert!(network.tell('b', "wg", &["show", &device, "latest-handshakes"]).trim().len() > 45);
    drop(peer);
    let ended = braid.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_balanced(&ended.account());
    for shown in [shown.to_string(), ended.err, ended.out] {
        assert!(!shown.contains(&our_private[..12]), "{shown}");
    }
}

#[test]
fn wireguard_go_speaks_with_braid_over_ipv4() {
    wireguard_go("wg4", "192.0.2.1", "192.0.2.2", "24");
}

#[test]
fn wireguard_go_speaks_with_braid_over_ipv6() {
    wireguard_go("wg6", "2001:db8:2::1", "2001:db8:2::2", "64");
}

const KEYMAT: [&str; 2] = [
    "e0e1e2e3e4e5e6e7e8e9eaebecedeeefdddcdbda",
    "f0f1f2f3f4f5f6f7f8f9fafbfcfdfefff0f1f2f3f4f5f6f7f8f9fafbfcfdfeffcdcccbca",
];

/// The configuration of one end, with a key.
fn gate(keymat: &str, more: &str) -> String {
    format!(
        "[nf.gate]\nkind = \"vpn\"\nother = \"pass\"\n[[nf.gate.tunnels]]\nname = \"t\"\nmtu = 9000\n\
         local = \"192.0.2.1\"\nremote = \"192.0.2.2\"\n\
         selectors = [{{ local = \"0.0.0.0/0\", remote = \"0.0.0.0/0\" }}]\n\
         outbound = [{{ spi = 4097, keymat = \"{keymat}\"{more} }}]\n"
    )
}

#[test]
fn tshark_decrypts_what_braid_sealed() {
    if !has(&["tshark"]) {
        return;
    }
    let folder = Folder::new("vpn-tshark");
    for (keymat, udp) in [(KEYMAT[0], ""), (KEYMAT[1], "udp = {}\n")] {
        let config = format!(
            "[engine]\nsocket = \"off\"\n[ports.lan]\ndevice = \"net_null0\"\n[ports.wan]\n\
             device = \"net_null1\"\n{}{udp}[[chain]]\nname = \"c\"\nfrom = \"lan\"\npath = [\"gate\"]\nto = \"wan\"\n",
            gate(keymat, "")
        );
        // What belongs to the tunnel stands before the lists of tables.
        let config = config.replace(&format!("\n{udp}[[chain]]"), "\n[[chain]]");
        let config = config.replace("mtu = 9000\n", &format!("mtu = 9000\n{udp}"));
        let (file, out) = (folder.file("replay.toml", config), folder.path("out.pcap"));
        let input = example("http.pcap");
        let ended = braid([Path::new("replay"), &file, &input, &out]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        let fields = |path: &Path| {
            let sa = format!(
                "uat:esp_sa:\"IPv4\",\"*\",\"*\",\"0x00001001\",\"AES-GCM with 16 octet ICV [RFC4106]\",\"0x{keymat}\",\"NULL\",\"\""
            );
            let path = path.to_str().expect("UTF-8");
            let mut arguments = vec!["-r", path, "-o", "esp.enable_encryption_decode:TRUE", "-o", &sa];
            arguments.extend(["-T", "fields", "-E", "occurrence=l"]);
            for field in ["ip.src", "ip.dst", "ip.id", "tcp.seq_raw", "tcp.len", "tcp.payload"] {
                arguments.extend(["-e", field]);
            }
            let text = run("tshark", &arguments);
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let (plain, decrypted) = (fields(&input), fields(&out));
        assert!(plain.iter().filter(|line| line.len() > 40).count() > 10, "{plain:?}");
        assert_eq!(decrypted, plain);
    }
}

/// All ways by which a configuration can be seen.
#[test]
fn nothing_shows_a_key() {
    let folder = Folder::new("vpn-secrets");
    let config = |gate: &str| {
        format!(
            "[engine]\nsocket = \"braid.sock\"\nidle = \"adaptive\"\n[ports.lan]\ndevice = \"net_null0\"\n[ports.wan]\n\
             device = \"net_null1\"\n{gate}\
             [[chain]]\nname = \"c\"\nfrom = \"lan\"\npath = [\"gate\"]\nto = \"wan\"\n"
        )
    };
    let mut seen = Vec::new();
    let first = config(&gate(KEYMAT[0], ""));
    let running = Run::start(&folder, &first);
    let mut client = running.client();
    let text = call(&mut client, "config.get", json!({}));
    let masked = first.replace(KEYMAT[0], &"*".repeat(KEYMAT[0].len()));
    assert_eq!(text["config"], json!(masked));
    seen.push(text.to_string());

    // Another key is a change; which one it is, is not said.
    let other = config(&gate(KEYMAT[1], ""));
    for (dry_run, changes) in [(true, true), (false, true), (true, false)] {
        let applied = call(&mut client, "config.apply", json!({ "config": other, "dry_run": dry_run }));
        assert_eq!(applied["diff"].to_string().contains("keymat"), changes, "{applied}");
        seen.push(applied.to_string());
    }
    // What is masked is no key, and what is wrong is told without it.
    for (wrong, why) in [
        (masked.clone(), "hexadecimal"),
        (first.replace(&KEYMAT[0][..38], &KEYMAT[0][..36]), "19 bytes"),
        (first.replace("spi = 4097", "spi = 4097, spy = 3"), "spy"),
        (first.replace("keymat = \"", "keymat = \"\\u00"), "hexadecimal"),
        (first.replace("\" }]\n[[chain]]", " }]\n[[chain]]"), "not TOML"),
        (first.replace(&format!("\"{}\"", KEYMAT[0]), "515"), "in quotes"),
    ] {
        match client.call("config.apply", &json!({ "config": wrong })) {
            Err(ClientError::Refused(error)) => {
                let told = format!("{} {:?}", error.message, error.data);
                assert!(told.contains(why), "{why}: {told}");
                seen.push(told);
            }
            other => panic!("{why} is not refused: {other:?}"),
        }
        // On a terminal, lines of the text are drawn around the place.
        let file = folder.file("wrong.toml", &wrong);
        let check = format!("{} check {}", env!("CARGO_BIN_EXE_braid"), file.display());
        let drawn = Command::new("script").args(["-qec", &check, "/dev/null"]).output();
        seen.extend(drawn.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()));
        let ended = braid(["check".as_ref(), file.as_os_str()]);
        assert_ne!(ended.code, Some(0), "{why}");
        seen.extend([ended.out, ended.err]);
    }
    // Keys in the places of other things; on a terminal, whoever has the file sees the line.
    for (place, why) in [("spi = ", "expected u32"), ("spi = 4097, keymat_file = ", "is a key")] {
        let wrong = first.replace("spi = 4097, keymat = ", place);
        match client.call("config.apply", &json!({ "config": wrong })) {
            Err(ClientError::Refused(error)) => {
                let told = format!("{} {:?}", error.message, error.data);
                assert!(told.contains(why), "{why}: {told}");
                seen.push(told);
            }
            other => panic!("{why} is not refused: {other:?}"),
        }
        let file = folder.file("wrong.toml", &wrong);
        let ended = braid(["check".as_ref(), file.as_os_str()]);
        assert_ne!(ended.code, Some(0), "{why}");
        seen.extend([ended.out, ended.err]);
    }
    let add = json!({ "tunnel": "t", "direction": "inbound", "spi": 4098, "keymat": KEYMAT[0], "x": 1 });
    let params = json!({ "nf": "gate", "command": "sa_add", "arguments": add });
    match client.call("nf.command", &params) {
        Err(ClientError::Refused(error)) => seen.push(format!("{} {:?}", error.message, error.data)),
        other => panic!("an unknown argument is not refused: {other:?}"),
    }
    for (method, params) in [
        ("nf.list", json!({})),
        ("nf.command", json!({ "nf": "gate", "command": "sa_list" })),
        ("nf.state.export", json!({ "nf": "gate" })),
        ("rpc.discover", json!({})),
    ] {
        seen.push(call(&mut client, method, params).to_string());
    }
    let ended = running.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    seen.extend([ended.out, ended.err]);
    for shown in seen {
        for keymat in KEYMAT {
            for part in [&keymat[..12], &keymat[24..36], &keymat[keymat.len() - 8..]] {
                assert!(!shown.contains(part), "{part} is shown: {shown}");
            }
        }
    }
}
