//! The firewall and nftables decide alike on the same packets, by the same rules: real captures, segments that nobody
//! would send, ICMP errors and fragments. Linux does it in a network namespace of its own; the differences that are
//! meant are listed in `excuse`.

mod linux;

use dpdk::{Eal, EalOptions};
use engine::{BURST, Fate, Input, Packing, Site, Stand, StandPools, Time, WorkerSite};
use linux::frames::{absence, errors_queries_and_fragments, of_captures, segments, show};
use linux::{Linux, log};
use std::collections::BTreeMap;

const NOW: Time = Time::from_nanos(1_700_000_000_000_000_000);

/// A rule of the firewall, and how nftables says what it asks.
type Rule = (&'static str, &'static str);

/// A firewall that lets in what was asked for, and some services.
const CLOSED: &[Rule] = &[
    ("allow ct state established,related", "ct state established,related"),
    ("deny ct state invalid", "ct state invalid"),
    ("allow udp to any port 53,123,2000-5353 ct state new", "udp dport { 53, 123, 2000-5353 } ct state new"),
    (
        "allow tcp to any port 80,443,1024-65535 flags syn/syn,ack ct state new",
        "tcp dport { 80, 443, 1024-65535 } tcp flags & (syn | ack) == syn ct state new",
    ),
    ("allow icmp type echo-request", "icmp type echo-request"),
    ("allow icmp6 ct state untracked", "meta l4proto ipv6-icmp ct state untracked"),
    ("allow 50", "meta l4proto esp"),
];

/// One that keeps out some of what is new.
const OPEN: &[Rule] = &[
    ("deny ct state invalid", "ct state invalid"),
    ("deny udp to any port 1000-1100", "udp dport 1000-1100"),
    (
        "deny tcp from 10.0.0.0/8,192.168.0.0/16 to any port 443 ct state new",
        "ip saddr { 10.0.0.0/8, 192.168.0.0/16 } tcp dport 443 ct state new",
    ),
    ("deny udp from any port 1024-65535 ct state new", "udp sport 1024-65535 ct state new"),
    ("deny icmp ct state related", "meta l4proto icmp ct state related"),
];

/// The same rules twice.
struct Pair {
    linux: Linux,
    stand: Stand,
}

impl Pair {
    fn new(test: &str, rules: &[Rule], default: &str, pools: &StandPools) -> Option<Pair> {
        let verdict = |action: &str| match action.starts_with("allow") {
            true => format!("{} accept", log('a')),
            false => format!("{} drop", log('d')),
        };
        let mut table: String =
            rules.iter().map(|(ours, theirs)| format!("{theirs} {}\n", verdict(ours))).collect();
        table += &verdict(default);
        let linux = Linux::new(test, &table)?;
        let rules: Vec<&str> = rules.iter().map(|(ours, _)| *ours).collect();
        let config = format!("{{ rules = {rules:?}, default = \"{default}\" }}");
        let config = toml::de::ValueDeserializer::parse(&config).expect("TOML");
        let registry = nfs::registry();
        let configured =
            registry.get("firewall").expect("it is there").configure(config).expect("a configuration");
        let prepared = configured.prepare(&Site::default()).expect("good rules");
        let stand = Stand::new(pools, prepared.as_ref(), WorkerSite { index: 0, count: 1, seed: 1 });
        Some(Pair { linux, stand })
    }

    /// Has both decide on the frames; every difference without an excuse is returned.
    fn compare(&mut self, name: &str, frames: &[Vec<u8>], tally: &mut Tally) -> Vec<String> {
        let mut differences = Vec::new();
        let mut given: Vec<(&Vec<u8>, Option<char>)> = Vec::new();
        for (frame, theirs) in frames.iter().zip(self.linux.judge(frames)) {
            match (theirs, absence(frame)) {
                (None, None) => differences.push(format!("{name}: Linux never saw it: {}", show(frame))),
                (None, Some(why)) => {
                    *tally.unseen.entry(why).or_default() += 1;
                    // Linux puts them together first.
                    if why.starts_with("put together") {
                        given.push((frame, None));
                    }
                }
                (Some(_), _) => given.push((frame, theirs)),
            }
        }
        for part in given.chunks(BURST) {
            let inputs: Vec<Input<'_>> = part.iter().map(|(bytes, _)| Input { bytes, ingress: 0 }).collect();
            let round = self.stand.run(&inputs, Packing::Contiguous, NOW).expect("room");
            for ((frame, theirs), fate) in part.iter().zip(round.fates) {
                let Some(theirs) = *theirs else { continue };
                let ours = if matches!(fate, Fate::Forward(_)) { 'a' } else { 'd' };
                if ours == theirs {
                    *tally.same.entry(theirs).or_default() += 1;
                } else if let Some(why) = excuse(frame, &fate) {
                    *tally.excused.entry(why).or_default() += 1;
                } else {
                    let ours = if ours == 'a' { "allowed".to_owned() } else { format!("{fate:?}") };
                    differences.push(format!("{name}: {ours}, Linux {theirs}: {}", show(frame)));
                }
            }
        }
        differences
    }
}

/// What was compared.
#[derive(Default, Debug)]
struct Tally {
    same: BTreeMap<char, usize>,
    excused: BTreeMap<&'static str, usize>,
    unseen: BTreeMap<&'static str, usize>,
}

/// The differences that are meant.
fn excuse(frame: &[u8], fate: &Fate) -> Option<&'static str> {
    let headers = wire::parse(frame);
    match fate {
        Fate::Drop(reason) if wire::Malformed::ALL.iter().any(|malformed| malformed.name() == *reason) => {
            Some("malformed packets are dropped here")
        }
        Fate::Drop("tiny_fragment") => Some("fragments that would overwrite TCP flags are dropped here"),
        Fate::Drop(_) if headers.is_later_fragment() => Some("fragments out of order"),
        _ if headers.protocol() == Some(132) => Some("SCTP has no states here"),
        _ if headers.protocol() == Some(47) => Some("GRE is tracked by its addresses here"),
        _ => None,
    }
}

/// All frames, by rules that deny what they do not allow, and by rules that allow what they do not deny.
fn decide(test: &str, frames: &[(String, Vec<Vec<u8>>)]) -> Option<[Tally; 2]> {
    let eal = Eal::init(&EalOptions { memory_mb: 64, ..EalOptions::default() }).expect("DPDK");
    let pools = StandPools::new(&eal, 1024).expect("packet memory");
    let mut tallies = [Tally::default(), Tally::default()];
    for (tally, (rules, default)) in tallies.iter_mut().zip([(CLOSED, "deny"), (OPEN, "allow")]) {
        let mut pair = Pair::new(&format!("{test}-{default}"), rules, default, &pools)?;
        let mut differences = Vec::new();
        for (name, frames) in frames {
            differences.extend(pair.compare(name, frames, tally));
        }
        println!("{default}: {tally:#?}");
        let some: Vec<&String> = differences.iter().take(40).collect();
        assert!(differences.is_empty(), "{default}: {} differences: {some:#?}", differences.len());
    }
    Some(tallies)
}

#[test]
fn real_captures_pass_where_they_pass_in_linux() {
    let Some(captures) = of_captures() else { return };
    let Some(tallies) = decide("captures", &captures) else { return };
    for tally in tallies {
        assert!(tally.same[&'a'] > 2000 && tally.same[&'d'] > 1000, "both happen: {tally:?}");
    }
}

#[test]
fn segments_errors_and_fragments_pass_where_they_pass_in_linux() {
    let frames =
        [("segments".to_owned(), segments(1, 300)), ("others".to_owned(), errors_queries_and_fragments())];
    let Some(tallies) = decide("segments", &frames) else { return };
    for tally in tallies {
        assert!(tally.same[&'a'] > 1000 && tally.same[&'d'] > 1000, "both happen: {tally:?}");
        assert!(tally.excused.is_empty(), "{tally:?}");
    }
}
