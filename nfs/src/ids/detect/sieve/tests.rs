use super::*;
use proptest::prelude::*;

proptest! {
    /// The sieve may let anything pass, but never holds back a packet with a literal in it.
    #[test]
    fn what_has_a_literal_passes(
        literals in prop::collection::vec(prop::collection::vec(any::<u8>(), 7..40), 1..20),
        which: prop::sample::Index,
        before in prop::collection::vec(any::<u8>(), 0..200),
        after in prop::collection::vec(any::<u8>(), 0..200),
        flip_case: bool,
    ) {
        let borrowed: Vec<&[u8]> = literals.iter().map(Vec::as_slice).collect();
        let sieve = Sieve::new(&borrowed, flip_case).expect("long enough");
        let mut literal = which.get(&literals).clone();
        if flip_case {
            literal.iter_mut().filter(|byte| byte.is_ascii_alphabetic()).for_each(|byte| *byte ^= 0x20);
        }
        let packet = [before, literal, after].concat();
        prop_assert!(sieve.passes(&packet));
    }
}

#[test]
fn most_of_what_has_none_does_not() {
    let literals: Vec<Vec<u8>> = (0..1000u32).map(|n| format!("literal-{n:08x}").into_bytes()).collect();
    let borrowed: Vec<&[u8]> = literals.iter().map(Vec::as_slice).collect();
    let sieve = Sieve::new(&borrowed, true).expect("long enough");
    let mut random = 1u64;
    let mut packet = vec![0; 1476];
    let passed = (0..1000).filter(|_| {
        packet.iter_mut().for_each(|byte| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *byte = (random >> 56) as u8;
        });
        sieve.passes(&packet)
    });
    assert_eq!(passed.count(), 0);
}

#[test]
fn there_is_none_for_short_literals_or_too_many() {
    assert!(Sieve::new(&[], false).is_none());
    assert!(Sieve::new(&[b"long enough", b"short"], false).is_none());
    let many: Vec<Vec<u8>> = (0..9000u32).map(|n| format!("{n:07}").into_bytes()).collect();
    let borrowed: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    assert!(Sieve::new(&borrowed, false).is_none());
    assert_eq!(Sieve::new(&[b"seven77"], false).map(|sieve| sieve.stride), Some(4));
    assert_eq!(Sieve::new(&[b"much longer than a sieve needs"], false).map(|sieve| sieve.stride), Some(8));
}

#[test]
fn nothing_short_passes() {
    let sieve = Sieve::new(&[b"1234567"], false).expect("long enough");
    assert!(sieve.passes(b"1234567"));
    assert!(!sieve.passes(b"123456"));
    assert!(!sieve.passes(b""));
    assert!(!sieve.passes(b"123"));
}

#[test]
fn a_word_of_a_literal_is_not_enough() {
    let literals: [&[u8]; 2] = [b"GET /admin HTTP/1.1", b"password=secret"];
    let sieve = Sieve::new(&literals, true).expect("long enough");
    assert!(sieve.passes(b"xGET /ADMIN http/1.1"));
    assert!(!sieve.passes(b"GET /index HTTP/1.1\r\npassword=nothing"));
}
