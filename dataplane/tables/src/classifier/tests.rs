use proptest::prelude::*;
use proptest::sample::select;

use super::{Classifier, Key, Masked, NONE, PortRange, Prefix, Rule, VlanMatch};

mod classbench;

fn linear(rules: &[Rule], key: &Key) -> Option<u32> {
    rules.iter().position(|rule| rule.matches(key)).map(|rule| rule as u32)
}

fn to(network: u32, length: u8) -> Option<Prefix> {
    Some(Prefix::V4(network, length))
}

#[test]
fn the_first_of_several_rules_wins() {
    let rules = [
        Rule { destination: to(0x0a00_0000, 24), ..Rule::default() },
        Rule { destination: to(0x0a00_0000, 8), protocol: Masked::exactly(17), ..Rule::default() },
        Rule::default(),
    ];
    let classifier = Classifier::build(&rules);
    for (destination, protocol, rule) in [(0x0a00_0001, 17, 0), (0x0a01_0001, 17, 1), (0x0a01_0001, 6, 2)] {
        assert_eq!(classifier.classify(&Key::ipv4(1, destination, protocol, 1, 2)), Some(rule));
    }
}

#[test]
fn no_rules_match_nothing_and_a_rule_without_fields_everything() {
    let key = Key::ipv6(1, 2, 6, 3, 4);
    assert_eq!(Classifier::build(&[]).classify(&key), None);
    for count in [1, 64, 65, if cfg!(miri) { 130 } else { 5_000 }] {
        let rules = vec![Rule::default(); count];
        assert_eq!(Classifier::build(&rules).classify(&key), Some(0), "{count} rules");
    }
}

#[test]
fn fields_that_no_rule_uses_are_left_out() {
    let rules = [Rule { destination_port: PortRange::one(53), ..Rule::default() }; 2];
    let stats = Classifier::build(&rules).stats();
    assert_eq!(stats.fields.iter().map(|field| field.name).collect::<Vec<_>>(), ["destination port"]);
    assert_eq!((stats.rules, stats.widened), (2, false));
}

#[test]
fn ports_flags_and_icmp_are_asked_only_of_packets_that_have_them() {
    let fragment = Key { has_ports: false, ..Key::ipv4(1, 2, 6, 0, 0) };
    let echo = Key { has_ports: false, has_icmp: true, icmp: 0x0800, ..Key::ipv4(1, 2, 1, 0, 0) };
    let syn = Key { tcp_flags: 2, ..Key::ipv4(1, 2, 6, 0, 0) };
    let low_ports = Rule { source_port: PortRange { low: 0, high: 1023 }, ..Rule::default() };
    let syns = Rule { tcp_flags: Masked { value: 2, mask: 2 }, ..Rule::default() };
    let no_syns = Rule { tcp_flags: Masked { value: 0, mask: 2 }, ..Rule::default() };
    let echoes = Rule { icmp: Some((8, None)), ..Rule::default() };
    for (rule, matches) in [
        (low_ports, [false, false, true]),
        (syns, [false, false, true]),
        (no_syns, [false, false, false]),
        (echoes, [false, true, false]),
    ] {
        let classifier = Classifier::build(&[rule]);
        assert_eq!([fragment, echo, syn].map(|key| classifier.classify(&key).is_some()), matches, "{rule:?}");
    }
}

#[test]
fn memory_stays_bounded_when_every_rule_is_different() {
    // 260 are too many already, and neighbouring addresses are fewer after one cut.
    let (count, factor, bytes) = if cfg!(miri) { (260, 1, 0) } else { (20_000, 0x9e37_79b9, 1 << 17) };
    let rules: Vec<Rule> = (0..count)
        .map(|i: u32| Rule {
            source: to(i.wrapping_mul(factor), 32),
            source_port: PortRange { low: i as u16, high: (i as u16).saturating_add(7) },
            ..Rule::default()
        })
        .collect();
    let classifier = Classifier::build_within(&rules, bytes);
    let stats = classifier.stats();
    assert!(stats.widened);
    for field in &stats.fields {
        assert!(field.classes <= 2 * 257, "{field:?}");
    }
    for rule in rules.iter().step_by(97) {
        let Some(Prefix::V4(source, _)) = rule.source else { unreachable!() };
        let key = Key::ipv4(source, 9, 17, rule.source_port.low, 9);
        assert_eq!(classifier.classify(&key), linear(&rules, &key));
    }
}

fn prefix() -> impl Strategy<Value = Option<Prefix>> {
    let v4 = (select(vec![0u32, 0x0a00_0000, 0x0a01_0203, !0]), 0..=34u8).prop_map(|(n, l)| Prefix::V4(n, l));
    let v6 = (select(vec![0u128, 0x2001 << 112, !0]), 0..=130u8).prop_map(|(n, l)| Prefix::V6(n, l));
    prop_oneof![2 => Just(None), 4 => v4.prop_map(Some), 1 => v6.prop_map(Some)]
}

fn ports() -> impl Strategy<Value = PortRange> {
    prop_oneof![
        2 => Just(PortRange::ANY),
        1 => (0..4u16, 0..4u16).prop_map(|(low, high)| PortRange { low, high }),
        1 => any::<(u16, u16)>().prop_map(|(low, high)| PortRange { low, high }),
    ]
}

fn masked(few: &'static [u8]) -> impl Strategy<Value = Masked> {
    let value = prop_oneof![select(few), any::<u8>()];
    prop_oneof![2 => Just(Masked::ANY), 2 => value.clone().prop_map(Masked::exactly),
        1 => (value, any::<u8>()).prop_map(|(value, mask)| Masked { value, mask })]
}

fn rule() -> impl Strategy<Value = Rule> {
    let vlan = prop_oneof![
        4 => Just(VlanMatch::Any),
        1 => Just(VlanMatch::Untagged),
        1 => (0..6u16, 0..5000u16).prop_map(|(low, high)| VlanMatch::Range(low, high)),
    ];
    let ether_type = prop_oneof![5 => Just(None), 1 => select(vec![0x0800, 0x86dd, 0x0806]).prop_map(Some)];
    let icmp = prop_oneof![5 => Just(None), 1 => (0..9u8, prop::option::of(0..2u8)).prop_map(Some)];
    let ends = (prefix(), prefix(), ports(), ports());
    let rest = (masked(&[1, 6, 17, 58]), masked(&[2, 16, 18]), vlan, ether_type, icmp);
    (ends, rest).prop_map(|(ends, (protocol, tcp_flags, vlan, ether_type, icmp))| {
        let (source, destination, source_port, destination_port) = ends;
        Rule {
            ether_type,
            source,
            destination,
            source_port,
            destination_port,
            protocol,
            tcp_flags,
            vlan,
            icmp,
        }
    })
}

fn key() -> impl Strategy<Value = Key> {
    let address = prop_oneof![
        select(vec![0u128, 0x0a00_0000, 0x0a01_0203, 0xffff_ffff, 0x2001 << 112, !0]),
        any::<u128>(),
        (0..32u32).prop_map(|bit| 0x0a01_0203 ^ 1 << bit),
    ];
    let port = prop_oneof![0..4u16, any::<u16>()];
    let vlan = prop_oneof![Just(Key::UNTAGGED), 0..8u16, any::<u16>()];
    let ends = (address.clone(), address, port.clone(), port);
    let kinds = (select(vec![0x0800u16, 0x0800, 0x86dd, 0x0806]), select(vec![1u8, 6, 17, 58, 0]));
    (ends, kinds, vlan, 0..0x900u16, any::<(u8, bool, bool)>()).prop_map(|(ends, kinds, vlan, icmp, rest)| {
        let (source, destination, source_port, destination_port) = ends;
        let ((ether_type, protocol), (tcp_flags, has_ports, has_icmp)) = (kinds, rest);
        Key {
            source,
            destination,
            source_port,
            destination_port,
            ether_type,
            vlan,
            icmp,
            protocol,
            tcp_flags,
            has_ports,
            has_icmp,
        }
    })
}

/// Under Miri one more than are handled together, as there are few cases.
fn keys() -> impl Strategy<Value = Vec<Key>> {
    prop::collection::vec(key(), if cfg!(miri) { 33..34 } else { 1..70 })
}

fn agrees(rules: &[Rule], keys: &[Key], bytes: usize) -> Result<(), TestCaseError> {
    let classifier = Classifier::build_within(rules, bytes);
    let mut out = vec![7; keys.len()];
    classifier.classify_bulk(keys, &mut out);
    for (key, found) in keys.iter().zip(out) {
        prop_assert_eq!(found, linear(rules, key).unwrap_or(NONE), "{:?}", key);
        prop_assert_eq!(classifier.classify(key), linear(rules, key));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 128 }))]

    #[test]
    fn few_rules_as_linear_search(
        rules in prop::collection::vec(rule(), if cfg!(miri) { 0..=3 } else { 0..=64 }),
        keys in keys(),
    ) {
        agrees(&rules, &keys, super::CLASS_BYTES)?;
    }

    #[test]
    fn many_rules_as_linear_search(
        rules in prop::collection::vec(rule(), if cfg!(miri) { 2..3 } else { 65..400 }),
        keys in keys(),
    ) {
        // Different ones cost minutes under Miri, and more than 64 it has to be.
        let rules = if cfg!(miri) { rules.repeat(33) } else { rules };
        agrees(&rules, &keys, super::CLASS_BYTES)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 8 }))]

    /// Thousands of rules, so that there are several words of summary, and classes are widened.
    #[test]
    fn widened_classes_as_linear_search(
        some in prop::collection::vec(rule(), if cfg!(miri) { 3 } else { 40 }),
        keys in keys(),
        bytes in select(vec![0, super::CLASS_BYTES]),
    ) {
        let repeat = if cfg!(miri) { 22 } else { 110 };
        let rules: Vec<Rule> = (0..repeat)
            .flat_map(|i: u32| some.iter().map(move |&rule| Rule {
                source: Some(Prefix::V4(0x0a00_0000 | i.wrapping_mul(0x1_2345) & 0xff_ffff, (8 + i % 25) as u8)),
                source_port: PortRange { low: (i * 61) as u16, high: (i * 67) as u16 },
                ..rule
            }))
            .chain(some.iter().copied())
            .collect();
        agrees(&rules, &keys, bytes)?;
    }
}
