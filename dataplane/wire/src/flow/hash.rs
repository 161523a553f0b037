//! The mixing function under every hash of a flow.

/// Seed of the hashes that take none: the fraction of the golden ratio.
pub const DEFAULT_SEED: u64 = 0x9e37_79b9_7f4a_7c15;

const K0: u64 = 0xa076_1d64_78bd_642f;
const K1: u64 = 0xe703_7ed1_a0b4_28db;

/// Mixes two words into one: the 128-bit product folded, twice (the core of Wang Yi's wyhash). Every
/// input bit reaches every output bit, so any range of output bits can number buckets.
#[inline(always)]
pub fn mix(a: u64, b: u64, seed: u64) -> u64 {
    fold(fold(a ^ K0 ^ seed, b ^ K1) ^ seed, K1)
}

/// High and low half of the product, XORed.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// [`fold`] with both factors XORed in: without them a factor that somebody chooses to be zero would make the other one
/// not count.
#[inline(always)]
pub(super) fn fold_protected(a: u64, b: u64) -> u64 {
    fold(a, b) ^ a ^ b
}

/// Both halves of a 64-bit hash in 32 bits.
#[inline(always)]
pub(super) fn narrow(hash: u64) -> u32 {
    (hash >> 32) as u32 ^ hash as u32
}
