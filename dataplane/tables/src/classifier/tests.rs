use super::{Classifier, Key, Masked, NONE, PortRange, Prefix, Rule};

// Under Miri, sets of filters and generated rules take minutes.
#[cfg(not(miri))]
mod classbench;
mod fixed;
#[cfg(not(miri))]
mod properties;

fn linear(rules: &[Rule], key: &Key) -> Option<u32> {
    rules.iter().position(|rule| rule.matches(key)).map(|rule| rule as u32)
}

/// The classifier with `bytes` per field, which finds what linear search finds, for keys together and alone.
fn agrees(rules: &[Rule], keys: &[Key], bytes: usize) -> Classifier {
    let classifier = Classifier::build_within(rules, bytes);
    let mut out = vec![7; keys.len()];
    classifier.classify_bulk(keys, &mut out);
    for (key, found) in keys.iter().zip(out) {
        let expected = linear(rules, key);
        assert_eq!(found, expected.unwrap_or(NONE), "{key:?}");
        assert_eq!(classifier.classify(key), expected, "{key:?}");
    }
    classifier
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
    let counts: &[usize] = if cfg!(miri) { &[1, 33] } else { &[1, 32, 33, 64, 65, 5_000] };
    for &count in counts {
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

#[cfg(not(miri))]
#[test]
fn memory_stays_bounded_when_every_rule_is_different() {
    let rules: Vec<Rule> = (0..20_000)
        .map(|i: u32| Rule {
            source: to(i.wrapping_mul(0x9e37_79b9), 32),
            source_port: PortRange { low: i as u16, high: (i as u16).saturating_add(7) },
            ..Rule::default()
        })
        .collect();
    let classifier = Classifier::build_within(&rules, 1 << 17);
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
