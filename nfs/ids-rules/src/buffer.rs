//! The buffers that payload keywords look into, by Suricata's names.

/// Declares the buffers: name in rules, the modifier of older rules if there is one, what it holds.
macro_rules! buffers {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $(| $alias:literal)* $(, modifier $legacy:literal)?;)*) => {
        /// Something that `content`, `pcre` and the other payload keywords look into.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Buffer {
            /// The payload: of the packet, of the stream, or of both, as the rule's [`Inspect`](crate::inspect::Inspect)
            /// says. `pkt_data` comes back to it.
            Payload,
            $($(#[$doc])* $variant,)*
        }

        impl Buffer {
            /// All of them.
            pub const ALL: &[Self] = &[Self::Payload, $(Self::$variant,)*];

            /// Its name in rules, as a sticky buffer.
            pub fn name(self) -> &'static str {
                match self {
                    Self::Payload => "pkt_data",
                    $(Self::$variant => $name,)*
                }
            }

            /// The buffer that a sticky-buffer keyword names.
            pub fn from_sticky(keyword: &str) -> Option<Self> {
                match keyword {
                    "pkt_data" => Some(Self::Payload),
                    $($name $(| $alias)* => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The buffer that a modifier of the content before it names: `content:"x"; http_uri;`.
            pub fn from_modifier(keyword: &str) -> Option<Self> {
                match keyword {
                    $($($legacy => Some(Self::$variant),)?)*
                    _ => None,
                }
            }
        }
    };
}

buffers! {
    /// The IPv4 header with its options.
    Ipv4Header = "ipv4.hdr";
    /// The IPv6 header (40 bytes) with its extension headers.
    Ipv6Header = "ipv6.hdr";
    /// The TCP header with its options.
    TcpHeader = "tcp.hdr";
    /// The UDP header: eight bytes.
    UdpHeader = "udp.hdr";
    /// The ICMPv4 header: the eight bytes before what `dsize` counts.
    Icmpv4Header = "icmpv4.hdr";
    /// The ICMPv6 header: the eight bytes before what `dsize` counts.
    Icmpv6Header = "icmpv6.hdr";

    /// The request method.
    HttpMethod = "http.method", modifier "http_method";
    /// The request target, normalised: decoded, path segments resolved, without scheme and host.
    HttpUri = "http.uri", modifier "http_uri";
    /// The request target as it was sent.
    HttpUriRaw = "http.uri.raw", modifier "http_raw_uri";
    /// The first line of a request, without its line end.
    HttpRequestLine = "http.request_line" | "http_request_line";
    /// The first line of a response, without its line end.
    HttpResponseLine = "http.response_line" | "http_response_line";
    /// `HTTP/1.1` and the like, of request or response.
    HttpProtocol = "http.protocol" | "http_protocol";
    /// All headers of request or response but `Cookie` and `Set-Cookie`, unfolded and trimmed: `name: value\r\n` each.
    /// Several of one name stay several.
    HttpHeader = "http.header", modifier "http_header";
    /// All headers as they were sent.
    HttpHeaderRaw = "http.header.raw", modifier "http_raw_header";
    /// `\r\n` and then every header's name followed by `\r\n`, and `\r\n` at the end.
    HttpHeaderNames = "http.header_names" | "http_header_names";
    /// The value of `User-Agent`.
    HttpUserAgent = "http.user_agent", modifier "http_user_agent";
    /// The host: from `Host` or from an absolute request target; lower case, without port.
    HttpHost = "http.host", modifier "http_host";
    /// The host as it was sent, with the port.
    HttpHostRaw = "http.host.raw", modifier "http_raw_host";
    /// The value of `Cookie` of a request or `Set-Cookie` of a response.
    HttpCookie = "http.cookie", modifier "http_cookie";
    /// The value of `Referer`.
    HttpReferer = "http.referer" | "http_referer";
    /// The value of `Accept`.
    HttpAccept = "http.accept" | "http_accept";
    /// The value of `Accept-Encoding`.
    HttpAcceptEncoding = "http.accept_enc" | "http_accept_enc";
    /// The value of `Accept-Language`.
    HttpAcceptLanguage = "http.accept_lang" | "http_accept_lang";
    /// The value of `Connection`.
    HttpConnection = "http.connection" | "http_connection";
    /// The value of `Content-Type`.
    HttpContentType = "http.content_type" | "http_content_type";
    /// The value of `Content-Length`, as text.
    HttpContentLength = "http.content_len" | "http_content_len";
    /// The value of `Server`.
    HttpServer = "http.server";
    /// The value of `Location`.
    HttpLocation = "http.location";
    /// The body of the request, as far as it is kept.
    HttpRequestBody = "http.request_body", modifier "http_client_body";
    /// The body of the response, as far as it is kept: chunks are put together, compression stays.
    HttpResponseBody = "http.response_body", modifier "http_server_body";
    /// The three digits of the response's status.
    HttpStatusCode = "http.stat_code", modifier "http_stat_code";
    /// The reason phrase of the response.
    HttpStatusMessage = "http.stat_msg", modifier "http_stat_msg";
    /// The body that is a file: to the client that of the response, to the server that of the request.
    FileData = "file.data" | "file_data";

    /// The server name of a TLS ClientHello (RFC 6066 section 3).
    TlsSni = "tls.sni" | "tls_sni";
    /// The subject of the server's first certificate, TLS up to 1.2.
    TlsCertSubject = "tls.cert_subject" | "tls_cert_subject";
    /// The issuer of the server's first certificate, TLS up to 1.2.
    TlsCertIssuer = "tls.cert_issuer" | "tls_cert_issuer";
    /// The serial number of the server's first certificate: hexadecimal bytes with colons, TLS up to 1.2.
    TlsCertSerial = "tls.cert_serial" | "tls_cert_serial";

    /// One name that a DNS query asks for, labels joined by dots. A message with several questions has several
    /// buffers; each is looked at alone, and one that matches is enough.
    DnsQuery = "dns.query" | "dns_query" | "dns.query.name";
}

/// The application protocol that a buffer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Application {
    /// HTTP/1.0 and HTTP/1.1.
    Http,
    /// TLS, and SSL before it.
    Tls,
    /// DNS over UDP or TCP.
    Dns,
}

/// Which side's bytes a buffer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// What the client sends.
    ToServer,
    /// What the server sends.
    ToClient,
    /// Both have it.
    Both,
}

impl Buffer {
    /// The application protocol that it needs; `None` for payload and packet headers.
    pub fn application(self) -> Option<Application> {
        match self {
            Self::Payload
            | Self::Ipv4Header
            | Self::Ipv6Header
            | Self::TcpHeader
            | Self::UdpHeader
            | Self::Icmpv4Header
            | Self::Icmpv6Header => None,
            Self::TlsSni | Self::TlsCertSubject | Self::TlsCertIssuer | Self::TlsCertSerial => {
                Some(Application::Tls)
            }
            Self::DnsQuery => Some(Application::Dns),
            _ => Some(Application::Http),
        }
    }

    /// Whether it is a header of each packet.
    pub fn is_packet_header(self) -> bool {
        self != Self::Payload && self.application().is_none()
    }

    /// Which side's messages have it.
    pub fn side(self) -> Side {
        match self {
            Self::HttpMethod
            | Self::HttpUri
            | Self::HttpUriRaw
            | Self::HttpRequestLine
            | Self::HttpUserAgent
            | Self::HttpHost
            | Self::HttpHostRaw
            | Self::HttpReferer
            | Self::HttpAccept
            | Self::HttpAcceptEncoding
            | Self::HttpAcceptLanguage
            | Self::HttpRequestBody
            | Self::TlsSni => Side::ToServer,
            Self::HttpResponseLine
            | Self::HttpServer
            | Self::HttpLocation
            | Self::HttpResponseBody
            | Self::HttpStatusCode
            | Self::HttpStatusMessage
            | Self::TlsCertSubject
            | Self::TlsCertIssuer
            | Self::TlsCertSerial => Side::ToClient,
            _ => Side::Both,
        }
    }
}
