//! What a user says of a bad network, and what is made of it.

use super::random::{Chance, Distribution};
use crate::{Rate, Span};
use engine::{Affinity, ConfigError, Effects, Site, StateKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wire::{Field, Fields};

/// Configuration of [`super::Netem`]. Everything is off unless it is said. Probabilities are in percent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How long packets are on their way.
    pub delay: Span,
    /// How far delays lie around `delay`.
    pub jitter: Span,
    /// How they lie around it.
    pub distribution: Distribution,
    /// How often a packet has the delay of the one before it.
    pub delay_correlation: f64,
    /// Packets leave in the order in which they came, whatever their delays: a packet waits for those before it.
    pub in_order: bool,
    /// How many packets skip the delay, and so overtake others.
    pub reorder: f64,
    /// How often a packet draws the same chance to overtake as the one before it.
    pub reorder_correlation: f64,
    /// After one that overtook, so many packets less one do not.
    pub gap: u32,
    /// How many packets are lost.
    pub loss: f64,
    /// How often a packet draws the same chance to be lost as the one before it.
    pub loss_correlation: f64,
    /// Losses in bursts, in place of `loss`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gilbert_elliott: Option<GilbertElliott>,
    /// How many packets come twice.
    pub duplicate: f64,
    /// How often a packet draws the same chance to come twice as the one before it.
    pub duplicate_correlation: f64,
    /// How many packets have a bit changed, among their first 256 bytes.
    pub corrupt: f64,
    /// How often a packet draws the same chance to be changed as the one before it.
    pub corrupt_correlation: f64,
    /// The speed of the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Bytes that each frame takes on the link beyond its own; 24 for Ethernet's preamble, checksum and gap.
    pub overhead: u16,
    /// How many packets each worker holds at most; more are dropped.
    pub limit: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            delay: Span::seconds(0),
            jitter: Span::seconds(0),
            distribution: Distribution::Uniform,
            delay_correlation: 0.0,
            in_order: false,
            reorder: 0.0,
            reorder_correlation: 0.0,
            gap: 1,
            loss: 0.0,
            loss_correlation: 0.0,
            gilbert_elliott: None,
            duplicate: 0.0,
            duplicate_correlation: 0.0,
            corrupt: 0.0,
            corrupt_correlation: 0.0,
            rate: None,
            overhead: 0,
            limit: 1000,
        }
    }
}

/// A channel with a good and a bad state (Gilbert 1960, Elliott 1963). Before each packet it may change; then the
/// packet is lost with the probability of the state. All in percent.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GilbertElliott {
    /// From good to bad (p).
    pub to_bad: f64,
    /// From bad to good (r).
    pub to_good: f64,
    /// Loss in the bad state (1 - h).
    #[serde(default = "always")]
    pub loss_in_bad: f64,
    /// Loss in the good state (1 - k).
    #[serde(default)]
    pub loss_in_good: f64,
}

fn always() -> f64 {
    100.0
}

/// Limits up to this.
const MOST_HELD: usize = 1 << 20;
/// Delays and jitters up to this many seconds.
const LONGEST: u64 = 3_600;

/// A probability, and how often the draw for it is the one before it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Odds {
    pub chance: Chance,
    pub correlation: Chance,
}

/// A configuration that was checked, as the fast path wants it. Times in nanoseconds.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Settings {
    pub config: Config,
    pub delay: f64,
    pub jitter: f64,
    pub delay_correlation: Chance,
    pub reorder: Odds,
    pub loss: Odds,
    pub bursts: Option<Bursts>,
    pub duplicate: Odds,
    pub corrupt: Odds,
}

/// [`GilbertElliott`], as the fast path wants it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Bursts {
    pub to_bad: Chance,
    pub to_good: Chance,
    pub loss_in_bad: Chance,
    pub loss_in_good: Chance,
}

impl Settings {
    /// # Errors
    /// Values that cannot be, and such that do nothing.
    pub(super) fn new(config: &Config) -> Result<Settings, ConfigError> {
        let bursts = match &config.gilbert_elliott {
            None => None,
            Some(_) if config.loss > 0.0 => {
                return Err(ConfigError::at("loss", "'loss' and 'gilbert_elliott' both say what is lost")
                    .help("leave one of them out"));
            }
            Some(channel) => Some(Bursts {
                to_bad: percent("gilbert_elliott", "to_bad", channel.to_bad)?,
                to_good: percent("gilbert_elliott", "to_good", channel.to_good)?,
                loss_in_bad: percent("gilbert_elliott", "loss_in_bad", channel.loss_in_bad)?,
                loss_in_good: percent("gilbert_elliott", "loss_in_good", channel.loss_in_good)?,
            }),
        };
        for (key, span) in [("delay", config.delay), ("jitter", config.jitter)] {
            if span > Span::seconds(LONGEST) {
                return Err(ConfigError::at(key, format!("'{key}' of {span} is more than an hour")));
            }
        }
        let settings = Settings {
            delay: config.delay.as_nanos() as f64,
            jitter: config.jitter.as_nanos() as f64,
            delay_correlation: percent("delay_correlation", "delay_correlation", config.delay_correlation)?,
            reorder: odds(["reorder", "reorder_correlation"], config.reorder, config.reorder_correlation)?,
            loss: odds(["loss", "loss_correlation"], config.loss, config.loss_correlation)?,
            bursts,
            duplicate: odds(
                ["duplicate", "duplicate_correlation"],
                config.duplicate,
                config.duplicate_correlation,
            )?,
            corrupt: odds(["corrupt", "corrupt_correlation"], config.corrupt, config.corrupt_correlation)?,
            config: config.clone(),
        };
        if config.reorder > 0.0 && config.delay == Span::seconds(0) {
            return Err(ConfigError::at("reorder", "without a delay no packet can overtake another")
                .help("give a 'delay' too"));
        }
        if config.reorder > 0.0 && config.in_order {
            return Err(ConfigError::at(
                "in_order",
                "'in_order' keeps packets from overtaking, which 'reorder' asks for",
            )
            .help("leave one of them out"));
        }
        if config.gap == 0 {
            return Err(ConfigError::at("gap", "'gap' is 0").help("1 lets every packet overtake that may"));
        }
        if !(1..=MOST_HELD).contains(&config.limit) {
            let message = format!("a limit of {} is not from 1 to {MOST_HELD}", config.limit);
            return Err(ConfigError::at("limit", message));
        }
        Ok(settings)
    }

    /// Whether packets are held at all.
    pub(super) fn holds(&self) -> bool {
        self.delay > 0.0 || self.jitter > 0.0 || self.config.rate.is_some()
    }

    pub(super) fn effects(&self) -> Effects {
        let sized = self.config.rate.is_some() || !self.corrupt.chance.is_none();
        Effects {
            reads: if sized { Fields::of(&[Field::Length]) } else { Fields::EMPTY },
            writes: if self.corrupt.chance.is_none() { Fields::EMPTY } else { Fields::ALL },
            may_drop: !self.loss.chance.is_none() || self.bursts.is_some() || self.holds(),
            may_create: !self.duplicate.chance.is_none(),
            holds: self.holds(),
            state: StateKind::Learns,
            // A link of some speed is one link.
            affinity: if self.config.rate.is_some() { Affinity::One } else { Affinity::Any },
            ..Effects::NONE
        }
    }
}

fn odds([key, of]: [&str; 2], chance: f64, correlation: f64) -> Result<Odds, ConfigError> {
    Ok(Odds { chance: percent(key, key, chance)?, correlation: percent(of, of, correlation)? })
}

fn percent(key: &str, name: &str, value: f64) -> Result<Chance, ConfigError> {
    if (0.0..=100.0).contains(&value) {
        return Ok(Chance::of_percent(value));
    }
    Err(ConfigError::at(key, format!("'{name}' is {value}")).help("write a percentage from 0 to 100"))
}

/// What all workers share.
pub struct Plan {
    pub(super) settings: Settings,
    /// Of the NF's name, so that two of them do not lose the same packets.
    pub(super) salt: u64,
}

impl Plan {
    pub(super) fn new(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        // FNV-1a.
        let salt = site.name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Ok(Plan { settings: Settings::new(config)?, salt })
    }
}
