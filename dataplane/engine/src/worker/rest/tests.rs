use super::*;

/// The steps of so many rounds without work, equal ones together.
fn steps(rest: &mut Rest, rounds: u32) -> Vec<(u32, Step)> {
    let mut steps: Vec<(u32, Step)> = Vec::new();
    for _ in 0..rounds {
        let step = rest.step();
        match steps.last_mut() {
            Some((times, last)) if *last == step => *times += 1,
            _ => steps.push((1, step)),
        }
    }
    steps
}

/// From work to sleep.
const TO_SLEEP: [(u32, Step); 4] =
    [(127, Step::Poll), (1, Step::Listen), (127, Step::Poll), (1, Step::Sleep)];

#[test]
fn it_polls_listens_polls_and_sleeps() {
    let mut rest = Rest::new(Idle::Adaptive);
    assert_eq!(steps(&mut rest, SLEEPS), TO_SLEEP);
}

#[test]
fn after_timers_it_sleeps_on_and_still_listens() {
    let mut rest = Rest::new(Idle::Adaptive);
    steps(&mut rest, SLEEPS);
    for _ in 0..3 {
        rest.woken(Woken::Time);
        assert_eq!(steps(&mut rest, 1), [(1, Step::Sleep)]);
    }
}

#[test]
fn once_rung_for_it_begins_anew() {
    let mut rest = Rest::new(Idle::Adaptive);
    steps(&mut rest, SLEEPS);
    rest.woken(Woken::Bell);
    assert_eq!(steps(&mut rest, SLEEPS), TO_SLEEP);
}

#[test]
fn work_ends_the_listening_at_any_time() {
    let bell = Bell::default();
    for rounds in [1, LISTENS - 1, LISTENS, LISTENS + 1, SLEEPS - 1, SLEEPS, SLEEPS + 1] {
        let mut rest = Rest::new(Idle::Adaptive);
        for step in (0..rounds).map(|_| rest.step()) {
            if step == Step::Listen {
                bell.listen();
            }
        }
        rest.worked(&bell);
        assert!(!bell.is_listening(), "after {rounds} rounds");
        assert_eq!(steps(&mut rest, SLEEPS), TO_SLEEP, "after {rounds} rounds");
    }
}

#[test]
fn a_file_without_packets_costs_a_nap_and_no_more() {
    let mut rest = Rest::new(Idle::Adaptive);
    steps(&mut rest, SLEEPS);
    for _ in 0..2 {
        rest.woken(Woken::File);
        assert_eq!(steps(&mut rest, SLEEPS - LISTENS), [(127, Step::Poll), (1, Step::Nap)]);
        rest.woken(Woken::Time);
        assert_eq!(steps(&mut rest, 1), [(1, Step::Sleep)]);
    }
    rest.woken(Woken::File);
    steps(&mut rest, 5);
    rest.worked(&Bell::default());
    assert_eq!(steps(&mut rest, SLEEPS), TO_SLEEP, "with its packets it was a good wake-up");
}
