//! A line of a rule file as words, and help for words that nobody knows.

use super::RulesError;

/// A word of a line, or a comma.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Word<'a> {
    pub text: &'a str,
    /// From 1, in characters.
    pub column: u32,
}

/// The words of a line, up to its comment.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    line: u32,
    rest: &'a str,
    column: u32,
}

impl<'a> Words<'a> {
    pub(super) fn new(line: u32, text: &'a str) -> Self {
        let rest = text.split('#').next().unwrap_or_default();
        Words { line, rest, column: 1 }
    }

    /// The next word, left in place.
    pub(super) fn peek(&self) -> Option<Word<'a>> {
        self.clone().next()
    }

    /// Takes the next word if it is `text`.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = self.peek().is_some_and(|word| word.text == text);
        if found {
            self.next();
        }
        found
    }

    /// Words with commas between, at least one.
    pub(super) fn list(&mut self, what: &str, example: &str) -> Result<Vec<Word<'a>>, RulesError> {
        let mut words = Vec::new();
        loop {
            match self.next() {
                Some(word) if word.text != "," => words.push(word),
                other => {
                    let message = match other {
                        Some(_) => format!("{what} expected before the comma"),
                        None => format!("{what} expected at the end of the line"),
                    };
                    let column = other.map_or(self.column, |word| word.column);
                    return Err(self.error_at(column, message, format!("like: {example}")));
                }
            }
            if !self.eat(",") {
                return Ok(words);
            }
        }
    }

    pub(super) fn error(
        &self,
        word: Word<'_>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> RulesError {
        self.error_at(word.column, message, help)
    }

    pub(super) fn error_at(
        &self,
        column: u32,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> RulesError {
        RulesError::at(self.line, column, message, help)
    }

    fn skip(&mut self, bytes: usize) -> &'a str {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.column += skipped.chars().count() as u32;
        skipped
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        self.skip(self.rest.len() - self.rest.trim_start().len());
        let column = self.column;
        let len = match self.rest.find(|c: char| c == ',' || c.is_whitespace()) {
            Some(0) => 1,
            Some(end) => end,
            None => self.rest.len(),
        };
        (len > 0).then(|| Word { text: self.skip(len), column })
    }
}

/// `did you mean 'tcp'?`, or the whole choice when nothing is near.
pub(super) fn suggestion(word: &str, choice: &[&str]) -> String {
    let nearest = choice.iter().map(|known| (distance(word, known), known)).min();
    match nearest {
        Some((0..=2, known)) if known.len() > 2 => format!("did you mean '{known}'?"),
        _ => format!("one of: {}", choice.join(", ")),
    }
}

/// Letters to insert, delete, replace or swap with a neighbour between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(32).collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut next = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = row[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            next[j] = replaced.min(row[j] + 1).min(next[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                next[j] = next[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}
