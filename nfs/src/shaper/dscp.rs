//! Differentiated services code points: their names, and how they are written into a packet.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use wire::{Headers, checksum};

/// A code point (RFC 2474): a number from 0 to 63, or a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dscp(u8);

/// RFC 2474 (class selectors), 2597 (assured forwarding), 3246 (expedited forwarding), 5865, 8622.
const NAMES: [(&str, u8); 24] = [
    ("default", 0),
    ("cs0", 0),
    ("le", 1),
    ("cs1", 8),
    ("af11", 10),
    ("af12", 12),
    ("af13", 14),
    ("cs2", 16),
    ("af21", 18),
    ("af22", 20),
    ("af23", 22),
    ("cs3", 24),
    ("af31", 26),
    ("af32", 28),
    ("af33", 30),
    ("cs4", 32),
    ("af41", 34),
    ("af42", 36),
    ("af43", 38),
    ("cs5", 40),
    ("voice_admit", 44),
    ("ef", 46),
    ("cs6", 48),
    ("cs7", 56),
];

impl Dscp {
    /// A number from 0 to 63.
    pub fn new(number: u64) -> Option<Dscp> {
        u8::try_from(number).ok().filter(|number| *number < 64).map(Dscp)
    }

    pub(super) fn named(name: &str) -> Option<Dscp> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| Dscp(*number))
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Dscp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

impl Serialize for Dscp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.0)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written<'a> {
    Number(u64),
    Name(Cow<'a, str>),
}

impl<'de> Deserialize<'de> for Dscp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Dscp, D::Error> {
        let wrong = |what: &dyn fmt::Display| {
            de::Error::custom(format!(
                "'{what}' is no code point: write 0 to 63, or a name like \"ef\" or \"af11\""
            ))
        };
        match Written::deserialize(deserializer)? {
            Written::Number(number) => Dscp::new(number).ok_or_else(|| wrong(&number)),
            Written::Name(name) => Dscp::named(&name).ok_or_else(|| wrong(&name)),
        }
    }
}

impl JsonSchema for Dscp {
    fn schema_name() -> Cow<'static, str> {
        "Dscp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        json_schema!({
            "description": "A code point: 0 to 63, or a name.",
            "anyOf": [{ "type": "integer", "minimum": 0, "maximum": 63 }, { "type": "string", "enum": names }],
        })
    }
}

/// The code point of an IP packet.
#[inline]
pub(crate) fn read(headers: &Headers, frame: &[u8]) -> Option<u8> {
    headers.traffic_class(frame).map(|class| class >> 2)
}

/// Writes the code point of an IP packet, with the change to IPv4's checksum (RFC 1624). What is no IP stays as it is.
#[inline]
pub(crate) fn write(headers: &Headers, frame: &mut [u8], dscp: u8) {
    let Some(header) = frame.get_mut(headers.l3_offset()..) else { return };
    let Some(&[a, b]) = header.first_chunk() else { return };
    let old = u16::from_be_bytes([a, b]);
    if headers.is_ipv4() {
        let new = old & 0xff03 | u16::from(dscp) << 2;
        header[..2].copy_from_slice(&new.to_be_bytes());
        if let Some(field) = header.get_mut(10..12) {
            let before = u16::from_be_bytes([field[0], field[1]]);
            field.copy_from_slice(&checksum::update_u16(before, old, new).to_be_bytes());
        }
    } else if headers.is_ipv6() {
        let new = old & 0xf03f | u16::from(dscp) << 6;
        header[..2].copy_from_slice(&new.to_be_bytes());
    }
}
