//! Which datagram a fragment belongs to.

use super::hash::{DEFAULT_SEED, mix, narrow};
use super::key6::end;
use crate::headers::Headers;
use crate::ipv6;
use crate::order::{get_u16, get_u32};

/// What the fragments of one datagram share: the key of reassembly, and of steering fragments together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FragmentKey {
    /// RFC 791 section 3.2: addresses, protocol, identification.
    V4 {
        /// Source address.
        src: u32,
        /// Destination address.
        dst: u32,
        /// Identification.
        id: u16,
        /// IP protocol.
        proto: u8,
    },
    /// RFC 8200 section 4.5: addresses and identification; the next header may differ between fragments.
    V6 {
        /// Source address.
        src: u128,
        /// Destination address.
        dst: u128,
        /// Identification.
        id: u32,
    },
}

impl FragmentKey {
    /// The key of a fragment, first or later; `None` of everything else.
    pub fn from_packet(headers: &Headers, frame: &[u8]) -> Option<FragmentKey> {
        if !headers.is_fragment() {
            return None;
        }
        if let Some((src, dst)) = headers.ipv4_addresses(frame) {
            let id = get_u16(frame, headers.l3_offset() + 4)?;
            return Some(FragmentKey::V4 { src, dst, id, proto: headers.protocol()? });
        }
        let (src, dst) = headers.ipv6_addresses(frame)?;
        let id = get_u32(frame, ipv6::fragment_header_offset(frame, headers.l3_offset())? + 4)?;
        Some(FragmentKey::V6 { src, dst, id })
    }

    /// A hash of the key.
    pub fn hash(&self) -> u32 {
        self.hash_with(DEFAULT_SEED)
    }

    /// [`hash`](Self::hash) with a seed, so that who sends the fragments cannot choose colliding keys.
    pub fn hash_with(&self, seed: u64) -> u32 {
        narrow(match *self {
            FragmentKey::V4 { src, dst, id, proto } => {
                let addresses = u64::from(src) << 32 | u64::from(dst);
                mix(addresses, u64::from(id) << 8 | u64::from(proto), seed)
            }
            FragmentKey::V6 { src, dst, id } => {
                let (source, destination) = (end(src, 0, seed), end(dst, 0, seed));
                mix(source.rotate_left(23) ^ u64::from(id), destination, seed)
            }
        })
    }
}
