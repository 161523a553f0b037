//! How streams are reassembled.

use serde::{Deserialize, Serialize};

/// What a worker's streams are reassembled by. One for all flows of a [`Pool`](crate::Pool), given with each segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// When bytes are handed out.
    pub mode: Mode,
    /// Whose bytes count where segments overlap.
    pub policy: Policy,
    /// What becomes of urgent data.
    pub urgent: Urgent,
    /// Whether a connection whose handshake was not seen is followed from its first segment with ACK on.
    pub midstream: bool,
    /// Bytes beyond those handed out that a direction may hold, and bytes before that it may keep ([`Config::keep`]).
    /// Segments further ahead are [`Event::BeyondWindow`].
    ///
    /// [`Event::BeyondWindow`]: crate::Event::BeyondWindow
    pub window: u32,
    /// Segments that a direction may hold.
    pub segments: u32,
    /// Bytes of a direction that are handed out; what follows is [`Event::Depth`] once, then nothing. 0: no end.
    ///
    /// [`Event::Depth`]: crate::Event::Depth
    pub depth: u64,
    /// A gap that the receiver has acknowledged is skipped when it has acknowledged this many bytes beyond it, …
    pub gap_bytes: u32,
    /// … or when this many segments of either end came since.
    pub gap_segments: u32,
    /// Whether bytes that were handed out stay until they are acknowledged, so that a retransmission with other bytes
    /// is [`Event::Overlap`]. In [`Mode::Arrival`] it costs a copy per segment; in [`Mode::Acknowledged`], where bytes
    /// wait for that anyway, it changes nothing.
    ///
    /// [`Event::Overlap`]: crate::Event::Overlap
    pub keep: bool,
    /// A segment whose TTL is lower than that of its sender's first one by more than this may never reach the receiver:
    /// its bytes wait until they are acknowledged, and give way to any others. 0: TTLs do not matter.
    pub ttl_slack: u8,
}

/// As Suricata has it where it has such a setting: policy `bsd`, no mid-stream pick-up, 1 MiB of depth.
impl Default for Config {
    fn default() -> Config {
        Config {
            mode: Mode::Acknowledged,
            policy: Policy::Bsd,
            urgent: Urgent::OutOfBand,
            midstream: false,
            window: 1 << 20,
            segments: 2048,
            depth: 1 << 20,
            gap_bytes: 64 << 10,
            gap_segments: 64,
            keep: true,
            ttl_slack: 8,
        }
    }
}

/// When bytes are handed out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// When the receiver has acknowledged them: what it has accepted, for detection (Suricata's IDS mode).
    #[default]
    Acknowledged,
    /// When they are next in sequence: before the receiver has them, for prevention (Suricata's inline mode).
    Arrival,
}

/// Whose bytes count where a segment overlaps one that is held. Bytes that were handed out stay what they were.
///
/// After J. Novak and S. Sturges, *Target-Based TCP Stream Reassembly*, 2007, with the names of Suricata's `host-os-policy`.
/// The words below say when the later segment wins.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Never (also `vista`).
    #[serde(alias = "vista")]
    First,
    /// Always.
    Last,
    /// If it begins before the earlier one (also `windows`, `windows2k3`, `irix`, `macos`, `hpux10`).
    #[default]
    #[serde(
        alias = "windows",
        alias = "windows2k3",
        alias = "windows2003",
        alias = "irix",
        alias = "macos",
        alias = "hpux10"
    )]
    Bsd,
    /// If it begins before the earlier one, or with it and ends after it.
    Linux,
    /// If it begins before the earlier one, or with it and does not end before it.
    OldLinux,
    /// If it covers the earlier one, or begins after it begins and ends after it (also `hpux11`).
    #[serde(alias = "hpux11")]
    Solaris,
}

/// What becomes of the one byte that an urgent pointer marks (RFC 6093).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgent {
    /// It is left out of the stream, as in a receiver without `SO_OOBINLINE`, which is nearly every one.
    #[default]
    OutOfBand,
    /// It is a byte like others.
    Inline,
}
