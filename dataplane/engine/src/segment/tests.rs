use super::Segment::{Nf, Parallel, Series};
use super::*;
use std::slice::from_ref;

const READER: Effects = Effects { reads: Fields::of(&[Field::IpSrc]), ..Effects::NONE };
const WRITER: Effects = Effects { writes: Fields::of(&[Field::IpDscp]), ..Effects::NONE };
const CRYPT: Effects = Effects { changes_length: true, writes: Fields::ALL, ..Effects::NONE };
const MAKER: Effects = Effects { may_create: true, ..Effects::NONE };

/// The steps as text: `0 [1+2|3] 4`, stages between slashes.
fn steps(segment: &Segment, effects: &[Effects], stages: &[Range<usize>], helpers: usize) -> String {
    let terms = Terms { effects, stages, gated: false, helpers };
    text(&segment.steps(&terms, &mut 0))
}

fn text(steps: &[Vec<Step>]) -> String {
    let branch = |branch: &BranchPlan| {
        let places: Vec<String> = branch.positions.iter().map(usize::to_string).collect();
        let mark = match branch.copies {
            Copies::Nothing => "",
            Copies::Front => "'",
            Copies::Whole => "\"",
        };
        places.join("+") + mark
    };
    let step = |step: &Step| match step {
        Step::Run(place) => place.to_string(),
        Step::Fork(fork) => {
            let branches: Vec<String> = fork.branches.iter().map(branch).collect();
            format!("[{}]", branches.join("|"))
        }
    };
    let stage = |steps: &Vec<Step>| steps.iter().map(step).collect::<Vec<_>>().join(" ");
    steps.iter().map(stage).collect::<Vec<_>>().join(" / ")
}

#[test]
fn branches_are_shared_with_as_many_helpers_as_there_are() {
    let segment = Series(vec![Nf(0), Parallel(vec![Series(vec![Nf(3), Nf(1)]), Nf(2), Nf(4)]), Nf(5)]);
    let effects = [READER; 6];
    for (helpers, expected) in [(0, ""), (1, "0 [1+3+4|2] 5"), (2, "0 [3+1|2|4] 5"), (7, "0 [3+1|2|4] 5")] {
        assert_eq!(steps(&segment, &effects, from_ref(&(0..6)), helpers), expected, "{helpers} helpers");
    }
}

#[test]
fn a_branch_owns_what_it_may_write() {
    let segment = Parallel(vec![Nf(0), Nf(1), Nf(2)]);
    let cases = [
        ([READER, READER, READER], "[0|1|2]"),
        ([READER, WRITER, WRITER], "[0|1'|2']"),
        ([READER, CRYPT, READER], "[0|1\"|2]"),
        ([WRITER, CRYPT, READER], ""),
        ([READER, MAKER, READER], ""),
        ([READER, READER, Effects { holds: true, ..READER }], ""),
    ];
    for (effects, expected) in cases {
        assert_eq!(steps(&segment, &effects, from_ref(&(0..3)), 2), expected, "{effects:?}");
    }
}

#[test]
fn what_ends_a_chain_with_several_ports_stays_in_order() {
    let segment = Series(vec![Parallel(vec![Nf(0), Nf(1)]), Parallel(vec![Nf(2), Nf(3)])]);
    let terms = Terms { effects: &[READER; 4], stages: from_ref(&(0..4)), gated: true, helpers: 1 };
    assert_eq!(text(&segment.steps(&terms, &mut 0)), "[0|1] 2 3");
}

#[test]
fn forks_stay_within_a_stage_and_are_counted() {
    let segment = Series(vec![Parallel(vec![Nf(0), Nf(1)]), Parallel(vec![Nf(2), Nf(3)])]);
    let effects = [READER; 4];
    assert_eq!(steps(&segment, &effects, &[0..2, 2..4], 1), "[0|1] / [2|3]");
    assert_eq!(steps(&segment, &effects, &[0..1, 1..4], 1), "");
    let terms = Terms { effects: &effects, stages: from_ref(&(0..4)), gated: false, helpers: 1 };
    let mut forks = 3;
    let all = segment.steps(&terms, &mut forks);
    let numbers = |step: &Step| matches!(step, Step::Fork(fork) if [3, 4].contains(&fork.number));
    assert!(forks == 5 && all[0].iter().all(numbers), "{all:?}");
}

#[test]
fn a_tree_that_is_not_of_the_chain_is_left_alone() {
    for segment in [Nf(1), Parallel(vec![Nf(0), Nf(0)]), Series(vec![Nf(0), Nf(1), Nf(2)])] {
        assert_eq!(steps(&segment, &[READER; 2], from_ref(&(0..2)), 1), "", "{segment:?}");
    }
}

#[test]
fn a_fork_knows_what_a_silent_branch_would_cost() {
    let dropper = Effects { may_drop: true, ..READER };
    for (effects, harmless) in [([READER; 2], true), ([READER, dropper], false), ([READER, WRITER], false)] {
        let terms = Terms { effects: &effects, stages: from_ref(&(0..2)), gated: false, helpers: 1 };
        let all = Parallel(vec![Nf(0), Nf(1)]).steps(&terms, &mut 0);
        assert!(matches!(&all[0][0], Step::Fork(fork) if fork.harmless == harmless), "{effects:?}");
    }
}
