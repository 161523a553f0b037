//! What is not declared as read has no influence: the NF is given the same traffic with other values in all
//! fields that it neither reads nor writes, and must do the same.

use super::same::{self, Parting, parting};
use crate::frame::{Frame, Volley};
use crate::random::Random;
use crate::report::{Breach, Rule};
use crate::show;
use crate::trial::{Bench, Manner, Outcome, Trial};
use engine::{Prepared, Record};
use wire::protocol::ether_type;
use wire::{Field, Fields, Headers};

/// The fields below the network layer. An NF that declares none above them does not depend on the packet
/// being IP.
const LINK: Fields =
    Fields::of(&[Field::EthSrc, Field::EthDst, Field::Vlan, Field::VlanPriority, Field::Length]);

pub(super) fn check(trial: &Trial, prepared: &dyn Prepared) -> Result<Vec<Breach>, String> {
    let effects = prepared.effects();
    let declared = effects.reads | effects.writes;
    let undeclared = Fields::ALL.without(declared);
    let volleys = trial.volleys();
    let original = run(trial, prepared, &volleys)?;
    let mut found = Vec::new();
    if differs(trial, prepared, &volleys, &original, declared, undeclared)?.is_none() {
        return Ok(found);
    }
    // Something has an influence: field by field, to say which.
    for field in undeclared.iter() {
        let only = Fields::of(&[field]);
        if let Some(parting) = differs(trial, prepared, &volleys, &original, declared, only)? {
            found.push(breach(trial, &field.to_string(), parting));
        }
    }
    if found.is_empty()
        && let Some(parting) = differs(trial, prepared, &volleys, &original, declared, undeclared)?
    {
        found.push(breach(trial, "several undeclared fields together", parting));
    }
    Ok(found)
}

fn breach(trial: &Trial, field: &str, parting: Parting) -> Breach {
    let when = format!("with another value in {field}, which it does not declare to read");
    let help = "add the field to `reads` in `effects`: planner and steering rely on it";
    same::breach(trial, Rule::Reads, &when, parting, help)
}

type Run = (Outcome, Vec<Record>);

fn run(trial: &Trial, prepared: &dyn Prepared, volleys: &[Volley]) -> Result<Run, String> {
    let mut bench = Bench::new(trial, prepared)?;
    let outcome = bench.run(volleys, Manner::default())?;
    Ok((outcome, bench.records()?))
}

fn differs(
    trial: &Trial,
    prepared: &dyn Prepared,
    volleys: &[Volley],
    original: &Run,
    declared: Fields,
    vary: Fields,
) -> Result<Option<Parting>, String> {
    let mut random = Random::new(trial.seed);
    let mut perturbed = volleys.to_vec();
    for frame in perturbed.iter_mut().flat_map(|volley| &mut volley.frames) {
        perturb(frame, declared, vary, &mut random);
    }
    let (outcome, records) = run(trial, prepared, &perturbed)?;
    let alike = |a: &[u8], b: &[u8]| a == b || !show::differing(a, b).intersects(declared);
    Ok(parting(volleys, &original.0, &outcome, &alike).or_else(|| same::records_part(&original.1, &records)))
}

/// Gives the fields of `vary` other values, bit by bit where a field has parts of bytes, as far as the
/// packet stays of the same shape.
fn perturb(frame: &mut Frame, declared: Fields, vary: Fields, random: &mut Random) {
    let linked = LINK.includes(declared);
    let headers = wire::parse(&frame.bytes);
    let shape = Shape::of(&headers, &frame.bytes, linked);
    let mut keep = vec![0; frame.bytes.len()];
    wire::fields::mask(&headers, &frame.bytes, declared, &mut keep);
    let mut mask = vec![0; frame.bytes.len()];
    for field in vary.iter().filter(|field| *field != Field::Length) {
        // The mask is of the packet as it is by now.
        let now = wire::parse(&frame.bytes);
        wire::fields::mask(&now, &frame.bytes, Fields::of(&[field]), &mut mask);
        let before = frame.bytes.clone();
        for ((byte, mask), keep) in frame.bytes.iter_mut().zip(&mask).zip(&keep) {
            let bits = mask & !keep;
            *byte = (*byte & !bits) | (random.byte() & bits);
        }
        if Shape::of(&wire::parse(&frame.bytes), &frame.bytes, linked) != shape {
            frame.bytes = before;
        }
    }
    // More bytes at the end are payload too.
    let longer = vary.contains(Field::Length) && !declared.contains(Field::Payload);
    if longer && headers.malformed().is_none() {
        let padding = random.below(17);
        frame.bytes.extend(random.bytes(padding));
    }
}

/// Where a packet's headers are, without the values in them.
#[derive(PartialEq, Eq)]
enum Shape {
    /// Of an NF that looks at the link layer only.
    Link(u8),
    /// Of all others.
    Whole([Option<usize>; 6], [bool; 6], Option<wire::Malformed>),
}

impl Shape {
    fn of(headers: &Headers, frame: &[u8], linked: bool) -> Shape {
        if linked {
            return Shape::Link(headers.vlan_count());
        }
        // The end of a label stack is a bit in it.
        let is_mpls = matches!(headers.ether_type(), ether_type::MPLS | ether_type::MPLS_UPSTREAM);
        let stack = frame.get(headers.l3_offset()..).filter(|_| is_mpls).and_then(wire::mpls::stack_len);
        let offsets = [
            stack,
            Some(headers.l3_offset()),
            Some(usize::from(headers.vlan_count())),
            Some(headers.ip_header_len()),
            headers.l4_offset(),
            headers.payload_offset(),
        ];
        let properties = [
            headers.is_ipv4(),
            headers.is_ipv6(),
            headers.is_first_fragment(),
            headers.is_later_fragment(),
            headers.is_cut(),
            headers.has_ports(),
        ];
        Shape::Whole(offsets, properties, headers.malformed())
    }
}
