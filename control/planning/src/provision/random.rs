//! Instances on any server that has room, flows to any instance: what others are compared with.

use super::greedy::Room;
use super::{Placement, Problem, Unplaced, rates};
use crate::pagination::Random;

/// Room may run out by bad luck alone.
const TRIES: usize = 100;

pub(super) fn solve(problem: &Problem, seed: u64) -> Result<Placement, Unplaced> {
    let mut random = Random::new(seed);
    let mut last = Unplaced::Impossible;
    for _ in 0..TRIES {
        match attempt(problem, &mut random) {
            Ok(placement) => return Ok(placement),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn attempt(problem: &Problem, random: &mut Random) -> Result<Placement, Unplaced> {
    let mut room = Room::new(problem);
    // What has the least choice first.
    let mut order: Vec<usize> = (0..problem.nfs.len()).collect();
    order.sort_by_key(|nf| problem.nfs[*nf].on.as_ref().map_or(usize::MAX, Vec::len));
    for i in order {
        for j in 0..problem.instances(i) {
            let free: Vec<usize> = (0..problem.servers.len()).filter(|k| room.fits(&[i], *k)).collect();
            if free.is_empty() {
                return Err(room.full(i));
            }
            room.put((i, j), free[random.below(free.len())]);
        }
    }
    Ok(rates::placed(problem, &rates::even(problem), |instance| room.placed[&instance]))
}
