use super::*;

fn entry(key: &str, value: &str) -> Entry {
    Entry { key: key.to_owned(), value: value.to_owned(), created: 1, modified: 1 }
}

/// Of an agent of another version nothing is known but that; of the others all.
#[test]
fn a_record_of_a_server_that_is_none_of_ours_is_left_out() {
    let all = Snapshot::of(
        7,
        vec![
            entry("/braid/servers/s1", "{\"cpu\": 2.0}"),
            entry("/braid/servers/s2", "{\"cpu\": 2.0, \"gpu\": 1}"),
            entry("/braid/reports/s2", "running"),
            entry("/braid/current", "3"),
        ],
    );
    let all = all.expect("a snapshot");
    assert_eq!(all.servers.keys().collect::<Vec<_>>(), ["s1"]);
    assert!(all.reports.is_empty());
    assert_eq!(all.current, 3);
    let unreadable: Vec<&String> = all.unreadable.iter().collect();
    assert_eq!(unreadable.len(), 2);
    assert!(unreadable[0].contains("/braid/reports/s2"), "{unreadable:?}");
    assert!(unreadable[1].contains("/braid/servers/s2") && unreadable[1].contains("gpu"), "{unreadable:?}");
}

/// Who cannot read the plan must not write over it.
#[test]
fn a_plan_that_is_none_of_ours_stops_this_planner() {
    let error =
        Snapshot::of(7, vec![entry("/braid/plan", "{\"revision\": \"ninth\"}")]).expect_err("no plan");
    assert!(error.to_string().contains("/braid/plan"), "{error}");
}
