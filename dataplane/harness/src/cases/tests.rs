use super::parse::{What, parse};
use super::*;

#[test]
fn a_case_file_is_read_section_by_section() {
    let text = "What it is about.\n\
        %nf firewall\n%config\nrules = \"a.rules\"\n%file a.rules\nallow all\n\
        %let A = 02:00:00:00:00:01\n%let A2 = 02:00:00:00:00:02\n\
        %row one\nin @wan eth $A > $A2 / \"a # b\" # a comment\nforward\nafter 200ms\ngate 2 hex 00 11\nstate flow 2\n";
    let file = parse(text).expect("it is right");
    assert_eq!(file.nf, "firewall");
    assert_eq!(file.config, "rules = \"a.rules\"\n");
    assert_eq!(file.files["a.rules"], "allow all\n");
    let steps: Vec<_> = file.rows[0].steps.iter().map(|step| &step.what).collect();
    let What::In { port, bytes } = steps[0] else { panic!("{steps:?}") };
    assert_eq!(port, "wan");
    assert_eq!(bytes, b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x88\xb5a # b");
    assert_eq!(
        steps[1..],
        [
            &What::Forward(None),
            &What::After(Duration::from_millis(200)),
            &What::Gate(2, Some(vec![0, 0x11])),
            &What::Count("flow".to_owned(), 2),
        ]
    );
}

#[test]
fn what_is_not_understood_is_named_with_its_line() {
    let rows = [
        ("%row x\nin hex 00\nforward\n", "there is no %nf line"),
        ("%nf x\n", "there is no %row"),
        ("%nf x\n%what\n", "line 2: '%what': expected %nf NAME"),
        ("%nf x\n%row y\nfly\n", "line 3: 'fly': expected in, forward"),
        ("%nf x\n%row y\nin eth 1 > 2\n", "line 3: '1' does not fit here, in 'eth 1 > 2'"),
        ("%nf x\n%row y\nafter noon\n", "line 3: 'noon' is no time"),
    ];
    for (text, message) in rows {
        let error = parse(text).expect_err(text);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn values_are_compared_member_by_member() {
    let all = serde_json::json!({"a": 1, "b": {"c": 2, "d": 3}});
    assert!(includes(&all, &serde_json::json!({"b": {"d": 3}})));
    assert!(!includes(&all, &serde_json::json!({"b": {"d": 4}})));
    assert!(!includes(&all, &serde_json::json!({"e": 1})));
}
