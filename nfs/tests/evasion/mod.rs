//! Ways to send some bytes over TCP, each of which their receiver reads as the plain stream: the rows of
//! `docs/evasion.md`.

use wire::builder::{self, Builder};
use wire::checksum::Sum;
use wire::protocol::ip;
use wire::tcp::flags::{ACK, FIN, PSH, RST, SYN, URG};

/// What a rule is to find.
pub const TEXT: &[u8] = b"this is an ATTACK NOW, or so it seems";
const LENGTH: u32 = TEXT.len() as u32;
/// Of the server.
const ISN: u32 = 5000;

/// A way to send [`TEXT`].
pub struct Way {
    pub name: &'static str,
    pub frames: Vec<Vec<u8>>,
    /// Settings of streams that it needs.
    pub streams: &'static str,
}

/// A client and a server.
#[derive(Clone, Copy)]
pub struct Ends {
    pub six: bool,
    /// The client's initial sequence number.
    pub isn: u32,
}

pub const V4: Ends = Ends { six: false, isn: 1000 };
pub const V6: Ends = Ends { six: true, isn: 1000 };

impl Ends {
    fn ip(&self, forward: bool) -> Builder {
        let (from, to) = if forward { (1, 2) } else { (2, 1) };
        let link = Builder::ethernet([2, 0, 0, 0, 0, from], [2, 0, 0, 0, 0, to]);
        if self.six {
            let end = |last: u8| [0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)];
            link.ipv6(end(from), end(to))
        } else {
            let end = |last: u8| if last == 1 { [10, 0, 0, 1] } else { [192, 0, 2, 1] };
            link.ipv4(end(from), end(to))
        }
    }

    /// From the client, `at` bytes into its stream.
    pub fn tcp(&self, at: u32) -> Builder {
        let seq = self.isn.wrapping_add(1).wrapping_add(at);
        self.ip(true).tcp(4000, 80).flags(ACK | PSH).seq(seq).ack(ISN + 1)
    }

    pub fn segment(&self, at: u32, text: &[u8]) -> Builder {
        self.tcp(at).payload(text)
    }

    fn syn(&self) -> Builder {
        self.ip(true).tcp(4000, 80).flags(SYN).seq(self.isn)
    }

    /// From the server.
    fn answer(&self, flags: u8, seq: u32, acked: u32) -> Builder {
        let ack = self.isn.wrapping_add(1).wrapping_add(acked);
        self.ip(false).tcp(80, 4000).flags(flags).seq(seq).ack(ack)
    }

    pub fn acks(&self, acked: u32) -> Builder {
        self.answer(ACK, ISN + 1, acked)
    }

    pub fn opening(&self) -> Vec<Builder> {
        vec![self.syn(), self.answer(SYN | ACK, ISN, 0), self.tcp(0).flags(ACK)]
    }

    fn closing(&self, sent: u32) -> Vec<Builder> {
        vec![
            self.acks(sent),
            self.tcp(sent).flags(FIN | ACK),
            self.answer(FIN | ACK, ISN + 1, sent + 1),
            self.tcp(sent + 1).flags(ACK).ack(ISN + 2),
        ]
    }

    /// A connection in which the client sends `middle`, and the server acknowledges `sent` bytes of it.
    pub fn connection(&self, middle: Vec<Builder>, sent: u32) -> Vec<Vec<u8>> {
        let all = [self.opening(), middle, self.closing(sent)];
        all.into_iter().flatten().map(Builder::build).collect()
    }

    fn cut(&self, size: usize) -> Vec<Builder> {
        let pieces = TEXT.chunks(size).enumerate();
        pieces.map(|(i, piece)| self.segment((i * size) as u32, piece)).collect()
    }

    /// A part of the text.
    fn part(&self, from: usize, to: usize) -> Builder {
        self.segment(from as u32, &TEXT[from..to])
    }

    /// Other bytes for a part of it.
    fn decoy(&self, from: usize, to: usize) -> Builder {
        self.segment(from as u32, &vec![b'x'; to - from])
    }

    /// Every way to send the text over these ends.
    pub fn ways(&self) -> Vec<Way> {
        let whole = TEXT.len();
        let way =
            |name, middle: Vec<Builder>| Way { name, frames: self.connection(middle, LENGTH), streams: "" };
        let backwards = self.cut(5).into_iter().rev().collect();
        let twice = self.cut(9).into_iter().chain(self.cut(9)).collect();
        let before_each = |decoy: &dyn Fn(Builder) -> Builder| {
            let places = (0..whole).step_by(6).map(|from| (from, (from + 6).min(whole)));
            let both = |(from, to)| [decoy(self.decoy(from, to)), self.part(from, to)];
            places.flat_map(both).collect::<Vec<_>>()
        };
        let mut ways = vec![
            way("plain", self.cut(whole)),
            way("tiny segments", self.cut(1)),
            way("out of order", backwards),
            way("everything twice", twice),
            way("overlapping", vec![self.part(0, 16), self.part(4, 20), self.part(12, whole)]),
            way("other bytes later", vec![self.part(10, whole), self.decoy(10, whole), self.part(0, 10)]),
            way("other bytes earlier", vec![self.decoy(10, 20), self.part(9, whole), self.part(0, 9)]),
            way("other bytes afterwards", vec![self.part(0, 20), self.decoy(0, 20), self.part(20, whole)]),
            way("a low TTL", before_each(&|decoy| decoy.ttl(3))),
            way("no ACK", before_each(&|decoy| decoy.flags(PSH))),
            way("an ACK of what was never sent", before_each(&|decoy| decoy.ack(900_000_000))),
            way("bad checksums of TCP", before_each(&Builder::bad_checksum)),
            way(
                "a keep-alive probe",
                vec![self.part(0, 12), self.acks(12), self.decoy(11, 12), self.part(12, whole)],
            ),
            way("old timestamps", self.old_timestamps()),
        ];
        ways.extend(self.windows_and_urgent_data());
        ways.extend(self.handshakes());
        ways.extend(self.resets_and_ends());
        ways.extend(self.fragments());
        ways
    }

    fn old_timestamps(&self) -> Vec<Builder> {
        let at = |time: u32, segment: Builder| {
            segment.tcp_options(&[&[1, 1, 8, 10][..], &time.to_be_bytes(), &[0; 4]].concat())
        };
        let whole = TEXT.len();
        let first = vec![at(1000, self.part(0, 6)), self.acks(6), at(1001, self.part(6, 12)), self.acks(12)];
        first.into_iter().chain([at(500, self.decoy(12, whole)), at(1002, self.part(12, whole))]).collect()
    }

    fn windows_and_urgent_data(&self) -> Vec<Way> {
        let whole = TEXT.len();
        let mut beyond = self.connection(
            vec![self.part(0, 16), self.decoy(16, whole), self.acks(16), self.part(16, whole)],
            LENGTH,
        );
        beyond[1] = self.answer(SYN | ACK, ISN, 0).window(16).build();
        let mut ways = vec![Way { name: "beyond the window", frames: beyond, streams: "" }];
        // The pointer points behind the urgent byte, which is a twentieth one in the middle of the text.
        let with_byte = [&TEXT[..13], b"!", &TEXT[13..]].concat();
        for (name, begins, pointer) in [
            ("an urgent byte", 0, 14),
            ("an urgent byte after its pointer", 13, 14),
            ("in tiny segments", 12, 2),
        ] {
            let mut middle = vec![self.segment(0, &with_byte[..begins]).build()];
            middle.push(urgent(self.segment(begins as u32, &with_byte[begins..]), pointer));
            if begins == 13 {
                middle[0] = urgent(self.segment(0, &with_byte[..begins]), pointer);
                middle[1] = self.segment(begins as u32, &with_byte[begins..]).build();
            }
            if begins == 0 {
                middle.remove(0);
            }
            let mut frames = self.connection(Vec::new(), LENGTH + 1);
            frames.splice(3..3, middle);
            ways.push(Way { name, frames, streams: "" });
        }
        let mut inline = self.connection(Vec::new(), LENGTH);
        inline.insert(3, urgent(self.part(0, whole), 14));
        ways.push(Way { name: "urgent data inline", frames: inline, streams: "urgent = \"inline\"" });
        ways
    }

    fn handshakes(&self) -> Vec<Way> {
        let whole = TEXT.len();
        let plain = || self.connection(self.cut(10), LENGTH);
        let with = |name, change: &dyn Fn(&mut Vec<Vec<u8>>)| {
            let mut frames = plain();
            change(&mut frames);
            Way { name, frames, streams: "" }
        };
        let other = Ends { isn: 777_777, ..*self };
        let fast_open = self.syn().tcp_options(&[34, 2]).payload(&TEXT[..20]);
        let mut opened = vec![fast_open, self.answer(SYN | ACK, ISN, 20), self.tcp(20).flags(ACK)];
        opened.push(self.part(20, whole));
        opened.extend(self.closing(LENGTH));
        vec![
            with("data with the SYN", &|frames| frames[0] = self.syn().payload(b"nobody reads this").build()),
            with("another SYN before", &|frames| frames.insert(0, other.syn().build())),
            with("another SYN after", &|frames| frames.insert(1, other.syn().build())),
            with("another answer before", &|frames| {
                frames.insert(1, self.answer(SYN | ACK, 70_000, 0).build());
            }),
            with("a SYN in the connection", &|frames| frames.insert(4, other.syn().payload(b"no").build())),
            with("both ends begin", &|frames| {
                let server = self.ip(false).tcp(80, 4000).flags(SYN).seq(ISN);
                let client = self.syn().flags(SYN | ACK).ack(ISN + 1);
                frames.splice(1..3, [server, client, self.answer(SYN | ACK, ISN, 0)].map(Builder::build));
            }),
            Way { name: "Fast Open", frames: opened.into_iter().map(Builder::build).collect(), streams: "" },
            Way {
                name: "numbers that wrap",
                frames: Ends { isn: u32::MAX - 12, ..*self }.connection(self.wrapping(), LENGTH),
                streams: "",
            },
        ]
    }

    fn wrapping(&self) -> Vec<Builder> {
        Ends { isn: u32::MAX - 12, ..*self }.cut(7)
    }

    fn resets_and_ends(&self) -> Vec<Way> {
        let whole = TEXT.len();
        let around = |name, middle: Vec<Builder>| {
            let all = [vec![self.part(0, 14)], middle, vec![self.part(14, whole)]];
            Way { name, frames: self.connection(all.concat(), LENGTH), streams: "" }
        };
        let reset = |at: u32| self.tcp(at).flags(RST);
        let other = Ends { isn: 777_777, ..*self };
        // Real ones, after which the same ends begin again.
        let again = Ends { isn: 3_000_000, ..*self };
        let mut anew = [self.opening(), vec![self.segment(0, &[b'y'; 1200])]].concat();
        anew.extend((1..4).map(|i| self.segment(1200 * i, &[b'y'; 1200])));
        anew.extend([self.acks(4800), self.tcp(4800).flags(RST | ACK)]);
        let mut anew: Vec<_> = anew.into_iter().map(Builder::build).collect();
        anew.extend(again.connection(again.cut(14), LENGTH));
        vec![
            around("a reset that nobody heeds", vec![reset(900_000)]),
            around("a reset that looks right", vec![reset(14)]),
            around("a reset that looks right, and a SYN", vec![reset(14), other.syn()]),
            around("a reset with a low TTL", vec![reset(14).ttl(3)]),
            around("an end that does not arrive", vec![self.tcp(14).flags(FIN | ACK)]),
            around("an end with a low TTL", vec![self.tcp(14).flags(FIN | ACK).ttl(3)]),
            Way { name: "after a real reset", frames: anew, streams: "" },
        ]
    }

    fn fragments(&self) -> Vec<Way> {
        let packet = self.part(0, TEXT.len()).build();
        let link_and_ip = if self.six { 14 + 40 + 8 } else { 14 + 20 };
        let decoy = |piece: &Vec<u8>| {
            let mut decoy = piece.clone();
            decoy[link_and_ip..].fill(b'x');
            decoy
        };
        let large = builder::fragments(&packet, if self.six { 72 } else { 44 }, 99);
        let tiny = builder::fragments(&packet, 1, 99);
        assert!(large.len() > 2 && tiny.len() > 6);
        let way = |name, pieces: Vec<Vec<u8>>| {
            let mut frames = self.connection(Vec::new(), LENGTH);
            frames.splice(3..3, pieces);
            Way { name, frames, streams: "" }
        };
        let mut ways = vec![
            way("in fragments", large.clone()),
            way("in fragments, backwards", large.iter().rev().cloned().collect()),
            way("in tiny fragments", tiny.clone()),
            way("in tiny fragments, backwards", tiny.into_iter().rev().collect()),
            way("in fragments, each with another after it", {
                let (last, others) = large.split_last().expect("some");
                others.iter().flat_map(|piece| [piece.clone(), decoy(piece)]).chain([last.clone()]).collect()
            }),
        ];
        if self.six {
            let atomic = |segment: Builder| segment.build();
            let whole = self.ip(true).destination_options().ipv6_fragment(0, false, 5);
            let whole = whole.tcp(4000, 80).flags(ACK | PSH).seq(self.isn + 1).ack(ISN + 1).payload(TEXT);
            ways.push(way("an atomic fragment behind options", vec![atomic(whole)]));
        } else {
            let bad = |piece: &Vec<u8>| {
                let mut bad = decoy(piece);
                bad[14 + 10] ^= 0x55;
                bad
            };
            let both = large.iter().flat_map(|piece| [bad(piece), piece.clone()]);
            ways.push(way("fragments with bad checksums", both.collect()));
            let bad =
                self.ip(true).bad_checksum().tcp(4000, 80).flags(ACK | PSH).seq(self.isn + 1).ack(ISN + 1);
            let bad = bad.payload(&[b'x'; TEXT.len()]).build();
            ways.push(way("bad checksums of IP", vec![bad, packet]));
        }
        ways
    }
}

/// A segment with an urgent pointer.
fn urgent(segment: Builder, pointer: u16) -> Vec<u8> {
    let mut frame = segment.build();
    let headers = wire::parse(&frame);
    let at = headers.l4_offset().expect("TCP");
    let key = wire::FlowKey::from_packet(&headers, &frame).expect("TCP");
    let length = (frame.len() - at) as u32;
    let pseudo = match key {
        wire::FlowKey::V4(key) => Sum::pseudo_v4(key.src, key.dst, ip::TCP, length),
        wire::FlowKey::V6(key) => Sum::pseudo_v6(key.src, key.dst, ip::TCP, length),
    };
    let mut tcp = wire::tcp::Packet::new_checked(&mut frame[at..]).expect("TCP");
    tcp.set_flags(ACK | PSH | URG);
    tcp.set_urgent(pointer);
    tcp.fill_checksum(pseudo);
    frame
}
