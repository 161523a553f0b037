//! The outer IP header.

use engine::ConfigError;
use std::net::IpAddr;
use wire::checksum::{self, Sum};
use wire::protocol::ether_type;
use wire::{Headers, ipv4, ipv6};

/// The two ends of a tunnel: ours, and the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ends {
    V4 { local: u32, remote: u32 },
    V6 { local: u128, remote: u128 },
}

/// What an outer header says besides the addresses.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    /// DSCP and ECN.
    pub class: u8,
    pub ttl: u8,
    pub protocol: u8,
    /// Tells flows apart on the way (RFC 6438), in IPv6 only; 20 bits.
    pub flow_label: u32,
    /// Bytes after the header.
    pub payload: usize,
}

impl Ends {
    /// # Errors
    /// Addresses of different versions, or that are no single host's.
    pub(crate) fn new(local: IpAddr, remote: IpAddr) -> Result<Ends, ConfigError> {
        for (key, address) in [("local", local), ("remote", remote)] {
            if address.is_multicast() || address.is_unspecified() {
                let message = format!("'{key}' is {address}");
                return Err(ConfigError::at(key, message).help("write the address of one host"));
            }
        }
        match (local, remote) {
            (IpAddr::V4(local), IpAddr::V4(remote)) => {
                Ok(Ends::V4 { local: local.into(), remote: remote.into() })
            }
            (IpAddr::V6(local), IpAddr::V6(remote)) => {
                Ok(Ends::V6 { local: local.into(), remote: remote.into() })
            }
            _ => {
                let message = format!("{local} and {remote} are of different IP versions");
                Err(ConfigError::at("remote", message).help("write two addresses of one version"))
            }
        }
    }

    /// Bytes of the outer header.
    #[inline]
    pub(crate) const fn header_len(&self) -> usize {
        match self {
            Ends::V4 { .. } => ipv4::HEADER_LEN,
            Ends::V6 { .. } => ipv6::HEADER_LEN,
        }
    }

    /// The EtherType of the outer header.
    #[inline]
    pub(crate) const fn ether_type(&self) -> u16 {
        match self {
            Ends::V4 { .. } => ether_type::IPV4,
            Ends::V6 { .. } => ether_type::IPV6,
        }
    }

    /// Whether a packet came from the other end to ours.
    #[inline]
    pub(crate) fn sent(&self, headers: &Headers, frame: &[u8]) -> bool {
        match *self {
            Ends::V4 { local, remote } => headers.ipv4_addresses(frame) == Some((remote, local)),
            Ends::V6 { local, remote } => headers.ipv6_addresses(frame) == Some((remote, local)),
        }
    }

    /// Whether a packet came to our end.
    pub(crate) fn is_ours(&self, headers: &Headers, frame: &[u8]) -> bool {
        match *self {
            Ends::V4 { local, .. } => headers.ipv4_addresses(frame).is_some_and(|(_, to)| to == local),
            Ends::V6 { local, .. } => headers.ipv6_addresses(frame).is_some_and(|(_, to)| to == local),
        }
    }

    /// Writes the header at the start of `out`.
    ///
    /// An IPv4 datagram must not be fragmented, so that it needs no identification (RFC 6864 section 4).
    #[inline]
    pub(crate) fn write(&self, out: &mut [u8], header: Header) {
        match *self {
            Ends::V4 { local, remote } => {
                let mut bytes = [0; ipv4::HEADER_LEN];
                let total = (ipv4::HEADER_LEN + header.payload) as u16;
                bytes[..2].copy_from_slice(&[0x45, header.class]);
                bytes[2..4].copy_from_slice(&total.to_be_bytes());
                bytes[6] = 0x40;
                bytes[8..10].copy_from_slice(&[header.ttl, header.protocol]);
                bytes[12..16].copy_from_slice(&local.to_be_bytes());
                bytes[16..].copy_from_slice(&remote.to_be_bytes());
                let checksum = checksum::of(&bytes);
                bytes[10..12].copy_from_slice(&checksum.to_be_bytes());
                put(out, &bytes);
            }
            Ends::V6 { local, remote } => {
                let mut bytes = [0; ipv6::HEADER_LEN];
                let first = 6 << 28 | u32::from(header.class) << 20 | header.flow_label & 0xf_ffff;
                bytes[..4].copy_from_slice(&first.to_be_bytes());
                bytes[4..6].copy_from_slice(&(header.payload as u16).to_be_bytes());
                bytes[6..8].copy_from_slice(&[header.protocol, header.ttl]);
                bytes[8..24].copy_from_slice(&local.to_be_bytes());
                bytes[24..].copy_from_slice(&remote.to_be_bytes());
                put(out, &bytes);
            }
        }
    }

    /// The pseudo-header of a transport of `len` bytes.
    pub(crate) fn pseudo_header(&self, protocol: u8, len: usize) -> Sum {
        match *self {
            Ends::V4 { local, remote } => Sum::pseudo_v4(local, remote, protocol, len as u32),
            Ends::V6 { local, remote } => Sum::pseudo_v6(local, remote, protocol, len as u32),
        }
    }
}

fn put(out: &mut [u8], header: &[u8]) {
    if let Some(place) = out.get_mut(..header.len()) {
        place.copy_from_slice(header);
    }
}
