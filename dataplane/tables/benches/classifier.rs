//! 4 096 UDP flows in bursts of 32 against 10, 1 000 and 10 000 rules of which only the last matches, and against
//! rules of which any may. Prints build times and memory first. The environment variable CLASSBENCH may name files
//! of filters, separated by colons; then corners of those are classified too.
use std::hint::black_box;
use std::time::Instant;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use tables::classifier::{Classifier, Key, Masked, NONE, PortRange, Prefix, Rule};

mod random;
use random::Random;

const BURST: usize = 32;
const FLOWS: usize = 4096;

/// Rules for hosts and networks that do not send, ports in some of them, and one for all the rest.
fn only_the_last(count: usize) -> Vec<Rule> {
    let mut random = Random(4);
    let mut rules: Vec<Rule> = (1..count)
        .map(|i| Rule {
            source: Some(Prefix::V4(0xac10_0000 | random.word() & 0xf_ffff, 24 + (i % 9) as u8)),
            destination: Some(Prefix::V4(0xc0a8_0000 | random.word() & 0xffff, 16 + (i % 17) as u8)),
            destination_port: if i % 3 == 0 { PortRange::ANY } else { PortRange::one(random.word() as u16) },
            protocol: Masked::exactly(if i % 2 == 0 { 6 } else { 17 }),
            ..Rule::default()
        })
        .collect();
    rules.push(Rule::default());
    rules
}

/// Rules on the networks that do send.
fn any_of(count: usize) -> Vec<Rule> {
    let mut random = Random(5);
    (0..count)
        .map(|_| Rule {
            source: Some(Prefix::V4(0x0a00_0000 | random.word() & 0xffff, 24 + random.word() as u8 % 9)),
            destination: Some(Prefix::V4(
                0x0a01_0000 | random.word() & 0xffff,
                16 + random.word() as u8 % 13,
            )),
            destination_port: PortRange { low: 0, high: random.word() as u16 },
            protocol: Masked::exactly(17),
            ..Rule::default()
        })
        .collect()
}

fn flows() -> Vec<Key> {
    let mut random = Random(6);
    let mut flow = || {
        let (source, destination) =
            (0x0a00_0000 | random.word() & 0xffff, 0x0a01_0000 | random.word() & 0xffff);
        Key::ipv4(source, destination, 17, random.word() as u16, random.word() as u16)
    };
    (0..FLOWS).map(|_| flow()).collect()
}

/// The rules of a file of ClassBench filters, and a key in a corner of each, in random order.
fn classbench(path: &str) -> (Vec<Rule>, Vec<Key>) {
    let text = std::fs::read_to_string(path).expect("a file of filters");
    let (mut rules, mut keys) = (vec![], vec![]);
    for line in text.lines() {
        let words: Vec<&str> = line.trim_start_matches('@').split_whitespace().collect();
        let prefix = |word: &str| {
            let (address, length) = word.split_once('/').expect("a prefix");
            (
                u32::from(address.parse::<std::net::Ipv4Addr>().expect("an address")),
                length.parse().expect("a length"),
            )
        };
        let port = |word: usize| words[word].parse::<u16>().expect("a port");
        let hex = |text: &str| u8::from_str_radix(text.trim_start_matches("0x"), 16).expect("hexadecimal");
        let (protocol, mask) = words[8].split_once('/').expect("a protocol");
        let ((source, source_length), (destination, destination_length)) =
            (prefix(words[0]), prefix(words[1]));
        rules.push(Rule {
            source: Some(Prefix::V4(source, source_length)),
            destination: Some(Prefix::V4(destination, destination_length)),
            source_port: PortRange { low: port(2), high: port(4) },
            destination_port: PortRange { low: port(5), high: port(7) },
            protocol: Masked { value: hex(protocol), mask: hex(mask) },
            ..Rule::default()
        });
        keys.push(Key::ipv4(source, destination, hex(protocol), port(4), port(5)));
    }
    let mut random = Random(8);
    keys.sort_by_cached_key(|_| random.long());
    (rules, keys)
}

fn measure(group: &mut BenchmarkGroup<'_, WallTime>, name: String, rules: &[Rule], keys: &[Key]) {
    let start = Instant::now();
    let classifier = Classifier::build(rules);
    let (elapsed, stats) = (start.elapsed(), classifier.stats());
    println!("{name}: {} rules built in {elapsed:?}, {} bytes, {:?}", stats.rules, stats.bytes, stats.fields);
    let (mut at, mut out) = (0, [NONE; BURST]);
    group.bench_function(name, |b| {
        b.iter(|| {
            at = if at + 2 * BURST > keys.len() { 0 } else { at + BURST };
            classifier.classify_bulk(&keys[at..at + BURST], &mut out);
            black_box(&out);
        });
    });
}

fn benchmark(c: &mut Criterion) {
    let keys = flows();
    let mut group = c.benchmark_group("classifier");
    group.throughput(Throughput::Elements(BURST as u64));
    let sets = [10, 64, 1_000, 10_000];
    let last = sets.map(|count| (format!("{count} rules, the last matches"), only_the_last(count)));
    let any = [1_000, 10_000].map(|count| (format!("{count} rules, any matches"), any_of(count)));
    for (name, rules) in last.into_iter().chain(any) {
        measure(&mut group, name, &rules, &keys);
    }
    let files = std::env::var("CLASSBENCH").unwrap_or_default();
    for file in files.split(':').filter(|file| !file.is_empty()) {
        let (rules, keys) = classbench(file);
        let name = file.rsplit('/').next().unwrap_or(file);
        measure(&mut group, name.to_string(), &rules, &keys);
    }
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
