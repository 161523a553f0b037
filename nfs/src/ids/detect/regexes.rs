//! Regular expressions: automata, whose time is bounded by what they read.

use regex_automata::Input;
use regex_automata::meta::{BuildError, Cache, Config, Regex};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes of the automaton of one expression, and of what is built of it while searching.
const AUTOMATON: usize = 4 << 20;
const CACHE: usize = 256 << 10;
/// Expressions of which a worker keeps what it built.
const KEPT: usize = 256;

/// An expression.
pub(in crate::ids) struct Expression {
    regex: Regex,
    /// It can match at the beginning only, so that a search that fails seldom reads far.
    anchored: bool,
}

/// The expressions of all rules, each once.
#[derive(Default)]
pub(in crate::ids) struct Regexes {
    made: Vec<Expression>,
    known: HashMap<Arc<str>, usize>,
}

impl Regexes {
    /// The number of an expression.
    ///
    /// # Errors
    /// It is none, or too large.
    pub(in crate::ids) fn number(&mut self, expression: &Arc<str>) -> Result<usize, Box<BuildError>> {
        if let Some(&number) = self.known.get(expression) {
            return Ok(number);
        }
        let config = Config::new()
            .utf8_empty(false)
            .nfa_size_limit(Some(AUTOMATON))
            .hybrid_cache_capacity(CACHE)
            .onepass_size_limit(Some(CACHE));
        let syntax = syntax::Config::new().utf8(false).unicode(false);
        let regex = Regex::builder().configure(config).syntax(syntax).build(expression)?;
        let nfa = thompson::Compiler::new().syntax(syntax).build(expression);
        let anchored = nfa.is_ok_and(|nfa| nfa.is_always_start_anchored());
        self.made.push(Expression { regex, anchored });
        self.known.insert(Arc::clone(expression), self.made.len() - 1);
        Ok(self.made.len() - 1)
    }

    pub(in crate::ids) fn finish(self) -> Box<[Expression]> {
        self.made.into()
    }
}

/// What a worker builds while it searches.
pub(in crate::ids) struct Caches {
    caches: Box<[Option<Box<Cache>>]>,
    /// The expressions that have one, the oldest first.
    kept: std::collections::VecDeque<usize>,
}

impl Caches {
    pub(in crate::ids) fn new(regexes: usize) -> Caches {
        Caches { caches: (0..regexes).map(|_| None).collect(), kept: Default::default() }
    }

    /// Where expression `number` is first found in the bytes, from `from` on; `^` is at 0. What is read is taken off
    /// `unread`.
    pub(in crate::ids) fn find(
        &mut self,
        expressions: &[Expression],
        number: usize,
        bytes: &[u8],
        from: usize,
        unread: &mut usize,
    ) -> Option<(usize, usize)> {
        let Expression { regex, anchored } = expressions.get(number)?;
        if from > bytes.len() {
            return None;
        }
        if self.caches.get(number).is_some_and(Option::is_none) {
            if self.kept.len() == KEPT
                && let Some(oldest) = self.kept.pop_front()
            {
                self.caches[oldest] = None;
            }
            self.kept.push_back(number);
        }
        let cache = self.caches.get_mut(number)?.get_or_insert_with(|| Box::new(regex.create_cache()));
        let found = regex.search_with(cache, &Input::new(bytes).range(from..));
        let to = found.as_ref().map_or(if *anchored { from } else { bytes.len() }, |found| found.end());
        *unread = unread.saturating_sub((to - from).max(1));
        found.map(|found| (found.start(), found.end()))
    }
}
