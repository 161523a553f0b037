//! The keys of the file.

use crate::detour::Terms;
use crate::nodes::Attachment;
use crate::quantity::{MILLISECOND, Rate, SECOND, Size, Span};
use crate::tcp::Tcp;
use crate::traffic::{Capacity, Deadline};
use serde::Deserialize;
use smart::policy::{Soft, Way};
use std::path::PathBuf;

/// A whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seeds: a run for each.
    #[serde(default = "one_seed")]
    pub seeds: Vec<u64>,
    /// The network.
    pub topology: Network,
    /// Flows that come by chance.
    #[serde(default)]
    pub traffic: Option<Flows>,
    /// Flows that are written down.
    #[serde(default, rename = "flow")]
    pub flows: Vec<OneFlow>,
    /// In what time priority flows have to be through.
    #[serde(default)]
    pub deadline: Option<Deadline>,
    /// The hosts' TCP.
    #[serde(default)]
    pub tcp: TcpKeys,
    /// Links that are worse than their cable.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
    /// SMART: besides the run without it, one for each of its ways.
    #[serde(default)]
    pub smart: Option<SmartKeys>,
    /// NFs at nodes.
    #[serde(default, rename = "nf")]
    pub nfs: Vec<Attachment>,
    /// How often NFs run their timers.
    #[serde(default = "millisecond")]
    pub tick: Span,
    /// How long the run goes on after the last flow began, if flows have not ended before.
    #[serde(default = "second")]
    pub patience: Span,
}

fn one_seed() -> Vec<u64> {
    vec![1]
}

fn millisecond() -> Span {
    Span(MILLISECOND)
}

fn second() -> Span {
    Span(SECOND)
}

/// The network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Hosts on each leaf.
    pub hosts_per_leaf: u32,
    /// Leaves of a pod; without `extend` the whole network is one.
    pub leaves: u32,
    /// Spines of a pod.
    pub spines: u32,
    /// Further tiers.
    #[serde(default)]
    pub extend: Vec<Tier>,
    /// Between hosts and leaves.
    pub edge: Wire,
    /// Between switches.
    pub fabric: Wire,
    /// Bytes that wait in a host before its link.
    #[serde(default = "host_queue")]
    pub host_queue: Size,
}

fn host_queue() -> Size {
    Size(10_000_000)
}

/// A tier more.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Copies of the network below.
    pub pods: u32,
    /// Switches for each place at the top of a pod.
    pub switches: u32,
}

/// A cable.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    /// Its rate, each way.
    pub rate: Rate,
    /// Its delay.
    pub delay: Span,
    /// Bytes that wait before it.
    pub queue: Size,
}

/// Flows that come by chance.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flows {
    /// Share of the capacity; a run for each.
    pub load: Loads,
    /// Of what.
    #[serde(default)]
    pub of: Capacity,
    /// The file of the sizes' distribution.
    #[serde(default)]
    pub sizes: Option<PathBuf>,
    /// All flows of one size instead.
    #[serde(default)]
    pub size: Option<Size>,
    /// Bytes that 1 means in the file.
    #[serde(default = "byte")]
    pub unit: u64,
    /// Longer flows are cut.
    #[serde(default)]
    pub most: Option<Size>,
    /// Flows begin so long.
    pub duration: Span,
    /// Flows that begin in this time do not count in the results.
    #[serde(default)]
    pub warm_up: Option<Span>,
    /// Share of flows that have priority.
    #[serde(default)]
    pub priority: f64,
}

fn byte() -> u64 {
    1
}

/// One load or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Loads {
    /// One.
    One(f64),
    /// Several.
    Several(Vec<f64>),
}

/// A flow that is written down.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneFlow {
    /// Its sender: `host-3`.
    pub from: String,
    /// Its receiver.
    pub to: String,
    /// Its bytes.
    pub size: Size,
    /// When it begins.
    #[serde(default = "at_once")]
    pub at: Span,
    /// Whether it has priority.
    #[serde(default)]
    pub priority: bool,
}

fn at_once() -> Span {
    Span(0)
}

/// What can be set of the hosts' TCP.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpKeys {
    /// Segments of the initial window.
    pub initial_window: Option<u32>,
    /// Bytes that a receiver takes.
    pub window: Option<Size>,
    /// The shortest timeout.
    pub least_timeout: Option<Span>,
    /// The longest one.
    pub most_timeout: Option<Span>,
}

impl TcpKeys {
    /// With what was not said.
    pub fn tcp(&self) -> Tcp {
        let usual = Tcp::default();
        let window = self.window.map(|size| u32::try_from(size.0).unwrap_or(u32::MAX / 2));
        Tcp {
            initial_window: self.initial_window.unwrap_or(usual.initial_window),
            window: window.unwrap_or(usual.window),
            least_timeout: self.least_timeout.map_or(usual.least_timeout, |span| span.0),
            most_timeout: self.most_timeout.map_or(usual.most_timeout, |span| span.0),
        }
    }
}

/// Links that are worse than their cable for a time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// The two nodes of a cable; both ways are meant.
    #[serde(default)]
    pub between: Option<[String; 2]>,
    /// Instead: this share of all cables between leaves and spines, drawn by the seed.
    #[serde(default)]
    pub share: Option<f64>,
    /// Its rate, as a share of the cable's.
    #[serde(default = "whole")]
    pub rate: f64,
    /// The share of packets that it loses.
    #[serde(default)]
    pub loss: f64,
    /// From when.
    #[serde(default = "at_once")]
    pub from: Span,
    /// Until when; to the end if not said.
    #[serde(default)]
    pub until: Option<Span>,
}

fn whole() -> f64 {
    1.0
}

/// What SMART does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmartKeys {
    /// A run for each of these, beside that without.
    pub ways: Vec<WayKey>,
    /// Soft limits, as a share of the hard ones.
    #[serde(default = "half")]
    pub soft: f64,
    /// The longest time that a packet may wait before one link.
    #[serde(default)]
    pub latency: Option<Span>,
    /// From the notice to the rule at the node.
    #[serde(default = "millisecond")]
    pub reaction: Span,
    /// How long a link that was to blame is avoided by flows that begin.
    #[serde(default = "second")]
    pub follow: Span,
    /// How long a merge point waits for what is missing.
    #[serde(default = "millisecond")]
    pub hold: Span,
}

fn half() -> f64 {
    0.5
}

/// What is done for a flow that is about to miss its deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WayKey {
    /// The rest of it goes another way.
    Divert,
    /// The rest of it goes another way too.
    Clone,
    /// Flows that follow go both ways from their start.
    Replicate,
}

impl SmartKeys {
    /// What SMART does in a run; `None` when the soft limit is no share.
    pub fn terms(&self, way: WayKey) -> Option<Terms> {
        let soft = if self.soft.is_finite() { Soft::new((self.soft * 1000.0) as u16) } else { None };
        let way = match way {
            WayKey::Divert => Way::Divert,
            WayKey::Clone => Way::Clone,
            WayKey::Replicate => Way::Replicate,
        };
        let latency = self.latency.map(|span| span.0);
        let (reaction, follow, hold) = (self.reaction.0, self.follow.0, self.hold.0);
        Some(Terms { way, soft: soft?, latency, reaction, follow, hold })
    }
}
