//! Which flows are merged, how long packets wait, and how many.

use crate::Span;
use crate::shaper::Dscp;
use crate::smart::flows::check_table;
use crate::smart::marks::Marks;
use engine::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Most packets held: no more than can leave in one go.
const MOST_HELD: usize = 8000;
/// Most packets that are remembered of a flow.
const MOST_REMEMBERED: usize = 4096;
/// Most places for packets that are remembered of all flows: 1 GiB.
const MOST_PLACES: usize = 1 << 26;

/// Configuration of [`super::Merge`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The marks of the flows that are merged. Packets without one of them pass.
    pub marks: Vec<Dscp>,
    /// How long a packet waits for those before it.
    #[serde(default = "hold")]
    pub hold: Span,
    /// How much later than the first copy of a packet the second one comes at the most.
    #[serde(default = "skew")]
    pub skew: Span,
    /// Packets that are held at once, on each worker.
    #[serde(default = "held")]
    #[schemars(range(min = 1, max = 8000))]
    pub held: usize,
    /// Packets that are held of one flow.
    #[serde(default = "held_per_flow")]
    pub held_per_flow: usize,
    /// Packets of a flow that are remembered, so that copies of them are known.
    #[serde(default = "remembered")]
    #[schemars(range(min = 1, max = 4096))]
    pub remembered: usize,
    /// Whether marks end here: packets leave with code point 0.
    #[serde(default)]
    pub clear: bool,
    /// Flows that are known at once, on each worker.
    #[serde(default = "capacity")]
    pub capacity: usize,
    /// A flow is forgotten when it was quiet for so long.
    #[serde(default = "idle")]
    pub idle: Span,
}

fn hold() -> Span {
    Span(Duration::from_millis(20))
}

fn skew() -> Span {
    Span(Duration::from_millis(200))
}

fn held() -> usize {
    4096
}

fn held_per_flow() -> usize {
    512
}

fn remembered() -> usize {
    256
}

fn capacity() -> usize {
    4096
}

fn idle() -> Span {
    Span::seconds(30)
}

/// A configuration that was checked.
pub struct Plan {
    pub(super) marks: Marks,
    pub(super) hold: Duration,
    /// In nanoseconds.
    pub(super) skew: u64,
    pub(super) held: usize,
    pub(super) held_per_flow: u32,
    pub(super) remembered: usize,
    pub(super) clear: bool,
    pub(super) capacity: usize,
    pub(super) idle: Span,
}

impl Plan {
    /// # Errors
    /// Bounds that cannot be.
    pub(super) fn new(config: &Config) -> Result<Plan, ConfigError> {
        check_table(config.capacity, config.idle)?;
        if config.marks.is_empty() {
            return Err(ConfigError::at("marks", "there are no marks: no flow would be merged")
                .help("write those of the tagger: marks = [\"ef\"]"));
        }
        for (key, value, most) in [
            ("held", config.held, MOST_HELD),
            ("held_per_flow", config.held_per_flow, MOST_HELD),
            ("remembered", config.remembered, MOST_REMEMBERED),
        ] {
            if !(1..=most).contains(&value) {
                return Err(ConfigError::at(key, format!("'{key}' is {value}"))
                    .help(format!("write a number of packets from 1 to {most}")));
            }
        }
        if config.capacity * config.remembered > MOST_PLACES {
            let places = config.capacity * config.remembered;
            return Err(ConfigError::at(
                "remembered",
                format!("{places} packets would be remembered, 'remembered' of 'capacity' flows"),
            )
            .help(format!("choose them so that it is at most {MOST_PLACES}")));
        }
        if config.hold >= config.idle {
            return Err(ConfigError::at("hold", format!("'hold' of {} is not below 'idle'", config.hold))
                .help("a flow whose packets are held is not to be forgotten"));
        }
        Ok(Plan {
            marks: config.marks.iter().copied().collect(),
            hold: config.hold.0,
            skew: config.skew.as_nanos(),
            held: config.held,
            held_per_flow: config.held_per_flow as u32,
            remembered: config.remembered,
            clear: config.clear,
            capacity: config.capacity,
            idle: config.idle,
        })
    }
}
