use super::super::compiled::Rules;
use super::*;
use ids_rules::classes::Classes;
use ids_rules::load;
use ids_rules::vars::Vars;

fn rules(options: &str) -> Rules {
    let text = format!("alert udp any any -> any any (msg:\"t\"; {options} sid:1;)");
    let set = load::from_texts([("test", text.as_bytes())], &Vars::default(), &Classes::default());
    assert_eq!(set.report.refused(), 0, "{}", set.report);
    Rules::compile(set.rules.into_iter().map(|loaded| loaded.rule).collect()).expect("compiles")
}

fn holds_at(options: &str, bytes: &[u8], base: u64) -> bool {
    let rules = rules(options);
    let rule = &rules.all[0];
    let mut evaluator = Evaluator::new(rules.regexes.len());
    evaluator.begin(rule.rule.variables.len());
    rule.groups.iter().all(|group| evaluator.holds(group, &rules.regexes, Bytes { bytes, base }))
}

fn holds(options: &str, text: &str) -> bool {
    holds_at(options, text.as_bytes(), 0)
}

#[test]
fn contents_are_found_where_they_may_be() {
    for (options, text, expected) in [
        ("content:\"abc\";", "xxabcxx", true),
        ("content:\"abc\";", "xxABCxx", false),
        ("content:\"abc\"; nocase;", "xxAbCxx", true),
        ("content:!\"abc\";", "xxabxx", true),
        ("content:!\"abc\";", "xxabcxx", false),
        ("content:\"abc\"; offset:2; depth:3;", "xxabcxx", true),
        ("content:\"abc\"; offset:3;", "xxabcxx", false),
        ("content:\"abc\"; depth:4;", "xxabcxx", false),
        ("content:\"abc\"; startswith;", "abcxx", true),
        ("content:\"abc\"; startswith;", "xabcxx", false),
        ("content:\"abc\"; endswith;", "abcxabc", true),
        ("content:\"abc\"; endswith;", "abcx", false),
        ("content:\"|00 ff|\";", "\u{0}", false),
        ("content:\"ab\"; content:\"cd\"; distance:1; within:3;", "ab.cd", true),
        ("content:\"ab\"; content:\"cd\"; distance:1; within:2;", "ab..cd", false),
        ("content:\"ab\"; content:\"cd\"; distance:-2; within:4;", "abcd", true),
        ("content:\"cd\"; content:\"ab\"; distance:-4;", "abcd", true),
        ("content:\"ab\"; content:!\"cd\"; within:2;", "abxcd", true),
        ("content:\"ab\"; content:!\"cd\"; within:2;", "abcd", false),
    ] {
        assert_eq!(holds(options, text), expected, "{options} in {text}");
    }
}

#[test]
fn a_search_goes_back_where_the_rest_is_relative() {
    let rest = "content:\"ab\"; content:\"cd\"; distance:0; within:2;";
    assert!(holds(rest, "ab..ab..abcd"));
    assert!(!holds(rest, "ab..ab..ab.cd"));
    assert!(holds("pcre:\"/a./\"; content:\"!\"; distance:0; within:1;", "a1 a2!"));
    assert!(!holds("content:\"ab\"; pcre:\"/^c/R\";", "ab.c"));
    assert!(holds("content:\"ab\"; pcre:\"/^c/R\";", "ab.abc"));
}

#[test]
fn endless_searches_are_given_up() {
    let many = "content:\"a\"; ".to_owned()
        + &"content:\"a\"; distance:0; ".repeat(30)
        + "content:\"b\"; distance:0;";
    assert!(!holds(&many, &"a".repeat(2000)));
}

#[test]
fn numbers_decide() {
    for (options, text, expected) in [
        ("byte_test:2,>,100,0,string,dec;", "99", false),
        ("byte_test:3,>,100,0,string,dec;", "101", true),
        ("byte_test:1,=,0x61,0;", "a", true),
        ("byte_test:1,!=,0x61,0;", "a", false),
        ("byte_test:4,=,1,0;", "abc", false),
        ("content:\"n=\"; byte_jump:1,0,relative,string,dec; content:\"X\"; within:1;", "n=3abcX", true),
        ("content:\"n=\"; byte_jump:1,0,relative,string,dec; content:\"X\"; within:1;", "n=4abcX", false),
        (
            "content:\"n=\"; byte_extract:1,0,n,relative,string,dec; content:\"X\"; distance:n; within:1;",
            "n=2abX",
            true,
        ),
        ("content:\"n=\"; byte_extract:1,0,n,relative,string,dec; isdataat:n,relative;", "n=2ab", true),
        ("content:\"n=\"; byte_extract:1,0,n,relative,string,dec; isdataat:n,relative;", "n=9ab", false),
        ("content:\"ab\"; isdataat:!1,relative;", "xab", true),
        ("content:\"ab\"; isdataat:!1,relative;", "xabc", false),
    ] {
        assert_eq!(holds(options, text), expected, "{options} in {text}");
    }
}

#[test]
fn places_in_a_stream_count_from_its_beginning() {
    assert!(holds_at("content:\"abc\"; offset:100; depth:3;", b"abc", 100));
    assert!(!holds_at("content:\"abc\"; depth:3;", b"abc", 100));
    assert!(holds_at("content:\"abc\"; offset:50;", b"abc", 100));
    assert!(!holds_at("content:\"abc\"; offset:101;", b"abc", 100));
}

/// What would take a second and more by itself: an expression that is tried from every place on, up to the end.
#[test]
fn expressions_read_no_more_than_so_much() {
    let many = "a".repeat(64 << 10);
    let rest = "pcre:\"/a.*z/\"; content:\"never\"; distance:0;";
    let begun = std::time::Instant::now();
    assert!(!holds(rest, &format!("{many}z")));
    assert!(!holds("content:\"a\"; pcre:\"/b+z/R\";", &many));
    assert!(!holds("content:\"a\"; pcre:!\"/z/R\"; content:\"never\"; distance:0;", &many));
    assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{:?}", begun.elapsed());
    // One that is tried at one place each time is tried as often as anything else.
    assert!(holds("content:\"a\"; pcre:\"/^[b-y]*z/R\";", &format!("{}z", &many[..1000])));
}
