//! The buffers of messages: by the names of rules, from the parsers.

use ids_rules::buffer::Buffer;
use l7::{Buffer as Part, Transaction};
use streams::Toward;

/// The parts of a message that a rule's buffer is, seen from a way. Several of names asked for.
pub(in crate::ids) fn buffers(
    message: &Transaction,
    buffer: Buffer,
    toward: Toward,
) -> impl Iterator<Item = &[u8]> {
    part(buffer, toward).into_iter().flat_map(|part| message.all(part))
}

fn part(buffer: Buffer, toward: Toward) -> Option<Part> {
    let either = |request: Part, response: Part| match toward {
        Toward::Server => request,
        Toward::Client => response,
    };
    Some(match buffer {
        Buffer::HttpMethod => Part::HttpMethod,
        Buffer::HttpUri => Part::HttpUri,
        Buffer::HttpUriRaw => Part::HttpUriRaw,
        Buffer::HttpRequestLine => Part::HttpRequestLine,
        Buffer::HttpResponseLine => Part::HttpResponseLine,
        Buffer::HttpProtocol => either(Part::HttpRequestProtocol, Part::HttpResponseProtocol),
        Buffer::HttpHeader => either(Part::HttpRequestHeader, Part::HttpResponseHeader),
        Buffer::HttpHeaderRaw => either(Part::HttpRequestHeaderRaw, Part::HttpResponseHeaderRaw),
        Buffer::HttpHeaderNames => either(Part::HttpRequestHeaderNames, Part::HttpResponseHeaderNames),
        Buffer::HttpUserAgent => Part::HttpUserAgent,
        Buffer::HttpHost => Part::HttpHost,
        Buffer::HttpHostRaw => Part::HttpHostRaw,
        Buffer::HttpCookie => either(Part::HttpRequestCookie, Part::HttpResponseCookie),
        Buffer::HttpReferer => Part::HttpReferer,
        Buffer::HttpAccept => Part::HttpAccept,
        Buffer::HttpAcceptEncoding => Part::HttpAcceptEncoding,
        Buffer::HttpAcceptLanguage => Part::HttpAcceptLanguage,
        Buffer::HttpConnection => either(Part::HttpRequestConnection, Part::HttpResponseConnection),
        Buffer::HttpContentType => either(Part::HttpRequestContentType, Part::HttpResponseContentType),
        Buffer::HttpContentLength => either(Part::HttpRequestContentLength, Part::HttpResponseContentLength),
        Buffer::HttpServer => Part::HttpServer,
        Buffer::HttpLocation => Part::HttpLocation,
        Buffer::HttpRequestBody => Part::HttpRequestBody,
        Buffer::HttpResponseBody => Part::HttpResponseBody,
        Buffer::HttpStatusCode => Part::HttpStatCode,
        Buffer::HttpStatusMessage => Part::HttpStatMsg,
        Buffer::FileData => either(Part::HttpRequestBody, Part::HttpResponseBody),
        Buffer::TlsSni => Part::TlsSni,
        Buffer::TlsCertSubject => Part::TlsCertSubject,
        Buffer::TlsCertIssuer => Part::TlsCertIssuer,
        Buffer::TlsCertSerial => Part::TlsCertSerial,
        Buffer::DnsQuery => Part::DnsQuery,
        _ => return None,
    })
}
