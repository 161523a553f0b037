//! DNS messages (RFC 1035), over UDP and over TCP.

#[cfg(test)]
mod tests;

use crate::transaction::index;
use crate::{Buffer, DnsFields, Event, Limits, Progress, Protocol, Sink, Transaction};
use serde::{Deserialize, Serialize};
use streams::{Toward, hex};

const HEADER: usize = 12;
/// Bytes of a name as text (RFC 1035 section 2.3.4 allows 255 as they are sent).
const NAME: usize = 1024;
/// Pointers that one name may follow.
const POINTERS: usize = 32;
/// Questions and answers that are looked at in one message.
const RECORDS: usize = 64;
/// Opcodes in use end here (RFC 8490).
const OPCODES: u8 = 6;

/// A flow of DNS messages.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dns {
    sides: [Side; 2],
    count: u64,
}

/// One direction of a TCP connection.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Side {
    over: bool,
    /// The part of a message that came, with its length before it.
    #[serde(with = "hex")]
    partial: Vec<u8>,
}

/// Whether a datagram is a message: well formed, with a question or an answer, of a known opcode.
pub(crate) fn detect(message: &[u8]) -> bool {
    Message::new(message).is_some_and(|message| {
        let counted = message.questions > 0 || message.answers > 0;
        let answers = if message.response { u16::MAX } else { 1 };
        counted
            && message.opcode < OPCODES
            && message.questions <= 8
            && message.answers <= answers
            && message.entries(|_| {}).is_some()
    })
}

/// Whether a TCP stream begins with a message. `None`: more bytes are needed to say.
pub(crate) fn detect_stream(bytes: &[u8]) -> Option<bool> {
    let (&len, rest) = bytes.split_first_chunk::<2>()?;
    let len = usize::from(u16::from_be_bytes(len));
    if len < HEADER {
        return Some(false);
    }
    let header = rest.first_chunk::<HEADER>()?;
    let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    Some(
        header[2] >> 3 & 15 < OPCODES
            && number(4) == 1
            && number(6) <= 256
            && number(8) <= 256
            && number(10) <= 256,
    )
}

impl Dns {
    /// A message that is whole.
    pub fn message<S: Sink>(&mut self, toward: Toward, bytes: &[u8], sink: &mut S) {
        let mut transaction = Transaction::new(Protocol::Dns, self.count);
        self.count += 1;
        let Some(message) = Message::new(bytes) else { return sink.event(toward, Event::Malformed) };
        let mut rrtype = None;
        let whole = message.entries(|entry| {
            if entry.is_question {
                rrtype = rrtype.or(Some(entry.rrtype));
            }
            if entry.is_question != message.response {
                let buffer = if message.response { Buffer::DnsAnswer } else { Buffer::DnsQuery };
                transaction.add(buffer, entry.name);
            }
        });
        transaction.set_dns(DnsFields { opcode: message.opcode, rcode: message.rcode, rrtype });
        transaction.set_progress(toward, Progress::Complete);
        sink.transaction(toward, &transaction);
        if whole.is_none() {
            sink.event(toward, Event::Malformed);
        }
    }

    /// Bytes of a TCP connection: messages with their length before them (RFC 1035 section 4.2.2).
    pub fn data<S: Sink>(&mut self, limits: &Limits, toward: Toward, mut bytes: &[u8], sink: &mut S) {
        while !bytes.is_empty() && !self.sides[index(toward)].over {
            let side = &mut self.sides[index(toward)];
            let wanted = match side.partial.first_chunk::<2>() {
                Some(&len) => 2 + usize::from(u16::from_be_bytes(len)),
                None => 2,
            };
            if wanted > limits.message {
                return self.give_up(toward, Event::TooLong, sink);
            }
            let (now, rest) = bytes.split_at(bytes.len().min(wanted.saturating_sub(side.partial.len())));
            side.partial.extend_from_slice(now);
            bytes = rest;
            if side.partial.len() >= wanted && wanted > 2 {
                let message = std::mem::take(&mut side.partial);
                self.message(toward, &message[2..], sink);
            } else if side.partial.starts_with(&[0, 0]) {
                return self.give_up(toward, Event::Malformed, sink);
            }
        }
    }

    pub fn gap<S: Sink>(&mut self, toward: Toward, sink: &mut S) {
        if !self.sides[index(toward)].over {
            self.give_up(toward, Event::Gap, sink);
        }
    }

    pub fn end(&mut self, toward: Toward) {
        self.sides[index(toward)] = Side { over: true, partial: Vec::new() };
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        self.sides.iter().map(|side| side.partial.capacity()).sum()
    }

    fn give_up<S: Sink>(&mut self, toward: Toward, event: Event, sink: &mut S) {
        sink.event(toward, event);
        self.end(toward);
    }
}

/// A message's header, and its bytes.
struct Message<'a> {
    bytes: &'a [u8],
    response: bool,
    opcode: u8,
    rcode: u8,
    questions: u16,
    answers: u16,
}

/// A question or an answer.
struct Entry<'t> {
    is_question: bool,
    name: &'t [u8],
    rrtype: u16,
}

impl<'a> Message<'a> {
    fn new(bytes: &'a [u8]) -> Option<Message<'a>> {
        let header = bytes.first_chunk::<HEADER>()?;
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        Some(Message {
            bytes,
            response: header[2] & 0x80 != 0,
            opcode: header[2] >> 3 & 15,
            rcode: header[3] & 15,
            questions: number(4),
            answers: number(6),
        })
    }

    /// Goes through questions and answers. `None`: it is malformed at some point.
    fn entries(&self, mut each: impl FnMut(Entry<'_>)) -> Option<()> {
        let (mut at, mut text) = (HEADER, Vec::new());
        let questions = usize::from(self.questions);
        for entry in 0..(questions + usize::from(self.answers)).min(RECORDS) {
            text.clear();
            at = self.name(at, &mut text)?;
            let rrtype = u16::from_be_bytes(*self.bytes.get(at..)?.first_chunk()?);
            let is_question = entry < questions;
            at += if is_question {
                4
            } else {
                10 + usize::from(u16::from_be_bytes(*self.bytes.get(at + 8..)?.first_chunk()?))
            };
            if at > self.bytes.len() {
                return None;
            }
            each(Entry { is_question, name: &text, rrtype });
        }
        Some(())
    }

    /// Reads the name at `at` as text, labels with dots between them. Where what follows it is.
    fn name(&self, mut at: usize, text: &mut Vec<u8>) -> Option<usize> {
        let mut after = None;
        let mut pointers = 0;
        loop {
            let len = *self.bytes.get(at)?;
            match len {
                0 => return Some(after.unwrap_or(at + 1)),
                1..=63 => {
                    let label = self.bytes.get(at + 1..at + 1 + usize::from(len))?;
                    if text.len() + label.len() >= NAME {
                        return None;
                    }
                    if !text.is_empty() {
                        text.push(b'.');
                    }
                    text.extend_from_slice(label);
                    at += 1 + usize::from(len);
                }
                0xc0.. => {
                    let low = *self.bytes.get(at + 1)?;
                    after = after.or(Some(at + 2));
                    at = usize::from(len & 0x3f) << 8 | usize::from(low);
                    pointers += 1;
                    if pointers > POINTERS {
                        return None;
                    }
                }
                _ => return None,
            }
        }
    }
}
