//! Keeping the fragments of a datagram together.
//!
//! Only the first fragment has ports. It teaches where its datagram goes; later fragments follow. One that comes
//! before the first waits for it, for a bounded time and in a bounded place.

use crate::time::Time;
use dpdk::Mbuf;
use std::time::Duration;
use wire::FragmentKey;

/// Datagrams whose way is remembered, a power of two. A newer one takes the place of an older one that hashes
/// alike.
const DATAGRAMS: usize = 1024;
/// Fragments that may wait at once.
const WAITING: usize = 256;
/// How long a datagram is remembered, and how long a fragment waits: far above any reordering in a network, far
/// below the reuse of an identification.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of a datagram.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    /// The hash that its first fragment had.
    Hash(u32),
    /// Its first fragment has not been seen.
    Nothing,
}

/// Ways of datagrams, and fragments that wait.
pub(crate) struct Fragments {
    ways: Box<[Option<Way>]>,
    waiting: Vec<Waiting>,
}

#[derive(Clone, Copy)]
struct Way {
    key: FragmentKey,
    hash: u32,
    seen: Time,
}

/// A fragment that waits for its first, and where it was going.
pub(crate) struct Waiting {
    pub key: FragmentKey,
    pub mbuf: Mbuf,
    pub chain: usize,
    pub stage: usize,
    pub since: Time,
}

impl Fragments {
    pub(crate) fn new() -> Self {
        Fragments { ways: vec![None; DATAGRAMS].into(), waiting: Vec::with_capacity(WAITING) }
    }

    /// The first fragment of a datagram went by this hash.
    pub(crate) fn learn(&mut self, key: FragmentKey, hash: u32, now: Time) {
        self.ways[key.hash() as usize % DATAGRAMS] = Some(Way { key, hash, seen: now });
    }

    /// Which way a datagram goes.
    pub(crate) fn find(&self, key: &FragmentKey, now: Time) -> Known {
        match &self.ways[key.hash() as usize % DATAGRAMS] {
            Some(way) if way.key == *key && now.since(way.seen) <= PATIENCE => Known::Hash(way.hash),
            _ => Known::Nothing,
        }
    }

    /// Lets a fragment wait; gives it back when there is no room.
    pub(crate) fn wait(&mut self, fragment: Waiting) -> Result<(), Waiting> {
        if self.waiting.len() == WAITING {
            return Err(fragment);
        }
        self.waiting.push(fragment);
        Ok(())
    }

    /// Whether any fragment waits.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many fragments wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The next fragment that need not wait any longer, with the hash to go by, in order of arrival: its first
    /// has come, or it has waited long enough (then `None`).
    pub(crate) fn ready(&mut self, now: Time) -> Option<(Waiting, Option<u32>)> {
        let (index, hash) = self.waiting.iter().enumerate().find_map(|(index, waiting)| {
            match self.find(&waiting.key, now) {
                Known::Hash(hash) => Some((index, Some(hash))),
                Known::Nothing if now.since(waiting.since) > PATIENCE => Some((index, None)),
                Known::Nothing => None,
            }
        })?;
        Some((self.waiting.remove(index), hash))
    }

    /// The fragment that has waited longest, whatever is known of it: the engine is stopping.
    pub(crate) fn give_up(&mut self) -> Option<Waiting> {
        if self.waiting.is_empty() { None } else { Some(self.waiting.remove(0)) }
    }
}
