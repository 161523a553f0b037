//! HTTP, by what goes over the wire.

use crate::conversation::tests::{CLIENT, SERVER, Seen, parse, parse_in_pieces, same_in_pieces};
use crate::{Buffer, Event, Limits, Progress};
use Buffer::*;

const REQUEST: &[u8] = b"GET http://Example.COM:8080/a/./b/../c%2Fd//e?q=%41+b#part HTTP/1.1\r\n\
    Host: other.example\r\n\
    User-Agent:  Mozilla/5.0  \r\n\
    Accept: a/b\r\n\
    X-Long: one\r\n  two\r\n\
    Cookie: id=1\r\n\
    Referer: http://r/\r\n\
    Accept: c/d\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 404 Not  Found\r\nServer: nginx\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
    Content-Type: text/html\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_request_and_its_response_fill_their_buffers() {
    let seen = same_in_pieces(&[(SERVER, REQUEST), (CLIENT, RESPONSE)]);
    let expected = [
        (HttpMethod, "GET"),
        (HttpUri, "/a/c/d/e?q=A+b"),
        (HttpUriRaw, "http://Example.COM:8080/a/./b/../c%2Fd//e?q=%41+b#part"),
        (HttpRequestLine, "GET http://Example.COM:8080/a/./b/../c%2Fd//e?q=%41+b#part HTTP/1.1"),
        (HttpRequestProtocol, "HTTP/1.1"),
        (HttpHost, "example.com"),
        (HttpHostRaw, "Example.COM:8080"),
        (HttpUserAgent, "Mozilla/5.0"),
        (HttpReferer, "http://r/"),
        (HttpAccept, "a/b, c/d"),
        (HttpRequestCookie, "id=1"),
        (
            HttpRequestHeader,
            "Host: other.example\r\nUser-Agent: Mozilla/5.0\r\nAccept: a/b\r\nX-Long: one two\r\nReferer: http://r/\r\nAccept: c/d\r\n",
        ),
        (
            HttpRequestHeaderNames,
            "\r\nHost\r\nUser-Agent\r\nAccept\r\nX-Long\r\nCookie\r\nReferer\r\nAccept\r\n\r\n",
        ),
        (HttpResponseLine, "HTTP/1.1 404 Not  Found"),
        (HttpResponseProtocol, "HTTP/1.1"),
        (HttpStatCode, "404"),
        (HttpStatMsg, "Not  Found"),
        (HttpServer, "nginx"),
        (HttpResponseCookie, "a=1, b=2"),
        (HttpResponseContentType, "text/html"),
        (HttpResponseContentLength, "5"),
        (HttpResponseHeader, "Server: nginx\r\nContent-Type: text/html\r\nContent-Length: 5\r\n"),
        (HttpResponseBody, "hello"),
    ];
    for (buffer, text) in expected {
        assert_eq!(seen.text(0, buffer).as_deref(), Some(text), "{}", buffer.name());
    }
    let raw = seen.text(0, HttpRequestHeaderRaw).unwrap();
    assert!(
        raw.starts_with("Host: other") && raw.contains("\r\n  two\r\n") && raw.ends_with("c/d\r\n"),
        "{raw:?}"
    );
    assert_eq!(
        seen.steps,
        [
            (SERVER, 0, Progress::Head),
            (SERVER, 0, Progress::Complete),
            (CLIENT, 0, Progress::Head),
            (CLIENT, 0, Progress::Complete)
        ]
    );
    assert_eq!(seen.events, []);
}

#[test]
fn targets_are_normalised() {
    let rows = [
        ("/", "/"),
        ("/a%20b", "/a b"),
        ("/%2e%2e/x", "/x"),
        ("/a/../../b", "/b"),
        ("/a//b/", "/a/b/"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/%zz%4", "/%zz%4"),
        ("/?a=../b//c", "/?a=../b//c"),
        ("*", "*"),
        ("http://host", "/"),
        ("https://user@host:1/p?q", "/p?q"),
        ("/%255c", "/%5c"),
    ];
    for (raw, expected) in rows {
        let request = format!("GET {raw} HTTP/1.0\r\n\r\n");
        assert_eq!(
            parse(&[(SERVER, request.as_bytes())]).text(0, HttpUri).as_deref(),
            Some(expected),
            "{raw}"
        );
    }
}

#[test]
fn requests_may_be_pipelined() {
    let asked = b"GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcHEAD /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.1\r\n\r\n";
    let answered = b"HTTP/1.1 204 None\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx\
        HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the end";
    let seen = same_in_pieces(&[(SERVER, asked), (CLIENT, answered)]);
    assert_eq!(seen.all(HttpUri), ["/1", "/2", "/3", "/4"]);
    assert_eq!(seen.all(HttpStatCode), ["204", "200", "200", "200"]);
    assert_eq!(seen.text(1, HttpRequestBody).as_deref(), Some("abc"));
    assert_eq!(seen.text(1, HttpResponseBody).as_deref(), Some("x"));
    assert_eq!(seen.text(2, HttpResponseBody), None);
    assert_eq!(seen.text(3, HttpResponseBody).as_deref(), Some("to the end"));
}

#[test]
fn chunks_are_put_together() {
    let asked = b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3;x=y\r\nabc\r\n0A\r\n0123456789\r\n0\r\nTrailer: z\r\n\r\nGET /next HTTP/1.1\r\n\r\n";
    let seen = same_in_pieces(&[(SERVER, asked)]);
    assert_eq!(seen.text(0, HttpRequestBody).as_deref(), Some("abc0123456789"));
    assert_eq!(seen.text(1, HttpUri).as_deref(), Some("/next"));
}

#[test]
fn interim_responses_are_seen_and_a_final_one_follows() {
    let asked = b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let seen = same_in_pieces(&[
        (SERVER, asked),
        (CLIENT, b"HTTP/1.1 100 Continue\r\n\r\n"),
        (SERVER, b"ok"),
        (CLIENT, b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"),
    ]);
    assert_eq!(seen.transactions.len(), 1);
    assert_eq!(seen.text(0, HttpStatCode).as_deref(), Some("201"));
    assert_eq!(seen.text(0, HttpRequestBody).as_deref(), Some("ok"));
    assert!(seen.steps.contains(&(CLIENT, 0, Progress::Head)));
}

#[test]
fn tunnels_are_not_parsed() {
    let upgraded = parse(&[
        (SERVER, b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"),
        (CLIENT, b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05hello"),
        (SERVER, b"GET /no HTTP/1.1\r\n\r\n"),
    ]);
    assert_eq!(upgraded.all(HttpUri), ["/chat"]);
    let tunnel = parse(&[(SERVER, b"CONNECT h:443 HTTP/1.1\r\n\r\nGET /no HTTP/1.1\r\n\r\n")]);
    assert_eq!(tunnel.all(HttpUriRaw), ["h:443"]);
}

#[test]
fn old_and_odd_requests_are_understood() {
    let simple = same_in_pieces(&[(SERVER, b"GET /evil\r\n")]);
    assert_eq!(simple.text(0, HttpUri).as_deref(), Some("/evil"));
    let bare = same_in_pieces(&[(SERVER, b"GET /a b HTTP/1.0\nHost:h\nNo colon\n\n")]);
    assert_eq!(bare.text(0, HttpUri).as_deref(), Some("/a b"));
    assert_eq!(bare.text(0, HttpHost).as_deref(), Some("h"));
}

#[test]
fn a_head_without_end_is_looked_at_as_far_as_it_came() {
    let cut = same_in_pieces(&[(SERVER, b"GET /evil HTTP/1.1\r\nHost: h\r\nX")]);
    assert_eq!(cut.text(0, HttpUri).as_deref(), Some("/evil"));
    let limits = Limits { head: 64, ..Limits::default() };
    let long = [b"GET /evil HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 100]].concat();
    for size in [1, 1000] {
        let seen = parse_in_pieces(&[(SERVER, &long)], size, &limits);
        assert_eq!(seen.text(0, HttpUri).as_deref(), Some("/evil"));
        assert_eq!(seen.events, [(SERVER, Event::TooLong)]);
    }
}

#[test]
fn bodies_are_kept_as_far_as_configured() {
    let limits = Limits { body: 4, ..Limits::default() };
    let said = b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789GET /2 HTTP/1.1\r\n\r\n";
    let seen = parse_in_pieces(&[(SERVER, said)], 3, &limits);
    assert_eq!(seen.text(0, HttpRequestBody).as_deref(), Some("0123"));
    assert_eq!(seen.text(1, HttpUri).as_deref(), Some("/2"));
    let steps: Vec<_> = seen.steps.iter().filter(|step| step.1 == 0).map(|step| step.2).collect();
    assert_eq!(steps, [Progress::Head, Progress::Body, Progress::Complete]);
}

#[test]
fn contradictory_lengths_are_told() {
    for fields in [
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Content-Length: x",
    ] {
        let said = format!("POST / HTTP/1.1\r\n{fields}\r\n\r\n");
        assert_eq!(parse(&[(SERVER, said.as_bytes())]).events, [(SERVER, Event::Ambiguous)], "{fields}");
    }
}

#[test]
fn requests_without_responses_are_bounded() {
    let limits = Limits { transactions: 2, ..Limits::default() };
    let seen = parse_in_pieces(&[(SERVER, &b"GET / HTTP/1.1\r\n\r\n".repeat(3))], 10, &limits);
    assert_eq!(seen.events, [(SERVER, Event::TooMany)]);
    assert_eq!(seen.transactions.len(), 3);
}

#[test]
fn a_gap_in_a_body_is_survived_and_any_other_ends_the_direction() {
    let (limits, mut seen) = (Limits::default(), Seen::default());
    let mut conversation = crate::Conversation::default();
    conversation.data(&limits, SERVER, b"POST /1 HTTP/1.1\r\nContent-Length: 6\r\n\r\nab", &mut seen);
    conversation.gap(&limits, SERVER, 4, &mut seen);
    conversation.data(&limits, SERVER, b"GET /2 HTTP/1.1\r\n", &mut seen);
    assert_eq!(seen.events, []);
    conversation.gap(&limits, SERVER, 4, &mut seen);
    conversation.data(&limits, SERVER, b"GET /3 HTTP/1.1\r\n\r\n", &mut seen);
    assert_eq!((seen.all(HttpUri), seen.events), (vec!["/1".to_owned()], vec![(SERVER, Event::Gap)]));
}

#[test]
fn what_is_no_response_ends_the_direction() {
    let seen = parse(&[(SERVER, b"GET / HTTP/1.1\r\n\r\n"), (CLIENT, b"garbage\r\n\r\n")]);
    assert_eq!(seen.events, [(CLIENT, Event::Malformed)]);
}
