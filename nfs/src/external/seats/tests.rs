use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

#[derive(Clone, Debug)]
enum Step {
    Take(u32),
    /// The n-th of those that are there.
    LeaveLine(usize),
    Free(usize),
}

fn step() -> impl Strategy<Value = Step> {
    // Few numbers, so that places are shared.
    let number = prop_oneof![0u32..40, (0u32..8).prop_map(|n| n * 8 + 3)];
    prop_oneof![
        2 => number.prop_map(Step::Take),
        1 => (0usize..8).prop_map(Step::LeaveLine),
        2 => (0usize..8).prop_map(Step::Free),
    ]
}

proptest! {
    /// As a map and a queue would have it.
    #[test]
    fn numbers_are_found_and_wait_in_line(steps in proptest::collection::vec(step(), 0..200)) {
        let mut seats = Seats::new(6);
        let mut known: BTreeMap<u32, u32> = BTreeMap::new();
        let mut line: VecDeque<u32> = VecDeque::new();
        for step in steps {
            match step {
                Step::Take(number) if known.contains_key(&number) => {}
                Step::Take(number) => match seats.take(number) {
                    Some(seat) => {
                        prop_assert!(known.values().all(|other| *other != seat));
                        known.insert(number, seat);
                        line.push_back(seat);
                    }
                    None => prop_assert_eq!(known.len(), 6),
                },
                Step::LeaveLine(n) => {
                    if let Some(seat) = line.remove(n) {
                        seats.leave_line(seat);
                    }
                }
                Step::Free(n) => {
                    if let Some((&number, &seat)) = known.iter().nth(n) {
                        if let Some(at) = line.iter().position(|other| *other == seat) {
                            line.remove(at);
                            seats.leave_line(seat);
                        }
                        known.remove(&number);
                        let came = Time::from_nanos(7);
                        seats.free(seat, n == 0, came);
                        prop_assert_eq!(seats.left(number), Some((n == 0, came)));
                    }
                }
            }
            prop_assert_eq!((seats.taken(), seats.has_free()), (known.len(), known.len() < 6));
            prop_assert_eq!(seats.oldest(), line.front().copied());
            for number in 0..64 {
                prop_assert_eq!(seats.find(number), known.get(&number).copied());
            }
        }
    }
}
