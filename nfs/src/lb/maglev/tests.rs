use super::*;

fn backends(count: u16, size: usize) -> Vec<(u16, Permutation, u32)> {
    (0..count).map(|n| (n, Permutation::of(&format!("web{n}"), size), 1)).collect()
}

fn shares(table: &[u16], count: usize) -> Vec<usize> {
    table.iter().fold(vec![0; count], |mut shares, &backend| {
        shares[usize::from(backend)] += 1;
        shares
    })
}

/// Table 1 of the paper, and the same without its second back-end.
#[test]
fn the_example_of_the_paper_comes_out() {
    let permutations = [(3, 4), (0, 2), (3, 1)].map(|(offset, skip)| Permutation { offset, skip });
    let backends: Vec<_> = (0..).zip(permutations).map(|(n, permutation)| (n, permutation, 1)).collect();
    assert_eq!(*table(7, &backends), [1, 0, 1, 0, 2, 2, 0]);
    assert_eq!(*table(7, &[backends[0], backends[2]]), [0, 0, 0, 0, 2, 2, 2]);
}

/// Section 5.3: with a table of 65537 places and 1000 back-ends no back-end has more than a few percent above the
/// average; here the fullest and the emptiest differ by at most two places in that many rounds of one each.
#[test]
fn places_are_shared_evenly() {
    let shares = shares(&table(65537, &backends(1000, 65537)), 1000);
    let (least, most) = (shares.iter().min().expect("some"), shares.iter().max().expect("some"));
    assert!(most - least <= 1, "{least} to {most}");
}

/// Figure 12: when one back-end of 100 fails, few places that were not its own change hands.
#[test]
fn one_failure_disturbs_few_others() {
    let all = backends(100, 65537);
    let (before, after) = (table(65537, &all), table(65537, &all[1..]));
    let moved = before.iter().zip(&after).filter(|(was, is)| **was != 0 && was != is).count();
    let others = before.iter().filter(|was| **was != 0).count();
    assert!(moved * 100 < others * 5, "{moved} of {others} places changed hands");
    assert!(after.iter().all(|backend| *backend != 0));
}

#[test]
fn weights_are_shares() {
    let mut all = backends(4, 65537);
    all[2].2 = 3;
    all[3].2 = 0;
    let shares = shares(&table(65537, &all), 4);
    assert_eq!(shares[3], 0);
    assert!((shares[2] as f64 / shares[0] as f64 - 3.0).abs() < 0.01, "{shares:?}");
    assert!(table(65537, &all[3..]).is_empty());
}

#[test]
fn primes_are_told_from_others() {
    let primes: Vec<usize> = (0..30).filter(|n| is_prime(*n)).collect();
    assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
    assert!(is_prime(65537) && !is_prime(65536) && !is_prime(251 * 257));
}
