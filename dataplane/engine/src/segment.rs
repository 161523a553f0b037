//! Parallel segments: what of a chain runs side by side, and how a worker shares it with its helpers.

use crate::effects::Effects;
use std::ops::Range;
use wire::{Field, Fields};

/// What of a chain runs after what, and what side by side between a mirror and a merge: NFs by their place in the
/// chain's path, each of them once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Segment {
    /// One NF.
    Nf(usize),
    /// One after the other.
    Series(Vec<Segment>),
    /// Side by side. The first branch stays on the worker's own core.
    Parallel(Vec<Segment>),
}

/// What a worker does next with a burst.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Step {
    /// Calls the NF at this place.
    Run(usize),
    /// Has branches run side by side, and merges.
    Fork(Fork),
}

/// A mirror, its branches, and the merge.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Fork {
    /// Its number among all forks of the layout.
    pub number: usize,
    /// The first is the worker's own; each of the others has a helper, in order.
    pub branches: Vec<BranchPlan>,
    /// Nothing that a branch does to a packet is missed if it never answers: none drops or writes.
    pub harmless: bool,
    /// Whether headers have to be parsed anew after the merge.
    pub reparse: bool,
}

/// What one core does between mirror and merge.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct BranchPlan {
    /// NFs by place, in the order in which they run.
    pub positions: Vec<usize>,
    pub copies: Copies,
}

/// How much of each packet a branch gets as its own, since it may write to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Copies {
    /// It reads: a reference will do.
    Nothing,
    /// It writes to headers: the first bytes are a copy, the rest a reference.
    Front,
    /// It writes to payloads, or changes lengths.
    Whole,
}

/// Fields beyond the first bytes of a packet.
const DEEP: Fields = Fields::of(&[Field::Payload, Field::VxlanVni, Field::Length]);
/// What the steps of a chain follow from.
pub(crate) struct Terms<'a> {
    /// Of the NF at each place.
    pub effects: &'a [Effects],
    /// Places between which packets may change workers; one range where they never do.
    pub stages: &'a [Range<usize>],
    /// The last NF chooses between ports.
    pub gated: bool,
    /// Helpers of each worker.
    pub helpers: usize,
}

impl Segment {
    /// The NFs' places, in an order that is right on one core.
    fn order(&self) -> Vec<usize> {
        match self {
            Segment::Nf(position) => vec![*position],
            Segment::Series(parts) => parts.iter().flat_map(Segment::order).collect(),
            Segment::Parallel(_) => {
                // Side by side is less than exchangeable: on one core the chain's own order is the right one.
                let mut all = self.positions();
                all.sort_unstable();
                all
            }
        }
    }

    fn positions(&self) -> Vec<usize> {
        match self {
            Segment::Nf(position) => vec![*position],
            Segment::Series(parts) | Segment::Parallel(parts) => {
                parts.iter().flat_map(Segment::positions).collect()
            }
        }
    }

    /// The steps of each stage; nothing where nothing runs side by side: no helpers, or no branch that they could run.
    /// `forks` counts those of all chains.
    pub(crate) fn steps(&self, terms: &Terms<'_>, forks: &mut usize) -> Vec<Vec<Step>> {
        let mut positions = self.positions();
        positions.sort_unstable();
        if !positions.into_iter().eq(0..terms.effects.len()) {
            return Vec::new();
        }
        let before = *forks;
        let mut steps: Vec<Vec<Step>> = terms.stages.iter().map(|_| Vec::new()).collect();
        let mut reached = 0;
        let parts = match self {
            Segment::Series(parts) => parts.as_slice(),
            other => std::slice::from_ref(other),
        };
        for step in parts.iter().flat_map(|part| part.part_steps(terms, forks)) {
            let places: Vec<usize> = match &step {
                Step::Run(position) => vec![*position],
                Step::Fork(fork) => fork.branches.iter().flat_map(|b| b.positions.clone()).collect(),
            };
            let within = |range: &Range<usize>| places.iter().all(|place| range.contains(place));
            match terms.stages.iter().position(within) {
                Some(stage) if stage >= reached => {
                    reached = stage;
                    steps[stage].push(step);
                }
                // It spans a hand-over between workers.
                _ => {
                    *forks = before;
                    return Vec::new();
                }
            }
        }
        if *forks == before { Vec::new() } else { steps }
    }

    fn part_steps(&self, terms: &Terms<'_>, forks: &mut usize) -> Vec<Step> {
        if let Segment::Parallel(branches) = self
            && let Some(fork) = fork(branches, terms, *forks)
        {
            *forks += 1;
            return vec![Step::Fork(fork)];
        }
        self.order().into_iter().map(Step::Run).collect()
    }
}

/// Shares branches between a worker and its helpers. `None`: they have to run in order.
fn fork(branches: &[Segment], terms: &Terms<'_>, number: usize) -> Option<Fork> {
    let apart = terms.helpers.min(branches.len().saturating_sub(1));
    let positions: Vec<usize> = branches.iter().flat_map(Segment::positions).collect();
    let ends_chain = positions.contains(&terms.effects.len().saturating_sub(1));
    // Packets that an NF makes or keeps need their place in the order, and those of a gate their port.
    let alone = |place: &usize| terms.effects[*place].may_create || terms.effects[*place].holds;
    if apart == 0 || terms.gated && ends_chain || positions.iter().any(alone) {
        return None;
    }
    // Branches beyond the helpers stay with the first one.
    let (own, rest) = branches.split_first()?;
    let (helped, kept) = rest.split_at(apart);
    let own = if kept.is_empty() {
        own.order()
    } else {
        let mut all: Vec<usize> = kept.iter().chain([own]).flat_map(Segment::positions).collect();
        all.sort_unstable();
        all
    };
    let orders = std::iter::once(own).chain(helped.iter().map(Segment::order));
    let branches: Vec<BranchPlan> = orders.map(|positions| branch(positions, terms.effects)).collect();
    let writers = branches.iter().filter(|branch| branch.copies != Copies::Nothing).count();
    // What one has lengthened does not fit what another has written.
    if writers > 1 && branches.iter().any(|branch| branch.copies == Copies::Whole) {
        return None;
    }
    let all = || positions.iter().map(|place| &terms.effects[*place]);
    Some(Fork {
        number,
        harmless: writers == 0 && !all().any(|effects| effects.may_drop),
        reparse: all().any(|effects| {
            effects.writes.intersects(Fields::STRUCTURE.with(Field::MplsLabel)) || effects.changes_length
        }),
        branches,
    })
}

fn branch(positions: Vec<usize>, effects: &[Effects]) -> BranchPlan {
    let of = positions.iter().map(|place| &effects[*place]);
    let copies = of.fold(Copies::Nothing, |copies, effects| {
        if effects.changes_length || effects.writes.intersects(DEEP) || copies == Copies::Whole {
            Copies::Whole
        } else if effects.writes.is_empty() {
            copies
        } else {
            Copies::Front
        }
    });
    BranchPlan { positions, copies }
}

#[cfg(test)]
mod tests;
