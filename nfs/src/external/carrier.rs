//! How a packet carries its id: in the IPv4 identification, or in a VLAN tag.

use engine::Packet;
use wire::checksum::update_u16;
use wire::headers::MAX_VLANS;
use wire::protocol::ether_type;
use wire::vlan::TAG_LEN;
use wire::{Headers, Malformed, ethernet};

/// Two MAC addresses.
const MACS: usize = 12;
/// Where the identification and the checksum are in an IPv4 header.
const IDENTIFICATION: usize = 4;
const CHECKSUM: usize = 10;
/// An Authentication Header covers the identification (RFC 4302 section 3.3.3.1).
const AH: u8 = 51;

/// Ids that the identification carries: 0 is what many senders and stacks write in packets of their own.
pub(super) const IDENTIFICATIONS: (u16, u16) = (1, u16::MAX);
/// VLAN identifiers: 0 and 4095 are none (IEEE 802.1Q, table 9-2).
pub(super) const VLANS: (u16, u16) = (1, 4094);

/// What carries an id.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Carrier {
    /// The IPv4 identification.
    Identification,
    /// An outermost VLAN tag.
    Vlan,
}

/// Both carriers, in order of their numbers.
pub(super) const CARRIERS: [Carrier; 2] = [Carrier::Identification, Carrier::Vlan];

impl Carrier {
    /// Its number.
    pub(super) fn index(self) -> usize {
        self as usize
    }
}

/// Whether the identification of a packet is free to carry an id: it has no meaning where a datagram is in one piece
/// (RFC 6864 section 4), unless somebody has signed it.
pub(super) fn has_free_identification(headers: &Headers, frame: &[u8]) -> bool {
    headers.is_ipv4()
        && !headers.is_fragment()
        && headers.ip_header_len() >= 20
        && headers.protocol() != Some(AH)
        && identification(headers, frame).is_some()
}

/// Whether a frame can have so many tags more: with too many nobody finds what it carries.
pub(super) fn has_room_for_tags(headers: &Headers, frame: &[u8], tags: u8) -> bool {
    frame.len() >= ethernet::HEADER_LEN
        && headers.vlan_count() + tags <= MAX_VLANS
        && headers.malformed() != Some(Malformed::VlanTruncated)
}

/// Whether a frame is IP.
pub(super) fn is_ip(headers: &Headers) -> bool {
    matches!(headers.ether_type(), ether_type::IPV4 | ether_type::IPV6)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let word = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*word))
}

fn set_word(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(word) = bytes.get_mut(at..at + 2) {
        word.copy_from_slice(&value.to_be_bytes());
    }
}

/// The identification of an IPv4 packet.
pub(super) fn identification(headers: &Headers, frame: &[u8]) -> Option<u16> {
    if !headers.is_ipv4() {
        return None;
    }
    word(frame, headers.l3_offset() + CHECKSUM)?;
    word(frame, headers.l3_offset() + IDENTIFICATION)
}

/// The identifier of the outermost VLAN tag, if that is one of 802.1Q.
pub(super) fn tag(frame: &[u8]) -> Option<u16> {
    let id = word(frame, MACS + 2)? & 0x0fff;
    let is_tag = word(frame, MACS)? == ether_type::VLAN && frame.len() >= ethernet::HEADER_LEN + TAG_LEN;
    (is_tag && (VLANS.0..=VLANS.1).contains(&id)).then_some(id)
}

/// What a packet had where its id is now, so that it can be put back.
#[derive(Clone, Copy, Default)]
pub(super) struct Replaced {
    identification: u16,
    checksum: u16,
    /// The checksum with the id.
    marked: u16,
}

/// Writes an id into a packet whose headers are at `l3`. `None`: no buffer for a copy, or no room for a tag.
pub(super) fn mark(packet: &mut Packet, carrier: Carrier, id: u16, l3: usize) -> Option<Replaced> {
    match carrier {
        Carrier::Identification => {
            let bytes = packet.bytes_mut()?;
            let identification = word(bytes, l3 + IDENTIFICATION)?;
            let checksum = word(bytes, l3 + CHECKSUM)?;
            let marked =
                if identification == id { checksum } else { update_u16(checksum, identification, id) };
            set_word(bytes, l3 + IDENTIFICATION, id);
            set_word(bytes, l3 + CHECKSUM, marked);
            Some(Replaced { identification, checksum, marked })
        }
        Carrier::Vlan => {
            push_tag(packet, ether_type::VLAN, id)?;
            Some(Replaced::default())
        }
    }
}

/// Takes the id out of a packet that came back, whose headers are at `l3`. `false`: no buffer for a copy.
#[must_use]
pub(super) fn unmark(packet: &mut Packet, carrier: Carrier, replaced: Replaced, l3: usize) -> bool {
    match carrier {
        Carrier::Identification => {
            let Some(bytes) = packet.bytes_mut() else { return false };
            let (Some(id), Some(checksum)) = (word(bytes, l3 + IDENTIFICATION), word(bytes, l3 + CHECKSUM))
            else {
                return false;
            };
            let restored = match checksum == replaced.marked {
                // Byte for byte, whichever zero it was.
                true => replaced.checksum,
                false if id == replaced.identification => checksum,
                false => update_u16(checksum, id, replaced.identification),
            };
            set_word(bytes, l3 + IDENTIFICATION, replaced.identification);
            set_word(bytes, l3 + CHECKSUM, restored);
            true
        }
        Carrier::Vlan => pop_tag(packet),
    }
}

/// Puts a tag in front of those that are there.
pub(super) fn push_tag(packet: &mut Packet, kind: u16, id: u16) -> Option<()> {
    let bytes = packet.prepend(TAG_LEN)?;
    bytes.copy_within(TAG_LEN..TAG_LEN + MACS, 0);
    set_word(bytes, MACS, kind);
    set_word(bytes, MACS + 2, id);
    Some(())
}

/// Takes the outermost tag away.
#[must_use]
pub(super) fn pop_tag(packet: &mut Packet) -> bool {
    let Some(bytes) = packet.bytes_mut().filter(|bytes| bytes.len() >= MACS + TAG_LEN) else { return false };
    bytes.copy_within(0..MACS, TAG_LEN);
    packet.trim_front(TAG_LEN)
}

/// The first bytes of a tagged frame as they are without the tag, in `out`.
pub(super) fn without_tag<'a>(frame: &[u8], out: &'a mut [u8]) -> &'a [u8] {
    let len = frame.len().saturating_sub(TAG_LEN).min(out.len());
    if len < MACS {
        return &[];
    }
    out[..MACS].copy_from_slice(&frame[..MACS]);
    out[MACS..len].copy_from_slice(&frame[MACS + TAG_LEN..len + TAG_LEN]);
    &out[..len]
}
