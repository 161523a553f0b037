//! The receiving end of a flow.

/// What has arrived.
#[derive(Clone, Debug, Default)]
pub struct Receiver {
    next: u32,
    /// What came too early: from and to, in order, apart from each other.
    early: Vec<(u32, u32)>,
}

impl Receiver {
    /// Bytes that are there without a gap.
    pub fn next(&self) -> u32 {
        self.next
    }

    /// Takes a segment; says the acknowledgement number.
    pub fn take(&mut self, from: u32, len: u32) -> u32 {
        let to = from.saturating_add(len);
        if from > self.next {
            self.keep(from, to);
        } else if to > self.next {
            self.next = to;
            let reached = self.early.iter().take_while(|piece| piece.0 <= self.next).count();
            for (_, to) in self.early.drain(..reached) {
                self.next = self.next.max(to);
            }
        }
        self.next
    }

    fn keep(&mut self, mut from: u32, mut to: u32) {
        let first = self.early.partition_point(|piece| piece.1 < from);
        let last = first + self.early[first..].partition_point(|piece| piece.0 <= to);
        if let (Some(left), true) = (self.early.get(first), last > first) {
            from = from.min(left.0);
            to = to.max(self.early[last - 1].1);
        }
        self.early.splice(first..last, [(from, to)]);
    }
}
