use super::*;

fn read(text: &str) -> RuleSet {
    from_texts([("a.rules", text.as_bytes())], &Vars::default(), &Classes::default())
}

#[test]
fn lines_comments_and_continuations() {
    let set = read(concat!(
        "# a comment\n\n",
        "alert tcp any any -> any any \\\n  (content:\"a\"; \\\r\n   sid:1;)\n",
        "#alert tcp any any -> any any (sid:2;)\n",
        "  alert udp any any -> any any (sid:3;)",
    ));
    assert_eq!(
        set.rules.iter().map(|loaded| (loaded.rule.meta.sid, loaded.line)).collect::<Vec<_>>(),
        [(1, 3), (3, 7)]
    );
    assert_eq!((set.report.files[0].disabled, set.report.refused()), (1, 0));
}

#[test]
fn a_refusal_names_line_and_column_also_after_a_continuation() {
    let set = read("alert tcp any any -> any any \\\n  (lua:x; sid:1;)\n");
    let refused = &set.report.files[0].refused[0];
    assert_eq!((refused.line, refused.column), (2, 4));
    assert!(set.report.to_string().contains("a.rules:2:4: lua: not in the subset\n"), "{}", set.report);
}

#[test]
fn of_two_rules_with_one_sid_the_higher_rev_stays() {
    let set = read(
        "alert tcp any any -> any any (sid:1; rev:2;)\nalert udp any any -> any any (sid:1; rev:3;)\nalert ip any any -> any any (sid:1; rev:3;)\n",
    );
    assert_eq!(set.rules.len(), 1);
    assert_eq!(set.rules[0].line, 2);
    let lines: Vec<_> = set.report.files[0].refused.iter().map(|refused| refused.line).collect();
    assert_eq!(lines, [1, 3]);
    assert_eq!(set.report.taken(), 1);
    assert_eq!(set.report.reasons(), [(Kind::Duplicate, "sid", 2)]);
}

#[test]
fn rules_come_in_the_order_in_which_they_are_looked_at() {
    let set = read(concat!(
        "alert tcp any any -> any any (flowbits:isset,a; sid:1;)\n",
        "alert tcp any any -> any any (priority:1; sid:2;)\n",
        "alert tcp any any -> any any (flowbits:unset,a; sid:3;)\n",
        "alert tcp any any -> any any (flowbits:isnotset,a; flowbits:set,a; sid:4;)\n",
        "drop tcp any any -> any any (sid:5;)\n",
        "pass tcp any any -> any any (sid:6;)\n",
        "alert tcp any any -> any any (hostbits:isset,b; sid:7;)\n",
        "alert tcp any any -> any any (sid:8;)\n",
        "alert tcp any any -> any any (flowbits:set,a; sid:9;)\n",
    ));
    let order: Vec<_> = set.rules.iter().map(|loaded| loaded.rule.meta.sid).collect();
    assert_eq!(order, [6, 5, 3, 9, 4, 1, 7, 2, 8]);
}

/// The public rule sets: more than 95 % of what is enabled is taken, and the rest is named.
#[test]
fn public_rule_sets_load() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ids/dev/rulesets");
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("skipped: no rule sets at {folder}");
        return;
    };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "rules"));
    paths.sort();
    let set = load(&paths, &Vars::default(), &Classes::default()).expect("the files can be read");
    let report = &set.report;
    println!("{report}");
    let (taken, refused) = (report.taken(), report.refused());
    assert!(taken > 0 && taken * 100 >= (taken + refused) * 95, "{taken} taken, {refused} refused");
}
