//! What must hold for any bytes: called by the property tests here and by the fuzz targets.

use std::hint::black_box;

use wire::checksum::{self, Sum};
use wire::{
    Fields, FlowKey, FragmentKey, Headers, arp, ethernet, fields, fragment, icmp, icmpv6, ipv4, ipv6, mpls,
    parse, parse_ip, parse_with_len, pppoe, sctp, tcp, udp, vlan, vxlan,
};

/// Everything about a frame, whole or cut at `cut`.
pub fn frame_holds(frame: &[u8], cut: usize) {
    let headers = parse(frame);
    headers_hold(&headers, frame);
    flow_keys_hold(&headers, frame);
    mask_covers(&headers, frame);
    views_hold(frame);
    if let Some(bytes) = frame.get(headers.l3_offset()..) {
        views_hold(bytes);
    }
    if let Some(bytes) = headers.l4_offset().and_then(|at| frame.get(at..)) {
        views_hold(bytes);
    }

    let first = &frame[..cut.min(frame.len())];
    let partly = parse_with_len(first, frame.len());
    headers_hold(&partly, first);
    // Whoever sees less finds the same, or that something is missing.
    if partly.malformed().is_none() {
        assert_eq!(partly, headers);
    }
    // Headers may be used on bytes that they do not belong to: wrong answers, but no panic.
    headers_answer(&headers, first);
    flow_keys_hold(&headers, first);
    mask_covers(&headers, first);
    headers_hold(&parse_ip(frame, cut % 256, frame.len()), frame);
}

fn headers_answer(headers: &Headers, frame: &[u8]) {
    black_box((headers.ports(frame), headers.addresses(frame), headers.tcp_flags(frame), headers.ttl(frame)));
    black_box((headers.traffic_class(frame), headers.icmp_type_code(frame), headers.embedded(frame)));
    black_box((headers.vlan(), headers.vlan_priority(), headers.payload_len(), headers.to_owned()));
}

fn headers_hold(headers: &Headers, frame: &[u8]) {
    headers_answer(headers, frame);
    let len = frame.len();
    if headers.is_ip() {
        assert!(headers.addresses(frame).is_some() && headers.ttl(frame).is_some());
        assert!(headers.l3_offset() + 20 <= len);
    }
    assert_eq!(headers.has_ports(), headers.ports(frame).is_some());
    assert_eq!(headers.is_tcp(), headers.tcp_flags(frame).is_some());
    if let Some(l4) = headers.l4_offset() {
        let protocol = headers.protocol();
        let fixed = match protocol {
            _ if headers.is_tcp() => 20,
            _ if headers.is_udp() || headers.is_icmp() || headers.is_icmpv6() => 8,
            Some(132) => 12,
            _ => 0,
        };
        assert!(l4 + fixed <= len && !headers.is_later_fragment());
        assert!(headers.payload_offset().is_none_or(|payload| payload >= l4 + fixed));
    }
    if let Some(payload) = headers.payload_offset() {
        assert!(
            payload <= len && headers.is_ip() && payload >= headers.l3_offset() + headers.ip_header_len()
        );
    }
    assert!(!headers.is_cut() || headers.malformed().is_some());
    assert!(!(headers.is_first_fragment() && headers.is_later_fragment()));
}

fn flow_keys_hold(headers: &Headers, frame: &[u8]) {
    for key in [FlowKey::from_packet(headers, frame), FlowKey::of_flow(headers, frame)].into_iter().flatten()
    {
        let back = key.reversed();
        assert_eq!(back.reversed(), key);
        assert_eq!(key.canonical().0, back.canonical().0);
        assert_eq!(key.symmetric_hash(), back.symmetric_hash());
    }
    if let Some(key) = FragmentKey::from_packet(headers, frame) {
        assert!(headers.is_fragment());
        black_box(key.hash());
    }
}

/// Every bit of a frame belongs to a field, and a set's mask is the union of its fields'.
fn mask_covers(headers: &Headers, frame: &[u8]) {
    let mut all = vec![0; frame.len()];
    fields::mask(headers, frame, Fields::ALL, &mut all);
    assert!(all.iter().all(|&byte| byte == 0xff), "{all:02x?}");
    let mut union = vec![0; frame.len()];
    let mut one = vec![0; frame.len()];
    for field in Fields::ALL.iter() {
        fields::mask(headers, frame, Fields::of(&[field]), &mut one);
        union.iter_mut().zip(&one).for_each(|(union, one)| *union |= one);
    }
    assert_eq!(union, all);
}

/// No accessor of any view panics, whatever it is put on; nor after it wrote.
fn views_hold(bytes: &[u8]) {
    let mut copy = bytes.to_vec();
    let bytes = &mut copy[..];
    if let Ok(mut view) = ethernet::Frame::new_checked(&mut *bytes) {
        view.swap_addresses();
        black_box((view.ether_type(), view.payload().len(), view.payload_mut().len()));
    }
    if let Ok(mut view) = vlan::Packet::new_checked(&mut *bytes) {
        view.set_id(7);
        view.set_priority(3);
        assert_eq!((view.id(), view.priority()), (7, 3));
        black_box((view.drop_eligible(), view.payload().len()));
    }
    if let Ok(view) = arp::Packet::new_checked(&*bytes) {
        black_box((view.operation(), view.sender_mac(), view.target_ip()));
    }
    if let Ok(mut view) = mpls::Packet::new_checked(&mut *bytes) {
        assert_eq!(view.entries().count(), view.depth());
        let entry = view.entries().next().expect("a stack has an entry");
        view.set_outermost(entry);
        assert_eq!(view.entries().filter(|entry| entry.bottom).count(), 1);
        black_box(view.payload().len());
    }
    if let Ok(view) = pppoe::Packet::new_checked(&*bytes) {
        black_box((view.session(), view.protocol(), view.payload().len()));
    }
    ip_views_hold(bytes);
    transport_views_hold(bytes);
}

fn ip_views_hold(bytes: &mut [u8]) {
    if let Ok(mut view) = ipv4::Packet::new_checked(&mut *bytes) {
        black_box((
            view.dscp(),
            view.ecn(),
            view.dont_fragment(),
            view.more_fragments(),
            view.fragment_offset(),
        ));
        black_box((view.options().count(), view.payload().len(), view.checksum_is_valid()));
        view.fill_checksum();
        assert!(view.checksum_is_valid());
        view.decrement_ttl();
        assert!(view.checksum_is_valid());
        view.set_dscp(1);
        view.set_ecn(2);
        assert_eq!((view.dscp(), view.ecn()), (1, 2));
        view.set_total_len(0);
        black_box((view.payload_mut().len(), view.pseudo_header(0)));
    }
    if let Ok(mut view) = ipv6::Packet::new_checked(&mut *bytes) {
        let (_, upper) = view.upper_layer();
        assert!(upper >= ipv6::HEADER_LEN);
        black_box((view.extensions().count(), view.payload().len(), view.flow_label()));
        view.set_flow_label(1);
        view.set_dscp(2);
        view.decrement_hop_limit();
        assert_eq!((view.flow_label(), view.dscp()), (1, 2));
        black_box((view.payload_mut().len(), view.pseudo_header(0, 0)));
    }
    if let Ok(view) = fragment::Packet::new_checked(&*bytes) {
        black_box((view.offset(), view.more_fragments(), view.is_atomic(), view.payload().len()));
    }
}

fn transport_views_hold(bytes: &mut [u8]) {
    let pseudo = Sum::pseudo_v4(1, 2, 3, bytes.len() as u32);
    if let Ok(mut view) = tcp::Packet::new_checked(&mut *bytes) {
        view.options().flatten().for_each(|option| {
            if let tcp::TcpOption::Sack(blocks) = option {
                black_box(blocks.iter().count());
            }
        });
        for kind in 2..=255 {
            if let Some(at) = view.option_offset(kind) {
                assert!(at + 2 <= view.header_len());
            }
        }
        black_box((view.sequence_len(), view.payload_mut().len()));
        view.fill_checksum(pseudo);
        assert!(view.checksum_is_valid(pseudo));
    }
    if let Ok(mut view) = udp::Packet::new_checked(&mut *bytes) {
        view.fill_checksum(pseudo);
        assert!(view.checksum() != 0 && view.checksum_is_valid(pseudo));
        black_box((view.payload().len(), view.payload_mut().len()));
        if let Ok(tunnel) = vxlan::Packet::new_checked(view.payload()) {
            black_box((tunnel.vni(), tunnel.payload().len()));
        }
    }
    if let Ok(mut view) = icmp::Packet::new_checked(&mut *bytes) {
        view.fill_checksum();
        assert!(view.checksum_is_valid());
        black_box((view.payload().len(), view.payload_mut().len()));
    }
    if let Ok(mut view) = icmpv6::Packet::new_checked(&mut *bytes) {
        view.fill_checksum(pseudo);
        assert!(view.checksum_is_valid(pseudo));
        black_box((view.payload().len(), view.payload_mut().len()));
    }
    if let Ok(mut view) = sctp::Packet::new_checked(&mut *bytes) {
        view.fill_checksum();
        assert!(view.checksum_is_valid());
        black_box(view.payload().len());
    }
}

/// Checksums: any split sums to the whole, and an update equals a computation. The first two bytes of
/// `data` say where to split and which word to change.
pub fn checksum_holds(data: &[u8]) {
    let [split, at, bytes @ ..] = data else { return };
    let whole = checksum::of(bytes);
    let (left, right) = bytes.split_at(usize::from(*split).min(bytes.len()));
    assert_eq!(checksum::of_segments([left, right]), whole);
    let middle = right.len() / 2;
    assert_eq!(checksum::of_segments([left, &right[..middle], &[], &right[middle..]]), whole);

    let at = usize::from(*at) & !1;
    if bytes.iter().any(|&byte| byte != 0) && at + 2 <= bytes.len() {
        let old = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        for new in [0, 1, !old, old, whole, !whole, 0x8000, 0xffff] {
            let mut changed = bytes.to_vec();
            changed[at..at + 2].copy_from_slice(&new.to_be_bytes());
            if changed.iter().any(|&byte| byte != 0) {
                assert_eq!(checksum::update_u16(whole, old, new), checksum::of(&changed));
            }
        }
    }
}
