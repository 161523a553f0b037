use super::*;
use crate::{
    bits::{BitCommand, BitOwner},
    inspect::Inspect,
    number::Number,
    packet::{BitCompare, IpOption, PacketTest, SentBy},
    payload::{Encoding, FastPattern, JumpFrom, Operation},
    rule::{Action, FlowDirection, FlowState, Protocol},
    threshold::{ThresholdKind, Track},
};

fn read(text: &str) -> Result<Rule, Refusal> {
    rule(text.as_bytes(), &Vars::default(), &Classes::default())
}

/// A rule with these options.
fn with(options: &str) -> Rule {
    let text = format!("alert tcp any any -> any any ({options} sid:1;)");
    let rule = read(&text).unwrap_or_else(|refusal| panic!("{options}: {refusal}"));
    let again = read(&rule.to_string()).unwrap_or_else(|refusal| panic!("{rule}: {refusal}"));
    assert_eq!(rule, again, "{options} printed as {rule}");
    rule
}

/// The refusal of a rule with these options, its column counted from the first option.
fn refused(options: &str) -> (usize, String) {
    let head = "alert tcp any any -> any any (";
    let refusal = read(&format!("{head}{options} sid:1;)")).expect_err(options);
    (refusal.column.saturating_sub(head.len()), refusal.to_string())
}

fn content(options: &str) -> Content {
    match with(options).buffers[0].tests.pop_last() {
        Some(Test::Content(content)) => content,
        other => panic!("{options}: {other:?}"),
    }
}

trait PopLast<T> {
    fn pop_last(&self) -> Option<T>;
}

impl PopLast<Test> for Vec<Test> {
    fn pop_last(&self) -> Option<Test> {
        self.last().cloned()
    }
}

#[test]
fn headers_resolve() {
    let rule = read(
        "drop udp [10.0.0.0/8,!10.1.0.0/16,1.1.1.1-1.1.1.9] 1024: <> $EXTERNAL_NET ![80,443:445] (sid:9;)",
    )
    .unwrap();
    assert_eq!((rule.action, rule.protocol, rule.both_ways), (Action::Drop, Protocol::Udp, true));
    assert!(rule.source.negated && rule.destination.negated);
    let inside = |text: &str| rule.source.addresses.contains(text.parse().unwrap());
    assert!(inside("10.0.0.1") && inside("1.1.1.5") && !inside("10.1.2.3") && !inside("fe80::1"));
    assert_eq!(rule.source.ports.ranges(), [(1024, 65535)]);
    assert_eq!(rule.destination.ports.ranges(), [(0, 79), (81, 442), (446, 65535)]);
    assert!(rule.destination.addresses.contains("8.8.8.8".parse().unwrap()));
    assert!(!rule.destination.addresses.contains("192.168.1.1".parse().unwrap()));
    let v6 = read("alert ip 2001:db8::/32 any -> [fe80::1, ::/8] any (sid:1;)").unwrap();
    assert!(v6.source.addresses.contains("2001:db8:1::2".parse().unwrap()));
    assert_eq!(read(&rule.to_string()).unwrap(), rule);
}

#[test]
fn bad_headers_are_refused_with_their_place() {
    for (text, column, wanted) in [
        ("alert tcp any any any any (sid:1;)", 1, "rule: a header has seven parts, this one has 6"),
        (
            "alarm tcp any any -> any any (sid:1;)",
            1,
            "action: \"alarm\" is no action: alert, drop and pass are",
        ),
        (
            "reject tcp any any -> any any (sid:1;)",
            1,
            "action: \"reject\" is not in the subset: alert, drop and pass are",
        ),
        ("alert smb any any -> any any (sid:1;)", 7, "protocol: \"smb\" is not in the subset"),
        ("alert tcp any any <- any any (sid:1;)", 19, "direction: \"<-\" is neither -> nor <>"),
        ("alert tcp $NOPE any -> any any (sid:1;)", 11, "address: there is no variable $NOPE"),
        (
            "alert tcp 10.0.0.0/33 any -> any any (sid:1;)",
            11,
            "address: \"10.0.0.0/33\" is no address, network, range, group or variable",
        ),
        ("alert tcp [10.0.0.1,!10.0.0.1] any -> any any (sid:1;)", 11, "address: no address is left"),
        ("alert tcp !any any -> any any (sid:1;)", 11, "address: no address is left"),
        (
            "alert tcp any 70000 -> any any (sid:1;)",
            15,
            "port: \"70000\" is no port, range, group or variable",
        ),
        ("alert tcp any 90:80 -> any any (sid:1;)", 15, "port: the range ends before it begins"),
        ("alert tcp [any any -> any any (sid:1;)", 1, "rule: a [ is not closed"),
        ("alert tcp any any -> any any", 1, "rule: no options: ( is missing"),
        ("alert tcp any any -> any any (sid:1;", 37, "rule: no ) at the end"),
        ("alert tcp any any -> any any (sid:1)", 31, "rule: the last option has no ; behind it"),
        ("alert tcp any any -> any any (msg:\"x\";)", 1, "sid: every rule needs one"),
        ("alert tcp any any -> any any (sid:0;)", 31, "sid: must be at least 1"),
    ] {
        let refusal = read(text).expect_err(text);
        assert_eq!((refusal.column, refusal.to_string().as_str()), (column, wanted), "{text}");
    }
}

#[test]
fn variables_that_go_round_are_refused() {
    let mut vars = Vars::default();
    vars.set("A", "$B");
    vars.set("B", "[$A,10.0.0.1]");
    let refusal = rule(b"alert ip $A any -> any any (sid:1;)", &vars, &Classes::default()).unwrap_err();
    assert!(refusal.message.contains("nested deeper than 16"), "{refusal}");
    assert!(vars.check("$A").is_err() && vars.check("[1,2:3]").is_ok() && vars.check("!10.0.0.0/8").is_ok());
}

#[test]
fn what_a_rule_is_called() {
    let rule = with(
        r#"msg:"a\; \"b\" \\"; rev:3; gid:2; classtype:trojan-activity; reference:url,x.y/z; reference:cve,1; metadata:a b, c d e; target:dest_ip;"#,
    );
    let meta = &rule.meta;
    assert_eq!((&*meta.message, meta.rev, meta.gid, meta.priority), ("a; \"b\" \\", 3, 2, 1));
    assert_eq!(meta.class.as_ref().unwrap().description.as_ref(), "A Network Trojan was detected");
    assert_eq!(meta.references.len(), 2);
    assert_eq!(meta.metadata[1], ("c".into(), "d e".into()));
    assert_eq!(with("classtype:misc-attack; priority:9;").meta.priority, 9);
    assert_eq!(with("classtype:nobody-knows;").meta.priority, 3);
    assert_eq!(refused("priority:0;"), (1, "priority: must be 1 to 255".to_owned()));
    assert_eq!(refused("target:me;"), (1, "target: is src_ip or dest_ip".to_owned()));
}

#[test]
fn contents_and_their_modifiers() {
    let plain = content(r#"content:!"a|0d 0A|\;\"\\\:b"; nocase;"#);
    assert_eq!(&*plain.pattern, b"a\r\n;\"\\:b");
    assert!(plain.negated && plain.nocase);
    let absolute = content("content:\"abc\"; offset:3; depth:10; fast_pattern;");
    assert_eq!((absolute.offset, absolute.depth), (Some(Value::Given(3)), Some(Value::Given(10))));
    assert_eq!(absolute.fast_pattern, Some(FastPattern::Whole));
    let relative =
        content("content:\"x\"; content:\"abc\"; distance:-3; within:10; endswith; fast_pattern:1,2;");
    assert_eq!((relative.distance, relative.within), (Some(Value::Given(-3)), Some(Value::Given(10))));
    assert!(relative.endswith && relative.fast_pattern == Some(FastPattern::Chop { offset: 1, length: 2 }));
    let start = content("content:\"abc\"; startswith; rawbytes;");
    assert_eq!((start.offset, start.depth), (Some(Value::Given(0)), Some(Value::Given(3))));
    let sized = content("byte_extract:1,0,n; content:\"ab\"; distance:n; within:n;");
    assert_eq!(sized.distance, Some(Value::Of(Variable(0))));
    for (options, column, wanted) in [
        ("content:abc;", 9, "content: must be in double quotes"),
        ("content:\"\";", 9, "content: must have 1 to 8192 bytes"),
        ("content:\"a|0|\";", 12, "content: an odd number of hexadecimal digits"),
        ("content:\"a|0g|\";", 13, "content: between | are hexadecimal digits only"),
        ("content:\"a|00\";", 11, "content: a | is not closed"),
        (r#"content:"a\b";"#, 11, "content: a backslash goes before \\, \", ; or : only"),
        ("nocase;", 1, "nocase: there is no content before it"),
        ("content:\"a\"; nocase; nocase;", 22, "nocase: given twice"),
        ("content:\"abc\"; depth:2;", 16, "depth: 2 bytes do not hold the 3 of the content"),
        ("content:\"abc\"; depth:4; distance:1;", 25, "distance: does not go with offset or depth"),
        ("content:\"abc\"; within:4; offset:1;", 26, "offset: does not go with distance or within"),
        ("content:\"abc\"; offset:-1;", 16, "offset: must not be negative"),
        ("content:\"abc\"; depth:nix;", 22, "depth: no variable \"nix\" before it"),
        ("content:\"abc\"; startswith; depth:4;", 28, "depth: given twice"),
        (
            "content:\"a\"; content:\"b\"; depth:5; startswith;",
            36,
            "startswith: does not go with offset, depth, distance or within",
        ),
        (
            "content:\"a\"; fast_pattern:only; content:\"b\"; fast_pattern;",
            46,
            "fast_pattern: given twice in one rule",
        ),
        ("content:\"abc\"; fast_pattern:2,2;", 16, "fast_pattern: the part is not within the content"),
        (
            "content:!\"abc\"; offset:3; fast_pattern;",
            27,
            "fast_pattern: a negated content with a position cannot be sought first",
        ),
    ] {
        assert_eq!(refused(options), (column, wanted.to_owned()), "{options}");
    }
}

#[test]
fn buffers_are_chosen_and_groups_merge() {
    let rule = with(
        "content:\"a\"; http_uri; content:\"b\"; pcre:\"/x/U\"; content:\"c\"; http_uri; distance:1; file_data; content:\"d\"; pkt_data; content:\"e\";",
    );
    let groups: Vec<_> = rule.buffers.iter().map(|group| (group.buffer, group.tests.len())).collect();
    assert_eq!(groups, [(Buffer::HttpUri, 3), (Buffer::Payload, 2), (Buffer::FileData, 1)]);
    let followed = with(
        "uricontent:\"this\"; byte_extract:1,2,n,string,dec,relative; uricontent:\"x\"; distance:n; isdataat:!9,relative; isdataat:3;",
    );
    let groups: Vec<_> = followed.buffers.iter().map(|group| (group.buffer, group.tests.len())).collect();
    assert_eq!(groups, [(Buffer::HttpUri, 4), (Buffer::Payload, 1)]);
    let after_flag = with("content:\"a\"; pcre:\"/b/H\"; byte_test:1,>,3,0,relative;");
    assert_eq!(after_flag.buffers[1].tests.len(), 2);
    let twice = with("tcp.hdr; content:\"a\"; tcp.hdr; content:\"b\"; distance:1;");
    assert_eq!(twice.buffers.len(), 1);
    let names =
        read("alert dns any any -> any any (dns.query; content:\"a\"; dns.query; content:\"b\"; sid:1;)")
            .unwrap();
    assert_eq!(names.buffers.len(), 2);
    let changed =
        with("http.uri; to_lowercase; strip_whitespace; content:\"a\"; http.uri; content:\"b\"; bsize:<9;");
    assert_eq!(changed.buffers[0].transforms, [Transform::ToLowercase, Transform::StripWhitespace]);
    assert_eq!(changed.buffers.len(), 2);
    assert_eq!(
        with("http.uri; xor:\"0d0a\"; content:\"b\";").buffers[0].transforms,
        [Transform::Xor((*b"\r\n").into())]
    );
    let sizes = with("urilen:10<>20,raw; urilen:>3; http.referer; absent:or_else; content:!\"x\";");
    assert_eq!(sizes.buffers[0].tests, [Test::BufferSize(Number::Between(10, 20))]);
    assert_eq!(sizes.buffers[2].tests[0], Test::Absent { or_else: true });
    assert_eq!(with("uricontent:\"/x\"; nocase;").buffers[0].buffer, Buffer::HttpUri);
    for (options, column, wanted) in [
        ("http.uri;", 0, "http.uri: nothing looks into it"),
        ("http.uri; http.host; content:\"x\";", 11, "http.host: nothing looks into http.uri before it"),
        ("http.uri; content:\"x\"; http_host;", 24, "http_host: the content before it has a buffer already"),
        (
            "http.uri; content:\"x\"; to_lowercase;",
            24,
            "to_lowercase: goes before what looks into the buffer",
        ),
        ("to_lowercase;", 1, "to_lowercase: needs a buffer before it"),
        ("bsize:3;", 1, "bsize: needs a buffer before it"),
        (
            "http.uri; content:\"a\"; dns.query; content:\"b\";",
            0,
            "rule: looks into buffers of several applications",
        ),
        (
            "http.uri; content:\"a\"; http.stat_code; content:\"b\";",
            0,
            "http.stat_code: is of the other direction than http.uri",
        ),
        ("flow:to_client; http.uri; content:\"a\";", 0, "http.uri: is never sent to the client"),
        (
            "dsize:3; http.uri; content:\"a\";",
            0,
            "dsize: is of packets, and does not go with buffers of applications",
        ),
        (
            "http.uri; content:\"a\"; pcre:\"/x/H\";",
            24,
            "pcre: its flag says http.header, but http.uri is chosen",
        ),
        ("smb.share; content:\"a\";", 1, "smb.share: not in the subset"),
        (
            "content:\"a\"; byte_test:1,=,n,0; http.uri; byte_extract:1,0,n;",
            28,
            "byte_test: no variable \"n\" before it",
        ),
        (
            "content:\"a\"; http.uri; byte_extract:1,0,n; pkt_data; byte_test:1,=,n,0;",
            0,
            "rule: uses the variable \"n\" before the buffer that it is read from",
        ),
    ] {
        let (found, message) = refused(options);
        assert_eq!((found, message.as_str()), (column, wanted), "{options}");
    }
}

#[test]
fn numbers_in_payloads() {
    let last = |options: &str| with(options).buffers[0].tests.pop_last();
    let Some(Test::ByteTest(test)) = last("byte_test:2,!>,0x10,-4,relative,little,bitmask 0xf8;") else {
        panic!()
    };
    assert!(test.negated && test.relative && test.mask == Some(0xf8) && test.encoding == Encoding::Little);
    assert_eq!((test.value, test.offset), (Value::Given(16), Value::Given(-4)));
    let Some(Test::ByteTest(test)) = last("byte_test:4,!=,1,0,string,hex;") else { panic!() };
    assert!(test.negated && test.operator.holds(1, 1));
    let Some(Test::ByteJump(jump)) =
        last("byte_jump:2,0,relative,string,from_end,post_offset -26, bitmask 0xfe,align,multiplier 2;")
    else {
        panic!()
    };
    assert!(
        jump.from == JumpFrom::End
            && jump.post_offset == Value::Given(-26)
            && jump.align
            && jump.multiplier == 2
    );
    let Some(Test::ByteMath(math)) = last(
        "byte_extract:1,4,n,relative; byte_math:bytes 2, offset 1, oper <<, rvalue n, result m, string dec;",
    ) else {
        panic!()
    };
    assert!(math.operation == Operation::ShiftLeft && math.operand == Value::Of(Variable(0)));
    let Some(Test::IsDataAt(test)) = last("isdataat:!10,relative;") else { panic!() };
    assert!(test.negated && test.relative && test.position == Value::Given(10));
    for (options, column, wanted) in [
        ("byte_test:2,>,1;", 1, "byte_test: needs bytes, an operator, a value and an offset"),
        ("byte_test:9,>,1,0;", 11, "byte_test: 1 to 8 bytes can be read, not 9"),
        ("byte_test:1,~,1,0;", 13, "byte_test: \"~\" is no operator"),
        ("byte_test:1,>,1,0,dce;", 19, "byte_test: dce is not in the subset"),
        ("byte_test:1,>,1,0,hex;", 1, "byte_test: hex, dec and oct go with string"),
        (
            "byte_test:1,>,1,0,bitmask 0;",
            27,
            "byte_test: \"0\" is no mask: hexadecimal, up to 32 bits, not 0",
        ),
        ("byte_jump:1;", 1, "byte_jump: needs bytes and an offset"),
        ("byte_extract:1,0,1x;", 18, "byte_extract: \"1x\" is no name of a variable"),
        ("byte_extract:1,0,x; byte_extract:1,0,x;", 38, "byte_extract: variable \"x\" is defined twice"),
        ("byte_extract:1,0,x,align 3;", 1, "byte_extract: align is 2 or 4"),
        ("byte_math:bytes 1,offset 0,oper %,rvalue 1,result x;", 33, "byte_math: \"%\" is no operator"),
        ("byte_math:bytes 1;", 1, "byte_math: needs bytes, offset, oper, rvalue and result"),
        ("isdataat:1,absolute;", 12, "isdataat: \"absolute\" is neither relative nor rawbytes"),
    ] {
        assert_eq!(refused(options), (column, wanted.to_owned()), "{options}");
    }
}

#[test]
fn headers_of_packets() {
    use PacketTest as P;
    for (options, wanted) in [
        ("dsize:!9;", P::Dsize(Number::NotEqual(9))),
        ("dsize:8<>20;", P::Dsize(Number::Between(8, 20))),
        ("ttl:>=0x40;", P::Ttl(Number::AtLeast(64))),
        ("id:1;", P::IpId(Number::Equal(1))),
        ("ipopts:lsrr;", P::IpOption(IpOption::Type(131))),
        ("ipopts:any;", P::IpOption(IpOption::Any)),
        ("fragoffset:>0;", P::FragOffset(Number::More(0))),
        ("ip_proto:!tcp;", P::IpProto(Number::NotEqual(6))),
        ("ip_proto:>100;", P::IpProto(Number::More(100))),
        ("tos:!8;", P::Tos(Number::NotEqual(8))),
        ("sameip;", P::SameIp),
        ("itype:8-11;", P::IcmpType(Number::Between(8, 11))),
        ("icode:!8-11;", P::IcmpCode(Number::NotBetween(8, 11))),
        ("icmp_id:666;", P::IcmpId(666)),
        ("icmp_seq:0;", P::IcmpSeq(0)),
        ("icmpv6.mtu:<1280;", P::Icmpv6Mtu(Number::Less(1280))),
        ("seq:4294967295;", P::TcpSeq(u32::MAX)),
        ("tcp.ack:0;", P::TcpAck(0)),
        ("window:!0;", P::Window(Number::NotEqual(0))),
        ("tcp.mss:<=536;", P::TcpMss(Number::AtMost(536))),
        ("window:&0xf0=0x10;", P::Window(Number::Masked(0xf0, 0x10))),
        ("window:&0xf0!=0x10;", P::Window(Number::NotMasked(0xf0, 0x10))),
        ("flow.age:>1;", P::FlowAge(Number::More(1))),
    ] {
        assert_eq!(with(options).packet, [wanted], "{options}");
    }
    let flags = |options: &str| match with(options).packet[0] {
        P::TcpFlags(flags) => (flags.flags, flags.ignored, flags.compare),
        ref other => panic!("{other:?}"),
    };
    assert_eq!(flags("flags:S,12;"), (0x02, 0xc0, BitCompare::Exactly));
    assert_eq!(flags("flags: *FSR,CE;"), (0x07, 0xc0, BitCompare::Any));
    assert_eq!(flags("tcp.flags:SA+;"), (0x12, 0, BitCompare::All));
    assert_eq!(flags("flags:!A;"), (0x10, 0, BitCompare::Not));
    assert_eq!(flags("flags:0;"), (0, 0, BitCompare::Exactly));
    let P::FragBits(bits) = with("fragbits:!MD;").packet[0] else { panic!() };
    assert_eq!((bits.bits, bits.compare), (3, BitCompare::Not));
    for (options, sent) in [
        ("stream_size:either,>=,5;", SentBy::Either),
        ("flow.pkts:toserver,>=5;", SentBy::Client),
        ("flow.bytes_toclient:>=5;", SentBy::Server),
    ] {
        match &with(options).packet[0] {
            P::StreamSize(size) | P::FlowPackets(size) | P::FlowBytes(size) => {
                assert_eq!((size.sent, size.size), (sent, Number::AtLeast(5)));
            }
            other => panic!("{other:?}"),
        }
    }
    for (options, column, wanted) in [
        ("ttl:256;", 5, "ttl: 256 is more than 255"),
        ("ttl:x;", 5, "ttl: \"x\" is no number"),
        ("ttl;", 1, "ttl: needs a value"),
        ("dsize:4<>5;", 7, "dsize: never holds: ranges leave out both of their ends"),
        ("flags:X;", 7, "flags: \"X\" is no flag: F, S, R, P, A, U, E, C and 0 are"),
        ("flags:+!S;", 1, "flags: takes one of +, * and !"),
        ("flags:0S;", 7, "flags: is letters, or 0 alone for no flag"),
        ("fragbits:X;", 1, "fragbits: \"X\" is no bit: M, D and R are"),
        ("ipopts:nope;", 1, "ipopts: \"nope\" is no option"),
        ("stream_size:server,~,1;", 20, "stream_size: \"~\" is no operator"),
        ("sameip:1;", 8, "sameip: takes no value"),
    ] {
        assert_eq!(refused(options), (column, wanted.to_owned()), "{options}");
    }
}

#[test]
fn flows_bits_and_rates() {
    let flow = with("flow:established, from_client;").flow;
    assert_eq!((flow.direction, flow.state), (Some(FlowDirection::ToServer), Some(FlowState::Established)));
    assert_eq!(with("flow:stateless;").flow, Default::default());
    let bits = with(
        "flowbits:set,a; flowbits:isset,b|c; hostbits:unset,d,dst; xbits:toggle,e,track ip_pair,expire 7; flowbits:noalert;",
    );
    let found: Vec<_> =
        bits.bits.iter().map(|bit| (bit.owner, bit.command, bit.names.len(), bit.expire)).collect();
    assert_eq!(
        found,
        [
            (BitOwner::Flow, BitCommand::Set, 1, None),
            (BitOwner::Flow, BitCommand::IsSet, 2, None),
            (BitOwner::Destination, BitCommand::Unset, 1, Some(300)),
            (BitOwner::Pair, BitCommand::Toggle, 1, Some(7)),
        ]
    );
    assert!(bits.noalert && with("noalert;").noalert && with("xbits:noalert;").noalert);
    let rate = with("threshold: type limit, track by_src,count 1 , seconds 60;").threshold.unwrap();
    assert_eq!(
        (rate.kind, rate.track, rate.count, rate.seconds),
        (ThresholdKind::Limit, Track::Source, 1, 60)
    );
    let rate = with("threshold:type backoff, track by_flow, count 2, multiplier 3;").threshold.unwrap();
    assert_eq!(rate.kind, ThresholdKind::Backoff { multiplier: 3 });
    assert_eq!(
        with("detection_filter:track by_both, count 4, seconds 20;").detection_filter.unwrap().track,
        Track::Both
    );
    assert!(with("app-layer-protocol:!http;").application[0].negated);
    assert_eq!(with("dns.opcode:!0; dns.rrtype:28;").dns.len(), 2);
    for (options, column, wanted) in [
        ("flow:sideways;", 6, "flow: \"sideways\" is no word of it"),
        ("flow:to_server,to_client;", 16, "flow: \"to_client\" contradicts or repeats a word before it"),
        ("flow:stateless,established;", 16, "flow: \"established\" contradicts or repeats a word before it"),
        ("flowbits:set,a|b;", 1, "flowbits: several names go with isset and isnotset only"),
        ("flowbits:flip,a;", 10, "flowbits: the command is set, unset, toggle, isset or isnotset"),
        ("flowbits:set;", 1, "flowbits: needs a command and a name, or noalert"),
        ("hostbits:set,a,both;", 1, "hostbits: both is not in the subset"),
        ("xbits:set,a,track tx;", 1, "xbits: track tx is not in the subset"),
        (
            "threshold:type limit,track by_src,count 1;",
            1,
            "threshold: needs seconds, and multiplier with backoff only",
        ),
        (
            "threshold:type limit,track by_me,count 1,seconds 1;",
            28,
            "threshold: track is by_src, by_dst, by_both, by_rule or by_flow",
        ),
        ("threshold:type limit,track by_src,count 0,seconds 1;", 41, "threshold: count is at least 1"),
        ("detection_filter:track by_src,count 1;", 1, "detection_filter: needs seconds"),
        ("app-layer-protocol:smb;", 1, "app-layer-protocol: \"smb\" is not in the subset"),
        ("geoip:src,RU;", 1, "geoip: not in the subset"),
        ("flowint:a,+,1;", 1, "flowint: not in the subset"),
        ("\u{1}:x;", 1, "\u{1}: no keyword"),
    ] {
        assert_eq!(refused(options), (column, wanted.to_owned()), "{options}");
    }
}

#[test]
fn what_a_rule_is_shown_follows_from_its_parts() {
    let of = |text: &str| read(text).unwrap().inspect();
    use crate::buffer::Application::{Dns, Http};
    for (text, wanted) in [
        ("alert ip any any -> any any (sid:1;)", Inspect::FirstPackets),
        ("alert tcp-stream any any -> any any (sid:1;)", Inspect::FirstPackets),
        ("alert tcp-pkt any any -> any any (sid:1;)", Inspect::FirstPackets),
        ("alert tcp any any -> any 80 (sid:1;)", Inspect::Packets),
        ("alert udp 10.0.0.0/8 any -> any any (hostbits:set,a; sid:1;)", Inspect::FirstPackets),
        ("alert udp !10.0.0.0/8 any -> any any (sid:1;)", Inspect::Packets),
        ("alert udp any any -> any any (flow:to_server; sid:1;)", Inspect::Packets),
        ("alert ip any any -> any any (flowbits:isset,a; sid:1;)", Inspect::Packets),
        ("alert tcp any any -> any any (ttl:1; content:\"a\"; sid:1;)", Inspect::Packets),
        ("alert tcp any any -> any any (content:\"a\"; flow:established; sid:1;)", Inspect::Stream),
        ("alert tcp any any -> any any (content:\"a\"; depth:4; sid:1;)", Inspect::PacketsAndStream),
        ("alert tcp any any -> any any (content:\"a\"; startswith; sid:1;)", Inspect::PacketsAndStream),
        ("alert tcp any any -> any any (pcre:\"/a/\"; sid:1;)", Inspect::Stream),
        ("alert ip any any -> any any (content:\"a\"; sid:1;)", Inspect::Stream),
        ("alert udp any any -> any any (content:\"a\"; sid:1;)", Inspect::Packets),
        ("alert tcp-pkt any any -> any any (content:\"a\"; sid:1;)", Inspect::Packets),
        ("alert tcp any any -> any any (content:\"a\"; flow:only_stream; sid:1;)", Inspect::Stream),
        ("alert tcp any any -> any any (content:\"a\"; flow:no_stream; sid:1;)", Inspect::Packets),
        ("alert tcp any any -> any any (content:\"a\"; dsize:3; sid:1;)", Inspect::Packets),
        ("alert tcp any any -> any any (tcp.hdr; content:\"a\"; sid:1;)", Inspect::Packets),
        ("alert http any any -> any any (content:\"a\"; sid:1;)", Inspect::Stream),
        ("alert http any any -> any any (sid:1;)", Inspect::Detection(Some(Http))),
        ("alert http any any -> any any (flow:established; sid:1;)", Inspect::Packets),
        ("alert tcp any any -> any any (app-layer-protocol:dns; sid:1;)", Inspect::Detection(None)),
        ("alert tcp any any -> any any (http.uri; content:\"a\"; sid:1;)", Inspect::Messages(Http)),
        ("alert udp any any -> any any (dns.opcode:4; sid:1;)", Inspect::Messages(Dns)),
    ] {
        assert_eq!(of(text), wanted, "{text}");
    }
}
