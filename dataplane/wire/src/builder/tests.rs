use super::*;
use crate::{Headers, icmp, icmpv6, ipv4, parse, sctp, tcp, udp};

const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const B: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn v4() -> Builder {
    Builder::ethernet(A, B).ipv4([10, 0, 0, 1], [10, 0, 0, 2])
}

fn v6() -> Builder {
    Builder::ethernet(A, B).ipv6(1, 2)
}

/// Whether the IPv4 header's checksum (if any) and the transport's are right.
fn checksums(frame: &[u8]) -> (bool, bool) {
    let headers: Headers = parse(frame);
    let l4 = &frame[headers.l4_offset().unwrap()..headers.l3_offset() + headers.l3_len().unwrap()];
    let protocol = headers.protocol().unwrap();
    let (network, pseudo) = if headers.is_ipv4() {
        let packet = ipv4::Packet::new_checked(&frame[14..]).unwrap();
        (packet.checksum_is_valid(), packet.pseudo_header(l4.len() as u32))
    } else {
        let packet = crate::ipv6::Packet::new_checked(&frame[14..]).unwrap();
        (true, packet.pseudo_header(protocol, l4.len() as u32))
    };
    let transport = match protocol {
        ip::TCP => tcp::Packet::new_checked(l4).unwrap().checksum_is_valid(pseudo),
        ip::UDP => udp::Packet::new_checked(l4).unwrap().checksum_is_valid(pseudo),
        ip::ICMP => icmp::Packet::new_checked(l4).unwrap().checksum_is_valid(),
        ip::ICMPV6 => icmpv6::Packet::new_checked(l4).unwrap().checksum_is_valid(pseudo),
        _ => sctp::Packet::new_checked(l4).unwrap().checksum_is_valid(),
    };
    (network, transport)
}

#[test]
fn checksums_are_right_unless_spoilt() {
    for ip in [v4(), v6()] {
        for transport in [
            ip.clone().tcp(1, 2),
            ip.clone().udp(1, 2),
            ip.clone().echo_request(1, 2),
            ip.clone().sctp(1, 2, 3),
        ] {
            let good = transport.clone().payload(b"odd").build();
            assert_eq!(checksums(&good), (true, true), "{transport:?}");
            let bad = transport.clone().bad_checksum().payload(b"odd").build();
            assert_eq!(checksums(&bad), (true, false), "{transport:?}");
        }
    }
    assert_eq!(checksums(&v4().bad_checksum().udp(1, 2).build()), (false, true));
    let none = v4().udp(1, 2).no_udp_checksum().build();
    assert_eq!(none[40..42], [0, 0]);
}

#[test]
fn values_arrive_where_they_belong() {
    let frame = v4().ttl(3).dscp(46).ecn(1).id(7).dont_fragment().tcp(1, 2).seq(5).ack(6).window(9).build();
    let packet = ipv4::Packet::new_checked(&frame[14..]).unwrap();
    assert_eq!((packet.ttl(), packet.dscp(), packet.ecn(), packet.id()), (3, 46, 1, 7));
    assert!(packet.dont_fragment() && !packet.more_fragments());
    let segment = tcp::Packet::new_checked(packet.payload()).unwrap();
    assert_eq!((segment.seq(), segment.ack(), segment.flags(), segment.window()), (5, 6, tcp::flags::ACK, 9));
    let frame = v6().ttl(3).flow_label(0x12345).dscp(1).udp(1, 2).build();
    let packet = crate::ipv6::Packet::new_checked(&frame[14..]).unwrap();
    assert_eq!((packet.hop_limit(), packet.flow_label(), packet.dscp()), (3, 0x12345, 1));
}

#[test]
fn a_tunnel_holds_a_whole_frame() {
    let inner = v6().udp(3, 4).payload(b"inside").build();
    let nested = v4().vxlan(1, 77).inner_ethernet(A, B).ipv6(1, 2).udp(3, 4).payload(b"inside").build();
    let wrapped = v4().vxlan(1, 77).payload(&inner).build();
    assert_eq!(nested, wrapped);
    let headers = parse(&wrapped);
    assert_eq!(headers.ports(&wrapped), Some((1, 4789)));
    let tunnel = crate::vxlan::Packet::new_checked(&wrapped[headers.payload_offset().unwrap()..]).unwrap();
    assert_eq!((tunnel.vni(), tunnel.payload()), (77, &inner[..]));
}

#[test]
fn fragments_fit_and_join_to_the_original() {
    let rows = [
        ("ipv4", v4().udp(1, 2).payload_len(3001).build(), 1500, 20, 3),
        ("ipv4 with options", v4().ip_options(&[1; 8]).udp(1, 2).payload_len(100).build(), 68, 28, 3),
        ("tiny", v4().udp(1, 2).payload_len(17).build(), 0, 20, 4),
        ("ipv6", v6().udp(1, 2).payload_len(3001).build(), 1280, 48, 3),
        ("ipv6 with options", v6().hop_by_hop().udp(1, 2).payload_len(3001).build(), 1280, 56, 3),
    ];
    for (what, whole, mtu, overhead, count) in rows {
        let pieces = fragments(&whole, mtu, 9);
        assert_eq!(pieces.len(), count, "{what}");
        let mut joined: Vec<u8> = Vec::new();
        for (i, piece) in pieces.iter().enumerate() {
            let headers = parse(piece);
            assert!(piece.len() - 14 <= mtu.max(overhead + 8), "{what}");
            assert_eq!((headers.is_first_fragment(), headers.is_later_fragment()), (i == 0, i > 0), "{what}");
            if headers.is_ipv4() {
                assert!(ipv4::Packet::new_checked(&piece[14..]).unwrap().checksum_is_valid(), "{what}");
            }
            joined.extend(&piece[14 + overhead..]);
        }
        let headers = parse(&whole);
        assert_eq!(joined, whole[headers.l4_offset().unwrap()..], "{what}");
        let last = parse(&pieces[count - 1]);
        assert_eq!(last.malformed(), None, "{what}");
        assert_eq!(last.is_fragment(), count > 1, "{what}");
    }
    let small = v4().udp(1, 2).build();
    assert_eq!(fragments(&small, 1500, 1), [small]);
}

#[test]
fn an_icmp_error_goes_back_with_the_tags_of_its_cause() {
    let cause =
        Builder::ethernet(A, B).vlan(5).ipv4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2).payload_len(99).build();
    let error = icmp_error(&cause, "10.0.0.254".parse().unwrap(), icmp::TIME_EXCEEDED, 0, 0).unwrap();
    let expected = Builder::ethernet(B, A)
        .vlan(5)
        .ipv4([10, 0, 0, 254], [10, 0, 0, 1])
        .icmp(11, 0, 0)
        .payload(&cause[18..18 + 28])
        .build();
    assert_eq!(error, expected);
    let big = v6().udp(1, 2).payload_len(2000).build();
    let error = icmp_error(&big, "2001:db8::9".parse().unwrap(), icmpv6::PACKET_TOO_BIG, 0, 1280).unwrap();
    assert_eq!(error.len(), 14 + 1280);
    assert_eq!(checksums(&error), (true, true));
    assert_eq!(icmp_error(&big, "10.0.0.1".parse().unwrap(), 3, 0, 0), None);
    assert_eq!(icmp_error(&[0; 60], "10.0.0.1".parse().unwrap(), 3, 0, 0), None);
}
