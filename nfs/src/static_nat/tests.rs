use super::*;
use proptest::prelude::*;
use wire::builder::Builder;

fn plan(config: &str) -> Result<Plan, ConfigError> {
    Plan::new(&toml::from_str(config).expect("a configuration"))
}

#[test]
fn prefixes_that_cannot_be_mapped_are_refused_with_advice() {
    for (config, message) in [
        ("", "neither 'source' nor 'destination' has a prefix"),
        (
            "source = { \"10.0.0.0/24\" = \"203.0.113.0/25\" }",
            "'10.0.0.0/24' = '203.0.113.0/25' are not of one length",
        ),
        (
            "source = { \"10.0.0.1/24\" = \"203.0.113.0/24\" }",
            "'10.0.0.1/24': address bits after the prefix length are not zero",
        ),
        ("destination = { \"fd00::/8\" = \"10.0.0.0/8\" }", "'fd00::/8': no IP address before the slash"),
        (
            "source = { \"10.0.0.0/8\" = \"11.0.0.0/8\", \"10.1.0.0/16\" = \"12.0.0.0/16\" }",
            "10.1.0.0/16 overlaps with 10.0.0.0/8, which is mapped from as well",
        ),
        (
            "source = { \"10.0.0.0/24\" = \"11.0.0.0/24\", \"10.0.1.0/24\" = \"11.0.0.0/24\" }",
            "11.0.0.0/24 overlaps with 11.0.0.0/24, which is mapped to as well",
        ),
    ] {
        let error = plan(config).err().unwrap_or_else(|| panic!("{config} is taken"));
        assert_eq!(error.message, message, "{config}");
        assert!(error.key.is_some());
    }
}

#[test]
fn only_what_the_maps_name_is_written() {
    let source = "source = { \"10.0.0.0/8\" = \"11.0.0.0/8\" }\n";
    let destination = "destination = { \"10.0.0.0/8\" = \"11.0.0.0/8\" }\n";
    for (config, written, spared) in [
        (
            format!("{source}icmp_errors = \"pass\""),
            Field::IpSrc,
            Fields::of(&[Field::IpDst, Field::Payload]),
        ),
        (
            format!("{destination}icmp_errors = \"pass\""),
            Field::IpDst,
            Fields::of(&[Field::IpSrc, Field::Payload]),
        ),
        (source.to_owned(), Field::Payload, Fields::of(&[Field::IpDst])),
        (destination.to_owned(), Field::Payload, Fields::of(&[Field::IpSrc])),
    ] {
        let effects = StaticNat::effects(&plan(&config).expect("good"));
        assert!(effects.writes.contains(written) && !effects.writes.intersects(spared), "{config}");
        assert!(!effects.reads.intersects(spared) && effects.adjusts == CHECKSUMS, "{config}");
    }
}

/// What the prefixes differ by is all that a checksum needs.
fn translated(from: u32, to: u32, len: u8, host: u32, udp: bool) -> (Vec<u8>, Vec<u8>) {
    let prefix = |address: u32| wire::Prefix4::new(address, len);
    let config = format!("source = {{ \"{}\" = \"{}\" }}", prefix(from), prefix(to));
    let plan = plan(&config).expect("good");
    let (before, after) =
        [from, to].map(|address| prefix(address).address() | host & !prefix(address).mask()).into();
    let packet = |source: u32| {
        let packet = Builder::ethernet([2; 6], [4; 6]).ipv4(source, [192, 0, 2, 1]);
        if udp {
            packet.udp(4000, 53).payload(b"long enough").build()
        } else {
            packet.tcp(4000, 80).payload(b"long enough").build()
        }
    };
    let mut frame = packet(before);
    let headers = wire::parse(&frame);
    let change = Change::of_usual(&plan, headers.usual_ipv4(&frame).expect("usual"));
    let mut slow = frame.clone();
    change.write_usual(&mut frame);
    if let Some(verdict) = plan.judge(&headers, &slow.clone()) {
        verdict.apply(&headers, &mut slow);
    }
    assert_eq!(frame, slow, "both ways are one");
    (frame, packet(after))
}

proptest! {
    #[test]
    fn a_translated_packet_is_as_if_it_had_been_sent_so(
        from in any::<u32>(), to in any::<u32>(), len in 0u8..=32, host in any::<u32>(), udp in any::<bool>(),
    ) {
        let (ours, sent) = translated(from, to, len, host, udp);
        prop_assert_eq!(ours, sent);
    }
}
