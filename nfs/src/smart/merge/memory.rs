//! The packets of each flow that came last, by their digests, so that copies of them are known.

use super::course::Course;
use engine::Time;

/// The last `depth` packets of each of `flows` flows. All memory is taken when it is made.
pub(super) struct Memory {
    /// 0: none.
    digests: Box<[u64]>,
    /// When they came, in nanoseconds since the epoch; 0 for one whose copy has come.
    times: Box<[u64]>,
    depth: usize,
}

impl Memory {
    pub(super) fn new(flows: usize, depth: usize) -> Memory {
        let zeros = || vec![0; flows * depth].into_boxed_slice();
        Memory { digests: zeros(), times: zeros(), depth }
    }

    fn range(&self, flow: usize) -> std::ops::Range<usize> {
        flow * self.depth..(flow + 1) * self.depth
    }

    /// Whether a packet of this digest has come at `since` or later. `once`: it is forgotten then.
    pub(super) fn meets(&mut self, flow: usize, digest: u64, since: u64, once: bool) -> bool {
        let range = self.range(flow);
        let (Some(digests), Some(times)) = (self.digests.get(range.clone()), self.times.get_mut(range))
        else {
            return false;
        };
        // All of them without a branch first, as there is no such packet as a rule.
        if !digests.iter().fold(false, |met, known| met | (*known == digest)) {
            return false;
        }
        let young =
            digests.iter().zip(times).find(|(known, time)| **known == digest && **time >= since.max(1));
        young
            .map(|(_, time)| {
                if once {
                    *time = 0
                }
            })
            .is_some()
    }

    /// Remembers a packet in place of the one that came longest ago.
    pub(super) fn note(&mut self, flow: usize, course: &mut Course, digest: u64, time: u64) {
        let at = self.range(flow).start + course.place as usize % self.depth;
        if let (Some(known), Some(known_time)) = (self.digests.get_mut(at), self.times.get_mut(at)) {
            (*known, *known_time) = (digest, time);
        }
        course.place = (course.place + 1) % self.depth as u32;
    }

    /// Forgets the packets of a flow: its place is another's now.
    pub(super) fn clear(&mut self, flow: usize) {
        let range = self.range(flow);
        if let Some(digests) = self.digests.get_mut(range) {
            digests.fill(0);
        }
    }

    /// Digests and times of a flow, the oldest first.
    pub(super) fn all(&self, flow: usize, course: &Course) -> Vec<(u64, u64)> {
        let from = self.range(flow).start;
        (0..self.depth)
            .map(|n| from + (course.place as usize + n) % self.depth)
            .filter_map(|at| Some((*self.digests.get(at)?, *self.times.get(at)?)))
            .filter(|(digest, _)| *digest != 0)
            .collect()
    }
}

/// From when on a copy is looked for.
pub(super) fn since(now: Time, skew: u64) -> u64 {
    now.as_nanos().saturating_sub(skew)
}
