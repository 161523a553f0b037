//! TLS handshakes, made here byte by byte.

use crate::conversation::tests::{CLIENT, SERVER, parse, parse_in_pieces, same_in_pieces};
use crate::{Buffer, Event, Limits};

/// Bytes with their length before them.
fn vector(width: usize, bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u64).to_be_bytes()[8 - width..], bytes].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &vector(3, body)].concat()
}

fn records(bytes: &[u8], size: usize) -> Vec<u8> {
    bytes.chunks(size).flat_map(|part| [&[22, 3, 1][..], &vector(2, part)].concat()).collect()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(2, data)].concat()
}

fn client_hello(name: &[u8], versions: &[u8]) -> Vec<u8> {
    let names = vector(2, &[&[0][..], &vector(2, name)].concat());
    let extensions =
        [extension(0x0a0a, b""), extension(0, &names), extension(43, &vector(1, versions))].concat();
    let head =
        [&[3, 3][..], &[7; 32], &vector(1, b"session"), &vector(2, &[0x13, 1]), &vector(1, &[0])].concat();
    message(1, &[head, vector(2, &extensions)].concat())
}

fn server_hello(extensions: &[u8]) -> Vec<u8> {
    message(2, &[&[3, 3][..], &[7; 32], &vector(1, b""), &[0x13, 1, 0], &vector(2, extensions)].concat())
}

fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    match contents.len() {
        len @ 0..128 => [&[tag, len as u8], contents].concat(),
        len => [&[tag, 0x82, (len >> 8) as u8, len as u8], contents].concat(),
    }
}

fn name(attributes: &[(&[u8], u8, &[u8])]) -> Vec<u8> {
    let sets = attributes
        .iter()
        .flat_map(|&(id, tag, value)| der(0x31, &der(0x30, &[der(6, id), der(tag, value)].concat())));
    der(0x30, &sets.collect::<Vec<_>>())
}

fn certificate() -> Vec<u8> {
    let issuer = name(&[(&[0x55, 4, 6], 0x13, b"DE"), (&[0x55, 4, 10], 0x0c, b"Braid, Inc.")]);
    let subject = name(&[(&[0x55, 4, 3], 0x1e, b"\0w\0.\x20\xac"), (&[1, 2, 3], 0x0c, b"x")]);
    let fields =
        [der(0xa0, &der(2, &[2])), der(2, &[0x0a, 0xff]), der(0x30, b""), issuer, der(0x30, b""), subject];
    der(0x30, &der(0x30, &fields.concat()))
}

#[test]
fn a_client_hello_says_name_and_version() {
    let hello = client_hello(b"WWW.example.org", &[0x7a, 0x7a, 3, 4, 3, 3]);
    for size in [1000, 11] {
        let seen = same_in_pieces(&[(SERVER, &records(&hello, size))]);
        assert_eq!(seen.text(0, Buffer::TlsSni).as_deref(), Some("www.example.org"));
        assert_eq!(seen.text(0, Buffer::TlsVersion).as_deref(), Some("1.3"));
        assert_eq!(seen.events, []);
    }
}

#[test]
fn a_server_says_version_and_certificate() {
    let list = vector(3, &[vector(3, &certificate()), vector(3, b"another")].concat());
    let flight = [server_hello(b""), message(11, &list), message(14, b"")].concat();
    let hello = client_hello(b"h", &[3, 4]);
    let seen = same_in_pieces(&[(SERVER, &records(&hello, 1000)), (CLIENT, &records(&flight, 37))]);
    let expected = [
        (Buffer::TlsVersion, "1.2"),
        (Buffer::TlsCertIssuer, "C=DE, O=Braid, Inc."),
        (Buffer::TlsCertSubject, "CN=w.?, other=x"),
        (Buffer::TlsCertSerial, "0A:FF"),
    ];
    for (buffer, text) in expected {
        assert_eq!(seen.text(0, buffer).as_deref(), Some(text), "{}", buffer.name());
    }
    assert_eq!(seen.transactions.len(), 1);
    assert_eq!(seen.events, []);
}

#[test]
fn a_server_may_choose_1_3_and_hide_the_rest() {
    let flight =
        [records(&server_hello(&extension(43, &[3, 4])), 1000), b"\x17\x03\x03\x00\x05xxxxx".to_vec()]
            .concat();
    let seen = same_in_pieces(&[(CLIENT, &flight)]);
    assert_eq!(seen.text(0, Buffer::TlsVersion).as_deref(), Some("1.3"));
    assert_eq!((seen.text(0, Buffer::TlsCertSubject), seen.events), (None, vec![]));
}

#[test]
fn malformed_and_endless_handshakes_end_the_direction() {
    let mut hello = client_hello(b"h", &[3, 4]);
    hello[38] = 200;
    assert_eq!(parse(&[(SERVER, &records(&hello, 1000))]).events, [(SERVER, Event::Malformed)]);
    let endless = records(&message(1, &[0; 5000]), 500);
    let limits = Limits { message: 1000, ..Limits::default() };
    assert_eq!(parse_in_pieces(&[(SERVER, &endless)], 100, &limits).events, [(SERVER, Event::TooLong)]);
    let list = vector(3, &vector(3, b"\x30\x84\xff\xff\xff\xff"));
    let seen = parse(&[(CLIENT, &records(&[server_hello(b""), message(11, &list)].concat(), 1000))]);
    assert_eq!(seen.events, [(CLIENT, Event::Malformed)]);
}
