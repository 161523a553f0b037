//! Who is known: a MAC address, in VLAN-aware switches together with a VLAN.

use std::fmt;
use wire::Mac;
use wire::flow::mix;

/// A station: VLAN identifier (0 without one) and MAC address, in one word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(super) struct Station(u64);

impl Station {
    pub(super) fn new(vlan: u16, mac: Mac) -> Station {
        let [a, b, c, d, e, f] = mac.0;
        let [high, low] = vlan.to_be_bytes();
        Station(u64::from_be_bytes([high, low, a, b, c, d, e, f]))
    }

    pub(super) fn mac(self) -> Mac {
        let [_, _, mac @ ..] = self.0.to_be_bytes();
        Mac(mac)
    }

    pub(super) fn vlan(self) -> u16 {
        (self.0 >> 48) as u16
    }

    pub(super) fn hash(self, seed: u64) -> u32 {
        mix(self.0, 0, seed) as u32
    }

    pub(super) fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 8]) -> Station {
        Station(u64::from_be_bytes(bytes))
    }

    /// `02:00:00:00:00:01`, or `02:00:00:00:00:01 vlan 5`.
    pub(super) fn parse(text: &str, vlan_aware: bool) -> Result<Station, String> {
        let mut words = text.split_whitespace();
        let mac = words.next().unwrap_or_default();
        let mac: Mac = mac.parse().map_err(|error| format!("'{mac}': {error}"))?;
        if mac.is_multicast() {
            return Err(format!("{mac} is the address of a group, not of a station"));
        }
        let vlan = match (words.next(), words.next(), words.next()) {
            (None, ..) => 0,
            (Some("vlan"), Some(vlan), None) if vlan_aware => match vlan.parse() {
                Ok(vlan @ 0..=4095) => vlan,
                _ => return Err(format!("'{vlan}' is no VLAN identifier: a number up to 4095")),
            },
            (Some("vlan"), ..) if !vlan_aware => {
                return Err(format!("'{text}' names a VLAN, but vlan_aware is false"));
            }
            _ => return Err(format!("'{text}' is no station")),
        };
        Ok(Station::new(vlan, mac))
    }
}

impl fmt::Display for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.vlan() {
            0 => self.mac().fmt(f),
            vlan => write!(f, "{} vlan {vlan}", self.mac()),
        }
    }
}
