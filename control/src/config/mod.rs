//! The configuration file: read, checked in full, remembered, compared.
//!
//! ```toml
//! [ports.lan]
//! device = "net_pcap0,rx_pcap=in.pcap"
//! [ports.wan]
//! device = "0000:3b:00.0"
//!
//! [nf.edge]
//! kind = "firewall"
//! rules = "edge.rules"
//!
//! [[chain]]
//! name = "egress"
//! from = "lan"
//! match = "ip.dst in 10.0.0.0/8 and tcp"
//! path = ["edge"]
//! to = "wan"
//! ```

pub mod buffers;
mod chain;
mod diagnostic;
mod diff;
mod files;
mod machine;
mod nearest;
mod nf;
mod parallel;
mod plan;
mod port;
mod references;
mod scale;
mod secrets;
mod section;
mod settings;
#[cfg(test)]
mod tests;

pub use chain::ChainConfig;
pub use diagnostic::{ConfigErrors, Diagnostic, Severity, line_column};
pub use diff::{Change, ChangeKind, diff};
pub use files::{unreadable, unwritable};
pub(crate) use nearest::advice as nearest_name;
pub use nf::{NfConfig, kind_advice};
pub use parallel::Decision;
pub use plan::Replay;
pub use port::{PortConfig, PortDevice};
pub use scale::Scale;
pub use settings::{EngineSettings, SocketChoice};

use engine::Registry;
use section::Section;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Longest configuration that is read, in bytes.
pub const MAX_TEXT: usize = 16 << 20;

/// A configuration that was read and whose names all lead somewhere. It remembers its text, without secrets.
#[derive(Clone)]
pub struct Config {
    text: String,
    /// The text as it is shown, if that is another one: since the number of workers was changed.
    shown: Option<String>,
    file: String,
    folder: PathBuf,
    /// What holds for the whole engine.
    pub engine: EngineSettings,
    /// The ports, in the order of the file.
    pub ports: Vec<PortConfig>,
    /// The NFs, in the order of the file.
    pub nfs: Vec<NfConfig>,
    /// The chains, in the order of the file.
    pub chains: Vec<ChainConfig>,
    warnings: Vec<Diagnostic>,
}

/// What a configuration is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To run as it stands.
    Run,
    /// To take a chain out of it: what is behind the ports does not matter.
    Replay,
}

impl Config {
    /// Reads a file. Relative paths in it start from its folder.
    ///
    /// # Errors
    /// All that is wrong, each with its place and what would be right; a file that cannot be read is an error
    /// at its beginning.
    pub fn read(path: &Path, registry: &Registry) -> Result<Config, ConfigErrors> {
        Config::read_for(path, registry, Purpose::Run)
    }

    /// Reads a file for [`Config::replay`]: the captures of its ports need not be there, as others take their
    /// place.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn read_for_replay(path: &Path, registry: &Registry) -> Result<Config, ConfigErrors> {
        Config::read_for(path, registry, Purpose::Replay)
    }

    /// [`Config::read_for_replay`] of a text.
    ///
    /// # Errors
    /// As [`Config::parse`].
    pub fn parse_for_replay(
        text: &str,
        file: &str,
        folder: &Path,
        registry: &Registry,
    ) -> Result<Config, ConfigErrors> {
        Config::parse_for(text, file, folder, registry, Purpose::Replay)
    }

    fn read_for(path: &Path, registry: &Registry, purpose: Purpose) -> Result<Config, ConfigErrors> {
        let file = path.display().to_string();
        let text = read_text(path).map_err(|error| ConfigErrors {
            file: file.clone(),
            text: String::new(),
            diagnostics: vec![Diagnostic::error(0..0, format!("cannot read the configuration: {error}"))],
        })?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Config::parse_for(&text, &file, &folder, registry, purpose)
    }

    /// Reads a text. `file` is its name in messages; relative paths in it start from `folder`.
    ///
    /// # Errors
    /// All that is wrong, each with its place and what would be right.
    pub fn parse(text: &str, file: &str, folder: &Path, registry: &Registry) -> Result<Config, ConfigErrors> {
        Config::parse_for(text, file, folder, registry, Purpose::Run)
    }

    fn parse_for(
        text: &str,
        file: &str,
        folder: &Path,
        registry: &Registry,
        purpose: Purpose,
    ) -> Result<Config, ConfigErrors> {
        let (root, syntax) = DeTable::parse_recoverable(text);
        let mut diagnostics: Vec<Diagnostic> = syntax
            .iter()
            .map(|error| {
                let message = error.message().lines().collect::<Vec<_>>().join("; ");
                Diagnostic::error(error.span().unwrap_or(0..0), format!("not TOML: {message}"))
            })
            .collect();
        let mut config = Config {
            text: secrets::masked(text, registry),
            shown: None,
            file: file.to_owned(),
            folder: folder.to_owned(),
            engine: EngineSettings::default(),
            ports: Vec::new(),
            nfs: Vec::new(),
            chains: Vec::new(),
            warnings: Vec::new(),
        };
        // What a broken file seems to say beyond its syntax would only confuse.
        if diagnostics.is_empty() {
            let complete = config.read_sections(root.get_ref(), registry, &mut diagnostics);
            references::check(&config, &complete, purpose, &mut diagnostics);
            if diagnostics.iter().any(|d| d.severity == Severity::Error) {
                // The NFs' own files are looked into all the same, to say everything at once.
                diagnostics.extend(config.prepare_all().1);
            }
        }
        config.settle(diagnostics)
    }

    /// Sorts findings; errors refuse the configuration, warnings stay with it.
    fn settle(mut self, mut diagnostics: Vec<Diagnostic>) -> Result<Config, ConfigErrors> {
        diagnostics.sort_by_key(|d| (d.span.start, d.span.end));
        diagnostics.dedup();
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            return Err(self.errors(diagnostics));
        }
        self.warnings = diagnostics;
        Ok(self)
    }

    /// The configuration refused for these reasons, which were found elsewhere.
    pub fn refused(&self, diagnostics: Vec<Diagnostic>) -> ConfigErrors {
        self.errors(diagnostics)
    }

    fn errors(&self, mut diagnostics: Vec<Diagnostic>) -> ConfigErrors {
        diagnostics.sort_by_key(|d| (d.span.start, d.span.end));
        ConfigErrors { file: self.file.clone(), text: self.text.clone(), diagnostics }
    }

    /// The text that it was read from, with asterisks in place of the values of secrets; with the number of workers
    /// that there are, if that has been changed.
    pub fn text(&self) -> &str {
        self.shown.as_deref().unwrap_or(&self.text)
    }

    /// The file's name, as in messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The folder that relative paths start from.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What works, though probably not as meant.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// Reads all tables into `self`; says which names were there, also of tables that could not be used.
    fn read_sections(
        &mut self,
        root: &DeTable<'_>,
        registry: &Registry,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> references::Names {
        let mut names = references::Names::default();
        let mut top = Section::new("the configuration".to_owned(), 0..0, root, diagnostics);
        let engine = top.value("engine");
        let ports = top.value("ports");
        let nfs = top.value("nf");
        let chains = top.value("chain");
        top.finish();
        // A table under a misspelt name may be the one that is missing.
        let misspelt = !diagnostics.is_empty();
        names.ports_hidden = misspelt && ports.is_none();
        names.nfs_hidden = misspelt && nfs.is_none();
        names.chains_hidden = misspelt && chains.is_none();

        if let Some((value, table)) = engine.and_then(|value| table_of("engine", value, diagnostics)) {
            let section = Section::new("[engine]".to_owned(), value, table, diagnostics);
            self.engine = settings::read(section, &self.folder);
        }
        let before = diagnostics.len();
        let ports = entries("ports", ports, diagnostics);
        names.ports_hidden |= diagnostics.len() > before;
        let before = diagnostics.len();
        let nfs = entries("nf", nfs, diagnostics);
        names.nfs_hidden |= diagnostics.len() > before;
        for Named { name, span, table, .. } in ports {
            names.ports.push(name.clone());
            check_name("port", &name, &span, diagnostics);
            let section = Section::new(format!("[ports.{name}]"), span.clone(), table, diagnostics);
            self.ports.extend(port::read(section, &name, span, &self.folder));
        }
        for Named { name, span, value, table } in nfs {
            names.nfs.push(name.clone());
            check_name("NF", &name, &span, diagnostics);
            self.nfs.extend(nf::read(&name, span, value, table, registry, diagnostics));
        }
        match chains.map(|value| (value.span(), value.get_ref())) {
            None => {}
            Some((_, DeValue::Array(array))) => {
                names.chains = array.len();
                for value in array.iter() {
                    let Some((span, table)) = table_of("chain", value, diagnostics) else { continue };
                    let section = Section::new("[[chain]]".to_owned(), span, table, diagnostics);
                    self.chains.extend(chain::read(section, &self.text));
                }
            }
            Some((span, _)) => {
                names.chains = 1;
                diagnostics.push(
                    Diagnostic::error(span, "'chain' is not a list of chains")
                        .help("write [[chain]], with two brackets, above each chain"),
                );
            }
        }
        names
    }
}

/// The text of a regular file. Others are not even opened: a pipe may never end, or never begin.
fn read_text(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    // Not by the length that the file claims, which may be out of date and is 0 in /proc.
    let read = fs::File::open(path)?.take(MAX_TEXT as u64 + 1).read_to_string(&mut text);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => io::Error::other("it is no text; a configuration is a TOML file"),
        _ => error,
    })?;
    if text.len() > MAX_TEXT {
        return Err(io::Error::other("it is longer than 16 MiB"));
    }
    Ok(text)
}

/// A value that has to be a table, with its place.
fn table_of<'a, 'i>(
    name: &str,
    value: &'a toml::Spanned<DeValue<'i>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<(std::ops::Range<usize>, &'a DeTable<'i>)> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        let message = format!("'{name}' is {}, not a table", section::type_of(value));
        let help = match (name, value.get_ref()) {
            ("ports" | "nf", _) => format!("write [{name}.NAME], with a name of your choice, above each"),
            (_, DeValue::Array(_)) => format!("write [{name}], with one bracket, above its keys"),
            _ => format!("write [{name}] above its keys"),
        };
        diagnostics.push(Diagnostic::error(value.span(), message).help(help));
    }
    table.map(|table| (value.span(), table))
}

/// One table of `[ports.…]` or `[nf.…]`.
struct Named<'a, 'i> {
    name: String,
    /// Where its name stands.
    span: std::ops::Range<usize>,
    value: &'a toml::Spanned<DeValue<'i>>,
    table: &'a DeTable<'i>,
}

/// The named tables of `[ports.…]` or `[nf.…]`, in the order of the file.
fn entries<'a, 'i>(
    group: &str,
    value: Option<&'a toml::Spanned<DeValue<'i>>>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Named<'a, 'i>> {
    let Some((_, table)) = value.and_then(|value| table_of(group, value, diagnostics)) else {
        return Vec::new();
    };
    let mut entries = Vec::new();
    // Keys right below [ports] or [nf] are one mistake, however many there are.
    let mut nameless = Vec::new();
    for (key, value) in table.iter() {
        let (name, span) = (key.get_ref().to_string(), key.span());
        match value.get_ref().as_table() {
            Some(table) => entries.push(Named { name, span, value, table }),
            None => nameless.push((span.start, name, span)),
        }
    }
    entries.sort_by_key(|entry| entry.span.start);
    if let Some((_, key, span)) = nameless.into_iter().min_by_key(|(start, ..)| *start) {
        diagnostics.push(
            Diagnostic::error(span, format!("'{key}' stands in [{group}] itself"))
                .help(format!("write [{group}.NAME], with a name of your choice, above its keys")),
        );
    }
    entries
}

/// Names stand in reports as `<name>.<reason>`, so they are plain words.
fn check_name(what: &str, name: &str, span: &std::ops::Range<usize>, diagnostics: &mut Vec<Diagnostic>) {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        diagnostics.push(
            Diagnostic::error(span.clone(), format!("'{name}' is no name for a {what}"))
                .help("use up to 64 letters, digits, '-' and '_'"),
        );
    }
}
