//! Every NF of the registry does what it declares, and what its packet cases say.

#[cfg(feature = "ids")]
mod inspecting;

use harness::{Rule, Trial};
use std::path::PathBuf;

fn clean(kind: &str, rule: Rule) {
    let registry = nfs::registry();
    let entry = registry.get(kind).expect(kind);
    Trial::example(entry).check_rule(rule).assert_clean();
}

/// One test for each NF and rule, so that a failure names both.
macro_rules! contract {
    ($($kind:ident),*) => {$(
        mod $kind {
            use super::*;

            #[test]
            fn contract() {
                for rule in Rule::ALL {
                    clean(stringify!($kind), rule);
                }
            }

            #[test]
            fn cases() {
                let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(stringify!($kind));
                harness::run_case_folder(&nfs::registry(), &folder).unwrap_or_else(|error| panic!("{error}"));
            }
        }
    )*};
}

contract!(
    mac_swap,
    l2fwd,
    firewall,
    monitor,
    vlan,
    ipip,
    mpls,
    vxlan,
    lb,
    netem,
    shaper,
    conntrack,
    router,
    nat,
    nat64,
    nptv6,
    static_nat,
    external,
    smart_tagger,
    smart_breakpoint,
    smart_merge,
    vpn,
    wireguard,
    ids
);

#[test]
fn a_static_translator_keeps_the_contract_however_it_is_configured() {
    for maps in [
        "source = { \"10.0.0.0/8\" = \"203.0.0.0/8\" }",
        "destination = { \"192.0.2.0/24\" = \"10.0.0.0/24\" }",
        "source = { \"10.0.0.0/9\" = \"10.128.0.0/9\", \"192.0.2.0/24\" = \"10.1.0.0/24\" }\n\
         destination = { \"10.128.0.0/9\" = \"10.0.0.0/9\", \"10.1.0.0/24\" = \"192.0.2.0/24\" }",
        "source = { \"0.0.0.0/0\" = \"0.0.0.0/0\" }",
    ] {
        for icmp_errors in ["translate", "pass"] {
            check("static_nat", &format!("{maps}\nicmp_errors = \"{icmp_errors}\""));
        }
    }
}

/// Every packet has one of the marks.
#[test]
fn priority_flows_keep_the_contract() {
    check(
        "smart_tagger",
        "foreign = \"clear\"\nrule = [{ name = \"all\", match = \"tcp\", mark = 5, rate = \"1gbit\" }]",
    );
    let classes: Vec<String> =
        (0..64).map(|mark| format!("{{ mark = {mark}, deadline = \"1s\" }}")).collect();
    let classes = format!("class = [{}]", classes.join(", "));
    for more in ["replicate = \"all\"", "number = \"always\"\nreplicate = \"udp\"\nmtu = 600"] {
        check("smart_breakpoint", &format!("{classes}\n{more}"));
    }
    let marks: Vec<String> = (0..64).map(|mark| mark.to_string()).collect();
    for more in
        ["clear = true", "held = 3\nheld_per_flow = 2\nremembered = 3\nskew = \"1ms\"\nhold = \"1ms\""]
    {
        check("smart_merge", &format!("marks = [{}]\ncapacity = 1024\n{more}", marks.join(", ")));
    }
}

/// Alone and side by side, by either carrier, and the two halves of it on two servers.
#[test]
fn nfs_behind_ports_keep_the_contract() {
    let branches = "branches = [{ out = \"wan\", in = \"dmz\", writes = [\"ip.src\", \"sport\"] }, \
                    { out = \"dmz\", in = \"wan\", writes = [\"ip.ttl\"], fifo = true }]";
    for config in [
        "out = \"wan\"\nin = \"dmz\"\ncarrier = \"vlan\"\nwrites = [\"ip.ttl\"]\nfifo = true".to_owned(),
        "out = \"wan\"\nin = \"dmz\"\nwrites = []\ndrops = false\non_timeout = \"pass\"\nunmarked = \"pass\""
            .to_owned(),
        branches.to_owned(),
        format!("unmarked = \"send\"\ncreates = false\ncarrier = \"vlan\"\nin_flight = 40\n{branches}"),
        "role = \"mirror\"\nout = \"wan\"".to_owned(),
        "role = \"merge\"\nin = \"dmz\"\nwrites = [\"ip.ttl\", \"sport\"]".to_owned(),
    ] {
        check("external", &config);
    }
}

fn check(kind: &str, config: &str) {
    let registry = nfs::registry();
    let mut trial = Trial::example(registry.get(kind).expect(kind));
    trial.config = config.to_owned();
    trial.check().assert_clean();
}

#[test]
fn a_switch_that_knows_vlans_keeps_the_contract() {
    check(
        "l2fwd",
        "vlan_aware = true\nunknown = \"drop\"\ntable = { \"02:00:00:00:00:02 vlan 5\" = \"wan\" }",
    );
}

#[test]
fn a_switch_that_learns_nothing_keeps_the_contract() {
    check("l2fwd", "learn = false\ntable = { \"02:00:00:00:00:02\" = \"wan\" }");
}

#[test]
fn a_firewall_that_reads_one_field_keeps_the_contract() {
    for rule in ["deny from 10.0.0.0/9", "deny to any port 0-1000", "deny tcp flags syn", "deny vlan 0-100"] {
        for malformed in ["drop", "pass"] {
            check(
                "firewall",
                &format!("rules = [\"{rule}\"]\ndefault = \"allow\"\nmalformed = \"{malformed}\""),
            );
        }
    }
}

#[test]
fn a_firewall_that_tracks_connections_keeps_the_contract() {
    for config in [
        "rules = [\"allow ct state established,related\", \"allow from 10.0.0.0/8 ct state new\"]",
        "rules = [\"deny ct state invalid\", \"deny udp to any port 53 ct state new\"]\ndefault = \"allow\"\n\
         malformed = \"pass\"\ntracking.pick_up = false",
        "rules = [\"allow ct state untracked,new,established\"]\nfragments = \"drop\"\ntracking.liberal = true",
    ] {
        check("firewall", config);
    }
}

/// Hosts of both sides are reached, so errors, echoes and questions leave; and limits of all kinds are met.
#[test]
fn a_router_between_two_sides_keeps_the_contract() {
    check(
        "router",
        "icmp_rate = 20\ncapacity = 24\nroutes = [\"172.16.0.0/12 via 192.0.2.1 via 192.0.2.2\"]\n\
         interfaces.lan = { mac = \"02:00:00:00:01:01\" }\n\
         interfaces.wan = { mac = \"02:00:00:00:00:01\", mtu = 1280, \
         addresses = [\"192.0.2.254/24\", \"2001:db8:1::254/64\"] }\n\
         interfaces.dmz = { mac = \"02:00:00:00:00:0b\", addresses = [\"10.0.0.254/24\", \"2001:db8::254/64\"] }",
    );
}

/// The harness's own traffic is translated: its IPv6 hosts to addresses behind the prefix, its IPv4 hosts to ports that
/// lead to IPv6 ones; too large packets among it, errors and fragments.
#[test]
fn a_translator_between_ip_versions_keeps_the_contract() {
    for more in [
        "untranslated = \"pass\"",
        "filtering = \"endpoint_independent\"\nicmp_from = [\"192.0.2.254\", \"2001:db8::fe\"]\n\
         mtu = { v4 = 1260, v6 = 1280 }",
        "udp_without_checksum = \"drop\"\ncapacity = 4096\nmtu = { v4 = 9000, v6 = 9000, fragments = 9000 }",
    ] {
        let mut config =
            format!("prefix = \"2001:db8:1::/96\"\npool = [\"203.0.113.0/30\"]\n{more}\n[forward]\n");
        for host in 1..=24 {
            for port in [22, 53, 80, 123, 443] {
                for protocol in ["tcp", "udp"] {
                    config += &format!(
                        "\"{protocol} 192.0.2.{host}:{port}\" = \"[2001:db8:5::{host:x}]:{port}\"\n"
                    );
                }
            }
        }
        check("nat64", &config);
    }
}

#[test]
fn translators_of_prefixes_keep_the_contract() {
    for config in [
        "prefixes = { \"2001:db8::/64\" = \"2001:db8:9:1::/64\", \"2001:db8:8::/48\" = \"2001:db8:1::/48\" }",
        "prefixes = { \"2001:db8::/48\" = \"2001:db8:9::/48\" }\nicmp_from = [\"2001:db8::fe\"]",
        "prefixes = { \"2001:db8:ff00::/40\" = \"2001:db8::/40\" }",
    ] {
        check("nptv6", config);
    }
}

/// A monitor with everything on, and the signatures of the examples.
fn watchful(ipfix: &std::path::Path) -> String {
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/assets");
    let files = ["syn.fp", "synack.fp", "servers.sig", "clients.sig", "udp.sig", "ports", "links"];
    let keys = ["syn", "synack", "servers", "clients", "udp", "ports", "links"];
    let files: String =
        keys.iter().zip(files).map(|(key, file)| format!("{key} = \"{assets}/{file}\"\n")).collect();
    let ipfix = ipfix.display();
    format!(
        "idle_timeout = \"5m\"\nactive_timeout = \"1m\"\nsketches = true\nipfix = \"{ipfix}\"\n[assets]\n{files}"
    )
}

#[test]
fn a_monitor_with_everything_on_keeps_the_contract() {
    let file = std::env::temp_dir().join(format!("braid-contract-{}.ipfix", std::process::id()));
    check("monitor", &watchful(&file));
    check("monitor", "sketches = true");
    check("monitor", "assets = {}");
    let _ = std::fs::remove_file(file);
}

/// All rules but that of state: which of its flows a full table gives up depends on the order in which they came, and
/// an import has another.
#[test]
fn a_monitor_that_is_full_keeps_the_contract() {
    let registry = nfs::registry();
    let mut trial = Trial::example(registry.get("monitor").expect("registered"));
    trial.config = "capacity = 16".to_owned();
    for rule in Rule::ALL.into_iter().filter(|rule| *rule != Rule::State) {
        trial.check_rule(rule).assert_clean();
    }
}

/// Both directions of each tunnel; what comes out of one is the harness's own traffic with headers around it, so that
/// there is something to take out.
#[test]
fn tunnels_keep_the_contract_in_every_mode() {
    const OUTER: &str =
        "eth 02:00:00:00:00:01 > 02:00:00:00:01:01 / ipv4 198.51.100.2 > 198.51.100.1 dscp 8 ecn 3";
    let macs = "macs = { source = \"02:00:00:00:00:01\", destination = \"02:00:00:00:00:02\" }";
    let icmp = "icmp_from = [\"198.51.100.9\", \"2001:db8::9\"]";
    let ends4 = "local = \"198.51.100.1\", remote = \"198.51.100.2\"";
    let ends6 = "local = \"2001:db8::1\", remote = \"2001:db8::2\"";
    for (kind, config) in [
        ("vlan", "encap = { id = 7, tag = \"802.1ad\", priority = 5, mtu = 1280 }".to_owned()),
        ("vlan", format!("encap = {{ id = 7, mtu = 1280, {icmp} }}")),
        ("vlan", "decap = { id = 2 }".to_owned()),
        ("vlan", "decap = { other = \"pass\" }".to_owned()),
        ("ipip", format!("encap = {{ {ends4}, {icmp}, dscp = 8, mtu = 1000 }}")),
        ("ipip", format!("encap = {{ {ends6}, ttl = \"copy\", other = \"pass\", {macs} }}")),
        ("ipip", format!("decap = {{ {ends4}, dscp = \"outer\" }}")),
        ("ipip", format!("decap = {{ other = \"pass\", {macs} }}")),
        ("mpls", format!("encap = {{ labels = [16], {icmp}, {macs}, ttl = 64, class = 0 }}")),
        ("mpls", "decap = { labels = [16, 17], ttl = \"outer\" }".to_owned()),
        ("mpls", format!("decap = {{ other = \"pass\", {macs} }}")),
        ("vxlan", format!("encap = {{ vni = 42, {ends6}, {macs}, {icmp} }}")),
        ("vxlan", format!("encap = {{ vni = 42, {ends4}, {macs}, mtu = 1000, checksum = true, dscp = 8 }}")),
        ("vxlan", format!("decap = {{ vni = 42, {ends4} }}")),
        ("vxlan", format!("decap = {{ vni = 42, {ends4}, dscp = \"outer\", other = \"pass\" }}")),
    ] {
        let registry = nfs::registry();
        let mut trial = Trial::example(registry.get(kind).expect(kind));
        trial.config = config.clone();
        let headers = match kind {
            "ipip" => harness::packet(OUTER),
            "vxlan" => harness::packet(&format!("{OUTER} / vxlan 42")),
            _ => Ok(Vec::new()),
        };
        let headers = headers.expect("a description");
        if config.starts_with("decap") && !headers.is_empty() {
            wrap(&mut trial, kind, &headers);
        }
        let report = trial.check();
        assert!(report.is_clean(), "{kind}: {config}\n{report}");
    }
}

/// Puts outer headers around every other frame of a trial, with the lengths that they need.
fn wrap(trial: &mut Trial, kind: &str, headers: &[u8]) {
    for frame in trial.frames.iter_mut().step_by(2).filter(|frame| frame.bytes.len() > 14) {
        let inner = if kind == "ipip" { &frame.bytes[14..] } else { &frame.bytes[..] };
        let mut bytes = headers.to_vec();
        bytes.extend(inner);
        let total = bytes.len() - 14;
        if kind == "vxlan" {
            bytes[38..40].copy_from_slice(&((total - 20) as u16).to_be_bytes());
            bytes[40..42].fill(0);
        } else {
            bytes[23] = if inner[0] >> 4 == 6 { 41 } else { 4 };
        }
        let mut outer = wire::ipv4::Packet::new_checked(&mut bytes[14..]).expect("a header");
        outer.set_total_len(total as u16);
        outer.fill_checksum();
        frame.bytes = bytes;
    }
}

/// Services of the harness's own traffic: its servers and some of their ports.
#[test]
fn a_load_balancer_keeps_the_contract_in_every_mode() {
    for (mode, local4, local6) in [
        ("nat", "", ""),
        ("ipip", "local = \"203.0.113.9\"\nmtu = 1000\n", "local = \"2001:db8:9::9\"\n"),
        ("mac", "", ""),
    ] {
        let mut config =
            "table_size = 251\nother = \"drop\"\nclients_mac = \"02:00:00:00:03:01\"\n".to_owned();
        for host in 1..=24 {
            let mut service = |address: String, local: &str, networks: [&str; 2]| {
                let port = [22, 80, 443, 8080][host % 4];
                // Behind NAT, each service has a port of its own on the back-ends.
                let backend = |network: &str| {
                    format!(
                        "{{ name = \"{network}\", address = \"{network}1\", port = {}, mac = \"02:00:00:00:02:01\" }}",
                        1000 + host
                    )
                };
                config += &format!(
                    "[[services]]\naddress = \"{address}\"\nport = {port}\nmode = \"{mode}\"\n{local}\
                     backends = [{}, {}]\n",
                    backend(networks[0]),
                    backend(networks[1])
                );
            };
            service(format!("192.0.2.{host}"), local4, ["203.0.113.", "203.0.114."]);
            service(format!("2001:db8:1::{host:x}"), local6, ["2001:db8:9::", "2001:db8:8::"]);
        }
        let registry = nfs::registry();
        let mut trial = Trial::example(registry.get("lb").expect("registered"));
        trial.config = config;
        let report = trial.check();
        assert!(report.is_clean(), "{mode}\n{report}");
    }
}

/// The servers of a real capture become static bindings of IPv6 hosts; half way, the translator's state moves to another
/// instance.
#[test]
fn a_translator_between_ip_versions_moves_half_way_through_a_real_capture() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/general/dev"));
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    for name in ["ndpi_netflix.pcap", "ndpi_teams.pcap", "zeek_http_bro.org.pcap"] {
        let mut reader = capture::Reader::open(folder.join(name)).expect("a capture");
        let (mut frames, mut servers) = (Vec::new(), std::collections::BTreeSet::new());
        while let (true, Ok(Some(frame))) = (frames.len() < 1500, reader.next()) {
            let headers = wire::parse(frame.bytes);
            let protocol =
                [(6, "tcp"), (17, "udp")].into_iter().find(|(n, _)| headers.protocol() == Some(*n));
            if let (Some((_, protocol)), Some((_, server)), Some((_, port))) =
                (protocol, headers.ipv4_addresses(frame.bytes), headers.ports(frame.bytes))
                && (1..1024).contains(&port)
                && server >> 28 < 0xe
            {
                servers.insert((protocol, std::net::Ipv4Addr::from(server), port));
            }
            frames.push(harness::Frame::new("captured", frame.bytes.to_vec()));
        }
        assert!(!servers.is_empty(), "{name} has no server");
        let mut config = "prefix = \"2001:db8:64::/96\"\n[forward]\n".to_owned();
        for (n, (protocol, server, port)) in servers.iter().enumerate() {
            config += &format!("\"{protocol} {server}:{port}\" = \"[2001:db8:5::{n:x}]:{port}\"\n");
        }
        let registry = nfs::registry();
        let mut trial = Trial::example(registry.get("nat64").expect("registered"));
        (trial.config, trial.frames) = (config, frames);
        let report = trial.check_rule(Rule::State);
        assert!(report.is_clean() && report.notes.is_empty(), "{name}\n{report}");
    }
}

/// The servers of a real capture become services; half way, the balancer's state moves to another instance.
#[test]
fn a_load_balancer_moves_half_way_through_a_real_capture() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/general/dev"));
    if !folder.exists() {
        println!("skipped: {} is not there", folder.display());
        return;
    }
    for name in ["ndpi_netflix.pcap", "ndpi_teams.pcap", "zeek_http_bro.org.pcap"] {
        let mut reader = capture::Reader::open(folder.join(name)).expect("a capture");
        let (mut frames, mut services) = (Vec::new(), std::collections::BTreeSet::new());
        while let (true, Ok(Some(frame))) = (frames.len() < 1500, reader.next()) {
            let headers = wire::parse(frame.bytes);
            let flags = headers.tcp_flags(frame.bytes).unwrap_or(0) & 0x12;
            if let (0x02, Some((_, server)), Some((_, port))) =
                (flags, headers.addresses(frame.bytes), headers.ports(frame.bytes))
            {
                services.insert((server, port));
            }
            frames.push(harness::Frame::new("captured", frame.bytes.to_vec()));
        }
        assert!(!services.is_empty(), "{name} has no TCP connection from its beginning");
        let mut config = "table_size = 251\n".to_owned();
        for (number, (server, port)) in services.iter().take(100).enumerate() {
            let network = if server.is_ipv4() { "203.0.113." } else { "2001:db8:9::" };
            let backend = |host: usize| {
                format!("{{ name = \"web{host}\", address = \"{network}{host}\", port = {} }}", 1000 + number)
            };
            config += &format!(
                "[[services]]\naddress = \"{server}\"\nport = {port}\nmode = \"nat\"\nbackends = [{}, {}]\n",
                backend(1),
                backend(2)
            );
        }
        let registry = nfs::registry();
        let mut trial = Trial::example(registry.get("lb").expect("registered"));
        (trial.config, trial.frames) = (config, frames);
        let report = trial.check_rule(Rule::State);
        assert!(report.is_clean() && report.notes.is_empty(), "{}\n{report}", name);
    }
}

#[test]
fn bad_networks_of_every_kind_keep_the_contract() {
    for config in [
        "",
        "loss = 30\nloss_correlation = 40",
        "duplicate = 20\nduplicate_correlation = 10",
        "corrupt = 50",
        "corrupt = 10\nduplicate = 10\ndelay = \"3ms\"",
        "delay = \"10ms\"\njitter = \"10ms\"\ndistribution = \"pareto\"\nreorder = 10\ngap = 3",
        "delay = \"10ms\"\njitter = \"4ms\"\ndistribution = \"normal\"\ndelay_correlation = 25\nin_order = true",
        "gilbert_elliott = { to_bad = 5, to_good = 20, loss_in_good = 1 }\nrate = \"100mbit\"\noverhead = 24",
    ] {
        check("netem", config);
    }
}

/// All rules but that of state: packets that are held do not leave with it, and so make room.
#[test]
fn a_bad_network_that_is_full_keeps_the_contract() {
    let registry = nfs::registry();
    let mut trial = Trial::example(registry.get("netem").expect("registered"));
    trial.config = "delay = \"1s\"\nlimit = 5".to_owned();
    for rule in Rule::ALL.into_iter().filter(|rule| *rule != Rule::State) {
        trial.check_rule(rule).assert_clean();
    }
}

#[test]
fn shapers_that_hold_nothing_keep_the_contract() {
    for config in [
        "",
        "rate = \"1mbit\"\ndefault = \"a\"\nclass = [{ name = \"a\", queue = 0 }]",
        "class = [{ name = \"a\", match = \"tcp.flags has syn or icmp.type == 8 or vlan.id == 5\", mark = \"ef\" }]",
        "class = [{ name = \"a\", dscp = [0, \"ef\"], mark = 7 }]",
        "class = [{ name = \"a\", match = \"frame.len > 500\", rate = \"1mbit\", queue = 0 }]",
        "class = [{ name = \"a\", match = \"not ip.src in 10.0.0.0/9\", police = { cir = \"100kbit\", \
         cbs = 5000, ebs = 5000, yellow = \"af12\" } }]",
        "default = \"a\"\nclass = [{ name = \"a\", police = { cir = \"100kbit\", cbs = 5000, pir = \"1mbit\", \
         pbs = 9000, color_aware = true, green = \"af11\", yellow = \"af12\", red = \"af13\" } }]",
    ] {
        check("shaper", config);
    }
}

/// All rules but that of state: packets that wait do not leave with it, and so make room.
#[test]
fn a_shaper_with_a_backlog_keeps_the_contract() {
    let registry = nfs::registry();
    let mut trial = Trial::example(registry.get("shaper").expect("registered"));
    trial.config = "rate = \"2mbit\"\ndefault = \"rest\"\nclass = [\n\
        { name = \"office\", rate = \"1mbit\", ceil = \"2mbit\" },\n\
        { name = \"voice\", parent = \"office\", match = \"udp\", rate = \"100kbit\", mark = \"ef\", queue = 50 },\n\
        { name = \"data\", parent = \"office\", match = \"tcp\", ceil = \"2mbit\", priority = 1, queue = 50 },\n\
        { name = \"rest\", rate = \"500kbit\", ceil = \"2mbit\", priority = 1, queue = 50 },\n]"
        .to_owned();
    for rule in Rule::ALL.into_iter().filter(|rule| *rule != Rule::State) {
        trial.check_rule(rule).assert_clean();
    }
}

#[test]
fn a_tracker_that_passes_everything_keeps_the_contract() {
    check("conntrack", "invalid = \"pass\"\ntracking.pick_up = false\ntracking.liberal = true");
}

#[test]
fn a_translator_keeps_the_contract_however_it_is_configured() {
    for config in [
        "pool = [\"203.0.113.0/29\"]\nfiltering = \"endpoint_independent\"\nuntranslated = \"pass\"",
        "pool = [\"203.0.113.0/29\"]\nfiltering = \"address_and_port_dependent\"\npooling = \"arbitrary\"",
        "one_to_one = { \"203.0.113.7\" = \"10.0.0.7\", \"203.0.113.8\" = \"10.0.0.8\" }",
        // What the other side of the traffic sends goes to outside addresses.
        "inside = [\"192.0.2.0/24\"]\npool = [\"203.0.113.1\"]\none_to_one = { \"10.0.0.7\" = \"192.0.2.7\" }",
        "inside = [\"192.0.2.0/24\"]\nforward = { \"tcp 10.0.0.7:80\" = \"192.0.2.7:80\" }\npool = [\"10.0.0.0/27\"]",
    ] {
        let inside = if config.starts_with("inside") { "" } else { "inside = [\"10.0.0.0/8\"]\n" };
        check("nat", &format!("{inside}{config}"));
    }
}
