//! Rules of one kind, by ports: a packet's bytes are searched once, for the patterns of the rules that its ports leave.

use super::compiled::Compiled;
use super::patterns::{Candidate, Databases, Pattern, Patterns, Searcher};
use ids_rules::sets::PortSet;
use std::collections::BTreeMap;

/// Classes of ports on each side: with more, those with the fewest rules are joined.
const CLASSES: usize = 48;
/// Ports that there are.
const PORTS: usize = 1 << 16;

/// A rule, as far as its lane cares.
pub(in crate::ids) struct Member {
    place: u32,
    pattern: Option<Pattern>,
    /// Ports that the packet goes to, or comes from: the rule is found by one of the two.
    to: PortSet,
    from: PortSet,
}

impl Member {
    pub(in crate::ids) fn of(rule: &Compiled, place: u32) -> Member {
        let (source, destination) = (&rule.rule.source.ports, &rule.rule.destination.ports);
        let (mut to, mut from) = (destination.clone(), source.clone());
        if rule.rule.both_ways {
            // Whichever way it goes, one of the two is where it goes to.
            to = source.union(destination);
            from = PortSet::any();
        }
        Member { place, pattern: rule.pattern(place).map(|(_, pattern)| pattern), to, from }
    }
}

/// The rules of a lane, by class of ports.
pub(in crate::ids) struct Lane {
    /// Those for a class of destination ports; class 0 is of ports that no rule names.
    to: Side,
    /// Those for a class of source ports, and any destination.
    from: Side,
    longest: usize,
}

/// One side's classes.
struct Side {
    /// Nothing where there is one class only.
    classes: Option<Box<[u8; PORTS]>>,
    sets: Vec<Set>,
}

/// Rules that are looked for together.
struct Set {
    patterns: Patterns,
    /// Rules without a pattern.
    always: Vec<u32>,
}

impl Set {
    fn of(members: &[&Member], databases: &mut Databases) -> Result<Set, hyperscan::Error> {
        let patterns: Vec<Pattern> = members.iter().filter_map(|member| member.pattern.clone()).collect();
        let always = members.iter().filter(|member| member.pattern.is_none()).map(|member| member.place);
        Ok(Set { patterns: databases.compile(&patterns)?, always: always.collect() })
    }

    fn is_empty(&self) -> bool {
        self.patterns.is_empty() && self.always.is_empty()
    }

    #[inline]
    fn find(&self, searcher: &mut Searcher, bytes: &[u8], from: usize, found: &mut Vec<Candidate>) {
        searcher.find(&self.patterns, bytes, from, found);
        for &rule in &self.always {
            searcher.note(rule, usize::MAX, found);
        }
    }
}

impl Side {
    #[inline]
    fn class(&self, port: u16) -> usize {
        self.classes.as_ref().map_or(0, |classes| usize::from(classes[usize::from(port)]))
    }
}

impl Lane {
    pub(in crate::ids) fn new(
        members: &[Member],
        databases: &mut Databases,
    ) -> Result<Lane, hyperscan::Error> {
        let (by_destination, others): (Vec<&Member>, Vec<&Member>) =
            members.iter().partition(|member| !member.to.is_any());
        let (by_source, any): (Vec<&Member>, Vec<&Member>) =
            others.into_iter().partition(|member| !member.from.is_any());
        let to = side(&by_destination, |member| &member.to, &any, databases)?;
        let from = side(&by_source, |member| &member.from, &any, databases)?;
        let sets = to.sets.iter().chain(&from.sets);
        let longest = sets.map(|set| set.patterns.longest()).max().unwrap_or(0);
        Ok(Lane { to, from, longest })
    }

    /// Adds the rules that may match the bytes of a packet with these ports, and a pattern of which ends beyond `from`.
    #[inline]
    pub(in crate::ids) fn find(
        &self,
        searcher: &mut Searcher,
        ports: Option<(u16, u16)>,
        bytes: &[u8],
        from: usize,
        found: &mut Vec<Candidate>,
    ) {
        let (source, destination) = match ports {
            Some((source, destination)) => (self.from.class(source), self.to.class(destination)),
            None => (0, 0),
        };
        // Rules for any ports are in every set: the first of the two that says something has them too.
        if (destination > 0 || source == 0)
            && let Some(set) = self.to.sets.get(destination)
        {
            set.find(searcher, bytes, from, found);
        }
        if source > 0
            && let Some(set) = self.from.sets.get(source)
        {
            set.find(searcher, bytes, from, found);
        }
    }

    pub(in crate::ids) fn longest(&self) -> usize {
        self.longest
    }

    pub(in crate::ids) fn is_empty(&self) -> bool {
        self.to.sets.iter().chain(&self.from.sets).all(Set::is_empty)
    }
}

/// Ranges of ports, without their end.
type Stretches = Vec<(usize, usize)>;

/// The classes of ports that the members make, and a set for each: their rules and those for any port.
fn side(
    members: &[&Member],
    ports: impl Fn(&Member) -> &PortSet,
    any: &[&Member],
    databases: &mut Databases,
) -> Result<Side, hyperscan::Error> {
    // Between two of these ports nothing changes.
    let mut borders: Vec<usize> = vec![0, PORTS];
    for member in members {
        for &(low, high) in ports(member).ranges() {
            borders.extend([usize::from(low), usize::from(high) + 1]);
        }
    }
    borders.sort_unstable();
    borders.dedup();
    let mut stretches: BTreeMap<Vec<usize>, Stretches> = BTreeMap::new();
    for border in borders.windows(2) {
        let [low, high] = [border[0], border[1]];
        let here = (0..members.len()).filter(|i| ports(members[*i]).contains(low as u16)).collect();
        stretches.entry(here).or_default().push((low, high));
    }
    stretches.remove(&Vec::new());
    let mut classes = stretches.into_iter().collect::<Vec<_>>();
    classes.sort_by_key(|(members, _)| std::cmp::Reverse(members.len()));
    if classes.len() > CLASSES {
        let rest = classes.split_off(CLASSES - 1);
        let (mut joined, mut stretches) = (Vec::new(), Vec::new());
        for (members, theirs) in rest {
            joined.extend(members);
            stretches.extend(theirs);
        }
        joined.sort_unstable();
        joined.dedup();
        classes.push((joined, stretches));
    }
    let mut side = Side { classes: None, sets: vec![Set::of(any, databases)?] };
    for (here, stretches) in classes {
        let class = side.sets.len() as u8;
        let all: Vec<&Member> = here.iter().map(|i| members[*i]).chain(any.iter().copied()).collect();
        side.sets.push(Set::of(&all, databases)?);
        let table = side.classes.get_or_insert_with(|| Box::new([0; PORTS]));
        for (low, high) in stretches {
            table[low..high].fill(class);
        }
    }
    Ok(side)
}
