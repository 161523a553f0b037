//! What a check found.

use crate::frame::Frame;
use crate::show;
use std::fmt;

/// One part of the contract of a network function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Names are there, unique and in snake case.
    Registration,
    /// The example works, unknown keys are refused, the schema fits.
    Configuration,
    /// Any packet, however broken, meets exactly one fate, without a panic; what is held comes back.
    Packets,
    /// Only what is declared is changed, dropped, gated, created, held.
    Effects,
    /// Checksums that are declared to change by differences do.
    Adjusts,
    /// What is not declared as read has no influence.
    Reads,
    /// A packet that another reader shares keeps its bytes for that reader.
    CopyOnWrite,
    /// A packet in several segments is treated as one in a single segment.
    Segments,
    /// State leaves its instance and enters another without loss.
    State,
    /// Commands answer, or say why not.
    Commands,
    /// The same input has the same outcome.
    Determinism,
}

impl Rule {
    /// Every rule, in the order in which they are checked.
    pub const ALL: [Rule; 11] = [
        Rule::Registration,
        Rule::Configuration,
        Rule::Packets,
        Rule::Effects,
        Rule::Adjusts,
        Rule::Reads,
        Rule::CopyOnWrite,
        Rule::Segments,
        Rule::State,
        Rule::Commands,
        Rule::Determinism,
    ];
}

/// In lower case, in words.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::Registration => "registration",
            Rule::Configuration => "configuration",
            Rule::Packets => "packets",
            Rule::Effects => "effects",
            Rule::Adjusts => "adjusts",
            Rule::Reads => "reads",
            Rule::CopyOnWrite => "copy-on-write",
            Rule::Segments => "segments",
            Rule::State => "state",
            Rule::Commands => "commands",
            Rule::Determinism => "determinism",
        })
    }
}

/// One rule broken by one NF.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Breach {
    /// The kind of NF.
    pub nf: String,
    /// The rule.
    pub rule: Rule,
    /// What happened.
    pub what: String,
    /// The packet with which it happened.
    pub frame: Option<Frame>,
    /// What the NF's author can do.
    pub help: &'static str,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} breaks the rule '{}': {}", self.nf, self.rule, self.what)?;
        if let Some(frame) = &self.frame {
            writeln!(f, "  packet: {} (port {})", frame.what, frame.ingress)?;
            writeln!(f, "    {}", show::summary(&frame.bytes))?;
            writeln!(f, "    hex {}", show::hex(&frame.bytes))?;
        }
        write!(f, "  to do: {}", self.help)
    }
}

/// Everything that a check found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Rules that were broken.
    pub breaches: Vec<Breach>,
    /// What could not be checked, and why.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether no rule was broken.
    pub fn is_clean(&self) -> bool {
        self.breaches.is_empty()
    }

    /// Adds what another check found.
    pub fn merge(&mut self, other: Report) {
        self.breaches.extend(other.breaches);
        self.notes.extend(other.notes);
    }

    /// For tests: prints the notes, and fails with all breaches if there are any.
    ///
    /// # Panics
    /// When a rule was broken.
    pub fn assert_clean(&self) {
        for note in &self.notes {
            println!("not checked: {note}");
        }
        assert!(self.is_clean(), "\n{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for breach in &self.breaches {
            writeln!(f, "{breach}\n")?;
        }
        Ok(())
    }
}
