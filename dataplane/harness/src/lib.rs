//! Is an NF what it says it is? The checks of the contract, and packet cases.
//!
//! # The contract
//!
//! Every NF of a registry is checked with its example configuration against a few thousand packets, good
//! ones and broken ones:
//!
//! ```no_run
//! # fn test(registry: &engine::Registry) {
//! harness::check_all(registry).assert_clean();
//! # }
//! ```
//!
//! [`Rule`] lists what is checked. A failed check names the NF, the rule, the packet and what to do. To try
//! an NF under another configuration or with traffic of its own, make a [`Trial`].
//!
//! # Packet cases
//!
//! A `.case` file has a configuration, packets in, and what becomes of each:
//!
//! ```text
//! The MAC addresses are exchanged, and nothing else.
//!
//! %nf mac_swap
//! %config
//! %let A = 02:00:00:00:00:0a
//! %let B = 02:00:00:00:00:0b
//!
//! %row an ordinary frame goes back
//! in       eth $A > $B / ipv4 10.0.0.1 > 10.0.0.2 / udp 1 > 2 / "hello"
//! forward  eth $B > $A / ipv4 10.0.0.1 > 10.0.0.2 / udp 1 > 2 / "hello"
//! ```
//!
//! - `%config` is the NF's TOML without `kind`; `%file NAME` brings along a file that it names.
//! - Rows are played in turn on one instance, so that state is carried from row to row.
//! - `in PACKET` or `in @PORT PACKET` (ports `lan`, `wan`, `dmz`; gates 0 and 1 lead to the last two); then
//!   its fate: `forward`, `gate N`, each with the packet as it comes out (without one: as it came in),
//!   `drop REASON`, `absorb` or `taken`. Packets in a row are one burst.
//! - `emit GATE PACKET`, `emit @PORT PACKET`: a packet that the NF sends itself, by a gate or out of a port.
//!   `after 5s`: time passes and timers run.
//!   `state KIND 2`: so many records; `state KIND {"packets": 3}`: a record with these members.
//!   `counter NAME 1`: a counter of its own.
//! - `#` starts a comment.
//!
//! The packets are written in this language:
//!
#![doc = include_str!("language.md")]
//!
//! Tests that use the harness start EAL (without hugepages, as any user), once per process.
#![forbid(unsafe_code)]

mod bench;
mod cases;
mod corpus;
mod frame;
mod language;
mod random;
mod report;
mod rules;
mod show;
mod trial;

pub use cases::{run_case, run_case_file, run_case_folder};
pub use corpus::corpus;
pub use frame::Frame;
pub use language::{LanguageError, packet};
pub use report::{Breach, Report, Rule};
pub use trial::Trial;

use engine::{Entry, Registry};

/// Checks one kind of NF with its example configuration.
pub fn check(entry: &Entry) -> Report {
    Trial::example(entry).check()
}

/// Checks one rule on every kind of NF, so that a test per rule can name itself.
pub fn check_rule(registry: &Registry, rule: Rule) -> Report {
    let mut report = Report::default();
    for entry in registry.iter() {
        report.merge(Trial::example(entry).check_rule(rule));
    }
    report
}

/// Checks every rule on every kind of NF.
pub fn check_all(registry: &Registry) -> Report {
    let mut report = Report::default();
    for entry in registry.iter() {
        report.merge(check(entry));
    }
    report
}
