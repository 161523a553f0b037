//! Two ends of an ESP tunnel: what goes in comes out once and as it was, whatever happens on the way.

mod referee;

use engine::{Fate, Input, Packing, Record, Selector};
use referee::Bench;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use wire::builder::{Builder, fragments, icmp_error};

const SHORT: &str = "000102030405060708090a0b0c0d0e0f10111213";
const LONG: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223";

/// One end of a tunnel: `a` with the networks 10.1 and 2001:db8:1, `b` with 10.2 and 2001:db8:2.
fn end(is_a: bool, outer: [&str; 2], keymat: &str, more: &str, esn: bool) -> Bench {
    let ([local, remote], [near, far]) = if is_a { (outer, [1, 2]) } else { ([outer[1], outer[0]], [2, 1]) };
    let (out, inward) = if is_a { (0x1001, 0x2001) } else { (0x2001, 0x1001) };
    let association = |spi: u32| format!("{{ spi = {spi}, keymat = \"{keymat}\", esn = {esn} }}");
    Bench::new(
        "vpn",
        &format!(
            "other = \"pass\"\n[[tunnels]]\nname = \"t\"\nlocal = \"{local}\"\nremote = \"{remote}\"\n{more}\n\
             selectors = [{{ local = \"10.{near}.0.0/16\", remote = \"10.{far}.0.0/16\" }}, \
             {{ local = \"2001:db8:{near}::/48\", remote = \"2001:db8:{far}::/48\" }}]\n\
             outbound = [{}]\ninbound = [{}]\n",
            association(out),
            association(inward)
        ),
    )
}

const V4: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const V6: [&str; 2] = ["2001:db8:ff::1", "2001:db8:ff::2"];

fn pair(outer: [&str; 2], keymat: &str, more: &str, esn: bool) -> [Bench; 2] {
    [true, false].map(|is_a| end(is_a, outer, keymat, more, esn))
}

fn v4(n: u16, len: usize) -> Vec<u8> {
    let ends = [[10, 1, 0, 1], [10, 2, 0, 1]].map(Ipv4Addr::from);
    Builder::ethernet([2; 6], [4; 6]).ipv4(ends[0], ends[1]).udp(n, 9).payload_len(len).build()
}

fn v6(n: u16, len: usize) -> Vec<u8> {
    let ends = [1, 2].map(|n| Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, 1));
    Builder::ethernet([2; 6], [4; 6]).vlan(5).ipv6(ends[0], ends[1]).udp(n, 9).payload_len(len).build()
}

#[test]
fn what_goes_in_comes_out_as_it_was() {
    for (outer, more) in
        [(V4, "mtu = 9000"), (V6, "mtu = 9000"), (V4, "mtu = 9000\nudp = { local = 4500, remote = 40000 }")]
    {
        for (keymat, esn) in [(SHORT, false), (LONG, true)] {
            let more_b = more.replace("local = 4500, remote = 40000", "local = 40000, remote = 4500");
            let (mut a, mut b) =
                (end(true, outer, keymat, more, esn), end(false, outer, keymat, &more_b, esn));
            for len in (0..70).chain([500, 1400, 1472, 1900, 2100, 8000]) {
                for frame in [v4(1, len), v6(1, len)] {
                    let sealed = a.send(&frame).expect("sealed");
                    assert!(!sealed.windows(20).any(|part| frame[frame.len() - 20..] == *part));
                    let opened = b.send(&sealed).expect("opened");
                    assert!(opened == frame, "{len} bytes over {outer:?} {more}");
                    assert_eq!(b.send(&sealed), Err("replayed"));
                }
            }
        }
    }
}

#[test]
fn padding_of_ethernet_and_the_order_of_marks() {
    let [mut a, mut b] = pair(V4, SHORT, "dscp = 10\nkept_dscp = \"outer\"", false);
    let frame = v4(1, 0);
    let mut padded = frame.clone();
    padded.resize(60, 0xaa);
    let sealed = a.send(&padded).expect("sealed");
    assert_eq!(sealed[15], 10 << 2);
    let opened = b.send(&sealed).expect("opened");
    assert_eq!((opened.len(), opened[15]), (frame.len(), 10 << 2));
}

#[test]
fn what_is_too_large_is_told() {
    for (outer, front) in [(V4, 20), (V6, 40)] {
        let icmp = "mtu = 1400\nicmp_from = [\"10.1.0.254\", \"2001:db8:1::fe\"]";
        let [mut a, _] = pair(outer, SHORT, icmp, false);
        let room = 1400 - front - 32;
        let largest = room / 4 * 4 - 2;
        let sealed = a.send(&v4(1, largest - 28)).expect("the largest");
        assert!((1397..=1400).contains(&(sealed.len() - 14)));
        assert_eq!(a.send(&v4(1, largest - 27)), Err("too_large"));
        let frame = v6(1, largest - 47);
        let (fate, emitted) = a.round(&frame);
        assert_eq!((fate, emitted.len()), (Fate::Drop("too_large"), 1));
        let told = &emitted[0].bytes[18 + 40..];
        assert_eq!((told[0], &told[4..8]), (2, &(largest as u32).to_be_bytes()[..]));
    }
}

/// Errors about a flow go the way of the flow, whoever sends them; fragments are sealed like whole packets.
#[test]
fn errors_and_fragments_go_through() {
    let [mut a, mut b] = pair(V4, SHORT, "", false);
    let from_b = Builder::ethernet([2; 6], [4; 6]).ipv4([10, 2, 0, 1], [10, 1, 0, 1]).udp(9, 1).build();
    let error = icmp_error(&from_b, IpAddr::from([172, 16, 0, 1]), 11, 0, 0).expect("an error");
    let sealed = a.send(&error).expect("sealed");
    assert_eq!(b.send(&sealed).as_deref(), Ok(&error[..]));
    for piece in fragments(&v4(1, 3000), 1000, 7) {
        let sealed = a.send(&piece).expect("sealed");
        assert!(b.send(&sealed) == Ok(piece));
    }
    // Fragments of what was sealed cannot be opened.
    let mut sealed = a.send(&v4(1, 1300)).expect("sealed");
    sealed[20] &= !0x40;
    wire::ipv4::Packet::new_checked(&mut sealed[14..]).expect("IPv4").fill_checksum();
    for piece in fragments(&sealed, 576, 7) {
        assert_eq!(b.send(&piece), Err("fragment"));
    }
}

/// Which worker has a packet follows from where it goes: sent elsewhere, it would meet a window that does not know it.
#[test]
fn sealed_packets_to_another_address_of_ours_are_refused() {
    let more = "udp = { local = 4500, remote = 4501 }\nreplay_window = 64";
    let [mut a, _] = pair(V4, SHORT, more, false);
    let tunnel = |name: &str, local: &str, udp: &str, spi: u32| {
        format!(
            "[[tunnels]]\nname = \"{name}\"\nlocal = \"{local}\"\nremote = \"192.0.2.1\"\n{udp}\n\
             selectors = [{{ local = \"10.2.0.0/16\", remote = \"10.1.0.0/16\" }}]\n\
             inbound = [{{ spi = {spi}, keymat = \"{SHORT}\" }}]\n"
        )
    };
    let udp = "udp = { local = 4501, remote = 4500 }";
    let all = [
        tunnel("t", "192.0.2.2", udp, 0x1001),
        tunnel("u", "192.0.2.3", "", 999),
        tunnel("v", "192.0.2.2", "udp = { local = 4502, remote = 4500 }", 998),
    ];
    let mut b = Bench::new("vpn", &all.concat());
    let sealed = a.send(&v4(1, 40)).expect("sealed");
    for (address, port) in [(3, 4501), (2, 4502), (3, 4502)] {
        let mut elsewhere = sealed.clone();
        elsewhere[33] = address;
        elsewhere[36..38].copy_from_slice(&u16::to_be_bytes(port));
        wire::ipv4::Packet::new_checked(&mut elsewhere[14..]).expect("IPv4").fill_checksum();
        assert_eq!(b.send(&elsewhere), Err("wrong_address"), "to {address} {port}");
    }
    assert_eq!(b.send(&sealed), Ok(v4(1, 40)));
}

#[test]
fn no_loss_and_no_order_lets_a_packet_through_twice() {
    for (config, window) in [
        ("loss = 10\nduplicate = 20", 64),
        ("delay = \"20ms\"\njitter = \"20ms\"\nduplicate = 10\nloss = 5", 1024),
        ("delay = \"10ms\"\nreorder = 30\ngap = 3", 64),
        ("corrupt = 30\nduplicate = 20", 128),
    ] {
        for esn in [false, true] {
            let [mut a, mut b] = pair(V4, SHORT, &format!("replay_window = {window}"), esn);
            let mut net = Bench::new("netem", config);
            let mut came = BTreeSet::new();
            let (mut lost, mut refused) = (0, BTreeSet::new());
            for n in 0..600u16 {
                let sealed = a.send(&v4(n, 100)).expect("sealed");
                let mut arriving = Vec::new();
                let (fate, emitted) = net.round(&sealed);
                match fate {
                    Fate::Forward(bytes) => arriving.push(bytes),
                    Fate::Taken => {}
                    _ => lost += 1,
                }
                arriving.extend(emitted.into_iter().map(|emitted| emitted.bytes));
                let now = net.now;
                arriving.extend(net.stand().tick(now).emitted.into_iter().map(|emitted| emitted.bytes));
                for frame in arriving {
                    match b.send(&frame) {
                        Ok(opened) if opened.len() == 142 => {
                            let number = u16::from_be_bytes([opened[34], opened[35]]);
                            // Nothing protects the link's addresses.
                            assert!(opened[12..] == v4(number, 100)[12..], "{config}: {number}");
                            assert!(came.insert(number), "{config}: {number} came twice");
                        }
                        // A bit fell over in a header: it is not ESP any more.
                        Ok(other) => assert!(config.starts_with("corrupt") && other == frame, "{config}"),
                        Err(reason) => drop(refused.insert(reason)),
                    }
                }
            }
            assert!(came.len() + lost + 150 > 400, "{config}: {} of 600 came: {refused:?}", came.len());
            let duplicated = config.contains("duplicate");
            assert_eq!(refused.contains("replayed"), duplicated, "{config}: {refused:?}");
            assert_eq!(refused.contains("bad_icv"), config.starts_with("corrupt"), "{config}: {refused:?}");
        }
    }
}

fn export(bench: &mut Bench) -> Vec<Record> {
    bench.stand().export(&Selector::default()).expect("state")
}

fn import(bench: &mut Bench, records: &[Record]) {
    bench.stand().state().expect("state").import(records).expect("taken");
}

#[test]
fn numbers_end_and_none_is_given_twice() {
    for esn in [false, true] {
        let [mut a, mut b] = pair(V4, SHORT, "", esn);
        a.send(&v4(1, 1)).expect("sealed");
        let mut records = export(&mut a);
        assert_eq!(records.len(), 1);
        let last = if esn { u64::MAX } else { u32::MAX.into() };
        records[0].value["sequence"] = json!(last - 1);
        import(&mut a, &records);
        let sealed = a.send(&v4(2, 1)).expect("the last");
        if !esn {
            assert!(b.send(&sealed).is_ok());
        }
        let frame = v4(3, 1);
        for told in [1, 0] {
            let now = a.now;
            let input = [Input { bytes: &frame, ingress: 0 }];
            let round = a.stand().run(&input, Packing::Contiguous, now).expect("memory");
            assert_eq!((&round.fates[0], round.events.len()), (&Fate::Drop("sequence_overflow"), told));
        }
        // What is older than what is known changes nothing.
        records[0].value["sequence"] = json!(5);
        import(&mut a, &records);
        assert_eq!(a.send(&frame), Err("sequence_overflow"));
    }
}

/// The second half of a capture finds another instance, which knows the first half's numbers by its records alone.
#[test]
fn both_ends_move_half_way_through_real_captures() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/general/dev");
    let open = |local: &str, remote: &str, own: u32, other: u32| {
        Bench::new(
            "vpn",
            &format!(
                "[[tunnels]]\nname = \"t\"\nlocal = \"{local}\"\nremote = \"{remote}\"\nmtu = 9000\n\
                 selectors = [{{ local = \"0.0.0.0/0\", remote = \"0.0.0.0/0\" }}, \
                 {{ local = \"::/0\", remote = \"::/0\" }}]\n\
                 outbound = [{{ spi = {own}, keymat = \"{SHORT}\" }}]\n\
                 inbound = [{{ spi = {other}, keymat = \"{LONG}\" }}]\n"
            )
            .replace(LONG, SHORT),
        )
    };
    let mut moved = 0;
    for name in ["ndpi_netflix.pcap", "ndpi_instagram.pcap", "ndpi_http_ipv6.pcap"] {
        let path = Path::new(folder).join(name);
        if !path.exists() {
            println!("skipped: {} is not here", path.display());
            return;
        }
        let ends = || [open("192.0.2.1", "192.0.2.2", 300, 400), open("192.0.2.2", "192.0.2.1", 400, 300)];
        let ([mut a, mut b], [mut a2, mut b2]) = (ends(), ends());
        let mut reader = capture::Reader::open(&path).expect("a capture");
        let mut frames = Vec::new();
        while let (true, Some(frame)) = (frames.len() < 800, reader.next().expect("a frame")) {
            frames.push(frame.bytes.to_vec());
        }
        let (first, second) = frames.split_at(frames.len() / 2);
        let mut sent = Vec::new();
        for frame in first {
            let Ok(sealed) = a.send(frame) else { continue };
            b.send(&sealed).expect("opened");
            sent.push(sealed);
        }
        let records = (export(&mut a), export(&mut b));
        let text = serde_json::to_string(&records).expect("JSON");
        assert!(!text.contains(&SHORT[..16]) && !text.contains("keymat"), "{text}");
        import(&mut a2, &records.0);
        import(&mut b2, &records.1);
        assert_eq!((export(&mut a2), export(&mut b2)), records);
        // Nothing that came before comes again.
        for sealed in sent.iter().rev().take(100) {
            assert_eq!(b2.send(sealed), Err("replayed"));
        }
        for frame in second {
            let (Ok(sealed), Ok(again)) = (a.send(frame), a2.send(frame)) else { continue };
            assert_eq!(&sealed[34..42], &again[34..42], "the same numbers");
            assert_ne!(&sealed[42..50], &again[42..50], "never the same initialisation vector");
            assert!(b.send(&sealed) == b2.send(&again));
            moved += 1;
        }
        let strip = |mut records: Vec<Record>| {
            records.iter_mut().for_each(|record| record.value["last"] = json!(0));
            records
        };
        assert_eq!(strip(export(&mut b)), strip(export(&mut b2)));
    }
    assert!(moved > 500, "{moved}");
}

#[test]
fn associations_come_and_go_by_command() {
    let config = |near: u8, far: u8| {
        format!(
            "[[tunnels]]\nname = \"t\"\nlocal = \"192.0.2.{near}\"\nremote = \"192.0.2.{far}\"\n\
             selectors = [{{ local = \"10.{near}.0.0/16\", remote = \"10.{far}.0.0/16\" }}]\n"
        )
    };
    let (mut a, mut b) = (Bench::new("vpn", &config(1, 2)), Bench::new("vpn", &config(2, 1)));
    let frame = v4(1, 40);
    assert_eq!(a.send(&frame), Err("no_association"));
    let add = |bench: &mut Bench, direction: &str, spi: u32, keymat: &str| {
        let arguments =
            json!({ "tunnel": "t", "direction": direction, "spi": spi, "keymat": keymat, "esn": false });
        bench.stand().command("sa_add", &arguments).map_err(|error| error.to_string())
    };
    assert_eq!(add(&mut a, "outbound", 777, SHORT), Ok(json!({ "added": true })));
    assert_eq!(add(&mut a, "outbound", 777, SHORT), Ok(json!({ "added": false })));
    let sealed = a.send(&frame).expect("sealed");
    assert_eq!(b.send(&sealed), Err("unknown_spi"));
    assert_eq!(add(&mut b, "inbound", 777, SHORT), Ok(json!({ "added": true })));
    assert_eq!(b.send(&sealed).as_deref(), Ok(&frame[..]));

    // Other keys: what is on its way under the old ones still comes.
    let old = a.send(&frame).expect("sealed");
    add(&mut b, "inbound", 778, LONG).expect("added");
    add(&mut a, "outbound", 778, LONG).expect("added");
    let new = a.send(&frame).expect("sealed");
    assert_eq!(new[34..38], 778u32.to_be_bytes());
    assert!(b.send(&new).is_ok() && b.send(&old).is_ok());
    let remove = |bench: &mut Bench, arguments| bench.stand().command("sa_remove", &arguments);
    let gone = json!({ "removed": true });
    assert_eq!(remove(&mut b, json!({ "direction": "inbound", "spi": 777 })), Ok(gone.clone()));
    assert_eq!(b.send(&old), Err("unknown_spi"));
    let late = json!({ "direction": "outbound", "spi": 778, "tunnel": "t" });
    assert_eq!(remove(&mut a, late), Ok(gone));

    // An instance to which state came before the keys goes on from it.
    let mut c = Bench::new("vpn", &config(2, 1));
    let records = export(&mut b);
    assert_eq!(records.len(), 1);
    import(&mut c, &records);
    assert_eq!(export(&mut c), records);
    add(&mut c, "inbound", 778, LONG).expect("added");
    assert_eq!(c.send(&new), Err("replayed"));
    assert_eq!(export(&mut c), records);

    // What several have seen is joined while it waits.
    add(&mut a, "outbound", 779, LONG).expect("added");
    let three = [1, 2, 3].map(|_| a.send(&frame).expect("sealed"));
    let mut d = Bench::new("vpn", &config(2, 1));
    for seen in [&three[1..2], &three[2..], &three[..1]] {
        let mut one = Bench::new("vpn", &config(2, 1));
        add(&mut one, "inbound", 779, LONG).expect("added");
        seen.iter().for_each(|sealed| drop(one.send(sealed).expect("opened")));
        import(&mut d, &export(&mut one));
    }
    add(&mut d, "inbound", 779, LONG).expect("added");
    for sealed in &three {
        assert_eq!(d.send(sealed), Err("replayed"));
    }

    let listed = a.stand().command("sa_list", &json!({})).expect("a list");
    assert_eq!(listed["associations"][0]["packets"], 2);
    assert!(!listed.to_string().contains(&SHORT[..16]), "{listed}");
    for (direction, spi, keymat) in [
        ("inbound", 9, SHORT),
        ("sideways", 999, SHORT),
        ("inbound", 999, &SHORT[2..]),
        ("inbound", 999, "secret!!"),
        ("outbound", 777, LONG),
    ] {
        let refused = add(&mut a, direction, spi, keymat).expect_err("refused");
        assert!(!refused.contains(&keymat[..8]) && !refused.contains("0203"), "{refused}");
    }
    for odd in [json!({ "spi": SHORT }), json!(SHORT), json!([SHORT]), json!({ SHORT: 1 })] {
        let refused = a.stand().command("sa_add", &odd).expect_err("refused").to_string();
        assert!(!refused.contains(&SHORT[..8]), "{refused}");
    }
}

/// Captured ESP is of ciphers that are not here (3DES, AES-CBC): whatever key it is tried with, nothing comes out.
#[test]
fn captured_esp_under_other_keys_is_refused() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/protocols/dev");
    let mut refused = BTreeSet::new();
    for name in
        ["tcpdump_02-sunrise-sunset-esp.pcap", "tcpdump_08-sunrise-sunset-aes.pcap", "ndpi_esp.pcapng"]
    {
        let path = Path::new(folder).join(name);
        if !path.exists() {
            println!("skipped: {} is not here", path.display());
            return;
        }
        let mut reader = capture::Reader::open(&path).expect("a capture");
        while let Some(frame) = reader.next().expect("a frame") {
            let frame = frame.bytes.to_vec();
            let headers = wire::parse(&frame);
            let (Some(50), Some(at)) = (headers.protocol(), headers.l4_offset()) else { continue };
            let (remote, local) = headers.addresses(&frame).expect("IP");
            let spi = u32::from_be_bytes(frame[at..at + 4].try_into().expect("4 bytes"));
            let network = if local.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
            let config = |spi: u32| {
                format!(
                    "[[tunnels]]\nname = \"t\"\nlocal = \"{local}\"\nremote = \"{remote}\"\n\
                     selectors = [{{ local = \"{network}\", remote = \"{network}\" }}]\n\
                     inbound = [{{ spi = {spi}, keymat = \"{SHORT}\" }}]\n"
                )
            };
            let known = Bench::new("vpn", &config(spi)).send(&frame).expect_err("refused");
            let unknown = Bench::new("vpn", &config(spi ^ 1)).send(&frame).expect_err("refused");
            assert!(["bad_icv", "malformed"].contains(&known), "{name}: {known}");
            assert!(["unknown_spi", "malformed"].contains(&unknown), "{name}: {unknown}");
            refused.extend([known, unknown]);
        }
    }
    assert!(refused.contains("bad_icv") && refused.contains("unknown_spi"), "{refused:?}");
}
