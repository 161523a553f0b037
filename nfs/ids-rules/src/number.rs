//! Comparisons of whole numbers, as Suricata's integer keywords write them.

/// A demand on an unsigned number, as `dsize`, `ttl`, `itype`, `bsize` and others make it.
///
/// Ranges are exclusive on both sides, as in Suricata: `10<>20` has 11 and 19, not 10 and not 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Number {
    /// `n` or `=n`.
    Equal(u64),
    /// `!n` or `!=n`.
    NotEqual(u64),
    /// `<n`.
    Less(u64),
    /// `<=n`.
    AtMost(u64),
    /// `>n`.
    More(u64),
    /// `>=n`.
    AtLeast(u64),
    /// `a<>b` or `a-b`: more than the first and less than the second.
    Between(u64, u64),
    /// `!a<>b` or `!a-b`: the complement of [`Between`](Self::Between).
    NotBetween(u64, u64),
    /// `&mask=value`: the masked number is the value.
    Masked(u64, u64),
    /// `&mask!=value`: the masked number is not the value.
    NotMasked(u64, u64),
}

impl Number {
    /// Whether `value` meets the demand.
    pub fn matches(self, value: u64) -> bool {
        match self {
            Self::Equal(wanted) => value == wanted,
            Self::NotEqual(unwanted) => value != unwanted,
            Self::Less(limit) => value < limit,
            Self::AtMost(limit) => value <= limit,
            Self::More(limit) => value > limit,
            Self::AtLeast(limit) => value >= limit,
            Self::Between(low, high) => low < value && value < high,
            Self::NotBetween(low, high) => !(low < value && value < high),
            Self::Masked(mask, wanted) => value & mask == wanted,
            Self::NotMasked(mask, unwanted) => value & mask != unwanted,
        }
    }
}
