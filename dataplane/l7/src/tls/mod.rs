//! TLS hellos and certificates in the clear (RFC 8446, RFC 5246, RFC 6066).

mod der;
#[cfg(test)]
mod tests;

use crate::transaction::index;
use crate::{Buffer, Event, Limits, Progress, Protocol, Sink, Transaction};
use der::Certificate;
use serde::{Deserialize, Serialize};
use streams::{Toward, hex};

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const SERVER_HELLO_DONE: u8 = 14;
const SERVER_NAME: u16 = 0;
const SUPPORTED_VERSIONS: u16 = 43;
const RECORD_HEADER: usize = 5;
const MESSAGE_HEADER: usize = 4;
/// Longest record (RFC 8446 section 5.2, with what older versions add).
const RECORD: usize = (1 << 14) + 2048;

/// Whether bytes begin like a handshake. `None`: more are needed to say.
pub(crate) fn detect(bytes: &[u8]) -> Option<bool> {
    let fits = |at: usize, right: fn(u8) -> bool| bytes.get(at).is_none_or(|&byte| right(byte));
    let fits = fits(0, |kind| kind == HANDSHAKE)
        && fits(1, |major| major == 3)
        && fits(2, |minor| minor <= 4)
        && fits(5, |message| message == CLIENT_HELLO || message == SERVER_HELLO);
    if !fits { Some(false) } else { (bytes.len() > 5).then_some(true) }
}

/// One direction.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Side {
    /// Nothing more of it is in the clear, or wanted.
    over: bool,
    /// The part of a record's header that came.
    #[serde(with = "hex")]
    header: Vec<u8>,
    /// Bytes of the record that are missing.
    missing: u16,
    /// The part of handshake messages that came.
    #[serde(with = "hex")]
    messages: Vec<u8>,
}

/// A TLS connection.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    sides: [Side; 2],
    transaction: Transaction,
}

impl Default for Tls {
    fn default() -> Tls {
        Tls { sides: Default::default(), transaction: Transaction::new(Protocol::Tls, 0) }
    }
}

/// Why a direction is not read on.
enum Stop {
    /// All that is wanted was seen.
    Done,
    Malformed,
}

impl Tls {
    pub fn data<S: Sink>(&mut self, limits: &Limits, toward: Toward, mut bytes: &[u8], sink: &mut S) {
        while !bytes.is_empty() {
            let side = &mut self.sides[index(toward)];
            if side.over {
                return;
            }
            if side.missing == 0 {
                let (now, rest) = bytes.split_at(bytes.len().min(RECORD_HEADER - side.header.len().min(4)));
                side.header.extend_from_slice(now);
                bytes = rest;
                if let Some(&[kind, major, _, high, low]) = side.header.first_chunk() {
                    side.header.clear();
                    side.missing = u16::from_be_bytes([high, low]);
                    if kind != HANDSHAKE {
                        self.over(toward, sink);
                    } else if major != 3 || usize::from(side.missing) > RECORD {
                        self.give_up(toward, Event::Malformed, sink);
                    }
                }
                continue;
            }
            let (now, rest) = bytes.split_at(bytes.len().min(usize::from(side.missing)));
            (bytes, side.missing) = (rest, side.missing - now.len() as u16);
            if side.messages.len() + now.len() > limits.message {
                return self.give_up(toward, Event::TooLong, sink);
            }
            side.messages.extend_from_slice(now);
            match self.messages(toward, sink) {
                Ok(()) => {}
                Err(Stop::Done) => self.over(toward, sink),
                Err(Stop::Malformed) => self.give_up(toward, Event::Malformed, sink),
            }
        }
    }

    /// A direction's end, or bytes of it that never came.
    pub fn end<S: Sink>(&mut self, toward: Toward, sink: &mut S) {
        if !self.sides[index(toward)].over {
            self.over(toward, sink);
        }
    }

    /// Bytes that never came.
    pub fn gap<S: Sink>(&mut self, toward: Toward, sink: &mut S) {
        if !self.sides[index(toward)].over {
            self.give_up(toward, Event::Gap, sink);
        }
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        let sides: usize =
            self.sides.iter().map(|side| side.header.capacity() + side.messages.capacity()).sum();
        sides + self.transaction.held()
    }

    fn over<S: Sink>(&mut self, toward: Toward, sink: &mut S) {
        self.sides[index(toward)] = Side { over: true, ..Side::default() };
        if self.transaction.progress(toward) != Progress::Nothing {
            self.transaction.set_progress(toward, Progress::Complete);
            sink.transaction(toward, &self.transaction);
        }
    }

    fn give_up<S: Sink>(&mut self, toward: Toward, event: Event, sink: &mut S) {
        sink.event(toward, event);
        self.over(toward, sink);
    }

    /// Looks at the handshake messages that are whole.
    fn messages<S: Sink>(&mut self, toward: Toward, sink: &mut S) -> Result<(), Stop> {
        let messages = std::mem::take(&mut self.sides[index(toward)].messages);
        let mut rest = &messages[..];
        let mut result = Ok(());
        while let Some((&[kind, a, b, c], after)) = rest.split_first_chunk::<MESSAGE_HEADER>()
            && let Some((body, after)) = after.split_at_checked(u32::from_be_bytes([0, a, b, c]) as usize)
            && result.is_ok()
        {
            rest = after;
            result = self.message(toward, kind, body, sink);
        }
        let seen = messages.len() - rest.len();
        let side = &mut self.sides[index(toward)];
        side.messages = messages;
        side.messages.drain(..seen);
        result
    }

    fn message<S: Sink>(&mut self, toward: Toward, kind: u8, body: &[u8], sink: &mut S) -> Result<(), Stop> {
        let transaction = &mut self.transaction;
        match (kind, toward) {
            (CLIENT_HELLO, Toward::Server) => {
                let hello = Hello::client(body).ok_or(Stop::Malformed)?;
                if let Some(name) = hello.server_name {
                    transaction.add_with(Buffer::TlsSni, |text| {
                        text.extend(name.iter().map(u8::to_ascii_lowercase))
                    });
                }
                set_version(transaction, hello.version);
            }
            (SERVER_HELLO, Toward::Client) => {
                let hello = Hello::server(body).ok_or(Stop::Malformed)?;
                set_version(transaction, hello.version);
            }
            (CERTIFICATE, Toward::Client) => {
                let certificate =
                    first_certificate(body).and_then(Certificate::new).ok_or(Stop::Malformed)?;
                transaction.replace(Buffer::TlsCertSubject, &certificate.subject());
                transaction.replace(Buffer::TlsCertIssuer, &certificate.issuer());
                transaction.replace(Buffer::TlsCertSerial, certificate.serial().as_bytes());
            }
            (SERVER_HELLO_DONE, Toward::Client) => return Err(Stop::Done),
            _ => return Ok(()),
        }
        transaction.set_progress(toward, Progress::Head);
        sink.transaction(toward, transaction);
        let last = kind != SERVER_HELLO;
        if last { Err(Stop::Done) } else { Ok(()) }
    }
}

/// What rules look at in a hello.
struct Hello<'a> {
    version: u16,
    server_name: Option<&'a [u8]>,
}

/// Takes as many bytes off as a length of `width` bytes before them says.
fn vector<'a>(bytes: &mut &'a [u8], width: usize) -> Option<&'a [u8]> {
    let (len, rest) = bytes.split_at_checked(width)?;
    let len = len.iter().fold(0, |len, &digit| len << 8 | usize::from(digit));
    let (vector, rest) = rest.split_at_checked(len)?;
    *bytes = rest;
    Some(vector)
}

/// Takes a number of two bytes off.
fn number(bytes: &mut &[u8]) -> Option<u16> {
    let (&number, rest) = bytes.split_first_chunk::<2>()?;
    *bytes = rest;
    Some(u16::from_be_bytes(number))
}

impl<'a> Hello<'a> {
    /// RFC 8446 section 4.1.2.
    fn client(mut bytes: &'a [u8]) -> Option<Hello<'a>> {
        let version = number(&mut bytes)?;
        bytes = bytes.get(32..)?;
        vector(&mut bytes, 1)?;
        vector(&mut bytes, 2)?;
        vector(&mut bytes, 1)?;
        Some(Hello { version, server_name: None }.extended(bytes, |mut versions| {
            let offered = vector(&mut versions, 1)?;
            let known = offered.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            known.filter(|version| (0x0300..=0x0304).contains(version)).max()
        }))
    }

    /// RFC 8446 section 4.1.3.
    fn server(mut bytes: &'a [u8]) -> Option<Hello<'a>> {
        let version = number(&mut bytes)?;
        bytes = bytes.get(32..)?;
        vector(&mut bytes, 1)?;
        bytes = bytes.get(3..)?;
        Some(Hello { version, server_name: None }.extended(bytes, |mut chosen| number(&mut chosen)))
    }

    /// With what its extensions say, as far as they are well formed.
    fn extended(mut self, mut bytes: &'a [u8], versions: impl Fn(&[u8]) -> Option<u16>) -> Hello<'a> {
        let mut extensions = vector(&mut bytes, 2).unwrap_or_default();
        while let Some(kind) = number(&mut extensions)
            && let Some(mut data) = vector(&mut extensions, 2)
        {
            match kind {
                SUPPORTED_VERSIONS => self.version = versions(data).unwrap_or(self.version),
                // A list of names, of which the first counts; only host names (0) are defined.
                SERVER_NAME => {
                    let list = vector(&mut data, 2).unwrap_or_default();
                    if let Some((0, mut name)) = list.split_first().map(|(&kind, rest)| (kind, rest)) {
                        self.server_name = vector(&mut name, 2);
                    }
                }
                _ => {}
            }
        }
        self
    }
}

/// The first certificate of a list (RFC 5246 section 7.4.2).
fn first_certificate(mut bytes: &[u8]) -> Option<&[u8]> {
    let mut list = vector(&mut bytes, 3)?;
    vector(&mut list, 3)
}

fn set_version(transaction: &mut Transaction, version: u16) {
    let text: &[u8] = match version {
        0x0300 => b"SSLv3",
        0x0301 => b"1.0",
        0x0302 => b"1.1",
        0x0303 => b"1.2",
        0x0304 => b"1.3",
        _ => b"UNDETERMINED",
    };
    transaction.replace(Buffer::TlsVersion, text);
}
