//! Packets that wait for those before them: in order within their flow, and all of them by when they came.

use super::course::{Course, NONE};
use super::piece::{Piece, ahead};
use engine::{Packet, Time};
use tables::flow_table::EntryId;

/// A packet that waits.
struct Slot {
    held: Option<Held>,
    /// Neighbours within the flow.
    before: u32,
    behind: u32,
    /// Neighbours among all, by when they came.
    older: u32,
    newer: u32,
}

/// What is held, whose it is, and until when.
pub(super) struct Held {
    pub packet: Packet,
    pub piece: Piece,
    pub flow: EntryId,
    pub due: Time,
}

/// At most so many packets as it was made for. All memory is taken then.
pub(super) struct Hold {
    slots: Box<[Slot]>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

impl Hold {
    pub(super) fn new(limit: usize) -> Hold {
        let slot = || Slot { held: None, before: NONE, behind: NONE, older: NONE, newer: NONE };
        Hold {
            slots: std::iter::repeat_with(slot).take(limit).collect(),
            free: (0..limit as u32).rev().collect(),
            oldest: NONE,
            newest: NONE,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// The packet that has waited longest: whose it is, until when, and its slot.
    #[inline]
    pub(super) fn oldest(&self) -> Option<(EntryId, Time, u32)> {
        let slot = self.slots.get(self.oldest as usize)?;
        slot.held.as_ref().map(|held| (held.flow, held.due, self.oldest))
    }

    /// The first piece of a flow.
    pub(super) fn first(&self, course: &Course) -> Option<&Piece> {
        self.slots.get(course.head as usize)?.held.as_ref().map(|held| &held.piece)
    }

    /// Holds a packet, behind those of the flow that begin before it or with it. Gives it back when all slots are taken.
    pub(super) fn push(&mut self, course: &mut Course, held: Held) -> Result<(), Held> {
        let Some(slot) = self.free.pop() else { return Err(held) };
        let mut before = course.tail;
        while let Some(other) = self.slots.get(before as usize)
            && let Some(known) = &other.held
            && ahead(known.piece.start, held.piece.start) > 0
        {
            before = other.before;
        }
        let behind = match self.slots.get_mut(before as usize) {
            Some(other) => std::mem::replace(&mut other.behind, slot),
            None => std::mem::replace(&mut course.head, slot),
        };
        match self.slots.get_mut(behind as usize) {
            Some(other) => other.before = slot,
            None => course.tail = slot,
        }
        match self.slots.get_mut(self.newest as usize) {
            Some(other) => other.newer = slot,
            None => self.oldest = slot,
        }
        let older = std::mem::replace(&mut self.newest, slot);
        self.slots[slot as usize] = Slot { held: Some(held), before, behind, older, newer: NONE };
        course.held += 1;
        Ok(())
    }

    /// Takes the first packet of a flow out, and says from which slot.
    pub(super) fn pop(&mut self, course: &mut Course) -> Option<(u32, Held)> {
        let number = course.head;
        let slot = self.slots.get_mut(number as usize)?;
        let held = slot.held.take()?;
        let Slot { behind, older, newer, .. } = *slot;
        course.head = behind;
        course.held -= 1;
        match self.slots.get_mut(behind as usize) {
            Some(other) => other.before = NONE,
            None => course.tail = NONE,
        }
        match self.slots.get_mut(older as usize) {
            Some(other) => other.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(other) => other.older = older,
            None => self.newest = older,
        }
        self.free.push(number);
        Some((number, held))
    }

    /// Everything that is held, by when it came.
    pub(super) fn into_held(mut self) -> Vec<Held> {
        let mut all = Vec::with_capacity(self.len());
        let mut at = self.oldest;
        while let Some(slot) = self.slots.get_mut(at as usize) {
            all.extend(slot.held.take());
            at = slot.newer;
        }
        all
    }
}
