//! What tenants ask for, and what is made of it.

use super::Ticket;
use crate::shaper::{Dscp, dscp};
use crate::smart::flows::check_table;
use crate::smart::marks::Marks;
use crate::{Rate, Span};
use engine::ConfigError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tables::expression::Expression;
use wire::{Fields, Headers};

/// Rules are numbered by one byte.
const MOST_RULES: usize = 255;
/// Configuration of [`super::Tagger`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The flows that have priority; the first rule that a packet matches decides, those of higher priority first.
    pub rule: Vec<RuleConfig>,
    /// What becomes of the marks of packets that no rule names.
    #[serde(default)]
    pub foreign: Foreign,
    /// Flows that are measured at once, on each worker.
    #[serde(default = "capacity")]
    pub capacity: usize,
    /// A flow is over when it was quiet for so long.
    #[serde(default = "idle")]
    pub idle: Span,
}

/// Flows of a tenant, and what they are promised.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// What it is called.
    pub name: String,
    /// Whose flows they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Which flows: an expression as in `match` of a chain.
    #[serde(rename = "match")]
    pub matches: String,
    /// The code point that their packets get.
    pub mark: Dscp,
    /// Rules of higher priority are asked first.
    #[serde(default)]
    pub priority: u8,
    /// How long a flow may take from its first packet to its last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Span>,
    /// The least throughput.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The most latency: not measured here, but told to who asks for the rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Span>,
}

/// What becomes of marks that the tagger has not set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Foreign {
    /// Packets that no rule names stay as they are.
    #[default]
    Keep,
    /// A mark of one of the rules on them is cleared, so that nobody gets priority by himself.
    Clear,
}

fn capacity() -> usize {
    16_384
}

fn idle() -> Span {
    Span::seconds(30)
}

/// A configuration that was checked.
pub struct Plan {
    pub(super) config: Config,
    /// By priority.
    pub(super) rules: Vec<Rule>,
    pub(super) reads: Fields,
    /// Marks that are cleared on packets of no rule.
    cleared: Marks,
    pub(super) capacity: usize,
    pub(super) idle: Span,
}

/// A rule as the fast path wants it.
pub(super) struct Rule {
    pub name: String,
    /// Of the name.
    pub id: u64,
    matcher: Expression,
    pub mark: u8,
    /// In nanoseconds.
    pub deadline: Option<u64>,
    /// In bits per second.
    pub rate: Option<u64>,
}

impl Plan {
    /// # Errors
    /// Rules that cannot be, and such that do nothing.
    pub(super) fn new(config: &Config) -> Result<Plan, ConfigError> {
        check_table(config.capacity, config.idle)?;
        if config.rule.is_empty() || config.rule.len() > MOST_RULES {
            return Err(ConfigError::at("rule", format!("there are {} rules", config.rule.len()))
                .help(format!("write 1 to {MOST_RULES}")));
        }
        let mut order: Vec<usize> = (0..config.rule.len()).collect();
        order.sort_by_key(|&n| std::cmp::Reverse(config.rule[n].priority));
        let rules =
            order.into_iter().map(|n| Rule::new(&config.rule, n)).collect::<Result<Vec<_>, ConfigError>>()?;
        let cleared = match config.foreign {
            Foreign::Keep => Marks::default(),
            Foreign::Clear => config.rule.iter().map(|rule| rule.mark).collect(),
        };
        Ok(Plan {
            reads: rules.iter().fold(Fields::EMPTY, |reads, rule| reads.union(rule.matcher.reads())),
            rules,
            cleared,
            capacity: config.capacity,
            idle: config.idle,
            config: config.clone(),
        })
    }

    #[inline]
    pub(super) fn ticket(&self, headers: &Headers, frame: &[u8], length: usize) -> Ticket {
        if !headers.is_ip() {
            return Ticket::Nothing;
        }
        let matches = |rule: &Rule| rule.matcher.matches_with_len(frame, length, headers);
        if let Some(number) = self.rules.iter().position(matches) {
            return Ticket::Rule(number as u8);
        }
        if !self.cleared.is_empty() && dscp::read(headers, frame).is_some_and(|mark| self.cleared.has(mark)) {
            return Ticket::Foreign;
        }
        Ticket::Nothing
    }
}

impl Rule {
    fn new(rules: &[RuleConfig], n: usize) -> Result<Rule, ConfigError> {
        let rule = &rules[n];
        let at = |message: String| ConfigError::at(&format!("rule[{n}]"), message);
        if rules[..n].iter().any(|other| other.name == rule.name) {
            return Err(at(format!("there are two rules '{}'", rule.name)));
        }
        if rule.mark.number() == 0 {
            return Err(at("'mark' is 0, which all other packets have too".to_owned())
                .help("write a code point that nobody else uses, like \"ef\" or 46"));
        }
        let matcher = Expression::parse(&rule.matches).map_err(|error| {
            let wrong = at(format!("'match': {error}"));
            match error.help {
                Some(help) => wrong.help(help),
                None => wrong,
            }
        })?;
        // FNV-1a.
        let id = rule.name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Ok(Rule {
            name: rule.name.clone(),
            id,
            matcher,
            mark: rule.mark.number(),
            deadline: rule.deadline.map(Span::as_nanos),
            rate: rule.rate.map(Rate::bits),
        })
    }
}
