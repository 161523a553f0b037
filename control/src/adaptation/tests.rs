//! A chain of two filters that may run side by side, an engine whose counters the test makes, and what becomes of the
//! chain from look to look.

use super::Adaptation;
use super::estimate::{ENOUGH, FORGETS};
use crate::Controller;
use crate::fakes::{FakeEngine, controller_of};
use crate::socket::events::Subscription;
use engine::{ChainSnapshot, ForkSnapshot, Measured, NfSnapshot, Snapshot};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const CHAIN: &str = r#"
[engine]
helpers = 1
[ports.lan]
device = "net_null0"
[ports.wan]
device = "net_null1"
[nf.edge]
kind = "filter"
[nf.inner]
kind = "filter"
[[chain]]
name = "egress"
from = "lan"
path = ["edge", "inner"]
to = "wan"
parallel = "auto"
"#;

/// An engine, what watches it, and who listens.
struct Scene {
    engine: Arc<FakeEngine>,
    controller: Arc<Controller>,
    events: Subscription,
    adaptation: Adaptation,
    counters: Snapshot,
}

impl Scene {
    fn new() -> Scene {
        Scene::of(CHAIN)
    }

    fn of(config: &str) -> Scene {
        let (engine, controller) = controller_of(config);
        let events = controller.hub.subscribe(vec!["control".to_owned()]);
        let mut counters = Snapshot::default();
        let nfs = ["edge", "inner"].map(|nf| (nf.to_owned(), NfSnapshot::default()));
        counters
            .chains
            .insert("egress".to_owned(), ChainSnapshot { nfs: nfs.into(), ..ChainSnapshot::default() });
        Scene { engine, controller, events, adaptation: Adaptation::default(), counters }
    }

    /// So many packets more were measured, which took the NFs so many cycles each. Then a look.
    fn look_after(&mut self, packets: u64, edge: u64, inner: u64) {
        let chain = self.counters.chains.get_mut("egress").expect("the chain");
        for (nf, cycles) in [("edge", edge), ("inner", inner)] {
            let Measured { cycles: sum, packets: count } =
                &mut chain.nfs.get_mut(nf).expect("the NF").measured;
            *sum += cycles * packets;
            *count += packets;
        }
        *self.engine.counters.lock().expect("lock") = Some(self.counters.clone());
        self.adaptation.look(&self.controller);
    }

    fn look(&mut self, edge: u64, inner: u64) {
        self.look_after(1000, edge, inner);
    }

    /// Names and words of what everybody was told since the last time.
    fn told(&self) -> Vec<(String, String)> {
        let told = self.events.queue.try_iter().map(|event| event.notice);
        told.map(|notice| (notice.name, notice.detail.unwrap_or_default())).collect()
    }

    fn segment(&self) -> String {
        self.controller.chains()[0].segment.clone()
    }

    fn applied(&self) -> usize {
        self.engine.applied.lock().expect("lock").len()
    }

    /// Whether the plan that the engine was given last has the chain side by side, and how many helpers it has.
    fn runs_side_by_side(&self) -> Option<(bool, usize)> {
        let plan = self.engine.plan.lock().expect("lock");
        plan.as_ref().map(|plan| (plan.chains[0].parallel.is_some(), plan.helpers.len()))
    }
}

fn told(name: &str, detail: &str) -> (String, String) {
    (name.to_owned(), detail.to_owned())
}

#[test]
fn a_chain_goes_side_by_side_when_that_was_better_at_two_looks_and_back_when_it_no_longer_is() {
    let mut scene = Scene::new();
    assert_eq!(
        scene.controller.chains()[0].reason,
        "the delay of edge, inner is not known: measure with `braid run --json`"
    );
    scene.look(5000, 4000);
    assert_eq!((scene.applied(), scene.segment().as_str()), (0, "edge > inner"));
    let first = scene.controller.chains().remove(0);
    assert_eq!(
        first.latest.as_deref(),
        Some(
            "from in order to 'edge | inner': 5100 instead of 9000 cycles per packet, 43.3 % less, if that is so at the next look"
        )
    );
    assert_eq!((first.predicted, first.nfs[0].cycles), (Some(9000), Some(5000)));

    scene.look(5000, 4000);
    assert_eq!((scene.applied(), scene.segment().as_str()), (1, "edge | inner"));
    assert_eq!(scene.runs_side_by_side(), Some((true, 1)));
    let why = "chain 'egress': edge takes 5000 cycles per packet, inner takes 4000 cycles per packet; from in order to \
               'edge | inner': 5100 instead of 9000 cycles per packet, 43.3 % less";
    assert_eq!(scene.told(), [told("replanned", why)]);
    assert_eq!(scene.controller.current().generation, 2);

    // It stays, and that is told once.
    for _ in 0..5 {
        scene.look(5050, 4000);
    }
    let stays = "chain 'egress': 'edge | inner' stays: 5150 instead of 9050 in order";
    assert_eq!(scene.told(), [told("plan_kept", stays)]);

    // Both fast: what is measured now counts only when it is the middle one of three.
    scene.look(50, 40);
    scene.look(50, 40);
    assert_eq!(scene.applied(), 1);
    scene.look(50, 40);
    assert_eq!((scene.applied(), scene.segment().as_str()), (2, "edge > inner"));
    assert_eq!(scene.runs_side_by_side(), Some((false, 0)));
    let why = "chain 'egress': edge takes 50 cycles per packet instead of 5000, inner takes 40 cycles per packet instead \
               of 4000; from 'edge | inner' to in order: 90 instead of 340 cycles per packet, 73.5 % less";
    assert_eq!(scene.told(), [told("replanned", why)]);
}

#[test]
fn what_is_not_better_by_the_margin_changes_nothing() {
    let mut scene = Scene::new();
    for _ in 0..10 {
        scene.look(5000, 600);
    }
    assert_eq!(scene.applied(), 0);
    let kept = "chain 'egress': in order stays: 'edge | inner' would take 5100 instead of 5600 cycles per packet, 8.9 % \
                less, and the margin is 10 %";
    assert_eq!(scene.told(), [told("plan_kept", kept)]);

    let mut scene = Scene::of(&CHAIN.replace("helpers = 1", "helpers = 1\nreplan_margin = 0.08"));
    scene.look(5000, 600);
    scene.look(5000, 600);
    assert_eq!(scene.applied(), 1, "it is better by a smaller margin");
}

#[test]
fn one_look_that_is_unlike_the_others_changes_nothing() {
    let mut scene = Scene::new();
    for round in 0..20 {
        // Every third look a thread lost its core in the middle of many bursts.
        scene.look(5000, if round % 3 == 2 { 90_000 } else { 600 });
    }
    assert_eq!((scene.applied(), scene.told().len()), (0, 1));
}

#[test]
fn a_look_at_too_few_packets_waits_for_more() {
    let mut scene = Scene::new();
    for _ in 0..2 {
        scene.look_after(ENOUGH / 3, 5000, 4000);
        assert_eq!(scene.controller.chains()[0].predicted, None);
    }
    scene.look_after(ENOUGH / 2, 5000, 4000);
    assert_eq!(scene.controller.chains()[0].predicted, Some(9000));
    for _ in 0..10 {
        scene.look_after(0, 0, 0);
    }
    assert_eq!(scene.controller.chains()[0].nfs[1].cycles, Some(4000), "it is left as it was");
}

#[test]
fn a_change_that_waits_to_be_confirmed_is_left_alone() {
    let mut scene = Scene::new();
    let next = CHAIN.replace("kind = \"filter\"\n[[", "kind = \"filter\"\nlimit = 7\n[[");
    scene.controller.apply(&next, Some(Duration::from_secs(60))).expect("applied");
    for _ in 0..3 {
        scene.look(5000, 4000);
    }
    assert_eq!((scene.applied(), scene.segment().as_str()), (1, "edge > inner"));
    let latest = scene.controller.chains()[0].latest.clone().expect("a remark");
    assert!(latest.ends_with("when the change that waits is confirmed"), "{latest}");
    scene.controller.confirm().expect("it waited");
    scene.look(5000, 4000);
    assert_eq!((scene.applied(), scene.segment().as_str()), (2, "edge | inner"));
}

#[test]
fn what_the_engine_refuses_is_told_once_and_tried_again() {
    let mut scene = Scene::new();
    scene.engine.refuse.store(true, Ordering::Relaxed);
    for _ in 0..6 {
        scene.look(5000, 4000);
    }
    assert_eq!(scene.told(), [told("replan_refused", "the engine keeps its old plan: not today")]);
    assert_eq!(scene.segment(), "edge > inner");
    scene.engine.refuse.store(false, Ordering::Relaxed);
    scene.look(5000, 4000);
    scene.look(5000, 4000);
    assert_eq!(scene.segment(), "edge | inner");
}

#[test]
fn costs_are_measured_and_forgotten_when_nothing_measures_them() {
    let mut scene = Scene::new();
    scene.look(5000, 4000);
    scene.look(5000, 4000);
    assert_eq!(scene.segment(), "edge | inner");
    // A hand-off takes longer than it saves.
    for _ in 0..2 {
        let chain = scene.counters.chains.get_mut("egress").expect("the chain");
        let fork = chain.fork.get_or_insert_default();
        *fork = ForkSnapshot {
            forks: fork.forks + 40,
            packets: fork.packets + 1000,
            copies: fork.copies + 1000,
            mirror: fork.mirror + 50_000,
            handoff: fork.handoff + 9_000_000,
            wait: fork.wait + 8_000_000,
            merge: fork.merge + 70_000,
        };
        scene.look(5000, 4000);
    }
    assert_eq!(scene.segment(), "edge > inner");
    let (_, why) = scene.told().pop().expect("an event");
    assert!(why.contains("a hand-off takes 9000 instead of 200"), "{why}");
    let costs = scene.controller.chains()[0].costs;
    assert_eq!((costs.mirror, costs.handoff, costs.merge), (50, 9000, 70));

    for _ in 0..FORGETS - 1 {
        scene.look(5000, 4000);
        assert_eq!(scene.segment(), "edge > inner");
    }
    scene.look(5000, 4000);
    scene.look(5000, 4000);
    assert_eq!(scene.segment(), "edge | inner", "it is tried again");
}

#[test]
fn another_change_keeps_what_runs_side_by_side_unless_the_chain_is_another_one() {
    let mut scene = Scene::new();
    scene.look(5000, 4000);
    scene.look(5000, 4000);
    scene.look(5000, 5);
    let next = CHAIN.replace("from = \"lan\"", "from = \"lan\"\nmatch = \"tcp\"");
    scene.controller.apply(&next, None).expect("applied");
    assert_eq!((scene.segment().as_str(), scene.runs_side_by_side()), ("edge | inner", Some((true, 1))));
    // As a chain of its own it is planned by what is known.
    let turned = next.replace("[\"edge\", \"inner\"]", "[\"inner\", \"edge\"]");
    scene.controller.apply(&turned, None).expect("applied");
    assert_eq!(scene.segment(), "inner > edge");
}

#[test]
fn without_cores_for_helpers_chains_stay_in_order() {
    let mut scene = Scene::of(&CHAIN.replace("helpers = 1", "helpers = 0"));
    for _ in 0..4 {
        scene.look(5000, 4000);
    }
    assert_eq!((scene.applied(), scene.segment().as_str()), (0, "edge > inner"));
    assert_eq!(scene.controller.chains()[0].latest.as_deref(), Some("no core is left for helpers"));
}
