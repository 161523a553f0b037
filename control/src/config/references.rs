//! Whether the names in a configuration lead somewhere, and whether what they join fits together.

use super::diagnostic::{Diagnostic, Severity};
use super::port::{Identity, PortDevice};
use super::{Config, NfConfig, Purpose, files, nearest};
use engine::{Device, Door, Doorway, Flaw, Gates};
use std::collections::HashMap;

/// All names that the file has, also of tables with errors in them: nobody is told that a port does not exist
/// because its device is misspelt.
#[derive(Default)]
pub(super) struct Names {
    pub ports: Vec<String>,
    pub nfs: Vec<String>,
    pub chains: usize,
    /// Ports may be there that were not found by their names, so none is called unknown or missing.
    pub ports_hidden: bool,
    /// The same of NFs.
    pub nfs_hidden: bool,
    /// The same of chains.
    pub chains_hidden: bool,
}

/// Most ports that a chain can lead to.
const MAX_GATES: usize = 64;

pub(super) fn check(config: &Config, names: &Names, purpose: Purpose, diagnostics: &mut Vec<Diagnostic>) {
    presence(names, diagnostics);
    if purpose == Purpose::Run {
        ports(config, diagnostics);
        files::check(config, diagnostics);
    }
    for nf in &config.nfs {
        if names.ports.contains(&nf.name) {
            diagnostics.push(
                Diagnostic::error(nf.name_span.clone(), format!("'{}' is the name of a port too", nf.name))
                    .help("reports count drops as <name>.<reason>: give the NF or the port another name"),
            );
        }
    }
    chains(config, names, diagnostics);
    doors(config, names, purpose, diagnostics);
    // With something wrong, nobody knows what it would have used.
    if diagnostics.iter().all(|d| d.severity == Severity::Warning) {
        unused(config, diagnostics);
    }
}

fn presence(names: &Names, diagnostics: &mut Vec<Diagnostic>) {
    let mut missing = |what: &str, help: &str| {
        diagnostics.push(Diagnostic::error(0..0, format!("the configuration has no {what}")).help(help));
    };
    if names.ports.is_empty() && !names.ports_hidden {
        missing("port", "write [ports.NAME] and a device: where packets come from and go to");
    }
    if names.chains == 0 && !names.chains_hidden {
        missing("chain", "write [[chain]] with name, from, path and to");
    }
}

fn ports(config: &Config, diagnostics: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<Identity, &str> = HashMap::new();
    for port in &config.ports {
        if let Some(other) = seen.insert(port.identity(), &port.name) {
            let (what, help) = match port.device {
                PortDevice::Dpdk(_) => {
                    ("device", "one device is one port; number virtual devices: net_null0, net_null1")
                }
                PortDevice::Capture(_) => {
                    ("capture file", "one file is one port; write to another file than is read")
                }
            };
            let message = format!("port '{}' has the same {what} as port '{other}'", port.name);
            diagnostics.push(Diagnostic::error(port.device_span.clone(), message).help(help));
        }
        if let PortDevice::Dpdk(device) = &port.device
            && let Some(Flaw::Misspelt(problem)) = Device::Dpdk(device.clone()).flaw()
        {
            let message = format!("device \"{}\": {problem}", port.written);
            diagnostics.push(Diagnostic::error(port.device_span.clone(), message));
        }
    }
}

fn chains(config: &Config, names: &Names, diagnostics: &mut Vec<Diagnostic>) {
    let known_ports = || names.ports.iter().map(String::as_str);
    let known_nfs = || names.nfs.iter().map(String::as_str);
    let mut seen: Vec<&str> = Vec::new();
    // The chain that takes everything from a port, by port.
    let mut takes_all: HashMap<&str, &str> = HashMap::new();
    for chain in &config.chains {
        if chain.name.is_empty() || seen.contains(&chain.name.as_str()) {
            let message = format!("two chains are called '{}'", chain.name);
            let message = if chain.name.is_empty() { "a chain needs a name".to_owned() } else { message };
            diagnostics.push(
                Diagnostic::error(chain.name_span.clone(), message).help("give each chain a name of its own"),
            );
        }
        seen.push(&chain.name);
        if let Some(first) = takes_all.get(chain.from.as_str()) {
            let message = format!(
                "chain '{}' never gets a packet: '{first}' takes all from '{}'",
                chain.name, chain.from
            );
            diagnostics.push(
                Diagnostic::warning(chain.name_span.clone(), message)
                    .help(format!("put it before '{first}', or give '{first}' a 'match'")),
            );
        } else if chain.matcher.is_always() {
            takes_all.insert(&chain.from, &chain.name);
        }
        let ends = chain.to.iter().map(|(name, span)| (name, span));
        for (name, span) in std::iter::once((&chain.from, &chain.from_span)).chain(ends) {
            if !names.ports.contains(name) && !names.ports_hidden {
                diagnostics.push(
                    Diagnostic::error(span.clone(), format!("unknown port '{name}'"))
                        .help(nearest::advice(name, known_ports())),
                );
            }
        }
        for (i, (name, span)) in chain.to.iter().enumerate() {
            if chain.to[..i].iter().any(|(other, _)| other == name) {
                diagnostics
                    .push(Diagnostic::error(span.clone(), format!("port '{name}' is named twice in 'to'")));
            }
        }
        for (i, (name, span)) in chain.path.iter().enumerate() {
            if !names.nfs.contains(name) && !names.nfs_hidden {
                diagnostics.push(
                    Diagnostic::error(span.clone(), format!("unknown NF '{name}'"))
                        .help(nearest::advice(name, known_nfs())),
                );
            }
            if chain.path[..i].iter().any(|(other, _)| other == name) {
                diagnostics.push(
                    Diagnostic::error(span.clone(), format!("NF '{name}' is in the path twice"))
                        .help("make a second NF of the same kind with a name of its own"),
                );
            }
        }
    }
    gates(config, diagnostics);
}

/// NFs that live behind ports: the ports are there, and what comes back by one is nobody else's.
fn doors(config: &Config, names: &Names, purpose: Purpose, diagnostics: &mut Vec<Diagnostic>) {
    // Whose packets come in by a port.
    let mut owners: HashMap<String, &str> = HashMap::new();
    for nf in &config.nfs {
        for door in nf.configured.doors() {
            let place = nf.place(Some(&door.key));
            if !names.ports.contains(&door.port) && !names.ports_hidden {
                let known = names.ports.iter().map(String::as_str);
                diagnostics.push(
                    Diagnostic::error(place, format!("unknown port '{}'", door.port))
                        .help(nearest::advice(&door.port, known)),
                );
                continue;
            }
            // In a replay nothing comes in by it.
            if door.way == Doorway::Out || purpose == Purpose::Replay {
                continue;
            }
            if let Some(chain) = config.chains.iter().find(|chain| chain.from == door.port) {
                let message = format!(
                    "chain '{}' begins at '{}', by which packets come back to '{}'",
                    chain.name, door.port, nf.name
                );
                let help =
                    "let the chain begin at another port: those that come back go on in their own chain";
                diagnostics.push(Diagnostic::error(chain.from_span.clone(), message).help(help));
            }
            if let Some(other) = owners.insert(door.port.clone(), &nf.name) {
                let message = if other == nf.name {
                    format!("'{}' gets packets back by port '{}' twice", nf.name, door.port)
                } else {
                    format!("packets that come back by port '{}' are for '{other}' already", door.port)
                };
                let help = "give each way back a port of its own";
                diagnostics.push(Diagnostic::error(place, message).help(help));
            }
        }
    }
}

/// An NF with a gate per port stands last, and always before the same ports.
fn gates(config: &Config, diagnostics: &mut Vec<Diagnostic>) {
    let kind = |name: &str| config.nfs.iter().find(|nf| nf.name == name).map(|nf| nf.entry);
    let mut ends: HashMap<&str, (&str, Vec<&str>)> = HashMap::new();
    for chain in &config.chains {
        let last = chain.path.len().saturating_sub(1);
        for (i, (name, span)) in chain.path.iter().enumerate() {
            let Some(entry) = kind(name) else { continue };
            match entry.gates {
                Gates::Ports if i < last => diagnostics.push(
                    Diagnostic::error(
                        span.clone(),
                        format!(
                            "'{name}' chooses the port a packet leaves by, so it stands last in the path"
                        ),
                    )
                    .help(format!("move '{name}' to the end of the path")),
                ),
                Gates::Ports => {
                    let to: Vec<&str> = chain.to().collect();
                    match ends.get(name.as_str()) {
                        Some((first, ports)) if *ports != to => diagnostics.push(
                            Diagnostic::error(
                                span.clone(),
                                format!(
                                    "'{name}' ends chain '{first}' too, which leads to other ports: {}",
                                    ports.join(", ")
                                ),
                            )
                            .help("give both chains the same 'to', or use a second NF"),
                        ),
                        _ => {
                            ends.insert(name, (&chain.name, to));
                        }
                    }
                }
                Gates::One => {}
            }
        }
        let ports_end = match chain.path.last() {
            // A path whose last NF could not be read is not judged.
            Some((name, _)) => kind(name).is_none_or(|entry| entry.gates == Gates::Ports),
            None => false,
        };
        let repeated = chain.to.iter().all(|(name, _)| *name == chain.to[0].0);
        if chain.to.len() > 1
            && !repeated
            && !ports_end
            && let Some((_, span)) = chain.to.get(1)
        {
            let message = match chain.path.last() {
                Some((name, _)) => format!("'{name}' has one gate, so nothing ever goes to the second port"),
                None => "a chain without NFs leads to one port".to_owned(),
            };
            diagnostics.push(
                Diagnostic::error(span.clone(), message).help(
                    "name one port, or end the path with an NF that chooses among ports, as l2fwd does",
                ),
            );
        }
        if chain.to.len() > MAX_GATES
            && let Some((_, span)) = chain.to.get(MAX_GATES)
        {
            diagnostics
                .push(Diagnostic::error(span.clone(), format!("a chain leads to at most {MAX_GATES} ports")));
        }
    }
}

fn unused(config: &Config, diagnostics: &mut Vec<Diagnostic>) {
    for port in &config.ports {
        if !config.uses_port(&port.name) {
            let message = format!("port '{}' is in no chain and stays closed", port.name);
            diagnostics.push(Diagnostic::warning(port.name_span.clone(), message));
        }
    }
    for nf in &config.nfs {
        if !config.chains.iter().any(|chain| chain.path().any(|name| name == nf.name)) {
            let message = format!("NF '{}' is in no chain and does nothing", nf.name);
            diagnostics.push(Diagnostic::warning(nf.name_span.clone(), message));
        }
    }
}

impl Config {
    /// Whether a chain begins or ends at the port, or an NF of a chain lives behind it.
    pub(super) fn uses_port(&self, name: &str) -> bool {
        self.chains.iter().any(|chain| chain.from == name || chain.to().any(|to| to == name))
            || self.doors().any(|(_, door)| door.port == name)
    }

    /// The ports behind which NFs live, those of NFs in no chain left out.
    pub(super) fn doors(&self) -> impl Iterator<Item = (&NfConfig, Door)> {
        let in_use =
            |nf: &&NfConfig| self.chains.iter().any(|chain| chain.path().any(|name| name == nf.name));
        self.nfs
            .iter()
            .filter(in_use)
            .flat_map(|nf| nf.configured.doors().into_iter().map(move |door| (nf, door)))
    }
}
