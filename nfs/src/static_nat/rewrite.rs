//! How a packet gets other addresses: they, and the checksums over them, change by what the prefixes differ by.

use super::config::{IcmpErrors, Pair, Plan};
use wire::checksum::Delta;
use wire::protocol::ip;
use wire::{Headers, UsualIpv4};

/// Where things are in an IPv4 header.
const CHECKSUM: usize = 10;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;

/// What becomes of a packet's addresses; `None` of one that stays as it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Change<'a> {
    source: Option<&'a Pair>,
    destination: Option<&'a Pair>,
}

/// The pair that an address is mapped by.
#[inline(always)]
fn find(pairs: &[Pair], address: u32) -> Option<&Pair> {
    pairs.iter().find(|pair| pair.from.contains(address))
}

impl Plan {
    #[inline(always)]
    pub(super) fn change(&self, (source, destination): (u32, u32)) -> Change<'_> {
        Change { source: find(&self.source, source), destination: find(&self.destination, destination) }
    }

    /// Of a packet that an ICMP error quotes. It went the other way: there its source was the destination of what comes
    /// by here.
    fn change_quoted(&self, (source, destination): (u32, u32)) -> Change<'_> {
        Change { source: find(&self.destination, source), destination: find(&self.source, destination) }
    }

    /// What becomes of a packet of any kind, and of the one that it quotes if it is an ICMP error.
    pub(super) fn judge<'a>(&'a self, headers: &Headers, frame: &[u8]) -> Option<Verdict<'a>> {
        let addresses = headers.ipv4_addresses(frame)?;
        let change = if has_other_checksum(headers) { Change::default() } else { self.change(addresses) };
        let quoted = match self.icmp_errors {
            IcmpErrors::Translate => headers.embedded(frame).and_then(|inner| {
                let change = self.change_quoted(inner.ipv4_addresses(frame)?);
                (change.is_any() && !has_other_checksum(&inner)).then_some((inner, change))
            }),
            IcmpErrors::Pass => None,
        };
        (change.is_any() || quoted.is_some()).then_some(Verdict { change, quoted })
    }
}

/// UDP-Lite and DCCP cover the addresses by checksums that no field is declared for: their packets stay as they are.
fn has_other_checksum(headers: &Headers) -> bool {
    matches!(headers.protocol(), Some(ip::UDP_LITE | ip::DCCP))
}

/// What becomes of one packet.
pub(super) struct Verdict<'a> {
    change: Change<'a>,
    quoted: Option<(Headers, Change<'a>)>,
}

impl Verdict<'_> {
    /// It quotes a packet that changes.
    pub(super) fn quotes(&self) -> bool {
        self.quoted.is_some()
    }

    pub(super) fn apply(&self, headers: &Headers, frame: &mut [u8]) {
        let l3 = headers.l3_offset();
        // Padding is nobody's header.
        let end = headers.l3_len().map_or(frame.len(), |length| (l3 + length).min(frame.len()));
        let Some(packet) = frame.get_mut(..end.max((l3 + 20).min(frame.len()))) else { return };
        let transport = headers.l4_offset().map(|offset| (offset, headers.protocol().unwrap_or(0)));
        self.change.write(packet, l3, transport.filter(|_| !headers.is_later_fragment()));
        if let (Some((inner, change)), Some(icmp)) = (&self.quoted, headers.l4_offset()) {
            let at = inner.l3_offset();
            let l4 = at + inner.ip_header_len();
            let places = [at + CHECKSUM, l4 + 6, l4 + 16];
            let before = places.map(|place| word(packet, place));
            let transport = inner.protocol().filter(|_| !inner.is_later_fragment());
            change.write(packet, at, transport.map(|protocol| (l4, protocol)));
            // What of the message has changed, its own checksum covers.
            let after = places.map(|place| word(packet, place));
            let sums = before.into_iter().zip(after);
            let delta = sums.fold(Delta::NONE, |delta, (before, after)| match (before, after) {
                (Some(before), Some(after)) => delta.u16(before, after),
                _ => delta,
            });
            update(packet, icmp + 2, |checksum| {
                let addresses = change.pairs().fold(checksum, |checksum, pair| pair.delta.update(checksum));
                delta.update(addresses)
            });
        }
    }
}

impl<'a> Change<'a> {
    pub(super) fn is_any(&self) -> bool {
        self.source.is_some() || self.destination.is_some()
    }

    fn pairs(&self) -> impl Iterator<Item = &'a Pair> {
        self.source.into_iter().chain(self.destination)
    }

    /// Into the IPv4 header at `l3`, and the transport header of that protocol, as far as it is there.
    fn write(&self, packet: &mut [u8], l3: usize, transport: Option<(usize, u8)>) {
        for (at, pair) in [(SOURCE, self.source), (DESTINATION, self.destination)] {
            if let (Some(pair), Some(place)) = (pair, packet.get_mut(l3 + at..l3 + at + 4)) {
                let address = place.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
                place.copy_from_slice(&pair.map(address).to_be_bytes());
            }
        }
        for pair in self.pairs() {
            update(packet, l3 + CHECKSUM, |checksum| pair.delta.update(checksum));
            match transport {
                Some((l4, ip::TCP)) => update(packet, l4 + 16, |checksum| pair.delta.update(checksum)),
                Some((l4, ip::UDP)) => update(packet, l4 + 6, |checksum| pair.delta.update_udp(checksum)),
                _ => {}
            }
        }
    }

    /// Into a packet that [`UsualIpv4`] knows.
    #[inline(always)]
    pub(super) fn write_usual(&self, packet: &mut [u8]) {
        let Some((head, rest)) = packet.split_first_chunk_mut::<42>() else { return };
        for (at, pair) in [(14 + SOURCE, self.source), (14 + DESTINATION, self.destination)] {
            let Some(pair) = pair else { continue };
            let address = u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
            head[at..at + 4].copy_from_slice(&pair.map(address).to_be_bytes());
            [head[24], head[25]] = pair.delta.update([head[24], head[25]]);
            if head[23] == ip::UDP {
                [head[40], head[41]] = pair.delta.update_udp([head[40], head[41]]);
            } else if let Some(field) = rest.get_mut(8..10) {
                field.copy_from_slice(&pair.delta.update([field[0], field[1]]));
            }
        }
    }

    /// The change of a packet that [`UsualIpv4`] knows.
    #[inline(always)]
    pub(super) fn of_usual(plan: &'a Plan, packet: UsualIpv4<'_>) -> Change<'a> {
        plan.change(packet.addresses())
    }
}

fn word(packet: &[u8], at: usize) -> Option<u16> {
    packet.get(at..at + 2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// Changes a checksum, if it is within the packet.
fn update(packet: &mut [u8], at: usize, change: impl FnOnce([u8; 2]) -> [u8; 2]) {
    if let Some(field) = packet.get_mut(at..at + 2) {
        field.copy_from_slice(&change([field[0], field[1]]));
    }
}
