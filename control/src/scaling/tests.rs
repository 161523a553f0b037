//! What becomes of the number of workers from look to look, by an engine whose counters the test makes.

use super::{DOWN_LOOKS, Order, Scaling};
use crate::Controller;
use crate::config::Scale;
use crate::fakes::{CONFIG, FakeEngine, controller_of};
use crate::socket::events::Subscription;
use engine::{Snapshot, WorkerSnapshot};
use std::sync::Arc;
use std::sync::atomic::Ordering;

struct Scene {
    engine: Arc<FakeEngine>,
    controller: Arc<Controller>,
    events: Subscription,
    scaling: Scaling,
    counters: Snapshot,
}

impl Scene {
    fn new(scale: &str) -> Scene {
        let (engine, controller) = controller_of(&format!("[engine]\n{scale}\n{CONFIG}"));
        let events = controller.hub.subscribe(vec!["control".to_owned()]);
        let counters = Snapshot { workers: vec![WorkerSnapshot::default()], ..Snapshot::default() };
        Scene { engine, controller, events, scaling: Scaling::default(), counters }
    }

    /// A second in which all workers together were busy for so long, and a look. Returns how many there are then.
    fn look(&mut self, busy: f64) -> usize {
        self.counters.seconds += 1.0;
        self.counters.workers[0].busy_ns += (busy * 1e9) as u64;
        *self.engine.counters.lock().expect("lock") = Some(self.counters.clone());
        let scale = self.controller.settings().scale.expect("it scales");
        self.scaling.look(&self.controller, scale);
        self.controller.current().plan.cores.len()
    }

    fn told(&self) -> Vec<String> {
        let told = self.events.queue.try_iter().map(|event| event.notice);
        told.map(|notice| format!("{}: {}", notice.name, notice.detail.unwrap_or_default())).collect()
    }
}

#[test]
fn workers_come_after_two_busy_looks_and_go_after_five_idle_ones() {
    let mut scene = Scene::new("scale = { min = 1, max = 3, up = 0.8, down = 0.3 }");
    // The first look has nothing to compare with; one busy look is not enough.
    assert_eq!([0.9, 0.9, 0.5, 0.9, 0.7].map(|busy| scene.look(busy)), [1; 5]);
    assert_eq!([0.9, 0.93].map(|busy| scene.look(busy)), [1, 2]);
    assert_eq!(
        scene.told(),
        ["scaled: from 1 to 2 workers: busy 93 % of the time, above 80 % at 2 looks in a row"]
    );
    // 1.5 of 2 are 75 %; the first look after a change is no picture.
    assert_eq!([2.0, 1.5, 1.9, 1.9].map(|busy| scene.look(busy)), [2, 2, 2, 3]);
    assert_eq!([3.0; 6].map(|busy| scene.look(busy)), [3; 6], "three is the most");
    for _ in 1..DOWN_LOOKS {
        assert_eq!(scene.look(0.6), 3);
    }
    assert_eq!(scene.look(1.5), 3, "not in a row");
    for _ in 1..DOWN_LOOKS {
        assert_eq!(scene.look(0.6), 3);
    }
    assert_eq!(scene.look(0.6), 2);
    let told = scene.told();
    assert_eq!(told[1], "scaled: from 3 to 2 workers: busy 20 % of the time, below 30 % at 5 looks in a row");
    let all: Vec<usize> = (0..20).map(|_| scene.look(0.0)).collect();
    assert_eq!((all[0], all[19]), (2, 1), "one is the least");
}

#[test]
fn no_worker_goes_that_would_have_to_come_back() {
    // Half of the time with two workers would be all of it with one.
    let mut scene = Scene::new("workers = 2\nscale = { max = 2, up = 0.8, down = 0.6 }");
    for _ in 0..20 {
        assert_eq!(scene.look(1.0), 2);
    }
    let all: Vec<usize> = (0..20).map(|_| scene.look(0.6)).collect();
    assert_eq!(all[19], 1);
}

#[test]
fn what_keeps_the_workers_from_changing_is_told_once() {
    let mut scene = Scene::new("scale = { max = 3 }");
    scene.engine.refuse.store(true, Ordering::Relaxed);
    for _ in 0..9 {
        assert_eq!(scene.look(1.0), 1);
    }
    let refused = "scale_refused: from 1 to 2 workers: busy 100 % of the time, above 80 % at 2 looks in a row: the engine \
                   keeps its old plan: not today";
    assert_eq!(scene.told(), [refused]);
}

#[test]
fn a_configuration_that_comes_later_keeps_the_workers_that_there_are() {
    let mut scene = Scene::new("workers = 1\nscale = { min = 1, max = 3 }");
    for _ in 0..3 {
        scene.look(1.0);
    }
    let text = scene.controller.current().config.text().to_owned();
    assert!(text.contains("workers = 1"), "with which it began: {text}");
    let next = text.replace("kind = \"filter\"", "kind = \"filter\"\nlimit = 5");
    let applied = scene.controller.apply(&next, None).expect("applied");
    assert_eq!(applied.changes.len(), 1, "{:?}", applied.changes);
    assert_eq!(scene.controller.current().plan.cores.len(), 2);
    scene
        .controller
        .apply(&next.replace("min = 1", "min = 3").replace("workers = 1", "workers = 3"), None)
        .expect("applied");
    assert_eq!(scene.controller.current().plan.cores.len(), 3);
}

/// Another file may ask for more or fewer than there are, whatever they have to do.
#[test]
fn bounds_that_have_moved_are_a_reason_of_their_own() {
    let scene = Scene::new("scale = { min = 1, max = 3, up = 0.8, down = 0.3 }");
    let judged = |workers, busy, min, max, looks| {
        let scale = Scale { min, max, ..scene.controller.settings().scale.expect("it scales") };
        let mut scaling = Scaling::default();
        (0..looks).filter_map(|_| scaling.judge(workers, busy, scale)).last()
    };
    let order = |workers, why: &str| Some(Order { workers, why: why.to_owned() });
    assert_eq!(judged(1, 0.02, 2, 3, 2), order(2, "at least 2 are asked for"));
    assert_eq!(judged(3, 0.95, 1, 2, 5), order(2, "at most 2 are asked for"));
    assert_eq!(judged(2, 0.95, 1, 3, 2), order(3, "busy 95 % of the time, above 80 % at 2 looks in a row"));
}

#[test]
fn another_number_of_workers_on_request_is_in_the_configuration() {
    let (_, controller) = crate::fakes::controller();
    let scaled = controller.scale(3, "asked for").expect("scaled");
    assert_eq!((scaled.before, scaled.workers, scaled.generation), (1, 3, 2));
    let current = controller.current();
    assert_eq!(current.plan.cores.len(), 3);
    assert!(current.config.text().starts_with("[engine]\nworkers = 3\n"), "{}", current.config.text());
    // What config.get says is what runs.
    assert_eq!(controller.apply(current.config.text(), None).expect("applied").changes, []);
    assert_eq!(controller.scale(3, "again").expect("nothing to do").pause, None);

    controller.apply(current.config.text(), Some(std::time::Duration::from_secs(60))).expect("applied");
    let refused = controller.scale(1, "too early").expect_err("a change waits").to_string();
    assert!(refused.starts_with("an earlier change waits to be confirmed"), "{refused}");
}

#[test]
fn workers_on_cores_that_were_named_get_only_cores_that_there_are() {
    let cores = crate::cores::allowed();
    let (_, controller) = controller_of(&format!("[engine]\ncores = [{}]\n{CONFIG}", cores[0]));
    let refused = controller.scale(cores.len() + 1, "too many").expect_err("no cores").to_string();
    assert!(refused.contains(&format!("this process may run on {}", cores.len())), "{refused}");
    if cores.len() > 1 {
        controller.scale(2, "one more").expect("scaled");
        let highest = cores[cores.len() - 1];
        assert_eq!(controller.current().plan.cores, [cores[0], highest]);
        let text = controller.current().config.text().to_owned();
        assert!(text.contains(&format!("cores = [{}, {highest}]", cores[0])), "{text}");
    }
}
