//! The tracker and Linux's nf_conntrack judge the same packets alike: real captures, and segments that nobody would
//! send. Linux does it in a network namespace of its own; the differences that are meant are listed in `excuse`.

mod linux;

use engine::Time;
use linux::frames::{absence, errors_queries_and_fragments, of_captures, segments, show};
use linux::{Linux, log};
use nfs::conntrack::{Cause, Settings, Timeouts, Tracker, Tracking, Verdict};
use std::collections::BTreeMap;

/// What an NF that acts on the verdict can tell apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Seen {
    New,
    Established,
    Related,
    Invalid,
    Untracked,
}

/// What nftables calls them, and how the log does.
const STATES: [(Seen, &str, char); 5] = [
    (Seen::New, "new", 'n'),
    (Seen::Established, "established", 'e'),
    (Seen::Related, "related", 'r'),
    (Seen::Invalid, "invalid", 'i'),
    (Seen::Untracked, "untracked", 'u'),
];

fn linux(test: &str) -> Option<Linux> {
    let rule = |(_, state, letter)| format!("ct state {state} {}\n", log(letter));
    Linux::new(test, &STATES.map(rule).concat())
}

impl From<Verdict> for Seen {
    fn from(verdict: Verdict) -> Seen {
        match verdict {
            Verdict::New => Seen::New,
            Verdict::Established => Seen::Established,
            Verdict::Related => Seen::Related,
            Verdict::Invalid(_) => Seen::Invalid,
            Verdict::Untracked => Seen::Untracked,
        }
    }
}

fn tracker() -> Tracker {
    let timeouts = Timeouts::default();
    let tracking = Tracking { capacity: 1 << 16, timeouts, ..Tracking::default() };
    Tracker::new(Settings::new(&tracking).expect("good settings"), 1)
}

/// What was compared.
#[derive(Default, Debug)]
struct Tally {
    same: BTreeMap<Seen, usize>,
    excused: BTreeMap<&'static str, usize>,
    unseen: BTreeMap<&'static str, usize>,
}

/// The differences that are meant.
fn excuse(frame: &[u8], ours: Verdict, linux: Seen) -> Option<&'static str> {
    let headers = wire::parse(frame);
    let fragment = headers.is_fragment();
    match (ours, linux) {
        (Verdict::Invalid(Cause::Malformed(_)), _) => Some("we look at all headers of a packet"),
        (Verdict::Invalid(Cause::FragmentUnknown), _) if fragment => Some("fragments out of order"),
        _ if headers.protocol() == Some(132) => Some("SCTP has no states here"),
        _ if headers.protocol() == Some(47) => Some("GRE is tracked by its addresses here"),
        _ => None,
    }
}

/// Has both judge the frames; every difference without an excuse is told.
fn compare(
    linux: &mut Linux,
    ours: &mut Tracker,
    name: &str,
    frames: &[Vec<u8>],
    tally: &mut Tally,
) -> Vec<String> {
    let seen = linux.judge(frames);
    let seen = seen.into_iter().map(|letter| {
        let state = STATES.iter().find(|(_, _, known)| Some(*known) == letter);
        state.map(|(seen, ..)| *seen)
    });
    let mut differences = Vec::new();
    for (i, (frame, theirs)) in frames.iter().zip(seen).enumerate() {
        let absence = absence(frame);
        let Some(theirs) = theirs else {
            match absence {
                Some(why) => *tally.unseen.entry(why).or_default() += 1,
                None => differences.push(format!("{name} {i}: Linux never saw it: {}", show(frame))),
            }
            if absence.is_some_and(|why| why.starts_with("put together")) {
                judge(ours, frame);
            }
            continue;
        };
        let verdict = judge(ours, frame);
        if Seen::from(verdict) == theirs {
            *tally.same.entry(theirs).or_default() += 1;
        } else if let Some(why) = excuse(frame, verdict, theirs) {
            *tally.excused.entry(why).or_default() += 1;
        } else {
            differences.push(format!("{name} {i}: {verdict:?}, Linux {theirs:?}: {}", show(frame)));
        }
    }
    differences
}

fn judge(tracker: &mut Tracker, frame: &[u8]) -> Verdict {
    tracker.stage(&wire::parse(frame), frame);
    tracker.settle(Time::from_nanos(1_000_000_000), |_| true)[0]
}

fn told(tally: &Tally, differences: &[String]) {
    println!("{tally:#?}");
    let some: Vec<&String> = differences.iter().take(40).collect();
    assert!(differences.is_empty(), "{} differences: {some:#?}", differences.len());
}

#[test]
fn real_captures_are_judged_as_linux_judges_them() {
    let Some(captures) = of_captures() else { return };
    let Some(mut linux) = linux("captures") else { return };
    let (mut ours, mut tally, mut differences) = (tracker(), Tally::default(), Vec::new());
    for (name, frames) in captures {
        differences.extend(compare(&mut linux, &mut ours, &name, &frames, &mut tally));
    }
    told(&tally, &differences);
    assert!(tally.same.values().sum::<usize>() > 10_000, "the captures have packets");
}

#[test]
fn segments_that_nobody_would_send_are_nearly_all_judged_as_linux_judges_them() {
    let Some(mut linux) = linux("segments") else { return };
    let (mut ours, mut tally) = (tracker(), Tally::default());
    let frames = [segments(1, 600), segments(2, 600)].concat();
    let differences = compare(&mut linux, &mut ours, "segments", &frames, &mut tally);
    println!("{tally:#?}, {} differences", differences.len());
    for difference in &differences {
        println!("{difference}");
    }
    let some: Vec<&String> = differences.iter().take(10).collect();
    // There are none with Linux 6.18; other versions differ among each other in what they make of odd resets.
    assert!(differences.len() * 500 <= frames.len(), "{} differences: {some:#?}", differences.len());
    assert!(
        tally.same[&Seen::Invalid] > 500 && tally.same[&Seen::Established] > 1000,
        "all sorts: {tally:?}"
    );
}

#[test]
fn errors_queries_and_fragments_are_judged_as_linux_judges_them() {
    let Some(mut linux) = linux("errors") else { return };
    let frames = errors_queries_and_fragments();
    let (mut ours, mut tally) = (tracker(), Tally::default());
    let differences = compare(&mut linux, &mut ours, "frame", &frames, &mut tally);
    told(&tally, &differences);
    assert!(tally.excused.is_empty(), "{tally:?}");
}
