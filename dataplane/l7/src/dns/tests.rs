//! DNS messages.

use crate::conversation::tests::{CLIENT, SERVER, Seen, parse_in_pieces};
use crate::{Buffer, Conversation, Event, Limits, Protocol};

/// A query for `www.Example.com`, type AAAA.
const QUERY: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07Example\x03com\x00\x00\x1c\x00\x01";
/// Its answer, with a pointer to the name.
const ANSWER: &[u8] =
    b"\x12\x34\x81\x83\x00\x01\x00\x01\x00\x00\x00\x00\x03www\x07Example\x03com\x00\x00\x1c\x00\x01\
    \xc0\x10\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x01\x02\x03\x04";

fn datagrams(said: &[(streams::Toward, &[u8])]) -> Seen {
    let (mut conversation, mut seen) = (Conversation::default(), Seen::default());
    for &(toward, bytes) in said {
        conversation.datagram(&Limits::default(), toward, bytes, &mut seen);
    }
    seen
}

#[test]
fn names_and_numbers_of_datagrams_are_seen() {
    let seen = datagrams(&[(SERVER, QUERY), (CLIENT, ANSWER)]);
    assert_eq!(seen.protocols, [(Protocol::Dns, false)]);
    assert_eq!(seen.all(Buffer::DnsQuery), ["www.Example.com"]);
    assert_eq!(seen.all(Buffer::DnsAnswer), ["Example.com"]);
    let [query, answer] = [0, 1].map(|id: usize| seen.transactions[id].dns().unwrap());
    assert_eq!((query.opcode, query.rcode, query.rrtype), (0, 0, Some(28)));
    assert_eq!((answer.rcode, answer.rrtype), (3, Some(28)));
    assert_eq!(seen.events, []);
}

#[test]
fn over_tcp_messages_have_their_length_before_them() {
    let framed = |message: &[u8]| [&(message.len() as u16).to_be_bytes(), message].concat();
    let (asked, answered) = ([framed(QUERY), framed(QUERY)].concat(), framed(ANSWER));
    for size in [1, 5, 1000] {
        let (mut conversation, mut seen) = (Conversation::new(Some(Protocol::Dns), false), Seen::default());
        for (toward, bytes) in [(SERVER, &asked), (CLIENT, &answered)] {
            for piece in bytes.chunks(size) {
                conversation.data(&Limits::default(), toward, piece, &mut seen);
            }
        }
        assert_eq!(seen.all(Buffer::DnsQuery), ["www.Example.com"; 2], "pieces of {size}");
        assert_eq!(seen.all(Buffer::DnsAnswer), ["Example.com"]);
    }
    assert_eq!(
        parse_in_pieces(&[(SERVER, &asked)], 1000, &Limits::default()),
        Seen::default(),
        "by content alone: no"
    );
}

#[test]
fn what_is_no_message_is_no_dns() {
    for datagram in [&b""[..], b"hello, this is not DNS at all", &QUERY[..20], &[0; 12]] {
        assert_eq!(datagrams(&[(SERVER, datagram)]), Seen::default());
    }
}

#[test]
fn names_that_go_in_circles_end() {
    let circle = b"\0\0\x01\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01";
    assert_eq!(datagrams(&[(SERVER, circle)]), Seen::default());
    let seen = datagrams(&[(SERVER, QUERY), (SERVER, circle)]);
    assert_eq!(seen.events, [(SERVER, Event::Malformed)]);
    assert_eq!(seen.transactions.len(), 2);
}
