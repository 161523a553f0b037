//! Walking a flow table in pages whose place can be written down as a number and sent over a socket.

use tables::flow_table::EntryId;

/// Places looked at per entry that a page may have, so that a page of a sparse table is cheap too.
const PLACES: usize = 16;

/// The entry at each index of a flow table. Entries that are gone stay listed: their identifiers find nothing.
pub(crate) struct Roster {
    ids: Box<[Option<EntryId>]>,
}

impl Roster {
    /// For a table of this capacity.
    pub(crate) fn new(capacity: usize) -> Roster {
        Roster { ids: vec![None; capacity].into_boxed_slice() }
    }

    /// An entry is new.
    #[inline]
    pub(crate) fn note(&mut self, id: EntryId) {
        if let Some(place) = self.ids.get_mut(id.index()) {
            *place = Some(id);
        }
    }

    /// The entry that was last noted at this index.
    pub(crate) fn get(&self, index: usize) -> Option<EntryId> {
        self.ids.get(index).copied().flatten()
    }

    /// Shows entries from place `from` on, until `show` said of `count` of them that they are wanted. Returns where
    /// to go on, `None` at the end. An entry that stays from the first page to the last is shown exactly once.
    pub(crate) fn page(&self, from: u64, count: usize, mut show: impl FnMut(EntryId) -> bool) -> Option<u64> {
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(self.ids.len());
        let to = from.saturating_add(count.max(1).saturating_mul(PLACES)).min(self.ids.len());
        let mut left = count;
        for (place, id) in (from..to).zip(&self.ids[from..to]) {
            if left == 0 {
                return Some(place as u64);
            }
            left -= usize::from(id.is_some_and(&mut show));
        }
        (to < self.ids.len()).then_some(to as u64)
    }
}
