//! What a TCP segment says.

use wire::Headers;
use wire::tcp::{Options, TcpOption, flags};

/// Kinds of segments, as the state of a connection sees them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(in super::super) enum SegmentKind {
    Syn,
    SynAck,
    Fin,
    Ack,
    Rst,
}

/// A segment in numbers.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Segment {
    pub seq: u32,
    pub ack: u32,
    /// The highest number of a selective acknowledgement, or `ack`.
    pub sack: u32,
    /// Bytes of payload.
    pub len: u32,
    /// As it stands in the header.
    pub window: u16,
    pub flags: u8,
    /// It has options, of whatever kind.
    pub has_options: bool,
    pub scale: Option<u8>,
    pub sack_permitted: bool,
}

impl Segment {
    /// The segment of a packet with a whole TCP header; `None` without one.
    #[inline(always)]
    pub(in super::super) fn of(headers: &Headers, frame: &[u8]) -> Option<Segment> {
        let (at, payload) = (headers.l4_offset()?, headers.payload_offset()?);
        let header: &[u8; 20] = frame.get(at..)?.first_chunk()?;
        let word = |i: usize| u32::from_be_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
        let ack = word(8);
        let mut segment = Segment {
            seq: word(4),
            ack,
            sack: ack,
            len: headers.payload_len()? as u32,
            window: u16::from_be_bytes([header[14], header[15]]),
            flags: header[13],
            has_options: payload > at + 20,
            scale: None,
            sack_permitted: false,
        };
        let options = frame.get(at + 20..payload).unwrap_or_default();
        if !options.is_empty() && !is_timestamps_alone(options) {
            segment.read(options);
        }
        Some(segment)
    }

    #[cold]
    fn read(&mut self, options: &[u8]) {
        for option in Options::new(options).map_while(Result::ok) {
            match option {
                // RFC 7323 section 2.3: more than 14 counts as 14.
                TcpOption::WindowScale(shift) => self.scale = Some(shift.min(14)),
                TcpOption::SackPermitted => self.sack_permitted = true,
                TcpOption::Sack(blocks) => {
                    for (_, end) in blocks.iter() {
                        if after(end, self.sack) {
                            self.sack = end;
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// `None` for flags that do not go together. ECN and PSH go with everything, URG with what may have data.
    #[inline(always)]
    pub(in super::super) fn kind(&self) -> Option<SegmentKind> {
        const IGNORED: u8 = flags::ECE | flags::CWR | flags::PSH;
        const ACK_URG: u8 = flags::ACK | flags::URG;
        const SYN_URG: u8 = flags::SYN | flags::URG;
        const SYN_ACK: u8 = flags::SYN | flags::ACK;
        const RST_ACK: u8 = flags::RST | flags::ACK;
        const FIN_ACK: u8 = flags::FIN | flags::ACK;
        const FIN_ACK_URG: u8 = FIN_ACK | flags::URG;
        match self.flags & !IGNORED {
            flags::ACK | ACK_URG => Some(SegmentKind::Ack),
            flags::SYN | SYN_URG => Some(SegmentKind::Syn),
            SYN_ACK => Some(SegmentKind::SynAck),
            flags::RST | RST_ACK => Some(SegmentKind::Rst),
            FIN_ACK | FIN_ACK_URG => Some(SegmentKind::Fin),
            _ => None,
        }
    }

    #[inline(always)]
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The sequence number after it.
    #[inline(always)]
    pub(super) fn end(&self) -> u32 {
        let controls = u32::from(self.has(flags::SYN)) + u32::from(self.has(flags::FIN));
        self.seq.wrapping_add(self.len).wrapping_add(controls)
    }
}

/// The options of most segments (RFC 7323, appendix A).
#[inline(always)]
fn is_timestamps_alone(options: &[u8]) -> bool {
    options.len() == 12 && options.first_chunk::<4>() == Some(&[1, 1, 8, 10])
}

/// `a` comes after `b`, in numbers that wrap (RFC 9293 section 3.4).
#[inline(always)]
pub(super) fn after(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) < 0
}
