//! Checksums and ports at their edges.

use super::super::ports::Ports;
use super::super::tuple::{Endpoint, Rewrite, Tuple};
use super::*;
use proptest::prelude::*;
use wire::Words4;

proptest! {
    /// The short way and the long way are one, and leave right checksums.
    #[test]
    fn a_usual_packet_is_rewritten_as_any_other(
        ends in any::<(u32, u32, u16, u16)>(), others in any::<(u32, u32, u16, u16)>(),
        tcp in any::<bool>(), unsummed in any::<bool>(), payload in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let frame = ipv4(ends.0.into(), ends.1.into());
        let frame = if tcp { frame.tcp(ends.2, ends.3) } else { frame.udp(ends.2, ends.3) };
        let frame = if unsummed { frame.no_udp_checksum() } else { frame };
        let frame = frame.payload(&payload).pad_to(60).build();
        let headers = wire::parse(&frame);
        let from = Tuple::from(Words4::of_usual(headers.usual_ipv4(&frame).expect("usual")));
        let to = Tuple { src: others.0, dst: others.1, sport: others.2, dport: others.3, ..from };
        let rewrite = Rewrite::new(from, to);
        prop_assert_eq!(rewrite.result(from.protocol), to);
        let (mut short, mut long) = (frame.clone(), frame);
        rewrite.apply_usual(&mut short);
        rewrite.apply(&mut long, 14, 34, from.protocol());
        prop_assert_eq!(&short, &long);
        assert_sums(&short);
        prop_assert_eq!(Tuple::from(key(&short)), to);
    }

    /// A port is found exactly if one is free, from the start on.
    #[test]
    fn a_free_port_is_found_wherever_it_is(
        first in 1u16..2000, span in 0u16..300, start in any::<u16>(), taken in prop::collection::vec(any::<u16>(), 0..400),
    ) {
        let last = first + span;
        let mut ports = Ports::new(2);
        let mut free: std::collections::BTreeSet<u16> = (first..=last).collect();
        for port in taken {
            let port = first + port % (span + 1);
            prop_assert_eq!(ports.take(1, Endpoint { address: 0, port, protocol: 17 }), free.remove(&port));
        }
        prop_assert_eq!(ports.in_use(1), [0, u32::from(span) + 1 - free.len() as u32, 0]);
        let even = |port: &&u16| **port % 2 == start % 2;
        let expected = free.range(start..).find(even).or_else(|| free.range(..start).find(even));
        let expected = expected.or_else(|| free.range(start..).next()).or_else(|| free.iter().next());
        prop_assert_eq!(ports.find(1, 17, start, (first, last)), expected.copied());
        prop_assert!(ports.find(0, 17, start, (first, last)).is_some());
    }
}
