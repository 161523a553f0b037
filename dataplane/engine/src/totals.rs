//! Adding up the workers' counters, over generations.

use crate::latency::LatencySum;
use crate::layout::Layout;
use crate::registry::Prepared;
use crate::snapshot::{
    ChainSnapshot, Drops, ForkSnapshot, Measured, NfSnapshot, Packets, PortSnapshot, Snapshot,
};
use crate::stats::{ForkStats, NodeStats, WorkerStats};
use crate::verdict::Reason;
use std::collections::BTreeMap;

/// Sums of counters by name, so that they outlive the generation that counted.
#[derive(Clone, Default)]
pub(crate) struct Totals {
    ports: BTreeMap<String, PortTotals>,
    chains: BTreeMap<String, ChainTotals>,
}

#[derive(Clone, Default)]
struct PortTotals {
    received: u64,
    received_bytes: u64,
    sent: u64,
    sent_bytes: u64,
    drops: Drops,
}

#[derive(Clone, Default)]
struct ChainTotals {
    packets: u64,
    bytes: u64,
    cycles: (u64, u64),
    fork: ForkSnapshot,
    latency: LatencySum,
    path: Vec<String>,
    nfs: BTreeMap<String, NfTotals>,
}

#[derive(Clone, Default)]
struct NfTotals {
    kind: &'static str,
    packets: u64,
    drops: Drops,
    absorbed: u64,
    created: u64,
    taken: u64,
    released: u64,
    panics: u64,
    cycles: (u64, u64),
    counters: BTreeMap<String, u64>,
}

impl Totals {
    /// Adds what one worker counted of packets that have left its hands: sent, dropped, absorbed.
    pub(crate) fn add_ended(&mut self, layout: &Layout, stats: &WorkerStats) {
        for (name, counters) in layout.ports.iter().zip(&stats.ports) {
            let port = self.ports.entry(name.clone()).or_default();
            port.sent += counters.sent.get();
            port.sent_bytes += counters.sent_bytes.get();
            for (reason, counter) in counters.drops() {
                count(&mut port.drops, reason, counter.get());
            }
        }
        for (chain, stats) in layout.chains.iter().zip(&stats.chains) {
            let totals = self.chains.entry(chain.name.clone()).or_default();
            for (&nf, node) in chain.path.iter().zip(&stats.nodes) {
                let nf = &layout.nfs[nf];
                totals.nfs.entry(nf.name.clone()).or_default().add_ended(nf.prepared.as_ref(), node);
            }
        }
    }

    /// Adds what one worker counted of packets that came into its hands, and everything else.
    pub(crate) fn add_begun(&mut self, layout: &Layout, stats: &WorkerStats) {
        for (chain, stats) in layout.chains.iter().zip(&stats.chains) {
            let totals = self.chains.entry(chain.name.clone()).or_default();
            totals.path = chain.path.iter().map(|&nf| layout.nfs[nf].name.clone()).collect();
            for (&nf, node) in chain.path.iter().zip(&stats.nodes) {
                let nf = &layout.nfs[nf];
                totals.nfs.entry(nf.name.clone()).or_default().add_begun(nf.prepared.as_ref(), node);
            }
            totals.bytes += stats.bytes.get();
            totals.packets += stats.packets.get();
            totals.cycles.0 += stats.cycles.cycles.get();
            totals.cycles.1 += stats.cycles.packets.get();
            totals.latency.add(&stats.latency);
            add_forks(&mut totals.fork, &stats.fork);
        }
        for (name, counters) in layout.ports.iter().zip(&stats.ports) {
            let port = self.ports.entry(name.clone()).or_default();
            port.received_bytes += counters.received_bytes.get();
            port.received += counters.received.get();
        }
    }

    /// Packets that NFs hold.
    pub(crate) fn held(&self) -> u64 {
        let (taken, released) =
            self.nfs().fold((0, 0), |(taken, released), nf| (taken + nf.taken, released + nf.released));
        u64::saturating_sub(taken, released)
    }

    /// In the shape in which it is printed. Held is what the books leave over: what NFs hold, and while the
    /// engine runs also what is on its way.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut packets = Packets::default();
        for (name, port) in &self.ports {
            packets.received += port.received;
            packets.sent += port.sent;
            for (reason, n) in &port.drops {
                count(&mut packets.dropped, &format!("{name}.{reason}"), *n);
            }
        }
        for (name, nf) in self.chains.values().flat_map(|chain| &chain.nfs) {
            packets.created += nf.created;
            packets.absorbed += nf.absorbed;
            for (reason, n) in &nf.drops {
                count(&mut packets.dropped, &format!("{name}.{reason}"), *n);
            }
        }
        let ended = packets.sent + packets.absorbed + packets.dropped.values().sum::<u64>();
        packets.held = (packets.received + packets.created).saturating_sub(ended);
        Snapshot {
            packets,
            ports: self.ports.iter().map(|(name, port)| (name.clone(), port.snapshot())).collect(),
            chains: self.chains.iter().map(|(name, chain)| (name.clone(), chain.snapshot())).collect(),
            ..Snapshot::default()
        }
    }

    fn nfs(&self) -> impl Iterator<Item = &NfTotals> {
        self.chains.values().flat_map(|chain| chain.nfs.values())
    }
}

impl PortTotals {
    fn snapshot(&self) -> PortSnapshot {
        PortSnapshot {
            received: self.received,
            received_bytes: self.received_bytes,
            sent: self.sent,
            sent_bytes: self.sent_bytes,
            dropped: self.drops.clone(),
            ..PortSnapshot::default()
        }
    }
}

impl ChainTotals {
    fn snapshot(&self) -> ChainSnapshot {
        ChainSnapshot {
            packets: self.packets,
            bytes: self.bytes,
            cycles_per_packet: mean(self.cycles),
            latency_ns: self.latency.percentiles(),
            fork: Some(self.fork).filter(|fork| fork.forks > 0),
            nfs: self.nfs.iter().map(|(name, nf)| (name.clone(), nf.snapshot())).collect(),
            path: self.path.clone(),
        }
    }
}

impl NfTotals {
    fn add_ended(&mut self, prepared: &dyn Prepared, stats: &NodeStats) {
        let reasons = prepared.drops().iter().chain(&Reason::ENGINE_NAMES);
        for (reason, counter) in reasons.zip(&stats.drops) {
            count(&mut self.drops, reason, counter.get());
        }
        self.absorbed += stats.absorbed.get();
    }

    fn add_begun(&mut self, prepared: &dyn Prepared, stats: &NodeStats) {
        self.kind = prepared.kind();
        for (name, counter) in prepared.counters().iter().zip(&stats.own) {
            *self.counters.entry((*name).to_owned()).or_default() += counter.get();
        }
        for (name, counter) in [("events_lost", &stats.events_lost), ("updates_lost", &stats.updates_lost)] {
            count(&mut self.counters, name, counter.get());
        }
        self.taken += stats.taken.get();
        self.released += stats.released.get();
        self.created += stats.created.get();
        self.panics += stats.panics.get();
        self.cycles.0 += stats.cycles.cycles.get();
        self.cycles.1 += stats.cycles.packets.get();
        self.packets += stats.packets.get();
    }

    fn snapshot(&self) -> NfSnapshot {
        NfSnapshot {
            kind: self.kind.to_owned(),
            packets: self.packets,
            dropped: self.drops.clone(),
            absorbed: self.absorbed,
            created: self.created,
            held: self.taken.saturating_sub(self.released),
            cycles_per_packet: mean(self.cycles),
            measured: Measured { cycles: self.cycles.0, packets: self.cycles.1 },
            counters: self.counters.clone(),
            panics: self.panics,
        }
    }
}

/// Adds to a named count; names that never occurred do not appear.
fn count(counts: &mut BTreeMap<String, u64>, name: &str, n: u64) {
    if n > 0 {
        *counts.entry(name.to_owned()).or_default() += n;
    }
}

fn add_forks(sum: &mut ForkSnapshot, stats: &ForkStats) {
    sum.forks += stats.forks.get();
    sum.packets += stats.packets.get();
    sum.copies += stats.copies.get();
    sum.mirror += stats.mirror.get();
    sum.handoff += stats.handoff.get();
    sum.wait += stats.wait.get();
    sum.merge += stats.merge.get();
}

fn mean((cycles, packets): (u64, u64)) -> Option<f64> {
    (packets > 0).then(|| cycles as f64 / packets as f64)
}
