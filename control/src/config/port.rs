//! The `[ports.NAME]` tables: what is behind each port.

use super::diagnostic::Diagnostic;
use super::section::Section;
use engine::{Device, PortPlan};
use std::ffi::OsString;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One port as the file has it.
#[derive(Clone, PartialEq, Debug)]
pub struct PortConfig {
    /// Its name.
    pub name: String,
    /// What is behind it.
    pub device: PortDevice,
    /// The device as written.
    pub written: String,
    pub(super) name_span: Range<usize>,
    pub(super) device_span: Range<usize>,
    pub(super) rx_queues: Option<u16>,
    pub(super) rx_descriptors: Option<u16>,
    pub(super) tx_descriptors: Option<u16>,
    pub(super) mtu: Option<u16>,
    pub(super) promiscuous: Option<bool>,
    pub(super) checksum_offload: bool,
}

/// What is behind a port; which way a capture file goes is told by the chains.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PortDevice {
    /// A DPDK device, its paths made absolute where they were relative.
    Dpdk(String),
    /// A capture file.
    Capture(PathBuf),
}

impl PortConfig {
    /// The port as planned, with `device` behind it.
    pub(super) fn plan(&self, device: Device) -> PortPlan {
        PortPlan {
            name: self.name.clone(),
            device,
            rx_queues: self.rx_queues,
            rx_descriptors: self.rx_descriptors,
            tx_descriptors: self.tx_descriptors,
            mtu: self.mtu,
            promiscuous: self.promiscuous,
            checksum_offload: self.checksum_offload,
        }
    }

    /// What tells two devices apart.
    pub(super) fn identity(&self) -> Identity {
        match &self.device {
            PortDevice::Dpdk(device) => {
                Identity::Device(device.split(',').next().unwrap_or_default().to_ascii_lowercase())
            }
            PortDevice::Capture(path) => identity_of_file(path),
        }
    }
}

/// What tells two devices apart.
#[derive(PartialEq, Eq, Hash, Debug)]
pub(super) enum Identity {
    /// A DPDK device: the part of its string before the arguments.
    Device(String),
    /// A file that is there, by file system and inode: however it is written, and whichever link leads there.
    File(u64, u64),
    /// A file that will be made: its folder, and its name there.
    Fresh(PathBuf, OsString),
}

pub(super) fn identity_of_file(path: &Path) -> Identity {
    if let Ok(found) = fs::metadata(path) {
        return Identity::File(found.dev(), found.ino());
    }
    let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
    // Without that folder there is no file either, which is an error of its own.
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    Identity::Fresh(folder, path.file_name().unwrap_or_default().to_owned())
}

/// Arguments of virtual devices that are paths, by how the device's name begins.
const PATH_ARGUMENTS: [(&str, &[&str]); 5] = [
    ("net_pcap", &["rx_pcap", "tx_pcap"]),
    ("net_vhost", &["iface"]),
    ("eth_vhost", &["iface"]),
    ("net_virtio_user", &["path"]),
    ("virtio_user", &["path"]),
];

/// How names of virtual devices begin.
const VIRTUAL: [&str; 3] = ["net_", "eth_", "virtio_user"];

const DEVICE_HELP: &str = "write a PCI address (\"0000:3b:00.0\"), a DPDK virtual device \
                           (\"net_af_packet0,iface=eth0\"), or a capture file (\"pcap:in.pcap\")";

/// Reads one table. `None` when it says nothing of the device.
pub(super) fn read(
    mut section: Section<'_, '_, '_>,
    name: &str,
    name_span: Range<usize>,
    folder: &Path,
) -> Option<PortConfig> {
    let device = section.string("device", "\"net_null0\"");
    let descriptors = 16..=32_768;
    let queues = section.integer("rx_queues", 1..=256);
    let rx = section.integer("rx_descriptors", descriptors.clone());
    let tx = section.integer("tx_descriptors", descriptors);
    let mtu = section.integer("mtu", 68..=u64::from(u16::MAX));
    let promiscuous = section.boolean("promiscuous");
    let checksum_offload = section.boolean("checksum_offload");
    let Some((written, device_span)) = device else {
        if section.value("device").is_none() {
            section.missing("device", DEVICE_HELP);
        }
        section.finish();
        return None;
    };
    let parsed = match parse_device(&written, folder) {
        Ok(device) => Some(device),
        Err((message, help)) => {
            section.report(Diagnostic::error(device_span.clone(), message).help(help));
            None
        }
    };
    let given = [
        queues.is_some(),
        rx.is_some(),
        tx.is_some(),
        mtu.is_some(),
        promiscuous.is_some(),
        checksum_offload.is_some(),
    ];
    if matches!(parsed, Some(PortDevice::Capture(_))) && given.contains(&true) {
        section.report(
            Diagnostic::warning(name_span.clone(), format!("port '{name}' is a capture file"))
                .help("queues, descriptors, mtu, promiscuous and checksum_offload mean nothing there"),
        );
    }
    section.finish();
    let narrow = |number: Option<(u64, Range<usize>)>| number.and_then(|(n, _)| u16::try_from(n).ok());
    Some(PortConfig {
        name: name.to_owned(),
        device: parsed?,
        written,
        name_span,
        device_span,
        rx_queues: narrow(queues),
        rx_descriptors: narrow(rx),
        tx_descriptors: narrow(tx),
        mtu: narrow(mtu),
        promiscuous,
        checksum_offload: checksum_offload.unwrap_or(false),
    })
}

/// Reads a device string, or says what is wrong with it and what would be right.
fn parse_device(written: &str, folder: &Path) -> Result<PortDevice, (String, String)> {
    if let Some(path) = written.strip_prefix("pcap:") {
        if path.is_empty() {
            return Err(("no file after 'pcap:'".to_owned(), "write \"pcap:in.pcap\"".to_owned()));
        }
        return Ok(PortDevice::Capture(folder.join(path)));
    }
    let (name, arguments) = written.split_once(',').unwrap_or((written, ""));
    if is_pci(name) {
        return Ok(PortDevice::Dpdk(written.to_owned()));
    }
    if is_pci(&format!("0000:{name}")) {
        let help = format!("write it with its domain: \"0000:{written}\"");
        return Err((format!("'{name}' is half a PCI address"), help));
    }
    if name.ends_with(".pcap") || name.ends_with(".pcapng") {
        return Err((format!("'{name}' is no device"), format!("for a capture file write \"pcap:{name}\"")));
    }
    if !VIRTUAL.iter().any(|start| name.starts_with(start)) || name.contains(char::is_whitespace) {
        return Err((format!("'{written}' is no device that DPDK knows"), DEVICE_HELP.to_owned()));
    }
    Ok(PortDevice::Dpdk(with_absolute_paths(name, arguments, folder)))
}

/// `0000:3b:00.0`: domain, bus, device, function.
fn is_pci(name: &str) -> bool {
    let hex = |text: &str, len: usize| text.len() == len && text.bytes().all(|b| b.is_ascii_hexdigit());
    let parts: Vec<&str> = name.split(':').collect();
    let [domain, bus, device] = parts.as_slice() else { return false };
    let Some((device, function)) = device.split_once('.') else { return false };
    hex(domain, 4) && hex(bus, 2) && hex(device, 2) && matches!(function.as_bytes(), [b'0'..=b'7'])
}

/// The device string with paths that start from the configuration's folder.
fn with_absolute_paths(name: &str, arguments: &str, folder: &Path) -> String {
    let mut paths =
        PATH_ARGUMENTS.iter().find(|(start, _)| name.starts_with(start)).map_or(&[][..], |(_, keys)| *keys);
    // Otherwise it is a name that is no file's.
    if name.starts_with("net_memif") && arguments.split(',').any(|argument| argument == "socket-abstract=no")
    {
        paths = &["socket"];
    }
    let mut device = name.to_owned();
    for argument in arguments.split(',').filter(|argument| !argument.is_empty()) {
        device.push(',');
        match argument.split_once('=') {
            Some((key, path)) if paths.contains(&key) => {
                let path = folder.join(path);
                // The driver wants a folder in it.
                let path = if key == "socket" { std::path::absolute(&path).unwrap_or(path) } else { path };
                device.push_str(&format!("{key}={}", path.display()));
            }
            _ => device.push_str(argument),
        }
    }
    device
}

/// The capture files that a net_pcap device reads and writes: whether it writes, and the path.
pub(super) fn pcap_files(device: &str) -> impl Iterator<Item = (bool, &Path)> {
    let (name, arguments) = device.split_once(',').unwrap_or((device, ""));
    let arguments = if name.starts_with("net_pcap") { arguments } else { "" };
    arguments.split(',').filter_map(|argument| match argument.split_once('=')? {
        ("rx_pcap", path) => Some((false, Path::new(path))),
        ("tx_pcap", path) => Some((true, Path::new(path))),
        _ => None,
    })
}
