use proptest::prelude::*;

use super::*;
use crate::builder::{Builder, icmp_error};
use crate::tcp::flags;

const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const B: [u8; 6] = [2, 0, 0, 0, 0, 2];
const V4: ([u8; 4], [u8; 4]) = ([10, 0, 0, 1], [10, 0, 0, 2]);
const V6: (u128, u128) = (0x2001_0db8 << 96 | 1, 0x2001_0db8 << 96 | 2);

fn ethernet() -> Builder {
    Builder::ethernet(A, B)
}

fn v4() -> Builder {
    ethernet().ipv4(V4.0, V4.1)
}

fn v6() -> Builder {
    ethernet().ipv6(V6.0, V6.1)
}

/// UDP from 10.0.0.1:1000 to 10.0.0.2:53, `hey`, in a frame padded to 60 bytes.
const UDP_FRAME: [u8; 60] = {
    let packet = [
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45, 0, 0, 31, 0, 0, 0, 0, 64, 17, 0x66, 0xcc, 10,
        0, 0, 1, 10, 0, 0, 2, 0x03, 0xe8, 0, 53, 0, 11, 0x06, 0x53, b'h', b'e', b'y',
    ];
    let mut frame = [0; 60];
    let mut i = 0;
    while i < packet.len() {
        frame[i] = packet[i];
        i += 1;
    }
    frame
};

#[test]
fn sixteen_bytes() {
    assert_eq!(size_of::<Headers>(), 16);
}

#[test]
fn finds_everything_in_a_padded_udp_frame() {
    let headers = parse(&UDP_FRAME);
    assert_eq!(headers.malformed(), None);
    assert_eq!((headers.ether_type(), headers.vlan_count(), headers.vlan()), (0x0800, 0, None));
    assert_eq!((headers.l3_offset(), headers.ip_header_len(), headers.l3_len()), (14, 20, Some(31)));
    assert_eq!(headers.ip_version(), Some(IpVersion::V4));
    assert_eq!((headers.protocol(), headers.l4_offset()), (Some(17), Some(34)));
    assert_eq!((headers.payload_offset(), headers.payload_len()), (Some(42), Some(3)));
    assert_eq!(headers.ipv4_addresses(&UDP_FRAME), Some((0x0a00_0001, 0x0a00_0002)));
    assert_eq!(headers.ports(&UDP_FRAME), Some((1000, 53)));
    assert_eq!((headers.ttl(&UDP_FRAME), headers.traffic_class(&UDP_FRAME)), (Some(64), Some(0)));
    assert!(!headers.is_fragment() && !headers.is_cut() && headers.is_udp() && !headers.is_tcp());
}

#[test]
fn the_builder_makes_the_same_bytes() {
    assert_eq!(v4().udp(1000, 53).payload(b"hey").pad_to(60).build(), UDP_FRAME);
}

#[test]
fn the_length_of_a_packet_in_segments_counts() {
    let frame = v4().udp(1, 2).payload_len(1000).build();
    let first = &frame[..256];
    assert_eq!(parse_with_len(first, frame.len()), parse(&frame));
    assert_eq!(parse_with_len(first, frame.len() - 1).malformed(), Some(Malformed::Ipv4PayloadTruncated));
}

#[test]
fn offsets_of_whole_packets() {
    let rows = [
        ("tcp", v4().tcp(1, 2), 14, 6, Some(34), Some(54)),
        ("tcp options", v4().tcp(1, 2).tcp_options(&[2, 4, 5, 0xb4]), 14, 6, Some(34), Some(58)),
        ("ip options", v4().ip_options(&[7, 3, 4]).udp(1, 2), 14, 17, Some(38), Some(46)),
        ("sctp", v4().sctp(1, 2, 3), 14, 132, Some(34), Some(46)),
        ("icmp", v4().echo_request(1, 2), 14, 1, Some(34), Some(42)),
        ("esp", v4().protocol(50).payload_len(40), 14, 50, Some(34), Some(34)),
        ("ip in ip", v4().ipv4([1; 4], [2; 4]).udp(1, 2), 14, 4, Some(34), Some(34)),
        ("vlan", ethernet().vlan(5).ipv4(V4.0, V4.1).udp(1, 2), 18, 17, Some(38), Some(46)),
        ("qinq", ethernet().qinq(7).vlan(5).ipv4(V4.0, V4.1).udp(1, 2), 22, 17, Some(42), Some(50)),
        ("pppoe", ethernet().pppoe(9).ipv4(V4.0, V4.1).udp(1, 2), 22, 17, Some(42), Some(50)),
        ("ipv6 in pppoe", ethernet().pppoe(9).ipv6(V6.0, V6.1).udp(1, 2), 22, 17, Some(62), Some(70)),
        ("ipv6", v6().udp(1, 2), 14, 17, Some(54), Some(62)),
        ("icmpv6", v6().echo_request(1, 2), 14, 58, Some(54), Some(62)),
        ("no next header", v6().protocol(59), 14, 59, None, None),
        (
            "extensions",
            v6().hop_by_hop().extension(43, &[0; 22]).destination_options().tcp(1, 2),
            14,
            6,
            Some(94),
            Some(114),
        ),
        ("authentication", v6().authentication(1, 1).udp(1, 2), 14, 17, Some(78), Some(86)),
        ("atomic fragment", v6().ipv6_fragment(0, false, 1).udp(1, 2), 14, 17, Some(62), Some(70)),
    ];
    for (what, builder, l3, protocol, l4, payload) in rows {
        let frame = builder.build();
        let headers = parse(&frame);
        assert_eq!(headers.malformed(), None, "{what}");
        let found = (headers.l3_offset(), headers.protocol(), headers.l4_offset(), headers.payload_offset());
        assert_eq!(found, (l3, Some(protocol), l4, payload), "{what}");
        assert!(headers.is_ip() && !headers.is_fragment(), "{what}");
    }
}

#[test]
fn tags_are_counted_from_the_outside() {
    let frame = ethernet().tag(0x88a8, 0x6007).tag(0x9100, 6).vlan(5).ipv4(V4.0, V4.1).udp(1, 2).build();
    let headers = parse(&frame);
    assert_eq!((headers.vlan_count(), headers.vlan(), headers.vlan_priority()), (3, Some(7), Some(3)));
    assert_eq!(headers.ether_type(), 0x0800);
}

#[test]
fn what_is_not_ip_has_only_an_ether_type() {
    let arp = ethernet().arp(1, (A.into(), V4.0.into()), (crate::Mac::ZERO, V4.1.into()));
    let rows = [
        ("arp", arp.pad_to(60), 0x0806, 14),
        ("mpls", ethernet().mpls(16, 64).ipv4(V4.0, V4.1).udp(1, 2), 0x8847, 14),
        ("802.3", ethernet().ether_type(46).payload_len(46), 46, 14),
        ("pppoe discovery", ethernet().vlan(1).ether_type(0x8863).payload_len(46), 0x8863, 18),
        ("empty", ethernet(), 0x88b5, 14),
    ];
    for (what, builder, ether_type, l3) in rows {
        let frame = builder.build();
        let headers = parse(&frame);
        assert_eq!(headers.malformed(), None, "{what}");
        assert_eq!((headers.ether_type(), headers.l3_offset()), (ether_type, l3), "{what}");
        assert_eq!(
            (headers.ip_version(), headers.protocol(), headers.l4_offset()),
            (None, None, None),
            "{what}"
        );
        assert_eq!(
            (headers.addresses(&frame), headers.ports(&frame), headers.l3_len()),
            (None, None, None),
            "{what}"
        );
    }
}

#[test]
fn fragments_say_which_they_are() {
    let rows = [
        ("first", v4().fragment(0, true).udp(1, 2).payload_len(8), true, Some(34), Some((1, 2)), 42),
        ("middle", v4().fragment(16, true).payload_len(16), false, None, None, 34),
        ("last", v4().fragment(16, false).payload_len(5), false, None, None, 34),
        (
            "ipv6 first",
            v6().ipv6_fragment(0, true, 7).udp(1, 2).payload_len(8),
            true,
            Some(62),
            Some((1, 2)),
            70,
        ),
        ("ipv6 last", v6().ipv6_fragment(16, false, 7).payload_len(5), false, None, None, 62),
        (
            "a later fragment in a first one",
            v6().ipv6_fragment(0, true, 7).ipv6_fragment(16, true, 8).payload_len(8),
            false,
            None,
            None,
            70,
        ),
    ];
    for (what, builder, first, l4, ports, payload) in rows {
        let frame = builder.build();
        let headers = parse(&frame);
        assert_eq!(headers.malformed(), None, "{what}");
        assert!(headers.is_fragment(), "{what}");
        assert_eq!((headers.is_first_fragment(), headers.is_later_fragment()), (first, !first), "{what}");
        assert_eq!((headers.l4_offset(), headers.ports(&frame)), (l4, ports), "{what}");
        assert_eq!(headers.payload_offset(), Some(payload), "{what}");
    }
}

#[test]
fn every_defect_has_its_name() {
    use Malformed::*;
    let cut = |builder: Builder, len: usize| builder.build()[..len].to_vec();
    let udp = || v4().udp(1, 2).payload(b"hey");
    let tcp = || v4().tcp(1, 2);
    let rows: Vec<(Malformed, Vec<u8>)> = vec![
        (EthernetTruncated, vec![]),
        (EthernetTruncated, cut(udp(), 13)),
        (VlanTruncated, cut(ethernet().vlan(1).ipv4(V4.0, V4.1), 17)),
        (TooManyVlans, (0..9).fold(ethernet(), |builder, id| builder.vlan(id)).ipv4(V4.0, V4.1).build()),
        (ArpTruncated, cut(ethernet().ether_type(0x0806).payload_len(28), 41)),
        (PppoeTruncated, cut(ethernet().pppoe(1).ipv4(V4.0, V4.1), 21)),
        (PppoeBadHeader, ethernet().ether_type(0x8864).payload(&[0x11, 9, 0, 1, 0, 4, 0, 0x21]).build()),
        (Ipv4Truncated, cut(udp(), 33)),
        (Ipv4Truncated, cut(v4().ip_options(&[1; 8]).udp(1, 2), 36)),
        (Ipv4BadVersion, udp().raw_ip_first_byte(0x65).build()),
        (Ipv4BadHeaderLength, udp().raw_ip_first_byte(0x44).build()),
        (Ipv4BadTotalLength, udp().raw_ip_length(19).build()),
        (Ipv4PayloadTruncated, cut(udp(), 44)),
        (Ipv6Truncated, cut(v6().udp(1, 2), 53)),
        (Ipv6BadVersion, v6().raw_ip_first_byte(0x45).udp(1, 2).build()),
        (Ipv6PayloadTruncated, cut(v6().udp(1, 2).payload(b"hey"), 64)),
        (Ipv6ExtensionTruncated, cut(v6().hop_by_hop().udp(1, 2), 61)),
        (Ipv6ExtensionTruncated, v6().raw_ip_length(7).hop_by_hop().udp(1, 2).build()),
        (Ipv6ExtensionTruncated, cut(v6().extension(43, &[0; 14]).udp(1, 2), 62)),
        (TooManyExtensions, (0..9).fold(v6(), |builder, _| builder.destination_options()).udp(1, 2).build()),
        (TcpTruncated, cut(tcp(), 53)),
        (TcpTruncated, cut(tcp().tcp_options(&[1; 8]), 60)),
        (TcpTruncated, tcp().raw_ip_length(39).build()),
        (TcpBadDataOffset, tcp().raw_data_offset(4).build()),
        (TcpBadDataOffset, tcp().raw_data_offset(6).build()),
        (UdpTruncated, cut(udp(), 41)),
        (UdpTruncated, udp().raw_ip_length(27).build()),
        (UdpBadLength, udp().raw_udp_length(7).build()),
        (UdpBadLength, udp().raw_udp_length(12).build()),
        (UdpBadLength, udp().raw_ip_length(30).build()),
        (IcmpTruncated, cut(v4().echo_request(1, 2), 41)),
        (IcmpTruncated, cut(v6().echo_request(1, 2), 61)),
        (SctpTruncated, cut(v4().sctp(1, 2, 3), 45)),
    ];
    for (i, (malformed, frame)) in rows.iter().enumerate() {
        assert_eq!(parse(frame).malformed(), Some(*malformed), "row {i}");
    }
}

#[test]
fn a_cut_packet_keeps_its_addresses_and_ports() {
    let frame = v4().tcp(1000, 80).flags(flags::SYN).payload_len(500).build();
    for (len, ports, tcp_flags) in [
        (200, Some((1000, 80)), Some(flags::SYN)),
        (50, Some((1000, 80)), None),
        (38, Some((1000, 80)), None),
        (37, None, None),
    ] {
        let cut = &frame[..len];
        let headers = parse(cut);
        assert!(headers.is_cut() && headers.malformed().is_some(), "{len} bytes");
        assert_eq!(headers.ipv4_addresses(cut), Some((0x0a00_0001, 0x0a00_0002)), "{len} bytes");
        assert_eq!((headers.ports(cut), headers.tcp_flags(cut)), (ports, tcp_flags), "{len} bytes");
        assert_eq!(headers.l3_len(), Some(540), "{len} bytes");
    }
}

#[test]
fn padding_is_never_taken_for_ports() {
    let frame = v4().protocol(17).payload(&[0, 1]).pad_to(60).build();
    let headers = parse(&frame);
    assert_eq!(headers.malformed(), Some(Malformed::UdpTruncated));
    assert_eq!(headers.ports(&frame), None);
}

#[test]
fn ports_of_other_transports() {
    for (protocol, expected) in [(33, Some((1, 2))), (136, Some((1, 2))), (50, None), (47, None), (254, None)]
    {
        let frame = v4().protocol(protocol).payload(&[0, 1, 0, 2, 0, 0, 0, 0]).build();
        assert_eq!(parse(&frame).ports(&frame), expected, "protocol {protocol}");
    }
}

#[test]
fn an_icmp_error_shows_the_embedded_packet() {
    let rows = [
        ("ipv4", v4().udp(1000, 53).payload_len(100).build(), "10.9.9.9", 11),
        ("ipv6", v6().udp(1000, 53).payload_len(100).build(), "2001:db8::9", 3),
    ];
    for (what, frame, from, kind) in rows {
        let error = icmp_error(&frame, from.parse().unwrap(), kind, 0, 0).unwrap();
        let headers = parse(&error);
        assert_eq!(headers.malformed(), None, "{what}");
        assert!(headers.is_icmp_error(&error), "{what}");
        let inner = headers.embedded(&error).unwrap();
        assert_eq!(inner.ports(&error), Some((1000, 53)), "{what}");
        assert_eq!(inner.addresses(&error), parse(&frame).addresses(&frame), "{what}");
        assert_eq!(inner.embedded(&error), None, "{what}");
    }
    let echo = v4().echo_request(1, 1).payload(&v4().udp(1, 2).build()[14..]).build();
    assert_eq!(parse(&echo).embedded(&echo), None);
}

#[test]
fn a_bare_packet_is_found_by_its_first_bits() {
    let four = Builder::default().ipv4(V4.0, V4.1).udp(1, 2).build();
    let six = Builder::default().ipv6(V6.0, V6.1).udp(3, 4).build();
    assert_eq!(parse_ip(&four, 0, four.len()).ports(&four), Some((1, 2)));
    assert_eq!(parse_ip(&six, 0, six.len()).ports(&six), Some((3, 4)));
    assert_eq!(parse_ip(&[], 0, 0).malformed(), Some(Malformed::Ipv4Truncated));
    assert_eq!(parse_ip(&[0; 400], 300, 400).malformed(), Some(Malformed::Ipv4Truncated));
}

#[test]
fn names_are_distinct_snake_case_in_order() {
    let names: std::collections::BTreeSet<_> =
        Malformed::ALL.iter().map(|malformed| malformed.name()).collect();
    assert_eq!(names.len(), Malformed::ALL.len());
    assert!(Malformed::ALL.is_sorted());
    assert!(Malformed::ALL.iter().enumerate().all(|(i, &malformed)| malformed as usize == i + 1));
    for malformed in Malformed::ALL {
        let debug = format!("{malformed:?}");
        assert_eq!(malformed.name().replace('_', ""), debug.to_lowercase());
    }
}

fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 16 } else { 4096 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// What the shortcut accepts, the general parser sees in the same way.
    #[test]
    fn the_shortcut_changes_nothing(
        tcp in any::<bool>(), options in 0..4_usize, payload in 0..40_usize,
        cut in 0..60_usize, extra in 0..40_usize, changes in prop::collection::vec((12..60_usize, any::<u8>()), 0..3)
    ) {
        let builder = if tcp { v4().tcp(1, 2).tcp_options(&[1; 16][..4 * options]) } else { v4().udp(1, 2) };
        let mut frame = builder.payload_len(payload).build();
        for (at, value) in changes {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        frame.truncate(frame.len().saturating_sub(cut.saturating_sub(30)));
        let len = frame.len() + extra.saturating_sub(20);
        prop_assert_eq!(parse_with_len(&frame, len), walk::ethernet(&frame, len));
        if len == frame.len() {
            let usual = parse(&frame).usual_ipv4(&frame);
            prop_assert_eq!(UsualIpv4::is(&frame, len), usual.is_some());
            let trusted = usual.map(|_| UsualIpv4::trust(&frame));
            prop_assert_eq!(trusted.map(|packet| packet.protocol()), usual.map(|packet| packet.protocol()));
        }
    }
}
