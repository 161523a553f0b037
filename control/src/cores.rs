//! Which cores this process may use, and which of them it should.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::OnceLock;

/// The cores that this process might run on when it was first asked, ascending. Never empty. Later restrictions
/// of single threads ([`keep_off`]) do not change it.
pub fn allowed() -> &'static [usize] {
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    ALLOWED.get_or_init(|| {
        let cores: Vec<usize> = match sched_getaffinity(None) {
            Ok(set) => (0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect(),
            Err(_) => Vec::new(),
        };
        if cores.is_empty() { vec![0] } else { cores }
    })
}

/// A core for each of `workers`: from the highest down, as interrupts and everything else prefer the lowest, and
/// so that one worker more or less moves no other. With more workers than cores they share.
pub fn choose(workers: usize, allowed: &[usize]) -> Vec<usize> {
    allowed.iter().rev().cycle().take(workers).copied().collect()
}

/// Keeps the calling thread, and all that it starts from now on, off the workers' cores, if there are others:
/// nothing that an operator does takes time from packets.
pub fn keep_off(workers: &[usize]) {
    let mut set = CpuSet::new();
    for core in allowed().iter().copied().filter(|core| !workers.contains(core)) {
        set.set(core);
    }
    if set.count() > 0
        && let Err(error) = sched_setaffinity(None, &set)
    {
        tracing::warn!("control threads stay on the workers' cores: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_get_the_highest_cores_and_share_when_there_are_too_few() {
        assert_eq!(choose(1, &[0, 1, 2]), [2]);
        assert_eq!(choose(3, &[0, 1, 2]), [2, 1, 0]);
        assert_eq!(choose(3, &[4, 6]), [6, 4, 6]);
    }
}
