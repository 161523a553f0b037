//! May two NFs of a chain run side by side? Row by row, from what they declare for their configurations.

use engine::{Effects, StateKind};
use serde::Serialize;
use wire::{Field, Fields};

/// What the rules know of one NF.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// Its name in the configuration: two places of one name are one NF with one state.
    pub name: String,
    /// What it does; `None` of an NF that does not say.
    pub effects: Option<Effects>,
}

/// A row of the rules.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// One writes a field that the other reads or writes.
    Fields,
    /// One computes a checksum, or reads it, that the other changes.
    Checksums,
    /// Both change the length, or one reads what the other changes.
    Length,
    /// The first one may drop what changes the state of the second.
    DropState,
    /// One state for both.
    SharedState,
    /// One makes packets.
    Emission,
    /// One holds packets or changes their order.
    Hold,
    /// One does not say what it does.
    Unknown,
}

/// Why two NFs stay in order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Reason {
    /// The row.
    pub rule: Rule,
    /// In words, with names: which field, which state.
    pub text: String,
}

const CHECKSUMS: Fields = Fields::of(&[Field::IpChecksum, Field::L4Checksum]);

/// Why `later` must not see packets before `earlier` is done with them; nothing if both may have them at once.
///
/// It is not symmetric: what the later one drops, the earlier one has seen in any case.
pub fn reasons(earlier: &Profile, later: &Profile) -> Vec<Reason> {
    let (a, b) = (earlier.name.as_str(), later.name.as_str());
    let mut found = Vec::new();
    let mut say = |rule, text: String| found.push(Reason { rule, text });
    if a == b {
        say(Rule::SharedState, format!("{a} is there twice: one NF, with one state"));
        return found;
    }
    let (Some(ea), Some(eb)) = (&earlier.effects, &later.effects) else {
        let silent = if earlier.effects.is_none() { a } else { b };
        say(Rule::Unknown, format!("{silent} does not declare what it does"));
        return found;
    };
    for (name, effects) in [(a, ea), (b, eb)] {
        if effects.holds {
            say(Rule::Hold, format!("{name} may hold packets back or change their order"));
        }
    }
    fields(a, ea, b, eb, &mut say);
    length(a, ea, b, eb, &mut say);
    if ea.may_create {
        say(Rule::Emission, format!("{a} may make packets, which {b} has to see"));
    }
    if eb.may_create && ea.may_drop {
        say(Rule::Emission, format!("{b} may answer packets, and {a} may drop them"));
    } else if eb.may_create && !ea.may_create {
        // The engine runs a branch burst by burst: what is made there would have no place among what is merged.
        say(Rule::Emission, format!("{b} may make packets, which need their place behind those of {a}"));
    }
    if ea.may_drop && eb.state != StateKind::None {
        let what = match eb.state {
            StateKind::Report => "reports",
            _ => "learns from",
        };
        say(
            Rule::DropState,
            format!("{a} may drop packets, or choose another way for them, that {b} {what}"),
        );
    }
    found
}

/// Read and written fields, checksums apart.
fn fields(a: &str, ea: &Effects, b: &str, eb: &Effects, say: &mut impl FnMut(Rule, String)) {
    // What an NF quotes in the packets that it makes, it reads.
    let reads = |effects: &Effects| if effects.may_create { Fields::ALL } else { effects.reads };
    let rows = [
        (ea.writes.intersection(eb.writes), "both write"),
        (ea.writes.intersection(reads(eb)).without(eb.writes), "first"),
        (eb.writes.intersection(reads(ea)).without(ea.writes), "second"),
    ];
    for (common, how) in rows {
        let text = |fields: Fields| match how {
            "first" => format!("{a} writes {fields}, {b} reads {}", pronoun(fields)),
            "second" => format!("{b} writes {fields}, {a} reads {}", pronoun(fields)),
            _ => format!("both write {fields}"),
        };
        let plain = common.without(CHECKSUMS);
        if !plain.is_empty() {
            say(Rule::Fields, text(plain));
        }
        let mut sums = common.intersection(CHECKSUMS);
        if how == "both write" {
            // Differences add up, unless one of them looks at the sum.
            sums = sums.without(ea.adjusts.intersection(eb.adjusts).without(reads(ea)).without(reads(eb)));
        }
        if !sums.is_empty() {
            let why = if how == "both write" { ", and not both by differences alone" } else { "" };
            say(Rule::Checksums, format!("{}{why}", text(sums)));
        }
    }
}

fn pronoun(fields: Fields) -> &'static str {
    if fields.iter().count() == 1 { "it" } else { "them" }
}

fn length(a: &str, ea: &Effects, b: &str, eb: &Effects, say: &mut impl FnMut(Rule, String)) {
    // Where `length` is among the fields written, the rule of fields has said it.
    let told = |writer: &Effects| writer.writes.contains(Field::Length);
    if ea.changes_length && eb.changes_length {
        say(Rule::Length, "both may change the packet's length".to_owned());
    } else if ea.changes_length && eb.reads.contains(Field::Length) && !told(ea) {
        say(Rule::Length, format!("{a} may change the packet's length, {b} reads it"));
    } else if eb.changes_length && ea.reads.contains(Field::Length) && !told(eb) {
        say(Rule::Length, format!("{b} may change the packet's length, {a} reads it"));
    }
}
