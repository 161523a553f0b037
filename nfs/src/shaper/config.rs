//! What a user says of a shaper.

use super::dscp::Dscp;
use crate::Rate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;

/// Configuration of [`super::Shaper`]. Rates and bursts are those of all workers together.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What all packets together never exceed; left out: only the classes have limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// How many bytes may go at once; left out: 10 ms of the rate, at least 10 000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// Bytes that each frame counts beyond its own; 24 for Ethernet's preamble, checksum and gap.
    pub overhead: u16,
    /// One worker does all the work and has the whole budget, instead of all of them with a part each.
    pub one_worker: bool,
    /// The class of packets that match none; left out: they pass, and nothing counts them but a counter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Classes; a packet belongs to the first one without children that it matches.
    pub class: Vec<ClassConfig>,
}

/// A class of packets, or of other classes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassConfig {
    /// Its name.
    pub name: String,
    /// The class that it is a part of, which stands before it; left out: of the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The packets that belong to it, in the language of chains.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matcher: Option<String>,
    /// Code points of packets that belong to it. With `match`, both have to hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dscp: Vec<Dscp>,
    /// What it always has; left out: only what others leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// What it never exceeds, with what it borrows; left out: its rate, or without a rate what its parent has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceil: Option<Rate>,
    /// How many bytes may go at once; left out: 10 ms of the rate and of the ceiling, at least 10 000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// 0 (first) to 7.
    #[serde(default)]
    pub priority: u8,
    /// Bytes per turn among classes of the same priority; left out: 10 ms of the rate, from 1 514 to 60 000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantum: Option<u32>,
    /// How many packets may wait; 0: what cannot go at once is dropped.
    #[serde(default = "queue")]
    pub queue: usize,
    /// The code point that its packets get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Dscp>,
    /// A meter before the queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub police: Option<Police>,
}

fn queue() -> usize {
    1000
}

/// A marker with three colors: with `ebs` that of one rate (RFC 2697), with `pir` and `pbs` that of two (RFC 2698).
/// It counts IP packets without their link header.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Police {
    /// Committed information rate.
    pub cir: Rate,
    /// Committed burst size, in bytes.
    pub cbs: u64,
    /// Excess burst size, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ebs: Option<u64>,
    /// Peak information rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pir: Option<Rate>,
    /// Peak burst size, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pbs: Option<u64>,
    /// Packets come with a color: that of their drop precedence (AF12 is yellow, AF13 red).
    #[serde(default)]
    pub color_aware: bool,
    /// What becomes of green packets.
    #[serde(default)]
    pub green: Treatment,
    /// What becomes of yellow packets.
    #[serde(default)]
    pub yellow: Treatment,
    /// What becomes of red packets.
    #[serde(default = "drop")]
    pub red: Treatment,
}

fn drop() -> Treatment {
    Treatment::Drop
}

/// What becomes of a packet of some color.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Treatment {
    /// It goes on.
    #[default]
    Pass,
    /// It is dropped.
    Drop,
    /// It goes on with this code point.
    Mark(Dscp),
}

impl Serialize for Treatment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Treatment::Pass => serializer.serialize_str("pass"),
            Treatment::Drop => serializer.serialize_str("drop"),
            Treatment::Mark(dscp) => serializer.collect_str(dscp),
        }
    }
}

impl<'de> Deserialize<'de> for Treatment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Treatment, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let dscp = || Dscp::named(&text).or_else(|| Dscp::new(text.parse().ok()?));
        match &*text {
            "pass" => Ok(Treatment::Pass),
            "drop" => Ok(Treatment::Drop),
            _ => dscp().map(Treatment::Mark).ok_or_else(|| {
                de::Error::custom(format!(
                    "'{text}' is neither \"pass\", \"drop\" nor a code point like \"af12\""
                ))
            }),
        }
    }
}

impl JsonSchema for Treatment {
    fn schema_name() -> Cow<'static, str> {
        "Treatment".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "pass, drop, or the code point to go on with: af12, 12.",
        })
    }
}
