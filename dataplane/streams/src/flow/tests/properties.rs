//! Any segmentation, order and repetition of two streams.

use super::*;
use proptest::prelude::*;

const CASES: u32 = if cfg!(miri) { 4 } else { 192 };
const LEN: usize = if cfg!(miri) { 200 } else { 6000 };

/// Bytes that differ from place to place.
fn stream(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|place| (place / 251 + place * 7) as u8 ^ seed).collect()
}

/// Cuts of a stream into segments, some of which are repeated, shifted and swapped.
fn segments(from: From, seed: u8) -> impl Strategy<Value = (Vec<u8>, Vec<Sent>)> {
    (0..LEN, prop::collection::vec((0..LEN, 1usize..1500), 0..40), any::<prop::sample::Index>()).prop_map(
        move |(len, extra, _)| {
            let bytes = stream(seed, len);
            let cut = |at: usize, size: usize| {
                let at = at.min(len);
                Sent::data(from, at as i64, &bytes[at..(at + size).min(len)])
            };
            let mut sent: Vec<Sent> = extra.iter().map(|&(at, size)| cut(at, size)).collect();
            let mut at = 0;
            for &(_, size) in extra.iter().chain(&[(0, LEN)]) {
                sent.push(cut(at, size));
                at += size;
            }
            sent.retain(|sent| !sent.payload.is_empty());
            (bytes, sent)
        },
    )
}

/// Both directions' segments in any order, and both streams.
fn conversation() -> impl Strategy<Value = (Vec<u8>, Vec<u8>, Vec<Sent>)> {
    let both = (segments(From::Client, 1), segments(From::Server, 2));
    both.prop_flat_map(|((to_server, forth), (to_client, back))| {
        let all: Vec<Sent> = forth.into_iter().chain(back).collect();
        (Just(to_server), Just(to_client), Just(all).prop_shuffle())
    })
}

fn config(mode: Mode, keep: bool) -> Config {
    Config { mode, keep, gap_segments: u32::MAX, gap_bytes: u32::MAX, ..Config::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn however_it_is_cut_the_stream_is_the_same(
        (to_server, to_client, sent) in conversation(),
        arrival: bool,
        keep: bool,
        isns: [u32; 2],
        half_way: prop::sample::Index,
    ) {
        let mode = if arrival { Mode::Arrival } else { Mode::Acknowledged };
        let mut rig = Rig { isns, ..Rig::new(config(mode, keep)) };
        rig.handshake();
        let export_at = if sent.is_empty() { 0 } else { half_way.index(sent.len()) };
        for (index, sent) in sent.iter().enumerate() {
            if index == export_at {
                let record = rig.flow.export(&rig.pool);
                rig.pool = Pool::new(1 << 20);
                rig.flow = Flow::import(&record, &rig.config, &mut rig.pool).unwrap();
            }
            prop_assert!(rig.send(sent).taken);
        }
        if arrival {
            prop_assert_eq!(&rig.out.to_server, &to_server);
        }
        rig.server_acks(to_server.len() as i64);
        rig.send(&Sent::ack(From::Client, 0, to_client.len() as i64));
        prop_assert_eq!(&rig.out.to_server, &to_server);
        prop_assert_eq!(&rig.out.to_client, &to_client);
        prop_assert_eq!(&rig.out.gaps, &[]);
        prop_assert!(!rig.out.saw(Event::Overlap));
        prop_assert_eq!(rig.pool.used(), 0);
    }

    #[test]
    fn whatever_is_sent_a_copy_goes_on_alike(
        sent in prop::collection::vec(any_segment(), 0..60),
        arrival: bool,
        policy in prop::sample::select(vec![
            crate::Policy::First, crate::Policy::Last, crate::Policy::Bsd, crate::Policy::Linux,
            crate::Policy::OldLinux, crate::Policy::Solaris,
        ]),
        half_way: prop::sample::Index,
    ) {
        let mode = if arrival { Mode::Arrival } else { Mode::Acknowledged };
        let config = Config {
            mode, policy, midstream: true, window: 3000, segments: 16, depth: 5000, gap_segments: 5, gap_bytes: 400,
            ..Config::default()
        };
        let (mut rig, mut copy) = (Rig::new(config.clone()), Rig::new(config));
        let export_at = if sent.is_empty() { 0 } else { half_way.index(sent.len()) };
        for (index, sent) in sent.iter().enumerate() {
            if index == export_at {
                let record = rig.flow.export(&rig.pool);
                copy.flow = Flow::import(&record, &copy.config, &mut copy.pool).unwrap();
                copy.out = rig.out.clone();
            }
            let outcome = rig.send(sent);
            if index >= export_at {
                prop_assert_eq!(outcome, copy.send(sent));
            }
            let most = 2 * (3000 + 2 * crate::pool::CHUNK) + 2 * 60_000;
            prop_assert!(rig.pool.used() <= most, "{} bytes held", rig.pool.used());
        }
        if !sent.is_empty() {
            prop_assert_eq!(rig.flow.export(&rig.pool), copy.flow.export(&copy.pool));
            copy.finish();
            rig.finish();
            prop_assert_eq!(&rig.out, &copy.out);
        }
    }
}

/// Segments of any kind, close enough to each other to meet.
fn any_segment() -> impl Strategy<Value = Sent> {
    let flags = prop::sample::select(vec![
        ACK,
        ACK,
        ACK,
        ACK,
        SYN,
        SYN | ACK,
        FIN | ACK,
        RST,
        RST | ACK,
        0,
        ACK | wire::tcp::flags::URG,
        SYN | FIN,
    ]);
    let numbers = (-2i64..400, -2i64..400, any::<u8>(), prop::option::of(0u32..4));
    let rest = (any::<bool>(), flags, numbers, prop::collection::vec(0u8..3, 0..80), 0u8..3);
    rest.prop_map(|(client, flags, (place, ack, urgent, timestamp), payload, ttl)| Sent {
        from: if client { From::Client } else { From::Server },
        flags,
        ack,
        window: 500,
        urgent: u16::from(urgent),
        ttl: 60 + ttl * 5,
        timestamp,
        ..Sent::data(From::Client, place, payload)
    })
}
