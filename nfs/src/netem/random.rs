//! Random numbers that are the same in every run of one seed, with a correlation between neighbours, and the
//! distributions of delay.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bits of a draw that are used: what an `f64` holds exactly.
const BITS: u32 = 53;

/// SplitMix64 (Steele, Lea, Flood: *Fast splittable pseudorandom number generators*, OOPSLA 2014): a state of one word,
/// so that it is cheap to export.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Random(u64);

impl Random {
    /// Another stream for each number.
    pub(super) fn new(seed: u64, stream: u64) -> Random {
        let mut mixed = Random(seed ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        Random(mixed.next())
    }

    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is small.
    #[inline]
    pub(super) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

/// A probability, as a threshold for draws.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Chance(u64);

impl Chance {
    /// From 0 to 100.
    pub(super) fn of_percent(percent: f64) -> Chance {
        Chance((percent / 100.0 * (1u64 << BITS) as f64).round() as u64)
    }

    #[inline]
    pub(super) fn hits(self, draw: u64) -> bool {
        draw >> (64 - BITS) < self.0
    }

    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// A sequence of draws, each uniform.
///
/// With probability `correlation` a draw is the one before it, else it is new. So whatever is made of it keeps its
/// distribution exactly, and its autocorrelation at lag k is the k-th power of `correlation`. (The moving average of
/// tc-netem narrows the distribution: 1 % of loss with a correlation of 50 % never loses a packet there.)
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Draws {
    random: Random,
    last: u64,
}

impl Draws {
    pub(super) fn new(seed: u64, stream: u64) -> Draws {
        let mut random = Random::new(seed, stream);
        let last = random.next();
        Draws { random, last }
    }

    #[inline]
    pub(super) fn next(&mut self, correlation: Chance) -> u64 {
        if correlation.is_none() || !correlation.hits(self.random.next()) {
            self.last = self.random.next();
        }
        self.last
    }
}

/// How delays lie around their mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    /// Evenly from `delay` - `jitter` to `delay` + `jitter`.
    #[default]
    Uniform,
    /// Normal, with `jitter` for its standard deviation.
    Normal,
    /// Pareto of shape 3, shifted: its mean is `delay`, its standard deviation `jitter`, its tail long.
    Pareto,
}

impl Distribution {
    /// The deviation from the mean, in units of the jitter, to which a uniform draw belongs: the inverse of the
    /// distribution function.
    #[inline]
    pub(super) fn deviation(self, draw: u64) -> f64 {
        let u = ((draw >> (64 - BITS)) as f64 + 0.5) / (1u64 << BITS) as f64;
        match self {
            Distribution::Uniform => 2.0 * u - 1.0,
            Distribution::Normal => normal_quantile(u),
            // Of shape 3 and scale 1 the mean is 3/2, the variance 3/4.
            Distribution::Pareto => ((1.0 - u).powf(-1.0 / 3.0) - 1.5) / 0.75f64.sqrt(),
        }
    }
}

/// The inverse of the standard normal distribution function, to seven digits: PPND7 of Wichura, *Algorithm AS 241*,
/// Applied Statistics 37 (1988).
pub(super) fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        let above = ((59.109_374_720 * r + 159.291_132_02) * r + 50.434_271_938) * r + 3.387_132_717_9;
        let below = ((67.187_563_600 * r + 78.757_757_664) * r + 17.895_169_469) * r + 1.0;
        return q * above / below;
    }
    let r = (-p.min(1.0 - p).ln()).sqrt();
    let size = if r <= 5.0 {
        let r = r - 1.6;
        let above = ((0.170_238_211_03 * r + 1.306_728_481_6) * r + 2.756_815_390_0) * r + 1.423_437_277_7;
        above / ((0.120_211_329_75 * r + 0.737_001_642_50) * r + 1.0)
    } else {
        let r = r - 5.0;
        let above = ((0.017_337_203_997 * r + 0.428_682_943_37) * r + 3.081_226_386_0) * r + 6.657_905_115_0;
        above / ((0.012_258_202_635 * r + 0.241_978_942_25) * r + 1.0)
    };
    size.copysign(q)
}
