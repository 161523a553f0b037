//! Many rules' patterns at once: which rules may match some bytes?

use super::sieve::Sieve;
use hyperscan::{Case, Database, Literal, Scanner};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Bytes of a pattern that are searched for; the rule's evaluation compares all of them.
const LONGEST: usize = 64;

/// One rule's pattern: the bytes by which it is found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::ids) struct Pattern {
    /// The rule's place.
    pub rule: u32,
    pub bytes: Box<[u8]>,
    pub nocase: bool,
}

/// The patterns of a set of rules, as a database among others.
pub(in crate::ids) struct Patterns {
    /// Which of the databases; `None` where the rules have no patterns.
    database: Option<usize>,
    sieve: Option<Sieve>,
    /// The rules of each pattern, by its identifier.
    rules: Vec<Box<[u32]>>,
    /// Length of the longest pattern.
    longest: usize,
}

/// All databases of a plan, while it is made.
#[derive(Default)]
pub(in crate::ids) struct Databases {
    made: Vec<Database>,
}

impl Databases {
    /// Compiles a set of patterns.
    ///
    /// # Errors
    /// What Hyperscan says against it.
    pub(in crate::ids) fn compile(&mut self, patterns: &[Pattern]) -> Result<Patterns, hyperscan::Error> {
        let mut distinct: BTreeMap<(Vec<u8>, bool), Vec<u32>> = BTreeMap::new();
        for pattern in patterns {
            let bytes = &pattern.bytes[..pattern.bytes.len().min(LONGEST)];
            let bytes = if pattern.nocase { bytes.to_ascii_lowercase() } else { bytes.to_vec() };
            distinct.entry((bytes, pattern.nocase)).or_default().push(pattern.rule);
        }
        let literals: Vec<Literal<'_>> = distinct
            .keys()
            .zip(0..)
            .map(|((bytes, nocase), id)| Literal {
                bytes,
                case: if *nocase { Case::Ignored } else { Case::Matters },
                id,
                once: false,
            })
            .collect();
        let longest = literals.iter().map(|literal| literal.bytes.len()).max().unwrap_or(0);
        let mut database = None;
        let mut sieve = None;
        if !literals.is_empty() {
            self.made.push(Database::of_literals(&literals)?);
            database = Some(self.made.len() - 1);
            let nocase = literals.iter().any(|literal| literal.case == Case::Ignored);
            sieve = Sieve::new(&literals.iter().map(|literal| literal.bytes).collect::<Vec<_>>(), nocase);
        }
        let rules = distinct.into_values().map(Vec::into_boxed_slice).collect();
        Ok(Patterns { database, sieve, rules, longest })
    }

    pub(in crate::ids) fn finish(self) -> Vec<Database> {
        self.made
    }
}

/// What a worker needs for looking.
pub(in crate::ids) struct Searcher {
    scanner: Option<Scanner>,
    /// For each rule the number of the search in which it was last found, so that it is noted once.
    noted: Box<[u32]>,
    search: u32,
    habits: Box<[Habit]>,
}

/// How well a sieve does: where most passes it only costs time.
#[derive(Clone, Copy, Default)]
struct Habit {
    looks: u16,
    passes: u16,
    /// Searches to be made without it.
    rest: u16,
}

/// Looks after which a sieve's use is judged, and searches that one of no use is left out for.
const JUDGED: u16 = 64;
const REST: u16 = 4096;

impl Habit {
    #[inline]
    fn is_worth_a_look(&mut self) -> bool {
        if self.rest > 0 {
            self.rest -= 1;
            return false;
        }
        true
    }

    #[inline]
    fn note(&mut self, passed: bool) {
        self.looks += 1;
        self.passes += u16::from(passed);
        if self.looks == JUDGED {
            if self.passes > JUDGED / 2 {
                self.rest = REST;
            }
            (self.looks, self.passes) = (0, 0);
        }
    }
}

impl Searcher {
    /// For so many rules. Without memory for searching nothing is found by patterns; there are a few hundred KiB of it.
    pub(in crate::ids) fn new(databases: Arc<[Database]>, rules: usize) -> Searcher {
        let habits = vec![Habit::default(); databases.len()].into_boxed_slice();
        let scanner = Scanner::new(databases).ok();
        Searcher { scanner, noted: vec![0; rules].into_boxed_slice(), search: 0, habits }
    }

    /// Begins to gather candidates: rules found from now on are noted once.
    pub(in crate::ids) fn begin(&mut self) {
        self.search = self.search.wrapping_add(1);
        if self.search == 0 {
            self.noted.fill(0);
            self.search = 1;
        }
    }

    /// Adds the rules one of whose patterns ends beyond `from` to `found`, each with where its last one ends.
    #[inline]
    pub(in crate::ids) fn find(
        &mut self,
        patterns: &Patterns,
        bytes: &[u8],
        from: usize,
        found: &mut Vec<Candidate>,
    ) {
        let Some(database) = patterns.database else { return };
        if let (Some(sieve), Some(habit)) = (&patterns.sieve, self.habits.get_mut(database))
            && habit.is_worth_a_look()
        {
            let passes = sieve.passes(bytes);
            habit.note(passes);
            if !passes {
                return;
            }
        }
        self.search_all(patterns, database, bytes, from, found);
    }

    fn search_all(
        &mut self,
        patterns: &Patterns,
        database: usize,
        bytes: &[u8],
        from: usize,
        found: &mut Vec<Candidate>,
    ) {
        let (noted, search) = (&mut self.noted, self.search);
        let Some(scanner) = &mut self.scanner else { return };
        // Packets and windows are shorter than 4 GiB: nothing else can be wrong.
        let _ = scanner.scan(database, bytes, |hit| {
            if hit.end > from {
                for &rule in patterns.rules.get(hit.id as usize).into_iter().flatten() {
                    let Some(noted) = noted.get_mut(rule as usize) else { continue };
                    if *noted != search {
                        *noted = search;
                        found.push(Candidate { rule, end: hit.end });
                    }
                }
            }
            ControlFlow::Continue(())
        });
    }

    /// Notes a rule without a search.
    #[inline]
    pub(in crate::ids) fn note(&mut self, rule: u32, end: usize, found: &mut Vec<Candidate>) {
        if let Some(noted) = self.noted.get_mut(rule as usize)
            && *noted != self.search
        {
            *noted = self.search;
            found.push(Candidate { rule, end });
        }
    }
}

/// A rule that may match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::ids) struct Candidate {
    pub rule: u32,
    /// Where its pattern first ended.
    pub end: usize,
}

impl Patterns {
    /// Length of the longest: so many bytes less one have to be seen again where bytes come in pieces.
    pub(in crate::ids) fn longest(&self) -> usize {
        self.longest
    }

    /// Whether there is nothing to look for.
    pub(in crate::ids) fn is_empty(&self) -> bool {
        self.database.is_none()
    }
}
