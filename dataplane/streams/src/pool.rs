//! The memory of all flows of a worker.

/// The bytes that a worker's flows hold, in chunks of one arena that is allocated once. When it is full, the direction
/// that least recently got bytes to hold loses all of its own.
#[derive(Debug)]
pub struct Pool {
    arena: Box<[u8]>,
}

impl Pool {
    /// A pool of this many bytes, rounded up to whole chunks.
    pub fn new(bytes: usize) -> Pool {
        Pool { arena: vec![0; bytes].into() }
    }

    /// Bytes that it has in all.
    pub fn capacity(&self) -> usize {
        self.arena.len()
    }
}
