//! What an NF says of a packet.

/// A packet's fate at one NF.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Verdict {
    /// Leaves by the default gate, to the next NF of the chain (gate 0).
    #[default]
    Forward,
    /// Leaves by the numbered gate. Gate 0 is [`Verdict::Forward`].
    Gate(u8),
    /// Ends here, counted under the reason.
    Drop(Reason),
    /// Ends here because the NF consumed it (a packet addressed to the NF itself).
    Absorb,
    /// Was taken by the NF, which holds it.
    Taken,
}

/// Why a packet was dropped: an index into the NF's own list of drop reasons, or one of the engine's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reason(u8);

impl Reason {
    /// The first number that belongs to the engine.
    pub const ENGINE: u8 = 0xf8;
    /// The NF panicked over the burst that held the packet.
    pub const PANIC: Reason = Reason(0xf8);
    /// The NF is poisoned and its policy is to drop.
    pub const POISONED: Reason = Reason(0xf9);
    /// A copy was needed and the pool was empty.
    pub const NO_MBUFS: Reason = Reason(0xfa);
    /// The NF chose a gate that leads nowhere in this chain.
    pub const NO_GATE: Reason = Reason(0xfb);
    /// The NF released or created more packets at once than a poll can carry.
    pub const EMIT_OVERFLOW: Reason = Reason(0xfc);
    /// The NF that held the packet was taken out of the configuration.
    pub const REMOVED: Reason = Reason(0xfd);

    /// The NF gave a reason that it has not declared.
    const UNDECLARED: Reason = Reason(0xfe);
    /// A branch side by side with others did not answer in time.
    pub const BRANCH_TIMEOUT: Reason = Reason(0xff);

    /// Names of the engine's own reasons, from [`Reason::ENGINE`] on.
    pub const ENGINE_NAMES: [&str; 8] = [
        "panic",
        "poisoned",
        "no_mbufs",
        "no_gate",
        "emit_overflow",
        "removed",
        "undeclared",
        "branch_timeout",
    ];

    /// The `index`-th name in the NF's `DROPS`.
    ///
    /// # Panics
    /// At compile time, as it is meant for constants: when the index reaches the engine's numbers.
    pub const fn new(index: u8) -> Reason {
        assert!(index < Reason::ENGINE, "an NF has at most 248 drop reasons");
        Reason(index)
    }

    /// Its number: among the NF's own reasons, or from [`Reason::ENGINE`] on.
    pub(crate) const fn number(self) -> usize {
        self.0 as usize
    }

    /// Its place in a table that has the NF's `own` reasons first and then the engine's.
    pub const fn slot(self, own: usize) -> usize {
        if self.0 >= Reason::ENGINE {
            own + (self.0 - Reason::ENGINE) as usize
        } else if (self.0 as usize) < own {
            self.0 as usize
        } else {
            Reason::UNDECLARED.slot(own)
        }
    }
}
