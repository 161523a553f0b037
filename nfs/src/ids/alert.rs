//! What is told of a match.

use engine::Time;
use l7::{Protocol, Transaction};
use streams::Toward;
use wire::FlowKey;

/// Bytes of a name or path that an alert quotes.
const QUOTED: usize = 512;

/// A rule matched.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Alert {
    /// The rule's place among all.
    pub rule: u32,
    pub time: Time,
    /// From the source to the destination of what matched.
    pub key: FlowKey,
    /// Whether the key's ports are ports.
    pub ports: bool,
    pub icmp: Option<(u8, u8)>,
    /// What matched were reassembled bytes.
    pub stream: bool,
    /// The packet is dropped for it.
    pub blocked: bool,
    /// What is known of the flow, where there is one.
    pub flow: Option<Told>,
    pub message: Option<Box<Message>>,
}

/// What is told of a flow.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Told {
    pub id: u64,
    pub toward: Toward,
    pub application: Option<Protocol>,
    pub first: Time,
    /// To server, to client.
    pub packets: [u64; 2],
    pub bytes: [u64; 2],
}

/// What is told of a message of an application.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Message {
    pub number: u64,
    pub host: Option<String>,
    pub url: Option<String>,
    pub method: Option<String>,
    pub agent: Option<String>,
    pub status: Option<u16>,
    pub server_name: Option<String>,
    pub question: Option<String>,
}

impl Message {
    pub(super) fn of(transaction: &Transaction) -> Message {
        let text = |buffer: l7::Buffer| {
            let bytes = transaction.get(buffer)?;
            Some(String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTED)]).into_owned())
        };
        Message {
            number: transaction.id(),
            host: text(l7::Buffer::HttpHost),
            url: text(l7::Buffer::HttpUriRaw),
            method: text(l7::Buffer::HttpMethod),
            agent: text(l7::Buffer::HttpUserAgent),
            status: text(l7::Buffer::HttpStatCode).and_then(|code| code.parse().ok()),
            server_name: text(l7::Buffer::TlsSni),
            question: text(l7::Buffer::DnsQuery),
        }
    }
}
