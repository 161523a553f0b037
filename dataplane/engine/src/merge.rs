//! The merge: what branches wrote to their copies of a packet comes together in one.
//!
//! Packets are strings of bits, P_O the original, P_i the output of branch i. Branches side by side write to different
//! bits, so P_out = P_O ⊕ ⨁(P_O ⊕ P_i) has what each of them wrote. A checksum that two of them changed has the sum of
//! their differences instead (RFC 1624): one that was wrong stays as wrong as it would be had they run in order.

use wire::{Headers, checksum::Delta};

/// How much of a packet branches that write to headers have as a copy: as much as an NF may count on in one piece.
pub(crate) const FRONT: usize = 256;

/// Of one packet: the sum of what branches changed in its first bytes.
pub(crate) struct Front {
    changed: [u8; FRONT],
    length: usize,
    /// Places of the checksums that were changed by more than one branch, and by how much in all.
    ip: Checksum,
    l4: Checksum,
}

/// A checksum's place, if there is one, and its changes.
struct Checksum {
    at: Option<usize>,
    writers: usize,
    delta: Delta,
}

impl Checksum {
    fn at(at: Option<usize>) -> Checksum {
        Checksum { at, writers: 0, delta: Delta::NONE }
    }

    fn add(&mut self, original: &[u8], branch: &[u8]) {
        let word = |bytes: &[u8]| -> Option<u16> {
            let at = self.at?;
            Some(u16::from_be_bytes(*bytes.get(at..at + 2)?.first_chunk()?))
        };
        if let (Some(old), Some(new)) = (word(original), word(branch))
            && old != new
        {
            self.writers += 1;
            // As if a word of the packet had changed from `new` to `old`: that adds new - old to the sum.
            self.delta = self.delta.u16(new, old);
        }
    }

    /// Writes the checksum after all changes, if it had several.
    fn settle(&self, original: Option<[u8; 2]>, bytes: &mut [u8], is_udp: bool) {
        if self.writers > 1
            && let (Some(at), Some(original)) = (self.at, original)
            && let Some(place) = bytes.get_mut(at..at + 2)
        {
            let delta = self.delta;
            place.copy_from_slice(&if is_udp { delta.update_udp(original) } else { delta.update(original) });
        }
    }

    fn read(&self, bytes: &[u8]) -> Option<[u8; 2]> {
        let at = self.at?;
        bytes.get(at..at + 2)?.first_chunk().copied()
    }
}

impl Front {
    /// Of a packet with these headers, which nobody has changed yet.
    pub(crate) fn new(headers: &Headers) -> Front {
        Front {
            changed: [0; FRONT],
            length: 0,
            ip: Checksum::at(headers.is_ipv4().then(|| headers.l3_offset() + 10)),
            l4: Checksum::at(l4_checksum(headers)),
        }
    }

    /// Adds what a branch made of the original.
    #[inline]
    pub(crate) fn add(&mut self, original: &[u8], branch: &[u8]) {
        let length = original.len().min(branch.len()).min(FRONT);
        self.length = self.length.max(length);
        for ((changed, original), branch) in self.changed.iter_mut().zip(&original[..length]).zip(branch) {
            *changed ^= original ^ branch;
        }
        self.ip.add(original, branch);
        self.l4.add(original, branch);
    }

    /// Puts it into the original.
    #[inline]
    pub(crate) fn apply(&self, headers: &Headers, bytes: &mut [u8]) {
        let before = (self.ip.read(bytes), self.l4.read(bytes));
        for (byte, changed) in bytes.iter_mut().zip(&self.changed[..self.length]) {
            *byte ^= changed;
        }
        self.ip.settle(before.0, bytes, false);
        self.l4.settle(before.1, bytes, headers.is_udp());
    }
}

/// Where the checksum of the transport header is that covers addresses too, which several NFs may adjust.
fn l4_checksum(headers: &Headers) -> Option<usize> {
    if headers.is_later_fragment() {
        return None;
    }
    let offset = headers.l4_offset()?;
    if headers.is_tcp() {
        Some(offset + 16)
    } else if headers.is_udp() {
        Some(offset + 6)
    } else if headers.is_icmp() {
        Some(offset + 2)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
