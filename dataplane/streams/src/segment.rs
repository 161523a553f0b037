//! What reassembly needs to know of a TCP segment.

use wire::flow::Direction;
use wire::tcp::{self, TcpOption};

/// A TCP segment whose checksum was found right.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Which end of the flow's canonical key sent it: not who is client.
    pub direction: Direction,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number; counts with flag ACK only.
    pub ack: u32,
    /// Flags: [`wire::tcp::flags`].
    pub flags: u8,
    /// Window, before scaling.
    pub window: u16,
    /// Urgent pointer; counts with flag URG only.
    pub urgent: u16,
    /// TTL or hop limit; 0 if not known.
    pub ttl: u8,
    /// Shift of the window scale option.
    pub window_scale: Option<u8>,
    /// Value of the timestamps option.
    pub timestamp: Option<u32>,
    /// What follows the TCP header, without the link's padding.
    pub payload: &'a [u8],
}

impl<'a> Segment<'a> {
    /// That of a packet. Its options are read as far as they are well formed.
    pub fn of(packet: &'a tcp::Packet<&'a [u8]>, direction: Direction, ttl: u8) -> Segment<'a> {
        let mut segment = Segment {
            direction,
            seq: packet.seq(),
            ack: packet.ack(),
            flags: packet.flags(),
            window: packet.window(),
            urgent: packet.urgent(),
            ttl,
            window_scale: None,
            timestamp: None,
            payload: packet.payload(),
        };
        for option in packet.options() {
            match option {
                Ok(TcpOption::WindowScale(shift)) => segment.window_scale = Some(shift),
                Ok(TcpOption::Timestamps { value, .. }) => segment.timestamp = Some(value),
                Ok(_) => {}
                Err(_) => break,
            }
        }
        segment
    }

    /// Whether all of these flags are set.
    #[inline]
    pub(crate) fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }
}
