//! Every NF of the registry does what it declares, and what its packet cases say.

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

contract!(mac_swap, l2fwd, firewall, monitor, vlan, ipip, mpls, vxlan);

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
