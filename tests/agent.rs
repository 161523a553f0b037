//! Several servers: agents and planners as processes, in network namespaces, with a real etcd, and kills.

mod rig;

#[path = "agent/cluster.rs"]
mod cluster;

use cluster::{Cluster, Process, until};
use rig::Folder;
use rig::spaces::{Spaces, run};
use std::time::{Duration, Instant};

/// A chain from `lan` to `wan` of s1 and one back, with a monitor on s2 or s3.
const WANTED: &str = r#"
[nf.edge]
kind = "firewall"
rules = ["allow ip"]
[nf.watch]
kind = "monitor"
[need.edge]
on = ["s1"]
[need.watch]
rate = 1000000
on = ["s2", "s3"]
[[chain]]
name = "out"
from = "lan"
path = ["edge", "watch"]
to = "wan"
rate = 1000
[[chain]]
name = "back"
from = "wan"
path = ["watch", "edge"]
to = "lan"
rate = 1000
"#;

/// Hosts a and b at s1's ports; s1, s2 and s3 on a switch, and on another one with etcd, which is in the middle.
fn network(spaces: &Spaces) {
    for switch in ["core", "mgmt"] {
        run("ip", &["link", "add", switch, "type", "bridge"]);
        run("ip", &["link", "set", switch, "up"]);
    }
    run("ip", &["addr", "add", "10.255.0.254/24", "dev", "mgmt"]);
    for number in 1..=3 {
        let server = format!("s{number}");
        let space = spaces.of(&server);
        spaces.tell(&server, "sysctl", &["-qw", "net.ipv6.conf.all.disable_ipv6=1"]);
        spaces.tell(&server, "sysctl", &["-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
        for switch in ["core", "mgmt"] {
            let end = format!("{switch}{number}");
            run("ip", &["link", "add", &end, "type", "veth", "peer", "name", switch, "netns", &space]);
            run("ip", &["link", "set", &end, "master", switch, "up"]);
        }
        spaces.tell(&server, "ip", &["link", "set", "core", "address", &mac(number), "up"]);
        spaces.tell(&server, "ip", &["addr", "add", &format!("10.255.0.{number}/24"), "dev", "mgmt"]);
        spaces.tell(&server, "ip", &["link", "set", "mgmt", "up"]);
    }
    for (host, port, address) in [("a", "lan", "10.1.0.1/24"), ("b", "wan", "10.1.0.2/24")] {
        let space = spaces.of("s1");
        spaces.tell(
            host,
            "ip",
            &["link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", &space],
        );
        // Frames of hosts and 50 bytes of a VXLAN are what the switch carries.
        spaces.tell(host, "ip", &["link", "set", "eth0", "mtu", "1400"]);
        spaces.address(host, "eth0", [address, &format!("fd00::{}/64", &address[7..8])]);
        spaces.tell("s1", "ip", &["link", "set", port, "up"]);
    }
}

fn mac(number: u8) -> String {
    format!("02:00:00:00:01:0{number}")
}

/// The server's own configuration.
fn base(number: u8) -> String {
    let more = if number == 1 {
        "[ports.lan]\ndevice = \"net_af_packet1,iface=lan\"\n[ports.wan]\ndevice = \"net_af_packet2,iface=wan\"\n"
    } else {
        ""
    };
    let delay = 10 * u16::from(number);
    format!(
        "[server]\ncpu = 2\nmemory = 1000\ndelay = {{ s1 = {delay} }}\n\
         [server.link]\nport = \"core\"\naddress = \"10.0.0.{number}\"\nmac = \"{}\"\n\
         [engine]\nidle = \"adaptive\"\nmemory = \"192M\"\nsocket = \"s{number}.sock\"\n\
         [ports.core]\ndevice = \"net_af_packet0,iface=core\"\n{more}",
        mac(number)
    )
}

/// Pings once every 100 ms; how many of so many come back.
fn pings(spaces: &Spaces, count: u32) -> u32 {
    let said =
        spaces.ask("a", "ping", &["-n", "-q", "-i", "0.1", "-W", "1", "-c", &count.to_string(), "10.1.0.2"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let received = said.split(", ").find_map(|part| part.strip_suffix(" received"));
    received.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("ping says {said}"))
}

fn reached(spaces: &Spaces) {
    until("a reaches b", || pings(spaces, 1) == 1);
}

#[test]
fn chains_over_servers_outlive_servers_etcd_and_planners() {
    let folder = Folder::new("agent-kills");
    let Some(mut cluster) = Cluster::start(&folder, "10.255.0.254") else { return };
    let Some(spaces) = Spaces::new("agent", &["a", "b", "s1", "s2", "s3"]) else { return };
    network(&spaces);
    cluster.etcd();
    cluster.set(WANTED);
    let mut planners = [cluster.planner("p1"), cluster.planner("p2")];
    let mut agents: Vec<Process> = (1..=3)
        .map(|number| {
            let (name, config) = (format!("s{number}"), base(number));
            cluster.agent(&name, &config, Some(&spaces.of(&name)))
        })
        .collect();

    // The chains are cut: s2 is nearer than s3, and its monitor sees what goes from a to b.
    cluster.until_place("watch", "s2");
    reached(&spaces);
    assert_eq!(pings(&spaces, 20), 20, "nothing is lost");
    assert!(cluster.nf_packets("s2", "watch") >= 40);
    spaces.transfer("10.1.0.2:7000", 2_000_000);

    // s2 dies. Its lease ends, and the chains go by s3.
    let killed = Instant::now();
    agents[1].kill();
    cluster.until_place("watch", "s3");
    reached(&spaces);
    println!("s2 killed: by s3 after {:.1} s (leases of {} s)", killed.elapsed().as_secs_f64(), cluster::TTL);
    let said = cluster.events();
    assert!(said.iter().any(|event| event.starts_with("planned: gone: s2: watch from s2 to s3")), "{said:?}");

    // etcd dies: what runs goes on, for longer than leases last.
    cluster.kill_etcd();
    let away = Instant::now();
    until("s1 has noticed", || agents[0].said("etcd_away"));
    while away.elapsed() < Duration::from_secs(cluster::TTL + 1) {
        assert_eq!(pings(&spaces, 10), 10, "without etcd the last plan goes on");
    }

    // It comes back, and so do s1 and s3; a planner leads again; the servers follow.
    cluster.etcd();
    until("s3 is known again", || cluster.has_server("s3"));
    assert_eq!(pings(&spaces, 10), 10, "nothing was taken away meanwhile");
    cluster.set(
        &WANTED.replace("[\"edge\", \"watch\"]", "[\"edge\"]").replace("[\"watch\", \"edge\"]", "[\"edge\"]"),
    );
    until("the chains stay on s1", || cluster.show()["plan"]["place"].get("watch").is_none());
    until("s1 runs it", || cluster.all_run());
    reached(&spaces);
    assert_eq!(pings(&spaces, 10), 10);

    // The planner that leads is killed: the other one takes over. s2 is back by then.
    let leader = cluster.leader();
    planners.iter_mut().filter(|planner| leader.starts_with(&planner.name)).for_each(Process::kill);
    agents[1] = cluster.agent("s2", &base(2), Some(&spaces.of("s2")));
    cluster.set(WANTED);
    cluster.until_place("watch", "s2");
    assert_ne!(cluster.leader(), leader);
    until("all run it", || cluster.all_run());
    reached(&spaces);
    assert_eq!(pings(&spaces, 10), 10);

    // An agent that is asked to end leaves at once, without waiting for its lease to end.
    agents[1].end();
    cluster.until_place("watch", "s3");
    reached(&spaces);
}

#[test]
fn what_a_server_refuses_is_taken_back_everywhere() {
    let folder = Folder::new("agent-refused");
    let Some(mut cluster) = Cluster::start(&folder, "127.0.0.1") else { return };
    cluster.etcd();
    let _planner = cluster.planner("p");
    let base = |number: u8, port: &str| {
        format!(
            "[server]\ncpu = 2\n[server.link]\nport = \"core\"\naddress = \"10.0.0.{number}\"\nmac = \"{}\"\n\
             [engine]\nidle = \"adaptive\"\nmemory = \"192M\"\nsocket = \"s{number}.sock\"\n\
             [ports.core]\ndevice = \"net_null0,no-rx=1\"\n[ports.{port}]\ndevice = \"net_null1,no-rx=1\"\n",
            mac(number)
        )
    };
    let one = cluster.agent("s1", &base(1, "lan"), None);
    let mut two = cluster.agent("s2", &base(2, "wan"), None);
    let good = "[nf.edge]\nkind = \"firewall\"\nrules = [\"allow ip\"]\n[need.edge]\non = [\"s2\"]\n\
                [[chain]]\nname = \"out\"\nfrom = \"lan\"\npath = [\"edge\"]\nto = \"wan\"\n";
    cluster.set(good);
    until("it is in force", || cluster.events().iter().any(|event| event.starts_with("in_force")));
    let before = one.config(&cluster);
    assert!(before.contains("hop-1-to-s2"), "{before}");

    // s1 could run its part of this, and s2 has no such file.
    cluster.set(
        &good.replace("rules = [\"allow ip\"]", "rules = \"none.rules\"").replace("\"out\"", "\"other\""),
    );
    until("it is taken back", || {
        cluster.events().iter().any(|event| event.starts_with("taken_back: s2 refuses"))
    });
    until("s1 runs what it ran before", || one.config(&cluster) == before);
    until("and says so", || cluster.all_run());
    assert!(two.said("none.rules"), "the reason is told");

    // A part is kept: s2 starts anew without etcd, and runs it.
    cluster.kill_etcd();
    let ran = two.config(&cluster);
    two.kill();
    let two = cluster.agent("s2", &base(2, "wan"), None);
    assert_eq!(two.config(&cluster), ran);
}
