//! A checksum that is declared to change by differences does: one that is wrong by some amount on arrival is wrong by the
//! same amount when the packet leaves.

use crate::report::{Breach, Rule};
use crate::trial::{Bench, Manner, Trial, passed};
use engine::Prepared;
use wire::{Field, Headers};

/// What is added to checksums, in ones' complement.
const WRONG_BY: u32 = 0x1357;

pub(super) fn check(trial: &Trial, prepared: &dyn Prepared) -> Result<Vec<Breach>, String> {
    let effects = prepared.effects();
    let right = trial.volleys();
    for field in [Field::IpChecksum, Field::L4Checksum] {
        if !effects.adjusts.contains(field) {
            continue;
        }
        if !effects.writes.contains(field) {
            let what = format!("it declares that it adjusts {field}, and not that it writes it");
            let help = "`adjusts` says how checksums among `writes` change";
            return Ok(vec![trial.breach(Rule::Adjusts, what, help)]);
        }
        let mut wrong = right.clone();
        for frame in wrong.iter_mut().flat_map(|volley| &mut volley.frames) {
            spoil(&mut frame.bytes, field);
        }
        let run = |volleys| Bench::new(trial, prepared)?.run(volleys, Manner::default());
        let (first, second) = (run(&right)?, run(&wrong)?);
        let fates = first.rounds.iter().zip(&second.rounds).flat_map(|(a, b)| a.fates.iter().zip(&b.fates));
        let frames = right.iter().zip(&wrong).flat_map(|(a, b)| a.frames.iter().zip(&b.frames));
        for ((before, spoiled), (a, b)) in frames.zip(fates) {
            // What it drops for a wrong checksum, it declares to read.
            let (Some(a), Some(b)) = (passed(a), passed(b)) else { continue };
            let by = [(&before.bytes[..], &spoiled.bytes[..]), (a, b)]
                .map(|(right, wrong)| Some(difference(checksum(right, field)?, checksum(wrong, field)?)));
            if let [Some(on_arrival), Some(later)] = by
                && on_arrival != later
            {
                let what =
                    format!("a wrong {field} comes out wrong by {later:#06x} instead of {on_arrival:#06x}");
                let help = "leave it out of `adjusts` in `effects`, or change it by `wire::checksum::Delta`";
                let frame = Some(spoiled.clone());
                return Ok(vec![Breach { frame, ..trial.breach(Rule::Adjusts, what, help) }]);
            }
        }
    }
    Ok(Vec::new())
}

/// Where a packet has that checksum.
fn place(headers: &Headers, field: Field) -> Option<usize> {
    if field == Field::IpChecksum {
        return headers.is_ipv4().then(|| headers.l3_offset() + 10);
    }
    let at = headers.l4_offset().filter(|_| !headers.is_later_fragment())?;
    let within =
        [(headers.is_tcp(), 16), (headers.is_udp(), 6), (headers.is_icmp() || headers.is_icmpv6(), 2)];
    within.into_iter().find(|(is, _)| *is).map(|(_, within)| at + within)
}

fn checksum(frame: &[u8], field: Field) -> Option<u16> {
    let at = place(&wire::parse(frame), field)?;
    frame.get(at..at + 2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// Makes a checksum wrong, but for none at all (UDP).
fn spoil(frame: &mut [u8], field: Field) {
    let headers = wire::parse(frame);
    let Some(place) = place(&headers, field).and_then(|at| frame.get_mut(at..at + 2)) else { return };
    let sum = u32::from(u16::from_be_bytes([place[0], place[1]]));
    if sum != 0 || !headers.is_udp() || field == Field::IpChecksum {
        let wrong = (sum + WRONG_BY) % 0xffff;
        let wrong = if wrong == 0 { 0xffff } else { wrong as u16 };
        place.copy_from_slice(&wrong.to_be_bytes());
    }
}

/// In ones' complement, where 0 and 0xffff are one number.
fn difference(a: u16, b: u16) -> u32 {
    (u32::from(b) + 0xffff - u32::from(a) % 0xffff) % 0xffff
}
