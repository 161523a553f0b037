//! In which order rules are looked at.

use std::cmp::Reverse;

use crate::{
    bits::{BitOwner, BitTest},
    rule::{Action, Rule},
};

/// What a rule does with bits of one kind of owner; those that set come before those that ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    No,
    Asks,
    AsksAndSets,
    Sets,
}

/// The key by which rules are sorted, stably: as Suricata does, `pass` before `drop` before `alert`, then those that
/// change bits of flows before those that change and ask, before those that ask, before the others; the same for bits
/// of hosts and of pairs; then the graver priority. What is equal stays in the order of the files.
pub fn key(rule: &Rule) -> impl Ord + use<> {
    let of = |owners: &[BitOwner]| Reverse(used(rule.bits.iter().filter(|bit| owners.contains(&bit.owner))));
    let action = match rule.action {
        Action::Pass => 0,
        Action::Drop => 1,
        Action::Alert => 2,
    };
    let hosts = of(&[BitOwner::Source, BitOwner::Destination]);
    (action, of(&[BitOwner::Flow]), hosts, of(&[BitOwner::Pair]), rule.meta.priority)
}

fn used<'a>(bits: impl Iterator<Item = &'a BitTest>) -> Use {
    let (mut asks, mut sets) = (false, false);
    for bit in bits {
        asks |= bit.command.is_demand();
        sets |= !bit.command.is_demand();
    }
    match (asks, sets) {
        (false, false) => Use::No,
        (true, false) => Use::Asks,
        (true, true) => Use::AsksAndSets,
        (false, true) => Use::Sets,
    }
}
