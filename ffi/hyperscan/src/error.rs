//! What can go wrong.

use std::ffi::c_int;

/// `HS_NOMEM`, which is a macro that no binding is made of.
const NO_MEMORY: c_int = -2;

/// Why there is no database, no scanner, or no result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// A pattern that Hyperscan does not take.
    Pattern {
        /// Its place in the list; `None` when it is about all of them.
        place: Option<usize>,
        /// What Hyperscan says of it.
        message: String,
    },
    /// The processor lacks what Hyperscan needs (SSSE3).
    Processor,
    /// Not enough memory.
    Memory,
    /// A scan of what is longer than 4 GiB.
    TooLong,
    /// Hyperscan refused for another reason, by its number.
    Refused(c_int),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Pattern { message, .. } => f.write_str(message),
            Error::Processor => f.write_str("the processor has no SSSE3, which Hyperscan needs"),
            Error::Memory => f.write_str("not enough memory for Hyperscan"),
            Error::TooLong => f.write_str("longer than 4 GiB"),
            Error::Refused(number) => write!(f, "Hyperscan refused (its error {number})"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// Of a number that one of its functions returned.
    pub(crate) fn of(number: c_int) -> Error {
        if number == NO_MEMORY { Error::Memory } else { Error::Refused(number) }
    }
}
