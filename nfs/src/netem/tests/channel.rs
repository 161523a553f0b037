//! What a channel does to packets, without packets.

use super::super::channel::{Channel, Fate};
use super::super::config::{Config, GilbertElliott, Settings};
use super::super::random::Distribution;
use crate::{Rate, Span};
use engine::Time;
use std::time::Duration;

const N: usize = 200_000;
const START: Time = Time::from_nanos(1_700_000_000_000_000_000);

fn settings(config: Config) -> Settings {
    Settings::new(&config).expect("a good configuration")
}

fn millis(millis: u64) -> Span {
    Span(Duration::from_millis(millis))
}

/// Fates of so many packets of 1 000 bytes.
fn fates(config: Config, seed: u64) -> Vec<Fate> {
    let (settings, mut channel) = (settings(config), Channel::new(seed));
    (0..N).map(|_| channel.judge(&settings, 1000)).collect()
}

fn losses(config: Config, seed: u64) -> Vec<bool> {
    fates(config, seed).iter().map(|fate| fate.lost).collect()
}

fn share(events: &[bool]) -> f64 {
    events.iter().filter(|event| **event).count() as f64 / events.len() as f64
}

/// Lengths of runs of losses.
fn runs(losses: &[bool]) -> Vec<usize> {
    losses.chunk_by(|a, b| a == b).filter(|run| run[0]).map(<[bool]>::len).collect()
}

fn mean(runs: &[usize]) -> f64 {
    runs.iter().sum::<usize>() as f64 / runs.len() as f64
}

/// Time on the way in milliseconds, of packets that come 100 µs apart.
fn delays(config: Config, n: u32) -> Vec<f64> {
    let (settings, mut channel) = (settings(config), Channel::new(1));
    let arrival = |i: u32| {
        let now = START + Duration::from_micros(100) * i;
        channel.arrival(&settings, 1000, now).due.since(now).as_secs_f64() * 1e3
    };
    (0..n).map(arrival).collect()
}

#[test]
fn random_loss_has_its_share_and_no_memory() {
    let lost = losses(Config { loss: 2.0, ..Config::default() }, 5);
    assert!((share(&lost) - 0.02).abs() < 0.0013, "{}", share(&lost));
    let burst = mean(&runs(&lost));
    assert!((burst - 1.0 / 0.98).abs() < 0.01, "bursts are as long as chance makes them: {burst}");
}

#[test]
fn correlated_loss_has_the_same_share_in_longer_bursts() {
    let lost = losses(Config { loss: 2.0, loss_correlation: 50.0, ..Config::default() }, 5);
    assert!((share(&lost) - 0.02).abs() < 0.0025, "{}", share(&lost));
    // After a loss the next one comes with 0.5 + 0.5 * 0.02.
    let burst = mean(&runs(&lost));
    assert!((burst - 1.0 / (1.0 - 0.51)).abs() < 0.1, "{burst}");
}

#[test]
fn the_channel_of_gilbert_and_elliott_has_its_share_and_its_bursts() {
    let channel =
        |loss_in_bad, loss_in_good| GilbertElliott { to_bad: 1.0, to_good: 20.0, loss_in_bad, loss_in_good };
    let gilbert = losses(Config { gilbert_elliott: Some(channel(100.0, 0.0)), ..Config::default() }, 5);
    // The bad state has p / (p + r) of the packets, for 1 / r packets at a time.
    assert!((share(&gilbert) - 1.0 / 21.0).abs() < 0.004, "{}", share(&gilbert));
    let runs = runs(&gilbert);
    assert!((mean(&runs) - 5.0).abs() < 0.3, "{}", mean(&runs));
    // Lengths are geometric: a share of 0.2 ends after one packet.
    let single: Vec<bool> = runs.iter().map(|run| *run == 1).collect();
    assert!((share(&single) - 0.2).abs() < 0.04, "{}", share(&single));
    let elliott = losses(Config { gilbert_elliott: Some(channel(50.0, 1.0)), ..Config::default() }, 5);
    let wanted = (0.5 + 20.0 * 0.01) / 21.0;
    assert!((share(&elliott) - wanted).abs() < 0.004, "{} {wanted}", share(&elliott));
}

#[test]
fn duplication_and_corruption_have_their_shares_and_change_every_bit_within_reach() {
    let fates = fates(Config { duplicate: 3.0, corrupt: 30.0, ..Config::default() }, 9);
    let share_of = |is: fn(&Fate) -> bool| share(&fates.iter().map(is).collect::<Vec<_>>());
    assert!((share_of(|fate| fate.twice) - 0.03).abs() < 0.002);
    assert!((share_of(|fate| fate.flip.is_some()) - 0.3).abs() < 0.005);
    let mut hits = vec![0u32; 256 * 8];
    for (byte, bit) in fates.iter().filter_map(|fate| fate.flip) {
        hits[byte * 8 + usize::from(bit)] += 1;
    }
    // About 29 each; one in 10^13 is as rare as none.
    assert!(hits.iter().all(|&hits| (1..90).contains(&hits)), "every bit of 256 bytes changes");
}

#[test]
fn bits_change_only_where_the_packet_is() {
    let (settings, mut channel) = (settings(Config { corrupt: 100.0, ..Config::default() }), Channel::new(2));
    assert_eq!(channel.judge(&settings, 0).flip, None);
    for len in [1, 14, 60, 255] {
        let mut flips = (0..2000).filter_map(|_| channel.judge(&settings, len).flip);
        assert!(flips.all(|(byte, bit)| byte < len && bit < 8));
    }
}

#[test]
fn what_is_lost_depends_on_the_seed_and_on_nothing_else() {
    let plain = Config { loss: 5.0, ..Config::default() };
    let rich = Config { duplicate: 10.0, corrupt: 10.0, ..plain.clone() };
    assert!(losses(plain.clone(), 4) == losses(plain.clone(), 4));
    assert!(losses(plain.clone(), 4) == losses(rich, 4));
    assert!(losses(plain.clone(), 4) != losses(plain, 5));
}

#[test]
fn a_delay_without_jitter_is_the_same_for_all() {
    let delays = delays(Config { delay: millis(40), ..Config::default() }, 1000);
    assert!(delays.iter().all(|delay| *delay == 40.0));
}

#[test]
fn delays_lie_around_their_mean_and_never_below_zero() {
    let config = |jitter, distribution| Config {
        delay: millis(40),
        jitter: millis(jitter),
        distribution,
        ..Config::default()
    };
    for (distribution, jitter, least, most) in [
        (Distribution::Uniform, 10, 30.0, 50.0),
        (Distribution::Normal, 5, 5.0, 75.0),
        // The least that a Pareto distribution of this mean and deviation can give.
        (Distribution::Pareto, 10, 40.0 - 5.8, f64::MAX),
        (Distribution::Normal, 60, 0.0, f64::MAX),
    ] {
        let delays = delays(config(jitter, distribution), 50_000);
        assert!(delays.iter().all(|delay| (least..=most).contains(delay)), "{distribution:?} {jitter}");
        let mean = delays.iter().sum::<f64>() / delays.len() as f64;
        let cut_off = jitter == 60;
        assert_eq!((mean - 40.0).abs() < 0.3, !cut_off, "{distribution:?} {jitter}: {mean}");
        assert_eq!(delays.contains(&0.0), cut_off, "{distribution:?} {jitter}");
    }
}

#[test]
fn packets_stay_in_order_on_request() {
    let arrivals = |in_order| {
        let config = Config { delay: millis(10), jitter: millis(10), in_order, ..Config::default() };
        let (settings, mut channel) = (settings(config), Channel::new(1));
        let times =
            (0..1000).map(|i| channel.arrival(&settings, 100, START + Duration::from_millis(1) * i).due);
        times.collect::<Vec<_>>()
    };
    assert!(arrivals(true).is_sorted());
    assert!(!arrivals(false).is_sorted());
}

#[test]
fn those_that_overtake_skip_the_delay_and_keep_their_gap() {
    let overtaking = |reorder, gap| {
        let config = Config { delay: millis(10), reorder, gap, ..Config::default() };
        let (settings, mut channel) = (settings(config), Channel::new(1));
        let arrivals = (0..N).map(|_| channel.arrival(&settings, 100, START));
        let told: Vec<bool> = arrivals
            .map(|arrival| {
                assert_eq!(arrival.due == START, arrival.overtakes);
                arrival.overtakes
            })
            .collect();
        told
    };
    assert!((share(&overtaking(25.0, 1)) - 0.25).abs() < 0.005);
    let every_fifth: Vec<usize> = (0..100).filter(|i| overtaking(100.0, 5)[*i]).collect();
    assert!(every_fifth.iter().enumerate().all(|(nth, place)| *place == 4 + 5 * nth), "{every_fifth:?}");
}

#[test]
fn a_link_sends_at_its_rate_to_the_nanosecond() {
    let rate = |text: &str| Some(text.parse::<Rate>().expect(text));
    for (text, len, overhead) in
        [("10mbit", 1500, 24), ("3mbit", 61, 0), ("7gbit", 64, 20), ("999999999bit", 1, 0)]
    {
        let config = Config { rate: rate(text), overhead, ..Config::default() };
        let bits = settings(config.clone()).config.rate.expect("a rate").bits();
        let (settings, mut channel) = (settings(config), Channel::new(1));
        let mut last = START;
        for _ in 0..10_000 {
            last = channel.arrival(&settings, len, START).due;
        }
        let sent = 10_000 * 8 * (len as u128 + u128::from(overhead));
        let nanos = sent * 1_000_000_000 / u128::from(bits);
        assert_eq!(last.since(START).as_nanos(), nanos, "{text}");
        // After a pause the link is free.
        let later = START + Duration::from_secs(3600);
        let one = channel.arrival(&settings, len, later).due.since(later).as_nanos();
        let alone = 8 * (len as u128 + u128::from(overhead)) * 1_000_000_000 / u128::from(bits);
        assert!((alone..=alone + 1).contains(&one), "{text}: {one}");
    }
}

#[test]
fn correlated_delays_move_slowly() {
    let config =
        Config { delay: millis(40), jitter: millis(10), delay_correlation: 90.0, ..Config::default() };
    let delays = delays(config, 50_000);
    let steps = delays.windows(2).filter(|pair| pair[0] != pair[1]).count() as f64 / 50_000.0;
    assert!((steps - 0.1).abs() < 0.01, "one packet in ten has a delay of its own: {steps}");
}
