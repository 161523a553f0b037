//! A slot: what the table keeps per entry.
use std::num::NonZeroU32;

/// It begins with a cache line, and the fields that a look-up reads come first, so that a key of up to 40 bytes shares
/// that line. With a key and a value of 36 bytes together, in words of four, all of it is one line.
#[repr(C, align(64))]
pub(super) struct Slot<K, V> {
    pub(super) generation: NonZeroU32,
    pub(super) hash: u32,
    pub(super) content: Option<(K, V)>,
    /// Since the clock hand came by.
    pub(super) touched: bool,
    /// When the entry expires, in nanoseconds.
    pub(super) deadline: u64,
    /// What the timer is armed for, at or before `deadline`; the end of time when it is not.
    pub(super) armed: u64,
}

impl<K: Eq, V> Slot<K, V> {
    pub(super) fn vacant() -> Self {
        Self {
            generation: NonZeroU32::MIN,
            hash: 0,
            content: None,
            touched: false,
            deadline: u64::MAX,
            armed: u64::MAX,
        }
    }

    pub(super) fn holds(&self, key: &K) -> bool {
        self.content.as_ref().is_some_and(|(held, _)| held == key)
    }

    pub(super) fn fill(&mut self, key: K, hash: u32, value: V) {
        self.hash = hash;
        self.content = Some((key, value));
        (self.deadline, self.armed) = (u64::MAX, u64::MAX);
        self.touched = true;
    }

    /// Takes the content; the identifiers given out for it find nothing from now on.
    pub(super) fn empty(&mut self) -> Option<(K, V)> {
        let content = self.content.take()?;
        self.generation = self.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        Some(content)
    }
}
