//! What is wanted of all servers together: NFs and chains as in a configuration, what NFs need, what chains carry.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use toml::Table;

/// A file of it. It is a configuration whose ports are on several servers, with `[need.NF]` and `rate` in chains;
/// `[ports]` and `[engine]` may be there, and are each server's own matter.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The NFs: kind and keys.
    #[serde(default, rename = "nf")]
    pub nfs: BTreeMap<String, Table>,
    /// What they need.
    #[serde(default, rename = "need")]
    pub needs: BTreeMap<String, Need>,
    /// The chains.
    #[serde(default, rename = "chain")]
    pub chains: Vec<Chain>,
    #[serde(default, rename = "ports")]
    _ports: Table,
    #[serde(default, rename = "engine")]
    _engine: Table,
}

/// What one instance of an NF does and takes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Need {
    /// Packets per second that it processes.
    pub rate: f64,
    /// Cores.
    pub cpu: f64,
    /// Memory in MB.
    pub memory: f64,
    /// Servers that it may run on; empty: all.
    pub on: Vec<String>,
}

impl Default for Need {
    fn default() -> Self {
        Need { rate: f64::INFINITY, cpu: 1.0, memory: 0.0, on: Vec::new() }
    }
}

/// A chain.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// The port where it begins: `lan`, or `s1.lan` for that of one server.
    pub from: String,
    /// Which packets take it.
    #[serde(default, rename = "match")]
    pub matches: Option<String>,
    /// The NFs.
    #[serde(default)]
    pub path: OneOrMore,
    /// The ports where it ends.
    pub to: OneOrMore,
    /// Packets per second that it is to carry.
    #[serde(default = "one")]
    pub rate: f64,
    /// Which NF hands packets to which, where they do not follow each other. For planning only: servers run chains in
    /// order.
    #[serde(default)]
    pub pairs: Option<Vec<(String, String)>>,
    /// As in a configuration.
    #[serde(default)]
    pub parallel: Option<String>,
    /// NFs that run side by side where they are on two servers.
    #[serde(default)]
    pub beside: Vec<Beside>,
}

/// Two NFs that follow each other in a path. On two servers they run side by side: packets are mirrored on the first
/// one's server, and merged on one of the two.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beside {
    /// The two.
    pub nfs: [String; 2],
    /// Fields that the second one writes. It changes no length.
    pub writes: Vec<String>,
    /// How long one half of a packet waits for the other.
    #[serde(default)]
    pub timeout: Option<String>,
    /// Where they are merged; if not said: on the first one's server if the chain goes on there, else on the second one's.
    #[serde(default)]
    pub merge: Option<MergeOn>,
}

/// On which server of two packets are merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeOn {
    /// That of the first NF, where the mirror is: the copies come back (MM in the thesis).
    First,
    /// That of the second NF: nothing comes back (M/M).
    Second,
}

fn one() -> f64 {
    1.0
}

/// A name or a list of names.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(untagged)]
pub enum OneOrMore {
    /// A name.
    One(String),
    /// A list.
    More(Vec<String>),
}

impl Default for OneOrMore {
    fn default() -> Self {
        OneOrMore::More(Vec::new())
    }
}

impl OneOrMore {
    /// The names.
    pub fn names(&self) -> &[String] {
        match self {
            OneOrMore::One(name) => std::slice::from_ref(name),
            OneOrMore::More(names) => names,
        }
    }
}

/// How names of what joins servers begin; others may not.
pub const RESERVED: &str = "hop-";

impl Wanted {
    /// Reads a text, and checks that its names lead somewhere.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Wanted, String> {
        let wanted: Wanted = toml::from_str(text).map_err(|error| error.to_string())?;
        if wanted.chains.is_empty() {
            return Err("there is no chain: write [[chain]] with name, from, path and to".to_owned());
        }
        let mut names = BTreeSet::new();
        for chain in &wanted.chains {
            let name = &chain.name;
            if !names.insert(name) {
                return Err(format!("two chains are called '{name}'"));
            }
            let mut seen = BTreeSet::new();
            for nf in chain.path.names() {
                if !wanted.nfs.contains_key(nf) {
                    return Err(format!("chain '{name}': unknown NF '{nf}'"));
                }
                if !seen.insert(nf) {
                    return Err(format!("chain '{name}': NF '{nf}' is in the path twice"));
                }
            }
            let follow = |beside: &Beside| chain.path.names().windows(2).any(|pair| *pair == beside.nfs);
            if let Some(Beside { nfs: [a, b], .. }) = chain.beside.iter().find(|beside| !follow(beside)) {
                return Err(format!(
                    "chain '{name}': 'beside' names {a} and {b}, which do not follow each other"
                ));
            }
            let mut beside = BTreeSet::new();
            if let Some(nf) = chain.beside.iter().flat_map(|pair| &pair.nfs).find(|nf| !beside.insert(*nf)) {
                return Err(format!(
                    "chain '{name}': NF '{nf}' is in 'beside' twice; two NFs run side by side, no more"
                ));
            }
            if let Some(last) = chain.path.names().last()
                && chain.to.names().len() > 1
                && beside.contains(last)
            {
                return Err(format!(
                    "chain '{name}': '{last}' chooses among several ports, so nothing runs beside it"
                ));
            }
            if chain.to.names().is_empty() {
                return Err(format!("chain '{name}': 'to' is empty"));
            }
        }
        if let Some(name) = wanted.needs.keys().find(|name| !wanted.nfs.contains_key(*name)) {
            return Err(format!("[need.{name}]: unknown NF '{name}'"));
        }
        let all = wanted.nfs.keys().chain(names);
        if let Some(name) = all.into_iter().find(|name| name.starts_with(RESERVED)) {
            return Err(format!("'{name}': names that begin with '{RESERVED}' join servers; take another"));
        }
        Ok(wanted)
    }

    /// What an NF needs.
    pub fn need(&self, nf: &str) -> Need {
        self.needs.get(nf).cloned().unwrap_or_default()
    }
}
