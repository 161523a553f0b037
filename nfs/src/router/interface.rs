//! Interfaces: where the router meets its networks.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wire::flow::mix;
use wire::{Mac, Prefix, Prefix4, Prefix6};

/// The least MTU of an interface with IPv6 (RFC 8200 section 5), and of one without (RFC 791: 576 is what every host
/// takes).
const LEAST_MTU: [u16; 2] = [1280, 576];

/// One interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Interface {
    /// The name of its port.
    pub name: String,
    pub port: u16,
    /// The gate that leads out of it; an interface without one only receives.
    pub gate: Option<u8>,
    pub mac: Mac,
    pub mtu: u16,
    /// Addresses and the networks that they are in.
    pub addresses: Vec<(IpAddr, Prefix)>,
    /// From the MAC address (RFC 4291 appendix A).
    pub link_local: Ipv6Addr,
}

impl Interface {
    pub fn new(
        name: &str,
        port: u16,
        gate: Option<u8>,
        mac: Mac,
        mtu: u16,
        written: &[String],
    ) -> Result<Interface, String> {
        let mut addresses = Vec::new();
        for text in written {
            let wrong = || format!("'{text}' is no address with a prefix length, like \"192.0.2.1/24\"");
            let (address, length) = text.split_once('/').ok_or_else(wrong)?;
            let address: IpAddr = address.parse().map_err(|_| wrong())?;
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let length: u8 = length.parse().ok().filter(|length| *length <= bits).ok_or_else(wrong)?;
            if address.is_multicast() || address.is_unspecified() || address.is_loopback() {
                return Err(format!("{address} cannot be an interface's address"));
            }
            let network: Prefix = match address {
                IpAddr::V4(address) => Prefix4::new(address.into(), length).into(),
                IpAddr::V6(address) => Prefix6::new(address.into(), length).into(),
            };
            addresses.push((address, network));
        }
        let least = LEAST_MTU[usize::from(addresses.iter().all(|(address, _)| address.is_ipv4()))];
        if mtu < least {
            return Err(format!("an MTU of {mtu} is less than {least}"));
        }
        let [a, b, c, d, e, f] = mac.0;
        let link_local = Ipv6Addr::from(
            0xfe80 << 112 | u128::from(u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f])),
        );
        Ok(Interface { name: name.to_owned(), port, gate, mac, mtu, addresses, link_local })
    }

    /// Whether the address is one of its own.
    pub fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|(own, _)| *own == address) || address == IpAddr::V6(self.link_local)
    }

    /// Whether the address is in one of its networks.
    pub fn reaches(&self, address: IpAddr) -> bool {
        is_link_local(address) || self.addresses.iter().any(|(_, network)| network.contains(address))
    }

    /// The address that it speaks with to another.
    pub fn source_for(&self, to: IpAddr) -> Option<IpAddr> {
        let same = |own: &&(IpAddr, Prefix)| own.0.is_ipv4() == to.is_ipv4();
        if is_link_local(to) {
            return Some(self.link_local.into());
        }
        let near = self.addresses.iter().filter(same).find(|(_, network)| network.contains(to));
        near.or_else(|| self.addresses.iter().find(same)).map(|(own, _)| *own)
    }
}

/// An IPv6 link-local unicast address.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.segments()[0] & 0xffc0 == 0xfe80)
}

/// A neighbour's place: the interface (its index) and the address there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Hop {
    pub interface: u16,
    pub address: IpAddr,
}

impl Hop {
    pub fn v4(interface: u16, address: u32) -> Hop {
        Hop { interface, address: Ipv4Addr::from(address).into() }
    }

    #[inline]
    pub fn hash(&self, seed: u64) -> u32 {
        let (high, low) = match self.address {
            IpAddr::V4(address) => (0xffff, u64::from(u32::from(address))),
            IpAddr::V6(address) => {
                let bits = u128::from(address);
                ((bits >> 64) as u64, bits as u64)
            }
        };
        mix(high ^ u64::from(self.interface) << 48, low, seed) as u32
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)
    }
}
