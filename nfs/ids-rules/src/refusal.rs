//! Why a rule is not taken.

use std::fmt;

/// Why a rule is not taken: where in its line, which keyword, what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Byte in the rule's text at which the trouble begins, from 1. In a rule of several lines the backslashes and
    /// line ends count.
    pub column: usize,
    /// The keyword, or the part of the header: `action`, `protocol`, `address`, `port`, `direction`, `rule`.
    pub keyword: String,
    /// What sort of trouble.
    pub kind: Kind,
    /// What it is, and what would be right.
    pub message: String,
}

/// Sorts of trouble, as reports count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// No rule: something is missing or unbalanced.
    Syntax,
    /// Suricata may have it; it is not in the subset.
    Unsupported,
    /// The keyword is in the subset, its value is not one that it can have.
    Value,
    /// Parts of the rule contradict each other, or Suricata does not allow them together.
    Conflict,
    /// Another rule has the same `gid` and `sid`, and no lower `rev`.
    Duplicate,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "syntax",
            Self::Unsupported => "not in the subset",
            Self::Value => "bad value",
            Self::Conflict => "conflict",
            Self::Duplicate => "duplicate",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.keyword, self.message)
    }
}

impl std::error::Error for Refusal {}
