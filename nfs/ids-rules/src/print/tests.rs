use proptest::{prelude::*, sample::select};

use crate::{classes::Classes, parse, vars::Vars};

/// Options that go together in any order and number.
const FREE: &[&str] = &[
    "content:\"abc\";",
    "content:!\"|00 ff|x\"; nocase;",
    "content:\"GET \"; depth:9; offset:2;",
    "content:\"\\\"\\;\\:\\\\\"; distance:-3; within:40;",
    "content:\"end\"; endswith;",
    "content:\"abcdef\"; startswith;",
    "content:\"abc\"; distance:v1;",
    "pcre:\"/a[^\\x00-b]{2,}\\/$/iRs\";",
    "pcre:!\"/(?<![a-z])x|y/m\";",
    "isdataat:!5,relative;",
    "byte_test:4,!>=,1000,-2,relative,string,hex;",
    "byte_test:1,&,v2,0,bitmask 0x3c;",
    "byte_jump:2,1,relative,little,align,multiplier 3,post_offset -1;",
    "byte_jump:v1,0,from_end;",
    "http.uri;",
    "http.host; to_lowercase; dotprefix;",
    "pkt_data;",
    "file_data;",
    "tcp.hdr;",
    "dns.query;",
    "bsize:3<>9;",
    "absent:or_else;",
    "urilen:!7,raw;",
    "dsize:>3;",
    "flags:+SA,12;",
    "fragbits:*MD;",
    "ttl:!5-9;",
    "window:&0xff=3;",
    "stream_size:both,!=,7;",
    "flow.pkts:either,<=3;",
    "flowbits:isset,a|b;",
    "flowbits:toggle,c;",
    "hostbits:set,d,dst,9;",
    "xbits:isnotset,e,track ip_pair;",
    "noalert;",
    "app-layer-protocol:!unknown;",
    "reference:url,a.b/c?d=e\\;f;",
    "metadata:a b, c d e;",
    "classtype:misc-attack;",
    "priority:7;",
    "msg:\"x\\\\ \\\" \\; \\: y\";",
];

/// What defines the variables, which others use.
const DEFINES: &[&str] = &[
    "byte_extract:1,0,v1,relative,multiplier 2;",
    "byte_math:bytes 2,offset 1,oper <<,rvalue 3,result v2,string oct;",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever is taken prints as a rule that reads back the same.
    #[test]
    fn what_is_printed_reads_back(
        action in select(&["alert", "drop", "pass"][..]),
        protocol in select(&["ip", "tcp", "tcp-pkt", "udp", "http", "dns", "icmpv6"][..]),
        from in select(&["any", "!10.0.0.0/8", "[1.2.3.4,$HOME_NET,!192.168.1.0/24]", "[any,[!1.1.1.1]]", "2001:db8::/32"][..]),
        ports in select(&["any", "80", "![20:30,$HTTP_PORTS]", ":1024"][..]),
        arrow in select(&["->", "<>"][..]),
        options in prop::collection::vec(select(FREE), 0..9),
        defines in prop::collection::vec(any::<bool>(), 2),
    ) {
        let defined: String = DEFINES.iter().zip(defines).filter(|(_, wanted)| *wanted).map(|(text, _)| *text).collect();
        let text = format!("{action} {protocol} {from} {ports} {arrow} any any ({defined}{} sid:1;)", options.concat());
        let read = |text: &str| parse::rule(text.as_bytes(), &Vars::default(), &Classes::default());
        if let Ok(rule) = read(&text) {
            let printed = rule.to_string();
            let again = read(&printed).map_err(|refusal| TestCaseError::fail(format!("{text}\n{printed}\n{refusal}")))?;
            prop_assert_eq!(&rule, &again, "{}\n{}", text, printed);
        }
    }

    /// Bytes of every kind are read or refused; what is read prints.
    #[test]
    fn nothing_panics(middle in prop::collection::vec(select(&b"alert any(){};:\"\\|!,/[]$-<>0a\xffcontpcre\n"[..]), 0..80)) {
        let text = [b"alert tcp any any -> any any (content:\"a\"; ".as_slice(), &middle, b"; sid:1;)"].concat();
        for text in [text.as_slice(), &middle] {
            if let Ok(rule) = parse::rule(text, &Vars::default(), &Classes::default()) {
                let again = parse::rule(rule.to_string().as_bytes(), &Vars::default(), &Classes::default());
                prop_assert_eq!(again.as_ref(), Ok(&rule), "{}", rule);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    /// A rule with bytes of it gone, doubled or replaced is read or refused, and its refusal points into it.
    #[test]
    fn broken_rules_are_read_or_refused(
        options in prop::collection::vec(select(FREE), 1..5),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 1..6),
    ) {
        let mut text = format!("alert tcp [10.0.0.0/8,!$HOME_NET] 80: -> any any ({} sid:1;)", options.concat()).into_bytes();
        for (place, byte, how) in breaks {
            let at = place.index(text.len());
            match how {
                0 => drop(text.remove(at)),
                1 => text.insert(at, text[at]),
                2 => text.insert(at, b";:,\"|![]()\\/"[usize::from(byte) % 12]),
                _ => text[at] = byte,
            }
        }
        match parse::rule(&text, &Vars::default(), &Classes::default()) {
            Ok(rule) => {
                let again = parse::rule(rule.to_string().as_bytes(), &Vars::default(), &Classes::default());
                prop_assert_eq!(again.as_ref(), Ok(&rule), "{}", rule);
            }
            Err(refusal) => prop_assert!(refusal.column >= 1 && refusal.column <= text.len() + 1, "{refusal:?}"),
        }
    }
}

/// Every rule of the public rule sets, as it prints.
#[test]
fn public_rule_sets_print_and_read_back() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/ids/dev/rulesets");
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("skipped: no rule sets at {folder}");
        return;
    };
    let paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some())
        .collect();
    let set =
        crate::load::load(&paths, &Vars::default(), &Classes::default()).expect("the files can be read");
    assert!(set.rules.len() > 800);
    for loaded in &set.rules {
        let printed = loaded.rule.to_string();
        let again = parse::rule(printed.as_bytes(), &Vars::none(), &Classes::default());
        assert_eq!(again.as_ref(), Ok(&loaded.rule), "{printed}");
    }
}
