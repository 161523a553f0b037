use super::*;

#[test]
fn flags_compare_as_written() {
    let flags = |compare, flags, ignored| TcpFlags { flags, ignored, compare };
    for (test, byte, wanted) in [
        (flags(BitCompare::Exactly, 0x02, 0), 0x02, true),
        (flags(BitCompare::Exactly, 0x02, 0), 0x12, false),
        (flags(BitCompare::Exactly, 0x02, 0xc0), 0xc2, true),
        (flags(BitCompare::Exactly, 0x02, 0), 0xc2, false),
        (flags(BitCompare::All, 0x12, 0), 0x1a, true),
        (flags(BitCompare::All, 0x12, 0), 0x02, false),
        (flags(BitCompare::Any, 0x07, 0), 0x04, true),
        (flags(BitCompare::Any, 0x07, 0), 0x10, false),
        (flags(BitCompare::Not, 0x10, 0xc0), 0x02, true),
        (flags(BitCompare::Not, 0x10, 0xc0), 0x12, false),
        (flags(BitCompare::Exactly, 0, 0), 0, true),
        (flags(BitCompare::Exactly, 0, 0xc0), 0x40, true),
        (flags(BitCompare::Exactly, 0, 0), 0x10, false),
        (flags(BitCompare::Not, 0, 0), 0x10, true),
        (flags(BitCompare::Not, 0, 0), 0, false),
    ] {
        assert_eq!(test.matches(byte), wanted, "{test:?} on {byte:#x}");
    }
}

#[test]
fn fragment_bits_are_the_top_three() {
    let more = FragBits { bits: 1, compare: BitCompare::Exactly };
    assert!(more.matches(0x20) && !more.matches(0x60) && !more.matches(0x40));
    let no_df = FragBits { bits: 2, compare: BitCompare::Not };
    assert!(no_df.matches(0x20) && !no_df.matches(0x40));
}
