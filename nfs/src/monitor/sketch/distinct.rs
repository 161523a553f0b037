//! How many different values there were, in 4 KiB: HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007), with the
//! estimator of Ertl 2017 ("New cardinality estimation algorithms for HyperLogLog sketches"). The estimator of 2007 is up
//! to 2 % too large where its correction for small numbers ends, at 2.5 per register.

/// Bits of the hash that choose a register.
const CHOICE: u32 = 12;
/// Registers.
pub(in crate::monitor) const REGISTERS: usize = 1 << CHOICE;
/// Bits of a hash that are left for counting zeros, and one: no register is larger.
const MOST: u8 = (u64::BITS - CHOICE + 1) as u8;

/// Counts different values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::monitor) struct Distinct {
    registers: Box<[u8; REGISTERS]>,
}

impl Distinct {
    pub(super) fn new() -> Distinct {
        Distinct { registers: Box::new([0; REGISTERS]) }
    }

    /// Takes the hash of a value: 64 well-mixed bits.
    #[inline]
    pub(super) fn add(&mut self, hash: u64) {
        let register = &mut self.registers[(hash >> (u64::BITS - CHOICE)) as usize];
        // The bit behind the last stops the count there.
        let rank = (hash << CHOICE | 1 << (CHOICE - 1)).leading_zeros() as u8 + 1;
        *register = rank.max(*register);
    }

    /// Joins what was counted elsewhere: the count of the union.
    pub(super) fn merge(&mut self, other: &Distinct) {
        for (mine, theirs) in self.registers.iter_mut().zip(other.registers.iter()) {
            *mine = (*theirs).max(*mine);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.registers.iter().all(|register| *register == 0)
    }

    /// An estimate of the number of different values, without bias from one to 2⁶⁰ or so: algorithm 6 of Ertl 2017.
    pub(super) fn estimate(&self) -> f64 {
        let m = REGISTERS as f64;
        let mut with_rank = [0.0; MOST as usize + 1];
        self.registers.iter().for_each(|&rank| with_rank[usize::from(rank)] += 1.0);
        let [empty, ranks @ .., full] = with_rank;
        let sum = ranks.iter().rfold(m * tau(1.0 - full / m), |sum, count| (sum + count) / 2.0);
        let estimate = m * m / (2.0 * std::f64::consts::LN_2 * (sum + m * sigma(empty / m)));
        // There are no more hashes: registers that came in may all be full.
        estimate.min(2f64.powi(64))
    }

    /// Standard error of the estimate, relative: 1.04/√m.
    pub(super) fn error() -> f64 {
        1.04 / (REGISTERS as f64).sqrt()
    }

    /// The registers, two hexadecimal digits each.
    pub(super) fn text(&self) -> String {
        use std::fmt::Write;
        self.registers.iter().fold(String::with_capacity(2 * REGISTERS), |mut text, rank| {
            let _ = write!(text, "{rank:02x}");
            text
        })
    }

    /// From [`text`](Self::text); `None` if it is not that.
    pub(super) fn parse(text: &str) -> Option<Distinct> {
        let digits = text.as_bytes();
        if digits.len() != 2 * REGISTERS {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let mut parsed = Distinct::new();
        for (register, pair) in parsed.registers.iter_mut().zip(digits.chunks_exact(2)) {
            *register = digit(pair[0])? << 4 | digit(pair[1])?;
            if *register > MOST {
                return None;
            }
        }
        Some(parsed)
    }
}

/// x + Σ x^(2ᵏ)·2ᵏ⁻¹ over k ≥ 1: what empty registers say (Ertl 2017, equation 12). Infinite for 1.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut factor, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * factor;
        factor *= 2.0;
        if sum == before {
            return sum;
        }
    }
}

/// ⅓·(1 − x − Σ (1 − x^(2⁻ᵏ))²·2⁻ᵏ) over k ≥ 1: what full registers say (equation 13).
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut factor, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        factor /= 2.0;
        sum -= (1.0 - x).powi(2) * factor;
        if sum == before {
            return sum / 3.0;
        }
    }
}
