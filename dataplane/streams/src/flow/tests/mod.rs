//! Flows, segment by segment. The rig has two ends that send what the test says; what comes out is collected.

mod bounds;
mod close;
mod evasion;
mod handshake;
mod order;
mod overlap;
mod properties;
mod records;

use crate::{Config, Event, Flow, Mode, Outcome, Pool, Segment, Sink, Toward};
use wire::flow::Direction;
use wire::tcp::flags::{ACK, FIN, RST, SYN};

/// What came out of a flow.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Out {
    pub to_server: Vec<u8>,
    pub to_client: Vec<u8>,
    pub gaps: Vec<(Toward, u64, u64)>,
    pub ends: Vec<Toward>,
    pub events: Vec<(Toward, Event)>,
    /// Where the next bytes of each direction are expected; urgent bytes may be left out.
    next: [u64; 2],
}

impl Out {
    pub fn saw(&self, event: Event) -> bool {
        self.events.iter().any(|&(_, seen)| seen == event)
    }

    pub fn text(&self, toward: Toward) -> String {
        let bytes = if toward == Toward::Server { &self.to_server } else { &self.to_client };
        String::from_utf8_lossy(bytes).into_owned()
    }
}

impl Sink for Out {
    fn data(&mut self, toward: Toward, offset: u64, bytes: &[u8]) {
        assert!(!bytes.is_empty());
        let next = &mut self.next[toward as usize];
        assert!(offset >= *next, "bytes at {offset} after {next}");
        *next = offset + bytes.len() as u64;
        match toward {
            Toward::Server => self.to_server.extend_from_slice(bytes),
            Toward::Client => self.to_client.extend_from_slice(bytes),
        }
    }

    fn gap(&mut self, toward: Toward, offset: u64, len: u64) {
        assert!(len > 0 && offset >= self.next[toward as usize]);
        self.next[toward as usize] = offset + len;
        self.gaps.push((toward, offset, len));
    }

    fn end(&mut self, toward: Toward) {
        assert!(!self.ends.contains(&toward), "a second end");
        self.ends.push(toward);
    }

    fn begin(&mut self) {
        *self = Out::default();
    }

    fn event(&mut self, toward: Toward, event: Event) {
        self.events.push((toward, event));
    }
}

/// Who sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum From {
    Client,
    Server,
}

/// A segment to be sent: places count from the sender's first byte, so -1 is its SYN.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub from: From,
    pub place: i64,
    pub flags: u8,
    pub ack: i64,
    pub window: u16,
    pub urgent: u16,
    pub ttl: u8,
    pub window_scale: Option<u8>,
    pub timestamp: Option<u32>,
    pub payload: Vec<u8>,
}

impl Sent {
    /// Data of an open connection. It acknowledges nothing but the other's SYN.
    pub fn data(from: From, place: i64, payload: impl AsRef<[u8]>) -> Sent {
        let payload = payload.as_ref().to_vec();
        let (urgent, ttl, window_scale, timestamp) = (0, 64, None, None);
        Sent {
            from,
            place,
            flags: ACK,
            ack: 0,
            window: 60_000,
            urgent,
            ttl,
            window_scale,
            timestamp,
            payload,
        }
    }

    /// Nothing but an acknowledgement up to `ack`.
    pub fn ack(from: From, place: i64, ack: i64) -> Sent {
        Sent { ack, ..Sent::data(from, place, "") }
    }

    pub fn flags(self, flags: u8) -> Sent {
        Sent { flags, ..self }
    }
}

pub(super) struct Rig {
    pub config: Config,
    pub pool: Pool,
    pub flow: Flow,
    pub out: Out,
    /// Initial sequence numbers of client and server.
    pub isns: [u32; 2],
}

impl Rig {
    pub fn new(config: Config) -> Rig {
        let bytes = if cfg!(miri) { 1 << 15 } else { 1 << 20 };
        Rig {
            config,
            pool: Pool::new(bytes),
            flow: Flow::new(),
            out: Out::default(),
            isns: [1000, 0xffff_fff8],
        }
    }

    /// One that hands out on arrival.
    pub fn arrival() -> Rig {
        Rig::new(Config { mode: Mode::Arrival, ..Config::default() })
    }

    /// One with its handshake done.
    pub fn open(config: Config) -> Rig {
        let mut rig = Rig::new(config);
        rig.handshake();
        rig
    }

    pub fn handshake(&mut self) {
        self.send(&Sent::data(From::Client, -1, "").flags(SYN));
        self.send(&Sent::data(From::Server, -1, "").flags(SYN | ACK));
        let outcome = self.send(&Sent::data(From::Client, 0, ""));
        assert!(outcome.established());
    }

    pub fn send(&mut self, sent: &Sent) -> Outcome {
        send(&mut self.flow, &self.config, &mut self.pool, self.isns, sent, &mut self.out)
    }

    pub fn client(&mut self, place: i64, payload: &str) -> Outcome {
        self.send(&Sent::data(From::Client, place, payload))
    }

    pub fn server_acks(&mut self, ack: i64) -> Outcome {
        self.send(&Sent::ack(From::Server, 0, ack))
    }

    pub fn finish(&mut self) {
        self.flow.finish(&self.config, &mut self.pool, &mut self.out);
        assert_eq!((self.pool.used(), self.pool.holders()), (0, 0), "a finished flow holds nothing");
    }
}

pub(super) fn send(
    flow: &mut Flow,
    config: &Config,
    pool: &mut Pool,
    isns: [u32; 2],
    sent: &Sent,
    out: &mut Out,
) -> Outcome {
    let (own, other) = if sent.from == From::Client { (isns[0], isns[1]) } else { (isns[1], isns[0]) };
    let number = |isn: u32, place: i64| isn.wrapping_add(1).wrapping_add(place as u32);
    let segment = Segment {
        direction: if sent.from == From::Client { Direction::Reverse } else { Direction::Forward },
        seq: number(own, sent.place),
        ack: if sent.flags & ACK == 0 { 0 } else { number(other, sent.ack) },
        flags: sent.flags,
        window: sent.window,
        urgent: sent.urgent,
        ttl: sent.ttl,
        window_scale: sent.window_scale,
        timestamp: sent.timestamp,
        payload: &sent.payload,
    };
    flow.segment(config, pool, &segment, out)
}

const FIN_ACK: u8 = FIN | ACK;
const RST_ACK: u8 = RST | ACK;
