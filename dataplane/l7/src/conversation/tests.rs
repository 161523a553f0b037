//! What every protocol has in common; the collector that the protocols' tests use too.

use super::*;
use crate::{Buffer, Event, Progress, Transaction};

/// What came out: each transaction as it was at last, and how it got there.
#[derive(Clone, Default, PartialEq, Debug)]
pub(crate) struct Seen {
    pub transactions: Vec<Transaction>,
    pub steps: Vec<(Toward, u64, Progress)>,
    pub events: Vec<(Toward, Event)>,
    pub protocols: Vec<(Protocol, bool)>,
}

impl Sink for Seen {
    fn protocol(&mut self, protocol: Protocol, turned: bool) {
        self.protocols.push((protocol, turned));
    }

    fn transaction(&mut self, toward: Toward, transaction: &Transaction) {
        self.steps.push((toward, transaction.id(), transaction.progress(toward)));
        match self.transactions.iter_mut().find(|known| known.id() == transaction.id()) {
            Some(known) => *known = transaction.clone(),
            None => self.transactions.push(transaction.clone()),
        }
    }

    fn event(&mut self, toward: Toward, event: Event) {
        self.events.push((toward, event));
    }
}

impl Seen {
    /// A buffer of the transaction of this number, as text.
    pub fn text(&self, id: usize, buffer: Buffer) -> Option<String> {
        self.transactions.get(id)?.get(buffer).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// All parts of a name of all transactions.
    pub fn all(&self, buffer: Buffer) -> Vec<String> {
        let parts = self.transactions.iter().flat_map(|one| one.all(buffer).collect::<Vec<_>>());
        parts.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }
}

pub(crate) const SERVER: Toward = Toward::Server;
pub(crate) const CLIENT: Toward = Toward::Client;

/// What comes of these bytes, given whole, then both directions' ends.
pub(crate) fn parse(said: &[(Toward, &[u8])]) -> Seen {
    parse_in_pieces(said, usize::MAX, &Limits::default())
}

/// The same in pieces of `size` bytes, exported and imported after each.
pub(crate) fn parse_in_pieces(said: &[(Toward, &[u8])], size: usize, limits: &Limits) -> Seen {
    let (mut conversation, mut seen) = (Conversation::default(), Seen::default());
    for &(toward, bytes) in said {
        for piece in bytes.chunks(size) {
            conversation.data(limits, toward, piece, &mut seen);
            let most = 8 * (limits.head + limits.body) * limits.transactions + limits.message * 4 + 4096;
            assert!(conversation.held() <= most, "{} bytes held", conversation.held());
        }
        let record = serde_json::to_string(&conversation).unwrap();
        conversation = serde_json::from_str(&record).unwrap();
    }
    conversation.end(limits, SERVER, &mut seen);
    conversation.end(limits, CLIENT, &mut seen);
    seen
}

/// However the bytes are cut, the same transactions come of them.
pub(crate) fn same_in_pieces(said: &[(Toward, &[u8])]) -> Seen {
    let whole = parse(said);
    for size in [1, 2, 3, 7, 50] {
        assert_eq!(parse_in_pieces(said, size, &Limits::default()), whole, "pieces of {size}");
    }
    whole
}

#[test]
fn the_protocol_is_told_by_its_bytes() {
    let told = |toward, bytes: &[u8]| {
        let (mut conversation, mut seen) = (Conversation::default(), Seen::default());
        conversation.data(&Limits::default(), toward, bytes, &mut seen);
        assert_eq!(conversation.protocol(), seen.protocols.first().map(|&(protocol, _)| protocol));
        conversation.protocol()
    };
    assert_eq!(told(SERVER, b"GET / HTTP/1.1\r\n"), Some(Protocol::Http));
    assert_eq!(told(SERVER, b"\r\nPOST "), Some(Protocol::Http));
    assert_eq!(told(SERVER, b"GETTING"), None);
    assert_eq!(told(CLIENT, b"HTTP/1.0 200 OK\r\n"), Some(Protocol::Http));
    assert_eq!(told(SERVER, b"HTTP/1.0 200 OK\r\n"), None);
    assert_eq!(told(SERVER, b"\x16\x03\x01\x02\x00\x01"), Some(Protocol::Tls));
    assert_eq!(told(CLIENT, b"\x16\x03\x03\x00\x7a\x02"), Some(Protocol::Tls));
    assert_eq!(told(SERVER, b"SSH-2.0-OpenSSH"), None);
    assert_eq!(told(CLIENT, b"220 mail ESMTP"), None);
}

#[test]
fn a_flow_picked_up_in_its_middle_is_turned_by_what_it_says() {
    let (limits, mut seen) = (Limits::default(), Seen::default());
    let mut conversation = Conversation::new(None, true);
    conversation.data(&limits, SERVER, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", &mut seen);
    assert_eq!(seen.protocols, [(Protocol::Http, true)]);
    assert_eq!(seen.text(0, Buffer::HttpResponseBody).as_deref(), Some("ok"));
    assert!(seen.steps.iter().all(|step| step.0 == CLIENT));
}

#[test]
fn what_is_of_no_protocol_holds_nothing() {
    let (limits, mut seen) = (Limits::default(), Seen::default());
    let mut conversation = Conversation::default();
    conversation.data(&limits, SERVER, b"SSH-2.0-a\r\n", &mut seen);
    assert!(!conversation.is_other());
    conversation.data(&limits, CLIENT, b"SSH-2.0-b\r\n", &mut seen);
    assert!(conversation.is_other());
    assert_eq!((conversation.held(), seen), (0, Seen::default()));
}

#[test]
fn names_of_buffers_are_suricatas() {
    for &buffer in Buffer::ALL {
        assert_eq!(Buffer::from_name(buffer.name()), Some(buffer));
    }
    assert_eq!(Buffer::from_name("uricontent"), None);
    assert_eq!(Buffer::from_name("http_client_body"), Some(Buffer::HttpRequestBody));
    assert_eq!(
        Buffer::pair_from_name("http_header"),
        Some([Buffer::HttpRequestHeader, Buffer::HttpResponseHeader])
    );
    assert_eq!(Buffer::pair_from_name("http.uri"), None);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 })
    })]

    #[test]
    fn any_bytes_are_bounded_and_cut_alike(
        beginning in proptest::sample::select(vec![
            &b"GET / HTTP/1.1\r\n"[..], b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"\x16\x03\x01\0\x20\x01\0", b"",
        ]),
        rest in proptest::collection::vec(proptest::sample::select(b"a:/%. \r\n0123;\x00\x01\x16\x03\xc0".to_vec()), 0..200),
        answer in proptest::collection::vec(proptest::sample::select(b"HTTP/1.1 200\r\n:a\x16\x03\x02\x00".to_vec()), 0..100),
        size in 1usize..9,
    ) {
        let limits = Limits { head: 100, body: 40, transactions: 3, message: 60 };
        let asked = [beginning, &rest].concat();
        let said = [(SERVER, &asked[..]), (CLIENT, &answer[..])];
        let whole = parse_in_pieces(&said, usize::MAX, &limits);
        let pieces = parse_in_pieces(&said, size, &limits);
        proptest::prop_assert_eq!(whole.transactions, pieces.transactions);
    }
}
