use super::*;
use proptest::prelude::*;
use wire::checksum;

/// A UDP packet over IPv4 with right checksums, or one that is wrong by `error`.
fn packet(payload: &[u8], error: u16, udp_sum: bool) -> Vec<u8> {
    let udp_len = (8 + payload.len()) as u16;
    let mut p = vec![0u8; 14 + 20 + 8];
    p[12..14].copy_from_slice(&[8, 0]);
    p[14] = 0x45;
    p[16..18].copy_from_slice(&(20 + udp_len).to_be_bytes());
    p[22..24].copy_from_slice(&[64, 17]);
    p[26..34].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    p[34..38].copy_from_slice(&[4, 210, 0, 53]);
    p[38..40].copy_from_slice(&udp_len.to_be_bytes());
    p.extend_from_slice(payload);
    let ip = checksum::of(&p[14..34]).wrapping_add(error);
    p[24..26].copy_from_slice(&ip.to_be_bytes());
    if udp_sum {
        let pseudo = checksum::Sum::pseudo_v4(0x0a00_0001, 0x0a00_0002, 17, u32::from(udp_len));
        let sum = checksum::for_udp(pseudo.bytes(&p[34..]).checksum()).wrapping_add(error);
        p[40..42].copy_from_slice(&checksum::for_udp(sum).to_be_bytes());
    }
    p
}

/// What an address translator does: a word at `at` becomes `to`, checksums by the difference.
fn rewrite(p: &mut [u8], at: usize, to: u16) {
    let old = u16::from_be_bytes([p[at], p[at + 1]]);
    p[at..at + 2].copy_from_slice(&to.to_be_bytes());
    let delta = Delta::NONE.u16(old, to);
    if at < 34 {
        let ip = delta.update([p[24], p[25]]);
        p[24..26].copy_from_slice(&ip);
    }
    let udp = delta.update_udp([p[40], p[41]]);
    p[40..42].copy_from_slice(&udp);
}

proptest! {
    #[test]
    fn what_branches_write_side_by_side_is_what_they_write_one_after_the_other(
        payload in prop::collection::vec(any::<u8>(), 0..400),
        words in prop::collection::vec(any::<u16>(), 6),
        wrong in any::<bool>(),
        udp_sum in any::<bool>(),
        ttl in any::<u8>(),
    ) {
        let original = packet(&payload, if wrong { 77 } else { 0 }, udp_sum);
        let headers = wire::parse(&original);
        // Source address and port; destination address and port; a byte that no checksum of the branch follows.
        type Branch<'a> = Box<dyn Fn(&mut [u8]) + 'a>;
        let branches: [Branch<'_>; 3] = [
            Box::new(|p| [(26, words[0]), (28, words[1]), (34, words[2])].iter().for_each(|&(at, to)| rewrite(p, at, to))),
            Box::new(|p| [(30, words[3]), (32, words[4]), (36, words[5])].iter().for_each(|&(at, to)| rewrite(p, at, to))),
            Box::new(|p| p[15] = ttl),
        ];
        let mut expected = original.clone();
        branches.iter().for_each(|branch| branch(&mut expected));
        let mut front = Front::new();
        front.begin(Some(&headers));
        for branch in &branches {
            let mut copy = original.clone();
            branch(&mut copy);
            front.add(&original, &copy);
        }
        let mut merged = original.clone();
        front.apply(&mut merged);
        prop_assert_eq!(merged, expected);
    }
}

#[test]
fn one_writer_is_taken_as_it_is_even_where_it_breaks_a_checksum() {
    let original = packet(b"abc", 0, true);
    let headers = wire::parse(&original);
    let mut branch = original.clone();
    branch[24..30].copy_from_slice(&[1, 2, 3, 4, 5, 6]);
    let mut front = Front::new();
    front.begin(Some(&headers));
    front.add(&original, &branch);
    front.add(&original, &original);
    let mut merged = original;
    front.apply(&mut merged);
    assert_eq!(merged, branch);
}

#[test]
fn bytes_behind_the_front_stay_as_they_are() {
    let original = vec![7u8; 600];
    let headers = wire::parse(&original);
    let branch = vec![9u8; 600];
    let mut front = Front::new();
    front.begin(Some(&headers));
    front.add(&original, &branch);
    let mut merged = original;
    front.apply(&mut merged);
    assert!(merged[..FRONT].iter().all(|&byte| byte == 9) && merged[FRONT..].iter().all(|&byte| byte == 7));
}
