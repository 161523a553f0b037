use super::*;

/// A SYN from 10.0.0.1:49152 to 10.0.0.2:80: MSS 1460, SACK permitted, timestamps, NOP, window scale 7.
const SYN: [u8; 40] = [
    0xc0, 0x00, 0x00, 0x50, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0xa0, 0x02, 0xfa, 0xf0, 0x00, 0x00, 0, 0, 2,
    4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 100, 0, 0, 0, 0, 1, 3, 3, 7,
];

#[test]
fn reads_every_field() {
    let tcp = Packet::new_checked(SYN).unwrap();
    assert_eq!((tcp.src_port(), tcp.dst_port()), (49152, 80));
    assert_eq!((tcp.seq(), tcp.ack()), (0x1234_5678, 0));
    assert_eq!((tcp.header_len(), tcp.flags(), tcp.window(), tcp.urgent()), (40, flags::SYN, 64240, 0));
    assert!(tcp.payload().is_empty());
    assert_eq!(tcp.sequence_len(), 1);
}

#[test]
fn reads_the_options_of_a_syn() {
    let tcp = Packet::new_checked(SYN).unwrap();
    let options: Result<Vec<_>, _> = tcp.options().collect();
    assert_eq!(
        options.unwrap(),
        [
            TcpOption::Mss(1460),
            TcpOption::SackPermitted,
            TcpOption::Timestamps { value: 100, echo: 0 },
            TcpOption::WindowScale(7),
        ]
    );
    assert_eq!(tcp.option_offset(kind::MSS), Some(20));
    assert_eq!(tcp.option_offset(kind::WINDOW_SCALE), Some(37));
    assert_eq!(tcp.option_offset(kind::MPTCP), None);
}

#[test]
fn reads_sack_blocks_multipath_and_unknown_options() {
    let bytes = [5, 18, 0, 0, 0, 1, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0, 12, 30, 4, 0x81, 0x05, 254, 3, 1, 0];
    let options: Vec<_> = Options::new(&bytes).collect::<Result<_, _>>().unwrap();
    let TcpOption::Sack(blocks) = options[0] else { panic!("{:?} is no SACK", options[0]) };
    assert_eq!(blocks.iter().collect::<Vec<_>>(), [(1, 5), (9, 12)]);
    assert_eq!(options[1..], [TcpOption::Mptcp(&[0x81, 5]), TcpOption::Other { kind: 254, data: &[1] }]);
}

#[test]
fn a_broken_option_is_the_last_thing_seen() {
    let broken: [(&str, &[u8]); 5] = [
        ("length 0", &[2, 0, 1, 1]),
        ("length 1", &[9, 1, 1, 1]),
        ("past the end", &[2, 4, 5]),
        ("no length", &[2]),
        ("an MSS of 3 bytes", &[2, 5, 1, 2, 3, 4, 2]),
    ];
    for (what, bytes) in broken {
        let seen: Vec<_> = Options::new(bytes).collect();
        assert_eq!(seen, [Err(Malformed::TcpBadOption)], "{what}");
    }
}

#[test]
fn checksum_covers_pseudo_header_and_payload() {
    let mut bytes = SYN.to_vec();
    bytes.extend(b"odd");
    let len = bytes.len() as u32;
    let pseudo = Sum::pseudo_v4(0x0a00_0001, 0x0a00_0002, 6, len);
    let mut tcp = Packet::new_checked(&mut bytes[..]).unwrap();
    tcp.fill_checksum(pseudo);
    assert!(tcp.checksum_is_valid(pseudo));
    assert!(!tcp.checksum_is_valid(Sum::pseudo_v4(0x0a00_0001, 0x0a00_0003, 6, len)));
    tcp.payload_mut()[2] ^= 1;
    assert!(!tcp.checksum_is_valid(pseudo));
}

#[test]
fn checksum_of_the_syn_is_the_one_computed_by_hand() {
    let mut tcp = Packet::new_checked(SYN).unwrap();
    tcp.fill_checksum(Sum::pseudo_v4(0x0a00_0001, 0x0a00_0002, 6, 40));
    assert_eq!(tcp.checksum(), 0x0fac);
}

#[test]
fn refuses_what_is_no_header() {
    assert_eq!(Packet::new_checked(&SYN[..19]).unwrap_err(), Malformed::TcpTruncated);
    for (words, len) in [(4, 40), (11, 40), (10, 39)] {
        let mut bytes = SYN;
        bytes[12] = words << 4;
        assert_eq!(Packet::new_checked(&bytes[..len]).unwrap_err(), Malformed::TcpBadDataOffset, "{words}");
    }
}
