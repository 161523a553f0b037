//! A latency histogram with one writer, readable at any time.

use crate::snapshot::Latency;
use crate::stats::Counter;

/// Sub-buckets per power of two, as a power of two: 32, so a value is known to about 3 %.
const SUB: u32 = 5;
/// Enough for any number of nanoseconds in 64 bits.
const BUCKETS: usize = ((64 - SUB as usize) + 1) << SUB;

/// Counts of nanoseconds in buckets that grow with the value (log-linear, as in HdrHistogram).
///
/// The counters are the engine's own single-writer ones, because a reader must neither stop the worker nor
/// wait for it.
pub(crate) struct Histogram {
    buckets: Box<[Counter]>,
    max: Counter,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Histogram { buckets: (0..BUCKETS).map(|_| Counter::default()).collect(), max: Counter::default() }
    }

    /// Counts `packets` that each took `nanos`.
    pub(crate) fn record(&self, nanos: u64, packets: u64) {
        self.buckets[bucket(nanos)].add(packets);
        if nanos > self.max.get() {
            self.max.set(nanos);
        }
    }
}

/// Sums of histograms, at rest.
#[derive(Clone, Default)]
pub(crate) struct LatencySum {
    buckets: Vec<u64>,
    max: u64,
}

impl LatencySum {
    pub(crate) fn add(&mut self, histogram: &Histogram) {
        self.buckets.resize(BUCKETS, 0);
        for (sum, counter) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += counter.get();
        }
        self.max = self.max.max(histogram.max.get());
    }

    /// The percentiles; `None` when nothing was recorded.
    pub(crate) fn percentiles(&self) -> Option<Latency> {
        let total: u64 = self.buckets.iter().sum();
        if total == 0 {
            return None;
        }
        let at = |per_mille: u64| {
            let rank = (total * per_mille).div_ceil(1000).max(1);
            let mut seen = 0;
            let found = self.buckets.iter().position(|&n| {
                seen += n;
                seen >= rank
            });
            found.map_or(self.max, |index| upper(index).min(self.max))
        };
        Some(Latency { p50: at(500), p99: at(990), p999: at(999), max: self.max })
    }
}

/// The bucket of a value: values below 2^SUB have one each, then 2^SUB buckets per power of two.
fn bucket(value: u64) -> usize {
    if value < 1 << SUB {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - SUB;
    ((shift as usize + 1) << SUB) + ((value >> shift) as usize & ((1 << SUB) - 1))
}

/// The largest value of a bucket.
fn upper(index: usize) -> u64 {
    if index < 1 << SUB {
        return index as u64;
    }
    let shift = (index >> SUB) as u32 - 1;
    let base = ((1u64 << SUB) + (index as u64 & ((1 << SUB) - 1))) << shift;
    base + ((1u64 << shift) - 1)
}

#[cfg(test)]
mod tests;
