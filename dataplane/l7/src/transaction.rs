//! A request and its response.

use crate::{Buffer, Protocol};
use serde::{Deserialize, Serialize};
use streams::Toward;

/// A request and its response, as far as they came: the buffers that rules look at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Transaction {
    id: u64,
    protocol: Protocol,
    /// The bytes of all buffers, one after the other.
    text: Vec<u8>,
    /// Which buffer is where in `text`.
    parts: Vec<(Buffer, u32, u32)>,
    /// DNS: code of the message's header.
    pub(crate) dns: DnsFields,
    request: Progress,
    response: Progress,
}

/// Numbers of a DNS message that rules name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DnsFields {
    /// `dns.opcode`.
    pub opcode: u8,
    /// `dns.rcode`, of the response.
    pub rcode: Option<u8>,
    /// `dns.rrtype`: type of the first question.
    pub rrtype: Option<u16>,
}

/// How far one side of a transaction is. Later ones compare greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Nothing, or not all that a buffer needs.
    #[default]
    Nothing,
    /// First line and headers, the hello, the message: all buffers but bodies.
    Head,
    /// The body as far as it is kept; more of it may come.
    Body,
    /// All of it.
    Complete,
}

impl Transaction {
    /// Number of the transaction in its flow, from 0.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// How far what goes this way is.
    pub fn progress(&self, toward: Toward) -> Progress {
        match toward {
            Toward::Server => self.request,
            Toward::Client => self.response,
        }
    }

    /// The first part of this name.
    pub fn get(&self, buffer: Buffer) -> Option<&[u8]> {
        self.all(buffer).next()
    }

    /// Every part of this name, in the order that they came.
    pub fn all(&self, buffer: Buffer) -> impl Iterator<Item = &[u8]> {
        self.parts().filter_map(move |(found, bytes)| (found == buffer).then_some(bytes))
    }

    /// All parts, with their names.
    pub fn parts(&self) -> impl Iterator<Item = (Buffer, &[u8])> {
        self.parts
            .iter()
            .filter_map(|&(buffer, from, to)| Some((buffer, self.text.get(from as usize..to as usize)?)))
    }

    /// Numbers of a DNS message.
    pub fn dns(&self) -> Option<DnsFields> {
        (self.protocol == Protocol::Dns).then_some(self.dns)
    }
}
