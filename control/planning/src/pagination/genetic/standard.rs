//! The standard form: a chromosome says for each tile on which page it is.

use crate::pagination::{Clock, Instance, Random, Solution, Symbols, first_fit};

const POPULATION: usize = 80;
const GENERATIONS: usize = 2000;
/// One gene of this many changes.
const MUTATION: usize = 50;

#[derive(Clone)]
struct Chromosome {
    page_of: Vec<usize>,
    cost: u64,
}

/// The best of two thousand generations; First Fit's solution if they find none that is better.
pub(in crate::pagination) fn solve(instance: &Instance, lower_bound: usize, clock: &Clock) -> Solution {
    let fallback = first_fit::solve(instance);
    let pages = fallback.len();
    if pages <= lower_bound {
        return fallback;
    }
    let mut random = Random::new(clock.effort.seed);
    let mut page_of = vec![0; instance.tiles().len()];
    for (number, page) in fallback.pages.iter().enumerate() {
        page.iter().for_each(|tile| page_of[*tile] = number);
    }
    let mut population: Vec<Chromosome> = (1..POPULATION)
        .map(|_| (0..page_of.len()).map(|_| random.below(pages)).collect())
        .map(|page_of| weighed(instance, pages, page_of))
        .collect();
    population.push(weighed(instance, pages, page_of));
    let fitter = |a: &Chromosome, b: &Chromosome| a.cost.cmp(&b.cost);
    for _ in 0..GENERATIONS {
        if clock.is_over() {
            break;
        }
        population.sort_by(fitter);
        // The best tenth stays as it is.
        let mut next: Vec<Chromosome> = population[..POPULATION / 10].to_vec();
        while next.len() < POPULATION {
            // Of two at random the fitter one, twice.
            let [one, other] = [0; 2].map(|_| random.below(POPULATION).min(random.below(POPULATION)));
            let mut page_of = crossed(&population[one].page_of, &population[other].page_of, &mut random);
            for gene in &mut page_of {
                if random.below(MUTATION) == 0 {
                    *gene = random.below(pages);
                }
            }
            next.push(weighed(instance, pages, page_of));
        }
        population = next;
    }
    let best = population.iter().min_by(|a, b| fitter(a, b));
    best.and_then(|best| solution(instance, pages, &best.page_of)).unwrap_or(fallback)
}

/// Two-point crossover: the genes between two cuts are those of `other`.
fn crossed(one: &[usize], other: &[usize], random: &mut Random) -> Vec<usize> {
    let (a, b) = (random.below(one.len() + 1), random.below(one.len() + 1));
    let between = a.min(b)..a.max(b);
    let mut child = one.to_vec();
    child[between.clone()].copy_from_slice(&other[between]);
    child
}

fn sets(instance: &Instance, pages: usize, page_of: &[usize]) -> Vec<Symbols> {
    let mut sets = vec![Symbols::EMPTY; pages];
    page_of.iter().zip(instance.tiles()).for_each(|(page, tile)| sets[*page] |= *tile);
    sets
}

/// With its cost: the place of the last page in use, then what that page weighs; overfull pages cost more than any
/// solution does.
fn weighed(instance: &Instance, pages: usize, page_of: Vec<usize>) -> Chromosome {
    let sets = sets(instance, pages, &page_of);
    let last = sets.iter().rposition(|set| !set.is_empty()).unwrap_or(0);
    let over = |set: &Symbols| instance.weight(set).saturating_sub(instance.capacity());
    let excess = sets.iter().map(over).fold(0, u64::saturating_add);
    let capacity = instance.capacity().saturating_add(1);
    let cost = if excess > 0 {
        capacity.saturating_mul(pages as u64 + 1).saturating_add(excess)
    } else {
        capacity.saturating_mul(last as u64).saturating_add(instance.weight(&sets[last]))
    };
    Chromosome { page_of, cost }
}

fn solution(instance: &Instance, pages: usize, page_of: &[usize]) -> Option<Solution> {
    let mut groups = vec![Vec::new(); pages];
    page_of.iter().enumerate().for_each(|(tile, page)| groups[*page].push(tile));
    groups.retain(|page| !page.is_empty());
    let solution = Solution { pages: groups };
    solution.check(instance).is_ok().then_some(solution)
}
