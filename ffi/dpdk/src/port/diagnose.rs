//! Why a device cannot be had, and what to do: DPDK's error number alone says little, and is often just -1.

use std::path::Path;

use super::vdev::{self, argument, arguments, driver_of};
use super::{kernel, name, name::pci_address};
use crate::error::explain;

/// What can be seen to be wrong with a device before it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flaw {
    /// No machine would accept the device string.
    Misspelt(String),
    /// This machine lacks what the string names, at least now.
    Absent(String),
    /// It is of a driver that is not known. DPDK may have it all the same.
    Unknown(String),
}

/// What can be seen to be wrong before asking DPDK.
pub(super) fn before(device: &str) -> Option<Flaw> {
    if let Err(problem) = name::of(device) {
        return Some(Flaw::Misspelt(problem));
    }
    let flaw = vdev::misspelt(device).map(Flaw::Misspelt);
    flaw.or_else(|| absent(device).map(Flaw::Absent)).or_else(|| unknown(device).map(Flaw::Unknown))
}

/// A virtual device of a driver that is not known.
fn unknown(device: &str) -> Option<String> {
    let name = device.split(',').next()?;
    if driver_of(device).is_some() || pci_address(name.trim_start_matches("pci:").trim()).is_some() {
        return None;
    }
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    Some(format!("{name:?} is no driver that is known; known are {}", known()))
}

fn known() -> String {
    vdev::DRIVERS.iter().map(|driver| driver.name).collect::<Vec<_>>().join(", ")
}

/// Files, interfaces and NICs that are not there.
fn absent(device: &str) -> Option<String> {
    let driver = driver_of(device).map_or("", |driver| driver.name);
    let off = |key| argument(device, key).is_none_or(|value| value == "0");
    for (key, value) in arguments(device) {
        let path = Path::new(value);
        match (driver, key) {
            ("net_pcap", "rx_pcap") if !path.is_file() => {
                return Some(format!("the capture {value} cannot be read: no such file"));
            }
            ("net_pcap", "tx_pcap") => {
                if let Some(folder) = missing_folder(path) {
                    return Some(format!("{value} cannot be written: there is no folder {folder}"));
                }
            }
            ("net_vhost", "iface") if off("client") => {
                if let Some(folder) = missing_folder(path) {
                    return Some(format!("the socket {value} cannot be made: there is no folder {folder}"));
                }
            }
            ("net_virtio_user", "path") if off("server") && !path.exists() => {
                return Some(format!(
                    "there is no socket {value}: start the end that makes it first (net_vhost0,iface={value}, or a \
                     virtual machine's), or have this end make it (server=1)"
                ));
            }
            ("net_memif", "socket") if argument(device, "socket-abstract") == Some("no") => {
                if let Some(folder) = missing_folder(path) {
                    return Some(format!("the socket {value} cannot be had: there is no folder {folder}"));
                }
            }
            (_, "iface" | "rx_iface" | "tx_iface" | "rx_iface_in")
                if is_on_an_interface(driver) && !kernel::exists(value) =>
            {
                return Some(format!("there is no network interface {value} (ip link shows them)"));
            }
            _ => {}
        }
    }
    if driver == "net_tap" && !Path::new("/dev/net/tun").exists() {
        return Some(
            "there is no /dev/net/tun: load the kernel's module (modprobe tun), or give it to the container \
             (--device /dev/net/tun)"
                .into(),
        );
    }
    let address = pci_address(device.split(',').next()?.trim_start_matches("pci:").trim())?;
    let place = Path::new("/sys/bus/pci/devices").join(&address);
    if Path::new("/sys/bus/pci/devices").is_dir() && !place.exists() {
        return Some(format!("there is no PCI device {address} (lspci -D shows them)"));
    }
    None
}

/// The folder of a file, if it is not there.
fn missing_folder(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty())?;
    (!folder.is_dir()).then(|| folder.display().to_string())
}

/// What to say when DPDK has refused to take the device over, with this result and these lines.
pub(super) fn after(device: &str, result: i32, log: &[String]) -> String {
    let first = device.split(',').next().unwrap_or_default();
    let errno = result.saturating_neg();
    if let Some(address) = pci_address(first.trim_start_matches("pci:")) {
        return of_nic(&address, &explain(errno));
    }
    let reason = reason(errno, log);
    let Some(driver) = driver_of(device).map(|driver| driver.name) else {
        let name = first.trim_end_matches(|c: char| c.is_ascii_digit());
        return match errno {
            0 => "it has no port: a driver that moves no packets".into(),
            libc::ENODEV | libc::ENOENT | libc::EINVAL | libc::ENOTSUP | libc::EFAULT => {
                format!("DPDK has no driver {name:?} here; there are {}", known())
            }
            _ => format!("{reason}: {GUIDE}"),
        };
    };
    if log.iter().any(|line| line.contains("failed to parse device")) {
        return format!("this DPDK was built without the driver {driver}: use a libdpdk that has it");
    }
    if let Some(missing) = missing_privilege(driver, device) {
        return format!("this device needs the {missing} (or root)");
    }
    if let Some(problem) = vdev::unknown_argument(device) {
        return problem;
    }
    match (errno, driver) {
        (0, _) => "it has no port: a driver that moves no packets".into(),
        (libc::ENOMEM, _) => format!("{reason}: give DPDK more memory"),
        (_, "net_tap") if argument(device, "iface").is_some_and(kernel::exists) => {
            let interface = argument(device, "iface").unwrap_or_default();
            format!(
                "{reason}: the interface {interface} is there already, and is in use or no tap: give the name of a \
                 new one"
            )
        }
        _ => format!("{reason}: {GUIDE}"),
    }
}

const GUIDE: &str = "check its arguments against the driver's page in DPDK's guide";

/// What a device's refusal to be configured or started is for, where more can be said than the error number.
pub(super) fn starting(device: &str, errno: i32, log: &[String]) -> String {
    let reason = reason(errno, log);
    let driver = driver_of(device).map_or("", |driver| driver.name);
    let said = |part: &str| log.iter().any(|line| line.contains(part));
    match driver {
        "net_memif" if said("Failed to connect socket") => format!(
            "no memif server listens at {}: start the other end first, or have this one be the server (role=server)",
            argument(device, "socket").unwrap_or("/run/memif.sock")
        ),
        "net_vhost" if said("failed to bind: Address already in use") => format!(
            "the socket {} is there already: another process has it, or an earlier one left it; then remove it",
            argument(device, "iface").unwrap_or_default()
        ),
        "net_vhost" => {
            let why = log.iter().find_map(|line| line.split_once("failed to bind: "));
            why.map_or(reason, |(_, why)| {
                let why = why.split(';').next().unwrap_or(why);
                format!("the socket {} cannot be made: {why}", argument(device, "iface").unwrap_or_default())
            })
        }
        "net_af_xdp" => match missing_privilege(driver, device) {
            Some(missing) => format!("this device needs the {missing} (or root)"),
            None => format!(
                "{reason}: the kernel gives no AF_XDP socket on this interface and queue; it must be Linux 5.4 or \
                 newer, the interface one that can XDP (lo cannot), and nobody else have a socket there"
            ),
        },
        _ => reason,
    }
}

/// What the error number means; where it is a bare -1, what DPDK said last.
fn reason(errno: i32, log: &[String]) -> String {
    match telling(log).next_back() {
        Some(line) if errno == libc::EPERM => {
            let words = line.rsplit_once("(): ").map_or(line, |(_, words)| words);
            words.trim_end_matches(['.', ' ']).to_owned()
        }
        None if errno == libc::EPERM => "it was refused without a reason".to_owned(),
        _ => explain(errno),
    }
}

/// Lines that say more than that a device was refused.
pub(super) fn telling(log: &[String]) -> impl DoubleEndedIterator<Item = &str> {
    const EMPTY: [&str; 3] = [
        "Driver cannot attach the device",
        "Failed to attach device on primary process",
        "Failed to register mp action callback",
    ];
    log.iter().map(String::as_str).filter(|line| !EMPTY.iter().any(|words| line.contains(words)))
}

/// A NIC that exists, and that no driver took.
fn of_nic(address: &str, reason: &str) -> String {
    let place = Path::new("/sys/bus/pci/devices").join(address);
    let driver = std::fs::read_link(place.join("driver")).ok();
    match driver.as_deref().and_then(Path::file_name).and_then(|name| name.to_str()) {
        Some("vfio-pci") => format!(
            "{reason}: check that this user may open /dev/vfio/* and that the IOMMU is on (or set \
             /sys/module/vfio/parameters/enable_unsafe_noiommu_mode), and that DPDK has a driver for it"
        ),
        Some("uio_pci_generic" | "igb_uio") => {
            format!("{reason}: a NIC bound to uio needs root and physical addresses; vfio-pci needs neither")
        }
        Some("mlx4_core" | "mlx5_core") => format!(
            "{reason}: Mellanox NICs stay with their kernel driver; the ib_uverbs module and libibverbs are needed"
        ),
        Some(kernel) => format!(
            "the kernel's driver {kernel} has it: as root, dpdk-devbind.py --bind=vfio-pci {address} (its kernel \
             interface disappears)"
        ),
        None => format!("no driver has it: as root, dpdk-devbind.py --bind=vfio-pci {address}"),
    }
}

/// Whether the driver's interfaces are the kernel's (vhost's is a socket, tap's is made).
fn is_on_an_interface(driver: &str) -> bool {
    matches!(driver, "net_af_packet" | "net_af_xdp" | "net_pcap")
}

/// Numbers of Linux's capabilities.
const NET_ADMIN: u32 = 12;
const NET_RAW: u32 = 13;

/// The capabilities that the driver needs and the process has not all of.
fn missing_privilege(driver: &str, device: &str) -> Option<&'static str> {
    let (needed, name): (&[u32], _) = match driver {
        "net_af_packet" => (&[NET_RAW, NET_ADMIN], "capabilities NET_RAW and NET_ADMIN"),
        "net_af_xdp" => {
            (&[NET_RAW, NET_ADMIN], "capabilities NET_RAW, NET_ADMIN and BPF, and memory that may be locked")
        }
        "net_tap" => (&[NET_ADMIN], "capability NET_ADMIN"),
        "net_pcap" if device.contains("iface") => (&[NET_RAW], "capability NET_RAW"),
        _ => return None,
    };
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let held = capabilities(&status)?;
    needed.iter().any(|&capability| held >> capability & 1 == 0).then_some(name)
}

/// The effective capabilities of a process, a bit each, from its `status` in /proc.
fn capabilities(status: &str) -> Option<u64> {
    let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(bits.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_files_folders_and_interfaces_are_named() {
        for (device, named) in [
            ("net_pcap0,rx_pcap=/nowhere/in.pcap", "/nowhere/in.pcap"),
            ("net_pcap0,tx_pcap=/nowhere/out.pcap", "folder /nowhere"),
            ("net_vhost0,iface=/nowhere/v.sock", "folder /nowhere"),
            ("net_memif0,socket=/nowhere/m.sock,socket-abstract=no", "folder /nowhere"),
            ("net_virtio_user0,path=/nowhere/v.sock", "net_vhost0,iface=/nowhere/v.sock"),
            ("net_af_packet0,iface=nosuch0", "nosuch0"),
            ("net_pcap0,iface=nosuch0", "nosuch0"),
        ] {
            let Some(Flaw::Absent(problem)) = before(device) else { panic!("{device}") };
            assert!(problem.contains(named), "{device}: {problem}");
        }
        let fine = [
            "net_null0,copy=1",
            "net_vhost0,iface=/run/vhost.sock",
            "net_vhost0,iface=/nowhere/v.sock,client=1",
            "net_virtio_user0,path=/nowhere/v.sock,server=1",
            "net_memif0,socket=/nowhere/m.sock",
        ];
        for fine in fine {
            assert_eq!(before(fine), None, "{fine}");
        }
        assert!(matches!(before("net_af_packet0"), Some(Flaw::Misspelt(_))));
        assert!(matches!(before("net_afpacket0,iface=lo"), Some(Flaw::Unknown(_))));
        assert!(matches!(before("0000:3b:00"), Some(Flaw::Misspelt(_))));
    }

    #[test]
    fn an_unknown_driver_is_called_unknown_and_a_known_one_that_is_not_built_in_too() {
        assert!(after("net_nosuch0", -libc::ENODEV, &[]).contains("no driver \"net_nosuch\""));
        assert!(!after("net_null0", -libc::EINVAL, &[]).contains("no driver"));
        let log = ["EAL: failed to parse device \"net_af_xdp0\"".to_owned()];
        let problem = after("net_af_xdp0,iface=lo", -libc::EFAULT, &log);
        assert!(problem.starts_with("this DPDK was built without the driver net_af_xdp"), "{problem}");
    }

    #[test]
    fn a_bare_refusal_is_put_in_the_words_of_dpdk() {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let log = lines(&[
            "open_single_rx_pcap(): Couldn't open x: unknown file format",
            "EAL: Driver cannot attach the device (net_pcap0)",
            "EAL: Failed to attach device on primary process",
        ]);
        let problem = after("net_pcap0,rx_pcap=x", -1, &log);
        assert_eq!(problem, format!("Couldn't open x: unknown file format: {GUIDE}"));
        assert_eq!(telling(&log).count(), 1);

        let problem = after("net_null7,sise=3", -1, &[]);
        assert_eq!(problem, "net_null has no argument sise; it has size, copy, no-rx");

        let log = lines(&["memif_connect_client(): Failed to connect socket: /run/m.sock."]);
        let problem = starting("net_memif0,socket=/run/m.sock", libc::EPERM, &log);
        assert!(
            problem.starts_with("no memif server listens at /run/m.sock: start the other end"),
            "{problem}"
        );
        let log =
            lines(&["VHOST_CONFIG: (/v) failed to bind: Address already in use; remove it and try again"]);
        assert!(starting("net_vhost0,iface=/v", libc::EPERM, &log).contains("is there already"));
        let log = lines(&["(/v) failed to bind: Permission denied; remove it", "Port0 dev_configure = -1"]);
        let problem = starting("net_vhost0,iface=/v", libc::EPERM, &log);
        assert_eq!(problem, "the socket /v cannot be made: Permission denied");
        assert_eq!(starting("net_null0", libc::ENOMEM, &[]), explain(libc::ENOMEM));
    }

    #[test]
    fn capabilities_are_read_bit_by_bit() {
        assert_eq!(
            capabilities("Name:\tx\nCapEff:\t0000000000003000\n"),
            Some(1 << NET_ADMIN | 1 << NET_RAW)
        );
        assert_eq!(capabilities("Name:\tx\n"), None);
    }
}
