use proptest::prelude::*;
use wire::{Field, Headers};

use super::{Expression, MAX_DEPTH, MAX_LENGTH, Quick};

/// An Ethernet frame around an IPv4 packet from 10.1.2.3:1000 to 192.0.2.9:443, with `payload` after the ports.
fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
    let length = 24 + payload.len() as u8;
    frame.extend([0x45, 46 << 2, 0, length, 0, 0, 0, 0, 61, protocol, 0, 0, 10, 1, 2, 3, 192, 0, 2, 9]);
    frame.extend([0x03, 0xe8, 0x01, 0xbb]);
    frame.extend(payload);
    frame
}

fn udp() -> Vec<u8> {
    ipv4(17, &[0, 8, 0, 0])
}

/// With SYN and ACK set.
fn tcp() -> Vec<u8> {
    ipv4(6, &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x12, 0xff, 0xff, 0, 0, 0, 0])
}

/// With VLAN tag 7.
fn tagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0x00, 0x60, 0x07], &frame[12..]].concat()
}

fn later_fragment() -> Vec<u8> {
    let mut frame = udp();
    frame[21] = 5;
    frame
}

/// An echo request from 2001:db8::1 to 2001:db8::2.
fn echo6() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 58, 255];
    for last in [1, 2] {
        frame.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    frame.extend([128, 0, 0, 0, 0, 0, 0, 1]);
    frame
}

fn arp() -> Vec<u8> {
    [&[0xff; 6][..], &[2, 0, 0, 0, 0, 1, 0x08, 0x06], &[0; 28]].concat()
}

#[track_caller]
fn matches(text: &str, frame: &[u8]) -> bool {
    let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    expression.matches(frame, &wire::parse(frame))
}

#[test]
fn expressions_that_hold() {
    let rows: &[(&str, Vec<u8>)] = &[
        ("all", arp()),
        ("any", vec![]),
        ("ip", udp()),
        ("ip", echo6()),
        ("ip4 and ipv4", udp()),
        ("ip6 and ipv6", echo6()),
        ("ip and vlan", tagged(&udp())),
        ("arp", arp()),
        ("udp", later_fragment()),
        ("fragment and not port in 0..65535", later_fragment()),
        ("ip.src == 10.1.2.3", udp()),
        ("ip.src != 10.1.2.4", udp()),
        ("ip.dst in 192.0.2.0/24 and tcp", tcp()),
        ("ip.addr in 10.0.0.0/8 && !(ip.src in {172.16.0.0/12, 2001:db8::/32})", udp()),
        ("ip.addr in 192.0.2.5-192.0.2.9", udp()),
        ("ip.dst not in 10.0.0.0/8", udp()),
        ("ip.dst in 2001:db8::/32 and icmp6 and icmp.type == 128", echo6()),
        ("ip.src in 0.0.0.0/0 || ip.src in ::/0", echo6()),
        ("ip.proto == udp or ip.proto == 6", tcp()),
        ("ip.ttl > 60 and ip.ttl < 62 and ip.ttl >= 61 and ip.ttl <= 61", udp()),
        ("ip.dscp == 46", udp()),
        ("port == 443 and sport == 1000 and dport in {80, 443, 8000-8999}", udp()),
        ("udp.dport == 443 and udp.port != 53", udp()),
        ("sport in 1..1023 or sport in 1000..1000", udp()),
        ("tcp.flags has syn and tcp.flags has {syn, ack}", tcp()),
        ("tcp.flags == 0x12 and not tcp.flags has fin", tcp()),
        ("vlan.id == 7 and dport == 443", tagged(&udp())),
        ("eth.src == 02:00:00:00:00:01 and eth.addr != ff:ff:ff:ff:ff:ff", udp()),
        ("eth.dst in {ff:ff:ff:ff:ff:ff, 02:00:00:00:00:00..02:00:00:00:00:ff}", arp()),
        ("eth.type == 0x0806", arp()),
        ("frame.len == 42", udp()),
    ];
    for (text, frame) in rows {
        assert!(matches(text, frame), "{text}");
    }
}

#[test]
fn expressions_that_do_not_hold() {
    let rows: &[(&str, Vec<u8>)] = &[
        ("not all", udp()),
        ("ip", arp()),
        ("tcp", udp()),
        ("icmp", echo6()),
        ("vlan", udp()),
        ("mpls or sctp or fragment", udp()),
        ("udp and tcp or arp", udp()),
        ("port == 443", echo6()),
        ("port != 443", echo6()),
        ("port != 443", udp()),
        ("port == 443", later_fragment()),
        ("tcp.dport == 443", udp()),
        ("tcp.dport != 1", udp()),
        ("ip.src != 10.1.2.3", arp()),
        ("ip.src in ::/0", udp()),
        ("tcp.flags has {syn, fin}", tcp()),
        ("vlan.id != 5", udp()),
        ("eth.src == 02:00:00:00:00:01", vec![0; 9]),
        ("eth.type != 1", vec![0; 13]),
    ];
    for (text, frame) in rows {
        assert!(!matches(text, frame), "{text}");
    }
}

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    let parsed = |text| Expression::parse(text).unwrap();
    assert_eq!(parsed("tcp or udp and not arp or vlan"), parsed("tcp or (udp and (not arp)) or vlan"));
    assert_ne!(parsed("tcp or udp and vlan"), parsed("(tcp or udp) and vlan"));
}

#[test]
fn the_canonical_text() {
    for (text, canonical) in [
        ("  any  ", "all"),
        ("!all", "not all"),
        ("ipv4 && (tcp || (udp))", "ip4 and (tcp or udp)"),
        ("! ! tcp and (all and arp)", "tcp and arp"),
        ("!(tcp and arp)", "not (tcp and arp)"),
        ("not tcp and all", "not tcp"),
        ("tcp or all", "all"),
        ("ip.src in 10.0.0.0/8", "ip.src in 10.0.0.0/8"),
        ("ip.src in {10.0.0.1}", "ip.src == 10.0.0.1"),
        ("ip.src not in {2001:db8::1,10.0.0.0-10.0.0.9}", "ip.src not in {10.0.0.0-10.0.0.9, 2001:db8::1}"),
        ("sport < 1024", "sport <= 1023"),
        ("sport>1023", "sport >= 1024"),
        ("sport in 1024-65534", "sport in 1024..65534"),
        ("ip.proto == icmp6", "ip.proto == 58"),
        ("tcp.flags has {ack,syn}", "tcp.flags has {syn, ack}"),
        ("eth.type == 2054", "eth.type == 0x0806"),
        ("eth.src != 02-00-00-00-00-0A", "eth.src != 02:00:00:00:00:0a"),
    ] {
        let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert_eq!(expression.to_string(), canonical, "{text}");
        assert_eq!(Expression::parse(canonical), Ok(expression), "{canonical}");
    }
}

#[test]
fn an_unknown_word_is_answered_with_the_one_that_was_meant() {
    for (word, meant) in [
        ("prot", "ip.proto"),
        ("proto", "ip.proto"),
        ("protocol", "ip.proto"),
        ("src", "ip.src"),
        ("dst", "ip.dst"),
        ("ttl", "ip.ttl"),
        ("len", "frame.len"),
        ("flags", "tcp.flags"),
        ("ip6.src", "ip.src"),
        ("ether.src", "eth.src"),
        ("ip.sport", "sport"),
        ("udp.dst", "ip.dst"),
        ("icmpv6.type", "icmp.type"),
        ("frame.length", "frame.len"),
        ("upd", "udp"),
        ("prt", "port"),
        ("spotr", "sport"),
        ("tcp.dprot", "tcp.dport"),
        ("ip.prot", "ip.proto"),
    ] {
        let error = Expression::parse(&format!("{word} == 1")).expect_err(word);
        assert_eq!(error.help, Some(format!("did you mean `{meant}`?")), "{word}");
    }
    for (word, help) in [
        ("syn", "write `tcp.flags has syn`"),
        ("tcp.ack", "write `tcp.flags has ack`"),
        ("gre", "write `ip.proto == gre`"),
    ] {
        assert_eq!(Expression::parse(word).expect_err(word).help.as_deref(), Some(help));
    }
    let help = Expression::parse("host 192.0.2.1").expect_err("host").help.unwrap_or_default();
    assert!(help.starts_with("predicates: ip, ") && help.ends_with("frame.len"), "{help}");
}

#[test]
fn errors_point_at_the_place_and_say_what_would_be_right() {
    for (text, found, message, help) in [
        (
            "",
            "",
            "expected a predicate or a field, but the expression ends",
            "for example `tcp` or `dport == 53`",
        ),
        ("tpc", "tpc", "`tpc` is no predicate and no field", "did you mean `tcp`?"),
        ("TCP", "TCP", "`TCP` is no predicate and no field", "did you mean `tcp`?"),
        ("ip.scr == 1.2.3.4", "ip.scr", "`ip.scr` is no predicate and no field", "did you mean `ip.src`?"),
        (
            "tcp udp",
            "udp",
            "expected `and`, `or` or the end, found `udp`",
            "join tests by `and`: `tcp and dport == 80`",
        ),
        (
            "vlan == 7",
            "==",
            "expected `and`, `or` or the end, found `==`",
            "`vlan` is compared with nothing; it has the fields `vlan.id`",
        ),
        (
            "(tcp",
            "",
            "expected `)`, `and` or `or`, but the expression ends",
            "the `(` at byte 0 is not closed",
        ),
        ("tcp)", ")", "this `)` closes nothing", ""),
        ("dport = 5", "=", "`=` means nothing here", "compare with `==`"),
        ("tcp & udp", "&", "`&` means nothing here", "write `and` or `&&`"),
        (
            "dport",
            "",
            "expected a comparison or `in`, but the expression ends",
            "for example `dport == …` or `dport in {…}`",
        ),
        ("dport == 65536", "65536", "65536 is too large", "`dport` is at most 65535"),
        ("dport == +5", "+", "`+` means nothing here", ""),
        ("dport == http", "http", "expected a number, found `http`", "`dport` is a number from 0 to 65535"),
        ("dport in 9..5", "9..5", "the range ends before it begins", "the smaller value comes first"),
        ("dport in {80 443}", "443", "expected `,` or `}`, found `443`", ""),
        ("dport == {80}", "{", "a set is not one value", "use `in`"),
        ("dport < 0", "< 0", "no value of `dport` is so", ""),
        ("ip.src < 10.0.0.1", "<", "`ip.src` has no order", "use `==`, `!=` or `in`"),
        (
            "ip.src in 10.0.0.1/8",
            "10.0.0.1/8",
            "`10.0.0.1/8` has bits set after its prefix length",
            "a network ends in zeros; an address alone is written without `/`",
        ),
        (
            "ip.src in 10.0.0.0/33",
            "10.0.0.0/33",
            "`10.0.0.0/33` has no good prefix length",
            "a prefix length is 0 to 32 for IPv4, 0 to 128 for IPv6",
        ),
        (
            "ip.src == ten",
            "ten",
            "expected an address or a prefix, found `ten`",
            "for example 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32",
        ),
        ("ip.src in 10.0.0.1-::1", "10.0.0.1-::1", "the range mixes IPv4 and IPv6", ""),
        (
            "eth.src == 02:00",
            "02:00",
            "expected a MAC address, found `02:00`",
            "for example 02:00:00:00:00:01",
        ),
        (
            "tcp.flags syn",
            "syn",
            "expected `has` or a comparison, found `syn`",
            "for example `tcp.flags has syn`",
        ),
        ("tcp.flags has sin", "sin", "expected a TCP flag, found `sin`", "did you mean `fin`?"),
        (
            "ip.proto == ospf",
            "ospf",
            "expected a number or a name, found `ospf`",
            "one of tcp, udp, icmp, icmp6, sctp, gre, esp, ah",
        ),
        ("sport not == 5", "==", "expected `in`, found `==`", "write `sport not in …`"),
    ] {
        let error = Expression::parse(text).expect_err(text);
        assert_eq!((&text[error.span.clone()], error.message.as_str()), (found, message), "{text}");
        assert_eq!(error.help.as_deref().unwrap_or_default(), help, "{text}");
    }
}

#[test]
fn nesting_and_length_are_bounded() {
    let nested = |depth: usize| format!("{}tcp{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Expression::parse(&nested(MAX_DEPTH)).is_ok());
    let length = if cfg!(miri) { 280 } else { 64_000 };
    for text in [
        nested(MAX_DEPTH + 1),
        "(".repeat(length),
        "not ".repeat(length / 4) + "tcp",
        "!(".repeat(length / 2),
    ] {
        let error = Expression::parse(&text).expect_err("too deep");
        assert!(error.message.starts_with("more than 64 parentheses"), "{error}");
    }
    for text in [nested(100_000), " ".repeat(MAX_LENGTH + 1)] {
        assert!(Expression::parse(&text).expect_err("too long").message.contains("longer than"));
    }
    let long = vec!["tcp"; length / 7].join(" or ");
    assert!(matches(&long, &tcp()));
}

#[test]
fn what_can_be_said_before_parsing() {
    let quick = |text: &str| Expression::parse(text).unwrap().quick();
    assert_eq!(quick("arp or all"), Some(Quick::All));
    assert_eq!(quick("(ip)"), Some(Quick::Ip));
    assert_eq!(quick("ip and tcp"), None);
    assert!(Expression::all().is_always() && Expression::parse("not not any").unwrap().is_always());
    assert!(!Expression::parse("ip").unwrap().is_always());
    for (frame, ip) in
        [(udp(), true), (echo6(), true), (tagged(&tagged(&udp())), true), (arp(), false), (vec![], false)]
    {
        assert_eq!((Quick::Ip.matches(&frame), Quick::All.matches(&frame)), (ip, true));
    }
}

/// Texts of the language's own words, so that many of them mean something.
fn text() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "all",
        "ip",
        "ip4",
        "tcp",
        "udp",
        "icmp6",
        "vlan",
        "fragment",
        "and",
        "or",
        "not",
        "&&",
        "||",
        "!",
        "(",
        ")",
        "{",
        "}",
        ",",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "in",
        "has",
        "ip.src",
        "ip.addr",
        "ip.proto",
        "ip.ttl",
        "ip.dscp",
        "port",
        "tcp.dport",
        "tcp.flags",
        "icmp.type",
        "vlan.id",
        "eth.src",
        "eth.type",
        "frame.len",
        "7",
        "0x12",
        "1024..65535",
        "1-9",
        "10.0.0.0/8",
        "10.1.2.3",
        "::/0",
        "2001:db8::/32",
        "02:00:00:00:00:01",
        "syn",
    ]);
    prop::collection::vec(word, 0..24).prop_map(|words| words.join(" "))
}

/// Texts that are expressions.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "all",
        "ip",
        "ip6",
        "tcp",
        "udp",
        "arp",
        "vlan",
        "fragment",
        "ip.src in 10.0.0.0/8",
        "ip.dst != 192.0.2.9",
        "ip.addr not in {::/0, 10.0.0.0-10.9.9.9}",
        "ip.ttl < 62",
        "port in {443, 1000..2000}",
        "tcp.sport >= 1000",
        "tcp.flags has {syn, ack}",
        "eth.dst == ff:ff:ff:ff:ff:ff",
        "frame.len <= 60",
        "vlan.id == 7",
        "icmp.type > 1",
    ]);
    leaf.prop_map(String::from).prop_recursive(6, 40, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("not ({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) and ({b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) or ({b})")),
        ]
    })
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![udp(), tcp(), tagged(&tcp()), later_fragment(), echo6(), arp()]);
    let changed = (known.clone(), any::<prop::sample::Index>(), any::<u8>(), 0..60usize).prop_map(
        |(mut frame, at, byte, length)| {
            let at = at.index(frame.len());
            frame[at] = byte;
            frame.truncate(length);
            frame
        },
    );
    prop_oneof![2 => known, 2 => changed, 1 => prop::collection::vec(any::<u8>(), 0..80)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 1_024 }))]

    #[test]
    fn no_text_panics_and_errors_point_into_it(text in prop_oneof![text(), any::<String>()]) {
        if let Err(error) = Expression::parse(&text) {
            prop_assert!(text.get(error.span).is_some());
            prop_assert!(!error.message.is_empty());
        }
    }

    #[test]
    fn canonical_text_means_the_same(text in prop_oneof![text(), expression()], frame in frame()) {
        if let Ok(expression) = Expression::parse(&text) {
            let again = Expression::parse(&expression.to_string());
            prop_assert_eq!(again.as_ref(), Ok(&expression));
            let headers = wire::parse(&frame);
            let matches = expression.matches(&frame, &headers);
            prop_assert_eq!(again.unwrap().matches(&frame, &headers), matches);
            if let Some(quick) = expression.quick() {
                prop_assert_eq!(quick.matches(&frame), matches);
            }
        }
    }

    /// The words of the language mean what those of Rust mean.
    #[test]
    fn connectives_are_those_of_logic(a in expression(), b in expression(), frame in frame()) {
        let (left, right) = (matches(&a, &frame), matches(&b, &frame));
        prop_assert_eq!(matches(&format!("({a}) and ({b})"), &frame), left && right);
        prop_assert_eq!(matches(&format!("({a}) or ({b})"), &frame), left || right);
        prop_assert_eq!(matches(&format!("not ({a})"), &frame), !left);
    }

    #[test]
    fn before_parsing_as_after(frame in frame()) {
        prop_assert_eq!(Quick::Ip.matches(&frame), matches("ip", &frame));
    }

    /// Headers of another frame, or of none, are no reason to panic.
    #[test]
    fn foreign_headers_do_not_panic(text in expression(), frame in frame(), other in frame()) {
        let expression = Expression::parse(&text).unwrap();
        expression.matches(&frame, &wire::parse(&other));
        expression.matches(&frame, &Headers::default());
    }
}

#[test]
fn an_expression_says_which_fields_it_depends_on() {
    let reads = |text: &str| Expression::parse(text).expect(text).reads();
    assert!(reads("all").is_empty() && reads("not all").is_empty());
    for (text, fields, others) in [
        ("eth.src == 02:00:00:00:00:01", vec![Field::EthSrc], vec![Field::EthDst, Field::EtherType]),
        ("frame.len > 100", vec![Field::Length], vec![Field::EtherType]),
        ("ip.dscp == 46", vec![Field::IpDscp, Field::IpVersion], vec![Field::IpSrc, Field::Sport]),
        ("not ip.addr in 10.0.0.0/8", vec![Field::IpSrc, Field::IpDst], vec![Field::Sport]),
        ("udp.dport == 53 or tcp.flags has syn", vec![Field::Dport, Field::TcpFlags], vec![Field::Sport]),
        ("icmp.code == 1 and vlan.id == 5", vec![Field::IcmpType, Field::Vlan], vec![Field::IpTtl]),
        ("fragment", vec![Field::IpFragment], vec![Field::IpId]),
    ] {
        let reads = reads(text);
        assert!(fields.iter().all(|field| reads.contains(*field)), "{text}: {reads}");
        assert!(!others.iter().any(|field| reads.contains(*field)), "{text}: {reads}");
    }
}
