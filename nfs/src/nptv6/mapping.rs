//! One prefix for another, without a change to any checksum (RFC 6296 section 3).

use wire::Prefix6;

/// Words of 16 bits in an address.
const WORDS: u32 = 8;
/// The subnet: where prefixes of up to 48 bits make up for the change (section 3.4).
const SUBNET: u32 = 3;
/// The interface identifier: where longer ones do (section 3.5).
const INTERFACE: u32 = 4;
/// The longest prefix: what follows is the interface identifier.
pub(super) const LONGEST: u8 = 64;

/// Why an address has no counterpart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unmappable {
    /// The subnet is 0xffff, which in one's complement is the same as 0 (section 3.4).
    Subnet,
    /// There is no word in the interface identifier other than 0xffff: a reserved one (RFC 2526; section 3.7 with its
    /// erratum, as it says zeros).
    InterfaceId,
}

/// An internal prefix and the external one that stands for it, of one length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pair {
    pub internal: Prefix6,
    pub external: Prefix6,
    /// Added to a word on the way out, in one's complement: what the external prefix lacks (section 3.1).
    outward: u16,
    /// The same on the way in.
    inward: u16,
}

/// The sum in one's complement.
fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    sum + u16::from(carry)
}

fn sum(prefix: Prefix6) -> u16 {
    (0..WORDS).fold(0, |sum, n| add(sum, word(prefix.address(), n)))
}

/// The `n`-th word from the left.
fn word(address: u128, n: u32) -> u16 {
    (address >> (16 * (WORDS - 1 - n))) as u16
}

impl Pair {
    /// Prefixes of different lengths are taken as if the shorter one had zeros up to the length of the longer.
    pub(super) fn new(internal: Prefix6, external: Prefix6) -> Pair {
        let len = internal.len().max(external.len());
        let [internal, external] = [internal, external].map(|prefix| Prefix6::new(prefix.address(), len));
        let outward = add(sum(internal), !sum(external));
        Pair { internal, external, outward, inward: !outward }
    }

    /// What stands outside for an internal address.
    pub(super) fn outward(&self, address: u128) -> Result<u128, Unmappable> {
        map(address, self.external, self.outward)
    }

    /// What stands inside for an external address.
    pub(super) fn inward(&self, address: u128) -> Result<u128, Unmappable> {
        map(address, self.internal, self.inward)
    }
}

fn map(address: u128, to: Prefix6, adjustment: u16) -> Result<u128, Unmappable> {
    let place = if to.len() <= 48 {
        if word(address, SUBNET) == 0xffff {
            return Err(Unmappable::Subnet);
        }
        SUBNET
    } else {
        let usable = (INTERFACE..WORDS).find(|&n| word(address, n) != 0xffff);
        usable.ok_or(Unmappable::InterfaceId)?
    };
    let moved = to.address() | address & !to.mask();
    // Where both prefixes have the same sum there is nothing to make up for.
    if matches!(adjustment, 0 | 0xffff) {
        return Ok(moved);
    }
    let adjusted = match add(word(address, place), adjustment) {
        0xffff => 0,
        adjusted => adjusted,
    };
    let shift = 16 * (WORDS - 1 - place);
    Ok(moved & !(0xffff << shift) | u128::from(adjusted) << shift)
}
