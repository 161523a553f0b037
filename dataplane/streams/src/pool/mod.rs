//! The memory of all flows of a worker.

mod holding;
#[cfg(test)]
mod tests;

pub(crate) use holding::Held;
use holding::Holding;

/// Bytes of a chunk. A chunk holds an aligned stretch of one direction's stream, so however small the segments are, a
/// direction needs no more chunks than its window has.
pub(crate) const CHUNK: usize = 2048;

/// Segments that may be held for each chunk of the pool, over all flows.
const HELD_PER_CHUNK: usize = 8;

/// No chunk, no holding.
const NONE: u32 = u32::MAX;

/// Which holding a direction has. One that was evicted is known by its generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Handle {
    index: u32,
    generation: u32,
}

/// There is no room, and nobody else's that could be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NoRoom;

/// The bytes that a worker's flows hold, in chunks of one arena that is allocated once.
///
/// When it is full, the direction that least recently got bytes to hold loses all of its own: [`Event::Evicted`] when
/// that flow's next segment comes.
///
/// [`Event::Evicted`]: crate::Event::Evicted
#[derive(Debug)]
pub struct Pool {
    arena: Box<[u8]>,
    free: Vec<u32>,
    holdings: Vec<Holding>,
    vacant: Vec<u32>,
    newest: u32,
    oldest: u32,
    /// Segments held, over all holdings.
    held: usize,
    evictions: u64,
    most_used: usize,
}

impl Pool {
    /// A pool of this many bytes, rounded up to whole chunks of 2 KiB. Besides there are about 24 bytes for each segment
    /// that is held, at the most eight times for each chunk, and 100 for each direction that holds any.
    pub fn new(bytes: usize) -> Pool {
        let chunks = bytes.div_ceil(CHUNK).clamp(1, NONE as usize - 1);
        Pool {
            arena: vec![0; chunks * CHUNK].into(),
            free: (0..chunks as u32).rev().collect(),
            holdings: Vec::new(),
            vacant: Vec::new(),
            newest: NONE,
            oldest: NONE,
            held: 0,
            evictions: 0,
            most_used: 0,
        }
    }

    /// Bytes that it has in all.
    pub fn capacity(&self) -> usize {
        self.arena.len()
    }

    /// Bytes in use, whole chunks.
    pub fn used(&self) -> usize {
        self.arena.len() - self.free.len() * CHUNK
    }

    /// The most bytes that ever were in use.
    pub fn most_used(&self) -> usize {
        self.most_used
    }

    /// Directions that hold something.
    pub fn holders(&self) -> usize {
        self.holdings.len() - self.vacant.len()
    }

    /// How many times a direction lost what it held to another.
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// A new holding.
    pub(crate) fn open(&mut self) -> Handle {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.holdings.push(Holding::default());
            (self.holdings.len() - 1) as u32
        });
        self.link_newest(index);
        Handle { index, generation: self.holdings[index as usize].generation }
    }

    /// Whether the holding is still there.
    pub(crate) fn has(&self, handle: Handle) -> bool {
        self.holding(handle).is_some()
    }

    fn holding(&self, handle: Handle) -> Option<&Holding> {
        self.holdings.get(handle.index as usize).filter(|holding| holding.generation == handle.generation)
    }

    fn holding_mut(&mut self, handle: Handle) -> Option<&mut Holding> {
        self.holdings.get_mut(handle.index as usize).filter(|holding| holding.generation == handle.generation)
    }

    /// The segments of a holding, by where they begin.
    pub(crate) fn held(&self, handle: Handle) -> impl DoubleEndedIterator<Item = &Held> + ExactSizeIterator {
        let none = const { &std::collections::VecDeque::new() };
        self.holding(handle).map_or(none, |holding| &holding.held).iter()
    }

    /// Where the segments of a holding end.
    pub(crate) fn top(&self, handle: Handle) -> u64 {
        self.holding(handle).map_or(0, |holding| holding.top)
    }

    /// Makes room for one segment more, over all holdings.
    pub(crate) fn reserve_held(&mut self, handle: Handle) -> Result<(), NoRoom> {
        while self.held >= self.arena.len() / CHUNK * HELD_PER_CHUNK {
            self.evict_another(handle)?;
        }
        Ok(())
    }

    /// Puts a segment where it belongs among those of a holding.
    pub(crate) fn hold(&mut self, handle: Handle, held: Held) -> Result<(), NoRoom> {
        self.reserve_held(handle)?;
        let Some(holding) = self.holding_mut(handle) else { return Err(NoRoom) };
        holding.insert(held);
        self.held += 1;
        Ok(())
    }

    /// Whether a segment begins where the last one of a holding ends, and is like it.
    pub(crate) fn follows_last(&self, handle: Handle, held: &Held) -> bool {
        let last = self.held(handle).next_back();
        last.is_some_and(|last| last.to == held.from && last.doubtful == held.doubtful)
    }

    /// Lets the last segment of a holding end at `to`.
    pub(crate) fn extend_last(&mut self, handle: Handle, to: u64) {
        if let Some(holding) = self.holding_mut(handle)
            && let Some(last) = holding.held.back_mut()
        {
            last.to = last.to.max(to);
            holding.top = holding.top.max(to);
        }
    }

    /// Takes the first segment out.
    pub(crate) fn drop_first(&mut self, handle: Handle) {
        if let Some(holding) = self.holding_mut(handle)
            && holding.held.pop_front().is_some()
        {
            self.held -= 1;
        }
    }

    /// Makes room for the bytes from `from` to `to` of a holding's stream.
    pub(crate) fn reserve(&mut self, handle: Handle, from: u64, to: u64) -> Result<(), NoRoom> {
        self.touch(handle);
        for block in from / CHUNK as u64..to.div_ceil(CHUNK as u64) {
            let Some(holding) = self.holding(handle) else { return Err(NoRoom) };
            if holding.chunk(block).is_some() {
                continue;
            }
            while self.free.is_empty() {
                self.evict_another(handle)?;
            }
            let (Some(chunk), Some(holding)) =
                (self.free.pop(), self.holdings.get_mut(handle.index as usize))
            else {
                return Err(NoRoom);
            };
            holding.set_chunk(block, chunk);
            self.most_used = self.most_used.max(self.used());
        }
        Ok(())
    }

    /// Writes bytes where room was reserved.
    pub(crate) fn write(&mut self, handle: Handle, mut at: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let within = (at % CHUNK as u64) as usize;
            let (now, rest) = bytes.split_at(bytes.len().min(CHUNK - within));
            let Some(chunk) = self.holding(handle).and_then(|holding| holding.chunk(at / CHUNK as u64))
            else {
                return;
            };
            let place = chunk as usize * CHUNK + within;
            self.arena[place..place + now.len()].copy_from_slice(now);
            (at, bytes) = (at + now.len() as u64, rest);
        }
    }

    /// The bytes of a holding's stream from `from` to `to`, chunk by chunk, with where they begin. What was never written
    /// is whatever was there before.
    pub(crate) fn bytes(&self, handle: Handle, from: u64, to: u64) -> impl Iterator<Item = (u64, &[u8])> {
        let holding = self.holding(handle);
        let mut at = from;
        std::iter::from_fn(move || {
            if at >= to {
                return None;
            }
            let within = (at % CHUNK as u64) as usize;
            let len = (to - at).min((CHUNK - within) as u64) as usize;
            let chunk = holding?.chunk(at / CHUNK as u64)?;
            let place = chunk as usize * CHUNK + within;
            let piece = (at, &self.arena[place..place + len]);
            at += len as u64;
            Some(piece)
        })
    }

    /// Gives back the chunks that lie wholly before `to`.
    pub(crate) fn discard_before(&mut self, handle: Handle, to: u64) {
        let Some(holding) = self.holdings.get_mut(handle.index as usize) else { return };
        if holding.generation == handle.generation {
            holding.pop_before(to / CHUNK as u64, |chunk| self.free.push(chunk));
        }
    }

    /// Gives back all that a holding has, and the holding.
    pub(crate) fn close(&mut self, handle: Handle) {
        if !self.has(handle) {
            return;
        }
        self.unlink(handle.index);
        let holding = &mut self.holdings[handle.index as usize];
        self.held -= holding.held.len();
        holding.pop_before(u64::MAX, |chunk| self.free.push(chunk));
        holding.clear();
        self.vacant.push(handle.index);
    }

    /// Takes all from the direction that least recently got bytes to hold, but not from this one.
    fn evict_another(&mut self, handle: Handle) -> Result<(), NoRoom> {
        let mut victim = self.oldest;
        if victim == handle.index {
            victim = self.holdings[victim as usize].newer;
        }
        let Some(holding) = self.holdings.get(victim as usize) else { return Err(NoRoom) };
        let generation = holding.generation;
        self.close(Handle { index: victim, generation });
        self.evictions += 1;
        Ok(())
    }

    fn touch(&mut self, handle: Handle) {
        if self.newest != handle.index && self.has(handle) {
            self.unlink(handle.index);
            self.link_newest(handle.index);
        }
    }

    fn link_newest(&mut self, index: u32) {
        let second = std::mem::replace(&mut self.newest, index);
        let holding = &mut self.holdings[index as usize];
        (holding.newer, holding.older) = (NONE, second);
        match self.holdings.get_mut(second as usize) {
            Some(second) => second.newer = index,
            None => self.oldest = index,
        }
    }

    fn unlink(&mut self, index: u32) {
        let Holding { newer, older, .. } = self.holdings[index as usize];
        match self.holdings.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
        match self.holdings.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
    }
}
