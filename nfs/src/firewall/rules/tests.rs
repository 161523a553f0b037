use super::*;
use proptest::prelude::*;
use std::io::Read;
use std::path::PathBuf;
use tables::classifier::{Key, Masked, PortRange, Prefix, Rule as Term, VlanMatch};

fn one(text: &str) -> Rule {
    let mut rules = parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).rules;
    assert_eq!(rules.len(), 1, "{text}");
    rules.remove(0)
}

fn term(text: &str) -> Term {
    let rule = one(text);
    assert_eq!(rule.terms.len(), 1, "{text}");
    rule.terms[0]
}

#[test]
fn a_full_rule_is_read_clause_by_clause() {
    let rule = one(
        "  allow tcp from 10.0.0.0/8 port 1024-65535 to 192.0.2.1 port 80 flags syn/syn,ack vlan 5  # web",
    );
    assert_eq!(rule.action, Some(Action::Allow));
    assert_eq!(rule.line, 1);
    assert_eq!(
        rule.text,
        "allow tcp from 10.0.0.0/8 port 1024-65535 to 192.0.2.1 port 80 flags syn/syn,ack vlan 5"
    );
    assert_eq!(
        rule.terms,
        [Term {
            ether_type: None,
            source: Some(Prefix::V4(0x0a00_0000, 8)),
            destination: Some(Prefix::V4(0xc000_0201, 32)),
            source_port: PortRange { low: 1024, high: 65535 },
            destination_port: PortRange::one(80),
            protocol: Masked::exactly(6),
            tcp_flags: Masked { value: 2, mask: 0x12 },
            vlan: VlanMatch::Range(5, 5),
            icmp: None,
            tag: Masked::ANY,
        }]
    );
}

#[test]
fn what_is_left_out_matches_everything() {
    for text in ["deny", "deny any", "deny ip from any to any", "deny from any port any to any vlan any"] {
        assert_eq!(term(text), Term::default(), "{text}");
    }
}

#[test]
fn lists_stand_for_every_combination() {
    let rule = one("allow tcp,udp from 10.0.0.0/8, 172.16.0.0/12 to any port 53,80-81 vlan 1,none");
    assert_eq!(rule.terms.len(), 2 * 2 * 2 * 2);
    let mixed = one("allow from 10.0.0.0/8,2001:db8::/32 to 192.0.2.0/24,2001:db8:1::/48");
    assert_eq!(mixed.terms.len(), 2, "each family goes with itself");
}

#[test]
fn the_words_of_the_format_mean_what_they_say() {
    let icmp =
        |kind, code| Term { protocol: Masked::exactly(1), icmp: Some((kind, code)), ..Term::default() };
    let flags = |value, mask| Term {
        protocol: Masked::exactly(6),
        tcp_flags: Masked { value, mask },
        ..Term::default()
    };
    let rows = [
        ("deny ip4", Term { ether_type: Some(0x0800), ..Term::default() }),
        ("deny ip6", Term { ether_type: Some(0x86dd), ..Term::default() }),
        ("deny 47", Term { protocol: Masked::exactly(47), ..Term::default() }),
        ("deny icmp type echo-request", icmp(8, None)),
        ("deny icmp type 3/4", icmp(3, Some(4))),
        ("deny tcp flags ack", flags(0x10, 0x10)),
        ("deny tcp flags none/all", flags(0, 0xff)),
        ("deny tcp flags fin,psh,urg/all", flags(0x29, 0xff)),
        ("deny vlan none", Term { vlan: VlanMatch::Untagged, ..Term::default() }),
        ("deny to ::1", Term { destination: Some(Prefix::V6(1, 128)), ..Term::default() }),
        ("deny ct state new", Term { tag: Masked { value: 0, mask: !1 }, ..Term::default() }),
        ("deny ct state established,related", Term { tag: Masked { value: 0, mask: !6 }, ..Term::default() }),
        ("deny to any port 53", Term { destination_port: PortRange::one(53), ..Term::default() }),
    ];
    for (text, expected) in rows {
        assert_eq!(term(text), expected, "{text}");
    }
}

#[test]
fn comments_and_empty_lines_are_no_rules_but_count_as_lines() {
    let rules = parse("# edge\n\nallow tcp # yes\n  \t\n#\ndeny udp\n").expect("good").rules;
    assert_eq!(rules.iter().map(|rule| rule.line).collect::<Vec<_>>(), [3, 6]);
    assert_eq!(parse("").expect("nothing is a rule set too").rules, []);
}

/// Line and column, what is wrong, what would be right.
#[test]
fn errors_point_at_the_word_and_say_what_would_be_right() {
    let rows = [
        ("alow tcp", (1, 1), "'alow' is no action", "a rule is: allow|deny"),
        ("pass tcp", (1, 1), "'pass' is no action", "write 'allow'"),
        ("allow tpc", (1, 7), "unknown protocol 'tpc'", "did you mean 'tcp'?"),
        ("allow tcp form any", (1, 11), "'form' is not understood here", "did you mean 'from'?"),
        ("\n  allow tcp from 10.0.0.1/8", (2, 18), "'10.0.0.1/8' is no address", "write 10.0.0.0/8"),
        ("allow from 10.0.0.0/33", (1, 12), "'10.0.0.0/33' is no address", "like 10.0.0.0/8"),
        ("allow tcp from", (1, 15), "an address expected at the end of the line", "from 10.0.0.0/8"),
        ("allow from ,1.1.1.1", (1, 12), "an address expected before the comma", "from 10.0.0.0/8"),
        ("allow from any,1.1.1.1", (1, 12), "'any' is no address", "'any' stands alone"),
        ("allow tcp to any port 99999", (1, 23), "'99999' is no port", "a number up to 65535"),
        ("allow tcp to any port 90-80", (1, 23), "the range '90-80' is empty", "80-90"),
        ("allow icmp to any port 80", (1, 19), "protocol icmp has no ports", "tcp, udp"),
        ("allow tcp port 80", (1, 11), "'port' does not follow an address", "to any port 53"),
        ("allow udp flags syn", (1, 11), "only tcp has flags", "write 'tcp'"),
        ("allow tcp flags sny", (1, 17), "unknown TCP flag 'sny'", "did you mean 'syn'?"),
        ("allow tcp flags syn/ack", (1, 17), "syn is to be set, but not looked at", "name after the slash"),
        ("allow tcp flags syn/syn/ack", (1, 17), "a second slash", "flags syn/syn,ack"),
        ("allow tcp flags none", (1, 11), "no flag is looked at", "leave 'flags' out"),
        ("allow tcp type 8", (1, 11), "only icmp and icmp6 have types", "icmp"),
        ("allow icmp type ping", (1, 17), "unknown ICMP type 'ping'", "echo-request"),
        ("allow vlan 4096", (1, 12), "'4096' is no VLAN identifier", "up to 4095"),
        ("allow tcp from any from any", (1, 20), "'from' is there twice", "lists take commas"),
        ("allow ct established", (1, 7), "of a connection only its state", "ct state established"),
        ("allow ct state", (1, 15), "a state of connections expected", "ct state established"),
        ("allow ct state nwe", (1, 16), "unknown state 'nwe'", "did you mean 'new'?"),
        ("allow ct state new ct state new", (1, 20), "'ct' is there twice", "lists take commas"),
        ("allow ip,tcp", (1, 7), "'ip' is not one protocol", "write it alone"),
        ("allow from 10.0.0.0/8 to ::1", (1, 1), "no packet can match", "lines of their own"),
        ("allow tcp to any port +80", (1, 23), "'+80' is no port", "a number up to 65535"),
        (
            "@1.2.3.4/32 1.2.3.4/33",
            (1, 21),
            "the prefix length is a number up to 32, not '33'",
            "@10.0.0.0/8",
        ),
        (
            "@1.2.3.4/32 1.2.3.4/32 0 : 1 3 : 2 0/0",
            (1, 35),
            "the destination port has an empty range",
            "smaller",
        ),
        ("@1.2.3.4/32 1.2.3.4/32 0 : 1 2 2 0/0", (1, 32), "':' between two ports expected", "0 : 65535"),
        ("@1.2.3.4/32 1.2.3.4/32 0 : 1 2 : 2 0/0 1/1 7", (1, 44), "one column too many", "@10.0.0.0/8"),
        (
            "@1.2.3.4/32 1.2.3.4/32 0 : 1 2 : 2 0x11/0xff 0x200/0x200",
            (1, 57),
            "do not fit the protocol",
            "upper byte",
        ),
        ("@1.2.3.4/32 1.2.3.4/32 0 : 1 2 : 2 0/0\nallow tcp", (2, 1), "'@' expected", "@10.0.0.0/8"),
    ];
    for (text, place, message, help) in rows {
        let error = parse(text).expect_err(text).errors.remove(0);
        assert_eq!((error.line, error.column), place, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
        assert!(error.help.as_ref().is_some_and(|text| text.contains(help)), "{text}: {:?}", error.help);
    }
}

#[test]
fn all_mistakes_of_a_file_are_told_and_of_many_the_first_ten() {
    let errors = parse("allow tpc\n# fine\nallow udp\ndeny tcp form any\nallow tcp to any port 70000\n")
        .expect_err("three mistakes");
    let places: Vec<_> = errors.errors.iter().map(|error| (error.line, error.column)).collect();
    assert_eq!((places, errors.more), (vec![(1, 7), (4, 10), (5, 23)], 0));

    let errors = parse(&"nonsense\n".repeat(25)).expect_err("nonsense");
    assert_eq!((errors.errors.len(), errors.more), (MAX_ERRORS, 15));
    assert!(errors.to_string().ends_with("and 15 more"), "{errors}");
}

#[test]
fn lists_that_explode_are_refused() {
    let many = (1..2000).map(|port| port.to_string()).collect::<Vec<_>>().join(",");
    let text = format!("allow tcp from any port {many} to any port {many}");
    assert!(parse(&text).expect_err("4 million").errors[0].message.contains("stand for more than"));
}

#[test]
fn a_classbench_filter_has_flags_in_the_upper_byte() {
    let filter = |protocol: &str| term(&format!("@1.2.3.4/24\t0.0.0.0/0\t0 : 65535\t80 : 81\t{protocol}\t"));
    let base = Term {
        ether_type: Some(0x0800),
        source: Some(Prefix::V4(0x0102_0300, 24)),
        destination: Some(Prefix::V4(0, 0)),
        destination_port: PortRange { low: 80, high: 81 },
        ..Term::default()
    };
    assert_eq!(filter("0x00/0x00\t0x0000/0x0000"), base);
    let protocol = Masked::exactly(6);
    assert_eq!(filter("0x06/0xFF"), Term { protocol, ..base });
    let tcp_flags = Masked { value: 2, mask: 0x12 };
    assert_eq!(filter("0x06/0xFF\t0x0200/0x1200"), Term { protocol, tcp_flags, ..base });
    let protocol = Masked::exactly(1);
    assert_eq!(filter("0x01/0xFF\t0x0303/0xffff"), Term { protocol, icmp: Some((3, Some(3))), ..base });
    assert_eq!(filter("0x01/0xFF\t0x0800/0xff00"), Term { protocol, icmp: Some((8, None)), ..base });
}

#[test]
fn a_header_matches_by_addresses_ports_and_protocol_only() {
    let rules = parse("deny tcp to any port 80 flags syn vlan 7\nallow udp from 10.0.0.0/8\n").expect("good");
    let matcher = HeaderMatcher::new(&rules);
    for (line, expected) in [
        ("1 2 3 80 6", Some(0)),
        ("167772161 2 3 80 17 0", Some(1)),
        ("1 2 3 80 17 0 9", None),
        ("1 2 3 81 6", None),
    ] {
        let header = parse_trace(line).expect(line)[0];
        assert_eq!(rules.first_match_of_header(&header), expected, "{line}");
        assert_eq!(matcher.first_match(&header), expected, "{line}");
    }
}

#[test]
fn a_trace_says_where_it_is_broken() {
    for (text, place) in [
        ("1 2 3 4", (1, 8)),
        ("1 2 3 4 5\n1 2 65536 4 5", (2, 5)),
        ("1 2 3 4 256", (1, 9)),
        ("1 2 3 4 5 x", (1, 11)),
        ("1 2 3 4 5 6 7 8", (1, 15)),
        ("1 2 3 4 -5", (1, 9)),
    ] {
        let error = parse_trace(text).expect_err(text);
        assert_eq!((error.line, error.column), place, "{text}: {error}");
    }
}

fn classbench(path: &str) -> Option<PathBuf> {
    let file =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/classbench/dev")).join(path);
    if file.exists() {
        return Some(file);
    }
    println!("skipped: {} is not here", file.display());
    None
}

fn read(file: PathBuf) -> String {
    let bytes = fs::read(&file).expect("readable");
    let mut text = String::new();
    if file.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).expect("gzip");
    } else {
        text = String::from_utf8(bytes).expect("text");
    }
    text
}

#[test]
fn the_published_filter_sets_give_the_published_first_matches() {
    for set in ["acl1_1k", "fw1_1k"] {
        let (Some(rules), Some(trace)) = (classbench(set), classbench(&format!("{set}_trace"))) else {
            return;
        };
        let expected =
            read(classbench(&format!("{set}_trace.firstmatch.txt")).expect("comes with the trace"));
        let rules = parse_file(&rules).expect(set);
        let matcher = HeaderMatcher::new(&rules);
        let headers = parse_trace(&read(trace)).expect(set);
        assert_eq!(headers.len(), expected.lines().count());
        for (i, (header, expected)) in headers.iter().zip(expected.lines()).enumerate() {
            let found = matcher.first_match(header).map_or("-".to_owned(), |rule| rule.to_string());
            assert_eq!(found, expected, "{set}, header {i}");
        }
    }
}

#[test]
fn compiled_and_one_by_one_the_filter_sets_answer_alike() {
    for (set, trace) in [
        ("acl1_1k", "acl1_1k_trace"),
        ("fw1_1k", "fw1_1k_trace"),
        ("fw1_10k", "fw1_10k_trace.gz"),
        ("acl1_10k", "acl1_1k_trace"),
        ("cutsplit/acl_1k", "cutsplit/acl_1k_trace"),
        ("neurocuts/ipc1_1k", "acl1_1k_trace"),
        ("neurocuts/fw2_1k", "fw1_1k_trace"),
        ("neurocuts/fw4_1k", "fw1_1k_trace"),
        ("neurocuts/acl4_1k", "acl1_1k_trace"),
    ] {
        let (Some(rules), Some(trace)) = (classbench(set), classbench(trace)) else { return };
        let rules = parse_file(&rules).expect(set);
        let matcher = HeaderMatcher::new(&rules);
        let headers = parse_trace(&read(trace)).expect(set);
        for header in headers.iter().step_by(headers.len().div_ceil(1500)) {
            assert_eq!(matcher.first_match(header), rules.first_match_of_header(header), "{set}: {header:?}");
        }
    }
}

#[test]
fn only_a_regular_file_of_bounded_length_is_read() {
    for path in ["/dev/zero", "/"] {
        let error = parse_file(Path::new(path)).expect_err(path);
        assert_eq!(error.to_string(), format!("cannot read {path}: it is no regular file"));
    }
    let file = std::env::temp_dir().join(format!("braid-bounded-{}.rules", std::process::id()));
    fs::write(&file, "deny\n").expect("a file");
    let (fits, long) = (read_file(&file, 5), read_file(&file, 4));
    fs::remove_file(&file).expect("the file is there");
    assert_eq!(fits.expect("it fits"), b"deny\n");
    let error = long.expect_err("too long").to_string();
    assert_eq!(error, "it is longer than the 4 bytes that a rule file may have");
    // The length that a file of /proc claims is 0.
    assert_eq!(parse_file(Path::new("/proc/self/status")).expect_err("no rules").errors[0].line, 1);
}

proptest! {
    #[test]
    fn no_text_makes_a_parser_panic(text in "[ -~\n\té@#,/]{0,200}") {
        let _ = parse(&text);
        let _ = parse(&format!("@{text}"));
        let _ = parse_trace(&text);
    }

    #[test]
    fn no_words_of_the_format_make_it_panic(
        words in proptest::collection::vec("allow|deny|tcp|icmp|from|to|port|flags|type|vlan|any|,|1\\.2\\.3\\.0/24|80|syn/syn|::/0|\n", 0..20)
    ) {
        let _ = parse(&words.join(" "));
    }

    #[test]
    fn what_a_rule_names_is_what_it_matches(port: u16, source: u32, protocol in prop::sample::select(vec![6u8, 17])) {
        let name = if protocol == 6 { "tcp" } else { "udp" };
        let address = std::net::Ipv4Addr::from(source);
        let term = term(&format!("deny {name} from {address} to any port {port}"));
        let key = Key::ipv4(source, 1, protocol, 7, port);
        prop_assert!(term.matches(&key));
        let other_port = Key { destination_port: port.wrapping_add(1), ..key };
        let other_source = Key { source: u128::from(source ^ 1), ..key };
        let no_ports = Key { has_ports: false, ..key };
        for other in [other_port, other_source, no_ports] {
            prop_assert!(!term.matches(&other));
        }
    }
}
