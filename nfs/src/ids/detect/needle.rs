//! One content, ready to be sought.

use ids_rules::payload::Content;
use memchr::{memchr2, memmem};

/// What a content looks for.
pub(in crate::ids) enum Needle {
    /// Byte for byte.
    Exact(Box<memmem::Finder<'static>>),
    /// Without case, in small letters.
    Folded(Box<[u8]>),
}

impl Needle {
    pub(in crate::ids) fn of(content: &Content) -> Needle {
        if content.nocase && content.pattern.iter().any(u8::is_ascii_alphabetic) {
            return Needle::Folded(content.pattern.to_ascii_lowercase().into());
        }
        Needle::Exact(Box::new(memmem::Finder::new(&content.pattern).into_owned()))
    }

    pub(in crate::ids) fn len(&self) -> usize {
        match self {
            Needle::Exact(finder) => finder.needle().len(),
            Needle::Folded(needle) => needle.len(),
        }
    }

    /// Where it first is.
    pub(in crate::ids) fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Needle::Exact(finder) => finder.find(bytes),
            Needle::Folded(needle) => folded(needle, bytes),
        }
    }

    /// Whether it is all there is.
    pub(in crate::ids) fn is(&self, bytes: &[u8]) -> bool {
        match self {
            Needle::Exact(finder) => finder.needle() == bytes,
            Needle::Folded(needle) => needle.eq_ignore_ascii_case(bytes),
        }
    }
}

fn folded(needle: &[u8], bytes: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let last = bytes.len().checked_sub(needle.len())?;
    let mut from = 0;
    while from <= last {
        let at = from + memchr2(first, first.to_ascii_uppercase(), &bytes[from..=last])?;
        if bytes[at..at + needle.len()].eq_ignore_ascii_case(needle) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}
