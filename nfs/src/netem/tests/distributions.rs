//! Draws are of the distribution that they are said to be of.

use super::super::random::{Chance, Distribution, Draws, Random, normal_quantile};

const N: usize = 200_000;

/// Deviations of `N` packets, in units of the jitter.
fn deviations(distribution: Distribution, correlation: f64) -> Vec<f64> {
    let mut draws = Draws::new(7, 1);
    let correlation = Chance::of_percent(correlation);
    (0..N).map(|_| distribution.deviation(draws.next(correlation))).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64
}

/// Autocorrelation at a lag.
fn autocorrelation(values: &[f64], lag: usize) -> f64 {
    let mean = mean(values);
    let pairs = values.iter().zip(&values[lag..]);
    let covariance = pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / (values.len() - lag) as f64;
    covariance / variance(values)
}

/// The largest distance between the distribution function of a sample and `wanted`: below 1.95 / √n it is the same
/// one with a probability of 99.9 % (Kolmogorov and Smirnov).
fn distance(sample: &[f64], wanted: impl Fn(f64) -> f64) -> f64 {
    let mut sample = sample.to_vec();
    sample.sort_by(f64::total_cmp);
    let n = sample.len() as f64;
    let distances = sample.iter().enumerate().map(|(i, &x)| {
        let f = wanted(x);
        (f - i as f64 / n).abs().max((f - (i + 1) as f64 / n).abs())
    });
    distances.fold(0.0, f64::max)
}

const CRITICAL: f64 = 1.95;

/// The standard normal distribution function, by its series.
fn normal(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum) = (x, x);
    for k in 1..200 {
        term *= x * x / f64::from(2 * k + 1);
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

#[test]
fn jitter_is_of_the_distribution_that_was_asked_for() {
    let function = |distribution: Distribution, x: f64| match distribution {
        Distribution::Uniform => ((x + 1.0) / 2.0).clamp(0.0, 1.0),
        Distribution::Normal => normal(x),
        // Below 1 there is nothing.
        Distribution::Pareto => 1.0 - (x * 0.75f64.sqrt() + 1.5).max(1.0).powi(-3),
    };
    for distribution in [Distribution::Uniform, Distribution::Normal, Distribution::Pareto] {
        let sample = deviations(distribution, 0.0);
        let distance = distance(&sample, |x| function(distribution, x));
        assert!(distance * (N as f64).sqrt() < CRITICAL, "{distribution:?}: {distance}");
        assert!(mean(&sample).abs() < 0.01, "{distribution:?}: {}", mean(&sample));
        let lag = autocorrelation(&sample, 1);
        assert!(lag.abs() < 0.02, "{distribution:?}: neighbours are independent: {lag}");
    }
}

#[test]
fn the_test_tells_distributions_apart() {
    let uniform = deviations(Distribution::Uniform, 0.0);
    let scaled: Vec<f64> = uniform.iter().map(|x| x * 1.02).collect();
    assert!(distance(&scaled, |x| ((x + 1.0) / 2.0).clamp(0.0, 1.0)) * (N as f64).sqrt() > CRITICAL);
    assert!(distance(&uniform, normal) * (N as f64).sqrt() > CRITICAL);
}

#[test]
fn the_jitter_is_half_the_width_or_the_standard_deviation() {
    let uniform = deviations(Distribution::Uniform, 0.0);
    assert!((variance(&uniform) - 1.0 / 3.0).abs() < 0.005);
    assert!(uniform.iter().all(|x| (-1.0..=1.0).contains(x)));
    assert!((variance(&deviations(Distribution::Normal, 0.0)) - 1.0).abs() < 0.02);
    // A tail of shape 3 has no fourth moment: its variance settles slowly.
    assert!((variance(&deviations(Distribution::Pareto, 0.0)) - 1.0).abs() < 0.2);
}

#[test]
fn quantiles_of_the_normal_distribution_are_those_of_the_tables() {
    for (p, x) in [
        (0.5, 0.0),
        (0.75, 0.674_489_75),
        (0.9, 1.281_551_57),
        (0.975, 1.959_963_98),
        (0.999, 3.090_232_31),
        (1e-9, -5.997_807_02),
        (1e-12, -7.034_483_83),
    ] {
        assert!((normal_quantile(p) - x).abs() < 1e-6, "{p}: {}", normal_quantile(p));
    }
}

#[test]
fn correlation_leaves_the_distribution_as_it_is() {
    for distribution in [Distribution::Uniform, Distribution::Normal] {
        let sample = deviations(distribution, 60.0);
        for (lag, wanted) in [(1, 0.6), (2, 0.36), (3, 0.216)] {
            let found = autocorrelation(&sample, lag);
            assert!((found - wanted).abs() < 0.02, "{distribution:?} at lag {lag}: {found}");
        }
        // A quarter of the draws is as good as independent.
        assert!((variance(&sample) / variance(&deviations(distribution, 0.0)) - 1.0).abs() < 0.03);
        assert!(mean(&sample).abs() < 0.02);
    }
}

#[test]
fn a_chance_is_what_it_says() {
    for percent in [0.0, 0.1, 1.0, 25.0, 99.9, 100.0] {
        let (mut random, chance) = (Random::new(3, 1), Chance::of_percent(percent));
        let hits = (0..N).filter(|_| chance.hits(random.next())).count() as f64;
        let (wanted, share) = (N as f64 * percent / 100.0, percent / 100.0);
        let sigma = (N as f64 * share * (1.0 - share)).sqrt();
        assert!((hits - wanted).abs() <= 4.0 * sigma, "{percent} %: {hits} of {N}");
    }
}
