//! A few rules and keys against linear search: small enough for Miri, which interprets.
use super::super::{CLASS_BYTES, Key, Masked, PortRange, Prefix, Rule, VlanMatch};
use super::{agrees, linear, to};

/// 2001::/16.
const V6: u128 = 0x2001 << 112;

/// [`agrees`] says more when each rule is the first match of some key, and some key has none.
fn all_are_found(rules: &[Rule], keys: &[Key]) {
    let found: Vec<Option<u32>> = keys.iter().map(|key| linear(rules, key)).collect();
    assert!(found.contains(&None));
    for rule in 0..rules.len() as u32 {
        assert!(found.contains(&Some(rule)), "rule {rule}");
    }
}

/// Every kind of comparison that up to 32 rules are made of, on one key more than are handled together.
#[test]
fn six_rules_as_linear_search() {
    let rules = [
        Rule {
            source: to(0x0a01_0200, 24),
            destination_port: PortRange { low: 3, high: 4 },
            ..Rule::default()
        },
        Rule { source: Some(Prefix::V6(V6, 16)), tcp_flags: Masked { value: 2, mask: 2 }, ..Rule::default() },
        Rule { icmp: Some((8, None)), ..Rule::default() },
        Rule { vlan: VlanMatch::Range(5, 6), protocol: Masked::exactly(17), ..Rule::default() },
        Rule { ether_type: Some(0x0806), ..Rule::default() },
        Rule {
            tag: Masked { value: 0, mask: !0b110 },
            destination_port: PortRange::one(2),
            ..Rule::default()
        },
    ];
    let inside = |port| Key::ipv4(0x0a01_0203, 1, 6, 9, port);
    let echo = |key| Key { has_ports: false, has_icmp: true, icmp: 0x0801, ..key };
    let syn = |source| Key { tcp_flags: 0x12, ..Key::ipv6(source, 1, 6, 9, 3) };
    let packets = [
        inside(2),
        Key { tag: 0b100, ..inside(2) },
        Key { tag: 0b1000, ..inside(2) },
        inside(3),
        inside(4),
        inside(5),
        Key { has_ports: false, ..inside(3) },
        Key::ipv4(0x0a01_0300, 1, 17, 9, 3),
        echo(Key::ipv4(1, 2, 1, 0, 0)),
        echo(Key::ipv6(1, 2, 58, 0, 0)),
        syn(V6 | 7),
        syn(V6 << 1),
        Key { ether_type: 0x0806, ..Key::default() },
        Key { tag: 0b1000, ..Key::default() },
    ];
    let tags = [Key::UNTAGGED, 5, 7];
    let keys = tags.map(|vlan| packets.map(|packet| Key { vlan, ..packet })).concat();
    all_are_found(&rules, &keys);
    agrees(&rules, &keys, CLASS_BYTES);
}

#[test]
fn thirty_three_rules_as_linear_search() {
    let network = |i: u32| 0x0a00_0000 | i << 8;
    let rules: Vec<Rule> = (0..30)
        .map(|i| Rule { source: to(network(i), 24), ..Rule::default() })
        .chain([
            Rule { source: to(network(0), 8), protocol: Masked::exactly(17), ..Rule::default() },
            Rule { source: Some(Prefix::V6(V6, 16)), ..Rule::default() },
            Rule { protocol: Masked::exactly(6), ..Rule::default() },
        ])
        .collect();
    let keys: Vec<Key> = (0..31)
        .map(|i| Key::ipv4(network(i) | i, 1, 17, 2, 3))
        .chain([Key::ipv6(V6 | 7, 1, 17, 2, 3), Key::ipv4(1, 2, 6, 3, 4), Key::ipv4(1, 2, 17, 3, 4)])
        .collect();
    all_are_found(&rules, &keys);
    let classifier = agrees(&rules, &keys, CLASS_BYTES);
    assert!(!classifier.stats().widened);
}

/// Every other port, so that the 257 classes which there always may be are too few.
#[test]
fn widened_ports_as_linear_search() {
    let rules: Vec<Rule> =
        (0..130).map(|i| Rule { destination_port: PortRange::one(2 * i), ..Rule::default() }).collect();
    let keys: Vec<Key> =
        (0..264).step_by(52).flat_map(|i| [i, i + 1]).map(|port| Key::ipv4(1, 2, 6, 3, port)).collect();
    let classifier = agrees(&rules, &keys, 0);
    assert!(classifier.stats().widened);
}
