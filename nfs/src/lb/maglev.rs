//! Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4).

#[cfg(test)]
mod tests;

use wire::flow::mix;

/// The order in which a back-end prefers the places of a table: `offset`, then every `skip` places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Permutation {
    pub offset: usize,
    pub skip: usize,
}

impl Permutation {
    /// That of a back-end, by its name alone, so that it has the same with others beside it. `size` is a prime.
    pub(super) fn of(name: &str, size: usize) -> Permutation {
        let word = |seed| name.bytes().fold(seed, |hash, byte| mix(hash, byte.into(), seed));
        let (offset, skip) = (word(0x6d61_676c_6576), word(0x736b_6970));
        let size = size as u64;
        Permutation { offset: (offset % size) as usize, skip: (skip % (size - 1) + 1) as usize }
    }
}

/// Fills a table of `size` places, a prime: each back-end takes turns, as many a round as its weight, and takes the
/// first place of its permutation that is free. The table has the back-ends' numbers; without any it is empty.
pub(super) fn table(size: usize, backends: &[(u16, Permutation, u32)]) -> Box<[u16]> {
    const FREE: u16 = u16::MAX;
    let mut places = vec![FREE; size];
    let mut next: Vec<usize> = backends.iter().map(|(_, permutation, _)| permutation.offset).collect();
    let mut left = size;
    if backends.iter().all(|(.., weight)| *weight == 0) {
        return Box::default();
    }
    loop {
        for ((number, permutation, weight), next) in backends.iter().zip(&mut next) {
            for _ in 0..*weight {
                while places[*next] != FREE {
                    *next = (*next + permutation.skip) % size;
                }
                places[*next] = *number;
                left -= 1;
                if left == 0 {
                    return places.into();
                }
            }
        }
    }
}

/// Whether every place of a table can be reached by every skip.
pub(super) fn is_prime(n: usize) -> bool {
    n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}
