use super::packet;
use wire::builder::Builder;

#[test]
fn each_layer_says_what_the_builder_builds() {
    let (a, b) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let link = || Builder::ethernet(a, b);
    let v4 = || link().ipv4([10, 0, 0, 1], [10, 0, 0, 2]);
    let (one, two) = (std::net::Ipv6Addr::LOCALHOST, std::net::Ipv6Addr::UNSPECIFIED);
    let rows = [
        ("count 3", link().payload_len(3)),
        ("vlan 5 prio 3 / \"a / b\"", link().tag(0x8100, 3 << 13 | 5).payload(b"a / b")),
        ("qinq 7 / vlan 8 / hex 0102 ff", link().qinq(7).vlan(8).payload(&[1, 2, 255])),
        ("mpls 16 ttl 9", link().mpls(16, 9)),
        (
            "ipv4 10.0.0.1 > 10.0.0.2 ttl 3 id 0x10 df mf offset 8",
            v4().ttl(3).id(16).dont_fragment().fragment(8, true),
        ),
        ("ipv4 10.0.0.1 > 10.0.0.2 bad / udp 1 > 2", v4().bad_checksum().udp(1, 2)),
        ("ipv4 10.0.0.1 > 10.0.0.2 / tcp 1 > 2 syn ack", v4().tcp(1, 2).flags(0x12)),
        (
            "ipv4 10.0.0.1 > 10.0.0.2 / tcp 1 > 2 psh ack 9 seq 8 win 7",
            v4().tcp(1, 2).flags(8).ack(9).seq(8).window(7),
        ),
        (
            "ipv4 10.0.0.1 > 10.0.0.2 / udp 1 > 2 nochecksum / pad 60",
            v4().udp(1, 2).no_udp_checksum().pad_to(60),
        ),
        ("ipv4 10.0.0.1 > 10.0.0.2 / echo-request 1 2", v4().echo_request(1, 2)),
        (
            "ipv6 ::1 > :: hop 1 flow 5 / hop-by-hop / fragment 9 offset 8 mf / icmp 128 0 rest 0x10002",
            link()
                .ipv6(one, two)
                .ttl(1)
                .flow_label(5)
                .hop_by_hop()
                .ipv6_fragment(8, true, 9)
                .icmp(128, 0, 0x10002),
        ),
    ];
    for (text, builder) in rows {
        let text = format!("eth 02:00:00:00:00:01 > 02:00:00:00:00:02 / {text}");
        assert_eq!(packet(&text), Ok(builder.build()), "{text}");
    }
}

#[test]
fn the_acknowledgement_number_is_kept_with_other_flags() {
    let text = "eth 02:00:00:00:00:01 > 02:00:00:00:00:02 / ipv4 1.1.1.1 > 2.2.2.2 / tcp 1 > 2 ack 5 fin";
    let frame = packet(text).expect("it is right");
    assert_eq!(frame[14 + 20 + 8..][..4], [0, 0, 0, 5]);
    assert_eq!(frame[14 + 20 + 13], 0x11);
}

#[test]
fn hex_alone_is_taken_as_it_is() {
    assert_eq!(packet("hex 00 11 22"), Ok(vec![0, 0x11, 0x22]));
}

#[test]
fn errors_name_the_word_and_the_layer() {
    let rows = [
        ("ether 1 > 2", "'ether' is no layer, in 'ether 1 > 2'"),
        ("vlan", "a number is missing, in 'vlan'"),
        ("vlan 70000", "'70000' is no number that fits here, in 'vlan 70000'"),
        ("vlan 5 green", "'green' is not expected, in 'vlan 5 green'"),
        ("ipv4 10.0.0.1 10.0.0.2", "'>' is missing, in 'ipv4 10.0.0.1 10.0.0.2'"),
        ("ipv4 10.0.0.1 > 10.0.0.2 hop 5", "'hop' is not of ipv4, in 'ipv4 10.0.0.1 > 10.0.0.2 hop 5'"),
        ("\"open", "a text that does not end with a quote, in '\"open'"),
        ("hex 0", "bytes in hex are missing, in 'hex 0'"),
        ("vlan 1 / / vlan 2", "an empty layer in 'vlan 1 / / vlan 2'"),
    ];
    for (text, message) in rows {
        assert_eq!(packet(text).map_err(|error| error.to_string()), Err(message.to_owned()));
    }
}
