//! Why a device cannot be had, and what to do: DPDK's error number alone says little.

use std::path::Path;

use super::{kernel, name::pci_address};
use crate::error::explain;

/// What can be seen to be wrong before asking DPDK.
pub(super) fn before(device: &str) -> Option<String> {
    for (key, value) in arguments(device) {
        let path = Path::new(value);
        match key {
            "rx_pcap" if !path.is_file() => {
                return Some(format!("the capture {value} cannot be read: no such file"));
            }
            "tx_pcap" => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
                    return Some(format!(
                        "{value} cannot be written: there is no folder {}",
                        folder.display()
                    ));
                }
            }
            "iface" | "rx_iface" | "tx_iface" | "rx_iface_in"
                if needs_interface(device) && !kernel::exists(value) =>
            {
                return Some(format!("there is no network interface {value} (ip link shows them)"));
            }
            _ => {}
        }
    }
    let address = pci_address(device.split(',').next()?.trim_start_matches("pci:").trim())?;
    let place = Path::new("/sys/bus/pci/devices").join(&address);
    if Path::new("/sys/bus/pci/devices").is_dir() && !place.exists() {
        return Some(format!("there is no PCI device {address} (lspci -D shows them)"));
    }
    None
}

/// What to say when DPDK has refused it with this result.
pub(super) fn after(device: &str, result: i32) -> String {
    let first = device.split(',').next().unwrap_or_default();
    let reason = explain(result.saturating_neg());
    if let Some(address) = pci_address(first.trim_start_matches("pci:")) {
        return of_nic(&address, &reason);
    }
    if needs_privilege(device) && !is_root() {
        return format!("{reason}: this device needs the capabilities NET_RAW and NET_ADMIN (or root)");
    }
    let driver = first.trim_end_matches(|c: char| c.is_ascii_digit());
    match result.saturating_neg() {
        0 => "it has no port: a driver that moves no packets".into(),
        libc::ENODEV | libc::ENOENT | libc::EINVAL | libc::ENOTSUP | libc::EFAULT if !is_known(driver) => {
            format!(
                "{reason}: DPDK has no driver {driver:?} here; there are net_null, net_ring, net_pcap, net_af_packet, \
             net_af_xdp, net_tap, net_memif, net_vhost, net_virtio_user, net_bonding"
            )
        }
        libc::ENOMEM => format!("{reason}: give DPDK more memory"),
        _ => format!("{reason}: check its arguments against the driver's page in DPDK's guide"),
    }
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

/// The arguments after the name.
fn arguments(device: &str) -> impl Iterator<Item = (&str, &str)> {
    device.split(',').skip(1).filter_map(|argument| argument.split_once('='))
}

/// `iface=` names an interface that must exist (vhost's is a socket, tap's is made).
fn needs_interface(device: &str) -> bool {
    ["net_af_packet", "eth_af_packet", "net_af_xdp", "net_pcap"]
        .iter()
        .any(|driver| device.starts_with(driver))
}

fn needs_privilege(device: &str) -> bool {
    let kernel = ["net_af_packet", "eth_af_packet", "net_af_xdp", "net_tap"];
    kernel.iter().any(|driver| device.starts_with(driver))
        || device.contains("iface=") && needs_interface(device)
}

fn is_known(driver: &str) -> bool {
    const DRIVERS: [&str; 10] = [
        "net_null",
        "net_ring",
        "net_pcap",
        "net_af_packet",
        "net_af_xdp",
        "net_tap",
        "net_memif",
        "net_vhost",
        "net_virtio_user",
        "net_bonding",
    ];
    DRIVERS.iter().any(|known| driver.starts_with(known))
}

fn is_root() -> bool {
    // SAFETY: returns a number.
    unsafe { libc::geteuid() == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_files_folders_and_interfaces_are_named() {
        for (device, named) in [
            ("net_pcap0,rx_pcap=/nowhere/in.pcap", "/nowhere/in.pcap"),
            ("net_pcap0,tx_pcap=/nowhere/out.pcap", "folder /nowhere"),
            ("net_af_packet0,iface=nosuch0", "nosuch0"),
            ("net_pcap0,iface=nosuch0", "nosuch0"),
        ] {
            let problem = before(device).unwrap_or_default();
            assert!(problem.contains(named), "{device}: {problem}");
        }
        for fine in ["net_null0,copy=1", "net_tap0,iface=new0", "net_vhost0,iface=/run/vhost.sock"] {
            assert_eq!(before(fine), None, "{fine}");
        }
    }

    #[test]
    fn an_unknown_driver_is_called_unknown() {
        assert!(after("net_nosuch0", -libc::ENODEV).contains("no driver \"net_nosuch\""));
        assert!(!after("net_null0", -libc::EINVAL).contains("no driver"));
    }
}
