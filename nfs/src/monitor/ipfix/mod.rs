//! Flows for a collector: IPFIX (RFC 7011) with both directions in one record (RFC 5103), over UDP, TCP or into a file.

mod config;
mod message;
#[cfg(test)]
mod tests;
mod transport;

pub use config::{Ipfix, IpfixConfig};
pub use message::{Encoder, EndReason, FlowReport, LARGEST, SMALLEST};

use super::flow::{Flow, Seen};
use crate::outlet::{Sink, Writer};
pub(super) use config::Target;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use transport::Transport;
use wire::FlowKey;
use wire::protocol::ip;

/// Reports that can wait per worker: more in one poll of the writer are lost, and counted.
const RING: usize = 1 << 15;
/// How long a report may wait for others to go in one message with.
const HELD: Duration = Duration::from_millis(250);

/// A worker's report of a flow.
pub(super) struct Report {
    /// The worker, or what stands for it.
    pub worker: u32,
    pub flow: FlowReport,
}

impl FlowReport {
    /// Of a flow with its canonical key.
    pub(super) fn of(key: FlowKey, flow: &Flow, reason: EndReason) -> FlowReport {
        let seen = Seen::new(key, flow);
        // An echo's identifier is no port.
        let ports = match key.protocol() {
            ip::ICMP | ip::ICMPV6 => (0, 0),
            _ => (seen.key.source_port(), seen.key.destination_port()),
        };
        FlowReport {
            source: seen.key.source(),
            destination: seen.key.destination(),
            source_port: ports.0,
            destination_port: ports.1,
            protocol: key.protocol(),
            reason,
            tcp_flags: seen.tcp_flags,
            packets: seen.packets,
            bytes: seen.bytes,
            first: seen.first,
            last: seen.last,
        }
    }
}

/// Sends reports to a collector. Each worker is an observation domain of its own.
pub(super) struct Exporter {
    target: Target,
    transport: Transport,
    domains: BTreeMap<u32, Encoder>,
    /// Since when reports wait.
    waiting: Option<Instant>,
    /// When templates were last told.
    templates: Instant,
    /// Reports in messages that did not go out; whoever counts them takes them off.
    unsent: Arc<AtomicU64>,
}

impl Exporter {
    /// A writer for all workers, and the number of reports that did not go out.
    pub(super) fn writer(target: &Target) -> (Arc<Writer<Exporter>>, Arc<AtomicU64>) {
        let unsent = Arc::<AtomicU64>::default();
        let exporter = Exporter {
            target: target.clone(),
            transport: Transport::new(target.to.clone()),
            domains: BTreeMap::new(),
            waiting: None,
            templates: Instant::now(),
            unsent: Arc::clone(&unsent),
        };
        (Writer::new("ipfix", RING, exporter), unsent)
    }

    /// Sees to a way to the collector. Over a new one it knows no templates.
    fn connect(&mut self) -> io::Result<()> {
        if self.transport.connect()? == Some(true) {
            let stale: u64 = self.domains.values_mut().map(|encoder| u64::from(encoder.restart())).sum();
            self.unsent.fetch_add(stale, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Sends all that waits.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.waiting = None;
        self.connect()?;
        let Exporter { domains, transport, unsent, .. } = self;
        let mut result = Ok(());
        for encoder in domains.values_mut() {
            encoder.flush(now(), |message, records| {
                let sent = passed(transport.send(message), records, unsent);
                if result.is_ok() {
                    result = sent;
                }
            });
        }
        result
    }
}

/// Counts what did not go out.
fn passed(sent: io::Result<bool>, records: u32, unsent: &AtomicU64) -> io::Result<()> {
    if !matches!(sent, Ok(true)) {
        unsent.fetch_add(records.into(), Ordering::Relaxed);
    }
    sent.map(|_| ())
}

impl Sink for Exporter {
    type Record = Report;

    fn take(&mut self, report: Report) -> io::Result<()> {
        self.connect()?;
        let Exporter { target, transport, domains, unsent, .. } = self;
        let domain = target.domain.wrapping_add(report.worker);
        let encoder = domains.entry(domain).or_insert_with(|| Encoder::new(domain, target.limit));
        let mut result = Ok(());
        encoder.add(&report.flow, now(), |message, records| {
            result = passed(transport.send(message), records, unsent);
        });
        self.waiting.get_or_insert_with(Instant::now);
        result
    }

    fn settle(&mut self) -> io::Result<()> {
        if self.transport.is_lossy() && self.templates.elapsed() >= self.target.refresh {
            self.templates = Instant::now();
            self.domains.values_mut().for_each(Encoder::refresh_templates);
        }
        if self.waiting.is_some_and(|since| since.elapsed() >= HELD) { self.flush() } else { Ok(()) }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure.
        let _ = self.flush();
    }
}

/// Seconds since 1970, for the header of a message.
fn now() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |passed| passed.as_secs() as u32)
}
