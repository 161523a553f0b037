//! Packet cases: configuration, packets in and what becomes of them, in one file that reads as a story.

mod parse;
#[cfg(test)]
mod tests;

use crate::bench::{caught, pools};
use crate::frame::START;
use crate::{show, trial};
use engine::{
    Emitted, Entry, Fate, Input, Packing, Record, Registry, Round, Selector, Site, Stand, Time, WorkerSite,
};
use parse::{CaseFile, Row, Step, What, parse};
use serde_json::Value;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Runs every `.case` file of a folder, in order of their names.
///
/// # Errors
/// All that did not come as written, file by file; also a folder without any case file.
pub fn run_case_folder(registry: &Registry, folder: &Path) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "case"));
    paths.sort();
    if paths.is_empty() {
        return Err(format!("{}: there is no .case file", folder.display()));
    }
    let failures: Vec<String> = paths.iter().filter_map(|path| run_case_file(registry, path).err()).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// Runs one case file; how it is written is in the docs of [`crate`].
///
/// # Errors
/// What did not come as written, each with its line.
pub fn run_case_file(registry: &Registry, path: &Path) -> Result<(), String> {
    let named = |error: String| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    run_case(registry, &text, folder).map_err(named)
}

/// Runs a case from its text; relative paths in its configuration start from `folder`, unless the case
/// brings its files along.
///
/// # Errors
/// As of [`run_case_file`].
pub fn run_case(registry: &Registry, text: &str, folder: &Path) -> Result<(), String> {
    let file = parse(text)?;
    let entry = registry.get(&file.nf).ok_or_else(|| format!("there is no NF of the kind '{}'", file.nf))?;
    let scratch = Scratch::with_files(&file)?;
    let folder = scratch.as_ref().map_or(folder, |scratch| &scratch.0);
    let mut stage = Stage::open(entry, &file.config, folder)?;
    let mut failures = Vec::new();
    for row in &file.rows {
        if let Err(error) = stage.play(row) {
            failures.push(format!("row '{}' (line {}): {error}", row.title, row.line));
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

/// A folder for the files that a case brings along, removed afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn with_files(file: &CaseFile) -> Result<Option<Scratch>, String> {
        static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        if file.files.is_empty() {
            return Ok(None);
        }
        let n = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("case-{}-{n}", std::process::id()));
        let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
        std::fs::create_dir_all(&folder).map_err(failed)?;
        for (name, text) in &file.files {
            std::fs::write(folder.join(name), text).map_err(failed)?;
        }
        Ok(Some(Scratch(folder)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder that stays in the temporary folder does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The NF on its stand, and what it has sent and no line has named yet.
struct Stage {
    stand: Stand,
    site: Site,
    counters: &'static [&'static str],
    now: Time,
    emitted: VecDeque<Emitted>,
}

impl Stage {
    fn open(entry: &Entry, config: &str, folder: &Path) -> Result<Self, String> {
        let site = Site { folder: folder.to_owned(), ..trial::site() };
        let configured = entry.configure(trial::table(config)?).map_err(|error| error.to_string())?;
        let prepared = configured.prepare(&site).map_err(|error| error.to_string())?;
        let worker = WorkerSite { index: 0, count: 1, seed: site.seed };
        let stand = caught(|| Ok::<_, String>(Stand::new(pools()?, prepared.as_ref(), worker)))??;
        Ok(Stage { stand, site, counters: prepared.counters(), now: START, emitted: VecDeque::new() })
    }

    /// Plays a row: packets that follow each other without anything but their fates between them are one
    /// burst.
    fn play(&mut self, row: &Row) -> Result<(), String> {
        let mut steps = row.steps.as_slice();
        while let Some((step, rest)) = steps.split_first() {
            let end = steps.iter().position(|step| !is_of_burst(&step.what)).unwrap_or(steps.len());
            if end > 0 {
                self.burst(&steps[..end])?;
                steps = &steps[end..];
            } else {
                self.other(step)?;
                steps = rest;
            }
        }
        match self.emitted.pop_front() {
            Some(packet) => Err(format!(
                "the NF sent a packet to {} that no `emit` line names\n    {}\n    hex {}",
                packet.port.map_or(format!("gate {}", packet.gate), |port| format!("port {port}")),
                show::summary(&packet.bytes),
                show::hex(&packet.bytes)
            )),
            None => Ok(()),
        }
    }

    fn burst(&mut self, steps: &[Step]) -> Result<(), String> {
        let (mut inputs, mut expected) = (Vec::new(), Vec::new());
        for step in steps {
            let at = |error: &str| format!("line {}: {error}", step.line);
            match &step.what {
                What::In { port, bytes } if inputs.len() == expected.len() => {
                    let known = self.site.port(port);
                    let ingress = known.ok_or_else(|| at(&format!("there is no port '{port}'")))?;
                    inputs.push(Input { bytes, ingress });
                }
                What::In { .. } => return Err(at("the packet before this one has no fate")),
                _ if inputs.len() == expected.len() + 1 => expected.push(step),
                _ => return Err(at("a fate without a packet")),
            }
        }
        if inputs.len() != expected.len() {
            return Err("the last packet has no fate".to_owned());
        }
        for (inputs, expected) in inputs.chunks(engine::BURST).zip(expected.chunks(engine::BURST)) {
            self.now = self.now + Duration::from_millis(1);
            let round = caught(|| self.stand.run(inputs, Packing::Contiguous, self.now))
                .map_err(|panic| format!("the NF panicked: {panic}"))?
                .map_err(|full| full.to_string())?;
            let fates: Vec<_> = expected.iter().zip(inputs).zip(&round.fates).collect();
            for ((step, input), fate) in fates {
                agree(&step.what, input.bytes, fate)
                    .map_err(|error| format!("line {}: {error}", step.line))?;
            }
            self.keep(round);
        }
        Ok(())
    }

    fn keep(&mut self, round: Round) {
        self.emitted.extend(round.emitted);
    }

    fn other(&mut self, step: &Step) -> Result<(), String> {
        let result = match &step.what {
            What::After(time) => {
                self.now = self.now + *time;
                caught(|| self.stand.tick(self.now)).map(|round| self.keep(round))
            }
            What::Emit(gate, bytes) => self.emits(*gate, None, bytes),
            What::Transmit(port, bytes) => match self.site.port(port) {
                Some(number) => self.emits(0, Some(number), bytes),
                None => Err(format!("there is no port '{port}'")),
            },
            What::Counter(name, number) => self.counts(name, *number),
            What::Count(kind, count) => self.records(kind).and_then(|records| match records.len() {
                found if found == *count => Ok(()),
                found => Err(format!("expected {count} records '{kind}', got {found}:\n{}", lines(&records))),
            }),
            What::Holds(kind, members) => self.records(kind).and_then(|records| {
                let held =
                    |record: &Record| includes(&record.value, members) || includes(&merged(record), members);
                match records.iter().any(held) {
                    true => Ok(()),
                    false => Err(format!("no record '{kind}' has {members}:\n{}", lines(&records))),
                }
            }),
            _ => Ok(()),
        };
        result.map_err(|error| format!("line {}: {error}", step.line))
    }

    fn emits(&mut self, gate: u8, port: Option<u16>, bytes: &[u8]) -> Result<(), String> {
        let Some(packet) = self.emitted.pop_front() else {
            return Err("the NF sent nothing".to_owned());
        };
        if (packet.gate, packet.port) != (gate, port) {
            let name = |gate: u8, port: Option<u16>| match port {
                Some(port) => format!("port {port}"),
                None => format!("gate {gate}"),
            };
            let (went, should) = (name(packet.gate, packet.port), name(gate, port));
            return Err(format!("the NF sent to {went} instead of {should}"));
        }
        same(bytes, &packet.bytes)
    }

    fn counts(&self, name: &str, expected: u64) -> Result<(), String> {
        let index = self.counters.iter().position(|known| *known == name);
        let counter = index.and_then(|index| self.stand.stats().own.get(index));
        match counter.map(engine::Counter::get) {
            Some(number) if number == expected => Ok(()),
            Some(number) => Err(format!("counter '{name}': expected {expected}, got {number}")),
            None => Err(format!("there is no counter '{name}', only {}", self.counters.join(", "))),
        }
    }

    fn records(&mut self, kind: &str) -> Result<Vec<Record>, String> {
        let selector = Selector { kind: Some(kind.to_owned()), ..Selector::default() };
        self.stand.export(&selector).map_err(|error| error.to_string())
    }
}

fn is_of_burst(what: &What) -> bool {
    matches!(
        what,
        What::In { .. } | What::Forward(_) | What::Gate(..) | What::Drop(_) | What::Absorb | What::Taken
    )
}

/// Whether a fate is the expected one; a fate without a packet means the packet as it came in.
fn agree(expected: &What, input: &[u8], got: &Fate) -> Result<(), String> {
    match (expected, got) {
        (What::Forward(bytes), Fate::Forward(out)) => same(bytes.as_deref().unwrap_or(input), out),
        // Gate 0 and the default gate are one.
        (What::Gate(0, bytes), Fate::Forward(out)) => same(bytes.as_deref().unwrap_or(input), out),
        (What::Gate(gate, bytes), Fate::Gate(other, out)) if gate == other => {
            same(bytes.as_deref().unwrap_or(input), out)
        }
        (What::Drop(reason), Fate::Drop(name)) if reason == name => Ok(()),
        (What::Absorb, Fate::Absorb) | (What::Taken, Fate::Taken) => Ok(()),
        _ => {
            let written = match expected {
                What::Forward(_) => "forward".to_owned(),
                What::Gate(gate, _) => format!("gate {gate}"),
                What::Drop(reason) => format!("drop {reason}"),
                What::Absorb => "absorb".to_owned(),
                _ => "taken".to_owned(),
            };
            Err(format!("expected '{written}', got '{}'\n    {}", trial::name(got), show::summary(input)))
        }
    }
}

fn same(expected: &[u8], got: &[u8]) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    Err(format!(
        "the packet comes out otherwise\n{}    expected hex {}\n    got      hex {}",
        show::difference(expected, got),
        show::hex(expected),
        show::hex(got)
    ))
}

/// Key and value of a record as one object.
fn merged(record: &Record) -> Value {
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    members(&record.key).into_iter().chain(members(&record.value)).collect()
}

/// Whether `all` has every member of `some`, however deep.
fn includes(all: &Value, some: &Value) -> bool {
    match (all, some) {
        (Value::Object(all), Value::Object(some)) => {
            some.iter().all(|(name, some)| all.get(name).is_some_and(|all| includes(all, some)))
        }
        _ => all == some,
    }
}

fn lines(records: &[Record]) -> String {
    let shown = records.iter().take(10).map(|record| format!("    {} {}", record.key, record.value));
    shown.collect::<Vec<_>>().join("\n")
}
