//! The code points by which packets of priority flows are known.

use crate::shaper::{Dscp, dscp};
use engine::{BURST, Burst};

/// A set of code points.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Marks(u64);

impl FromIterator<Dscp> for Marks {
    fn from_iter<T: IntoIterator<Item = Dscp>>(marks: T) -> Marks {
        Marks(marks.into_iter().fold(0, |set, mark| set | 1 << (mark.number() & 63)))
    }
}

impl Marks {
    #[inline(always)]
    pub(super) fn has(self, dscp: u8) -> bool {
        self.0 >> (dscp & 63) & 1 == 1
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Bit i: packet i of the burst has one of the marks. Most bursts have none: this is all that is done to them.
    #[inline]
    pub(super) fn among(self, burst: &mut Burst) -> u32 {
        if let Some(packets) = burst.all_usual() {
            return packets
                .zip(0..BURST)
                .fold(0, |found, (packet, i)| found | u32::from(self.has(packet.traffic_class() >> 2)) << i);
        }
        burst.parsed().zip(0..BURST).fold(0, |found, ((headers, frame), i)| {
            let marked = dscp::read(&headers, frame).is_some_and(|dscp| self.has(dscp));
            found | u32::from(marked) << i
        })
    }
}

/// The places of the bits that are set.
pub(super) fn places(mut set: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = set.trailing_zeros();
        (set != 0).then(|| {
            set &= set - 1;
            place as usize
        })
    })
}
