//! The largest flows, found in passing: each tick looks at a few places of the tables, so that no command has to
//! look at all of them at once.

use super::accounts::Accounts;
use super::flow::Flow;
use wire::FlowKey;

/// Flows that can be named.
pub(super) const MOST: usize = 32;
/// Pages of 16 entries (at most 256 places) per tick.
const PAGES: usize = 1;
const ENTRIES: usize = 16;

/// By what flows are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    #[default]
    Bytes,
    Packets,
}

type Best = Vec<(u64, FlowKey, Flow)>;

/// Two rankings: of the round that is under way, and of the last complete one.
pub(super) struct Top {
    place: u64,
    found: [Best; 2],
    complete: Option<[Best; 2]>,
}

impl Top {
    pub(super) fn new() -> Top {
        Top { place: 0, found: [room(), room()], complete: None }
    }

    /// Looks at the next few places.
    pub(super) fn sweep(&mut self, accounts: &Accounts) {
        for _ in 0..PAGES {
            let found = &mut self.found;
            let next = accounts.page(self.place, ENTRIES, |key, flow| {
                rank(&mut found[0], flow.bytes(), key, flow);
                rank(&mut found[1], flow.packets(), key, flow);
                false
            });
            self.place = next.unwrap_or(0);
            if next.is_none() {
                let complete = self.complete.get_or_insert_with(|| [room(), room()]);
                std::mem::swap(complete, &mut self.found);
                self.found.iter_mut().for_each(Vec::clear);
            }
        }
    }

    /// The largest flows of the last complete round, or of the first one as far as it is.
    pub(super) fn largest(&self, by: By, count: usize) -> impl Iterator<Item = (FlowKey, Flow)> {
        let best = self.complete.as_ref().unwrap_or(&self.found);
        let best = match by {
            By::Bytes => &best[0],
            By::Packets => &best[1],
        };
        best.iter().take(count).map(|(_, key, flow)| (*key, *flow))
    }
}

fn room() -> Best {
    Vec::with_capacity(MOST + 1)
}

/// Keeps the largest, the largest first.
fn rank(best: &mut Best, size: u64, key: FlowKey, flow: &Flow) {
    if best.len() == MOST && best.last().is_some_and(|(least, ..)| *least >= size) {
        return;
    }
    let place = best.partition_point(|(larger, ..)| *larger >= size);
    best.insert(place, (size, key, *flow));
    best.truncate(MOST);
}
