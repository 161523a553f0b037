//! What a user says of an NF behind ports, and what is made of it.

use super::fields;
use super::identity::Identity;
use super::merge::{CHECKSUMS, MAX_BRANCHES};
use super::mirror::Numbers;
use crate::Span;
use engine::{Affinity, ConfigError, Door, Doorway, Effects, Site, StateKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use wire::{Field, Fields};

/// Most packets in flight: no more than can leave in one go.
const MOST_IN_FLIGHT: u32 = 8000;

/// Configuration of [`super::External`].
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Both ends of the way through the NF, or one of them, the other being on another server.
    #[serde(default)]
    pub role: Role,
    /// The port by which packets go to it.
    #[serde(default)]
    pub out: Option<String>,
    /// The port by which they come back.
    #[serde(default, rename = "in")]
    pub back: Option<String>,
    /// The fields that it may write; if not said: all.
    #[serde(default)]
    pub writes: Option<Vec<String>>,
    /// The fields that it reads; if not said: all.
    #[serde(default)]
    pub reads: Option<Vec<String>>,
    /// Whether it may drop packets.
    #[serde(default = "yes")]
    pub drops: bool,
    /// Whether it may send packets of its own; else what cannot be identified is dropped.
    #[serde(default = "yes")]
    pub creates: bool,
    /// Whether it may insert or remove bytes.
    #[serde(default)]
    pub changes_length: bool,
    /// Whether it corrects checksums by what it changes; else it computes them anew.
    #[serde(default = "yes")]
    pub adjusts: bool,
    /// What it remembers of packets.
    #[serde(default)]
    pub state: Remembers,
    /// Whether packets come back in the order in which they went: a gap is then a packet that it dropped, known at once.
    #[serde(default)]
    pub fifo: bool,
    /// Several NFs side by side, in place of `out` and `in`: each gets a copy, and what they made of it is merged.
    #[serde(default)]
    pub branches: Vec<BranchConfig>,
    /// What carries the id of a packet.
    #[serde(default)]
    pub carrier: CarrierChoice,
    /// What becomes of packets that can carry none (ARP and others that are not IP; with `carrier = "id"` also IPv6,
    /// fragments and AH); if not said: they go to the NF all the same, but where there are `branches`.
    #[serde(default)]
    pub unmarked: Option<Unmarked>,
    /// How long an answer may take; an id is used again no sooner.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// What becomes of a packet without an answer.
    #[serde(default)]
    pub on_timeout: OnTimeout,
    /// Most packets in flight at once on a worker, up to 8000.
    #[serde(default = "in_flight")]
    #[schemars(range(min = 1, max = 8000))]
    pub in_flight: u32,
}

/// One of several NFs side by side.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BranchConfig {
    /// The port by which packets go to it.
    pub out: String,
    /// The port by which they come back.
    #[serde(rename = "in")]
    pub back: String,
    /// The fields that it may write; no other branch may write one of them.
    #[serde(default)]
    pub writes: Vec<String>,
    /// Whether it may insert or remove bytes: one branch may.
    #[serde(default)]
    pub changes_length: bool,
    /// Whether packets come back in the order in which they went.
    #[serde(default)]
    pub fifo: bool,
}

/// Which ends of the way through the NF are here.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Packets go out and come back here.
    #[default]
    Both,
    /// A numbered copy goes out, and the numbered packet goes on in its chain.
    Mirror,
    /// Numbered packets of the chain meet their numbered copies, which come in with the other branch's writes.
    Merge,
}

/// What an NF outside remembers of packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Remembers {
    /// Nothing.
    Nothing,
    /// What it reports, which no later packet depends on.
    Reports,
    /// What later packets depend on.
    #[default]
    Learns,
}

/// What carries the id of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CarrierChoice {
    /// The IPv4 identification; where that is in use, and in IPv6, a VLAN tag.
    #[default]
    Auto,
    /// The IPv4 identification alone.
    Id,
    /// A VLAN tag, whatever the packet.
    Vlan,
}

/// What becomes of packets that can carry no id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unmarked {
    /// They go to the NF, of several to the first. What comes back goes on as if the NF had made it.
    Send,
    /// They are dropped.
    Drop,
    /// They pass the NF by.
    Pass,
}

/// What becomes of a packet without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// It is dropped, as the NF may have done.
    #[default]
    Drop,
    /// It goes on as it was: only where the NF neither drops nor writes.
    Pass,
}

fn yes() -> bool {
    true
}

fn timeout() -> Span {
    Span(Duration::from_millis(20))
}

fn in_flight() -> u32 {
    4096
}

/// A configuration that was checked.
pub struct Plan {
    pub(super) role: Role,
    pub(super) branches: Vec<Branch>,
    pub(super) identity: Identity,
    pub(super) carrier: CarrierChoice,
    pub(super) unmarked: Unmarked,
    pub(super) timeout: Duration,
    pub(super) pass: bool,
    pub(super) creates: bool,
    pub(super) in_flight: u32,
    /// From which a mirror goes on.
    pub(super) numbers: Numbers,
    effects: Effects,
}

/// One NF outside.
pub(super) struct Branch {
    /// Numbers of the ports.
    pub out: Option<u16>,
    pub back: Option<u16>,
    pub writes: Fields,
    pub changes_length: bool,
    pub fifo: bool,
}

impl Config {
    /// Its ports, with the keys that name them.
    pub(super) fn doors(&self) -> Vec<Door> {
        let door = |key: &str, port: &str, way| Door { key: key.to_owned(), port: port.to_owned(), way };
        let out = self.out.iter().map(|port| door("out", port, Doorway::Out));
        let back = self.back.iter().map(|port| door("in", port, Doorway::Back));
        let branches = self.branches.iter().enumerate().flat_map(|(i, branch)| {
            let key = |end: &str| format!("branches[{i}].{end}");
            [door(&key("out"), &branch.out, Doorway::Out), door(&key("in"), &branch.back, Doorway::Back)]
        });
        out.chain(back).chain(branches).collect()
    }

    /// The branches that it has, a single one among them, without port numbers.
    fn branches(&self) -> Result<Vec<Branch>, ConfigError> {
        if self.branches.is_empty() {
            let writes =
                self.writes.as_ref().map_or(Ok(Fields::ALL), |names| fields::parse("writes", names))?;
            let fifo = self.fifo;
            return Ok(vec![Branch {
                out: None,
                back: None,
                writes,
                changes_length: self.changes_length,
                fifo,
            }]);
        }
        let read = |(i, branch): (usize, &BranchConfig)| {
            Ok(Branch {
                out: None,
                back: None,
                writes: fields::parse(&format!("branches[{i}].writes"), &branch.writes)?,
                changes_length: branch.changes_length,
                fifo: branch.fifo,
            })
        };
        self.branches.iter().enumerate().map(read).collect()
    }

    /// That the keys are those of the role.
    fn check_keys(&self) -> Result<(), ConfigError> {
        let of_several = !self.branches.is_empty();
        if of_several {
            for (key, given) in [
                ("out", self.out.is_some()),
                ("in", self.back.is_some()),
                ("writes", self.writes.is_some()),
                ("changes_length", self.changes_length),
                ("fifo", self.fifo),
            ] {
                if given {
                    return Err(ConfigError::at(key, format!("'{key}' stands beside 'branches'"))
                        .help("say it of each branch"));
                }
            }
            if self.branches.len() == 1 || self.branches.len() > MAX_BRANCHES {
                let message = format!("{} branches are not 2 to {MAX_BRANCHES}", self.branches.len());
                return Err(ConfigError::at("branches", message)
                    .help("write one NF as 'out' and 'in' without branches"));
            }
        }
        let wants = |key: &'static str, here: bool, needed: bool| match (here, needed) {
            (false, true) => Err(ConfigError::at(key, format!("'{key}' is missing"))
                .help("name the port, as in out = \"to_ns\" and in = \"from_ns\"")),
            (true, false) => Err(ConfigError::at(key, format!("'{key}' has no meaning in this role"))
                .help("a mirror has 'out' alone, a merge 'in' alone")),
            _ => Ok(()),
        };
        wants("out", self.out.is_some(), self.role != Role::Merge && !of_several)?;
        wants("in", self.back.is_some(), self.role != Role::Mirror && !of_several)?;
        if self.role == Role::Both {
            return Ok(());
        }
        for (key, given, why) in [
            ("branches", of_several, "each role of two servers has one branch outside"),
            ("fifo", self.fifo, "two servers know time-outs alone"),
            (
                "changes_length",
                self.changes_length,
                "let such an NF stand before the mirror or after the merge",
            ),
            ("carrier", self.carrier == CarrierChoice::Id, "between servers a packet carries two VLAN tags"),
        ] {
            if given {
                let message = format!("'{key}' does not go with this role");
                return Err(ConfigError::at(key, message).help(why));
            }
        }
        if self.role == Role::Merge && self.writes.is_none() {
            let message = "a merge has to know what the other branch writes";
            return Err(ConfigError::at("writes", message).help("list the fields: they are taken from there"));
        }
        Ok(())
    }

    fn effects(&self, branches: &[Branch]) -> Result<Effects, ConfigError> {
        let reads = self.reads.as_ref().map_or(Ok(Fields::ALL), |names| fields::parse("reads", names))?;
        let written = branches.iter().fold(Fields::EMPTY, |all, branch| all.union(branch.writes));
        let changes_length = branches.iter().any(|branch| branch.changes_length);
        let state = match self.state {
            Remembers::Nothing => StateKind::None,
            Remembers::Reports => StateKind::Report,
            Remembers::Learns => StateKind::Learns,
        };
        let sums = if written.is_empty() { Fields::EMPTY } else { CHECKSUMS };
        let effects = Effects {
            reads,
            writes: written.union(sums),
            adjusts: if self.adjusts { sums } else { Fields::EMPTY },
            changes_length,
            may_drop: true,
            may_create: true,
            holds: true,
            state,
            affinity: Affinity::One,
        };
        let tags = Fields::of(&[Field::Vlan, Field::VlanPriority, Field::Length]);
        Ok(match self.role {
            Role::Both => effects,
            Role::Mirror => Effects {
                reads: tags.with(Field::EtherType),
                writes: tags,
                adjusts: Fields::EMPTY,
                changes_length: true,
                holds: false,
                state: StateKind::None,
                affinity: Affinity::Any,
                ..effects
            },
            Role::Merge => Effects { writes: effects.writes.union(tags), changes_length: true, ..effects },
        })
    }
}

impl Plan {
    pub(super) fn new(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        config.check_keys()?;
        let mut branches = config.branches()?;
        check_disjoint(&branches)?;
        let written = branches.iter().fold(Fields::EMPTY, |all, branch| all.union(branch.writes));
        let changes_length = branches.iter().any(|branch| branch.changes_length);
        let pass = config.on_timeout == OnTimeout::Pass;
        if pass && (config.drops || !written.is_empty() || changes_length) {
            let message = "'pass' would let through what the NF drops or writes";
            return Err(ConfigError::at("on_timeout", message).help(
                "write on_timeout = \"drop\", or drops = false and writes = [] of an NF that only looks on",
            ));
        }
        if config.timeout.0.is_zero() {
            return Err(ConfigError::at("timeout", "no answer comes at once").help("write \"20ms\""));
        }
        if !(1..=MOST_IN_FLIGHT).contains(&config.in_flight) {
            let message = format!("{} packets in flight are not 1 to {MOST_IN_FLIGHT}", config.in_flight);
            return Err(ConfigError::at("in_flight", message).help("leave it out for 4096"));
        }
        let number = |key: &str, name: &str| {
            let unknown = || ConfigError::at(key, format!("there is no port '{name}'"));
            site.port(name).ok_or_else(unknown)
        };
        for (i, branch) in branches.iter_mut().enumerate() {
            let (out, back) = match config.branches.get(i) {
                Some(named) => (Some(&named.out), Some(&named.back)),
                None => (config.out.as_ref(), config.back.as_ref()),
            };
            branch.out = out.map(|name| number("out", name)).transpose()?;
            branch.back = back.map(|name| number("in", name)).transpose()?;
        }
        let unmarked = match config.unmarked {
            Some(unmarked) => unmarked,
            None if branches.len() == 1 => Unmarked::Send,
            None => Unmarked::Drop,
        };
        Ok(Plan {
            role: config.role,
            identity: Identity::of(written, changes_length),
            carrier: config.carrier,
            unmarked,
            timeout: config.timeout.0,
            pass,
            creates: config.creates,
            in_flight: config.in_flight,
            numbers: Numbers::default(),
            effects: config.effects(&branches)?,
            branches,
        })
    }

    pub(super) fn effects(&self) -> Effects {
        self.effects
    }

    /// Whether packets in flight under `other` can be answered under this one.
    pub(super) fn goes_on_from(&self, other: &Plan) -> bool {
        self.role == other.role
            && self.branches.len() == other.branches.len()
            && self.in_flight == other.in_flight
            && self.identity == other.identity
    }
}

/// Branches side by side write different fields, and one of them may change the length.
fn check_disjoint(branches: &[Branch]) -> Result<(), ConfigError> {
    for (i, branch) in branches.iter().enumerate() {
        for (j, other) in branches[..i].iter().enumerate() {
            let both = branch.writes.intersection(other.writes).without(CHECKSUMS);
            if !both.is_empty() {
                return Err(ConfigError::at("branches", format!("branches {j} and {i} both write {both}"))
                    .help("run them one after the other, as two NFs of the chain"));
            }
            if branch.changes_length && other.changes_length {
                return Err(ConfigError::at(
                    "branches",
                    format!("branches {j} and {i} both change the length"),
                )
                .help("run them one after the other, as two NFs of the chain"));
            }
        }
    }
    Ok(())
}
