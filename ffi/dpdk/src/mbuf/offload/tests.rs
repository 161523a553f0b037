use super::*;

#[test]
fn a_checksum_is_good_bad_or_unknown() {
    let (good, bad) = (BRAID_F_RX_IP_GOOD, BRAID_F_RX_IP_BAD);
    for (bits, expected) in [
        (good, ChecksumStatus::Good),
        (bad, ChecksumStatus::Bad),
        (0, ChecksumStatus::Unknown),
        (good | bad, ChecksumStatus::Unknown),
    ] {
        assert_eq!(status(bits, good, bad), expected);
    }
}

#[test]
fn header_lengths_go_into_separate_bits_and_too_long_ones_are_refused() {
    let both = tx_lengths(14, 20).unwrap();
    assert_eq!(both, tx_lengths(14, 0).unwrap() | tx_lengths(0, 20).unwrap());
    assert_ne!(tx_lengths(14, 0), tx_lengths(0, 14));
    assert!(tx_lengths(127, 511).is_some());
    assert_eq!(tx_lengths(128, 20), None);
    assert_eq!(tx_lengths(14, 512), None);
}

#[test]
fn every_request_has_its_own_flags() {
    let all = [true, false].map(|ipv4| {
        [L4Checksum::None, L4Checksum::Tcp, L4Checksum::Udp].map(|l4| tx_flags(TxChecksum { ipv4, l4 }))
    });
    let mut all: Vec<u64> = all.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 6);
}
