//! What flows are promised, and when that is in danger.
//!
//! A *hard limit* is the promise: so long for the whole flow, so many bytes a second, so long for a packet. A *soft limit*
//! is a fraction of it; when a flow meets one, something is done. Limits come from policies of the whole system, of a
//! tenant and of a flow. Where several apply, those that another one dominates do not matter: what is left is the
//! skyline (Börzsönyi, Kossmann, Stocker: The skyline operator, ICDE 2001).

use crate::Nanos;

#[cfg(test)]
mod tests;

/// Whose policy it is; the later in this list, the closer to the flow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scope {
    /// Everybody's.
    System,
    /// A tenant's.
    Tenant(u32),
    /// One flow's.
    Flow(u64),
}

/// What is done for a flow in danger; the later in this list, the more it costs the network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Way {
    /// The rest of it takes another route.
    Divert,
    /// The rest of it takes another route too.
    Clone,
    /// Flows that follow take both routes from their start.
    Replicate,
}

/// Hard limits; `None` where nothing is promised.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Limits {
    /// The longest time from the first byte to the last one.
    pub completion: Option<Nanos>,
    /// The fewest bytes a second.
    pub throughput: Option<u64>,
    /// The longest time that a packet waits in one place.
    pub latency: Option<Nanos>,
}

/// A policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Whose it is.
    pub scope: Scope,
    /// The promises.
    pub limits: Limits,
    /// What is done when one is in danger.
    pub way: Way,
}

/// Soft limits as a share of the hard ones, in thousandths, from 1 to 1000.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Soft(u16);

impl Soft {
    /// The hard limit itself.
    pub const ALL: Soft = Soft(1000);

    /// A share in thousandths; `None` outside 1 to 1000.
    pub fn new(thousandths: u16) -> Option<Soft> {
        (1..=1000).contains(&thousandths).then_some(Soft(thousandths))
    }

    /// So much of a limit that is not to be exceeded.
    pub fn of(self, limit: u64) -> u64 {
        (u128::from(limit) * u128::from(self.0) / 1000) as u64
    }

    /// The soft limit of one that is to be reached: above it by the same factor.
    pub fn above(self, limit: u64) -> u64 {
        u64::try_from(u128::from(limit) * 1000 / u128::from(self.0)).unwrap_or(u64::MAX)
    }
}

/// How a flow fares.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Measured {
    /// Time since its first byte.
    pub elapsed: Nanos,
    /// Bytes a second; `None` before there is enough to tell.
    pub throughput: Option<u64>,
    /// How long its last packet waited where it waited longest.
    pub latency: Nanos,
}

/// Which limit a flow meets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Threshold {
    /// Too long a wait in one place.
    Latency,
    /// Too slow.
    Throughput,
    /// Too long under way.
    Completion,
}

impl Limits {
    /// Whether a flow meets a soft limit, and which: of several the one that says most about the cause.
    pub fn threshold(&self, soft: Soft, measured: &Measured) -> Option<Threshold> {
        let waits = self.latency.is_some_and(|limit| measured.latency >= soft.of(limit));
        let slow = self.throughput.zip(measured.throughput);
        let slow = slow.is_some_and(|(limit, bytes)| bytes <= soft.above(limit));
        let late = self.completion.is_some_and(|limit| measured.elapsed >= soft.of(limit));
        [(waits, Threshold::Latency), (slow, Threshold::Throughput), (late, Threshold::Completion)]
            .into_iter()
            .find_map(|(met, which)| met.then_some(which))
    }

    /// Whether no limit of `other` is stricter than the one here, and one here is stricter.
    fn is_stricter_than(&self, other: &Limits) -> bool {
        // No limit at all is the laxest; a throughput is strict when it is high.
        let strictness = |limits: &Limits| {
            let most = |limit: Option<Nanos>| limit.map_or(0, |nanos| u64::MAX - nanos);
            [most(limits.completion), limits.throughput.unwrap_or(0), most(limits.latency)]
        };
        let pairs = || strictness(self).into_iter().zip(strictness(other));
        pairs().all(|(ours, theirs)| ours >= theirs) && pairs().any(|(ours, theirs)| ours > theirs)
    }
}

impl Policy {
    /// Whether `self` asks for at least as much in everything, at no more cost to the network, and for more in something
    /// or at less cost: then nobody needs `other`.
    pub fn dominates(&self, other: &Policy) -> bool {
        let stricter = self.limits.is_stricter_than(&other.limits);
        let same = self.limits == other.limits;
        (stricter && self.way <= other.way) || (same && self.way < other.way)
    }
}

/// The policies that no other one dominates, in the order given; of equal ones the first.
pub fn skyline(policies: &[Policy]) -> Vec<Policy> {
    let mut kept: Vec<Policy> = Vec::new();
    for policy in policies {
        let equal = |other: &Policy| other.limits == policy.limits && other.way == policy.way;
        let needless = policies.iter().any(|other| other.dominates(policy)) || kept.iter().any(equal);
        if !needless {
            kept.push(*policy);
        }
    }
    kept
}

/// What holds for a flow: of the skyline the policy closest to it, of those the one that costs the network least.
pub fn compromise(policies: &[Policy]) -> Option<Policy> {
    let mut skyline = skyline(policies);
    // A tenant's or a flow's number says nothing about closeness.
    let closeness = |policy: &Policy| match policy.scope {
        Scope::System => 2,
        Scope::Tenant(_) => 1,
        Scope::Flow(_) => 0,
    };
    skyline.sort_by_key(|policy| (closeness(policy), policy.way));
    skyline.first().copied()
}
