//! RFC 6052.

use super::super::prefix::Pref64;
use super::*;
use proptest::prelude::*;

/// Section 2.4: the same address behind a prefix of each length, and the well-known one.
const TABLE: [(&str, &str); 7] = [
    ("2001:db8::/32", "2001:db8:c000:221::"),
    ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
    ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
    ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
    ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
    ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
    ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
];

#[test]
fn the_tables_of_rfc_6052_section_2_4_come_out() {
    let inside = u32::from(Ipv4Addr::new(192, 0, 2, 33));
    for (prefix, expected) in TABLE {
        let prefix = Pref64::parse(prefix).expect("a prefix");
        assert_eq!(Ipv6Addr::from(prefix.embed(inside)), address(expected));
        assert_eq!(prefix.extract(address(expected).into()), Some(inside), "{expected}");
    }
}

proptest! {
    #[test]
    fn every_address_comes_back(inside in any::<u32>(), row in 0usize..7, suffix in any::<u128>()) {
        let prefix = Pref64::parse(TABLE[row].0).expect("a prefix");
        let embedded = prefix.embed(inside);
        prop_assert!(prefix.contains(embedded));
        prop_assert_eq!(prefix.extract(embedded), Some(inside));
        // What follows is ignored, but not what is before.
        let len = [32, 40, 48, 56, 64, 96, 96][row];
        let after = if len == 96 { 128 } else { (len + 32 + 8).max(72) };
        let suffix = suffix.checked_shr(after).unwrap_or(0);
        prop_assert_eq!(prefix.extract(embedded | suffix), Some(inside));
        if len < 96 {
            prop_assert_eq!(prefix.extract(embedded | 1 << 60), None, "bits 64 to 71 are zero");
        }
        prop_assert_eq!(prefix.extract(embedded ^ 1 << 100), None);
    }
}

#[test]
fn the_well_known_prefix_stands_for_global_addresses_only() {
    let known = Pref64::parse("64:ff9b::/96").expect("a prefix");
    let local = Pref64::parse("64:ff9b:1::/96").expect("a prefix");
    for (text, global) in [
        ("8.8.8.8", true),
        ("192.0.1.1", true),
        ("100.128.0.1", true),
        ("172.32.0.1", true),
        ("10.0.0.1", false),
        ("172.31.0.1", false),
        ("192.168.1.1", false),
        ("169.254.0.1", false),
        ("127.0.0.1", false),
        ("100.64.0.1", false),
        ("203.0.113.9", false),
        ("198.19.0.1", false),
        ("0.0.0.1", false),
    ] {
        let address: Ipv4Addr = text.parse().expect("an address");
        assert_eq!(known.stands_for(address.into()), global, "{text}");
        assert!(local.stands_for(address.into()), "{text}");
    }
    for nobody in ["224.0.0.1", "255.255.255.255", "0.0.0.0"] {
        let address: Ipv4Addr = nobody.parse().expect("an address");
        assert!(!local.stands_for(address.into()), "{nobody}");
    }
}
