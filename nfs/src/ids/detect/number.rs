//! Numbers in packets, as `byte_test` and its relatives read them.

use ids_rules::payload::{Base, Encoding};

/// The number of `count` bytes at `at`; `None` where they are not all there, or are no number.
pub(in crate::ids) fn read(bytes: &[u8], at: i64, count: usize, encoding: Encoding) -> Option<u64> {
    let at = usize::try_from(at).ok()?;
    let bytes = bytes.get(at..at.checked_add(count)?)?;
    match encoding {
        Encoding::Big if count <= 8 => {
            Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
        }
        Encoding::Little if count <= 8 => {
            Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
        }
        Encoding::Text(base) => text(bytes, base),
        _ => None,
    }
}

/// As C's `strtoul`: blanks, a sign, digits up to what is none; at least one.
fn text(bytes: &[u8], base: Base) -> Option<u64> {
    let radix = match base {
        Base::Hexadecimal => 16,
        Base::Decimal => 10,
        Base::Octal => 8,
    };
    let mut digits = bytes.trim_ascii_start();
    let negative = digits.first() == Some(&b'-');
    if let [b'-' | b'+', rest @ ..] = digits {
        digits = rest;
    }
    if let (Base::Hexadecimal, [b'0', b'x' | b'X', rest @ ..]) = (base, digits)
        && rest.first().is_some_and(u8::is_ascii_hexdigit)
    {
        digits = rest;
    }
    let mut number: Option<u64> = None;
    for byte in digits {
        let Some(digit) = char::from(*byte).to_digit(radix) else { break };
        let so_far = number.unwrap_or(0);
        number = Some(so_far.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))?);
    }
    number.map(|number| if negative { number.wrapping_neg() } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_either_way_round() {
        let bytes = [0x01, 0x02, 0x03, 0x04, 0xff, 0, 0, 0, 0, 9];
        assert_eq!(read(&bytes, 0, 2, Encoding::Big), Some(0x0102));
        assert_eq!(read(&bytes, 0, 4, Encoding::Little), Some(0x0403_0201));
        assert_eq!(read(&bytes, 2, 8, Encoding::Big), Some(0x0304_ff00_0000_0009));
        assert_eq!(read(&bytes, 9, 2, Encoding::Big), None);
        assert_eq!(read(&bytes, -1, 1, Encoding::Big), None);
        assert_eq!(read(&bytes, i64::MAX, 1, Encoding::Big), None);
        assert_eq!(read(&bytes, 0, 9, Encoding::Big), None);
        assert_eq!(read(&bytes, 0, 0, Encoding::Big), Some(0));
    }

    #[test]
    fn digits_are_read_up_to_what_is_none() {
        let decimal = Encoding::Text(Base::Decimal);
        for (text, number) in [
            ("13When", Some(13)),
            ("  42", Some(42)),
            ("+7", Some(7)),
            ("-1", Some(u64::MAX)),
            ("when", None),
            ("", None),
            ("99999999999999999999999", None),
        ] {
            assert_eq!(read(text.as_bytes(), 0, text.len(), decimal), number, "{text}");
        }
        assert_eq!(read(b"0xffg", 0, 5, Encoding::Text(Base::Hexadecimal)), Some(255));
        assert_eq!(read(b"0x", 0, 2, Encoding::Text(Base::Hexadecimal)), Some(0));
        assert_eq!(read(b"1789", 0, 4, Encoding::Text(Base::Octal)), Some(0o17));
    }
}
