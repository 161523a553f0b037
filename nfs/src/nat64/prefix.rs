//! IPv4 addresses within IPv6 addresses (RFC 6052).

use std::net::{Ipv4Addr, Ipv6Addr};
use wire::Prefix6;

/// The prefix that is the same everywhere (RFC 6052 section 2.1).
const WELL_KNOWN: u128 = 0x0064_ff9b << 96;
/// Lengths that a prefix may have (RFC 6052 section 2.2).
const LENGTHS: [u8; 6] = [32, 40, 48, 56, 64, 96];
/// Bits 64 to 71: they have to be zero.
const U: u128 = 0xff << 56;

/// A prefix whose addresses stand for IPv4 addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pref64(Prefix6);

impl Pref64 {
    /// # Errors
    /// What is wrong with the text, and what would be right.
    pub(super) fn parse(text: &str) -> Result<Pref64, (String, String)> {
        let example = || "write \"64:ff9b::/96\", or a prefix of this network".to_owned();
        let prefix: Prefix6 = text.parse().map_err(|error| (format!("'{text}': {error}"), example()))?;
        if !LENGTHS.contains(&prefix.len()) {
            let message = format!("a prefix of {} bits cannot hold IPv4 addresses", prefix.len());
            return Err((
                message,
                "its length is 32, 40, 48, 56, 64 or 96 (RFC 6052 section 2.2)".to_owned(),
            ));
        }
        if prefix.address() & U != 0 {
            let message = format!("bits 64 to 71 of '{text}' are not zero");
            return Err((message, "they are reserved (RFC 6052 section 2.2)".to_owned()));
        }
        if prefix.address() >> 120 == 0xff || prefix.address() == 0 {
            return Err((format!("'{text}' is not for hosts"), example()));
        }
        Ok(Pref64(prefix))
    }

    /// Whether an address is in the prefix, whatever follows.
    pub(super) fn contains(self, address: u128) -> bool {
        self.0.contains(address)
    }

    /// The address that stands for an IPv4 address.
    #[inline]
    pub(super) fn embed(self, address: u32) -> u128 {
        // The bits of the address follow the prefix, but leave out bits 64 to 71.
        let bits = u128::from(address) << 96 >> self.0.len();
        if self.0.len() == 96 {
            return self.0.address() | u128::from(address);
        }
        let before = bits & !(u128::from(u64::MAX));
        let after = (bits & u128::from(u64::MAX)) >> 8;
        self.0.address() | before | after
    }

    /// The IPv4 address that an address stands for; `None` if it is not of this prefix, or its bits 64 to 71 are not
    /// zero. What follows the IPv4 address is ignored (RFC 6052 section 2.2).
    #[inline]
    pub(super) fn extract(self, address: u128) -> Option<u32> {
        if !self.0.contains(address) || address & U != 0 {
            return None;
        }
        if self.0.len() == 96 {
            return Some(address as u32);
        }
        let before = address & !(u128::from(u64::MAX));
        let after = (address & u128::from(u64::MAX)) << 8 & u128::from(u64::MAX);
        Some(((before | after) << self.0.len() >> 96) as u32)
    }

    /// Whether packets with this IPv4 address are translated: it is the address of a host, and with the well-known
    /// prefix one that is global (RFC 6052 section 3.1).
    #[inline]
    pub(super) fn stands_for(self, address: u32) -> bool {
        let is_well_known = self.0.address() == WELL_KNOWN;
        !(crate::nat::is_of_many(address) || is_well_known && is_local(address))
    }
}

impl std::fmt::Display for Pref64 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv6Addr::from(self.0.address()), self.0.len())
    }
}

/// Addresses that are not global (RFC 6890 section 2.2.2).
fn is_local(address: u32) -> bool {
    const NETWORKS: [(Ipv4Addr, u32); 14] = [
        (Ipv4Addr::new(0, 0, 0, 0), 8),
        (Ipv4Addr::new(10, 0, 0, 0), 8),
        (Ipv4Addr::new(100, 64, 0, 0), 10),
        (Ipv4Addr::new(127, 0, 0, 0), 8),
        (Ipv4Addr::new(169, 254, 0, 0), 16),
        (Ipv4Addr::new(172, 16, 0, 0), 12),
        (Ipv4Addr::new(192, 0, 0, 0), 24),
        (Ipv4Addr::new(192, 0, 2, 0), 24),
        (Ipv4Addr::new(192, 168, 0, 0), 16),
        (Ipv4Addr::new(198, 18, 0, 0), 15),
        (Ipv4Addr::new(198, 51, 100, 0), 24),
        (Ipv4Addr::new(203, 0, 113, 0), 24),
        (Ipv4Addr::new(224, 0, 0, 0), 4),
        (Ipv4Addr::new(240, 0, 0, 0), 4),
    ];
    NETWORKS.iter().any(|(network, len)| (address ^ u32::from(*network)) >> (32 - len) == 0)
}
