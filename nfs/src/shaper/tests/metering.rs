//! Buckets and meters, and code points.

use super::super::bucket::{Bucket, Budget, Watch, cost};
use super::super::dscp;
use super::super::meter::{Color, Measure, Meter, Second};
use engine::Time;
use wire::checksum;

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_bucket_gives_its_rate_to_the_bit() {
    for rate in [1, 7, 64_000, 999_999_937, 100_000_000_000] {
        let mut bucket = Bucket::new(Budget { rate, burst: 1 << 20 });
        bucket.set(0);
        let depth = cost(1 << 20);
        // An odd number of pieces, none of them a whole number of bits.
        let pieces = 3_000_017;
        let mut taken: i64 = 0;
        for _ in 0..1000 {
            bucket.fill(SECOND / pieces);
            taken += bucket.tokens;
            bucket.take(bucket.tokens);
        }
        let exact = i64::try_from(1000 * (SECOND / pieces) * rate).expect("fits");
        assert!(exact / 1000 < depth && taken == exact, "{rate}: {taken} {exact}");
    }
}

#[test]
fn a_bucket_never_holds_more_than_its_burst() {
    let mut bucket = Bucket::new(Budget { rate: 1_000_000_000_000, burst: 2_000 });
    for nanos in [1, SECOND, u64::MAX] {
        bucket.fill(nanos);
        assert_eq!(bucket.tokens, cost(2_000));
    }
    bucket.set(i64::MAX);
    assert_eq!(bucket.tokens, cost(2_000));
    assert!(bucket.has(cost(2_000)) && !bucket.has(cost(2_001)));
}

#[test]
fn a_smaller_bucket_keeps_what_fits() {
    let bucket = Bucket::new(Budget { rate: 8_000, burst: 4_000 });
    assert_eq!(bucket.retuned(Budget { rate: 8_000, burst: 3_000 }).tokens, cost(3_000));
    assert_eq!(bucket.retuned(Budget { rate: 8_000, burst: 9_000 }).tokens, cost(4_000));
}

#[test]
fn time_that_runs_backwards_gives_nothing() {
    let mut watch = Watch(Time::from_nanos(100));
    assert_eq!(watch.advance(Time::from_nanos(150)), 50);
    assert_eq!(watch.advance(Time::from_nanos(20)), 0);
    assert_eq!(watch.advance(Time::from_nanos(160)), 10);
}

/// 8 kbit/s are a byte per millisecond.
fn committed(burst: u64) -> Budget {
    Budget { rate: 8_000, burst }
}

fn millis(millis: u64) -> u64 {
    millis * 1_000_000
}

#[test]
fn the_marker_of_one_rate_takes_from_the_committed_and_then_from_the_excess_burst() {
    let measure = Measure { committed: committed(1_000), second: Second::Excess(500) };
    let mut meter = Meter::new(measure);
    let mut color = |bytes| meter.color(Color::Green, cost(bytes));
    assert_eq!(color(600), Color::Green);
    assert_eq!(color(600), Color::Red, "400 committed and 500 excess: neither is enough alone");
    assert_eq!(color(500), Color::Yellow);
    assert_eq!(color(1), Color::Green, "400 committed are still there");
    // The committed bucket fills first, and only then the other one.
    meter.fill(millis(601));
    assert_eq!(meter.tokens().second, 0);
    meter.fill(millis(100));
    assert_eq!((meter.tokens().committed, meter.tokens().second), (cost(1_000), cost(100)));
    meter.fill(millis(100_000));
    assert_eq!((meter.tokens().committed, meter.tokens().second), (cost(1_000), cost(500)));
}

#[test]
fn the_marker_of_one_rate_makes_no_packet_better_than_it_came() {
    let measure = Measure { committed: committed(1_000), second: Second::Excess(500) };
    let mut meter = Meter::new(measure);
    assert_eq!(meter.color(Color::Yellow, cost(400)), Color::Yellow);
    assert_eq!(meter.color(Color::Yellow, cost(400)), Color::Red, "yellow takes from the excess only");
    assert_eq!(meter.color(Color::Red, cost(1)), Color::Red);
    assert_eq!(meter.color(Color::Green, cost(1_000)), Color::Green);
}

#[test]
fn the_marker_of_two_rates_is_red_beyond_the_peak_and_yellow_beyond_the_committed_rate() {
    let peak = Budget { rate: 16_000, burst: 1_500 };
    let mut meter = Meter::new(Measure { committed: committed(1_000), second: Second::Peak(peak) });
    let mut color = |before, bytes| meter.color(before, cost(bytes));
    assert_eq!(color(Color::Green, 800), Color::Green);
    assert_eq!(color(Color::Green, 800), Color::Red);
    assert_eq!(color(Color::Green, 500), Color::Yellow, "200 committed, 700 peak");
    assert_eq!(color(Color::Yellow, 100), Color::Yellow, "though 200 are committed");
    assert_eq!(color(Color::Red, 1), Color::Red);
    assert_eq!(color(Color::Green, 100), Color::Green);
    // Both fill at their own rates.
    meter.fill(millis(100));
    assert_eq!((meter.tokens().committed, meter.tokens().second), (cost(200), cost(200)));
}

/// Bytes of each color, of packets of 500 bytes, two per 100 ms, that are five bytes per millisecond twice over.
fn shares(second: Second, seconds: u64) -> [u64; 3] {
    let mut meter = Meter::new(Measure { committed: committed(1_000), second });
    let mut bytes = [0; 3];
    for _ in 0..seconds * 20 {
        meter.fill(millis(50));
        bytes[meter.color(Color::Green, cost(500)) as usize] += 500;
    }
    bytes
}

#[test]
fn in_the_long_run_colors_have_their_rates() {
    // 10 bytes per millisecond come; 1 is committed, 2 are the peak.
    let [green, yellow, red] = shares(Second::Peak(Budget { rate: 16_000, burst: 1_500 }), 100);
    assert!((100_000..=101_500).contains(&green), "{green}");
    assert!((99_000..=101_500).contains(&yellow), "{yellow}");
    assert_eq!(green + yellow + red, 1_000_000);
    let [green, yellow, _] = shares(Second::Excess(2_000), 100);
    assert!((100_000..=101_500).contains(&green), "{green}");
    assert_eq!(yellow, 2_000, "the excess burst never fills again");
}

#[test]
fn drop_precedence_is_a_color() {
    for (names, color) in [
        (["af11", "af21", "af31", "af41"], Color::Green),
        (["af12", "af22", "af32", "af42"], Color::Yellow),
        (["af13", "af23", "af33", "af43"], Color::Red),
        (["default", "ef", "cs1", "le"], Color::Green),
    ] {
        for name in names {
            let dscp = super::super::Dscp::named(name).expect(name);
            assert_eq!(Color::of_dscp(dscp.number()), color, "{name}");
        }
    }
}

#[test]
fn a_mark_changes_six_bits_and_keeps_the_checksum_right() {
    let mut v4 = vec![0; 12];
    v4.extend([
        0x08,
        0x00,
        0x45,
        0b1010_1011,
        0,
        28,
        0x12,
        0x34,
        0x40,
        0,
        64,
        17,
        0,
        0,
        10,
        0,
        0,
        1,
        10,
        0,
        0,
        2,
    ]);
    let sum = checksum::of(&v4[14..34]);
    v4[24..26].copy_from_slice(&sum.to_be_bytes());
    v4.extend([0, 1, 0, 2, 0, 8, 0, 0]);
    for dscp in 0..64 {
        let mut marked = v4.clone();
        dscp::write(&wire::parse(&v4), &mut marked, dscp);
        assert_eq!(checksum::of(&marked[14..34]), 0, "{dscp}");
        assert_eq!(marked[15], dscp << 2 | 0b11, "the ECN bits stay");
        assert_eq!(dscp::read(&wire::parse(&marked), &marked), Some(dscp));
        marked[15] = v4[15];
        marked[24..26].copy_from_slice(&v4[24..26]);
        assert_eq!(marked, v4, "nothing else changes");
    }
    let mut v6 = vec![0; 12];
    v6.extend([0x86, 0xdd, 0x6a, 0xbb, 0xcc, 0xdd, 0, 0, 59, 64]);
    v6.extend([7; 32]);
    for dscp in 0..64 {
        let mut marked = v6.clone();
        dscp::write(&wire::parse(&v6), &mut marked, dscp);
        assert_eq!(dscp::read(&wire::parse(&marked), &marked), Some(dscp));
        assert_eq!((marked[14] & 0xf0, marked[15] & 0x3f), (0x60, 0x3b), "version, ECN and flow label stay");
        assert_eq!(marked[16..], v6[16..]);
    }
    let mut arp = [&[0xff; 12][..], &[0x08, 0x06], &[1; 28]].concat();
    let before = arp.clone();
    dscp::write(&wire::parse(&before), &mut arp, 46);
    assert_eq!(arp, before);
}
