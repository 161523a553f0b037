//! Sets of addresses and ports, as rule headers name them: ranges, resolved from groups, negations and variables.

use std::net::IpAddr;

/// A set of IPv4 and IPv6 addresses: sorted, disjoint, inclusive ranges of each family.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AddressSet {
    v4: Ranges<u32>,
    v6: Ranges<u128>,
}

/// A set of ports: sorted, disjoint, inclusive ranges.
///
/// A packet without ports (ICMP, a later fragment) is matched by [`PortSet::any`] only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortSet {
    ranges: Ranges<u16>,
}

/// Sorted, disjoint, non-adjacent inclusive ranges.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Ranges<T>(Box<[(T, T)]>);

/// An unsigned integer whose neighbours are known.
trait Step: Copy + Ord {
    const MIN: Self;
    const MAX: Self;
    fn next(self) -> Option<Self>;
    fn before(self) -> Option<Self>;
}

macro_rules! step {
    ($($t:ty),*) => {$(
        impl Step for $t {
            const MIN: Self = <$t>::MIN;
            const MAX: Self = <$t>::MAX;
            fn next(self) -> Option<Self> { self.checked_add(1) }
            fn before(self) -> Option<Self> { self.checked_sub(1) }
        }
    )*};
}
step!(u16, u32, u128);

impl<T: Step> Ranges<T> {
    fn none() -> Self {
        Self(Box::default())
    }

    fn all() -> Self {
        Self(Box::new([(T::MIN, T::MAX)]))
    }

    fn one(low: T, high: T) -> Self {
        Self(Box::new([(low, high)]))
    }

    fn is_all(&self) -> bool {
        matches!(*self.0, [(low, high)] if low == T::MIN && high == T::MAX)
    }

    fn contains(&self, value: T) -> bool {
        let after = self.0.partition_point(|&(low, _)| low <= value);
        after > 0 && value <= self.0[after - 1].1
    }

    fn union(&self, other: &Self) -> Self {
        let mut every: Vec<(T, T)> = self.0.iter().chain(&other.0).copied().collect();
        every.sort_unstable();
        let mut out: Vec<(T, T)> = Vec::with_capacity(every.len());
        for (low, high) in every {
            match out.last_mut() {
                Some(last) if last.1.next().is_none_or(|next| low <= next) => last.1 = last.1.max(high),
                _ => out.push((low, high)),
            }
        }
        Self(out.into())
    }

    fn complement(&self) -> Self {
        let mut out = Vec::with_capacity(self.0.len() + 1);
        let mut from = Some(T::MIN);
        for &(low, high) in &self.0 {
            if let (Some(from), Some(to)) = (from, low.before())
                && from <= to
            {
                out.push((from, to));
            }
            from = high.next();
        }
        if let Some(from) = from {
            out.push((from, T::MAX));
        }
        Self(out.into())
    }
}

impl AddressSet {
    /// No address at all: what an empty union is; a rule never has it.
    pub fn none() -> Self {
        Self { v4: Ranges::none(), v6: Ranges::none() }
    }

    /// Every address of both families.
    pub fn any() -> Self {
        Self { v4: Ranges::all(), v6: Ranges::all() }
    }

    /// The IPv4 addresses from `low` to `high`, both included, in host order.
    pub fn v4(low: u32, high: u32) -> Self {
        Self { v4: Ranges::one(low, high), v6: Ranges::none() }
    }

    /// The IPv6 addresses from `low` to `high`, both included, in host order.
    pub fn v6(low: u128, high: u128) -> Self {
        Self { v4: Ranges::none(), v6: Ranges::one(low, high) }
    }

    /// What is in either.
    pub fn union(&self, other: &Self) -> Self {
        Self { v4: self.v4.union(&other.v4), v6: self.v6.union(&other.v6) }
    }

    /// What is not in it, of both families: `!10.0.0.0/8` has every IPv6 address.
    pub fn complement(&self) -> Self {
        Self { v4: self.v4.complement(), v6: self.v6.complement() }
    }

    /// What is in `self` and not in `other`.
    pub fn without(&self, other: &Self) -> Self {
        self.complement().union(other).complement()
    }

    /// Whether it has every address.
    pub fn is_any(&self) -> bool {
        self.v4.is_all() && self.v6.is_all()
    }

    /// Whether it has no address.
    pub fn is_none(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }

    /// Whether it has `address`.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4.contains(address.to_bits()),
            IpAddr::V6(address) => self.v6.contains(address.to_bits()),
        }
    }

    /// The IPv4 ranges in ascending order, host order, both ends included.
    pub fn v4_ranges(&self) -> &[(u32, u32)] {
        &self.v4.0
    }

    /// The IPv6 ranges in ascending order, host order, both ends included.
    pub fn v6_ranges(&self) -> &[(u128, u128)] {
        &self.v6.0
    }
}

impl PortSet {
    /// No port at all: what an empty union is; a rule never has it.
    pub fn none() -> Self {
        Self { ranges: Ranges::none() }
    }

    /// Every port, and packets without ports.
    pub fn any() -> Self {
        Self { ranges: Ranges::all() }
    }

    /// The ports from `low` to `high`, both included.
    pub fn range(low: u16, high: u16) -> Self {
        Self { ranges: Ranges::one(low, high) }
    }

    /// What is in either.
    pub fn union(&self, other: &Self) -> Self {
        Self { ranges: self.ranges.union(&other.ranges) }
    }

    /// What is not in it.
    pub fn complement(&self) -> Self {
        Self { ranges: self.ranges.complement() }
    }

    /// What is in `self` and not in `other`.
    pub fn without(&self, other: &Self) -> Self {
        self.complement().union(other).complement()
    }

    /// Whether it has every port (and so packets without ports).
    pub fn is_any(&self) -> bool {
        self.ranges.is_all()
    }

    /// Whether it has no port.
    pub fn is_none(&self) -> bool {
        self.ranges.0.is_empty()
    }

    /// Whether it has `port`.
    pub fn contains(&self, port: u16) -> bool {
        self.ranges.contains(port)
    }

    /// The ranges in ascending order, both ends included.
    pub fn ranges(&self) -> &[(u16, u16)] {
        &self.ranges.0
    }
}

#[cfg(test)]
mod tests;
