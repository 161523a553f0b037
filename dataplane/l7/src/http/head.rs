//! First lines and headers, into buffers.

use super::uri;
use crate::{Buffer, Transaction};

/// How the body that follows a head ends (RFC 9112 section 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Framing {
    /// `Transfer-Encoding` ends with `chunked`.
    pub chunked: bool,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// Both, or several that differ.
    pub ambiguous: bool,
}

/// What a response's first line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Status(pub u16);

/// Where a head ends in `bytes`: behind the first empty line, or behind the first line of HTTP/0.9, which has no more.
/// `searched` bytes were looked at before.
pub(super) fn end(bytes: &[u8], searched: usize, request: bool) -> Option<usize> {
    let from = searched.saturating_sub(2);
    let mut at = from;
    while let Some(line_feed) = bytes.get(at..)?.iter().position(|&byte| byte == b'\n') {
        let next = at + line_feed + 1;
        match &bytes[next..] {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            _ if request && !bytes[..at].contains(&b'\n') && is_simple(&bytes[..next]) => return Some(next),
            _ => {}
        }
        at = next;
    }
    None
}

/// Whether bytes begin with the one line of an HTTP/0.9 request: method and target, no protocol.
fn is_simple(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    words.next().is_some_and(|method| method == b"GET") && words.next().is_some() && words.next().is_none()
}

/// Lines without their ends.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// The first three words of a line; the third is the rest of it. Several spaces count as one.
fn words(line: &[u8]) -> [&[u8]; 3] {
    let mut rest = line;
    let mut word = || {
        rest = rest.trim_ascii_start();
        let (word, after) =
            rest.split_at(rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len()));
        rest = after;
        word
    };
    [word(), word(), rest.trim_ascii()]
}

/// Request line and headers.
pub(super) fn request(head: &[u8], transaction: &mut Transaction) -> Framing {
    let (line, headers) = split(head);
    let (method, target, protocol) = request_line(line);
    transaction.add(Buffer::HttpRequestLine, line);
    transaction.add(Buffer::HttpMethod, method);
    transaction.add(Buffer::HttpUriRaw, target);
    transaction.add_with(Buffer::HttpUri, |text| uri::normalise(target, text));
    if !protocol.is_empty() {
        transaction.add(Buffer::HttpRequestProtocol, protocol);
    }
    let framing = fields(headers, transaction, true);
    let host = match uri::authority(target) {
        Some((authority, _)) => Some(authority.to_vec()),
        None => transaction.get(Buffer::HttpHostRaw).map(<[u8]>::to_vec),
    };
    if let Some(host) = host {
        transaction.replace(Buffer::HttpHostRaw, &host);
        transaction.add_with(Buffer::HttpHost, |text| uri::host(&host, text));
    }
    framing
}

/// Method, target and protocol. A target may have spaces in it: the protocol is the last word, if it looks like one.
fn request_line(line: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let [method, target, rest] = words(line);
    let last = line.trim_ascii_end();
    let last = &last[last.iter().rposition(u8::is_ascii_whitespace).map_or(0, |at| at + 1)..];
    if rest.is_empty() || !last.starts_with(b"HTTP/") {
        let spaced = &line.trim_ascii()[method.len()..];
        return if rest.is_empty() { (method, target, b"") } else { (method, spaced.trim_ascii(), b"") };
    }
    let between = &line.trim_ascii()[method.len()..line.trim_ascii().len() - last.len()];
    (method, between.trim_ascii(), last)
}

/// Status line and headers.
pub(super) fn response(head: &[u8], transaction: &mut Transaction) -> (Status, Framing) {
    let (line, headers) = split(head);
    let [protocol, code, message] = words(line);
    transaction.add(Buffer::HttpResponseLine, line);
    transaction.add(Buffer::HttpResponseProtocol, protocol);
    transaction.add(Buffer::HttpStatCode, code);
    if !message.is_empty() {
        transaction.add(Buffer::HttpStatMsg, message);
    }
    let status = std::str::from_utf8(code).ok().and_then(|code| code.parse().ok()).unwrap_or(0);
    (Status(status), fields(headers, transaction, false))
}

/// First line, and headers with the empty line behind them taken off.
fn split(head: &[u8]) -> (&[u8], &[u8]) {
    let end = head.iter().position(|&byte| byte == b'\n').unwrap_or(head.len());
    let headers = head.get(end + 1..).unwrap_or_default();
    let headers =
        headers.strip_suffix(b"\n").map_or(headers, |rest| rest.strip_suffix(b"\r").unwrap_or(rest));
    let line = &head[..end];
    (line.strip_suffix(b"\r").unwrap_or(line), headers)
}

/// Headers of requests that have a buffer of their own.
const REQUEST: [(&str, Buffer); 10] = [
    ("host", Buffer::HttpHostRaw),
    ("user-agent", Buffer::HttpUserAgent),
    ("referer", Buffer::HttpReferer),
    ("accept", Buffer::HttpAccept),
    ("accept-encoding", Buffer::HttpAcceptEncoding),
    ("accept-language", Buffer::HttpAcceptLanguage),
    ("cookie", Buffer::HttpRequestCookie),
    ("content-type", Buffer::HttpRequestContentType),
    ("content-length", Buffer::HttpRequestContentLength),
    ("connection", Buffer::HttpRequestConnection),
];

/// Headers of responses that have a buffer of their own.
const RESPONSE: [(&str, Buffer); 6] = [
    ("set-cookie", Buffer::HttpResponseCookie),
    ("content-type", Buffer::HttpResponseContentType),
    ("content-length", Buffer::HttpResponseContentLength),
    ("connection", Buffer::HttpResponseConnection),
    ("location", Buffer::HttpLocation),
    ("server", Buffer::HttpServer),
];

/// Headers: those with buffers of their own, all of them normalised, raw, and their names.
fn fields(headers: &[u8], transaction: &mut Transaction, request: bool) -> Framing {
    use Buffer::*;
    let (table, normal, raw, names): (&[_], _, _, _) = if request {
        (&REQUEST, HttpRequestHeader, HttpRequestHeaderRaw, HttpRequestHeaderNames)
    } else {
        (&RESPONSE, HttpResponseHeader, HttpResponseHeaderRaw, HttpResponseHeaderNames)
    };
    let mut framing = Framing { chunked: false, length: None, ambiguous: false };
    if headers.is_empty() {
        return framing;
    }
    let (mut all, mut found) = (Vec::with_capacity(headers.len()), b"\r\n".to_vec());
    let (mut values, mut named) = (Vec::with_capacity(headers.len()), Vec::new());
    let mut lines = lines(headers).peekable();
    while let Some(line) = lines.next() {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let name = line[..colon].trim_ascii();
        let from = values.len();
        values.extend_from_slice(line[colon + 1..].trim_ascii());
        while let Some(folded) = lines.next_if(|line| line.starts_with(b" ") || line.starts_with(b"\t")) {
            values.push(b' ');
            values.extend_from_slice(folded.trim_ascii());
        }
        let value = &values[from..];
        let known = table.iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        if !matches!(known, Some((_, HttpRequestCookie | HttpResponseCookie))) {
            for part in [name, b": ", value, b"\r\n"] {
                all.extend_from_slice(part);
            }
        }
        found.extend_from_slice(name);
        found.extend_from_slice(b"\r\n");
        framing.heed(name, value);
        named.extend(known.map(|&(_, buffer)| (buffer, from..values.len())));
    }
    found.extend_from_slice(b"\r\n");
    for &(_, buffer) in table {
        let mut same =
            named.iter().filter(|(other, _)| *other == buffer).map(|(_, range)| &values[range.clone()]);
        let Some(first) = same.next() else { continue };
        transaction.add_with(buffer, |text| {
            text.extend_from_slice(first);
            // The first host counts: a proxy and a server might not agree on others.
            for more in same.filter(|_| buffer != HttpHostRaw) {
                text.extend_from_slice(b", ");
                text.extend_from_slice(more);
            }
        });
    }
    transaction.add(normal, &all);
    transaction.add(raw, headers);
    transaction.add(names, &found);
    framing
}

impl Framing {
    /// Takes a header into account.
    fn heed(&mut self, name: &[u8], value: &[u8]) {
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let last = value.rsplit(|&byte| byte == b',').next().unwrap_or_default().trim_ascii();
            self.chunked |= last.eq_ignore_ascii_case(b"chunked");
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            self.ambiguous |= length.is_none() || self.length.is_some_and(|before| Some(before) != length);
            self.length = self.length.or(length);
        }
        self.ambiguous |= self.chunked && self.length.is_some();
    }
}
