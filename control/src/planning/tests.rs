//! Each row of the rules, by an NF that breaks it and one that does not; then whole chains.

use super::*;
use engine::{Effects, StateKind};
use std::time::Duration;
use wire::{Field, Fields};

const EFFORT: Effort = Effort { time: Duration::from_millis(500), seed: 1 };

fn nf(name: &str, effects: Effects) -> Profile {
    Profile { name: name.to_owned(), effects: Some(effects) }
}

fn fields(fields: &[Field]) -> Fields {
    Fields::of(fields)
}

/// Rules and words of a pair.
fn said(a: Effects, b: Effects) -> Vec<(Rule, String)> {
    reasons(&nf("a", a), &nf("b", b)).into_iter().map(|reason| (reason.rule, reason.text)).collect()
}

fn reading(read: &[Field]) -> Effects {
    Effects { reads: fields(read), ..Effects::NONE }
}

fn writing(written: &[Field]) -> Effects {
    Effects { writes: fields(written), ..Effects::NONE }
}

#[test]
fn each_row_of_the_rules_orders_what_breaks_it_and_says_why() {
    use Field::{IpChecksum, IpDst, IpSrc, Length, Sport};
    let adjusting = Effects { adjusts: fields(&[IpChecksum]), ..writing(&[IpChecksum]) };
    let dropping = Effects { may_drop: true, ..Effects::NONE };
    let creating = Effects { may_create: true, ..Effects::NONE };
    let growing = Effects { changes_length: true, ..Effects::NONE };
    let holding = Effects { holds: true, ..Effects::NONE };
    let state = |state| Effects { state, ..Effects::NONE };
    type Row<'a> = (Effects, Effects, &'a [(Rule, &'a str)]);
    let rows: [Row; 21] = [
        (reading(&[IpSrc]), reading(&[IpSrc]), &[]),
        (writing(&[IpSrc]), writing(&[IpDst]), &[]),
        (writing(&[IpSrc]), reading(&[IpDst]), &[]),
        (
            writing(&[IpSrc, Sport]),
            reading(&[Sport, IpSrc]),
            &[(Rule::Fields, "a writes ip_src, sport, b reads them")],
        ),
        (reading(&[IpSrc]), writing(&[IpSrc]), &[(Rule::Fields, "b writes ip_src, a reads it")]),
        (writing(&[IpSrc]), writing(&[IpSrc]), &[(Rule::Fields, "both write ip_src")]),
        (adjusting, adjusting, &[]),
        (
            adjusting,
            writing(&[IpChecksum]),
            &[(Rule::Checksums, "both write ip_checksum, and not both by differences alone")],
        ),
        (adjusting, reading(&[IpChecksum]), &[(Rule::Checksums, "a writes ip_checksum, b reads it")]),
        (growing, growing, &[(Rule::Length, "both may change the packet's length")]),
        (growing, reading(&[Length]), &[(Rule::Length, "a may change the packet's length, b reads it")]),
        (dropping, dropping, &[]),
        (
            dropping,
            state(StateKind::Learns),
            &[(Rule::DropState, "a may drop packets, or choose another way for them, that b learns from")],
        ),
        (
            dropping,
            state(StateKind::Report),
            &[(Rule::DropState, "a may drop packets, or choose another way for them, that b reports")],
        ),
        // What b drops, a has seen.
        (state(StateKind::Learns), dropping, &[]),
        (creating, reading(&[IpSrc]), &[(Rule::Emission, "a may make packets, which b has to see")]),
        (dropping, creating, &[(Rule::Emission, "b may answer packets, and a may drop them")]),
        (
            reading(&[IpSrc]),
            creating,
            &[(Rule::Emission, "b may make packets, which need their place behind those of a")],
        ),
        (
            writing(&[IpSrc]),
            creating,
            &[
                (Rule::Fields, "a writes ip_src, b reads it"),
                (Rule::Emission, "b may make packets, which need their place behind those of a"),
            ],
        ),
        (creating, creating, &[(Rule::Emission, "a may make packets, which b has to see")]),
        (holding, Effects::NONE, &[(Rule::Hold, "a may hold packets back or change their order")]),
    ];
    for (number, (a, b, expected)) in rows.into_iter().enumerate() {
        let expected: Vec<(Rule, String)> =
            expected.iter().map(|(rule, text)| (*rule, (*text).to_owned())).collect();
        assert_eq!(said(a, b), expected, "row {number}");
    }
}

#[test]
fn an_nf_that_says_nothing_or_is_there_twice_is_ordered() {
    let unknown = Profile { name: "box".to_owned(), effects: None };
    let one = reasons(&unknown, &nf("b", Effects::NONE));
    assert_eq!((one[0].rule, one[0].text.as_str()), (Rule::Unknown, "box does not declare what it does"));
    let same = reasons(&nf("a", Effects::NONE), &nf("a", Effects::NONE));
    assert_eq!(
        (same[0].rule, same[0].text.as_str()),
        (Rule::SharedState, "a is there twice: one NF, with one state")
    );
}

fn stage(name: &str, effects: Effects, cycles: impl Into<Option<u64>>) -> Stage {
    Stage { profile: nf(name, effects), kind: "any".to_owned(), cycles: cycles.into() }
}

#[test]
fn a_chain_of_readers_and_one_writer_runs_side_by_side_where_it_pays() {
    let watch = Effects { state: StateKind::Report, ..reading(&[Field::IpSrc, Field::IpDst]) };
    let swap = writing(&[Field::EthSrc, Field::EthDst]);
    let stages = [stage("watch", watch, 5000), stage("inspect", watch, 4000), stage("swap", swap, 10)];
    let planned = plan_chain("egress", &stages, Costs::default(), EFFORT).unwrap();
    assert_eq!(planned.edges, []);
    assert_eq!(
        (planned.critical.length, planned.sequential.latency, planned.levels.operations),
        (5000, 9010, 2)
    );
    // The swap has time to spare beside the longest one.
    assert_eq!((planned.spg.latency, planned.spg.operations), (5000, 1));
    assert_eq!(planned.spg.text, "watch | inspect > swap");
    assert_eq!(planned.max.text, "watch | inspect | swap");
    assert_eq!(planned.auto.segment, planned.spg.segment);
    assert_eq!(planned.auto.reason, "5100 instead of 9010: 43.4 % less, with 1 mirror/merge operation");
}

#[test]
fn a_plan_has_no_more_branches_than_cores_to_run_them() {
    let stages = ["a", "b", "c"].map(|name| stage(name, reading(&[]), 1000));
    let branches_with = |helpers| {
        let choice = decide(&stages, Mode::Max, Costs::default(), helpers).unwrap();
        branches(&choice.segment)
    };
    // Without a number of helpers as many as it takes; without any the engine runs all in order.
    assert_eq!([0, 1, 2, 9, usize::MAX].map(branches_with), [3, 2, 3, 3, 3]);
}

#[test]
fn a_chain_whose_delays_are_unknown_stays_in_order_and_says_whose() {
    let stages = [stage("watch", reading(&[]), 100), stage("swap", reading(&[]), None)];
    let planned = plan_chain("egress", &stages, Costs::default(), EFFORT).unwrap();
    assert!(!planned.delays_known && !planned.auto.segment.is_parallel());
    assert_eq!(planned.auto.reason, "the delay of swap is not known: measure with `braid run --json`");
    assert_eq!(planned.spg.text, "watch | swap");
}

#[test]
fn delays_come_from_a_run_or_a_table() {
    let folder = std::env::temp_dir().join(format!("braid-delays-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let read = |text: &str| {
        let file = folder.join("delays.json");
        std::fs::write(&file, text).unwrap();
        Delays::read(&file).map_err(|error| error.to_string())
    };
    let table = read("{\"edge\": 120, \"watch\": 85.6}").unwrap();
    assert_eq!(
        [table.of_nf("x", "edge"), table.of_nf("x", "watch"), table.of_nf("x", "nat")],
        [Some(120), Some(86), None]
    );
    let mut seen = engine::NfSnapshot { cycles_per_packet: Some(31.0), ..Default::default() };
    let mut snapshot = engine::Snapshot::default();
    snapshot.chains.entry("in".to_owned()).or_default().nfs.insert("edge".to_owned(), seen.clone());
    seen.cycles_per_packet = Some(47.0);
    snapshot.chains.entry("out".to_owned()).or_default().nfs.insert("edge".to_owned(), seen);
    let run = read(&serde_json::to_string(&snapshot).unwrap()).unwrap();
    assert_eq!(
        [run.of_nf("in", "edge"), run.of_nf("out", "edge"), run.of_nf("out", "nat")],
        [Some(31), Some(47), None]
    );
    assert!(read("{\"edge\": \"fast\"}").unwrap_err().ends_with("'edge' is not a number of cycles"));
    assert!(read("{\"edge\": -1}").unwrap_err().ends_with("'edge' is not a number of cycles"));
    assert!(read("[1]").unwrap_err().ends_with("it is no object"));
    std::fs::remove_dir_all(&folder).unwrap();
}
