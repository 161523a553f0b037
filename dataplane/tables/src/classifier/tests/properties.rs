//! Rules and keys at random against linear search.
use proptest::prelude::*;
use proptest::sample::select;

use super::super::{CLASS_BYTES, Key, Masked, PortRange, Prefix, Rule, VlanMatch};
use super::agrees;

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
    let rest = (masked(&[1, 6, 17, 58]), masked(&[2, 16, 18]), vlan, ether_type, icmp, masked(&[1, 2]));
    (ends, rest).prop_map(|(ends, (protocol, tcp_flags, vlan, ether_type, icmp, tag))| {
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
            tag,
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
    (ends, kinds, vlan, 0..0x900u16, any::<(u8, u8, bool, bool)>()).prop_map(
        |(ends, kinds, vlan, icmp, rest)| {
            let (source, destination, source_port, destination_port) = ends;
            let ((ether_type, protocol), (tag, tcp_flags, has_ports, has_icmp)) = (kinds, rest);
            Key {
                source,
                destination,
                source_port,
                destination_port,
                ether_type,
                vlan,
                icmp,
                protocol,
                tag,
                tcp_flags,
                has_ports,
                has_icmp,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn few_rules_as_linear_search(
        rules in prop::collection::vec(rule(), 0..=32),
        keys in prop::collection::vec(key(), 1..70),
    ) {
        agrees(&rules, &keys, CLASS_BYTES);
    }

    #[test]
    fn many_rules_as_linear_search(
        rules in prop::collection::vec(rule(), 33..400),
        keys in prop::collection::vec(key(), 1..70),
    ) {
        agrees(&rules, &keys, CLASS_BYTES);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Thousands of rules, so that there are several words of summary, and classes are widened.
    #[test]
    fn widened_classes_as_linear_search(
        some in prop::collection::vec(rule(), 40),
        keys in prop::collection::vec(key(), 1..70),
        bytes in select(vec![0, CLASS_BYTES]),
    ) {
        let rules: Vec<Rule> = (0..110u32)
            .flat_map(|i| some.iter().map(move |&rule| Rule {
                source: Some(Prefix::V4(0x0a00_0000 | i.wrapping_mul(0x1_2345) & 0xff_ffff, (8 + i % 25) as u8)),
                source_port: PortRange { low: (i * 61) as u16, high: (i * 67) as u16 },
                ..rule
            }))
            .chain(some.iter().copied())
            .collect();
        agrees(&rules, &keys, bytes);
    }
}
