//! Which instance sends how much to which, before anybody knows where they run.

use super::{Chain, Flow, Placement, Problem};

/// An instance: its NF, and its number there.
pub(super) type Instance = (usize, u32);

/// Packets per second of a chain from one instance to another.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Rate {
    pub chain: usize,
    pub from: Instance,
    pub to: Instance,
    pub rate: f64,
}

/// Few pairs of instances with as much traffic as can be: instances are filled one after the other.
pub(super) fn filled(problem: &Problem) -> Vec<Rate> {
    let mut room: Vec<Vec<f64>> =
        (0..problem.nfs.len()).map(|i| vec![problem.nfs[i].rate; problem.instances(i) as usize]).collect();
    let share = |chain: &Chain, nf: usize| -> Vec<f64> {
        let mut left = chain.rate;
        let rooms = &mut room[nf];
        let last = rooms.len().saturating_sub(1);
        let take = |(j, room): (usize, &mut f64)| {
            // What rounding leaves over goes to the last one.
            let taken = if j == last { left } else { left.min(*room) };
            *room = (*room - taken).max(0.0);
            left -= taken;
            taken
        };
        rooms.iter_mut().enumerate().map(take).collect()
    };
    joined(problem, share)
}

/// Every instance sends the same to every instance of the next NF, as flows at random do on average.
pub(super) fn even(problem: &Problem) -> Vec<Rate> {
    let mut rates = Vec::new();
    for (c, chain) in problem.chains.iter().enumerate() {
        for &(a, b) in &chain.pairs {
            let (n, m) = (problem.instances(a), problem.instances(b));
            let rate = chain.rate / f64::from(n) / f64::from(m);
            for j in 0..n {
                rates.extend((0..m).map(|l| Rate { chain: c, from: (a, j), to: (b, l), rate }));
            }
        }
    }
    rates
}

/// Given what each instance processes of each chain, joins the instances of each pair in their order.
fn joined(problem: &Problem, mut share: impl FnMut(&Chain, usize) -> Vec<f64>) -> Vec<Rate> {
    let mut rates = Vec::new();
    for (c, chain) in problem.chains.iter().enumerate() {
        let shares: Vec<Vec<f64>> = chain.nfs.iter().map(|nf| share(chain, *nf)).collect();
        let of = |nf: usize| chain.nfs.iter().position(|other| *other == nf).map(|at| shares[at].clone());
        for &(a, b) in &chain.pairs {
            let (Some(mut from), Some(mut to)) = (of(a), of(b)) else { continue };
            let (mut j, mut l) = (0, 0);
            while j < from.len() && l < to.len() {
                let rate = from[j].min(to[l]);
                if rate > 0.0 {
                    rates.push(Rate { chain: c, from: (a, j as u32), to: (b, l as u32), rate });
                }
                from[j] -= rate;
                to[l] -= rate;
                // Whichever is used up; what is left of the other may be no more than rounding.
                if from[j] <= to[l] { j += 1 } else { l += 1 }
            }
        }
    }
    rates
}

/// Puts instances onto servers: `place` says where each is.
pub(super) fn placed(problem: &Problem, rates: &[Rate], place: impl Fn(Instance) -> usize) -> Placement {
    let mut at = vec![vec![0; problem.servers.len()]; problem.nfs.len()];
    for (i, at) in at.iter_mut().enumerate() {
        (0..problem.instances(i)).for_each(|j| at[place((i, j))] += 1);
    }
    let mut flows: Vec<Flow> = Vec::new();
    for rate in rates {
        let servers = (place(rate.from), place(rate.to));
        let pair = (rate.from.0, rate.to.0);
        let same = |flow: &&mut Flow| (flow.chain, flow.pair, flow.servers) == (rate.chain, pair, servers);
        match flows.iter_mut().find(same) {
            Some(flow) => flow.rate += rate.rate,
            None => flows.push(Flow { chain: rate.chain, pair, servers, rate: rate.rate }),
        }
    }
    Placement::new(problem, at, flows)
}
