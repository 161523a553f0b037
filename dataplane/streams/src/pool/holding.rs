//! What one direction of a flow holds.

use super::NONE;
use std::collections::VecDeque;

/// Entries that a queue keeps room for when its holding is given back.
const KEPT_ROOM: usize = 64;

/// A segment that is held: where it begins and ends in the stream. Parts of it may have lost to other segments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    pub from: u64,
    pub to: u64,
    /// Whether the receiver may not have taken it: it waits for its acknowledgement and gives way to any other.
    pub doubtful: bool,
}

/// What one direction of a flow holds: chunks of its stream, and which segments they came in.
#[derive(Debug, Default)]
pub(super) struct Holding {
    /// Changes when the holding is given back.
    pub generation: u32,
    /// Neighbours in the order of use.
    pub newer: u32,
    pub older: u32,
    /// By where they begin; equal ones as they came.
    pub held: VecDeque<Held>,
    /// One past the last byte of any segment that it had.
    pub top: u64,
    /// Which block of the stream `chunks` begins with.
    first: u64,
    chunks: VecDeque<u32>,
}

impl Holding {
    /// Where a block of the stream is.
    pub fn chunk(&self, block: u64) -> Option<u32> {
        let at = usize::try_from(block.checked_sub(self.first)?).ok()?;
        self.chunks.get(at).copied().filter(|&chunk| chunk != NONE)
    }

    /// Says where a block of the stream is.
    pub fn set_chunk(&mut self, block: u64, chunk: u32) {
        if self.chunks.is_empty() {
            self.first = block;
        }
        while block < self.first {
            self.chunks.push_front(NONE);
            self.first -= 1;
        }
        let at = (block - self.first) as usize;
        if at >= self.chunks.len() {
            self.chunks.resize(at + 1, NONE);
        }
        self.chunks[at] = chunk;
    }

    /// Forgets the blocks before `block`.
    pub fn pop_before(&mut self, block: u64, mut give_back: impl FnMut(u32)) {
        while self.first < block
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.first += 1;
            if chunk != NONE {
                give_back(chunk);
            }
        }
    }

    /// Puts a segment where it belongs.
    pub fn insert(&mut self, held: Held) {
        let at = match self.held.back() {
            Some(last) if last.from > held.from => self.held.partition_point(|other| other.from <= held.from),
            _ => self.held.len(),
        };
        self.held.insert(at, held);
        self.top = self.top.max(held.to);
    }

    /// Makes it ready for another direction.
    pub fn clear(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.top = 0;
        self.held.clear();
        self.chunks.clear();
        self.held.shrink_to(KEPT_ROOM);
        self.chunks.shrink_to(KEPT_ROOM);
    }
}
