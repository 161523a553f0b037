//! Any segments: two flows of one small pool stay within their bounds, hand out what follows what was handed out, and go
//! on alike after export and import.
#![no_main]

use libfuzzer_sys::fuzz_target;
use streams::{Config, Event, Flow, Mode, Policy, Pool, Segment, Sink, Toward, Urgent};
use wire::flow::Direction;

/// What came out, and that it is in order.
#[derive(Clone, Default, PartialEq, Debug)]
struct Out {
    next: [u64; 2],
    bytes: [Vec<u8>; 2],
    ended: [bool; 2],
    events: usize,
    /// The pool was too small for something.
    cramped: bool,
}

impl Sink for Out {
    fn data(&mut self, toward: Toward, offset: u64, bytes: &[u8]) {
        let at = usize::from(toward == Toward::Client);
        assert!(!bytes.is_empty() && offset >= self.next[at] && !self.ended[at]);
        self.next[at] = offset + bytes.len() as u64;
        self.bytes[at].extend_from_slice(bytes);
    }

    fn gap(&mut self, toward: Toward, offset: u64, len: u64) {
        let at = usize::from(toward == Toward::Client);
        assert!(len > 0 && offset >= self.next[at]);
        self.next[at] = offset + len;
    }

    fn end(&mut self, toward: Toward) {
        let ended = &mut self.ended[usize::from(toward == Toward::Client)];
        assert!(!*ended);
        *ended = true;
    }

    fn begin(&mut self) {
        *self = Out::default();
    }

    fn event(&mut self, _: Toward, event: Event) {
        assert!(Event::ALL.contains(&event));
        self.cramped |= matches!(event, Event::NoRoom | Event::Evicted);
        self.events += 1;
    }
}

/// Numbers from the input; zeros after its end.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    fn short(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

fn config(bytes: &mut Bytes<'_>) -> Config {
    use Policy::*;
    let chosen = bytes.byte();
    Config {
        mode: if chosen & 1 == 0 { Mode::Arrival } else { Mode::Acknowledged },
        urgent: if chosen & 2 == 0 { Urgent::OutOfBand } else { Urgent::Inline },
        midstream: chosen & 4 == 0,
        keep: chosen & 8 == 0,
        policy: [First, Last, Bsd, Linux, OldLinux, Solaris][usize::from(chosen >> 4) % 6],
        window: u32::from(bytes.short() & 0x3fff),
        segments: u32::from(bytes.byte() & 15),
        depth: u64::from(bytes.short()),
        gap_bytes: u32::from(bytes.byte()),
        gap_segments: u32::from(bytes.byte() & 15),
        ttl_slack: bytes.byte() & 7,
    }
}

/// One segment; its numbers are near each other, so that segments meet. The payload says its place, or is the input's.
fn segment<'a>(bytes: &mut Bytes<'a>, pattern: &'a [u8]) -> (bool, Segment<'a>) {
    let kind = bytes.byte();
    let near =
        |number: u16| (number as i16 as u32).wrapping_add(if kind & 2 == 0 { 0xffff_ff00 } else { 1000 });
    let (seq, ack, options, len) = (near(bytes.short()), near(bytes.short()), bytes.byte(), bytes.short());
    let payload = match kind & 0x30 {
        0 => bytes.take(usize::from(len & 63)),
        0x30 => &[],
        _ => {
            let at = seq as usize % 256;
            &pattern[at..at + usize::from(len & 0xfff)]
        }
    };
    let segment = Segment {
        direction: if kind & 1 == 0 { Direction::Forward } else { Direction::Reverse },
        seq,
        ack,
        flags: bytes.byte(),
        window: len,
        urgent: u16::from(options),
        ttl: options & 31,
        window_scale: (kind & 4 != 0).then_some(options),
        timestamp: (kind & 8 != 0).then_some(u32::from(options)),
        payload,
    };
    (kind & 0x40 != 0, segment)
}

fuzz_target!(|input: &[u8]| {
    let pattern: Vec<u8> = (0..8192usize).map(|place| (place % 256) as u8).collect();
    let mut bytes = Bytes(input);
    let config = config(&mut bytes);
    let chunks = usize::from(bytes.byte() & 15);
    let mut pool = Pool::new(chunks * 2048);
    let mut flows = [Flow::new(), Flow::new()];
    let mut outs = [Out::default(), Out::default()];
    let mut copy: Option<(Flow, Pool, Out)> = None;
    let copy_at = usize::from(bytes.byte() & 31);
    for index in 0.. {
        if bytes.0.is_empty() {
            break;
        }
        if index == copy_at && pool.evictions() == 0 {
            let record = flows[0].export(&pool);
            let text = serde_json::to_string(&record).unwrap();
            let record = serde_json::from_str(&text).unwrap();
            let mut other = Pool::new(1 << 20);
            let flow = Flow::import(&record, &config, &mut other).expect("what was exported can be imported");
            assert_eq!(flow.export(&other), record);
            copy = Some((flow, other, outs[0].clone()));
        }
        let (second, segment) = segment(&mut bytes, &pattern);
        let which = usize::from(second);
        let outcome = flows[which].segment(&config, &mut pool, &segment, &mut outs[which]);
        assert!(pool.used() <= pool.capacity());
        assert_eq!(outcome.state, flows[which].state());
        if let (false, Some((flow, pool, out))) = (second, &mut copy) {
            flow.segment(&config, pool, &segment, out);
        }
    }
    // Where there was always room, the other flow has made no difference.
    let roomy = !outs[0].cramped && pool.evictions() == 0 && pool.most_used() < pool.capacity();
    if let Some((mut flow, mut other, mut out)) = copy.filter(|_| roomy) {
        flow.finish(&config, &mut other, &mut out);
        flows[0].finish(&config, &mut pool, &mut outs[0]);
        assert_eq!(out, outs[0]);
        assert_eq!(other.used(), 0);
    }
    for flow in &mut flows {
        flow.release(&mut pool);
    }
    assert_eq!((pool.used(), pool.holders()), (0, 0));
});
