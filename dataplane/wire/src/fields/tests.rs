use super::*;
use crate::builder::Builder;
use crate::parse;

const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const B: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn masked(frame: &[u8], fields: &[Field]) -> Vec<u8> {
    let mut out = vec![0x55; frame.len()];
    mask(&parse(frame), frame, Fields::of(fields), &mut out);
    out
}

/// Offsets and values of the bytes that are not zero.
fn set(out: &[u8]) -> Vec<(usize, u8)> {
    out.iter().copied().enumerate().filter(|&(_, byte)| byte != 0).collect()
}

fn whole(range: std::ops::Range<usize>) -> Vec<(usize, u8)> {
    range.map(|at| (at, 0xff)).collect()
}

#[test]
fn sets_have_the_usual_operations() {
    const ADDRESSES: Fields = Fields::of(&[Field::IpSrc, Field::IpDst]);
    const PORTS: Fields = Fields::EMPTY.with(Field::Sport).with(Field::Dport);
    assert!(ADDRESSES.contains(Field::IpSrc) && !ADDRESSES.contains(Field::Sport));
    assert!(!ADDRESSES.intersects(PORTS) && (ADDRESSES | PORTS).includes(PORTS));
    assert_eq!((ADDRESSES | PORTS).without(PORTS), ADDRESSES);
    assert_eq!((ADDRESSES | PORTS).intersection(PORTS), PORTS);
    assert_eq!(PORTS.iter().collect::<Fields>(), PORTS);
    assert_eq!(ADDRESSES.to_string(), "ip_src, ip_dst");
    assert_eq!(format!("{ADDRESSES:?}"), "{IpSrc, IpDst}");
    assert_eq!((Fields::EMPTY.to_string(), Fields::EMPTY.is_empty()), ("none".into(), true));
    assert_eq!(Fields::ALL.iter().count(), Field::ALL.len());
    assert!(Field::ALL.iter().enumerate().all(|(i, &field)| field as usize == i));
}

#[test]
fn each_field_of_a_tagged_tcp_packet_has_its_bits() {
    let frame = Builder::ethernet(A, B)
        .vlan(5)
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2])
        .ip_options(&[1; 4])
        .tcp(1, 2)
        .tcp_options(&[1; 4])
        .payload(b"hey")
        .build();
    let rows: [(Field, Vec<(usize, u8)>); 27] = [
        (Field::EthDst, whole(0..6)),
        (Field::EthSrc, whole(6..12)),
        (Field::Vlan, vec![(12, 0xff), (13, 0xff), (14, 0x0f), (15, 0xff)]),
        (Field::VlanPriority, vec![(14, 0xf0)]),
        (Field::EtherType, whole(16..18)),
        (Field::IpVersion, vec![(18, 0xf0)]),
        (Field::IpOptions, [vec![(18, 0x0f)], whole(38..42)].concat()),
        (Field::IpDscp, vec![(19, 0xfc)]),
        (Field::IpEcn, vec![(19, 0x03)]),
        (Field::IpLength, whole(20..22)),
        (Field::IpId, whole(22..24)),
        (Field::IpFragment, whole(24..26)),
        (Field::IpTtl, whole(26..27)),
        (Field::IpProto, whole(27..28)),
        (Field::IpChecksum, whole(28..30)),
        (Field::IpSrc, whole(30..34)),
        (Field::IpDst, whole(34..38)),
        (Field::Sport, whole(42..44)),
        (Field::Dport, whole(44..46)),
        (Field::TcpSeq, whole(46..50)),
        (Field::TcpAck, whole(50..54)),
        (Field::TcpOptions, [vec![(54, 0xf0)], whole(62..66)].concat()),
        (Field::TcpFlags, vec![(54, 0x0f), (55, 0xff)]),
        (Field::TcpWindow, whole(56..58)),
        (Field::L4Checksum, whole(58..60)),
        (Field::TcpUrgent, whole(60..62)),
        (Field::Payload, whole(66..69)),
    ];
    for (field, expected) in rows {
        assert_eq!(set(&masked(&frame, &[field])), expected, "{field}");
    }
}

#[test]
fn fields_of_other_headers() {
    let link = || Builder::ethernet(A, B);
    let v6 = || link().ipv6(1, 2);
    let v4 = || link().ipv4([1; 4], [2; 4]);
    let arp = link().arp(1, (A.into(), [1; 4].into()), (B.into(), [2; 4].into())).pad_to(60).build();
    let vxlan = v4().vxlan(1, 2).inner_ethernet(A, B).build();
    let fragment = v6().ipv6_fragment(8, true, 3).payload_len(8).build();
    let label = vec![(15, 0x0f), (16, 0xff), (17, 0xff)];
    let rows = [
        ("arp", arp.clone(), Field::Arp, whole(14..42)),
        ("padding", arp, Field::Payload, whole(42..60)),
        ("flow label", v6().udp(1, 2).build(), Field::Ipv6FlowLabel, label),
        ("ipv6 dscp", v6().udp(1, 2).build(), Field::IpDscp, vec![(14, 0x0f), (15, 0xc0)]),
        ("ipv6 ecn", v6().udp(1, 2).build(), Field::IpEcn, vec![(15, 0x30)]),
        ("udp length", v6().udp(1, 2).build(), Field::L4Length, whole(58..60)),
        ("extension", v6().hop_by_hop().udp(1, 2).build(), Field::IpOptions, whole(55..62)),
        ("next headers", v6().hop_by_hop().udp(1, 2).build(), Field::IpProto, vec![(20, 0xff), (54, 0xff)]),
        ("fragment", fragment.clone(), Field::IpFragment, whole(55..58)),
        ("identification", fragment.clone(), Field::IpId, whole(58..62)),
        ("its data", fragment, Field::Payload, whole(62..70)),
        ("icmp", v4().echo_request(1, 2).build(), Field::IcmpType, whole(34..36)),
        ("rest of icmp", v6().echo_request(1, 2).build(), Field::IcmpRest, whole(58..62)),
        ("sctp", v4().sctp(1, 2, 3).build(), Field::L4Checksum, whole(42..46)),
        ("vni", vxlan.clone(), Field::VxlanVni, whole(46..49)),
        ("vni is payload too", vxlan, Field::Payload, whole(42..64)),
        ("mpls", link().mpls(1, 2).mpls(3, 4).payload_len(4).build(), Field::MplsLabel, whole(14..22)),
        ("pppoe", link().pppoe(1).ipv4([1; 4], [2; 4]).build(), Field::Payload, whole(14..22)),
        ("length", v4().udp(1, 2).build(), Field::Length, vec![]),
        ("ports of a cut header", v4().tcp(1, 2).build()[..50].to_vec(), Field::Sport, whole(34..36)),
        ("its other bytes", v4().tcp(1, 2).build()[..50].to_vec(), Field::Payload, whole(38..50)),
    ];
    for (what, frame, field, expected) in rows {
        assert_eq!(set(&masked(&frame, &[field])), expected, "{what}");
    }
}
