//! HTTP/0.9 to 1.1 (RFC 9112): both directions of a connection, as bytes come.

mod head;
#[cfg(test)]
mod tests;
mod uri;

use crate::transaction::index;
use crate::{Buffer, Event, Limits, Progress, Protocol, Sink, Transaction};
use head::{Framing, Status};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use streams::{Toward, hex};

/// Bytes of a chunk's size line.
const CHUNK_LINE: usize = 256;

/// Methods that a connection may begin with.
const METHODS: [&str; 24] = [
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PATCH",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "SEARCH",
    "REPORT",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "NOTIFY",
    "M-SEARCH",
    "LINK",
    "BIND",
];

/// Whether bytes begin like a request (toward the server) or a response. `None`: more are needed to say.
pub(crate) fn detect(toward: Toward, bytes: &[u8]) -> Option<bool> {
    let bytes = &bytes[bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(bytes.len())..];
    let begins = |with: &[u8]| bytes.starts_with(with) || with.starts_with(bytes);
    let whole = |with: &[u8]| bytes.starts_with(with);
    if toward == Toward::Client {
        return if whole(b"HTTP/") { Some(true) } else { (!begins(b"HTTP/")).then_some(false) };
    }
    let mut possible = false;
    for method in METHODS {
        let method = method.as_bytes();
        if begins(method) {
            match bytes.get(method.len()) {
                Some(b' ' | b'\t') => return Some(true),
                Some(_) => {}
                None => possible = true,
            }
        }
    }
    (!possible).then_some(false)
}

/// Where one direction is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// Before or in a head.
    #[default]
    Head,
    /// In a body of which so many bytes are missing.
    Length(u64),
    /// In a body that ends with the connection.
    UntilEnd,
    /// In the line with a chunk's size.
    ChunkSize,
    /// In a chunk of which so many bytes are missing.
    Chunk(u64),
    /// In the line end behind a chunk.
    ChunkEnd,
    /// In what follows the last chunk.
    Trailer,
    /// No longer HTTP, or not to be understood.
    Over,
}

/// One direction.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Side {
    step: Step,
    /// The part of a head or line that came.
    #[serde(with = "hex")]
    partial: Vec<u8>,
}

/// An HTTP connection.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http {
    sides: [Side; 2],
    /// Those that are not complete both ways, oldest first.
    transactions: VecDeque<Transaction>,
    /// Transactions so far.
    count: u64,
}

impl Http {
    pub fn data<S: Sink>(&mut self, limits: &Limits, toward: Toward, mut bytes: &[u8], sink: &mut S) {
        while !bytes.is_empty() {
            let step = self.sides[index(toward)].step;
            let taken = match step {
                Step::Head => self.head(limits, toward, bytes, sink),
                Step::Length(missing) | Step::Chunk(missing) => {
                    let now = usize::try_from(missing).unwrap_or(usize::MAX).min(bytes.len());
                    self.body(limits, toward, &bytes[..now], sink);
                    self.less(toward, now as u64, sink);
                    now
                }
                Step::UntilEnd => {
                    self.body(limits, toward, bytes, sink);
                    bytes.len()
                }
                Step::ChunkSize | Step::ChunkEnd | Step::Trailer => self.line(limits, toward, bytes, sink),
                Step::Over => return,
            };
            bytes = &bytes[taken.min(bytes.len())..];
        }
    }

    /// Bytes that never came: nothing is lost if they were of a body.
    pub fn gap<S: Sink>(&mut self, toward: Toward, len: u64, sink: &mut S) {
        match self.sides[index(toward)].step {
            Step::UntilEnd | Step::Over => {}
            Step::Length(missing) | Step::Chunk(missing) if missing >= len => self.less(toward, len, sink),
            _ => self.give_up(toward, Event::Gap, sink),
        }
    }

    /// A direction's end: a body that has no other end is complete, any other and a head as far as they came.
    pub fn end<S: Sink>(&mut self, limits: &Limits, toward: Toward, sink: &mut S) {
        let side = &mut self.sides[index(toward)];
        if side.step == Step::Head && side.partial.contains(&b'\n') {
            let head = std::mem::take(&mut side.partial);
            self.whole_head(limits, toward, &head, sink);
        }
        let side = &self.sides[index(toward)];
        if !matches!(side.step, Step::Head | Step::Over) {
            self.complete(toward, sink);
        }
        self.sides[index(toward)] = Side { step: Step::Over, partial: Vec::new() };
        if self.sides.iter().all(|side| side.step == Step::Over) {
            self.transactions = VecDeque::new();
        }
    }

    /// Bytes of memory that it holds.
    pub fn held(&self) -> usize {
        let sides: usize = self.sides.iter().map(|side| side.partial.capacity()).sum();
        let transactions: usize = self.transactions.iter().map(Transaction::held).sum();
        sides + transactions + self.transactions.capacity() * size_of::<Transaction>()
    }

    /// Which transaction this direction is at.
    fn current(&mut self, toward: Toward) -> Option<&mut Transaction> {
        let mut open = self.transactions.iter_mut();
        open.find(|one| {
            let progress = one.progress(toward);
            progress != Progress::Nothing && progress != Progress::Complete
        })
    }

    /// A head, or a part of one. How many bytes of `bytes` it takes.
    fn head<S: Sink>(&mut self, limits: &Limits, toward: Toward, bytes: &[u8], sink: &mut S) -> usize {
        let request = toward == Toward::Server;
        let mut partial = std::mem::take(&mut self.sides[index(toward)].partial);
        let before = partial.len();
        if before == 0 {
            let blank = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(bytes.len());
            let rest = &bytes[blank..];
            match head::end(rest, 0, request) {
                _ if rest.is_empty() => return blank,
                Some(end) if end <= limits.head => {
                    self.whole_head(limits, toward, &rest[..end], sink);
                    return blank + end;
                }
                None if rest.len() <= limits.head => {
                    partial.extend_from_slice(rest);
                    self.sides[index(toward)].partial = partial;
                }
                _ => self.cut_head(limits, toward, rest, sink),
            }
            return bytes.len();
        }
        let room = limits.head.saturating_sub(before).min(bytes.len());
        partial.extend_from_slice(&bytes[..room]);
        match head::end(&partial, before, request) {
            Some(end) => {
                self.whole_head(limits, toward, &partial[..end], sink);
                partial.clear();
                self.sides[index(toward)].partial = partial;
                end.saturating_sub(before)
            }
            None if room < bytes.len() => {
                self.cut_head(limits, toward, &partial, sink);
                bytes.len()
            }
            None => {
                self.sides[index(toward)].partial = partial;
                bytes.len()
            }
        }
    }

    /// A head that is too long: its beginning is looked at, then the direction is given up.
    fn cut_head<S: Sink>(&mut self, limits: &Limits, toward: Toward, head: &[u8], sink: &mut S) {
        self.whole_head(limits, toward, &head[..head.len().min(limits.head)], sink);
        self.give_up(toward, Event::TooLong, sink);
    }

    fn whole_head<S: Sink>(&mut self, limits: &Limits, toward: Toward, head: &[u8], sink: &mut S) {
        match toward {
            Toward::Server => self.request(limits, head, sink),
            Toward::Client => self.response(limits, head, sink),
        }
    }

    /// A new transaction, and its place; the oldest is given up if there are too many.
    fn open<S: Sink>(&mut self, limits: &Limits, toward: Toward, sink: &mut S) -> usize {
        if self.transactions.len() >= limits.transactions.max(1) {
            self.transactions.pop_front();
            sink.event(toward, Event::TooMany);
        }
        let id = self.count;
        self.count += 1;
        self.transactions.push_back(Transaction::new(Protocol::Http, id));
        self.transactions.len() - 1
    }

    fn request<S: Sink>(&mut self, limits: &Limits, head: &[u8], sink: &mut S) {
        let at = self.open(limits, Toward::Server, sink);
        let transaction = &mut self.transactions[at];
        let framing = head::request(head, transaction);
        let tunnel = transaction.get(Buffer::HttpMethod) == Some(b"CONNECT");
        let body = match framing {
            Framing { chunked: true, .. } => Step::ChunkSize,
            Framing { length: Some(length), .. } if length > 0 => Step::Length(length),
            _ => Step::Head,
        };
        transaction.set_progress(Toward::Server, Progress::Head);
        sink.transaction(Toward::Server, transaction);
        self.begin_body(Toward::Server, framing, body, sink);
        if tunnel {
            self.sides[0].step = Step::Over;
        }
    }

    fn response<S: Sink>(&mut self, limits: &Limits, head: &[u8], sink: &mut S) {
        if !head.starts_with(b"HTTP/") {
            return self.give_up(Toward::Client, Event::Malformed, sink);
        }
        let waiting =
            self.transactions.iter().position(|one| one.progress(Toward::Client) == Progress::Nothing);
        let at = waiting.unwrap_or_else(|| self.open(limits, Toward::Client, sink));
        let transaction = &mut self.transactions[at];
        if interim(head) {
            // A final response follows. This one's buffers are shown by themselves, and forgotten.
            let mut shown = Transaction::new(Protocol::Http, transaction.id());
            head::response(head, &mut shown);
            shown.set_progress(Toward::Client, Progress::Head);
            return sink.transaction(Toward::Client, &shown);
        }
        let (Status(status), framing) = head::response(head, transaction);
        transaction.set_progress(Toward::Client, Progress::Head);
        let method = transaction.get(Buffer::HttpMethod).unwrap_or_default();
        let tunnel = status == 101 || method == b"CONNECT" && (200..300).contains(&status);
        let none = method == b"HEAD" || matches!(status, 204 | 304) || tunnel;
        let body = match framing {
            _ if none => Step::Head,
            Framing { chunked: true, .. } => Step::ChunkSize,
            Framing { length: Some(0), .. } => Step::Head,
            Framing { length: Some(length), .. } => Step::Length(length),
            _ => Step::UntilEnd,
        };
        sink.transaction(Toward::Client, transaction);
        self.begin_body(Toward::Client, framing, body, sink);
        if tunnel {
            for side in &mut self.sides {
                *side = Side { step: Step::Over, partial: Vec::new() };
            }
        }
    }

    /// What follows a head.
    fn begin_body<S: Sink>(&mut self, toward: Toward, framing: Framing, body: Step, sink: &mut S) {
        if framing.ambiguous {
            sink.event(toward, Event::Ambiguous);
        }
        self.sides[index(toward)].step = body;
        if body == Step::Head {
            self.complete(toward, sink);
        }
    }

    /// Bytes of a body.
    fn body<S: Sink>(&mut self, limits: &Limits, toward: Toward, bytes: &[u8], sink: &mut S) {
        let Some(transaction) = self.current(toward) else { return };
        if transaction.progress(toward) == Progress::Head && transaction.keep_body(toward, bytes, limits.body)
        {
            transaction.set_progress(toward, Progress::Body);
            sink.transaction(toward, transaction);
        }
    }

    /// So many bytes of a body fewer are missing.
    fn less<S: Sink>(&mut self, toward: Toward, len: u64, sink: &mut S) {
        let side = &mut self.sides[index(toward)];
        match &mut side.step {
            Step::Length(missing) | Step::Chunk(missing) if *missing > len => *missing -= len,
            Step::Length(_) => {
                side.step = Step::Head;
                self.complete(toward, sink);
            }
            Step::Chunk(_) => side.step = Step::ChunkEnd,
            _ => {}
        }
    }

    /// A line of a chunked body's frame, or a part of one. How many bytes it takes.
    fn line<S: Sink>(&mut self, limits: &Limits, toward: Toward, bytes: &[u8], sink: &mut S) -> usize {
        let side = &mut self.sides[index(toward)];
        let most = if side.step == Step::Trailer { limits.head } else { CHUNK_LINE };
        let line_feed = bytes.iter().position(|&byte| byte == b'\n');
        let taken = line_feed.map_or(bytes.len(), |at| at + 1);
        if side.partial.len() + taken > most {
            self.give_up(toward, Event::TooLong, sink);
            return bytes.len();
        }
        side.partial.extend_from_slice(&bytes[..taken]);
        if line_feed.is_none() {
            return taken;
        }
        let line = std::mem::take(&mut side.partial);
        let text = line.trim_ascii();
        match side.step {
            Step::ChunkSize => match chunk_size(text) {
                Some(0) => side.step = Step::Trailer,
                Some(size) => side.step = Step::Chunk(size),
                None => self.give_up(toward, Event::Malformed, sink),
            },
            Step::ChunkEnd if text.is_empty() => side.step = Step::ChunkSize,
            Step::Trailer if text.is_empty() => {
                side.step = Step::Head;
                self.complete(toward, sink);
            }
            Step::Trailer => {}
            _ => self.give_up(toward, Event::Malformed, sink),
        }
        taken
    }

    /// What goes this way in the current transaction is complete.
    fn complete<S: Sink>(&mut self, toward: Toward, sink: &mut S) {
        if let Some(transaction) = self.current(toward) {
            transaction.set_progress(toward, Progress::Complete);
            sink.transaction(toward, transaction);
        }
        let done = |one: &Transaction| {
            [Toward::Server, Toward::Client].iter().all(|&toward| one.progress(toward) == Progress::Complete)
        };
        // A response without its request is complete when it is.
        let alone = |one: &Transaction| {
            one.progress(Toward::Server) == Progress::Nothing
                && one.progress(Toward::Client) == Progress::Complete
        };
        self.transactions.retain(|one| !done(one) && !alone(one));
    }

    /// The rest of this direction is not parsed.
    fn give_up<S: Sink>(&mut self, toward: Toward, event: Event, sink: &mut S) {
        sink.event(toward, event);
        self.complete(toward, sink);
        self.sides[index(toward)] = Side { step: Step::Over, partial: Vec::new() };
    }
}

/// Whether a response is not the final one: 100 Continue, 103 Early Hints; 101 is final.
fn interim(head: &[u8]) -> bool {
    let code = head.split(|&byte| byte == b' ').find(|word| !word.is_empty() && !word.starts_with(b"HTTP/"));
    code.is_some_and(|code| code.len() >= 3 && code.starts_with(b"1") && !code.starts_with(b"101"))
}

/// The size in a chunk's first line; extensions do not matter.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with(['+', '-']))?;
    u64::from_str_radix(text, 16).ok()
}
