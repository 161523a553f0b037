//! What NFs that ran side by side on copies of a packet come to together.
//!
//! Packets are strings of bits. Where the branches write different bits, `P_O ^ XOR_i(P_O ^ P_i)` has the writes of all of
//! them (HydraNF's merge). A branch that inserted or removed bytes is found out by what its output and the original have
//! in common at the front and at the end; the others are then brought to its length. Checksums are not XORed: each is
//! corrected by what every branch did to it (RFC 1624), as one NF after the other would have done.

use wire::checksum::Delta;
use wire::protocol::ip;
use wire::{Field, Fields, Headers, fields};

/// Most branches of one NF.
pub(super) const MAX_BRANCHES: usize = 4;

/// What every NF may do to a checksum and to a length, whether it says so or not.
pub(super) const CHECKSUMS: Fields = Fields::of(&[Field::IpChecksum, Field::L4Checksum]);
/// Two MAC addresses: tags come behind them.
const MACS: usize = 12;

/// An Ethernet frame without its checksum is no shorter on a cable (IEEE 802.3, 4.2.3.3).
const SHORTEST: usize = 60;

/// What goes with a change of length.
pub(super) const LENGTHS: Fields = Fields::of(&[Field::IpLength, Field::L4Length]);

/// What one branch made of the original.
#[derive(Clone, Copy)]
pub(super) struct Output<'a> {
    pub bytes: &'a [u8],
    /// What the branch may write.
    pub writes: Fields,
    /// Whether it may insert or remove bytes.
    pub changes_length: bool,
}

/// The outputs do not belong together: two changed the length, or one did something else than inserting or removing
/// bytes in one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Unmergeable;

/// Memory to work in.
#[derive(Default)]
pub(super) struct Scratch {
    mask: Vec<u8>,
    /// The original at the length of the result.
    base: Vec<u8>,
    out: Vec<u8>,
}

impl Scratch {
    /// For packets of so many bytes without allocation; longer ones make it grow once.
    pub(super) fn with_capacity(bytes: usize) -> Scratch {
        let buffer = || Vec::with_capacity(bytes);
        Scratch { mask: buffer(), base: buffer(), out: buffer() }
    }
}

/// Bytes of a frame without what pads it: a router does not send that on.
pub(super) fn end(headers: &Headers, len: usize) -> usize {
    match headers.l3_len() {
        Some(ip) if !headers.is_cut() => len.min(headers.l3_offset() + ip),
        _ => len,
    }
}

fn padding(frame: &[u8]) -> usize {
    frame.len() - end(&wire::parse(frame), frame.len())
}

fn unpadded(frame: &[u8]) -> &[u8] {
    &frame[..end(&wire::parse(frame), frame.len())]
}

/// Whether an output of the original's length differs from it where the branch writes nothing.
pub(super) fn strays(original: &[u8], output: &Output<'_>, scratch: &mut Scratch) -> bool {
    let (before, after) = comparable(original, output.bytes);
    if before.len() != after.len() {
        return true;
    }
    let mask = paint(before, output.writes.union(CHECKSUMS), scratch);
    before.iter().zip(after).zip(mask).any(|((before, after), mask)| (before ^ after) & !mask != 0)
}

/// Both with their padding, or both without where one has lost it.
fn comparable<'a>(original: &'a [u8], output: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    if original.len() == output.len() { (original, output) } else { (unpadded(original), unpadded(output)) }
}

fn paint<'s>(frame: &[u8], fields: Fields, scratch: &'s mut Scratch) -> &'s [u8] {
    scratch.mask.clear();
    scratch.mask.resize(frame.len(), 0);
    fields::mask(&wire::parse(frame), frame, fields, &mut scratch.mask);
    &scratch.mask
}

/// Where bytes were inserted or removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    at: usize,
    count: usize,
    inserted: bool,
}

impl Place {
    /// Where a place of the original is in the result.
    fn moved(self, at: usize) -> Option<usize> {
        if at < self.at {
            Some(at)
        } else if self.inserted {
            Some(at + self.count)
        } else {
            (at >= self.at + self.count).then(|| at - self.count)
        }
    }
}

/// The packet that has the writes of all branches.
///
/// # Errors
/// When the outputs do not belong together.
pub(super) fn merge<'s>(
    original: &[u8],
    outputs: &[Output<'_>],
    scratch: &'s mut Scratch,
) -> Result<&'s [u8], Unmergeable> {
    let padded = outputs.iter().all(|output| padding(output.bytes) == padding(original));
    let original = if padded { original } else { unpadded(original) };
    let mut views = [&[][..]; MAX_BRANCHES];
    let outputs = outputs.get(..outputs.len().min(MAX_BRANCHES)).unwrap_or_default();
    for (view, output) in views.iter_mut().zip(outputs) {
        *view = if padded { output.bytes } else { unpadded(output.bytes) };
    }
    let views = &views[..outputs.len()];
    let mut odd = views.iter().enumerate().filter(|(_, view)| view.len() != original.len());
    let (odd, more) = (odd.next().map(|(i, _)| i), odd.next().is_some());
    if more {
        return Err(Unmergeable);
    }
    let place = match odd {
        None => None,
        Some(i) if !outputs[i].changes_length => return Err(Unmergeable),
        Some(i) => Some(place(original, views[i], outputs[i].writes, scratch).ok_or(Unmergeable)?),
    };
    equalise(original, place, &mut scratch.base);
    scratch.out.clear();
    scratch.out.extend_from_slice(&scratch.base);
    for (i, view) in views.iter().enumerate() {
        match place {
            Some(_) if odd == Some(i) => add(&mut scratch.out, &scratch.base, view),
            None => add(&mut scratch.out, original, view),
            Some(Place { at, count, inserted: true }) => {
                add(&mut scratch.out, &original[..at], view);
                add(&mut scratch.out[at + count..], &original[at..], &view[at..]);
            }
            Some(Place { at, count, inserted: false }) => {
                add(&mut scratch.out, &original[..at], view);
                add(&mut scratch.out[at..], &original[at + count..], &view[at + count..]);
            }
        }
    }
    for sum in checksums(original).into_iter().flatten() {
        let Some(to) = place.map_or(Some(sum.at), |place| place.moved(sum.at)) else { continue };
        let Some(before) = word(original, sum.at) else { continue };
        let after = views.iter().enumerate();
        let after = after.filter_map(|(i, view)| word(view, if odd == Some(i) { to } else { sum.at }));
        let result = corrected(before, after, sum.udp);
        if let Some(bytes) = scratch.out.get_mut(to..to + 2) {
            bytes.copy_from_slice(&result.to_be_bytes());
        }
    }
    Ok(&scratch.out)
}

/// `out ^= before ^ after`, as far as all three go.
fn add(out: &mut [u8], before: &[u8], after: &[u8]) {
    for ((out, before), after) in out.iter_mut().zip(before).zip(after) {
        *out ^= before ^ after;
    }
}

/// The original with zeros where bytes were inserted, or without those that were removed.
fn equalise(original: &[u8], place: Option<Place>, out: &mut Vec<u8>) {
    out.clear();
    match place {
        None => out.extend_from_slice(original),
        Some(Place { at, count, inserted }) => {
            out.extend_from_slice(&original[..at]);
            if inserted {
                out.resize(at + count, 0);
            }
            out.extend_from_slice(&original[if inserted { at } else { at + count }..]);
        }
    }
}

/// Where the branch inserted or removed bytes: what it has in common with the original at the front and at the end, apart
/// from what it may write, must cover the shorter of the two. Where that leaves a choice, what the headers say of it, or a
/// border between them.
fn place(original: &[u8], output: &[u8], writes: Fields, scratch: &mut Scratch) -> Option<Place> {
    let headers = wire::parse(original);
    let mask = paint(original, writes.union(CHECKSUMS).union(LENGTHS), scratch);
    let same = |((before, after), mask): ((&u8, &u8), &u8)| (before ^ after) & !mask == 0;
    let short = original.len().min(output.len());
    let front = original.iter().zip(output).zip(mask).take_while(|&bytes| same(bytes)).count();
    let back = original.iter().rev().zip(output.iter().rev()).zip(mask.iter().rev());
    let back = back.take_while(|&bytes| same(bytes)).count();
    let (low, high) = (short - back.min(short), front.min(short));
    if low > high {
        return None;
    }
    let (count, inserted) = (original.len().abs_diff(output.len()), output.len() > original.len());
    let after = wire::parse(output);
    let moved = |before: Option<usize>, after: Option<usize>| match (before, after) {
        (Some(before), Some(after)) if inserted => before + count == after,
        (Some(before), Some(after)) => before == after + count,
        _ => false,
    };
    let ip_end = headers.l3_offset() + if headers.is_ipv4() { 20 } else { 40 };
    let payload = (headers.payload_offset(), after.payload_offset());
    let said = if moved(Some(headers.l3_offset()), Some(after.l3_offset())) {
        MACS
    } else if moved(headers.l4_offset(), after.l4_offset()) {
        ip_end
    } else if moved(payload.0, payload.1) && headers.is_tcp() {
        headers.l4_offset().map_or(low, |at| at + 20)
    } else if payload.0 == payload.1 && payload.0.is_some() {
        end(&headers, original.len()).saturating_sub(if inserted { 0 } else { count })
    } else {
        [MACS, headers.l3_offset(), ip_end].into_iter().find(|at| (low..=high).contains(at)).unwrap_or(low)
    };
    Some(Place { at: said.clamp(low, high), count, inserted })
}

/// A checksum that differences can be added to.
struct Checksum {
    at: usize,
    /// 0 says that there is none, and 0xffff stands for 0 (RFC 768).
    udp: bool,
}

/// Those of IP and of the transport. SCTP's CRC is none of them: it is linear, so that the XOR is right for it.
fn checksums(frame: &[u8]) -> [Option<Checksum>; 2] {
    let headers = wire::parse(frame);
    let in_ip = headers.is_ipv4().then(|| Checksum { at: headers.l3_offset() + 10, udp: false });
    let transport = match (headers.protocol(), headers.l4_offset()) {
        (Some(ip::TCP), Some(at)) => Some(Checksum { at: at + 16, udp: false }),
        (Some(ip::UDP), Some(at)) => Some(Checksum { at: at + 6, udp: true }),
        (Some(ip::ICMP | ip::ICMPV6), Some(at)) => Some(Checksum { at: at + 2, udp: false }),
        _ => None,
    };
    [in_ip, transport]
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A checksum that was `before`, after all that the branches did to it.
fn corrected(before: u16, after: impl Iterator<Item = u16>, udp: bool) -> u16 {
    let (mut sum, mut changes, mut last) = (u32::from(before), 0, before);
    for after in after.filter(|&after| after != before) {
        if udp && (after == 0 || before == 0) {
            // A branch took the checksum away, or made one where there was none: differences say nothing.
            return after;
        }
        sum += u32::from(after) + u32::from(!before);
        (changes, last) = (changes + 1, after);
    }
    if changes < 2 {
        return last;
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match sum as u16 {
        0 | 0xffff if udp => 0xffff,
        0xffff => 0,
        sum => sum,
    }
}

/// Writes into `here` what another branch has written: its `writes`, as they are in `far`, and what they do to the
/// checksums. Both are of one length, but for what pads them, and of one shape; the original is not needed, as neither writes what the other does.
///
/// # Errors
/// When they are not of one shape.
pub(super) fn overlay(
    here: &mut [u8],
    far: &[u8],
    writes: Fields,
    scratch: &mut Scratch,
) -> Result<(), Unmergeable> {
    let headers = wire::parse(here);
    let there = wire::parse(far);
    let shape =
        |headers: &Headers| (headers.l3_offset(), headers.l4_offset(), headers.protocol(), headers.l3_len());
    if shape(&headers) != shape(&there) {
        return Err(Unmergeable);
    }
    let len = common(here, far).ok_or(Unmergeable)?;
    let (here, far) = (&mut here[..len], &far[..len]);
    let sums = checksums(here);
    paint(here, writes.without(CHECKSUMS), scratch);
    scratch.out.clear();
    scratch.out.extend_from_slice(here);
    for ((here, far), mask) in here.iter_mut().zip(far).zip(&scratch.mask) {
        *here = *here & !mask | far & mask;
    }
    let (l3, l4) = (headers.l3_offset(), headers.l4_offset().unwrap_or(here.len()));
    let [in_ip, transport] = sums;
    if let Some(sum) = in_ip {
        let end = l3 + headers.ip_header_len();
        let delta = change(&scratch.out, here, l3, end, sum.at, Delta::NONE);
        update(here, &sum, delta);
    }
    if let Some(sum) = transport {
        // ICMP's covers no addresses (RFC 792); the others' do, and nothing else of the IP header that may differ here.
        let addresses = match headers.protocol() {
            Some(ip::ICMP) => 0..0,
            _ if headers.is_ipv4() => l3 + 12..l3 + 20,
            _ => l3 + 8..l3 + 40,
        };
        let delta = change(&scratch.out, here, addresses.start, addresses.end, sum.at, Delta::NONE);
        let end = end(&headers, here.len());
        let delta = change(&scratch.out, here, l4, end, sum.at, delta);
        update(here, &sum, delta);
    }
    Ok(())
}

/// Bytes that two halves have in common: all, or, where one of them was padded on its way and the other was not, all but
/// padding. `None`: they are of different length.
fn common(here: &[u8], far: &[u8]) -> Option<usize> {
    let (short, long) = if here.len() < far.len() { (here, far) } else { (far, here) };
    let (a, b) = (unpadded(short).len(), unpadded(long).len());
    // What is not IP does not say how long it is.
    let pads = || long.len() <= SHORTEST && long[short.len()..].iter().all(|&byte| byte == 0);
    if short.len() == long.len() || a < b && b == long.len() && pads() {
        Some(short.len())
    } else {
        (a == b).then_some(a)
    }
}

/// What changes in the words from `from` to `to` do to a checksum at `except`.
fn change(before: &[u8], after: &[u8], from: usize, to: usize, except: usize, delta: Delta) -> Delta {
    (from..to.min(before.len())).step_by(2).filter(|&at| at != except).fold(delta, |delta, at| {
        let word = |bytes: &[u8]| {
            let low = if at + 1 < to { bytes.get(at + 1).copied() } else { None };
            u16::from_be_bytes([bytes.get(at).copied().unwrap_or(0), low.unwrap_or(0)])
        };
        delta.u16(word(before), word(after))
    })
}

fn update(frame: &mut [u8], sum: &Checksum, delta: Delta) {
    if delta != Delta::NONE
        && let Some(bytes) = frame.get_mut(sum.at..sum.at + 2)
        && let Ok(before) = <[u8; 2]>::try_from(&*bytes)
    {
        bytes.copy_from_slice(&if sum.udp { delta.update_udp(before) } else { delta.update(before) });
    }
}

#[cfg(test)]
#[path = "merge/tests.rs"]
mod tests;
