//! The part of a device string that names the device.

/// The name of the device, so that one device has one name: PCI addresses in full and in lower case. Or
/// what is wrong with the string.
pub(super) fn of(device: &str) -> Result<String, String> {
    let first = device.split(',').next().unwrap_or_default().trim();
    let first = first.strip_prefix("pci:").or_else(|| first.strip_prefix("vdev:")).unwrap_or(first);
    if first.is_empty() {
        return Err(
            "it names no device: give a PCI address (0000:3b:00.0) or a virtual device (net_null0)".into()
        );
    }
    if let Some(address) = pci_address(first) {
        return Ok(address);
    }
    if first.contains(':') {
        return Err(format!("{first:?} is no PCI address: it looks like 0000:3b:00.0"));
    }
    if ["net_failsafe", "net_vdev_netvsc", "net_softnic"].iter().any(|driver| first.starts_with(driver)) {
        return Err(
            "this driver takes ports over by itself, which is not supported: use the NICs one by one, or \
                    net_bonding"
                .into(),
        );
    }
    Ok(first.to_owned())
}

/// A PCI address ("3b:00.0", "0000:3B:00.0") in full and in lower case.
pub(super) fn pci_address(text: &str) -> Option<String> {
    let (slot, function) = text.rsplit_once('.')?;
    let parts: Vec<&str> = slot.split(':').collect();
    let (domain, bus, device) = match parts[..] {
        [bus, device] => ("0", bus, device),
        [domain, bus, device] => (domain, bus, device),
        _ => return None,
    };
    let hex = |text: &str, limit: u32| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(text, 16).ok().filter(|&number| digits && number <= limit)
    };
    let (domain, bus) = (hex(domain, u32::MAX)?, hex(bus, 0xff)?);
    let (device, function) = (hex(device, 0x1f)?, hex(function, 7)?);
    Some(format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_one_name_however_it_is_written() {
        for (device, name) in [
            ("0000:3b:00.0", "0000:3b:00.0"),
            ("3B:00.0", "0000:3b:00.0"),
            ("pci:0000:3b:00.1,representor=0", "0000:3b:00.1"),
            ("net_null0,copy=1", "net_null0"),
            ("net_pcap0,rx_pcap=a:b.pcap", "net_pcap0"),
        ] {
            assert_eq!(of(device).as_deref(), Ok(name), "{device}");
        }
    }

    #[test]
    fn what_names_no_device_is_refused() {
        for device in ["", ",copy=1", "0000:zz:00.0", "0000:3b:00", "3b:20.0", "net_failsafe0,dev(x)"] {
            assert!(of(device).is_err(), "{device:?}");
        }
    }
}
