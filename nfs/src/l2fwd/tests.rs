use super::config::Config;
use super::station::Station;
use super::table::{Learned, Place, Table};
use super::*;
use engine::{Cursor, PAGE, Record, Selector, StateError};
use serde_json::json;

fn site() -> Site {
    let ports = ["lan", "wan", "dmz"].map(str::to_owned).to_vec();
    Site { ports, gates: vec![1, 2], workers: 1, ..Site::default() }
}

fn switch(config: &Config) -> L2Fwd {
    let plan = L2Fwd::prepare(config, &site()).expect("a good configuration");
    L2Fwd::instance(&Arc::new(plan), &WorkerSite { index: 0, count: 1, seed: 1 })
}

fn station(last: u8) -> Station {
    Station::new(0, Mac([2, 0, 0, 0, 0, last]))
}

fn exported(switch: &L2Fwd) -> Vec<Record> {
    let (mut records, mut cursor) = (Vec::new(), Some(Cursor::default()));
    while let Some(at) = cursor {
        let before = records.len();
        cursor = switch.export(at, &Selector::default(), &mut records);
        assert!(records.len() - before <= PAGE);
    }
    records
}

#[test]
fn configurations_that_cannot_be_are_refused_at_their_key() {
    let table = |station: &str, port: &str| Config {
        table: [(station.to_owned(), port.to_owned())].into(),
        ..Config::default()
    };
    for (config, key, words) in [
        (table("02:00:00:00:00:01", "lna"), "table", "port 'lna', which does not exist"),
        (table("02:00:00:00:01", "lan"), "table", "six pairs"),
        (table("ff:ff:ff:ff:ff:ff", "lan"), "table", "address of a group"),
        (table("02:00:00:00:00:01 vlan 5", "lan"), "table", "vlan_aware is false"),
        (
            Config { vlan_aware: true, ..table("02:00:00:00:00:01 vlan 4096", "lan") },
            "table",
            "no VLAN identifier",
        ),
        (Config { capacity: 0, ..Config::default() }, "capacity", "capacity 0"),
        (Config { ageing: crate::Span::seconds(0), ..Config::default() }, "ageing", "never known"),
    ] {
        let error = Plan::new(&config, &site()).expect_err(words);
        assert_eq!(error.key.as_deref(), Some(key));
        assert!(error.message.contains(words), "{error}");
    }
}

#[test]
fn a_full_table_learns_no_more_and_forgets_nothing() {
    let plan = Plan::new(&Config { capacity: 2, ..Config::default() }, &site()).expect("good");
    let mut table = Table::new(&plan);
    let now = Time::from_nanos(1);
    let learned: Vec<Learned> = (1..=3).map(|last| table.learn(station(last), 1, now, None).0).collect();
    assert_eq!(learned, [Learned::New, Learned::New, Learned::Full]);
    assert_eq!(table.learn(station(1), 1, now, None).0, Learned::Known);
    assert_eq!(table.learn(station(2), 2, now, None).0, Learned::Moved);
}

#[test]
fn the_other_workers_are_told_of_news_and_now_and_then() {
    let plan = Plan::new(&Config::default(), &site()).expect("good");
    let mut table = Table::new(&plan);
    let at = |seconds: u64| Time::from_nanos(seconds * 1_000_000_000);
    let mut learn = |port, seconds| {
        let (_, tell) = table.learn(station(1), port, at(seconds), None);
        if tell {
            table.told(station(1), at(seconds));
        }
        tell
    };
    assert!(learn(1, 1000), "it is new");
    assert!(!learn(1, 1010));
    assert!(learn(1, 1080), "a quarter of the ageing time has gone by");
    assert!(learn(2, 1081), "it moved");
}

#[test]
fn of_two_places_that_of_the_later_frame_counts() {
    let plan = Plan::new(&Config::default(), &site()).expect("good");
    let (mut here, mut there) = (Table::new(&plan), Table::new(&plan));
    here.learn(station(1), 1, Time::from_nanos(5), None);
    there.learn(station(1), 2, Time::from_nanos(7), None);
    let (from_here, from_there) =
        (here.news(station(1)).expect("known"), there.news(station(1)).expect("known"));
    here.hear(&from_there, Time::from_nanos(8));
    there.hear(&from_here, Time::from_nanos(8));
    assert_eq!(here.get(station(1)).map(|place| place.port), Some(2));
    assert_eq!(there.get(station(1)).map(|place| place.port), Some(2));
}

#[test]
fn stations_leave_and_enter_as_records() {
    let mut old = switch(&Config::default());
    for last in 1..=200 {
        old.table.learn(station(last), 1 + u16::from(last % 2), Time::from_nanos(9), None);
    }
    let records = exported(&old);
    assert_eq!(records.len(), 200);
    let mut new = switch(&Config::default());
    new.import(&records).expect("its own records");
    let by_key = |mut records: Vec<Record>| {
        records.sort_by_key(|record| record.key.to_string());
        records
    };
    assert_eq!(by_key(exported(&new)), by_key(records));
}

#[test]
fn a_learned_record_moves_no_station_that_has_a_fixed_place() {
    let table = [("02:00:00:00:00:01".to_owned(), "dmz".to_owned())].into();
    let fixed = Config { table, ..Config::default() };
    let mut elsewhere = switch(&Config::default());
    elsewhere.table.learn(station(1), 1, Time::from_nanos(9), None);
    let mut here = switch(&fixed);
    here.import(&exported(&elsewhere)).expect("records that fit");
    assert_eq!(here.table.get(station(1)).map(|place| (place.port, place.fixed)), Some((2, true)));
    // What an operator said elsewhere counts, also when a learned record of the same station follows.
    let mut records = exported(&elsewhere);
    elsewhere.answer("add", &json!({"station": "02:00:00:00:00:01", "port": "lan"})).expect("room");
    records.splice(0..0, exported(&elsewhere));
    here.import(&records).expect("records that fit");
    assert_eq!(here.table.get(station(1)).map(|place| (place.port, place.fixed)), Some((0, true)));
}

#[test]
fn records_that_do_not_fit_change_nothing() {
    let mut full = switch(&Config::default());
    for last in 1..=3 {
        full.table.learn(station(last), 1, Time::from_nanos(9), None);
    }
    let records = exported(&full);
    let mut small = switch(&Config { capacity: 2, ..Config::default() });
    assert_eq!(small.import(&records), Err(StateError::Full { needed: 3, capacity: 2 }));
    let mut broken = records;
    broken[2].value["port"] = json!("nowhere");
    assert!(matches!(full.import(&broken), Err(StateError::Malformed { .. })));
    assert_eq!(exported(&small), []);
}

#[test]
fn every_worker_exports_its_share() {
    let plan = Arc::new(L2Fwd::prepare(&Config::default(), &site()).expect("good"));
    let mut all = Vec::new();
    for index in 0..3 {
        let mut one = L2Fwd::instance(&plan, &WorkerSite { index, count: 3, seed: 1 });
        (1..=99).for_each(|last| {
            one.table
                .insert(station(last), Place { port: 1, fixed: false, seen: Time::ZERO, told: Time::ZERO });
        });
        all.extend(exported(&one).into_iter().map(|record| record.key.to_string()));
    }
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 99);
}

#[test]
fn a_new_configuration_keeps_what_fits_it() {
    let mut old = switch(&Config::default());
    old.table.learn(station(1), 2, Time::from_nanos(9), None);
    old.answer("add", &json!({"station": "02:00:00:00:00:07", "port": "dmz"})).expect("room");
    let renamed =
        Site { ports: ["dmz", "lan"].map(str::to_owned).to_vec(), gates: vec![1], ..Site::default() };
    let plan = L2Fwd::prepare(&Config::default(), &renamed).expect("good");
    let mut new = L2Fwd::instance(&Arc::new(plan), &WorkerSite { index: 0, count: 1, seed: 1 });
    new.inherit(old);
    assert_eq!(new.table.get(station(1)).map(|place| (place.port, place.fixed)), Some((0, false)));
    assert_eq!(new.table.get(station(7)).map(|place| (place.port, place.fixed)), Some((0, true)));
}

/// The answer to a command that is done in steps, and how many there were.
fn in_steps(switch: &mut L2Fwd, name: &str, mut arguments: Value) -> (Value, usize) {
    for step in 1.. {
        match switch.answer(name, &arguments) {
            Err(CommandError::Unfinished(next)) => arguments = next,
            answer => return (answer.expect("done"), step),
        }
    }
    unreachable!("a command ends")
}

#[test]
fn a_flush_forgets_at_most_a_page_of_stations_in_a_step() {
    let mut switch = switch(&Config { capacity: 4000, ..Config::default() });
    for number in 0..3000 {
        let mac = Mac([2, 0, 0, 0, (number >> 8) as u8, number as u8]);
        switch.table.learn(Station::new(0, mac), number % 2, Time::from_nanos(9), None);
    }
    let (answer, steps) = in_steps(&mut switch, "flush", json!({"port": "lan"}));
    assert_eq!((answer, switch.table.len()), (json!({"forgotten": 1500}), 1500));
    assert_eq!(steps, 1500 / PAGE + 1);
    assert_eq!(in_steps(&mut switch, "flush", Value::Null).0, json!({"forgotten": 1500}));
}

#[test]
fn commands_show_add_remove_and_flush() {
    let mut switch = switch(&Config::default());
    switch.table.learn(station(1), 1, Time::from_nanos(9), None);
    switch.answer("add", &json!({"station": "02:00:00:00:00:07", "port": "dmz"})).expect("room");
    let shown = switch.answer("show", &Value::Null).expect("always");
    assert_eq!(shown["known"], 2);
    assert_eq!(shown["stations"].as_array().map(Vec::len), Some(2));
    assert_eq!(in_steps(&mut switch, "flush", json!({"port": "wan"})).0, json!({"forgotten": 1}));
    let remove = json!({"station": "02:00:00:00:00:07"});
    assert_eq!(switch.answer("remove", &remove), Ok(json!({"removed": true})));
    assert_eq!(switch.answer("remove", &remove), Ok(json!({"removed": false})));
    assert!(matches!(switch.answer("flush", &json!({"port": "x"})), Err(CommandError::Arguments(_))));
    assert!(matches!(switch.answer("shwo", &Value::Null), Err(CommandError::Unknown(_))));
}
