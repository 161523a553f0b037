use super::*;
use proptest::prelude::*;

/// The definition, word by word.
fn reference(bytes: &[u8]) -> u16 {
    let mut sum: u64 = 0;
    for pair in bytes.chunks(2) {
        sum += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !(sum as u16)
}

#[test]
fn example_of_rfc_1071() {
    assert_eq!(of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
}

/// RFC 1624 section 4: the older equation gives 0xffff here.
#[test]
fn example_of_rfc_1624() {
    assert_eq!(update_u16(0xdd2f, 0x5555, 0x3285), 0x0000);
}

#[test]
fn extremes() {
    assert_eq!(of(&[]), 0xffff);
    assert_eq!(of(&[0; 64]), 0xffff);
    assert_eq!(of(&[0xff; 64]), 0);
    assert_eq!(of(&[0xff; 9]), !0xff00);
    assert!(Sum::new().bytes(&[0xff; 4]).is_valid());
    assert!(!Sum::new().is_valid());
    assert_eq!((for_udp(0), for_udp(1), for_udp(0xffff)), (0xffff, 1, 0xffff));
}

#[test]
fn a_lowered_ttl_is_the_update_of_its_word() {
    for sum in (0..0xffff_u16).step_by(if cfg!(miri) { 1009 } else { 1 }) {
        for word in [0x0106_u16, 0x4011, 0xff00, 0x80ff] {
            assert_eq!(update_ttl(sum), update_u16(sum, word, word - 0x0100), "{sum:04x} {word:04x}");
        }
    }
}

/// Every old word against telling new words and rests, compared with a full computation.
#[test]
fn updating_a_word_equals_computing_anew_exhaustively() {
    let edges = [0, 1, 2, 0x7fff, 0x8000, 0xfffd, 0xfffe, 0xffff];
    let step = if cfg!(miri) { 1009 } else { 1 };
    for rest in [1, 2, 0x1234, 0x7fff, 0x8000, 0xfffe, 0xffff_u16] {
        for old in (0..=0xffff_u16).step_by(step) {
            let before = Sum::new().u16(rest).u16(old).checksum();
            let mirrored = [!old, !rest, !before, before, old.wrapping_add(1)];
            for new in edges.into_iter().chain(mirrored) {
                let after = Sum::new().u16(rest).u16(new).checksum();
                assert_eq!(update_u16(before, old, new), after, "{rest:04x} {old:04x} -> {new:04x}");
                assert_ne!(update_u16(before, new, old), 0xffff, "never the other zero");
                let udp = update_udp_u16(for_udp(before), old, new);
                assert_eq!(udp, for_udp(after), "UDP {rest:04x} {old:04x} -> {new:04x}");
            }
        }
    }
}

#[test]
fn every_checksum_field_is_right_after_an_update_or_stays_none() {
    let step = if cfg!(miri) { 499 } else { 1 };
    for checksum in (0..=0xffff_u16).step_by(step) {
        for (old, new) in [(0, 0), (0, 0xffff), (0xffff, 0), (0x1234, 0x1234), (1, 0xfffe), (0x8000, 0x7fff)]
        {
            let updated = update_u16(checksum, old, new);
            assert_ne!(updated, 0xffff, "{checksum:04x} {old:04x} -> {new:04x}");
            // Valid before, valid after: the difference is a multiple of 0xffff.
            let before = u32::from(checksum) + u32::from(old);
            let after = u32::from(updated) + u32::from(new);
            assert_eq!(before % 0xffff, after % 0xffff, "{checksum:04x} {old:04x} -> {new:04x}");
            let udp = update_udp_u16(checksum, old, new);
            assert_eq!(udp == 0, checksum == 0, "{checksum:04x} {old:04x} -> {new:04x}");
        }
    }
}

fn config() -> ProptestConfig {
    let cases = if cfg!(miri) { 8 } else { 512 };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn equals_the_definition(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(of(&bytes), reference(&bytes));
    }

    #[test]
    fn segments_of_any_length_sum_to_the_whole(
        segments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..12)
    ) {
        let whole = segments.concat();
        prop_assert_eq!(of_segments(segments.iter().map(Vec::as_slice)), reference(&whole));
    }

    #[test]
    fn updating_addresses_equals_computing_anew(
        rest in 1..=u16::MAX, a in any::<u128>(), b in any::<u128>(), small in any::<bool>()
    ) {
        // Addresses with few bits set are where the two zeros meet.
        let (a, b) = if small { (a & 0x1_0001, b & 0x1_0001) } else { (a, b) };
        let sum = Sum::new().u16(rest);
        let (old, new) = (a as u32, b as u32);
        let (before, after) = (sum.u32(old).checksum(), sum.u32(new).checksum());
        prop_assert_eq!(update_u32(before, old, new), after);
        prop_assert_eq!(update_udp_u32(for_udp(before), old, new), for_udp(after));
        let (before, after) = (sum.u128(a).checksum(), sum.u128(b).checksum());
        prop_assert_eq!(update_u128(before, a, b), after);
        prop_assert_eq!(update_udp_u128(for_udp(before), a, b), for_udp(after));
        prop_assert_eq!(update_udp_u32(0, old, new), 0);
        prop_assert_eq!(update_udp_u128(0, a, b), 0);
    }

    #[test]
    fn words_equal_their_bytes(a in any::<u16>(), b in any::<u32>(), c in any::<u128>()) {
        let bytes = [&a.to_be_bytes()[..], &b.to_be_bytes(), &c.to_be_bytes()].concat();
        prop_assert_eq!(Sum::new().u16(a).u32(b).u128(c).checksum(), reference(&bytes));
    }
}

proptest! {
    /// A delta does what the single updates do, one after the other.
    #[test]
    fn a_delta_is_all_its_updates_at_once(
        checksum in any::<u16>(), address in any::<(u32, u32)>(), port in any::<(u16, u16)>(),
    ) {
        let delta = Delta::NONE.u32(address.0, address.1).u16(port.0, port.1);
        let step = update_u16(update_u32(checksum, address.0, address.1), port.0, port.1);
        // A checksum of -0 is one that nobody computes; only then the zeros may differ.
        if checksum != 0xffff {
            prop_assert_eq!(delta.update(checksum.to_be_bytes()), step.to_be_bytes());
            let udp = delta.update_udp(for_udp(checksum).to_be_bytes());
            prop_assert_eq!(udp, for_udp(step).to_be_bytes());
        }
        prop_assert_eq!(delta.update_udp([0; 2]), [0; 2]);
    }
}
