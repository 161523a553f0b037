//! What makes a packet that came back known as the one that was sent, besides its id: all that the NF leaves alone.

use super::merge::{self, CHECKSUMS, LENGTHS};
use wire::flow::mix;
use wire::{Field, Fields, Headers, fields};

/// Bytes of a packet that are looked at.
pub(super) const HEAD: usize = 128;

/// Which fields identify a packet, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    fields: Fields,
    /// Fields may be at other places when a packet comes back.
    shifts: bool,
}

impl Identity {
    /// By all that is not in `writes`.
    pub(super) fn of(writes: Fields, changes_length: bool) -> Identity {
        let fields = Fields::ALL.without(writes).without(CHECKSUMS).without(Fields::of(&[Field::IpId]));
        let moving = LENGTHS.union(Fields::of(&[Field::Payload, Field::IpOptions, Field::TcpOptions]));
        Identity {
            fields: if changes_length { fields.without(moving) } else { fields },
            shifts: changes_length,
        }
    }

    /// Of the first bytes of a packet of `len` bytes; `frame` are at least 256, or all.
    pub(super) fn digest(self, headers: &Headers, frame: &[u8], len: usize) -> u64 {
        if self.fields.is_empty() {
            return 0;
        }
        let end = merge::end(headers, len).min(frame.len()).min(HEAD);
        let (mut mask, mut head) = ([0; HEAD], [0; HEAD]);
        fields::mask(headers, &frame[..end], self.fields, &mut mask[..end]);
        let mut known = 0;
        for (&byte, &bits) in frame[..end].iter().zip(&mask) {
            if bits != 0 || !self.shifts {
                head[known] = byte & bits;
                known += 1;
            }
        }
        head.chunks_exact(8).take(known.div_ceil(8)).fold(known as u64, |digest, word| {
            mix(digest, word.iter().fold(0, |word, &byte| word << 8 | u64::from(byte)), 0)
        })
    }
}
