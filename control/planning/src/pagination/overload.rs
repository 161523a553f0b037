//! Overload-and-Remove.

use super::{Clock, Instance, Solution, Symbols};
use std::cmp::Reverse;
use std::collections::VecDeque;

/// A tile goes onto the page with which it overlaps most, even if that overflows; then the tiles that overlap least
/// are taken off until the page fits again. They go to the end of the queue and never return to that page, which is
/// why it ends: there are finitely many pairs of a tile and a page. `presort`: the heaviest tiles first. Tiles that are still
/// in the queue when time runs out go onto the first page with room.
pub(super) fn solve(instance: &Instance, presort: bool, clock: &Clock) -> Solution {
    let tiles = instance.tiles();
    let mut order: Vec<usize> = (0..tiles.len()).collect();
    if presort {
        order.sort_by_key(|tile| Reverse(instance.weight(&tiles[*tile])));
    }
    let mut queue = VecDeque::from(order);
    let mut pages: Vec<Vec<usize>> = Vec::new();
    // Per tile, whether it has been on each page.
    let mut was_on: Vec<Vec<bool>> = vec![Vec::new(); tiles.len()];
    while let Some(tile) = queue.pop_front() {
        if clock.is_over() {
            match pages.iter_mut().find(|page| fits(instance, page, tile)) {
                Some(page) => page.push(tile),
                None => pages.push(vec![tile]),
            }
            continue;
        }
        let new = |page: &usize| !was_on[tile].get(*page).copied().unwrap_or(false);
        let overlaps = (0..pages.len()).filter(new).map(|page| (overlap(instance, &pages[page], tile), page));
        // The first one of equals.
        let best = overlaps.fold(None, |best: Option<(f64, usize)>, next| match best {
            Some(best) if best.0 >= next.0 => Some(best),
            _ => Some(next),
        });
        let page = match best {
            Some((overlap, page)) if overlap > 0.0 || fits(instance, &pages[page], tile) => page,
            _ => {
                pages.push(Vec::new());
                pages.len() - 1
            }
        };
        let visited = &mut was_on[tile];
        visited.resize(visited.len().max(page + 1), false);
        visited[page] = true;
        pages[page].push(tile);
        while !instance.fits(&union(instance, &pages[page])) {
            let least = least_overlap(instance, &pages[page]);
            queue.push_back(pages[page].remove(least));
        }
    }
    pages.retain(|page| !page.is_empty());
    decant(instance, pages)
}

fn union(instance: &Instance, page: &[usize]) -> Symbols {
    page.iter().fold(Symbols::EMPTY, |all, tile| all | instance.tiles()[*tile])
}

fn fits(instance: &Instance, page: &[usize], tile: usize) -> bool {
    instance.fits(&(union(instance, page) | instance.tiles()[tile]))
}

/// How much of `tile` the page's tiles have too: of each symbol that `n` of them have, n/(n+1) of its weight.
fn overlap(instance: &Instance, page: &[usize], tile: usize) -> f64 {
    let shared = |symbol: usize| {
        let others = page.iter().filter(|other| instance.tiles()[**other].contains(symbol)).count() as f64;
        instance.weights()[symbol] as f64 * others / (others + 1.0)
    };
    instance.tiles()[tile].iter().map(shared).sum()
}

/// The place on the page of the tile that shares the least part of its weight with the others.
fn least_overlap(instance: &Instance, page: &[usize]) -> usize {
    let mut least = (f64::INFINITY, 0);
    for (at, &tile) in page.iter().enumerate() {
        let others: Vec<usize> = page.iter().copied().filter(|other| *other != tile).collect();
        let weight = instance.weight(&instance.tiles()[tile]).max(1) as f64;
        let share = overlap(instance, &others, tile) / weight;
        if share < least.0 {
            least = (share, at);
        }
    }
    least.1
}

/// Pours later pages into earlier ones, whole pages first, then tile by tile.
fn decant(instance: &Instance, mut pages: Vec<Vec<usize>>) -> Solution {
    for whole in [true, false] {
        for from in (1..pages.len()).rev() {
            let moved = std::mem::take(&mut pages[from]);
            let parts: Vec<Vec<usize>> =
                if whole { vec![moved] } else { moved.into_iter().map(|tile| vec![tile]).collect() };
            for part in parts {
                let set = union(instance, &part);
                let earlier = pages[..from].iter();
                let has_room =
                    |page: &Vec<usize>| !page.is_empty() && instance.fits(&(union(instance, page) | set));
                let to = earlier.clone().position(has_room).unwrap_or(from);
                pages[to].extend(part);
            }
        }
    }
    pages.retain(|page| !page.is_empty());
    Solution { pages }
}
