//! RFC 6296 section 3 and appendix B.

use super::*;
use proptest::prelude::*;
use wire::Prefix6;

#[test]
fn the_example_of_rfc_6296_section_3_6_comes_out() {
    let pair = pair(INTERNAL, EXTERNAL);
    let (inside, outside) = (address("fd01:203:405:1::1234"), address("2001:db8:1:d550::1234"));
    assert_eq!(pair.outward(inside), Ok(outside));
    assert_eq!(pair.inward(outside), Ok(inside));
}

#[test]
fn each_length_makes_up_for_the_change_where_the_rfc_says() {
    for (internal, external, inside, outside) in [
        // The whole of what lies behind a short prefix is kept but for the subnet.
        ("fd00::/8", "2600::/8", "fd01:203:405:1::1234", "2601:203:405:d701::1234"),
        ("fd01:203:405::/49", "2001:db8:1::/49", "fd01:203:405:7::1", "2001:db8:1:7:d54f::1"),
        ("fd01:203:405:1::/64", "2001:db8:1:2::/64", "fd01:203:405:1:1::5", "2001:db8:1:2:d54f::5"),
        // The first word of the interface identifier that is not 0xffff.
        (
            "fd01:203:405:1::/64",
            "2001:db8:1:2::/64",
            "fd01:203:405:1:ffff:ffff:1:5",
            "2001:db8:1:2:ffff:ffff:d54f:5",
        ),
        // A shorter prefix is extended by zeros.
        ("fd01:203:400::/40", "2001:db8:1::/48", "fd01:203:400:1::1234", "2001:db8:1:d54b::1234"),
        // 0xffff and 0 are the same sum: 0 is sent.
        ("fd01:203:405::/48", "2001:db8:1::/48", "fd01:203:405:2ab0::1", "2001:db8:1:0::1"),
        // Nothing to make up for.
        ("fd01:1:2::/48", "fd01:2:1::/48", "fd01:1:2:5::1", "fd01:2:1:5::1"),
        ("fd01:1:2:0::/64", "fd01:2:1:0::/64", "fd01:1:2:0:ffff::1", "fd01:2:1:0:ffff::1"),
    ] {
        let pair = pair(internal, external);
        let mapped = pair.outward(address(inside)).map(Ipv6Addr::from);
        assert_eq!(mapped, Ok(Ipv6Addr::from(address(outside))), "{inside}");
        assert_eq!(pair.inward(address(outside)).map(Ipv6Addr::from), Ok(Ipv6Addr::from(address(inside))));
    }
}

#[test]
fn what_has_no_counterpart_is_refused() {
    let short = pair(INTERNAL, EXTERNAL);
    assert_eq!(short.outward(address("fd01:203:405:ffff::1")), Err(Unmappable::Subnet));
    assert_eq!(short.inward(address("2001:db8:1:ffff::1")), Err(Unmappable::Subnet));
    // There the interface identifier is not looked at.
    assert!(short.outward(address("fd01:203:405:1::")).is_ok());
    let long = pair("fd01:203:405:1::/64", "2001:db8:1:2::/64");
    assert_eq!(long.outward(address("fd01:203:405:1:ffff:ffff:ffff:ffff")), Err(Unmappable::InterfaceId));
    // The anycast address of a subnet's routers has one.
    assert!(long.outward(address("fd01:203:405:1::")).is_ok());
}

fn sum(address: u128) -> u16 {
    !wire::checksum::of(&address.to_be_bytes())
}

proptest! {
    /// Whatever the prefixes: a way back, the same sum, and nothing else changed.
    #[test]
    fn there_is_a_way_back_and_no_checksum_changes(
        internal in any::<u128>(), external in any::<u128>(), len in 1u8..=64, host in any::<u128>(),
    ) {
        let [internal, external] = [internal, external].map(|address| Prefix6::new(address, len));
        let pair = Pair::new(internal, external);
        let inside = internal.address() | host & !internal.mask();
        if let Ok(outside) = pair.outward(inside) {
            prop_assert!(external.contains(outside));
            // +0 and -0 are one sum.
            prop_assert_eq!(sum(inside) % 0xffff, sum(outside) % 0xffff);
            prop_assert_eq!(pair.inward(outside), Ok(inside));
            let word: u128 = if len <= 48 { 0xffff << 64 } else { u64::MAX.into() };
            prop_assert_eq!((inside ^ outside) & !internal.mask() & !word, 0);
        }
    }
}
