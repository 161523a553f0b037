//! Chance that is the same on every machine: integers and the four operations of IEEE 754, no library of functions.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

/// What one stream of random numbers is for: another purpose, another stream, so that a change in one place draws
/// nothing in another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// When flows arrive, whose they are, how long they are.
    Flows = 1,
    /// Which packets links lose.
    Loss = 2,
    /// Which links are slow.
    Faults = 3,
    /// Hashes of switches.
    Hashes = 4,
    /// What NFs draw.
    Nfs = 5,
}

impl Random {
    /// The numbers of a seed for one purpose.
    pub fn new(seed: u64, stream: Stream) -> Random {
        let mut random = Random(seed ^ (stream as u64).wrapping_mul(0xa076_1d64_78bd_642f));
        random.bits();
        random
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when there is none.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// From 0 to below 1, with 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Exponentially distributed with mean 1: the time between arrivals of a Poisson process of rate 1.
    pub fn exponential(&mut self) -> f64 {
        -ln(1.0 - self.unit())
    }
}

/// The natural logarithm of a positive normal number, by the series of the inverse hyperbolic tangent. The C library's
/// may differ in the last bit from version to version, and a simulation must not.
pub(crate) fn ln(x: f64) -> f64 {
    const SQRT_2: f64 = std::f64::consts::SQRT_2;
    let bits = x.to_bits();
    let mut exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)); |z| < 0.172, so that twelve terms are exact to the last bits.
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let square = z * z;
    let mut series = 0.0;
    for k in (0..12).rev() {
        series = series * square + 1.0 / f64::from(2 * k + 1);
    }
    exponent as f64 * std::f64::consts::LN_2 + 2.0 * z * series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_that_of_the_library() {
        for x in [1e-16, 1e-9, 0.1, 0.5, 0.999_999, 1.0, 1.5, 2.0, 3.0, 1e6] {
            let (ours, theirs) = (ln(x), f64::ln(x));
            assert!((ours - theirs).abs() <= 1e-15 * theirs.abs().max(1.0), "ln {x}: {ours} {theirs}");
        }
    }

    #[test]
    fn times_between_arrivals_have_mean_and_variance_1() {
        let mut random = Random::new(7, Stream::Flows);
        let n = 200_000;
        let draws: Vec<f64> = (0..n).map(|_| random.exponential()).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / f64::from(n);
        assert!((mean - 1.0).abs() < 0.01 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }

    #[test]
    fn streams_of_one_seed_differ() {
        let first = |stream| Random::new(1, stream).bits();
        assert_ne!(first(Stream::Flows), first(Stream::Loss));
        assert_ne!(first(Stream::Flows), Random::new(2, Stream::Flows).bits());
    }
}
