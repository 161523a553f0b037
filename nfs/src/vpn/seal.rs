//! Packets into a tunnel (RFC 4303 section 3.3).

use super::association::{Association, Numbers};
use super::cipher::{ICV_LEN, IV_LEN};
use super::config::Route;
use super::{ESP_LEN, NO_ASSOCIATION, SEALED, SEQUENCE_OVERFLOW, Scratch};
use crate::tunnel::{Header, MALFORMED, NO_ROOM, Refused, Size, insert, set_ether_type, set_macs};
use engine::{Burst, Cx};
use wire::protocol::ip;
use wire::{Headers, udp};

/// Padding length and next header.
pub(super) const TRAILER_LEN: usize = 2;
/// The end of the trailer is at a multiple of so many bytes (section 2.4).
pub(super) const ALIGNMENT: usize = 4;

/// Where the parts of a frame are that goes into a tunnel.
#[derive(Clone, Copy)]
struct Shape {
    /// Where the outer IP header begins.
    start: usize,
    /// Bytes of the packet that goes in.
    len: usize,
    /// Bytes of outer IP header, UDP header and ESP header.
    front: usize,
    padding: usize,
}

impl Shape {
    fn new(route: &Route, start: usize, len: usize) -> Shape {
        let padding = (ALIGNMENT - (len + TRAILER_LEN) % ALIGNMENT) % ALIGNMENT;
        Shape { start, len, front: route.front(), padding }
    }

    /// Bytes behind the packet.
    fn tail(&self) -> usize {
        self.padding + TRAILER_LEN + ICV_LEN
    }
}

impl Route {
    /// Bytes in front of a packet in the tunnel.
    fn front(&self) -> usize {
        let udp_len = if self.udp.is_some() { udp::HEADER_LEN } else { 0 };
        self.ends.header_len() + udp_len + ESP_LEN + IV_LEN
    }

    /// How much less than the tunnel's MTU the largest packet has that goes in.
    pub(super) fn overhead(&self) -> usize {
        let room = self.way.mtu.saturating_sub(self.front() + ICV_LEN);
        let largest = (room / ALIGNMENT * ALIGNMENT).saturating_sub(TRAILER_LEN);
        self.way.mtu - largest
    }

    /// Seals a packet, under an association that packets leave by.
    #[inline]
    pub(super) fn seal(
        &self,
        burst: &mut Burst,
        i: usize,
        association: Option<&mut Association>,
        (headers, start, len): (&Headers, usize, usize),
        (size, scratch): (&mut Size, &mut Scratch),
        cx: &mut Cx<'_>,
    ) -> Result<(), Refused> {
        size.admit(burst, i, cx, (len, self.overhead()))?;
        // In the clear it never goes.
        let association = association.ok_or(Refused::Drop(NO_ASSOCIATION))?;
        let Some(numbers) = association.next(len, cx.now()) else {
            if association.ends() {
                cx.event("sequence_overflow", association.spi.into());
            }
            return Err(Refused::Drop(SEQUENCE_OVERFLOW));
        };
        let frame = burst.bytes(i);
        let class = headers.traffic_class(frame).unwrap_or(0);
        let shape = Shape::new(self, start, len);
        let mut header = Header {
            class: self.dscp.of(class >> 2) << 2 | class & 3,
            ttl: self.ttl.of(headers.ttl(frame).unwrap_or(0)),
            protocol: if self.udp.is_some() { ip::UDP } else { ip::ESP },
            flow_label: association.spi,
            payload: shape.front - self.ends.header_len() + len + shape.tail(),
        };
        header.ttl = header.ttl.max(1);
        let next = if headers.is_ipv4() { ip::IPV4 } else { ip::IPV6 };
        let seal = |frame: &mut [u8]| self.write(frame, shape, header, next, association, numbers);
        // What pads a short frame does not go along.
        if !burst.truncate(i, start + len) {
            return Err(Refused::Drop(MALFORMED));
        }
        let is_whole = burst.bytes(i).len() == start + len;
        if is_whole && burst.append(i, shape.tail()).is_some() && burst.bytes(i).len() == burst.packet_len(i)
        {
            let bytes = insert(burst, i, start, shape.front)?;
            if !seal(bytes) {
                return Err(Refused::Drop(NO_ROOM));
            }
        } else {
            // In several segments, or it would be: it is put together elsewhere.
            let frame = scratch.gather(burst, i, shape.front, start + len);
            frame.copy_within(shape.front..shape.front + start, 0);
            frame.resize(shape.front + start + len + shape.tail(), 0);
            if !seal(frame) || !burst.fill(i, frame) {
                return Err(Refused::Drop(NO_ROOM));
            }
        }
        cx.count(SEALED, 1);
        Ok(())
    }

    /// Writes everything around the packet, and encrypts it. The frame has all bytes that it needs.
    #[inline]
    fn write(
        &self,
        frame: &mut [u8],
        shape: Shape,
        header: Header,
        next: u8,
        association: &Association,
        numbers: Numbers,
    ) -> bool {
        let Shape { start, len, front, padding } = shape;
        set_ether_type(frame, start, self.ends.ether_type());
        set_macs(frame, self.outer_macs.as_ref());
        let esp_at = start + front - ESP_LEN - IV_LEN;
        if let (Some(ports), Some(out)) = (self.udp, frame.get_mut(esp_at - udp::HEADER_LEN..esp_at)) {
            let datagram = udp::HEADER_LEN + ESP_LEN + IV_LEN + len + shape.tail();
            // RFC 3948 section 2.1: without a checksum.
            for (at, word) in [(0, ports.local), (2, ports.remote), (4, datagram as u16), (6, 0)] {
                out[at..at + 2].copy_from_slice(&word.to_be_bytes());
            }
        }
        let Some((outer, sealed)) = frame.split_at_mut_checked(start + front) else { return false };
        let Some(esp) = outer.get_mut(esp_at..) else { return false };
        esp[..4].copy_from_slice(&association.spi.to_be_bytes());
        esp[4..8].copy_from_slice(&(numbers.sequence as u32).to_be_bytes());
        esp[8..].copy_from_slice(&numbers.iv);
        self.ends.write(&mut outer[start..], header);
        let Some(trailer) = sealed.get_mut(len..len + padding + TRAILER_LEN) else { return false };
        for (n, byte) in trailer[..padding].iter_mut().enumerate() {
            *byte = n as u8 + 1;
        }
        trailer[padding] = padding as u8;
        trailer[padding + 1] = next;
        let aad = association.authenticated(numbers.sequence);
        sealed
            .get_mut(..len + shape.tail())
            .is_some_and(|text| association.cipher.seal(numbers.iv, aad, text))
    }
}
