//! The symmetric receive-side-scaling hash: Toeplitz with a key that repeats every 16 bits, so that both
//! directions of a flow hash alike (Woo and Park, "Scalable TCP Session Monitoring with Symmetric
//! Receive-side Scaling", 2012).

#[cfg(test)]
mod tests;

/// The 16 bits that the key repeats.
pub(crate) const KEY_WORD: [u8; 2] = [0x6d, 0x5a];

/// `TABLES[0][byte]`: the hash of a 16-bit word with this high byte; `TABLES[1]`: low byte.
static TABLES: [[u32; 256]; 2] = tables();

/// What a device with the 0x6d5a key computes for a packet between these addresses (4 or 16 bytes each,
/// as on the wire) and ports (0 for packets without). Symmetric in source and destination.
///
/// Toeplitz XORs, for every set bit of the input, the 32 bits of the key that begin at the bit's position.
/// With a key of period 16 only the position within a 16-bit word matters, so the words can be XORed
/// before: one look-up for any input.
#[inline]
#[must_use]
pub fn symmetric_toeplitz(src: &[u8], dst: &[u8], sport: u16, dport: u16) -> u32 {
    let [high, low] = (fold(src) ^ fold(dst) ^ sport ^ dport).to_be_bytes();
    TABLES[0][usize::from(high)] ^ TABLES[1][usize::from(low)]
}

#[inline]
fn fold(bytes: &[u8]) -> u16 {
    let (words, odd) = bytes.as_chunks::<2>();
    let last = odd.first().map_or(0, |&byte| u16::from(byte) << 8);
    words.iter().fold(last, |sum, &word| sum ^ u16::from_be_bytes(word))
}

const fn tables() -> [[u32; 256]; 2] {
    let key = u32::from_be_bytes([KEY_WORD[0], KEY_WORD[1], KEY_WORD[0], KEY_WORD[1]]);
    let mut tables = [[0; 256]; 2];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            if byte & (0x80 >> bit) != 0 {
                tables[0][byte] ^= key.rotate_left(bit);
                tables[1][byte] ^= key.rotate_left(bit + 8);
            }
            bit += 1;
        }
        byte += 1;
    }
    tables
}
