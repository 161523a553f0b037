//! Address prefixes (CIDR).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IPv4 prefix; bits past its length are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix4 {
    address: u32,
    len: u8,
}

/// An IPv6 prefix; bits past its length are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix6 {
    address: u128,
    len: u8,
}

/// A prefix of either version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Prefix {
    /// IPv4.
    V4(Prefix4),
    /// IPv6.
    V6(Prefix6),
}

/// Why a text is not a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParsePrefixError {
    /// The part before the slash is no address (of the wanted version).
    Address,
    /// The part after the slash is no number from 0 to 32 or 128.
    Length,
    /// Bits past the length are set: `10.0.0.1/8`.
    HostBits,
}

impl fmt::Display for ParsePrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParsePrefixError::Address => "no IP address before the slash",
            ParsePrefixError::Length => "the prefix length is a number up to 32 (IPv4) or 128 (IPv6)",
            ParsePrefixError::HostBits => "address bits after the prefix length are not zero",
        })
    }
}

impl std::error::Error for ParsePrefixError {}

macro_rules! prefix {
    ($name:ident, $bits:ty, $address:ty, $width:literal) => {
        impl $name {
            /// The prefix of `len` bits (more than the address has count as all) that `address` is in.
            pub const fn new(address: $bits, len: u8) -> $name {
                let len = if len > $width { $width } else { len };
                $name { address: address & Self::mask_of(len), len }
            }

            /// The prefix that holds only `address`.
            pub const fn host(address: $bits) -> $name {
                $name { address, len: $width }
            }

            const fn mask_of(len: u8) -> $bits {
                if len == 0 { 0 } else { <$bits>::MAX << ($width - len as u32) }
            }

            /// The lowest address, host order.
            pub const fn address(self) -> $bits {
                self.address
            }

            /// The highest address, host order.
            pub const fn last(self) -> $bits {
                self.address | !self.mask()
            }

            /// Length in bits.
            #[allow(clippy::len_without_is_empty, reason = "a prefix length is no container's")]
            pub const fn len(self) -> u8 {
                self.len
            }

            /// Ones for the prefix, zeros for the rest.
            pub const fn mask(self) -> $bits {
                Self::mask_of(self.len)
            }

            /// Whether `address` is in the prefix.
            #[inline]
            pub const fn contains(self, address: $bits) -> bool {
                address & self.mask() == self.address
            }

            /// Whether all of `other` is in the prefix.
            pub const fn includes(self, other: $name) -> bool {
                other.len >= self.len && self.contains(other.address)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}/{}", <$address>::from(self.address), self.len)
            }
        }

        /// `address/length`, or an address alone for all its bits.
        impl FromStr for $name {
            type Err = ParsePrefixError;

            fn from_str(text: &str) -> Result<$name, ParsePrefixError> {
                let (address, len) = match text.split_once('/') {
                    Some((address, len)) => (address, parse_len(len, $width)?),
                    None => (text, $width),
                };
                let address: $address = address.parse().map_err(|_| ParsePrefixError::Address)?;
                let address = <$bits>::from(address);
                let prefix = $name::new(address, len);
                if prefix.address == address { Ok(prefix) } else { Err(ParsePrefixError::HostBits) }
            }
        }
    };
}

prefix!(Prefix4, u32, Ipv4Addr, 32);
prefix!(Prefix6, u128, Ipv6Addr, 128);

/// Decimal digits only: `u8::from_str` would take a plus sign.
fn parse_len(text: &str, width: u8) -> Result<u8, ParsePrefixError> {
    if text.is_empty() || !text.bytes().all(|c| c.is_ascii_digit()) {
        return Err(ParsePrefixError::Length);
    }
    text.parse().ok().filter(|&len| len <= width).ok_or(ParsePrefixError::Length)
}

impl Prefix {
    /// Whether `address` is in the prefix; an address of the other version never is.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self, address) {
            (Prefix::V4(prefix), IpAddr::V4(address)) => prefix.contains(address.into()),
            (Prefix::V6(prefix), IpAddr::V6(address)) => prefix.contains(address.into()),
            _ => false,
        }
    }

    /// Length in bits.
    #[allow(clippy::len_without_is_empty, reason = "a prefix length is no container's")]
    pub const fn len(self) -> u8 {
        match self {
            Prefix::V4(prefix) => prefix.len(),
            Prefix::V6(prefix) => prefix.len(),
        }
    }
}

impl From<Prefix4> for Prefix {
    fn from(prefix: Prefix4) -> Prefix {
        Prefix::V4(prefix)
    }
}

impl From<Prefix6> for Prefix {
    fn from(prefix: Prefix6) -> Prefix {
        Prefix::V6(prefix)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Prefix::V4(prefix) => prefix.fmt(f),
            Prefix::V6(prefix) => prefix.fmt(f),
        }
    }
}

impl FromStr for Prefix {
    type Err = ParsePrefixError;

    fn from_str(text: &str) -> Result<Prefix, ParsePrefixError> {
        if text.contains(':') { text.parse().map(Prefix::V6) } else { text.parse().map(Prefix::V4) }
    }
}

#[cfg(test)]
mod tests;
