use super::asset::FINDINGS;
use super::banner::Banners;
use super::names::{Links, Ports};
use super::os::Book;
use super::print::{Moment, Print, distance};
use super::*;
use engine::{ConfigError, Site};
use proptest::prelude::*;
use wire::Mac;
use wire::builder::Builder;
use wire::tcp::flags;

fn ethernet() -> Builder {
    Builder::ethernet([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
}

/// Options of a Linux SYN: MSS 1460, SACK permitted, time stamps, NOP, window scale 7.
const LINUX: [u8; 20] = [2, 4, 5, 180, 4, 2, 8, 10, 0, 5, 126, 64, 0, 0, 0, 0, 1, 3, 3, 7];

fn syn(options: &[u8]) -> Vec<u8> {
    let ip = ethernet().ipv4([10, 0, 0, 1], [10, 0, 0, 2]).ttl(61).dont_fragment().id(7);
    ip.tcp(40_000, 80).flags(flags::SYN).seq(1).window(5840).tcp_options(options).build()
}

fn print_of(frame: &[u8]) -> Print {
    Print::of(&wire::parse(frame), frame).expect("whole headers")
}

fn book(text: &str) -> Book {
    let (book, wrong) = Book::parse(text);
    assert!(wrong.is_empty(), "{wrong:?}");
    book
}

#[test]
fn a_fingerprint_is_written_as_p0f_writes_it() {
    let print = print_of(&syn(&LINUX));
    assert_eq!(print.to_string(), "S4:61:1:60:M1460,S,T,N,W7:.");
    assert_eq!((print.mtu(), print.uptime_hours()), (Some(1500), Some(1)));
    assert_eq!(distance(61), 3);
}

#[test]
fn quirks_are_told_from_each_other() {
    let tcp = || ethernet().ipv4([1; 4], [2; 4]).id(1).tcp(1, 2);
    for (frame, quirks) in [
        (tcp().flags(flags::SYN).build(), "."),
        (tcp().flags(flags::SYN).ack(5).build(), "A"),
        (tcp().flags(flags::SYN | flags::FIN).payload(b"x").build(), "FD"),
        (tcp().flags(flags::RST | flags::ACK).seq(0).ack(9).build(), "K0A"),
        (tcp().flags(flags::FIN | flags::ACK).ack(9).build(), "AFN"),
        (tcp().flags(flags::SYN).tcp_options(&[0, 0, 0, 0]).build(), "P"),
        (tcp().flags(flags::SYN).tcp_options(&[1, 1, 1, 9]).build(), "!"),
        (ethernet().ipv4([1; 4], [2; 4]).id(0).tcp(1, 2).flags(flags::SYN).build(), "Z"),
        (ethernet().ipv6(1, 2).flow_label(5).tcp(1, 2).flags(flags::SYN).build(), "L"),
    ] {
        let written = print_of(&frame).to_string();
        assert_eq!(written.rsplit(':').next(), Some(quirks), "{written}");
    }
}

#[test]
fn the_first_signature_that_fits_is_taken() {
    let print = print_of(&syn(&LINUX));
    for (line, fits) in [
        ("S4:64:1:60:M*,S,T,N,W7:.:Linux:2.6", true),
        ("5840:64:1:60:M1460,S,T,N,W*:.:Linux:2.6", true),
        ("%8:64:1:60:M%20,S,T,N,W%7:.:Linux:2.6", true),
        ("*:100:1:60:M*,S,T,N,W7:.:-Linux:2.6", true),
        ("S4:60:1:60:M*,S,T,N,W7:.:Linux:too near", false),
        ("S4:255:1:60:M*,S,T,N,W7:.:Linux:far", true),
        ("S5:64:1:60:M*,S,T,N,W7:.:Linux:window", false),
        ("T4:64:1:60:M*,S,T,N,W7:.:Linux:window", false),
        ("S4:64:0:60:M*,S,T,N,W7:.:Linux:DF", false),
        ("S4:64:1:60:M*,S,T0,N,W7:.:Linux:stamp", false),
        ("S4:64:1:60:M*,S,N,T,W7:.:Linux:order", false),
        ("S4:64:1:60:M*,S,T,N,W7:Z:Linux:quirk", false),
        ("S4:64:1:52:M*,S,T,N,W7:.:Linux:size", false),
    ] {
        assert_eq!(book(line).find(&print).is_some(), fits, "{line}");
    }
    // What is far is taken for want of a nearer one, and a flag DF that was cleared on the way is seen over.
    let far = book("S4:255:1:60:M*,S,T,N,W7:.:Far:\nS4:64:1:60:M*,S,T,N,W7:.:Near:\n");
    assert_eq!(far.find(&print).expect("both fit").says().0, "Near");
    let mut cleared = print.clone();
    cleared.dont_fragment = false;
    assert_eq!(far.find(&cleared).expect("both fit").says().0, "Near");
    let two = book("# comment\n\nS4:64:1:60:M*,S,T,N,W7:.:First:a:b\n*:64:1:60:M*,S,T,N,W*:.:Second:c\n");
    let found = two.find(&print).expect("both fit");
    assert_eq!((&*found.os, &*found.details), ("First", "a:b"));
}

#[test]
fn a_line_that_is_no_signature_is_told_by_its_number() {
    let (book, wrong) = Book::parse(
        "S4:64:1:60:M*:.:Linux:2.6\nS4:64:2:60:M*:.:Linux:2.6\nS4:64\n1:1:1:x:.:.:a:b\n1:1:1:9:Q:.:a:b",
    );
    assert_eq!(book.len(), 1);
    assert_eq!(wrong.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4, 5]);
}

fn said(file: &str, payload: &[u8]) -> Option<(String, String)> {
    let (banners, wrong) = Banners::parse(file);
    assert!(wrong.is_empty(), "{wrong:?}");
    let banners = banners.expect("signatures");
    let mut scratch = banners.scratch();
    // The same again is no different.
    banners.find(&mut scratch, payload);
    banners.find(&mut scratch, payload).map(|said| (said.service, said.what))
}

#[test]
fn the_first_signature_of_the_file_speaks_wherever_it_matches() {
    let file =
        "web,v/Late/$1//,late/(\\d+)\nweb,v/Early///,early\nssh,v/Open/$2/v$1/,^SSH-([.\\d]+)-(\\S+)\n";
    let of = |service: &str, what: &str| Some((service.to_owned(), what.to_owned()));
    assert_eq!(said(file, b"early late/12"), of("web", "Late 12"));
    assert_eq!(said(file, b"early"), of("web", "Early"));
    assert_eq!(said(file, b"SSH-2.0-Good_1\xff\r\n"), of("ssh", "Open Good_1. (v2.0)"));
    assert_eq!(said(file, b"nothing"), None);
    assert_eq!(said("bin,v/B///,^\\x16\\0..\\xff\n", b"\x16\x00\x80\x81\xff"), of("bin", "B"));
}

#[test]
fn patterns_that_could_run_for_ever_are_refused_by_line() {
    let (banners, wrong) = Banners::parse(
        "a,v/A///,(a)\\1\nb,v/B///,a(?=b)\nc,v/C\nd,v/D///,(\ne,v/E///,x{1000}{1000}\nf,v/F///,f",
    );
    assert_eq!(banners.map_or(0, |banners| banners.len()), 1);
    assert_eq!(wrong.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(wrong[0].1.contains("backreferences"), "{}", wrong[0].1);
}

#[test]
fn names_come_from_files() {
    let (ports, wrong) = Ports::parse("www 80/tcp http # web\nsctp 9/sctp\nwww2 80/tcp\nbad\nworse x/tcp\n");
    assert_eq!((ports.name(6, 80), ports.name(17, 80)), (Some("www"), None));
    assert_eq!(wrong.len(), 2);
    let (links, wrong) = Links::parse("1500, \"ethernet\"\n#\nx\n");
    assert_eq!((links.name(1500), links.name(1), wrong.len()), ("ethernet".into(), "unknown-1".into(), 1));
}

fn assets(capacity: usize) -> Assets {
    let config = AssetsConfig { capacity, ..AssetsConfig::default() };
    let mut signatures = Signatures::read(&config, &Site::default()).expect("no files");
    signatures.library.put(Moment::Syn, book("S4:64:1:60:M*,S,T,N,W7:.:Linux:2.6\n"));
    signatures.banners[0] = Banners::parse("http,v/$1///,^Server: (\\w+)\n").0;
    signatures.ports = Ports::parse("www 80/tcp\n").0;
    Assets::new(&Arc::new(signatures), 1)
}

fn see(assets: &mut Assets, frame: &[u8], from: [u8; 4], is_client: bool, second: u64) {
    let headers = wire::parse(frame);
    let sight = Sight {
        headers: &headers,
        frame,
        now: Time::from_nanos(second * 1_000_000_000),
        sender: from.into(),
        ports: headers.ports(frame).expect("ports"),
        proto: 6,
        is_client,
        is_early: true,
    };
    assets.see(&sight, std::iter::empty());
}

fn all(assets: &Assets) -> Vec<(Host, Asset)> {
    let mut all = Vec::new();
    assets.page(0, usize::MAX, |host, asset| {
        all.push((host, asset.clone()));
        false
    });
    all
}

fn answer(payload: &[u8]) -> Vec<u8> {
    ethernet().ipv4([10, 0, 0, 2], [10, 0, 0, 1]).tcp(80, 40_000).flags(flags::ACK).payload(payload).build()
}

#[test]
fn a_guess_gives_way_to_what_a_service_says_and_stays_said() {
    let mut assets = assets(8);
    for (second, payload) in [(1, &b"hello"[..]), (2, b"Server: one"), (3, b"Server: two"), (4, b"hello")] {
        see(&mut assets, &answer(payload), [10, 0, 0, 2], false, second);
    }
    let (_, asset) = &all(&assets)[0];
    let said: Vec<(&str, &str)> =
        asset.findings.iter().map(|finding| (finding.name.as_str(), finding.what.as_str())).collect();
    assert_eq!(said, [("http", "one")]);
    assert_eq!((asset.first, asset.last), (Time::from_nanos(1_000_000_000), Time::from_nanos(4_000_000_000)));
}

#[test]
fn a_host_survives_its_record_and_workers_are_joined() {
    let [mut one, mut other] = [assets(8), assets(8)];
    see(&mut one, &syn(&LINUX), [10, 0, 0, 1], true, 5);
    see(&mut other, &syn(&LINUX), [10, 0, 0, 1], true, 3);
    see(&mut other, &answer(b"Server: one"), [10, 0, 0, 1], false, 4);
    let arp = ethernet()
        .arp(2, (Mac([2, 0, 0, 0, 0, 9]), [10, 0, 0, 1].into()), (Mac([0; 6]), [10, 0, 0, 2].into()))
        .build();
    one.see_arp(&wire::parse(&arp), &arp, Time::from_nanos(6));
    let records: Vec<_> =
        all(&one).into_iter().chain(all(&other)).map(|(host, asset)| record(host, &asset)).collect();
    let parsed = records.iter().map(|record| parse(record).expect("a record"));
    let joined = unite(parsed);
    let [(_, asset)] = &joined[..] else { panic!("{joined:?}") };
    assert_eq!(asset.mac, Some(Mac([2, 0, 0, 0, 0, 9])));
    assert_eq!(asset.findings.len(), 2);
    let system = asset.findings.iter().find(|finding| finding.how == How::Syn).expect("a system");
    assert_eq!((system.first.as_nanos(), system.last.as_nanos()), (3_000_000_000, 5_000_000_000));
    let host = joined[0].0;
    assert_eq!(
        log::line(host, system),
        "10.0.0.1,0,40000,6,SYN,[S4:61:1:60:M1460,S,T,N,W7:.:Linux:2.6:link:unknown-1500:uptime:1hrs],3,3"
    );
}

#[test]
fn neither_hosts_nor_findings_grow_without_bound() {
    let mut assets = assets(16);
    for n in 0..200u8 {
        see(&mut assets, &syn(&LINUX), [10, 0, 1, n], true, n.into());
    }
    assert_eq!((assets.len(), assets.tally.evicted), (16, 184));
    for port in 1..200u16 {
        let frame =
            ethernet().ipv4([9; 4], [8; 4]).tcp(port, 9).flags(flags::ACK).payload(b"Server: x").build();
        see(&mut assets, &frame, [9; 4], false, 500);
    }
    let (_, asset) =
        all(&assets).into_iter().find(|(host, _)| host.address == IpAddr::from([9; 4])).expect("known");
    assert_eq!((asset.findings.len(), assets.tally.overfull), (FINDINGS, 199 - FINDINGS as u64));
}

#[test]
fn payloads_beyond_what_there_is_time_for_are_counted() {
    let mut allowance = Allowance { left: AT_ONCE, since: Time::ZERO };
    let taken = (0..10_000).filter(|_| allowance.take(1000, Time::from_nanos(1))).count() as u64;
    assert_eq!(taken, AT_ONCE / 1000);
    let second = Time::from_nanos(100_000_000);
    let more = (0..10_000).filter(|_| allowance.take(1000, second)).count() as u64;
    assert_eq!(more, (RATE / 10 + AT_ONCE % 1000) / 1000);
}

#[test]
fn a_flood_of_new_hosts_is_noted_in_part() {
    let mut assets = assets(16);
    for n in 0..10_000u32 {
        let [_, _, high, low] = n.to_be_bytes();
        see(&mut assets, &syn(&LINUX), [10, 0, high, low], true, 1);
    }
    let noted = AT_ONCE / NOTING as u64;
    assert_eq!((assets.tally.found, assets.tally.unread), (noted, 10_000 - noted));
}

#[test]
fn a_file_with_nothing_in_it_is_refused_and_strange_lines_are_remarked() {
    let folder = std::env::temp_dir().join(format!("braid-signatures-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let site = Site { folder: folder.clone(), ..Site::default() };
    std::fs::write(folder.join("bad"), "nonsense\n").expect("written");
    std::fs::write(folder.join("mixed"), "a,v/A///,a\nnonsense\n").expect("written");
    let read = |servers: &str| {
        let config = AssetsConfig { servers: Some(servers.to_owned()), ..AssetsConfig::default() };
        Signatures::read(&config, &site).map(|signatures| signatures.remarks)
    };
    let message = |error: ConfigError| error.message;
    assert!(read("absent").map_err(message).is_err_and(|message| message.contains("cannot be read")));
    assert!(read("bad").map_err(message).is_err_and(|message| message.contains("line 1")));
    let remarks = read("mixed").expect("one signature");
    assert!(remarks.len() == 1 && remarks[0].message.contains("line 2"), "{remarks:?}");
    std::fs::remove_dir_all(folder).expect("removed");
}

proptest! {
    #[test]
    fn no_file_and_no_packet_makes_it_panic(
        text in "(\\PC{0,40}|[ST*%0-9:MNWTE,.?]{0,40}|[a-z],v/[$0-9/a]{0,9},[a-z.*+()\\[\\]\\\\0-9x]{0,20})(\n.{0,30}){0,3}",
        frame in prop::collection::vec(any::<u8>(), 54..200),
    ) {
        let (book, _) = Book::parse(&text);
        let mut frame = frame;
        frame[12..15].copy_from_slice(&[8, 0, 0x45]);
        frame[23] = 6;
        if let Some(print) = Print::of(&wire::parse(&frame), &frame) {
            book.find(&print);
            prop_assert!(print.to_string().len() < 200);
        }
        if let (Some(banners), _) = Banners::parse(&text) {
            banners.find(&mut banners.scratch(), &frame);
        }
        Ports::parse(&text);
        Links::parse(&text);
    }
}
