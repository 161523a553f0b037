//! Packets: their shape, sharing and copying, against a plain vector of bytes.

mod setup;

use dpdk::{ChecksumStatus, L4Checksum, Mbuf, Pool, TxChecksum};
use setup::{bytes, eal, packet, pool};

/// Bytes that differ from their neighbours.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

#[test]
fn a_fresh_mbuf_is_empty_and_grows_at_both_ends() {
    let pool = pool(&eal(), 15);
    let mut mbuf = pool.alloc().unwrap();
    assert_eq!((mbuf.len(), mbuf.data().len(), mbuf.segment_count()), (0, 0, 1));
    assert!(mbuf.is_exclusive() && mbuf.is_contiguous());
    assert_eq!(mbuf.port(), u16::MAX);
    mbuf.append(4).unwrap().copy_from_slice(b"tail");
    mbuf.prepend(4).unwrap().copy_from_slice(b"head");
    assert_eq!(mbuf.data(), b"headtail");
    mbuf.data_mut().unwrap()[4] = b'T';
    assert!(mbuf.trim_front(2) && mbuf.truncate(5));
    assert_eq!((mbuf.data(), mbuf.len()), (&b"adTai"[..], 5));
    assert!(!mbuf.trim_front(6) && !mbuf.truncate(6));
    assert!(mbuf.prepend(200).is_none(), "the headroom is 128 bytes");
    assert!(mbuf.prepend(70_000).is_none() && mbuf.append(70_000).is_none());
    assert_eq!(mbuf.append(3).unwrap(), [0; 3], "what was there before is not shown");
    assert!(mbuf.truncate(0) && mbuf.data().is_empty());
}

#[test]
fn contents_of_any_length_are_filled_in_and_read_back() {
    let pool = pool(&eal(), 127);
    let mut mbuf = pool.alloc().unwrap();
    for length in [0, 1, 60, 2048, 2049, 4224, 9000, 65_535, 100_000, 3000, 14] {
        assert!(mbuf.fill(&pattern(length)), "{length}");
        assert_eq!(mbuf.len(), length);
        assert_eq!(bytes(&mbuf), pattern(length), "{length}");
        assert_eq!(mbuf.segments().count(), mbuf.segment_count());
        assert_eq!(pool.in_use() as usize, mbuf.segment_count(), "nothing leaks");
        assert_eq!(mbuf.is_contiguous(), length <= 2048);
    }
    assert!(!mbuf.fill(&pattern(1_000_000)), "not that many mbufs");
    assert_eq!(bytes(&mbuf), pattern(14));
}

#[test]
fn a_jumbo_packet_is_cut_and_grown_anywhere() {
    let pool = pool(&eal(), 127);
    let whole = pattern(9000);
    for cut in [0, 1, 2047, 2048, 2049, 4223, 4224, 8999, 9000] {
        let mut front = packet(&pool, &whole);
        assert!(front.truncate(cut), "{cut}");
        assert_eq!(bytes(&front), whole[..cut], "truncated to {cut}");
        assert_eq!(front.append(10).unwrap(), [0; 10]);
        assert_eq!(front.len(), cut + 10);
        assert_eq!(bytes(&front), [&whole[..cut], &[0; 10]].concat());

        let mut back = packet(&pool, &whole);
        assert!(back.trim_front(cut), "{cut}");
        assert_eq!(bytes(&back), whole[cut..], "trimmed by {cut}");
        assert!(back.data().len() >= 256.min(back.len()) || cut < 2048);
    }
    assert_eq!(pool.in_use(), 0);
    let mut grown = packet(&pool, &whole[..10]);
    for piece in whole[10..].chunks(500) {
        grown.append(piece.len()).unwrap().copy_from_slice(piece);
    }
    assert_eq!(bytes(&grown), whole);
    assert!(grown.segment_count() > 1);
    assert!(grown.append(3000).is_none(), "more than one mbuf holds");
    assert_eq!(bytes(&grown), whole);
}

#[test]
fn segments_are_written_in_place() {
    let pool = pool(&eal(), 127);
    let mut mbuf = packet(&pool, &pattern(9000));
    for segment in mbuf.segments_mut().unwrap() {
        for byte in segment {
            *byte ^= 0xff;
        }
    }
    assert_eq!(bytes(&mbuf), pattern(9000).iter().map(|byte| byte ^ 0xff).collect::<Vec<_>>());
}

#[test]
fn headers_in_pieces_are_brought_together() {
    let eal = eal();
    let pool = pool(&eal, 127);
    let tiny = Pool::new(&eal, "tiny", 127, 0, 40, None).unwrap();
    let mut pieces = packet(&tiny, &pattern(200));
    assert_eq!(pieces.data().len(), 40);
    assert!(pieces.ensure_contiguous(30));
    assert!(!pieces.ensure_contiguous(100), "no mbuf of its pool holds that");
    assert!(!pieces.linearize());
    assert_eq!(bytes(&pieces), pattern(200));

    let mut gap = packet(&pool, &pattern(3000));
    assert!(gap.trim_front(2000) && gap.data().len() == 48);
    assert!(gap.ensure_contiguous(256));
    assert!(gap.data().len() >= 256);
    assert!(gap.linearize() && gap.is_contiguous());
    assert_eq!(gap.data(), &pattern(3000)[2000..]);
    let mut jumbo = packet(&pool, &pattern(9000));
    assert!(!jumbo.linearize());
    assert!(jumbo.ensure_contiguous(10_000) || jumbo.len() == 9000);
}

#[test]
fn a_shared_packet_is_copied_by_whoever_writes() {
    let pool = pool(&eal(), 127);
    for length in [60, 9000] {
        let mut original = packet(&pool, &pattern(length));
        let before = pool.in_use();
        let twins: Vec<Mbuf> = (0..6).map(|_| original.share()).collect();
        assert_eq!(pool.in_use(), before, "sharing takes no mbuf");
        assert!(!original.is_exclusive());
        let mut changed = twins;
        changed[0].data_mut().unwrap()[0] = 0xaa;
        changed[1].append(1).unwrap()[0] = 0xbb;
        changed[2].prepend(1).unwrap()[0] = 0xcc;
        assert!(changed[3].trim_front(1));
        assert!(changed[4].truncate(1));
        assert!(changed[5].fill(&[0xdd]));
        assert!(changed.iter().all(Mbuf::is_exclusive));
        assert_eq!(bytes(&original), pattern(length));
        assert!(original.is_exclusive(), "the others have copies now");
        assert_eq!(bytes(&changed[0])[1..], pattern(length)[1..]);
        assert_eq!(bytes(&changed[1])[..length], pattern(length));
        assert_eq!(bytes(&changed[2])[1..], pattern(length));
        assert_eq!(bytes(&changed[3]), pattern(length)[1..]);
        assert_eq!(bytes(&changed[4]), pattern(length)[..1]);
        assert_eq!(bytes(&changed[5]), [0xdd]);
    }
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn writing_to_an_exclusive_packet_copies_nothing() {
    let pool = pool(&eal(), 127);
    let mut mbuf = packet(&pool, &pattern(100));
    let address = mbuf.data().as_ptr();
    drop(mbuf.share());
    assert!(mbuf.make_exclusive() && mbuf.set_port(3) && mbuf.set_meta([1, 2, 3]));
    assert_eq!(mbuf.data_mut().unwrap().as_ptr(), address);
    assert_eq!(pool.in_use(), 1);
}

#[test]
fn metadata_travel_with_copies_and_stay_apart() {
    let pool = pool(&eal(), 127);
    let mut mbuf = packet(&pool, &pattern(5000));
    assert!(mbuf.set_meta([1, u64::MAX, 3]) && mbuf.set_port(7));
    let mut copy = mbuf.copy().unwrap();
    let mut twin = mbuf.share();
    assert_eq!((copy.meta(), copy.port()), ([1, u64::MAX, 3], 7));
    assert!(copy.set_meta([9; 3]) && twin.set_meta([8; 3]) && twin.set_port(1));
    assert_eq!((mbuf.meta(), mbuf.port()), ([1, u64::MAX, 3], 7));
    assert_eq!((twin.meta(), twin.port(), bytes(&twin)), ([8; 3], 1, pattern(5000)));
}

#[test]
fn references_are_counted_across_threads() {
    let eal = eal();
    let pool = Pool::new(&eal, "shared", 1023, 32, 2048, None).unwrap();
    for _ in 0..50 {
        let mut original = packet(&pool, &pattern(300));
        std::thread::scope(|scope| {
            for number in 0..4u8 {
                let mut twin = original.share();
                let eal = &eal;
                scope.spawn(move || {
                    let _guard = eal.register_thread().unwrap();
                    for _ in 0..20 {
                        let again = twin.share();
                        assert_eq!(bytes(&again), pattern(300));
                    }
                    twin.data_mut().unwrap().fill(number);
                    assert_eq!(bytes(&twin), [number; 300]);
                });
            }
            drop(original);
        });
    }
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn offloads_are_unknown_until_a_device_says_so_and_requests_need_sayable_lengths() {
    let pool = pool(&eal(), 15);
    let mut mbuf = packet(&pool, &pattern(100));
    assert_eq!(mbuf.rss_hash(), None);
    let checksum = mbuf.rx_checksum();
    assert_eq!((checksum.ip, checksum.l4), (ChecksumStatus::Unknown, ChecksumStatus::Unknown));
    let request = TxChecksum { ipv4: true, l4: L4Checksum::Udp };
    assert!(mbuf.request_tx_checksum(14, 20, request));
    assert!(!mbuf.request_tx_checksum(300, 20, request));
    mbuf.prefetch_header();
    mbuf.prefetch_data();
}

#[test]
fn a_copied_front_is_written_to_while_the_rest_is_shared() {
    let pool = pool(&eal(), 127);
    for length in [0, 60, 255, 256, 257, 1500, 2048, 2049, 9000] {
        let whole = pattern(length);
        let mut original = packet(&pool, &whole);
        let before = pool.in_use();
        let mut copy = original.copy_front(256).unwrap();
        assert_eq!(bytes(&copy), whole, "{length}");
        assert_eq!(copy.data().len(), length.min(256));
        assert_eq!(original.is_exclusive(), length <= 256);
        copy.data_mut().unwrap().fill(0xee);
        assert_eq!(bytes(&original), whole, "{length}: the front is a copy");
        assert_eq!(bytes(&copy)[length.min(256)..], whole[length.min(256)..]);
        // Whoever writes to the original meanwhile gets a copy of it.
        if length > 0 {
            let mut another = original.share();
            another.data_mut().unwrap()[length.min(2048) - 1] = 0x11;
            assert_eq!(bytes(&copy)[length.min(256)..], whole[length.min(256)..]);
        }
        // To change its length makes all of it a copy.
        assert!(copy.append(1).is_some() && copy.is_exclusive());
        drop(copy);
        assert!(original.is_exclusive());
        assert_eq!(pool.in_use(), before, "{length}");
    }
    let mut last = packet(&pool, &pattern(9000));
    let mut copies = Vec::new();
    while let Some(copy) = last.copy_front(100) {
        copies.push(copy);
    }
    drop(copies);
    assert_eq!(pool.in_use() as usize, last.segment_count(), "what did not fit leaves nothing behind");
}
