//! MPLS label stacks (RFC 3032).

use crate::headers::Malformed;
use crate::order::{Value, get_u32, u32_at};

/// Bytes of one label stack entry.
pub const ENTRY_LEN: usize = 4;

const BOTTOM: u32 = 1 << 8;

/// One label stack entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Label, 20 bits.
    pub label: u32,
    /// Traffic class, 3 bits.
    pub class: u8,
    /// Bottom of stack: the payload follows.
    pub bottom: bool,
    /// Time to live.
    pub ttl: u8,
}

impl From<u32> for Entry {
    fn from(word: u32) -> Entry {
        Entry { label: word >> 12, class: (word >> 9) as u8 & 7, bottom: word & BOTTOM != 0, ttl: word as u8 }
    }
}

impl From<Entry> for u32 {
    fn from(entry: Entry) -> u32 {
        (entry.label & 0xf_ffff) << 12
            | u32::from(entry.class & 7) << 9
            | if entry.bottom { BOTTOM } else { 0 }
            | u32::from(entry.ttl)
    }
}

/// A label stack and what it carries: what follows EtherType 0x8847.
#[derive(Clone, Copy, Debug)]
pub struct Packet<T> {
    bytes: T,
    stack_len: usize,
}

/// Bytes of the label stack at the start of `bytes`; `None` if it has no bottom there.
pub fn stack_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let entry = get_u32(bytes, at)?;
        at += ENTRY_LEN;
        if entry & BOTTOM != 0 {
            return Some(at);
        }
    }
}

impl<T: AsRef<[u8]>> Packet<T> {
    /// The view, if the stack has a bottom.
    pub fn new_checked(bytes: T) -> Result<Packet<T>, Malformed> {
        let stack_len = stack_len(bytes.as_ref()).ok_or(Malformed::MplsTruncated)?;
        Ok(Packet { bytes, stack_len })
    }

    /// Entries of the stack, at least 1.
    pub fn depth(&self) -> usize {
        self.stack_len / ENTRY_LEN
    }

    /// The entries, outermost first.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        let stack = &self.bytes.as_ref()[..self.stack_len];
        stack.chunks_exact(ENTRY_LEN).map(|entry| u32_at(entry, 0).into())
    }

    /// Bytes after the stack. Nothing in the packet says what they are.
    pub fn payload(&self) -> &[u8] {
        &self.bytes.as_ref()[self.stack_len..]
    }
}

impl<T: AsRef<[u8]> + AsMut<[u8]>> Packet<T> {
    /// Replaces the outermost entry; its bottom-of-stack bit stays what it is.
    pub fn set_outermost(&mut self, entry: Entry) {
        let bottom = self.stack_len == ENTRY_LEN;
        u32::from(Entry { bottom, ..entry }).write(self.bytes.as_mut(), 0);
    }
}

#[cfg(test)]
mod tests;
