//! A packet gets its other headers: in place, in several fragments, or as another ICMP error.

use super::Nat64;
use super::packet::{FRAGMENT_HEADER, Ip, Part, rewrite_transport, udp_checksum};
use super::reasons::*;
use super::translator::{Refusal, Turn, is_sound};
use crate::teller::{Complaint, quote};
use crate::tunnel::{Refused, insert, remove, set_ether_type};
use engine::{Burst, Cx, Reason};
use wire::protocol::ether_type;
use wire::{FlowKey, Headers, ipv4, ipv6};

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Refusal {
        match refused {
            Refused::Drop(_) | Refused::Other(_) => Refusal::Drop(NO_ROOM),
            // It has its verdict: whatever is said now, says it again.
            Refused::Judged => Refusal::Drop(Reason::NO_MBUFS),
        }
    }
}

impl Nat64 {
    pub(super) fn send_v4(
        &mut self,
        burst: &mut Burst,
        i: usize,
        link: usize,
        ip: &Ip,
        turn: &Turn,
    ) -> Result<(), Refusal> {
        let FlowKey::V4(key) = turn.to else { return Ok(()) };
        let mtu = usize::from(self.translator.plan.config.mtu.v4);
        if ip.v4_len() > mtu {
            return Err(Refusal::Complain(
                TOO_LARGE,
                Complaint::TooLarge(mtu + ipv6::HEADER_LEN - ipv4::HEADER_LEN),
            ));
        }
        let id = self.translator.identification();
        reframe(burst, i, (link, ip), ipv4::HEADER_LEN)?;
        let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
        set_ether_type(bytes, link, ether_type::IPV4);
        ip.write_v4(bytes.get_mut(link..).unwrap_or_default(), (key.src, key.dst), id);
        rewrite(bytes, link + ipv4::HEADER_LEN, ip, turn);
        Ok(())
    }

    pub(super) fn send_v6(
        &mut self,
        burst: &mut Burst,
        i: usize,
        (link, mut ip): (usize, Ip),
        turn: &Turn,
        ends: (u128, u128),
        cx: &mut Cx<'_>,
    ) -> Result<(), Refusal> {
        let mtu = self.translator.plan.config.mtu;
        let len = ip.v6_header_len() + ip.len;
        if ip.dont_fragment && len > usize::from(mtu.v6) {
            let told = usize::from(mtu.v6) - ip.v6_header_len() + ipv4::HEADER_LEN;
            return Err(Refusal::Complain(TOO_LARGE, Complaint::TooLarge(told)));
        }
        let cut = !ip.dont_fragment && len > usize::from(mtu.fragments);
        if cut && ip.part.is_none() {
            let id =
                burst.bytes(i).get(link + 4..link + 6).map_or(0, |id| u16::from_be_bytes([id[0], id[1]]));
            ip.part = Some(Part { offset: 0, more: false, id: id.into() });
        }
        let header_len = ip.v6_header_len();
        reframe(burst, i, (link, &ip), header_len)?;
        let at = link + header_len;
        let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
        set_ether_type(bytes, link, ether_type::IPV6);
        ip.write_v6(bytes.get_mut(link..).unwrap_or_default(), ends);
        rewrite(bytes, at, &ip, turn);
        if turn.sums {
            let len =
                burst.bytes(i).get(at + 4..at + 6).map_or(0, |len| u16::from_be_bytes([len[0], len[1]]));
            let sum = udp_checksum(ends, burst.segments(i), at, len.into());
            let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
            if let Some(place) = bytes.get_mut(at + 6..at + 8) {
                place.copy_from_slice(&sum.to_be_bytes());
            }
        }
        if cut {
            self.fragment(burst, i, (link, &ip), usize::from(mtu.fragments), cx)?;
        }
        Ok(())
    }

    /// Cuts an IPv6 packet that has a fragment header into such as fit `mtu`: the first stays in the burst, the others
    /// follow it.
    #[cold]
    fn fragment(
        &mut self,
        burst: &mut Burst,
        i: usize,
        (link, ip): (usize, &Ip),
        mtu: usize,
        cx: &mut Cx<'_>,
    ) -> Result<(), Refusal> {
        let header_len = ip.v6_header_len();
        let data = link + header_len;
        let step = (mtu - header_len) & !7;
        let len = quote(burst, i, 0, &mut self.whole);
        let part = ip.part.unwrap_or(Part { offset: 0, more: false, id: 0 });
        let mut header = [0; 46 + ipv6::HEADER_LEN + FRAGMENT_HEADER];
        let (Some(header), Some(start)) = (header.get_mut(..data), self.whole.get(..data)) else {
            return Err(Refusal::Drop(NO_ROOM));
        };
        header.copy_from_slice(start);
        let addresses = header[link + 8..].first_chunk::<32>().copied().unwrap_or([0; 32]);
        let (src, dst) = addresses.split_at(16);
        let address =
            |bytes: &[u8]| bytes.iter().fold(0u128, |address, byte| address << 8 | u128::from(*byte));
        let ends = (address(src), address(dst));
        for from in (0..len.saturating_sub(data)).step_by(step) {
            let piece = (len - data - from).min(step);
            let is_last = from + piece == len - data;
            let offset = part.offset + (from / 8) as u16;
            let part = Part { offset, more: part.more || !is_last, id: part.id };
            let ip = Ip { part: Some(part), len: piece, ..*ip };
            ip.write_v6(&mut header[link..], ends);
            if from == 0 {
                let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
                bytes.get_mut(..data).ok_or(Refusal::Drop(NO_ROOM))?.copy_from_slice(header);
                if !burst.truncate(i, data + piece) {
                    return Err(Refusal::Drop(NO_ROOM));
                }
                continue;
            }
            // In front of the piece lies what has left already.
            self.whole[from..from + data].copy_from_slice(header);
            if let Some(mut packet) = cx.new_packet()
                && packet.fill(&self.whole[from..from + data + piece])
            {
                cx.emit(0, packet);
            }
        }
        Ok(())
    }

    /// An ICMP error, which becomes another message altogether.
    #[cold]
    pub(super) fn translate_error(
        &mut self,
        burst: &mut Burst,
        i: usize,
        headers: &Headers,
        link: usize,
    ) -> Result<(), Refusal> {
        if !is_sound(headers, burst.bytes(i), burst.segments(i), burst.packet_len(i)) {
            return Err(Refusal::Drop(ICMP_BAD_CHECKSUM));
        }
        let Nat64 { translator, error: [first, second], .. } = self;
        let n = quote(burst, i, 0, first);
        let mut len = translator.error(headers, &first[..n], second).map_err(Refusal::Drop)?;
        let between = wire::parse(&second[..len]);
        let outside = between.ipv4_addresses(&second[..len]).map(|(_, outside)| outside);
        let mut made = &second[..];
        if outside.is_some_and(|outside| translator.plan.is_outside(outside)) {
            // About a packet between two IPv6 hosts: back to where it came from (RFC 6146 section 3.8).
            len = translator.error(&between, &second[..len], first).map_err(Refusal::Drop)?;
            made = &first[..];
        }
        if !burst.truncate(i, link) {
            return Err(Refusal::Drop(NO_ROOM));
        }
        let room = burst.append(i, len - link).ok_or(Refusal::Drop(NO_ROOM))?;
        room.copy_from_slice(&made[link..len]);
        let bytes = burst.bytes_mut(i).ok_or(Refused::Judged)?;
        bytes.get_mut(..link).ok_or(Refusal::Drop(NO_ROOM))?.copy_from_slice(&made[..link]);
        Ok(())
    }
}

/// Takes the padding off, and gives the IP headers (of whatever version) another length.
fn reframe(burst: &mut Burst, i: usize, (link, ip): (usize, &Ip), header_len: usize) -> Result<(), Refusal> {
    let end = ip.data + ip.len;
    if burst.packet_len(i) > end && !burst.truncate(i, end) {
        return Err(Refusal::Drop(NO_ROOM));
    }
    let old = ip.data - link;
    if header_len > old {
        insert(burst, i, link, header_len - old)?;
    } else if header_len < old {
        remove(burst, i, link, old - header_len)?;
    } else {
        burst.reparse(i);
    }
    Ok(())
}

/// Rewrites the transport header at `at`, if the packet has one.
pub(super) fn rewrite(bytes: &mut [u8], at: usize, ip: &Ip, turn: &Turn) {
    if !ip.is_later()
        && let Some(transport) = bytes.get_mut(at..)
    {
        rewrite_transport(transport, ip.protocol, &turn.to, turn.delta, turn.way, ip.len);
    }
}
