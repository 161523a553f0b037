//! Which connections give way first: a list through the places of a table, the oldest first.

/// No place.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Links {
    before: u32,
    after: u32,
    listed: bool,
}

/// Places of a table of fixed capacity, each at most once, in the order in which they were put there. Everything takes
/// the same time, however many there are.
pub(super) struct Queue {
    links: Box<[Links]>,
    oldest: u32,
    newest: u32,
    len: usize,
}

impl Queue {
    /// For a table of this capacity.
    pub(super) fn new(capacity: usize) -> Queue {
        let unlisted = Links { before: NONE, after: NONE, listed: false };
        Queue { links: vec![unlisted; capacity].into_boxed_slice(), oldest: NONE, newest: NONE, len: 0 }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The place that has been there for longest.
    pub(super) fn oldest(&self) -> Option<usize> {
        (self.oldest != NONE).then_some(self.oldest as usize)
    }

    /// Puts a place at the end; one that is there stays where it is.
    pub(super) fn push(&mut self, place: usize) {
        let newest = self.newest;
        let Some(links) = self.links.get_mut(place).filter(|links| !links.listed) else { return };
        *links = Links { before: newest, after: NONE, listed: true };
        match self.links.get_mut(newest as usize) {
            Some(newest) => newest.after = place as u32,
            None => self.oldest = place as u32,
        }
        self.newest = place as u32;
        self.len += 1;
    }

    /// Takes a place out, if it is there.
    pub(super) fn remove(&mut self, place: usize) {
        let Some(links) = self.links.get_mut(place).filter(|links| links.listed) else { return };
        links.listed = false;
        let Links { before, after, .. } = *links;
        match self.links.get_mut(before as usize) {
            Some(links) => links.after = after,
            None => self.oldest = after,
        }
        match self.links.get_mut(after as usize) {
            Some(links) => links.before = before,
            None => self.newest = before,
        }
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_queue_from_which_anything_can_be_taken(
            steps in proptest::collection::vec((any::<bool>(), 0usize..12), 0..200)
        ) {
            let mut queue = Queue::new(10);
            let mut model: Vec<usize> = Vec::new();
            for (push, place) in steps {
                if push {
                    queue.push(place);
                    if place < 10 && !model.contains(&place) {
                        model.push(place);
                    }
                } else {
                    queue.remove(place);
                    model.retain(|&other| other != place);
                }
                prop_assert_eq!(queue.oldest(), model.first().copied());
                prop_assert_eq!(queue.len(), model.len());
            }
            while let Some(oldest) = queue.oldest() {
                prop_assert_eq!(oldest, model.remove(0));
                queue.remove(oldest);
            }
            prop_assert!(model.is_empty());
        }
    }
}
