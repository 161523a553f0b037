//! Checksums, for any addresses and ports.

use super::super::packet::{change, rewrite_transport};
use super::*;
use proptest::prelude::*;
use wire::checksum::Sum;

fn v4(ends: (u32, u32, u16, u16), proto: u8) -> FlowKey {
    FlowKey::V4(FlowKey4 { src: ends.0, dst: ends.1, sport: ends.2, dport: ends.3, proto })
}

fn v6(ends: (u128, u128, u16, u16), proto: u8) -> FlowKey {
    FlowKey::V6(FlowKey6 { src: ends.0, dst: ends.1, sport: ends.2, dport: ends.3, proto })
}

/// Whether a transport's checksum is right between these ends.
fn is_right(key: &FlowKey, l4: &[u8]) -> bool {
    let len = l4.len() as u32;
    let sum = match key {
        FlowKey::V4(key) if key.proto == 1 => Sum::new(),
        FlowKey::V4(key) => Sum::pseudo_v4(key.src, key.dst, key.proto, len),
        FlowKey::V6(key) => Sum::pseudo_v6(key.src, key.dst, key.proto, len),
    };
    sum.bytes(l4).is_valid()
}

proptest! {
    /// A right checksum stays right, and a wrong one wrong, whichever way a packet goes.
    #[test]
    fn checksums_follow_addresses_and_ports(
        four in any::<(u32, u32, u16, u16)>(), six in any::<(u128, u128, u16, u16)>(), kind in 0usize..3,
        back in any::<bool>(), wrong in any::<bool>(), payload in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Icmp][kind];
        let one_port = |ends: u16, other: u16| if kind == 2 { ends } else { other };
        let four = v4((four.0, four.1, four.2, one_port(four.2, four.3)), protocol.v4());
        let six = v6((six.0, six.1, six.2, one_port(six.2, six.3)), protocol.v6());
        let (from, to, way) = if back { (four, six, Way::To6) } else { (six, four, Way::To4) };
        let base = Builder::ethernet(Mac::ZERO, Mac::ZERO);
        let base = match from {
            FlowKey::V4(key) => base.ipv4(key.src, key.dst),
            FlowKey::V6(key) => base.ipv6(key.src, key.dst),
        };
        let l4 = match protocol {
            Protocol::Tcp => base.tcp(from.source_port(), from.destination_port()),
            Protocol::Udp => base.udp(from.source_port(), from.destination_port()),
            Protocol::Icmp => base.echo_request(from.source_port(), 1),
        };
        let l4 = if wrong { l4.bad_checksum() } else { l4 };
        let frame = l4.payload(&payload).build();
        let at = wire::parse(&frame).l4_offset().expect("whole");
        let mut l4 = frame[at..].to_vec();
        prop_assert_eq!(is_right(&from, &l4), !wrong);
        let len = l4.len();
        rewrite_transport(&mut l4, protocol, &to, change(&from, &to), way, len);
        prop_assert_eq!(is_right(&to, &l4), !wrong);
        if protocol == Protocol::Udp {
            prop_assert_ne!(&l4[6..8], &[0, 0]);
        }
    }
}
