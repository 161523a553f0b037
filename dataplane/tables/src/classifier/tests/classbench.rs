//! The filter sets of ClassBench (Taylor and Turner, 2007) with their header traces, where they are at hand.
use std::fs;
use std::path::PathBuf;

use super::super::{Classifier, Key, Masked, NONE, PortRange, Prefix, Rule};

const SETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/classbench/dev/");

fn read(name: &str) -> Option<String> {
    let path = PathBuf::from(SETS).join(name);
    let text = fs::read_to_string(&path).ok();
    if text.is_none() {
        println!("skipped: {} is not there", path.display());
    }
    text
}

/// `@a.b.c.d/len  a.b.c.d/len  lo : hi  lo : hi  proto/mask  flags/mask`, of which the flags are ignored.
fn rule(line: &str) -> Rule {
    let words: Vec<&str> = line.trim_start_matches('@').split_whitespace().collect();
    let prefix = |word: &str| {
        let (address, length) = word.split_once('/').expect("a prefix");
        let address: std::net::Ipv4Addr = address.parse().expect("an address");
        Some(Prefix::V4(address.into(), length.parse().expect("a length")))
    };
    let ports = |low: &str, high: &str| PortRange {
        low: low.parse().expect("a port"),
        high: high.parse().expect("a port"),
    };
    let hex = |text: &str| u8::from_str_radix(text.trim_start_matches("0x"), 16).expect("hexadecimal");
    let (protocol, mask) = words[8].split_once('/').expect("a protocol");
    Rule {
        source: prefix(words[0]),
        destination: prefix(words[1]),
        source_port: ports(words[2], words[4]),
        destination_port: ports(words[5], words[7]),
        protocol: Masked { value: hex(protocol), mask: hex(mask) },
        ..Rule::default()
    }
}

fn rules(text: &str) -> Vec<Rule> {
    text.lines().map(rule).collect()
}

/// `source destination sport dport protocol …`, in decimal.
fn key(line: &str) -> Key {
    let numbers: Vec<u32> =
        line.split_whitespace().take(5).map(|word| word.parse().expect("a number")).collect();
    Key::ipv4(numbers[0], numbers[1], numbers[4] as u8, numbers[2] as u16, numbers[3] as u16)
}

fn classified(rules: &[Rule], keys: &[Key]) -> Vec<u32> {
    let classifier = Classifier::build(rules);
    println!("{:?}", classifier.stats());
    assert!(!classifier.stats().widened);
    let mut out = vec![0; keys.len()];
    classifier.classify_bulk(keys, &mut out);
    out
}

#[test]
fn traces_find_the_first_match_stated_for_them() {
    let sets = [("acl1_1k", "acl1_1k_trace"), ("fw1_1k", "fw1_1k_trace")];
    for (set, trace) in sets {
        let (Some(set), Some(keys), Some(answers)) =
            (read(set), read(trace), read(&format!("{trace}.firstmatch.txt")))
        else {
            continue;
        };
        let rules = rules(&set);
        let keys: Vec<Key> = keys.lines().map(key).collect();
        let answers: Vec<u32> = answers.lines().map(|line| line.trim().parse().unwrap_or(NONE)).collect();
        assert_eq!(classified(&rules, &keys), answers);
    }
}

#[test]
fn every_set_classifies_like_linear_search() {
    let neurocuts = ["acl1_1k", "acl2_1k", "acl4_1k", "acl5_1k", "fw1_1k", "fw2_1k", "fw4_1k", "ipc1_1k"];
    let sets = neurocuts.map(|set| format!("neurocuts/{set}"));
    let big = ["cutsplit/acl_1k", "acl1_10k", "fw1_10k"].map(String::from);
    for set in sets.into_iter().chain(big) {
        let Some(text) = read(&set) else { continue };
        let rules = rules(&text);
        // A corner of every third rule, so that each lies where rules begin and end.
        let corner = |prefix: Option<Prefix>, i: usize| match prefix {
            Some(Prefix::V4(network, length)) if i.is_multiple_of(2) => {
                network | u32::MAX.checked_shr(length.into()).unwrap_or(0)
            }
            Some(Prefix::V4(network, _)) => network,
            _ => 0,
        };
        let keys: Vec<Key> = rules
            .iter()
            .enumerate()
            .step_by(3)
            .map(|(i, rule)| {
                let (low, high) = (rule.source_port.low, rule.destination_port.high);
                Key::ipv4(
                    corner(rule.source, i),
                    corner(rule.destination, i / 2),
                    rule.protocol.value,
                    low,
                    high,
                )
            })
            .collect();
        let expected: Vec<u32> = keys.iter().map(|key| super::linear(&rules, key).unwrap_or(NONE)).collect();
        assert_eq!(classified(&rules, &keys), expected, "{set}");
    }
}
