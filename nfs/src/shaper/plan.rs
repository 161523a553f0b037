//! What is made of a configuration: the classes as a tree, and the part that each worker has of the budgets.

use super::bucket::{Budget, DEEPEST};
use super::config::{ClassConfig, Config, Police, Treatment};
use super::meter::{Measure, Second};
use super::scheduler::{ClassSpec, DEPTH, LEAVES, LeafSpec, PRIORITIES};
use crate::Rate;
use engine::{Affinity, ConfigError, Effects, Site, StateKind, WorkerSite};
use std::collections::BTreeMap;
use tables::expression::Expression;
use wire::{Field, Fields};

/// A bucket holds at least what its rate gives in so many milliseconds, besides a frame: timers run once a millisecond,
/// and what does not fit in between is lost.
const LEAST_MILLIS: u64 = 2;
/// Bytes of a frame of the usual length.
const FRAME: u64 = 1_514;
/// Bursts that were not said are at least this: a jumbo frame.
const USUAL_BURST: u64 = 10_000;
const QUANTA: (u64, u64) = (FRAME, 60_000);
const MOST_QUEUED: usize = 1 << 20;

/// A class without children, as the fast path wants it.
pub(super) struct LeafPlan {
    pub name: String,
    /// The number of its class.
    pub class: usize,
    pub matcher: Expression,
    /// Code points as a set; all of them when only the expression counts.
    pub dscp: u64,
    /// Whether it takes packets by what they are; else only as the default.
    pub takes: bool,
    pub mark: Option<u8>,
    pub police: Option<PolicePlan>,
}

/// What a meter does.
#[derive(Clone, Copy)]
pub(super) struct PolicePlan {
    pub color_aware: bool,
    /// For green, yellow, red.
    pub treatments: [Treatment; 3],
}

/// What all workers share.
pub struct Plan {
    pub(super) config: Config,
    /// Names of all classes, the whole first.
    pub(super) names: Vec<String>,
    pub(super) leaves: Vec<LeafPlan>,
    /// The leaf of packets that match none.
    pub(super) default: Option<usize>,
    pub(super) effects: Effects,
}

/// The budgets of one worker.
pub(super) struct Share {
    pub classes: Vec<ClassSpec>,
    /// Of each leaf.
    pub meters: Vec<Option<Measure>>,
}

/// An error at a class.
fn at(class: &ClassConfig, message: impl std::fmt::Display) -> ConfigError {
    ConfigError::at("class", format!("class '{}': {message}", class.name))
}

impl Plan {
    pub(super) fn new(config: &Config, site: &Site) -> Result<Plan, ConfigError> {
        let numbers = numbers(config)?;
        let is_parent = |class: &ClassConfig| {
            config.class.iter().any(|other| other.parent.as_deref() == Some(class.name.as_str()))
        };
        let mut leaves = Vec::new();
        for class in &config.class {
            check(class, is_parent(class))?;
            if !is_parent(class) {
                leaves.push(leaf(class, numbers[class.name.as_str()])?);
            }
        }
        if leaves.len() > LEAVES {
            let message = format!("{} classes take packets, more than {LEAVES}", leaves.len());
            return Err(ConfigError::at("class", message));
        }
        let default = match &config.default {
            None => None,
            Some(name) => Some(leaves.iter().position(|leaf| leaf.name == *name).ok_or_else(|| {
                ConfigError::at("default", format!("there is no class '{name}' that takes packets"))
            })?),
        };
        for leaf in &leaves {
            if !leaf.takes && default.is_none_or(|default| leaves[default].name != leaf.name) {
                let message =
                    format!("class '{}' has no 'match' and no 'dscp': nothing comes to it", leaf.name);
                return Err(ConfigError::at("class", message)
                    .help(format!("say which packets belong to it, or write default = \"{}\"", leaf.name)));
            }
        }
        sums(config)?;
        let count = if config.one_worker { 1 } else { site.workers.max(1) };
        // The last has the least, the first the most.
        for index in [count - 1, 0] {
            budgets(config, &Share::new(config, index, count))?;
        }
        let names =
            std::iter::once("all".to_owned()).chain(config.class.iter().map(|class| class.name.clone()));
        Ok(Plan {
            names: names.collect(),
            effects: effects(config, &leaves),
            leaves,
            default,
            config: config.clone(),
        })
    }

    /// What a worker has of the budgets of a configuration with these classes.
    pub(super) fn share(config: &Config, worker: &WorkerSite) -> Share {
        if config.one_worker {
            Share::new(config, 0, 1)
        } else {
            Share::new(config, worker.index, worker.count)
        }
    }
}

/// The number of each class by its name; 0 is the whole.
fn numbers(config: &Config) -> Result<BTreeMap<&str, usize>, ConfigError> {
    let mut numbers = BTreeMap::from([("all", 0)]);
    let mut depths = vec![1];
    for (number, class) in (1..).zip(&config.class) {
        let parent = match &class.parent {
            None => 0,
            Some(parent) => *numbers.get(parent.as_str()).ok_or_else(|| {
                at(class, format_args!("there is no class '{parent}' before it"))
                    .help("write parents before children")
            })?,
        };
        if numbers.insert(&class.name, number).is_some() {
            return Err(
                at(class, "the name is taken").help("'all' is the whole; every other name is for one class")
            );
        }
        depths.push(depths[parent] + 1);
        if depths[number] > DEPTH {
            return Err(at(class, format_args!("more than {} classes above it", DEPTH - 2)));
        }
    }
    Ok(numbers)
}

/// What can be said of a class by itself.
fn check(class: &ClassConfig, is_parent: bool) -> Result<(), ConfigError> {
    if is_parent
        && (class.matcher.is_some()
            || !class.dscp.is_empty()
            || class.mark.is_some()
            || class.police.is_some())
    {
        return Err(at(class, "it has classes below it, and packets belong to those")
            .help("leave out match, dscp, mark and police"));
    }
    if usize::from(class.priority) >= PRIORITIES {
        return Err(at(
            class,
            format_args!("priority {} is not from 0 to {}", class.priority, PRIORITIES - 1),
        ));
    }
    if class.queue > MOST_QUEUED {
        return Err(at(class, format_args!("a queue of {} is longer than {MOST_QUEUED}", class.queue)));
    }
    if class.quantum.is_some_and(|quantum| !(256..=1 << 24).contains(&quantum)) {
        return Err(at(class, "the quantum is not from 256 to 16777216 bytes"));
    }
    if let (Some(rate), Some(ceil)) = (class.rate, class.ceil)
        && ceil < rate
    {
        return Err(at(class, format_args!("a ceiling of {ceil} is less than the rate of {rate}")));
    }
    if class.burst.is_some() && class.rate.is_none() && class.ceil.is_none() {
        return Err(at(class, "a burst without a rate or a ceiling means nothing"));
    }
    match &class.police {
        Some(Police { ebs: Some(_), pir: None, pbs: None, .. }) | None => Ok(()),
        Some(Police { ebs: None, pir: Some(pir), pbs: Some(_), cir, .. }) if pir >= cir => Ok(()),
        Some(Police { ebs: None, pir: Some(_), pbs: Some(_), .. }) => {
            Err(at(class, "the peak rate 'pir' is less than the committed rate 'cir'"))
        }
        Some(_) => Err(at(class, "its police has neither 'ebs' alone nor 'pir' and 'pbs'")
            .help("'cir', 'cbs' and 'ebs' are the marker of RFC 2697; 'cir', 'cbs', 'pir' and 'pbs' that of RFC 2698")),
    }
}

fn leaf(class: &ClassConfig, number: usize) -> Result<LeafPlan, ConfigError> {
    let matcher = match &class.matcher {
        None => Expression::all(),
        Some(text) => Expression::parse(text).map_err(|error| {
            let message = at(class, format_args!("'{text}': {}", error.message));
            match error.help {
                Some(help) => message.help(help),
                None => message,
            }
        })?,
    };
    let listed = class.dscp.iter().fold(0, |set, dscp| set | 1u64 << dscp.number());
    Ok(LeafPlan {
        name: class.name.clone(),
        class: number,
        matcher,
        dscp: if class.dscp.is_empty() { u64::MAX } else { listed },
        takes: class.matcher.is_some() || !class.dscp.is_empty(),
        mark: class.mark.map(|dscp| dscp.number()),
        police: class.police.as_ref().map(|police| PolicePlan {
            color_aware: police.color_aware,
            treatments: [police.green, police.yellow, police.red],
        }),
    })
}

/// What classes always have cannot be more than what is there.
fn sums(config: &Config) -> Result<(), ConfigError> {
    let parents = std::iter::once(("all", config.rate))
        .chain(config.class.iter().map(|class| (class.name.as_str(), class.rate)));
    for (name, rate) in parents {
        let parent = (name != "all").then_some(name);
        let children = config.class.iter().filter(|class| class.parent.as_deref() == parent);
        let sum: u64 = children.filter_map(|class| class.rate).map(Rate::bits).sum();
        if let Some(rate) = rate
            && sum > rate.bits()
        {
            let message = format!("the classes of '{name}' have {sum} bit/s together, more than its {rate}");
            return Err(ConfigError::at("class", message).help(
                "what a class always has is a part of its parent's rate; more is borrowed, up to 'ceil'",
            ));
        }
    }
    Ok(())
}

/// Whether the budgets of a worker work.
fn budgets(config: &Config, share: &Share) -> Result<(), ConfigError> {
    let names = std::iter::once("all").chain(config.class.iter().map(|class| class.name.as_str()));
    for (name, spec) in names.zip(&share.classes) {
        let key = if spec.parent.is_none() { "burst" } else { "class" };
        for budget in [spec.own, spec.ceil].into_iter().flatten() {
            budget_works(key, name, budget)?;
        }
    }
    let police = config.class.iter().filter_map(|class| class.police.as_ref().map(|_| class.name.as_str()));
    for (name, measure) in police.zip(share.meters.iter().flatten()) {
        let second = match measure.second {
            Second::Excess(burst) => Budget { rate: 1, burst },
            Second::Peak(budget) => budget,
        };
        for budget in [measure.committed, second] {
            if budget.rate == 0 || budget.burst > DEEPEST {
                let message =
                    format!("class '{name}': a worker's part of the meter's budgets is nothing, or too much");
                return Err(ConfigError::at("class", message));
            }
        }
    }
    Ok(())
}

fn budget_works(key: &str, name: &str, budget: Budget) -> Result<(), ConfigError> {
    let least = (budget.rate / 8 * LEAST_MILLIS).div_ceil(1000) + FRAME;
    if budget.rate == 0 {
        let message = format!("the rate of '{name}' is less than 1 bit/s for each worker");
        return Err(ConfigError::at(key, message));
    }
    if budget.burst < least {
        let message = format!(
            "a worker's part of the burst of '{name}' is {} bytes; its part of the rate needs {least}, as timers run \
             once a millisecond",
            budget.burst
        );
        return Err(ConfigError::at(key, message).help("give a larger burst, or leave it out"));
    }
    if budget.burst > DEEPEST {
        let message = format!("the burst of '{name}' is more than {DEEPEST} bytes");
        return Err(ConfigError::at(key, message));
    }
    Ok(())
}

impl Share {
    /// The part of worker `index` of `count`: of every budget an equal one, and of what is left over a unit each for
    /// the first workers.
    fn new(config: &Config, index: usize, count: usize) -> Share {
        let part = |whole: u64| Rate::part(whole, index, count);
        let budget = |rate: Rate, burst: Option<u64>| {
            let rate = part(rate.bits());
            Budget { rate, burst: burst.map_or((rate / 800).clamp(USUAL_BURST, DEEPEST), part) }
        };
        let mut classes = vec![ClassSpec {
            parent: None,
            own: None,
            ceil: config.rate.map(|rate| budget(rate, config.burst)),
            leaf: None,
        }];
        let mut meters = Vec::new();
        for class in &config.class {
            let name_of = |name: &String| config.class.iter().position(|class| class.name == *name);
            let parent = class.parent.as_ref().and_then(name_of).map_or(0, |place| place + 1);
            let is_parent =
                config.class.iter().any(|other| other.parent.as_deref() == Some(class.name.as_str()));
            let quantum = class.quantum.map_or_else(
                || class.rate.map_or(QUANTA.0, |rate| (rate.bits() / 800).clamp(QUANTA.0, QUANTA.1)),
                u64::from,
            );
            classes.push(ClassSpec {
                parent: Some(parent),
                own: class.rate.map(|rate| budget(rate, class.burst)),
                ceil: class.ceil.or(class.rate).map(|ceil| budget(ceil, class.burst)),
                leaf: (!is_parent).then(|| LeafSpec {
                    priority: class.priority.into(),
                    quantum,
                    queue: part(class.queue as u64) as usize,
                }),
            });
            if !is_parent {
                meters.push(class.police.as_ref().map(|police| {
                    let second = match (police.pir, police.pbs) {
                        (Some(pir), Some(pbs)) => {
                            Second::Peak(Budget { rate: part(pir.bits()), burst: part(pbs) })
                        }
                        _ => Second::Excess(part(police.ebs.unwrap_or(0))),
                    };
                    let committed = Budget { rate: part(police.cir.bits()), burst: part(police.cbs) };
                    Measure { committed, second }
                }));
            }
        }
        Share { classes, meters }
    }
}

fn effects(config: &Config, leaves: &[LeafPlan]) -> Effects {
    /// By which an IP header is found.
    const HEADER: Fields = Fields::of(&[
        Field::EtherType,
        Field::Vlan,
        Field::IpVersion,
        Field::IpProto,
        Field::IpFragment,
        Field::IpOptions,
        Field::IpLength,
        Field::Length,
    ]);
    let marks = |leaf: &LeafPlan| {
        let treats = |treatment: &Treatment| matches!(treatment, Treatment::Mark(_));
        leaf.mark.is_some() || leaf.police.is_some_and(|police| police.treatments.iter().any(treats))
    };
    let limited = config.rate.is_some()
        || config.class.iter().any(|class| class.rate.is_some() || class.ceil.is_some());
    let polices =
        |leaf: &LeafPlan| leaf.police.is_some_and(|police| police.treatments.contains(&Treatment::Drop));
    let mut reads = Fields::of(&[Field::Length]);
    for leaf in leaves {
        reads = reads.union(leaf.matcher.reads());
        if leaf.dscp != u64::MAX || leaf.police.is_some_and(|police| police.color_aware) {
            reads = reads.union(HEADER).with(Field::IpDscp);
        }
        if marks(leaf) || leaf.police.is_some() {
            reads = reads.union(HEADER);
        }
    }
    let writes = if leaves.iter().any(marks) {
        Fields::of(&[Field::IpDscp, Field::IpChecksum])
    } else {
        Fields::EMPTY
    };
    Effects {
        reads,
        writes,
        adjusts: writes.intersection(Fields::of(&[Field::IpChecksum])),
        may_drop: limited || leaves.iter().any(polices),
        holds: limited && config.class.iter().any(|class| class.queue > 0),
        state: StateKind::Learns,
        // Every worker has a part of the budgets, so every worker needs a part of the flows.
        affinity: if config.one_worker { Affinity::One } else { Affinity::Flow },
        ..Effects::NONE
    }
}
