//! What a user says of the detection of assets, and the files of signatures that it names.

use super::banner::Banners;
use super::names::{Links, Ports};
use super::os::{Book, Library};
use super::print::Moment;
use crate::monitor::config::check_file;
use engine::{ConfigError, Site};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Capacities up to this.
const MOST: usize = 1 << 20;
/// Files up to this size are read.
const LARGEST_FILE: u64 = 16 << 20;
/// Lines that are not understood are told one by one up to so many.
const TOLD: usize = 5;

/// Detection of assets: hosts, their systems and services. Each part needs a file of signatures.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AssetsConfig {
    /// How many hosts each worker knows at a time. One more takes the place of one that nothing was heard of for long.
    pub capacity: usize,
    /// A file that gets the assets at the end of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How that file is written.
    pub format: Format,
    /// Fingerprints of SYN segments, as p0f 2 writes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syn: Option<String>,
    /// Fingerprints of SYN+ACK segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synack: Option<String>,
    /// Fingerprints of FIN segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fin: Option<String>,
    /// Fingerprints of RST segments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rst: Option<String>,
    /// What TCP servers say, as PRADS writes it: `service,v/product/version/info/,pattern`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub servers: Option<String>,
    /// What TCP clients say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<String>,
    /// What UDP servers say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp: Option<String>,
    /// Names of ports, as in `/etc/services`, for services that say nothing that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,
    /// Names of links by their MTU.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub links: Option<String>,
}

/// How assets are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A line of JSON for each host.
    #[default]
    Json,
    /// A line for each finding, as PRADS does.
    Prads,
}

impl Default for AssetsConfig {
    fn default() -> Self {
        AssetsConfig {
            capacity: 16_384,
            file: None,
            format: Format::Json,
            syn: None,
            synack: None,
            fin: None,
            rst: None,
            servers: None,
            clients: None,
            udp: None,
            ports: None,
            links: None,
        }
    }
}

/// What all workers share: signatures that were read.
pub(in crate::monitor) struct Signatures {
    pub(super) capacity: usize,
    pub(super) library: Library,
    /// Of TCP servers, TCP clients, UDP servers.
    pub(super) banners: [Option<Banners>; 3],
    pub(super) ports: Ports,
    pub(super) links: Links,
    /// Where the assets are written at the end, and how.
    pub(in crate::monitor) file: Option<(PathBuf, Format)>,
    /// Lines of files that are not understood.
    pub(in crate::monitor) remarks: Vec<ConfigError>,
}

impl Signatures {
    pub(in crate::monitor) fn read(config: &AssetsConfig, site: &Site) -> Result<Signatures, ConfigError> {
        if config.capacity == 0 || config.capacity > MOST {
            let message = format!("a capacity of {} hosts is not possible", config.capacity);
            return Err(
                ConfigError::at("assets.capacity", message).help(format!("a number from 1 to {MOST}"))
            );
        }
        let file = config.file.as_ref().map(|written| site.path(written));
        if let Some(file) = &file {
            check_file("assets.file", file)?;
        }
        let mut signatures = Signatures {
            capacity: config.capacity,
            library: Library::default(),
            banners: [None, None, None],
            ports: Ports::default(),
            links: Links::default(),
            file: file.map(|file| (file, config.format)),
            remarks: Vec::new(),
        };
        let books = [&config.syn, &config.synack, &config.fin, &config.rst];
        let keys = ["assets.syn", "assets.synack", "assets.fin", "assets.rst"];
        for ((moment, written), key) in Moment::ALL.into_iter().zip(books).zip(keys) {
            let Some((path, text)) = open(key, written, site)? else { continue };
            let (book, wrong) = Book::parse(&text);
            signatures.remark(key, &path, book.len(), &wrong)?;
            signatures.library.put(moment, book);
        }
        let banners = [&config.servers, &config.clients, &config.udp];
        for ((i, written), key) in
            banners.into_iter().enumerate().zip(["assets.servers", "assets.clients", "assets.udp"])
        {
            let Some((path, text)) = open(key, written, site)? else { continue };
            let (banners, wrong) = Banners::parse(&text);
            signatures.remark(key, &path, banners.as_ref().map_or(0, Banners::len), &wrong)?;
            signatures.banners[i] = banners;
        }
        if let Some((path, text)) = open("assets.ports", &config.ports, site)? {
            let (ports, wrong) = Ports::parse(&text);
            signatures.remark("assets.ports", &path, 1, &wrong)?;
            signatures.ports = ports;
        }
        if let Some((path, text)) = open("assets.links", &config.links, site)? {
            let (links, wrong) = Links::parse(&text);
            signatures.remark("assets.links", &path, 1, &wrong)?;
            signatures.links = links;
        }
        Ok(signatures)
    }

    /// Tells of lines that are not understood. A file in which there is nothing else is no such file.
    fn remark(
        &mut self,
        key: &str,
        path: &Path,
        understood: usize,
        wrong: &[(usize, impl Display)],
    ) -> Result<(), ConfigError> {
        let path = path.display();
        let told = wrong
            .iter()
            .take(TOLD)
            .map(|(line, what)| ConfigError::at(key, format!("{path}, line {line}: {what}")));
        match wrong {
            [(line, what), ..] if understood == 0 => {
                return Err(ConfigError::at(key, format!("{path} has no signature; line {line}: {what}")));
            }
            _ => self.remarks.extend(told),
        }
        if wrong.len() > TOLD {
            let more = format!("{path}: {} more lines are not understood", wrong.len() - TOLD);
            self.remarks.push(ConfigError::at(key, more));
        }
        Ok(())
    }
}

/// A file's path and text; bytes that are no UTF-8, as names may have them, are replaced.
fn open(key: &str, written: &Option<String>, site: &Site) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let Some(written) = written else { return Ok(None) };
    let path = site.path(written);
    let failed = |what: String| {
        ConfigError::at(key, format!("{} cannot be read: {what}", path.display()))
            .help("Paths are relative to the configuration's folder.")
    };
    let size = std::fs::metadata(&path).map_err(|error| failed(error.to_string()))?.len();
    if size > LARGEST_FILE {
        return Err(failed(format!("it has {size} bytes, more than {LARGEST_FILE}")));
    }
    let bytes = std::fs::read(&path).map_err(|error| failed(error.to_string()))?;
    Ok(Some((path, String::from_utf8_lossy(&bytes).into_owned())))
}
