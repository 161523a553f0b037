//! Any bytes, any cut, and random well-formed packets: against the properties, against what the builder
//! was told, and against etherparse.

mod properties;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use wire::builder::Builder;
use wire::{FlowKey, parse};

fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 4 } else { 2048 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// What a packet was built from.
#[derive(Clone, Debug)]
struct Recipe {
    tags: Vec<u16>,
    v6: bool,
    src: u128,
    dst: u128,
    ttl: u8,
    dscp: u8,
    ip_options: usize,
    extensions: Vec<u8>,
    transport: u8,
    ports: (u16, u16),
    tcp_options: usize,
    flags: u8,
    payload: Vec<u8>,
    padding: usize,
}

prop_compose! {
    fn recipe()(
        tags in prop::collection::vec(0..4096_u16, 0..3),
        (v6, src, dst) in any::<(bool, u128, u128)>(),
        (ttl, dscp) in (any::<u8>(), 0..64_u8),
        ip_options in 0..10_usize,
        extensions in prop::collection::vec(prop::sample::select(vec![43_u8, 60, 51]), 0..4),
        transport in prop::sample::select(vec![6_u8, 17, 1, 132]),
        ports in any::<(u16, u16)>(),
        tcp_options in 0..10_usize,
        flags in any::<u8>(),
        payload in prop::collection::vec(any::<u8>(), 0..200),
        padding in 0..20_usize,
    ) -> Recipe {
        Recipe { tags, v6, src, dst, ttl, dscp, ip_options, extensions, transport, ports, tcp_options, flags, payload, padding }
    }
}

impl Recipe {
    fn build(&self) -> Vec<u8> {
        let mut builder = Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        for &tag in &self.tags {
            builder = builder.vlan(tag);
        }
        builder = if self.v6 {
            let builder = builder.ipv6(self.src, self.dst);
            self.extensions.iter().fold(builder, |builder, &kind| match kind {
                51 => builder.authentication(1, 2),
                kind => builder.extension(kind, &[1, 4]),
            })
        } else {
            builder.ipv4(self.src as u32, self.dst as u32).ip_options(&[1; 40][..4 * self.ip_options])
        };
        builder = builder.ttl(self.ttl).dscp(self.dscp);
        let (sport, dport) = self.ports;
        builder = match self.transport {
            6 => builder.tcp(sport, dport).flags(self.flags).tcp_options(&[1; 40][..4 * self.tcp_options]),
            17 => builder.udp(sport, dport),
            132 => builder.sctp(sport, dport, 1),
            _ => builder.echo_request(sport, 1),
        };
        let mut frame = builder.payload(&self.payload).build();
        frame.resize(frame.len() + self.padding, 0);
        frame
    }

    fn protocol(&self) -> u8 {
        if self.transport == 1 && self.v6 { 58 } else { self.transport }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_bytes_hold(frame in prop::collection::vec(any::<u8>(), 0..200), cut in 0..200_usize) {
        properties::frame_holds(&frame, cut);
    }

    #[test]
    fn packets_with_wrong_bytes_and_cuts_hold(
        recipe in recipe(), cut in 0..300_usize,
        changes in prop::collection::vec((12..120_usize, any::<u8>()), 0..4)
    ) {
        let mut frame = recipe.build();
        for (at, value) in changes {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        properties::frame_holds(&frame, cut);
        properties::frame_holds(&frame[..cut.min(frame.len())], cut / 2);
    }

    #[test]
    fn any_bytes_sum(data in prop::collection::vec(any::<u8>(), 0..200)) {
        properties::checksum_holds(&data);
    }

    #[test]
    fn what_was_built_is_what_is_found(recipe in recipe()) {
        let frame = recipe.build();
        let headers = parse(&frame);
        prop_assert_eq!(headers.malformed(), None);
        prop_assert_eq!(usize::from(headers.vlan_count()), recipe.tags.len());
        prop_assert_eq!(headers.vlan(), recipe.tags.first().copied());
        prop_assert_eq!(headers.is_ipv6(), recipe.v6);
        prop_assert_eq!(headers.protocol(), Some(recipe.protocol()));
        prop_assert_eq!(headers.ttl(&frame), Some(recipe.ttl));
        prop_assert_eq!(headers.traffic_class(&frame), Some(recipe.dscp << 2));
        prop_assert_eq!(headers.payload_len(), Some(recipe.payload.len()));
        let at = headers.payload_offset().unwrap();
        prop_assert_eq!(&frame[at..at + recipe.payload.len()], &recipe.payload[..]);
        let (sport, dport) = if recipe.transport == 1 { (recipe.ports.0, recipe.ports.0) } else { recipe.ports };
        let key = FlowKey::from_packet(&headers, &frame).unwrap();
        prop_assert_eq!((key.source_port(), key.destination_port()), (sport, dport));
        prop_assert_eq!(key.protocol(), recipe.protocol());
        if recipe.v6 {
            prop_assert_eq!(headers.ipv6_addresses(&frame), Some((recipe.src, recipe.dst)));
        } else {
            prop_assert_eq!(headers.ipv4_addresses(&frame), Some((recipe.src as u32, recipe.dst as u32)));
        }
        if recipe.transport == 6 {
            prop_assert_eq!(headers.tcp_flags(&frame), Some(recipe.flags));
        }
    }

    #[test]
    fn etherparse_finds_the_same(recipe in recipe()) {
        let frame = recipe.build();
        let headers = parse(&frame);
        let sliced = SlicedPacket::from_ethernet(&frame).expect("a good packet");
        prop_assert_eq!(sliced.vlan_ids().len(), recipe.tags.len());
        let addresses = match sliced.net.expect("an IP packet") {
            NetSlice::Ipv4(ip) => {
                let header = ip.header();
                let checksum = header.to_header().calc_header_checksum();
                prop_assert_eq!(checksum, header.header_checksum());
                prop_assert_eq!(usize::from(header.total_len()), headers.l3_len().unwrap());
                (header.source_addr().into(), header.destination_addr().into())
            }
            NetSlice::Ipv6(ip) => {
                (ip.header().source_addr().into(), ip.header().destination_addr().into())
            }
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        prop_assert_eq!(headers.addresses(&frame), Some(addresses));
        let at = headers.payload_offset().unwrap();
        let payload = &frame[at..at + headers.payload_len().unwrap()];
        match sliced.transport {
            Some(TransportSlice::Tcp(tcp)) => {
                prop_assert_eq!(headers.ports(&frame), Some((tcp.source_port(), tcp.destination_port())));
                prop_assert_eq!(tcp.payload(), payload);
                prop_assert_eq!(headers.protocol(), Some(6));
            }
            Some(TransportSlice::Udp(udp)) => {
                prop_assert_eq!(headers.ports(&frame), Some((udp.source_port(), udp.destination_port())));
                prop_assert_eq!(udp.payload(), payload);
                prop_assert_eq!(headers.protocol(), Some(17));
            }
            Some(TransportSlice::Icmpv4(icmp)) => {
                prop_assert_eq!(headers.icmp_type_code(&frame), Some((icmp.type_u8(), icmp.code_u8())));
                prop_assert_eq!(icmp.payload(), payload);
            }
            Some(TransportSlice::Icmpv6(icmp)) => {
                prop_assert_eq!(headers.icmp_type_code(&frame), Some((icmp.type_u8(), icmp.code_u8())));
                prop_assert_eq!(icmp.payload(), payload);
            }
            None => prop_assert_eq!(headers.protocol(), Some(132), "etherparse knows no SCTP"),
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        }
    }
}
