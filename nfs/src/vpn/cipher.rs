//! AES-GCM for ESP (RFC 4106).

use crate::secret::fingerprint;
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Bytes of the initialisation vector, which goes along in every packet (section 3.1).
pub(super) const IV_LEN: usize = 8;
/// Bytes of the integrity check value: of the three lengths of section 6 the one that must be there.
pub(super) const ICV_LEN: usize = 16;
const SALT_LEN: usize = 4;

/// A key, whose memory the library clears in the end, with its salt.
pub(super) struct Cipher {
    key: LessSafeKey,
    salt: Zeroizing<[u8; SALT_LEN]>,
    /// Tells it from others, and says nothing about it.
    check: [u8; 8],
}

impl Cipher {
    /// Of keying material as a key exchange gives it: 16 or 32 bytes of key, and 4 bytes of salt (section 8.1).
    pub(super) fn new(keymat: &[u8]) -> Option<Cipher> {
        let (key, salt) = keymat.split_last_chunk()?;
        let algorithm = match key.len() {
            16 => &AES_128_GCM,
            32 => &AES_256_GCM,
            _ => return None,
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
        Some(Cipher { key, salt: Zeroizing::new(*salt), check: fingerprint(keymat) })
    }

    /// What tells it from others.
    pub(super) fn check(&self) -> [u8; 8] {
        self.check
    }

    /// Bits of the key.
    pub(super) fn bits(&self) -> usize {
        if *self.key.algorithm() == AES_128_GCM { 128 } else { 256 }
    }

    fn nonce(&self, iv: [u8; IV_LEN]) -> Nonce {
        let mut nonce = [0; SALT_LEN + IV_LEN];
        nonce[..SALT_LEN].copy_from_slice(&*self.salt);
        nonce[SALT_LEN..].copy_from_slice(&iv);
        Nonce::assume_unique_for_key(nonce)
    }

    /// Encrypts a text in place; the integrity check value goes behind it. `false`: it has no place there.
    #[inline]
    pub(super) fn seal(&self, iv: [u8; IV_LEN], aad: Authenticated, text: &mut [u8]) -> bool {
        let Some((text, icv)) = text.split_last_chunk_mut::<ICV_LEN>() else { return false };
        let tag = self.key.seal_in_place_separate_tag(self.nonce(iv), Aad::from(aad), text);
        tag.is_ok_and(|tag| {
            icv.copy_from_slice(tag.as_ref());
            true
        })
    }

    /// Decrypts what [`Cipher::seal`] made, in place. `false`: it is not what was sealed, and its bytes are of no use.
    #[inline]
    pub(super) fn open(&self, iv: [u8; IV_LEN], aad: Authenticated, sealed: &mut [u8]) -> bool {
        self.key.open_in_place(self.nonce(iv), Aad::from(aad), sealed).is_ok()
    }
}

/// What is authenticated besides the text (section 5): SPI and sequence number, of an extended one all 64 bits.
#[derive(Clone, Copy)]
pub(super) struct Authenticated {
    bytes: [u8; 12],
    len: usize,
}

impl Authenticated {
    #[inline]
    pub(super) fn new(spi: u32, sequence: u64, extended: bool) -> Authenticated {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&spi.to_be_bytes());
        if extended {
            bytes[4..].copy_from_slice(&sequence.to_be_bytes());
            return Authenticated { bytes, len: 12 };
        }
        bytes[4..8].copy_from_slice(&(sequence as u32).to_be_bytes());
        Authenticated { bytes, len: 8 }
    }
}

impl AsRef<[u8]> for Authenticated {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
