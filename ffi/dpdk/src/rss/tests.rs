use super::*;

/// Toeplitz as Microsoft's RSS specification defines it, for any key.
fn toeplitz(key: &[u8], input: &[u8]) -> u32 {
    let bit = |bytes: &[u8], i: usize| bytes[i / 8] >> (7 - i % 8) & 1 == 1;
    let window = |start: usize| (start..start + 32).fold(0, |w, i| w << 1 | u32::from(bit(key, i)));
    (0..8 * input.len()).filter(|&i| bit(input, i)).fold(0, |hash, i| hash ^ window(i))
}

/// The verification suite's key and first vectors (Microsoft, "Verifying the RSS hash calculation").
#[test]
fn the_reference_computes_the_published_vectors() {
    let key: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0,
        0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42,
        0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];
    let input = [66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6];
    assert_eq!(toeplitz(&key, &input), 0x51cc_c178);
    assert_eq!(toeplitz(&key, &input[..8]), 0x323e_8fc2);
}

#[test]
fn the_folded_hash_is_toeplitz_with_the_repeated_key() {
    let key = KEY_WORD.repeat(26);
    let v6: Vec<u8> = (0..32u8).map(|i| i.wrapping_mul(37) ^ 11).collect();
    for (src, dst, sport, dport) in [
        (&[66, 9, 149, 187][..], &[161, 142, 100, 80][..], 2794, 1766),
        (&[10, 0, 0, 1], &[10, 0, 0, 2], 0, 0),
        (&v6[..16], &v6[16..], 65535, 1),
    ] {
        let mut input = [src, dst].concat();
        input.extend(u16::to_be_bytes(sport));
        input.extend(u16::to_be_bytes(dport));
        let hash = symmetric_toeplitz(src, dst, sport, dport);
        assert_eq!(hash, toeplitz(&key, &input), "{src:?} {dst:?}");
        assert_eq!(hash, symmetric_toeplitz(dst, src, dport, sport), "both directions");
        assert_ne!(hash, symmetric_toeplitz(src, dst, sport ^ 0x101, dport), "the port matters");
    }
}
