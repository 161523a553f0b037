//! The `[engine]` table: workers, memory, the control socket.

use super::diagnostic::Diagnostic;
use super::scale::{self, Scale};
use super::section::Section;
use crate::cores;
use engine::{Buffers, Idle};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What holds for the whole engine.
#[derive(Clone, PartialEq, Debug)]
pub struct EngineSettings {
    /// The core of each worker.
    pub cores: Vec<usize>,
    /// Whether the cores were named in the file, or chosen for a number of workers.
    pub cores_named: bool,
    /// Helpers of each worker, if their number was given; else as many as there are cores to spare.
    pub helpers: Option<usize>,
    /// Measured cycles of NFs, to plan chains by.
    pub delays: Option<PathBuf>,
    /// How often chains with `parallel = "auto"` are planned anew; `None`: never.
    pub replan: Option<Duration>,
    /// How much faster a plan has to be than the one that runs to take its place: a share of the latency.
    pub replan_margin: f64,
    /// When workers come and go by themselves; `None`: never.
    pub scale: Option<Scale>,
    /// What a worker does when there is nothing to do.
    pub idle: Idle,
    /// Take memory from hugepages.
    pub hugepages: bool,
    /// Memory for DPDK in MB; `None`: what the plan needs, at least 512.
    pub memory_mb: Option<u32>,
    /// Packet buffers.
    pub buffers: Buffers,
    /// Seed of everything random, if one was given. See [`Config::seed`](super::Config::seed).
    pub seed: Option<u64>,
    /// The control socket.
    pub socket: SocketChoice,
    /// Where `hugepages` stands in the text, if it does.
    pub(super) hugepages_span: Range<usize>,
    /// Where `delays` stands in the text, if it does.
    pub(super) delays_span: Range<usize>,
    /// Where `memory` stands in the text, if it does.
    pub(super) memory_span: Range<usize>,
    /// Where `buffers` stands in the text, if it does.
    pub(super) buffers_span: Range<usize>,
    /// Where `socket` stands in the text, if it does.
    pub(super) socket_span: Range<usize>,
}

/// Where the control socket is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum SocketChoice {
    /// At [`crate::socket::default_path`], if that is free.
    #[default]
    Default,
    /// At this path; it is an error if that cannot be.
    Path(PathBuf),
    /// There is none (`socket = "off"`).
    Off,
}

impl Default for EngineSettings {
    fn default() -> Self {
        EngineSettings {
            cores: cores::choose(1, cores::allowed()),
            cores_named: false,
            helpers: None,
            delays: None,
            replan: Some(REPLAN),
            replan_margin: REPLAN_MARGIN,
            scale: None,
            idle: Idle::Spin,
            hugepages: false,
            memory_mb: None,
            buffers: Buffers::default(),
            seed: None,
            socket: SocketChoice::Default,
            hugepages_span: 0..0,
            delays_span: 0..0,
            memory_span: 0..0,
            buffers_span: 0..0,
            socket_span: 0..0,
        }
    }
}

/// Most workers that can be asked for.
pub(super) const MAX_WORKERS: u64 = 256;

/// Most helpers of a worker.
const MAX_HELPERS: u64 = 31;
/// How often chains are planned anew if nothing is said.
const REPLAN: Duration = Duration::from_secs(10);
/// How much faster a plan has to be if nothing is said.
const REPLAN_MARGIN: f64 = 0.1;

/// Reads the table.
pub(super) fn read(mut section: Section<'_, '_, '_>, folder: &Path) -> EngineSettings {
    let place = |key| section.place(key).unwrap_or_default();
    let mut settings = EngineSettings {
        hugepages_span: place("hugepages"),
        delays_span: place("delays"),
        memory_span: place("memory"),
        buffers_span: place("buffers"),
        socket_span: place("socket"),
        ..EngineSettings::default()
    };
    read_cores(&mut section, &mut settings);
    settings.scale = scale::read(&mut section, &mut settings.cores);
    if let Some((idle, _)) = section.word("idle", &[("spin", Idle::Spin), ("adaptive", Idle::Adaptive)]) {
        settings.idle = idle;
    }
    settings.helpers = section.integer("helpers", 0..=MAX_HELPERS).map(|(helpers, _)| helpers as usize);
    settings.delays = section.string("delays", "\"run.json\"").map(|(file, _)| folder.join(file));
    if let Some((period, _)) = section.duration("replan") {
        settings.replan = Some(period).filter(|period| !period.is_zero());
    }
    if let Some((margin, _)) = section.share("replan_margin") {
        settings.replan_margin = margin;
    }
    settings.hugepages = section.boolean("hugepages").unwrap_or(false);
    if let Some((text, span)) = section.string("memory", "\"512M\"") {
        match megabytes(&text) {
            Some(size) => settings.memory_mb = Some(size),
            None => section.report(
                Diagnostic::error(span, format!("'{text}' is no amount of memory"))
                    .help("write megabytes or gigabytes, at least 64M: memory = \"512M\", memory = \"2G\""),
            ),
        }
    }
    read_buffers(&mut section, &mut settings);
    settings.seed = section.integer("seed", 0..=i64::MAX as u64).map(|(seed, _)| seed);
    if let Some((path, span)) = section.string("socket", "\"/run/braid.sock\"") {
        settings.socket = match path.as_str() {
            "off" => SocketChoice::Off,
            "" => {
                section.report(Diagnostic::error(span, "'socket' is empty").help("write a path, or \"off\""));
                SocketChoice::Off
            }
            path => SocketChoice::Path(folder.join(path)),
        };
    }
    section.finish();
    settings
}

fn read_cores(section: &mut Section<'_, '_, '_>, settings: &mut EngineSettings) {
    let allowed = cores::allowed();
    let workers = section.integer("workers", 1..=MAX_WORKERS);
    let named = section.integers("cores");
    match (workers, named) {
        (Some((_, span)), Some(_)) => section.report(
            Diagnostic::error(span, "both 'workers' and 'cores' are given")
                .help("keep 'cores' to say which cores, or 'workers' to say how many"),
        ),
        (Some((workers, span)), None) => {
            let workers = usize::try_from(workers).unwrap_or(1);
            settings.cores = cores::choose(workers, allowed);
            if workers > allowed.len() {
                let message = format!("{workers} workers share {}", counted(allowed.len(), "core"));
                section.report(
                    Diagnostic::warning(span, message).help("a worker is fastest on a core of its own"),
                );
            }
        }
        (None, Some((named, span))) => {
            if named.is_empty() {
                section.report(Diagnostic::error(span, "'cores' is empty").help("name at least one core"));
                return;
            }
            let mut cores: Vec<usize> = Vec::new();
            for (core, span) in named {
                if cores.contains(&core) {
                    section.report(Diagnostic::error(span, format!("core {core} is named twice")));
                } else if !allowed.contains(&core) {
                    let known: Vec<String> = allowed.iter().map(usize::to_string).collect();
                    section.report(
                        Diagnostic::error(span, format!("this process may not run on core {core}"))
                            .help(format!("it may run on: {}", known.join(", "))),
                    );
                }
                cores.push(core);
            }
            settings.cores = cores;
            settings.cores_named = true;
        }
        (None, None) => {}
    }
}

fn read_buffers(section: &mut Section<'_, '_, '_>, settings: &mut EngineSettings) {
    let Some(value) = section.value("buffers") else { return };
    let Some(table) = value.get_ref().as_table() else {
        section.report(
            Diagnostic::error(value.span(), format!("'buffers' is {}", super::section::type_of(value)))
                .help("write a table: buffers = { count = 16384, size = 2048 }"),
        );
        return;
    };
    let mut findings = Vec::new();
    let mut buffers = Section::new("'buffers'".to_owned(), value.span(), table, &mut findings);
    if let Some((count, _)) = buffers.integer("count", 256..=u64::from(u32::MAX >> 4)) {
        settings.buffers.count = u32::try_from(count).ok();
    }
    if let Some((size, _)) = buffers.integer("size", 256..=32_768) {
        settings.buffers.size = u16::try_from(size).unwrap_or(settings.buffers.size);
    }
    buffers.finish();
    findings.into_iter().for_each(|finding| section.report(finding));
}

/// `512M` or `2G`, in megabytes; from 64 MB to 1 TB.
fn megabytes(text: &str) -> Option<u32> {
    let (digits, scale) = match text.strip_suffix('G') {
        Some(digits) => (digits, 1024),
        None => (text.strip_suffix('M')?, 1),
    };
    let size = digits.parse::<u32>().ok()?.checked_mul(scale)?;
    (64..=1 << 20).contains(&size).then_some(size)
}

/// A number with its noun, in the plural where it must be.
pub(super) fn counted(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
