//! Which flows have priority, and what is promised to them.

use crate::shaper::Dscp;
use crate::smart::flows::check_table;
use crate::smart::marks::Marks;
use crate::{Rate, Span};
use engine::{ConfigError, Site};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tables::expression::Expression;
use wire::{Fields, Headers};

/// Configuration of [`super::Breakpoint`]. The chain has two destinations: the usual one, and the alternative.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The marks of priority flows, and the limits at which somebody is told. Packets without one of these marks pass.
    pub class: Vec<ClassConfig>,
    /// Priority flows that go both ways from their first packet on: an expression as in `match` of a chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicate: Option<String>,
    /// Which packets carry a number.
    #[serde(default)]
    pub number: Number,
    /// The longest IP packet, with its number.
    #[serde(default = "mtu")]
    pub mtu: u16,
    /// Priority flows that are known at once, on each worker.
    #[serde(default = "capacity")]
    pub capacity: usize,
    /// A flow is forgotten, and its orders, when it was quiet for so long.
    #[serde(default = "idle")]
    pub idle: Span,
}

/// Flows with one mark.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassConfig {
    /// The code point of their packets.
    pub mark: Dscp,
    /// The hard limit of a flow's age.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// The hard limit of a flow's rate, which is looked at ten times a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// So many bytes make a large flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The soft limits: this part of the deadline; the rate divided by it.
    #[serde(default = "soft")]
    pub soft: f64,
}

/// Which packets carry a number for the merge.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Number {
    /// Those of UDP flows from their first order on. TCP has its own.
    #[default]
    Needed,
    /// Those of all priority flows from their first packet on.
    Always,
}

fn mtu() -> u16 {
    1500
}

fn capacity() -> usize {
    4096
}

fn idle() -> Span {
    Span::seconds(30)
}

fn soft() -> f64 {
    0.8
}

/// A configuration that was checked.
pub struct Plan {
    pub(super) marks: Marks,
    /// By code point: its class.
    by_mark: [Option<u8>; 64],
    pub(super) classes: Vec<Class>,
    replicate: Option<Expression>,
    pub(super) reads: Fields,
    pub(super) always: bool,
    /// There is a second destination.
    pub(super) alternative: bool,
    pub(super) mtu: usize,
    pub(super) capacity: usize,
    pub(super) idle: Span,
}

/// Limits: nanoseconds, bits per second, bytes. One that is not there is never met.
pub(super) struct Class {
    pub deadline: u64,
    pub soft_deadline: u64,
    pub rate: u64,
    pub soft_rate: u64,
    pub bytes: u64,
}

impl Plan {
    /// # Errors
    /// Classes that cannot be told apart or promise nothing that can be, and a chain with one destination.
    pub(super) fn new(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        check_table(config.capacity, config.idle)?;
        let alternative = site.gates.len() > 1;
        if !alternative && config.replicate.is_some() {
            let message = "nothing can be replicated: the chain has one destination, and no alternative";
            return Err(
                ConfigError::at("replicate", message).help("give it two: to = [\"usual\", \"alternative\"]")
            );
        }
        if config.class.is_empty() {
            return Err(ConfigError::at("class", "there is no class: no flow has priority")
                .help("write the mark of one: class = [{ mark = \"ef\" }]"));
        }
        let mut by_mark = [None; 64];
        let mut classes = Vec::new();
        for (n, class) in config.class.iter().enumerate() {
            let at = |message: String| ConfigError::at(&format!("class[{n}]"), message);
            let mark = usize::from(class.mark.number() & 63);
            if by_mark[mark].is_some() {
                return Err(at(format!("there is another class with the mark {}", class.mark)));
            }
            if !(class.soft > 0.0 && class.soft <= 1.0) {
                return Err(
                    at(format!("'soft' is {}", class.soft)).help("write a part of the hard limits: 0.8")
                );
            }
            // At most 64 marks.
            by_mark[mark] = Some(n as u8);
            classes.push(Class::new(class));
        }
        let replicate = config.replicate.as_deref().map(Expression::parse).transpose().map_err(|error| {
            let wrong = ConfigError::at("replicate", error.to_string());
            match error.help {
                Some(help) => wrong.help(help),
                None => wrong,
            }
        })?;
        Ok(Plan {
            marks: config.class.iter().map(|class| class.mark).collect(),
            by_mark,
            classes,
            reads: replicate.as_ref().map_or(Fields::EMPTY, Expression::reads),
            replicate,
            alternative,
            always: config.number == Number::Always,
            mtu: config.mtu.into(),
            capacity: config.capacity,
            idle: config.idle,
        })
    }

    #[inline]
    pub(super) fn class(&self, mark: u8) -> Option<&Class> {
        let number = self.by_mark[usize::from(mark & 63)]?;
        self.classes.get(usize::from(number))
    }

    #[inline]
    pub(super) fn replicates(&self, frame: &[u8], length: usize, headers: &Headers) -> bool {
        self.replicate.as_ref().is_some_and(|matcher| matcher.matches_with_len(frame, length, headers))
    }
}

impl Class {
    fn new(class: &ClassConfig) -> Class {
        let deadline = class.deadline.map_or(u64::MAX, Span::as_nanos);
        let rate = class.rate.map_or(0, Rate::bits);
        Class {
            deadline,
            soft_deadline: class.deadline.map_or(u64::MAX, |_| (deadline as f64 * class.soft) as u64),
            rate,
            soft_rate: (rate as f64 / class.soft) as u64,
            bytes: class.bytes.unwrap_or(u64::MAX),
        }
    }
}
