//! One run of the engine from the command line: brought up, watched, stopped, reported.

use super::{Failure, print};
use crate::report;
use control::Config;
use dpdk::{Eal, EalOptions};
use engine::{Device, Engine, EngineError, Plan, Snapshot};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the end of a run is looked for.
const LOOK: Duration = Duration::from_millis(5);
/// A run longer than this shows its progress.
const LONG: Duration = Duration::from_secs(1);

/// Brings DPDK up for the plan, and starts the engine. The calling thread, and those that it starts later, keep
/// off the workers' cores.
pub fn start(config: &Config, plan: &Plan, hugepages: bool) -> Result<Arc<Engine>, Failure> {
    // DPDK would say less, or the kernel end the process when the memory is touched.
    if let Some(shortage) = config.shortage(plan, hugepages) {
        return Err(Failure::config(config.refused(vec![shortage])));
    }
    let devices: Vec<&str> = plan
        .ports
        .iter()
        .filter_map(|port| match &port.device {
            Device::Dpdk(device) => Some(device.as_str()),
            _ => None,
        })
        .collect();
    // virtio_user hands its memory to the peer, file by file, and cannot hand over more than eight.
    let shares_memory = devices
        .iter()
        .any(|device| device.starts_with("net_virtio_user") || device.starts_with("virtio_user"));
    let options = EalOptions {
        hugepages,
        // A PCI address begins with a digit of its domain, a virtual device with a letter.
        pci: devices
            .iter()
            .any(|device| device.contains(':') && device.starts_with(|c: char| c.is_ascii_hexdigit())),
        memory_mb: config.memory_mb(plan),
        extra: if shares_memory { vec!["--single-file-segments".to_owned()] } else { Vec::new() },
        ..EalOptions::default()
    };
    let eal = Eal::init(&options)?;
    let engine = Engine::start(&eal, plan.clone())?;
    control::cores::keep_off(&plan.cores);
    Ok(Arc::new(engine))
}

/// Waits until `over` says so, all capture sources are exhausted, or a signal comes. Shows progress when it
/// takes long and stderr is a terminal. Returns whether a signal ended it.
pub fn wait(engine: &Engine, stop: &AtomicBool, mut over: impl FnMut(Duration) -> bool) -> bool {
    let begun = Instant::now();
    let mut progress = Progress::new();
    loop {
        if stop.load(Ordering::Relaxed) {
            return true;
        }
        if over(LOOK) || engine.exhausted() {
            return stop.load(Ordering::Relaxed);
        }
        progress.show(begun.elapsed(), engine);
    }
}

/// One line on stderr that moves.
struct Progress {
    bar: Option<ProgressBar>,
    terminal: bool,
    next: Duration,
}

impl Progress {
    fn new() -> Self {
        Progress { bar: None, terminal: std::io::stderr().is_terminal(), next: LONG }
    }

    fn show(&mut self, elapsed: Duration, engine: &Engine) {
        if !self.terminal || elapsed < self.next {
            return;
        }
        self.next = elapsed + Duration::from_millis(250);
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        let packets = engine.snapshot().packets;
        let dropped: u64 = packets.dropped.values().sum();
        bar.set_message(format!(
            "{} packets received, {} sent, {dropped} dropped",
            packets.received, packets.sent
        ));
        bar.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Stops the engine. There is an account also of a run that did not end well: a disk that is full, a capture that is
/// cut short.
pub fn stop(engine: &Engine) -> Result<(Snapshot, Option<Failure>), Failure> {
    match engine.stop() {
        Ok(snapshot) => Ok((snapshot, None)),
        // Those workers still run.
        Err(error @ EngineError::Stalled { .. }) => Err(error.into()),
        Err(error) => Ok((engine.stop()?, Some(error.into()))),
    }
}

/// Prints the account of a run: one JSON object, or tables.
pub fn report(snapshot: &Snapshot, json: bool) -> Result<(), Failure> {
    if json { print(&serde_json::to_string(snapshot)?) } else { print(&report::tables(snapshot)) }
}
