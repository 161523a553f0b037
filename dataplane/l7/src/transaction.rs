//! A request and its response.

use crate::{Buffer, Protocol};
use serde::{Deserialize, Serialize};
use streams::{Toward, hex};

/// A request and its response, as far as they came: the buffers that rules look at. A TLS connection is one; of DNS
/// each message is one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    id: u64,
    protocol: Protocol,
    /// The bytes of all buffers but bodies, one after the other.
    #[serde(with = "hex")]
    text: Vec<u8>,
    /// Which buffer is where in `text`.
    parts: Vec<(Buffer, u32, u32)>,
    /// What is kept of the request's and of the response's body.
    bodies: [Body; 2],
    dns: Option<DnsFields>,
    progress: [Progress; 2],
}

/// What is kept of a body.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Body(#[serde(with = "hex")] Vec<u8>);

/// Numbers of a DNS message that rules name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct DnsFields {
    /// `dns.opcode`.
    pub opcode: u8,
    /// `dns.rcode`: 0 in a request.
    pub rcode: u8,
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
    /// As much of the body as is kept; more of it may come.
    Body,
    /// All of it.
    Complete,
}

impl Transaction {
    pub(crate) fn new(protocol: Protocol, id: u64) -> Transaction {
        let (text, parts, bodies) = (Vec::new(), Vec::new(), Default::default());
        Transaction { id, protocol, text, parts, bodies, dns: None, progress: Default::default() }
    }

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
        self.progress[index(toward)]
    }

    /// The first part of this name.
    pub fn get(&self, buffer: Buffer) -> Option<&[u8]> {
        match buffer {
            Buffer::HttpRequestBody => self.body(Toward::Server),
            Buffer::HttpResponseBody => self.body(Toward::Client),
            _ => self.all(buffer).next(),
        }
    }

    /// Every part of this name, in the order that they came.
    pub fn all(&self, buffer: Buffer) -> impl Iterator<Item = &[u8]> {
        self.parts().filter_map(move |(found, bytes)| (found == buffer).then_some(bytes))
    }

    /// All parts, with their names.
    pub fn parts(&self) -> impl Iterator<Item = (Buffer, &[u8])> {
        let parts = self.parts.iter();
        let parts = parts
            .filter_map(|&(buffer, from, to)| Some((buffer, self.text.get(from as usize..to as usize)?)));
        let request = self.body(Toward::Server).map(|body| (Buffer::HttpRequestBody, body));
        let response = self.body(Toward::Client).map(|body| (Buffer::HttpResponseBody, body));
        parts.chain(request).chain(response)
    }

    /// Numbers of a DNS message.
    pub fn dns(&self) -> Option<DnsFields> {
        self.dns
    }

    fn body(&self, toward: Toward) -> Option<&[u8]> {
        let Body(body) = &self.bodies[index(toward)];
        (!body.is_empty()).then_some(body)
    }

    pub(crate) fn set_dns(&mut self, fields: DnsFields) {
        self.dns = Some(fields);
    }

    pub(crate) fn set_progress(&mut self, toward: Toward, progress: Progress) {
        self.progress[index(toward)] = progress;
    }

    /// Adds a part, whose bytes `write` appends.
    pub(crate) fn add_with(&mut self, buffer: Buffer, write: impl FnOnce(&mut Vec<u8>)) {
        let from = self.text.len();
        write(&mut self.text);
        self.parts.push((buffer, from as u32, self.text.len() as u32));
    }

    /// Adds a part.
    pub(crate) fn add(&mut self, buffer: Buffer, bytes: &[u8]) {
        self.add_with(buffer, |text| text.extend_from_slice(bytes));
    }

    /// Puts a part in the place of all of this name. What is said again and again takes no more room for that.
    pub(crate) fn replace(&mut self, buffer: Buffer, bytes: &[u8]) {
        while let Some(&(last, from, _)) = self.parts.last()
            && last == buffer
        {
            self.text.truncate(from as usize);
            self.parts.pop();
        }
        self.parts.retain(|part| part.0 != buffer);
        self.add(buffer, bytes);
    }

    /// Keeps body bytes as far as there is room. Whether the room is used up.
    pub(crate) fn keep_body(&mut self, toward: Toward, bytes: &[u8], most: usize) -> bool {
        let Body(body) = &mut self.bodies[index(toward)];
        let room = most.saturating_sub(body.len());
        body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        body.len() >= most
    }

    /// Bytes of memory that it holds.
    pub(crate) fn held(&self) -> usize {
        let bodies: usize = self.bodies.iter().map(|Body(body)| body.capacity()).sum();
        self.text.capacity() + self.parts.capacity() * size_of::<(Buffer, u32, u32)>() + bodies
    }
}

/// The place of a direction in a pair: what goes to the server, what goes to the client.
pub(crate) fn index(toward: Toward) -> usize {
    usize::from(toward == Toward::Client)
}
