//! Flows that leave their instance.

use super::*;
use crate::BadRecord;
use serde_json::{Value, json};

/// A flow with bytes handed out and kept, bytes held, and a gap.
fn busy() -> Rig {
    let mut rig = Rig::open(Config { mode: Mode::Arrival, ..Config::default() });
    rig.client(0, "hello");
    rig.client(10, "world");
    rig.client(12, "xxxxx");
    rig
}

#[test]
fn a_record_survives_text_and_goes_on_elsewhere() {
    let rig = busy();
    let text = serde_json::to_string(&rig.flow.export(&rig.pool)).unwrap();
    let mut other = Rig { pool: Pool::new(1 << 16), out: Out::default(), ..Rig::new(rig.config.clone()) };
    other.flow = Flow::import(&serde_json::from_str(&text).unwrap(), &other.config, &mut other.pool).unwrap();
    assert_eq!(other.flow.export(&other.pool), rig.flow.export(&rig.pool));
    other.client(0, "hellO");
    other.client(5, "     ");
    assert_eq!(other.out.text(Toward::Server), "     worldxx");
    assert!(other.out.saw(Event::Overlap));
}

#[test]
fn a_flow_that_keeps_nothing_is_the_same_elsewhere() {
    for depth in [0, 3] {
        let mut rig = Rig::open(Config { mode: Mode::Arrival, keep: false, depth, ..Config::default() });
        rig.client(0, "hello");
        rig.client(5, "world");
        let record = rig.flow.export(&rig.pool);
        let copy = Flow::import(&record, &rig.config, &mut rig.pool).unwrap();
        assert_eq!(copy.export(&rig.pool), record);
    }
}

#[test]
fn a_flow_that_lost_its_bytes_says_so_elsewhere() {
    let mut rig = busy();
    rig.pool = Pool::new(1 << 16);
    // The handle is of another pool: as if evicted.
    let record = rig.flow.export(&rig.pool);
    rig.flow = Flow::import(&record, &rig.config, &mut rig.pool).unwrap();
    rig.out = Out::default();
    rig.client(5, "more");
    assert!(rig.out.saw(Event::Evicted));
}

#[test]
fn records_that_cannot_be_are_refused() {
    let rig = busy();
    let good = serde_json::to_value(rig.flow.export(&rig.pool)).unwrap();
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value["halves"][0]);
        let Ok(record) = serde_json::from_value(value) else { return None };
        let mut pool = Pool::new(1 << 16);
        let result = Flow::import(&record, &rig.config, &mut pool).map(|_| ());
        assert!(result.is_ok() || pool.used() == 0);
        Some(result)
    };
    assert_eq!(refused(&|_| {}), Some(Ok(())));
    let malformed = Some(Err(BadRecord::Malformed));
    assert_eq!(refused(&|half| half["half"]["kept"] = json!(100)), malformed);
    assert_eq!(refused(&|half| half["half"]["next"] = json!(u64::MAX)), malformed);
    assert_eq!(refused(&|half| half["half"]["urgent_count"] = json!(9)), malformed);
    assert_eq!(refused(&|half| half["half"]["shift"] = json!(15)), malformed);
    assert_eq!(refused(&|half| half["held"][0][1] = json!(1 << 30)), malformed);
    assert_eq!(refused(&|half| half["held"][0][0] = json!(15)), malformed);
    assert_eq!(refused(&|half| half["bytes"][0]["at"] = json!(1)), malformed);
    assert_eq!(refused(&|half| half["bytes"][1]["at"] = json!(1u64 << 61)), malformed);
    assert_eq!(refused(&|half| half["bytes"][0]["bytes"] = json!("abc")), None);
    let mut small = Pool::new(1);
    let config = Config { segments: 1, ..rig.config.clone() };
    let record = rig.flow.export(&rig.pool);
    assert_eq!(Flow::import(&record, &config, &mut small).map(|_| ()), Err(BadRecord::TooMuch));
}
