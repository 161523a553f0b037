//! Seats for packets that wait, found by number and in the order in which they were taken. All memory is taken at
//! creation, and everything takes a few steps: numbers follow each other, so they spread over the places evenly.

use engine::Time;

/// No seat.
const NONE: u32 = u32::MAX;
/// Numbers that are remembered per seat after they have left.
const MEMORY: usize = 16;

/// Who sits where.
pub(super) struct Seats {
    /// By number: the first of the seats whose numbers have this place.
    places: Box<[u32]>,
    links: Box<[Link]>,
    free: Vec<u32>,
    /// Both ends of the line of those that wait.
    oldest: u32,
    newest: u32,
    /// By number: who was there last.
    left: Box<[Left]>,
}

/// A seat's place among the others.
#[derive(Clone, Copy)]
struct Link {
    number: u32,
    /// The next seat of the same place.
    next: u32,
    /// Its neighbours in the line.
    older: u32,
    newer: u32,
}

const ALONE: Link = Link { number: NONE, next: NONE, older: NONE, newer: NONE };

/// A number that has left.
#[derive(Clone, Copy)]
struct Left {
    number: u32,
    lost: bool,
    came: Time,
}

impl Seats {
    pub(super) fn new(count: usize) -> Seats {
        let left = Left { number: NONE, lost: false, came: Time::ZERO };
        Seats {
            places: vec![NONE; count.next_power_of_two()].into(),
            links: vec![ALONE; count].into(),
            free: (0..count as u32).rev().collect(),
            oldest: NONE,
            newest: NONE,
            left: vec![left; MEMORY * count.next_power_of_two()].into(),
        }
    }

    pub(super) fn taken(&self) -> usize {
        self.links.len() - self.free.len()
    }

    fn place(&self, number: u32) -> usize {
        number as usize & (self.places.len() - 1)
    }

    /// The seat of a number.
    pub(super) fn find(&self, number: u32) -> Option<u32> {
        let mut seat = self.places[self.place(number)];
        while seat != NONE && self.links[seat as usize].number != number {
            seat = self.links[seat as usize].next;
        }
        Some(seat).filter(|&seat| seat != NONE)
    }

    /// Gives a number that has none a seat, last in line. `None` when all are taken.
    pub(super) fn take(&mut self, number: u32) -> Option<u32> {
        let seat = self.free.pop()?;
        let place = self.place(number);
        self.links[seat as usize] =
            Link { number, next: self.places[place], older: self.newest, newer: NONE };
        self.places[place] = seat;
        match self.newest {
            NONE => self.oldest = seat,
            newest => self.links[newest as usize].newer = seat,
        }
        self.newest = seat;
        Some(seat)
    }

    pub(super) fn has_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Who has waited longest.
    pub(super) fn oldest(&self) -> Option<u32> {
        Some(self.oldest).filter(|&seat| seat != NONE)
    }

    /// Takes a seat that is in line out of it.
    pub(super) fn leave_line(&mut self, seat: u32) {
        let Link { older, newer, .. } = self.links[seat as usize];
        match older {
            NONE => self.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.links[newer as usize].older = older,
        }
    }

    /// Frees a seat that is in no line any more. Its number came at `came`, and is `lost` or has gone on.
    pub(super) fn free(&mut self, seat: u32, lost: bool, came: Time) {
        let Link { number, next, .. } = std::mem::replace(&mut self.links[seat as usize], ALONE);
        let place = self.place(number);
        if self.places[place] == seat {
            self.places[place] = next;
        } else {
            let mut before = self.places[place];
            while before != NONE && self.links[before as usize].next != seat {
                before = self.links[before as usize].next;
            }
            if before != NONE {
                self.links[before as usize].next = next;
            }
        }
        self.free.push(seat);
        let at = number as usize & (self.left.len() - 1);
        self.left[at] = Left { number, lost, came };
    }

    /// Whether a number that has left was lost, and when it came; as long as no other one has taken its place.
    pub(super) fn left(&self, number: u32) -> Option<(bool, Time)> {
        let left = self.left[number as usize & (self.left.len() - 1)];
        (left.number == number).then_some((left.lost, left.came))
    }
}

#[cfg(test)]
#[path = "seats/tests.rs"]
mod tests;
