//! The buffers that rules name.

use serde::{Deserialize, Serialize};
use streams::Toward;

macro_rules! buffers {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $(| $old:literal)*, $toward:ident;)*) => {
        /// A part of a transaction that a rule can look at, by Suricata's name.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        pub enum Buffer {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)*
        }

        impl Buffer {
            /// Every buffer, in the order of their numbers.
            pub const ALL: &[Buffer] = &[$(Buffer::$variant),*];

            /// Suricata's name of the sticky buffer.
            pub fn name(self) -> &'static str {
                match self { $(Buffer::$variant => $name,)* }
            }

            /// The buffer of a sticky buffer's name (`http.uri`) or of an older content modifier's (`http_uri`).
            pub fn from_name(name: &str) -> Option<Buffer> {
                match name { $($name $(| $old)* => Some(Buffer::$variant),)* _ => None }
            }

            /// Which way the bytes go that it is made of; `None`: either.
            pub fn toward(self) -> Option<Toward> {
                match self { $(Buffer::$variant => buffers!(@ $toward),)* }
            }
        }
    };
    (@ server) => { Some(Toward::Server) };
    (@ client) => { Some(Toward::Client) };
    (@ either) => { None };
}

buffers! {
    /// Method of the request.
    HttpMethod = "http.method" | "http_method", server;
    /// Path and query, normalised: percent-decoded once, `//` and dot segments resolved, no scheme and host.
    HttpUri = "http.uri" | "http_uri", server;
    /// The target as it stands in the request line.
    HttpUriRaw = "http.uri.raw" | "http_raw_uri", server;
    /// The request line without its line end.
    HttpRequestLine = "http.request_line", server;
    /// Protocol of the request: `HTTP/1.1`.
    HttpRequestProtocol = "http.protocol(request)", server;
    /// Headers of the request but its cookies: `Name: value` and CR LF each, trimmed and unfolded.
    HttpRequestHeader = "http.header(request)" | "http.request_header", server;
    /// Headers of the request as they came.
    HttpRequestHeaderRaw = "http.header.raw(request)", server;
    /// Names of the request's headers: CR LF, each name and CR LF, CR LF.
    HttpRequestHeaderNames = "http.header_names(request)", server;
    /// Host, in small letters, without port: of the target if it has one, else of header `Host`.
    HttpHost = "http.host" | "http_host", server;
    /// Host and port as they came.
    HttpHostRaw = "http.host.raw" | "http_raw_host", server;
    /// Header `User-Agent`.
    HttpUserAgent = "http.user_agent" | "http_user_agent", server;
    /// Header `Referer`.
    HttpReferer = "http.referer" | "http_referer", server;
    /// Header `Accept`.
    HttpAccept = "http.accept" | "http_accept", server;
    /// Header `Accept-Encoding`.
    HttpAcceptEncoding = "http.accept_enc" | "http_accept_enc", server;
    /// Header `Accept-Language`.
    HttpAcceptLanguage = "http.accept_lang" | "http_accept_lang", server;
    /// Headers `Cookie`, joined by `, `.
    HttpRequestCookie = "http.cookie(request)", server;
    /// Header `Content-Type` of the request.
    HttpRequestContentType = "http.content_type(request)", server;
    /// Header `Content-Length` of the request.
    HttpRequestContentLength = "http.content_len(request)", server;
    /// Header `Connection` of the request.
    HttpRequestConnection = "http.connection(request)", server;
    /// Body of the request, without chunks' framing, as far as it is kept.
    HttpRequestBody = "http.request_body" | "http_client_body", server;
    /// Protocol of the response: `HTTP/1.1`.
    HttpResponseProtocol = "http.protocol(response)", client;
    /// The response's first line without its line end.
    HttpResponseLine = "http.response_line", client;
    /// Status code: three digits.
    HttpStatCode = "http.stat_code" | "http_stat_code", client;
    /// Status message.
    HttpStatMsg = "http.stat_msg" | "http_stat_msg", client;
    /// Headers of the response but its cookies: `Name: value` and CR LF each, trimmed and unfolded.
    HttpResponseHeader = "http.header(response)" | "http.response_header", client;
    /// Headers of the response as they came.
    HttpResponseHeaderRaw = "http.header.raw(response)", client;
    /// Names of the response's headers: CR LF, each name and CR LF, CR LF.
    HttpResponseHeaderNames = "http.header_names(response)", client;
    /// Headers `Set-Cookie`, joined by `, `.
    HttpResponseCookie = "http.cookie(response)", client;
    /// Header `Content-Type` of the response.
    HttpResponseContentType = "http.content_type(response)", client;
    /// Header `Content-Length` of the response.
    HttpResponseContentLength = "http.content_len(response)", client;
    /// Header `Connection` of the response.
    HttpResponseConnection = "http.connection(response)", client;
    /// Header `Location`.
    HttpLocation = "http.location", client;
    /// Header `Server`.
    HttpServer = "http.server", client;
    /// Body of the response, without chunks' framing, as far as it is kept, not decompressed.
    HttpResponseBody = "http.response_body" | "http_server_body" | "file.data" | "file_data", client;
    /// Name of the server that the client asks for (RFC 6066), in small letters.
    TlsSni = "tls.sni" | "tls_sni", server;
    /// Version that the server chose, or the client offers until then, as Suricata writes it: `1.2`.
    TlsVersion = "tls.version", either;
    /// Subject of the server's certificate, where it goes in the clear (up to TLS 1.2): `C=…, CN=…`.
    TlsCertSubject = "tls.cert_subject" | "tls_cert_subject", client;
    /// Issuer of the server's certificate.
    TlsCertIssuer = "tls.cert_issuer" | "tls_cert_issuer", client;
    /// Serial number of the server's certificate: `0A:1B:…`.
    TlsCertSerial = "tls.cert_serial" | "tls_cert_serial", client;
    /// A name that a request asks for: `example.com`. May occur several times.
    DnsQuery = "dns.query" | "dns_query" | "dns.queries.rrname", server;
    /// A name that an answer is for. May occur several times.
    DnsAnswer = "dns.answer.name" | "dns.answers.rrname", client;
}

impl Buffer {
    /// The two buffers, for request and response, of a name that Suricata uses for both; rules choose by the flow's
    /// direction.
    pub fn pair_from_name(name: &str) -> Option<[Buffer; 2]> {
        use Buffer::*;
        Some(match name {
            "http.header" | "http_header" => [HttpRequestHeader, HttpResponseHeader],
            "http.header.raw" | "http_raw_header" => [HttpRequestHeaderRaw, HttpResponseHeaderRaw],
            "http.header_names" => [HttpRequestHeaderNames, HttpResponseHeaderNames],
            "http.cookie" | "http_cookie" => [HttpRequestCookie, HttpResponseCookie],
            "http.protocol" => [HttpRequestProtocol, HttpResponseProtocol],
            "http.content_type" => [HttpRequestContentType, HttpResponseContentType],
            "http.content_len" => [HttpRequestContentLength, HttpResponseContentLength],
            "http.connection" => [HttpRequestConnection, HttpResponseConnection],
            _ => return None,
        })
    }
}
