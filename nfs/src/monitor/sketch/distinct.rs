//! How many different values there were, in 4 KiB: HyperLogLog (Flajolet, Fusy, Gandouet, Meunier 2007), with the
//! small-range correction and, as the hash has 64 bits, no large-range one (Heule, Nunkesser, Hall 2013).

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

    /// An estimate of the number of different values.
    pub(super) fn estimate(&self) -> f64 {
        let m = REGISTERS as f64;
        let sum: f64 = self.registers.iter().map(|&rank| 2f64.powi(-i32::from(rank))).sum();
        // The constant of m ≥ 128, from the paper's figure 3.
        let raw = 0.7213 / (1.0 + 1.079 / m) * m * m / sum;
        let empty = self.registers.iter().filter(|rank| **rank == 0).count();
        if raw <= 2.5 * m && empty > 0 { m * (m / empty as f64).ln() } else { raw }
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
