//! What a user says of a firewall, and what is made of it.

use super::rules::{self, Action, Format, RuleSet, RulesError, RulesErrors};
use crate::conntrack::{self, Settings, Tracking};
use engine::{Affinity, ConfigError, Effects, Site, StateKind};
use schemars::JsonSchema;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{self, SeqAccess};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use tables::classifier::{Classifier, PortRange, Rule as Term, VlanMatch};
use wire::{Field, Fields};

/// Configuration of [`super::Firewall`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The rules, in order: the name of a file, or the rules themselves.
    pub rules: Source,
    /// What becomes of IP packets that no rule matches.
    #[serde(default = "deny")]
    pub default: Policy,
    /// What becomes of frames that are not IP, such as ARP: no rule is asked about them.
    #[serde(default = "allow")]
    pub non_ip: Policy,
    /// What becomes of packets whose headers are broken or cut off.
    #[serde(default)]
    pub malformed: Malformed,
    /// What becomes of fragments after the first, which have no ports.
    #[serde(default)]
    pub fragments: Fragments,
    /// What a rule of a ClassBench file does, as such rules have no action of their own; `allow` if not said.
    #[serde(default)]
    pub classbench_action: Option<Policy>,
    /// How connections are tracked, if a rule asks for `ct state`; as it is if not said.
    #[serde(default)]
    pub tracking: Option<Tracking>,
}

/// Where rules come from.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Source {
    /// A rule file.
    File(String),
    /// Rules, one a string.
    Inline(Vec<String>),
}

/// By hand, as the derived one only says that no variant matched.
impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Source, D::Error> {
        from.deserialize_any(Either)
    }
}

struct Either;

impl<'de> de::Visitor<'de> for Either {
    type Value = Source;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path of a rule file, or a list of rules")
    }

    fn visit_str<E: de::Error>(self, path: &str) -> Result<Source, E> {
        Ok(Source::File(path.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, rules: A) -> Result<Source, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(rules)).map(Source::Inline)
    }
}

/// To allow or to deny.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// They go on.
    Allow,
    /// They are dropped.
    Deny,
}

fn allow() -> Policy {
    Policy::Allow
}

fn deny() -> Policy {
    Policy::Deny
}

/// What becomes of packets whose headers are broken or cut off.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Malformed {
    /// They are dropped, counted by what is wrong with them.
    #[default]
    Drop,
    /// The rules judge them by what is there: what is not there matches no rule that asks for it.
    Pass,
}

/// What becomes of fragments after the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fragments {
    /// The rules judge them: rules that ask for ports, flags or ICMP types do not match them.
    #[default]
    Rules,
    /// They are dropped.
    Drop,
}

/// A configuration that was read and compiled.
pub struct Plan {
    pub(super) rules: RuleSet,
    pub(super) classifier: Classifier,
    /// The rule that each term of the classifier belongs to, and what it does.
    pub(super) terms: Box<[(u32, Action)]>,
    pub(super) default: Action,
    pub(super) non_ip: Action,
    pub(super) malformed: Malformed,
    pub(super) fragments: Fragments,
    /// `None` while no rule asks for the state of connections: then none are tracked.
    pub(super) tracking: Option<Settings>,
    pub(super) effects: Effects,
}

impl Policy {
    fn action(self) -> Action {
        match self {
            Policy::Allow => Action::Allow,
            Policy::Deny => Action::Deny,
        }
    }
}

impl Plan {
    pub(super) fn new(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        let rules = read(&config.rules, site)?;
        let action_of_all = match (rules.format, config.classbench_action) {
            (Format::ClassBench, None) => Some(Action::Allow),
            (Format::Braid, Some(_)) => {
                let message =
                    "the rules are not ClassBench filters, and say themselves what becomes of packets";
                return Err(ConfigError::at("classbench_action", message).help("leave it out"));
            }
            (_, policy) => policy.map(Policy::action),
        };
        let tracking = match (rules.ask_states(), &config.tracking) {
            (true, tracking) => Some(Settings::new(&tracking.clone().unwrap_or_default())?),
            (false, None) => None,
            (false, Some(_)) => {
                let message = "no rule asks for the state of connections, so none are tracked";
                let help = "leave it out, or write a rule such as 'allow ct state established,related'";
                return Err(ConfigError::at("tracking", message).help(help));
            }
        };
        let mut compiled: Vec<Term> = Vec::new();
        let mut terms = Vec::new();
        for (number, rule) in (0u32..).zip(&rules.rules) {
            let action = rule.action.or(action_of_all).unwrap_or(Action::Deny);
            compiled.extend(&rule.terms);
            terms.resize(compiled.len(), (number, action));
        }
        Ok(Plan {
            classifier: Classifier::build(&compiled),
            effects: effects(&compiled, config.malformed, tracking.is_some()),
            rules,
            terms: terms.into(),
            default: config.default.action(),
            non_ip: config.non_ip.action(),
            malformed: config.malformed,
            fragments: config.fragments,
            tracking,
        })
    }

    /// What the rules do to a packet whose first match is this term, which may be none.
    #[inline]
    pub(super) fn action(&self, term: u32) -> Action {
        self.terms.get(term as usize).map_or(self.default, |(_, action)| *action)
    }
}

fn read(source: &Source, site: &Site) -> Result<RuleSet, ConfigError> {
    match source {
        Source::File(written) => {
            let path = site.path(written);
            rules::parse_file(&path).map_err(|errors| {
                let name = path.display().to_string();
                of_rules(&errors, &name, |error| match error.line {
                    0 => ConfigError::at("rules", error.to_string()),
                    _ => ConfigError::at("rules", format!("{name}:{error}")),
                })
            })
        }
        Source::Inline(lines) => {
            if let Some(line) = lines.iter().find(|line| line.contains('\n')) {
                let message = format!("the rule '{}' has more than one line", line.trim());
                return Err(ConfigError::at("rules", message).help("write one rule per string"));
            }
            rules::parse(&lines.join("\n")).map_err(|errors| {
                of_rules(&errors, "the list", |RulesError { line, column, message, .. }| {
                    let key = format!("rules[{}]", line.saturating_sub(1));
                    ConfigError::at(&key, format!("rule {line}, column {column}: {message}"))
                })
            })
        }
    }
}

/// All mistakes as one error of the configuration; `place` says where one is.
fn of_rules(errors: &RulesErrors, name: &str, place: impl Fn(&RulesError) -> ConfigError) -> ConfigError {
    let mut each = errors.errors.iter().map(|error| match &error.help {
        Some(help) => place(error).help(help),
        None => place(error),
    });
    let first = each.next().unwrap_or_else(|| ConfigError::at("rules", "no rules"));
    let all = each.fold(first, ConfigError::and);
    match errors.more {
        0 => all,
        more => all.and(ConfigError::at("rules", format!("{more} more rules of {name} are wrong"))),
    }
}

/// The fields by which headers are found, and those that at least one rule asks for; with all that connections are
/// known by, if one asks for their state.
fn effects(terms: &[Term], malformed: Malformed, tracks: bool) -> Effects {
    let mut reads = Fields::of(&[
        Field::EtherType,
        Field::Vlan,
        Field::IpVersion,
        Field::IpProto,
        Field::IpFragment,
        Field::IpOptions,
        Field::IpLength,
        Field::Length,
    ]);
    if malformed == Malformed::Drop {
        // Lengths that do not fit each other make a packet malformed.
        reads = reads.with(Field::L4Length).with(Field::TcpOptions);
    }
    for term in terms {
        let asks = [
            (term.source.is_some(), Field::IpSrc),
            (term.destination.is_some(), Field::IpDst),
            (term.source_port != PortRange::ANY, Field::Sport),
            (term.destination_port != PortRange::ANY, Field::Dport),
            (term.tcp_flags.mask != 0, Field::TcpFlags),
            (term.icmp.is_some(), Field::IcmpType),
            (term.vlan != VlanMatch::Any, Field::Vlan),
        ];
        reads =
            asks.into_iter().filter(|(asked, _)| *asked).fold(reads, |reads, (_, field)| reads.with(field));
    }
    let effects = Effects { reads, may_drop: true, state: StateKind::Report, ..Effects::NONE };
    if !tracks {
        return effects;
    }
    Effects {
        reads: reads.union(conntrack::READS),
        state: StateKind::Learns,
        affinity: Affinity::Flow,
        ..effects
    }
}
