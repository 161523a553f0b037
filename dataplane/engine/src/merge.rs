//! The merge: what branches wrote to their copies of a packet comes together in one.
//!
//! Packets are strings of bits, P_O the original, P_i the output of branch i. Branches side by side write to different
//! bits, so P_out = P_O ⊕ ⨁(P_O ⊕ P_i) has what each of them wrote. A checksum that two of them changed has the sum of
//! their differences instead (RFC 1624): one that was wrong stays as wrong as it would be had they run in order.

use wire::{Headers, checksum::Delta};

/// How much of a packet branches that write to headers have as a copy: as much as an NF may count on in one piece.
pub(crate) const FRONT: usize = 256;

/// Of one packet: the sum of what branches changed in its first bytes. Used again for every packet.
pub(crate) struct Front {
    changed: [u8; FRONT],
    /// So many bytes of `changed` are of this packet.
    length: usize,
    /// Checksums that were changed by more than one branch, and by how much in all.
    ip: Checksum,
    l4: Checksum,
    is_udp: bool,
}

/// A checksum's place, if there is one that several may have changed, and its changes.
struct Checksum {
    at: Option<usize>,
    writers: usize,
    delta: Delta,
}

impl Checksum {
    const fn at(at: Option<usize>) -> Checksum {
        Checksum { at, writers: 0, delta: Delta::NONE }
    }

    fn add(&mut self, original: &[u8], branch: &[u8]) {
        if let (Some(old), Some(new)) = (self.read(original), self.read(branch))
            && old != new
        {
            self.writers += 1;
            // As if a word of the packet had changed from `new` to `old`: that adds new - old to the sum.
            self.delta = self.delta.u16(u16::from_be_bytes(new), u16::from_be_bytes(old));
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
    pub(crate) const fn new() -> Front {
        Front {
            changed: [0; FRONT],
            length: 0,
            ip: Checksum::at(None),
            l4: Checksum::at(None),
            is_udp: false,
        }
    }

    /// Before a packet that nobody has changed yet. `headers`: its headers, if several branches may write to it.
    #[inline]
    pub(crate) fn begin(&mut self, headers: Option<&Headers>) {
        self.length = 0;
        let ip = headers.filter(|headers| headers.is_ipv4()).map(|headers| headers.l3_offset() + 10);
        self.ip = Checksum::at(ip);
        self.l4 = Checksum::at(headers.and_then(l4_checksum));
        self.is_udp = headers.is_some_and(Headers::is_udp);
    }

    /// Adds what a branch made of the original.
    #[inline]
    pub(crate) fn add(&mut self, original: &[u8], branch: &[u8]) {
        let length = original.len().min(branch.len()).min(FRONT);
        let (original, branch) = (&original[..length], &branch[..length]);
        if self.length < length {
            self.changed[self.length..length].fill(0);
            self.length = length;
        }
        self.ip.add(original, branch);
        self.l4.add(original, branch);
        // By words: a few bytes at the end are no vector.
        let (to, to_rest) = self.changed[..length].as_chunks_mut::<8>();
        let ((old, old_rest), (new, new_rest)) = (original.as_chunks::<8>(), branch.as_chunks::<8>());
        for ((to, old), new) in to.iter_mut().zip(old).zip(new) {
            let sum = u64::from_ne_bytes(*to) ^ u64::from_ne_bytes(*old) ^ u64::from_ne_bytes(*new);
            *to = sum.to_ne_bytes();
        }
        for ((to, old), new) in to_rest.iter_mut().zip(old_rest).zip(new_rest) {
            *to ^= old ^ new;
        }
    }

    /// Puts it into the original.
    #[inline]
    pub(crate) fn apply(&self, bytes: &mut [u8]) {
        let before = (self.ip.read(bytes), self.l4.read(bytes));
        let length = self.length.min(bytes.len());
        let ((to, to_rest), (by, by_rest)) =
            (bytes[..length].as_chunks_mut::<8>(), self.changed[..length].as_chunks::<8>());
        for (to, by) in to.iter_mut().zip(by) {
            *to = (u64::from_ne_bytes(*to) ^ u64::from_ne_bytes(*by)).to_ne_bytes();
        }
        for (to, by) in to_rest.iter_mut().zip(by_rest) {
            *to ^= by;
        }
        self.ip.settle(before.0, bytes, false);
        self.l4.settle(before.1, bytes, self.is_udp);
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
