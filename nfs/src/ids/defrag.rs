//! Datagrams from fragments: what rules are about is often in none of them alone.
//!
//! Fragments go on as they come; copies of their data are put together here, in bounded memory, and the datagram is
//! looked at with its last fragment. Where fragments overlap, the earlier one counts, unless the later one begins before
//! it (BSD's policy, Suricata's default; U. Shankar, V. Paxson, *Active Mapping*, 2003). Of a datagram that was dropped
//! the other fragments are with its receiver already: that one is not let through either when it is sent again.

use super::way::hex;
use engine::Time;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use wire::{Fields, FragmentKey, Headers};

/// Datagrams that are put together at a time, bytes of all of them, and fragments of one: of datagrams the oldest gives
/// way.
const DATAGRAMS: usize = 1024;
const BYTES: usize = 8 << 20;
const FRAGMENTS: usize = 1024;
/// Bytes of the data of a datagram.
const LONGEST: usize = 65_535;
/// Linux's `ipfrag_time`.
const PATIENCE: Duration = Duration::from_secs(30);

/// Datagrams of which some fragments came.
#[derive(Default)]
pub(super) struct Defrag {
    datagrams: Datagrams,
    /// In the order in which they began, with their numbers; some of them are there no longer.
    order: VecDeque<(FragmentKey, u64)>,
    /// How many began.
    begun: u64,
    bytes: usize,
    pub reassembled: u64,
    pub given_up: u64,
}

/// A datagram of which not all is there; also as records have it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Datagram {
    /// Which one it is here.
    #[serde(skip)]
    number: u64,
    /// In nanoseconds.
    began: u64,
    /// It was whole, and dropped.
    #[serde(default)]
    dropped: bool,
    /// IP header of the first fragment, without IPv6's extension headers.
    #[serde(with = "hex")]
    header: Vec<u8>,
    /// What its data begin with.
    protocol: u8,
    pieces: Vec<Piece>,
    /// Bytes of data in all, once the last fragment came.
    length: Option<usize>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Piece {
    from: usize,
    #[serde(with = "hex")]
    data: Vec<u8>,
}

impl Piece {
    fn to(&self) -> usize {
        self.from + self.data.len()
    }
}

/// What a fragment makes of its datagram.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Taken {
    /// It is not whole yet, or cannot be put together.
    InPieces,
    /// It is whole: one packet, from its IP header on.
    Whole(Vec<u8>),
    /// It was whole before, and dropped.
    Dropped,
}

impl Defrag {
    /// Takes a fragment's data in; of the first one's headers no more than the fields in `reads`.
    pub(super) fn take(&mut self, headers: &Headers, frame: &[u8], reads: Fields, now: Time) -> Taken {
        self.forget_old(now);
        let Some(key) = FragmentKey::from_packet(headers, frame) else { return Taken::InPieces };
        if self.datagrams.get(&key).is_some_and(|datagram| datagram.dropped) {
            return Taken::Dropped;
        }
        self.add(key, headers, frame, reads, now).map_or(Taken::InPieces, Taken::Whole)
    }

    fn add(
        &mut self,
        key: FragmentKey,
        headers: &Headers,
        frame: &[u8],
        reads: Fields,
        now: Time,
    ) -> Option<Vec<u8>> {
        let offset = headers.fragment_offset(frame)?;
        let Place { at, is_last, protocol } = place(headers, frame)?;
        let end = (headers.l3_offset() + headers.l3_len()?).min(frame.len());
        let mut data = Cow::Borrowed(frame.get(at..end)?);
        if data.is_empty() || offset + data.len() > LONGEST || headers.is_cut() {
            return None;
        }
        // The transport header is in the first one.
        let mut mask = Vec::new();
        if offset == 0 {
            mask.resize(end, 0);
            wire::fields::mask(headers, frame, reads, &mut mask);
            data = Cow::Owned(masked(&data, mask.get(at..end)?));
        }
        if !self.datagrams.contains_key(&key) {
            self.begin(key, Datagram { began: now.as_nanos(), ..Datagram::default() }, data.len());
        }
        let datagram = self.datagrams.get_mut(&key)?;
        if datagram.pieces.len() >= FRAGMENTS || self.bytes + data.len() > BYTES {
            return None;
        }
        if offset == 0 && datagram.header.is_empty() {
            let from = headers.l3_offset();
            let to = from + headers.ip_header_len();
            datagram.header = masked(frame.get(from..to)?, mask.get(from..to)?);
            datagram.protocol = protocol;
        }
        let before = datagram.held();
        datagram.add(offset, &data);
        self.bytes = self.bytes + datagram.held() - before;
        if is_last {
            datagram.length.get_or_insert(offset + data.len());
        }
        if !datagram.is_whole() {
            return None;
        }
        let datagram = self.remove(&key)?;
        self.reassembled += 1;
        datagram.packet()
    }

    /// Remembers that a datagram was dropped.
    pub(super) fn condemn(&mut self, headers: &Headers, frame: &[u8], now: Time) {
        if let Some(key) = FragmentKey::from_packet(headers, frame) {
            self.remove(&key);
            self.begin(key, Datagram { began: now.as_nanos(), dropped: true, ..Datagram::default() }, 0);
        }
    }

    /// A new datagram, of which so many bytes are to come; without room the oldest give way.
    fn begin(&mut self, key: FragmentKey, datagram: Datagram, to_come: usize) {
        let held = datagram.held();
        while self.datagrams.len() >= DATAGRAMS || self.bytes + held + to_come > BYTES {
            if !self.forget_oldest() {
                return;
            }
        }
        if self.order.len() >= 2 * DATAGRAMS {
            let datagrams = &self.datagrams;
            self.order.retain(|(key, number)| is_there(datagrams, key, *number));
        }
        self.begun += 1;
        self.bytes += held;
        self.order.push_back((key, self.begun));
        self.datagrams.insert(key, Datagram { number: self.begun, ..datagram });
    }

    fn remove(&mut self, key: &FragmentKey) -> Option<Datagram> {
        let datagram = self.datagrams.remove(key)?;
        self.bytes -= datagram.held();
        Some(datagram)
    }

    /// Datagrams that are being put together or were dropped, in the order in which they began.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&FragmentKey, &Datagram)> {
        let there = self.order.iter().filter(|(key, number)| is_there(&self.datagrams, key, *number));
        there.filter_map(|(key, _)| Some((key, self.datagrams.get(key)?)))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Takes in a datagram of another instance, in place of what is known of it; without room the oldest give way.
    pub(super) fn restore(&mut self, key: FragmentKey, datagram: Datagram) {
        self.remove(&key);
        self.begin(key, datagram, 0);
    }

    fn forget_old(&mut self, now: Time) {
        while let Some((key, number)) = self.order.front() {
            let young = |datagram: &Datagram| now.since(Time::from_nanos(datagram.began)) <= PATIENCE;
            let there = self.datagrams.get(key).filter(|datagram| datagram.number == *number);
            if there.is_some_and(young) {
                return;
            }
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((key, number)) = self.order.pop_front() else { return false };
        if is_there(&self.datagrams, &key, number)
            && let Some(datagram) = self.remove(&key)
        {
            self.given_up += u64::from(!datagram.dropped);
        }
        true
    }
}

type Datagrams = HashMap<FragmentKey, Datagram, ahash::RandomState>;

fn is_there(datagrams: &Datagrams, key: &FragmentKey, number: u64) -> bool {
    datagrams.get(key).is_some_and(|datagram| datagram.number == number)
}

/// Those bits that are set in the mask.
fn masked(bytes: &[u8], mask: &[u8]) -> Vec<u8> {
    bytes.iter().zip(mask).map(|(byte, mask)| byte & mask).collect()
}

/// Of a fragment.
struct Place {
    /// Where its data begins in the frame.
    at: usize,
    is_last: bool,
    /// What the datagram's data begin with.
    protocol: u8,
}

fn place(headers: &Headers, frame: &[u8]) -> Option<Place> {
    let l3 = headers.l3_offset();
    if headers.is_ipv4() {
        let is_last = frame.get(l3 + 6)? & 0x20 == 0;
        return Some(Place { at: l3 + headers.ip_header_len(), is_last, protocol: *frame.get(l3 + 9)? });
    }
    let at = wire::ipv6::fragment_header_offset(frame, l3)?;
    let is_last = frame.get(at + 3)? & 1 == 0;
    Some(Place { at: at + wire::fragment::HEADER_LEN, is_last, protocol: *frame.get(at)? })
}

impl Datagram {
    /// Adds what is new of a fragment.
    fn add(&mut self, from: usize, data: &[u8]) {
        let mut new = Piece { from, data: data.to_vec() };
        for old in &mut self.pieces {
            if old.from >= new.to() || old.to() <= new.from {
                continue;
            }
            let (begin, end) = (old.from.max(new.from), old.to().min(new.to()));
            let in_old = begin - old.from..end - old.from;
            let in_new = begin - new.from..end - new.from;
            if old.from <= new.from {
                new.data[in_new].copy_from_slice(&old.data[in_old]);
            } else {
                old.data[in_old].copy_from_slice(&new.data[in_new]);
            }
        }
        // What is wholly known already adds nothing.
        if !self.pieces.iter().any(|old| old.from <= new.from && new.to() <= old.to()) {
            self.pieces.retain(|old| !(new.from <= old.from && old.to() <= new.to()));
            let at = self.pieces.partition_point(|old| old.from <= new.from);
            self.pieces.insert(at, new);
        }
    }

    /// Whether there can be such a datagram here.
    pub(super) fn is_sound(&self) -> bool {
        self.pieces.len() <= FRAGMENTS
            && (self.header.is_empty() || (20..=60).contains(&self.header.len()))
            && self.length.is_none_or(|length| length <= LONGEST)
            && self.pieces.iter().all(|piece| piece.from <= LONGEST && piece.to() <= LONGEST)
    }

    fn held(&self) -> usize {
        self.pieces.iter().map(|piece| piece.data.len()).sum()
    }

    fn is_whole(&self) -> bool {
        let Some(length) = self.length.filter(|_| !self.header.is_empty()) else { return false };
        let covered = self
            .pieces
            .iter()
            .fold(0, |covered, piece| if piece.from <= covered { covered.max(piece.to()) } else { covered });
        covered >= length
    }

    /// The packet that was cut.
    fn packet(mut self) -> Option<Vec<u8>> {
        let length = self.length?;
        let mut packet = std::mem::take(&mut self.header);
        let header = packet.len();
        packet.resize(header + length, 0);
        for piece in &self.pieces {
            let to = piece.to().min(length);
            if piece.from < to {
                packet[header + piece.from..header + to].copy_from_slice(&piece.data[..to - piece.from]);
            }
        }
        let is_ipv4 = packet.first()? >> 4 == 4;
        let stated = u16::try_from(if is_ipv4 { packet.len() } else { length }).ok()?.to_be_bytes();
        if is_ipv4 {
            packet[2..4].copy_from_slice(&stated);
            packet[6..8].fill(0);
        } else {
            packet[4..6].copy_from_slice(&stated);
            packet[6] = self.protocol;
        }
        Some(packet)
    }
}

#[cfg(test)]
mod tests;
