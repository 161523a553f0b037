//! The files that a configuration names itself: captures and the control socket.

use super::diagnostic::Diagnostic;
use super::port::{Identity, PortDevice, identity_of_file, pcap_files};
use super::{Config, SocketChoice};
use rustix::fs::{Access, access};
use std::collections::HashMap;
use std::fs::{self, FileType};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

pub(super) fn check(config: &Config, diagnostics: &mut Vec<Diagnostic>) {
    for port in &config.ports {
        let report = |problem: Option<String>, diagnostics: &mut Vec<Diagnostic>| {
            diagnostics.extend(problem.map(|problem| {
                Diagnostic::error(port.device_span.clone(), problem).help(from_folder(config))
            }));
        };
        match &port.device {
            PortDevice::Capture(path) => {
                let source = config.chains.iter().any(|chain| chain.from == port.name);
                let sink = config
                    .chains
                    .iter()
                    .find_map(|chain| chain.to.iter().find(|(name, _)| *name == port.name));
                match (source, sink) {
                    (true, Some((_, span))) => {
                        let message =
                            format!("capture file '{}' is read as 'from' and written as 'to'", port.name);
                        diagnostics.push(
                            Diagnostic::error(span.clone(), message)
                                .help("make two ports of it, with two files"),
                        );
                    }
                    (true, None) => report(unreadable(path), diagnostics),
                    (false, Some(_)) => report(unwritable(path), diagnostics),
                    (false, None) => {}
                }
            }
            PortDevice::Dpdk(device) => {
                for (written, path) in pcap_files(device) {
                    report(if written { unwritable(path) } else { unreadable(path) }, diagnostics);
                }
            }
        }
    }
    twice(config, diagnostics);
    socket(config, diagnostics);
}

/// What is written by one device is neither written nor read by another. (That a capture file is two ports is told
/// with the devices.)
fn twice(config: &Config, diagnostics: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<Identity, (&str, bool)> = HashMap::new();
    for port in &config.ports {
        let files: Vec<(bool, &Path, bool)> = match &port.device {
            PortDevice::Capture(path) => {
                let written = config.chains.iter().all(|chain| chain.from != port.name);
                vec![(written, path, true)]
            }
            PortDevice::Dpdk(device) => {
                pcap_files(device).map(|(written, path)| (written, path, false)).collect()
            }
        };
        for (written, path, own) in files {
            let Some((other, others_write)) = seen.insert(identity_of_file(path), (&port.name, written))
            else {
                continue;
            };
            let told = own
                && config
                    .ports
                    .iter()
                    .any(|port| port.name == other && matches!(port.device, PortDevice::Capture(_)));
            if !told && (written || others_write) {
                let does = |writes: bool| if writes { "writes" } else { "reads" };
                let message = format!(
                    "port '{}' {} {}, which port '{other}' {}",
                    port.name,
                    does(written),
                    path.display(),
                    does(others_write)
                );
                diagnostics.push(
                    Diagnostic::error(port.device_span.clone(), message).help("write to a file of its own"),
                );
            }
        }
    }
}

/// What keeps a capture from being read, as far as can be seen without opening it.
pub fn unreadable(path: &Path) -> Option<String> {
    let shown = path.display();
    match fs::metadata(path) {
        Err(_) => Some(format!("there is no capture file {shown}")),
        Ok(found) if !found.is_file() => {
            Some(format!("{shown} is {}, not a capture file", kind_of(found.file_type())))
        }
        Ok(_) => access(path, Access::READ_OK).err().map(|error| format!("{shown} cannot be read: {error}")),
    }
}

/// What keeps a capture, or another file, from being written, as far as can be seen without opening it.
pub fn unwritable(path: &Path) -> Option<String> {
    let shown = path.display();
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Some(format!("there is no folder {} to write {shown} to", folder.display()));
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Some(format!("{shown} is a folder, not a file")),
        Ok(_) => {
            access(path, Access::WRITE_OK).err().map(|error| format!("{shown} cannot be written: {error}"))
        }
        Err(_) => access(folder, Access::WRITE_OK)
            .err()
            .map(|error| format!("no file can be made in the folder {}: {error}", folder.display())),
    }
}

fn kind_of(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// The control socket needs a folder, and a place where nothing else is.
fn socket(config: &Config, diagnostics: &mut Vec<Diagnostic>) {
    let SocketChoice::Path(path) = &config.engine.socket else { return };
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    let problem = if !folder.is_dir() {
        format!("there is no folder {} for the control socket", folder.display())
    } else if fs::metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        format!("{} is there already, and is no socket", path.display())
    } else {
        return;
    };
    diagnostics.push(Diagnostic::error(config.engine.socket_span.clone(), problem).help(from_folder(config)));
}

fn from_folder(config: &Config) -> String {
    let folder = config.folder();
    let folder = if folder == Path::new("") { ".".to_owned() } else { folder.display().to_string() };
    format!("relative paths start from the configuration's folder, {folder}")
}
