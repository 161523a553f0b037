mod accounting;
mod adopting;
mod collector;
mod ndpi;
mod prads;
mod tshark;

use super::accounts::Accounts;
use super::record::Ended;
use super::watch::{Packets, Watching};
use super::{Config, Monitor};
use engine::{Kind, Site, Time, WorkerSite};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use wire::Headers;

/// Feeds frames, each as a burst of its own, into accounts with room for `capacity` flows.
fn account<'a>(
    capacity: usize,
    frames: impl IntoIterator<Item = (u64, &'a [u8], usize)>,
) -> (Accounts, Vec<Ended>) {
    let mut accounts = Accounts::new(capacity, None, 1);
    let mut ended = Vec::new();
    for (nanos, frame, len) in frames {
        let now = Time::from_nanos(nanos);
        accounts.stage(0, &wire::parse_with_len(frame, len), frame, now);
        accounts.settle(now, &mut ended);
    }
    (accounts, ended)
}

/// All flows, ended and not.
fn flows(accounts: &Accounts, ended: &[Ended]) -> Vec<Ended> {
    let open = accounts.all().into_iter().map(|(key, flow)| Ended { key, flow });
    open.chain(ended.iter().copied()).collect()
}

/// Captures and references that others made.
fn data() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"))
}

/// Time, bytes and length of all frames of a capture; `None` if it is not one.
fn frames(path: &Path) -> Option<Vec<(u64, Vec<u8>, usize)>> {
    let mut reader = capture::Reader::open(path).ok()?;
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = reader.next() {
        frames.push((frame.timestamp_ns, frame.bytes.to_vec(), frame.original_len as usize));
    }
    Some(frames)
}

fn monitor(config: &Config) -> Monitor {
    let plan = Monitor::prepare(config, &Site::default()).expect("a good configuration");
    Monitor::instance(&Arc::new(plan), &WorkerSite { index: 0, count: 1, seed: 1 })
}

/// A frame that is a burst of its own.
struct Lone<'a>(Headers, &'a [u8]);

impl Packets for Lone<'_> {
    fn headers(&mut self, _place: usize) -> Headers {
        self.0
    }

    fn frame(&self, _place: usize) -> &[u8] {
        self.1
    }

    fn rest(&self, _place: usize) -> impl Iterator<Item = &[u8]> {
        std::iter::empty()
    }
}

/// Shows a monitor frames, one by one.
fn show<'a>(monitor: &mut Monitor, frames: impl IntoIterator<Item = &'a (u64, Vec<u8>, usize)>) {
    for (nanos, frame, len) in frames {
        let now = Time::from_nanos(*nanos);
        let headers = wire::parse_with_len(frame, *len);
        monitor.exits.pass_by(&headers, frame, now);
        monitor.accounts.stage(0, &headers, frame, now);
        let mut packets = Lone(headers, frame);
        monitor.accounts.settle(now, &mut Watching { exits: &mut monitor.exits, packets: &mut packets, now });
    }
}
