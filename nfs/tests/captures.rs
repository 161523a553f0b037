//! Real captures, in two halves: state that leaves after the first and enters another instance goes on as if nothing
//! had happened.

use capture::Reader;
use harness::{Frame, Rule, Trial};
use std::path::Path;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/general/dev");

/// Frames of a capture, at most so many; `None` where the captures are not.
fn frames(name: &str, most: usize) -> Option<Vec<Frame>> {
    let path = Path::new(DATA).join(name);
    if !path.exists() {
        println!("skipped: {} is not here", path.display());
        return None;
    }
    let mut reader = Reader::open(&path).expect("a capture");
    let mut frames = Vec::new();
    while let Some(frame) = reader.next().expect("a whole capture")
        && frames.len() < most
    {
        frames.push(Frame::new(format!("{name} {}", frames.len() + 1), frame.bytes.to_vec()));
    }
    Some(frames)
}

fn goes_on(kind: &str, config: &str, capture: &str) {
    let Some(frames) = frames(capture, 4000) else { return };
    assert!(frames.len() > 100, "{capture} is long enough to be cut in two");
    let registry = nfs::registry();
    let mut trial = Trial::example(registry.get(kind).expect(kind));
    (trial.config, trial.frames) = (config.to_owned(), frames);
    trial.check_rule(Rule::State).assert_clean();
    trial.check_rule(Rule::Determinism).assert_clean();
}

const CAPTURES: [&str; 3] = ["ndpi_netflix.pcap", "ndpi_instagram.pcap", "ndpi_quic-28.pcap"];

#[test]
fn a_bad_network_loses_the_same_packets_of_a_capture_in_two_instances() {
    for capture in CAPTURES {
        for config in [
            "loss = 20\nloss_correlation = 30\nduplicate = 10\ncorrupt = 10",
            "gilbert_elliott = { to_bad = 5, to_good = 20 }\nrate = \"100mbit\"\ndelay = \"1ms\"\njitter = \"1ms\"",
        ] {
            goes_on("netem", config, capture);
        }
    }
}

#[test]
fn a_shaper_polices_and_marks_a_capture_alike_in_two_instances() {
    for capture in CAPTURES {
        for config in [
            "rate = \"4mbit\"\ndefault = \"a\"\nclass = [{ name = \"a\", queue = 0 }]",
            "class = [{ name = \"a\", match = \"port == 443\", mark = \"af41\", police = { cir = \"1mbit\", \
             cbs = 9000, pir = \"2mbit\", pbs = 20000, yellow = \"af42\" } }]",
        ] {
            goes_on("shaper", config, capture);
        }
    }
}

#[test]
fn a_firewall_knows_the_connections_of_a_capture_in_two_instances() {
    // The traffic pauses for five minutes. No time-out ends with the pause, as timers are coarser than packets.
    let timeouts = "tracking.timeouts = { udp_stream = \"10m\", tcp_picked_up = \"10m\" }";
    for capture in CAPTURES.into_iter().chain(["ndpi_http_ipv6.pcap"]) {
        for rules in [
            "rules = [\"allow ct state established,related\", \"allow udp ct state new\", \
             \"allow tcp to any port 443 ct state new\"]",
            "rules = [\"deny ct state invalid,related\", \"deny tcp to any port 80 ct state new\"]\n\
             default = \"allow\"",
        ] {
            goes_on("firewall", &format!("{rules}\n{timeouts}"), capture);
        }
    }
}

#[cfg(feature = "ids")]
#[test]
fn an_ids_finds_the_same_in_two_instances() {
    let rules = "rules = ['alert tcp any any -> any any (flow:established; content:\"|16 03|\"; sid:1;)', \
                 'alert http any any -> any any (http.method; content:\"GET\"; flowbits:set,got; sid:2;)', \
                 'alert http any any -> any any (flowbits:isset,got; http.stat_code; content:\"200\"; sid:3;)', \
                 'alert dns any any -> any any (dns.query; content:\".com\"; threshold:type limit, track by_src, count 2, seconds 60; sid:4;)', \
                 'alert tls any any -> any any (tls.sni; content:\".\"; hostbits:set,tls; sid:5;)', \
                 'drop ip any any -> any any (hostbits:isset,tls; content:\"|00 00|\"; detection_filter:track by_dst, count 20, seconds 60; sid:6;)']\n\
                 checksums = \"ignore\"\nidle_timeout = \"10m\"";
    for capture in CAPTURES.into_iter().chain(["ndpi_http_ipv6.pcap"]) {
        for mode in ["alert", "drop"] {
            goes_on("ids", &format!("{rules}\nmode = \"{mode}\""), capture);
        }
    }
}

#[test]
fn a_monitor_with_everything_on_goes_on_in_another_instance() {
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/assets");
    let file = std::env::temp_dir().join(format!("braid-captures-{}.ipfix", std::process::id()));
    let config = format!(
        "active_timeout = \"2s\"\nsketches = true\nipfix = \"{}\"\n[assets]\nsyn = \"{assets}/syn.fp\"\n\
         synack = \"{assets}/synack.fp\"\nservers = \"{assets}/servers.sig\"\n\
         clients = \"{assets}/clients.sig\"\nudp = \"{assets}/udp.sig\"\nports = \"{assets}/ports\"",
        file.display()
    );
    for capture in CAPTURES.into_iter().chain(["ndpi_teams.pcap", "zeek_nmap-vsn.pcap"]) {
        goes_on("monitor", &config, capture);
    }
    let _ = std::fs::remove_file(file);
}
