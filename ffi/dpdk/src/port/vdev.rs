//! The virtual devices that DPDK makes, and what their strings may and must say.

/// A driver of virtual devices. Names and arguments are those of DPDK 22.11; later ones add to them.
pub(super) struct Driver {
    /// How its devices' names begin; a number follows.
    pub(super) name: &'static str,
    /// Its arguments.
    arguments: &'static [&'static str],
    /// One of these must be there.
    needs: &'static [&'static str],
    /// A device string that is complete.
    example: &'static str,
}

/// All of them.
pub(super) const DRIVERS: [Driver; 10] = [
    Driver {
        name: "net_null",
        arguments: &["size", "copy", "no-rx"],
        needs: &[],
        example: "net_null0,size=64",
    },
    Driver { name: "net_ring", arguments: &["nodeaction"], needs: &[], example: "net_ring0" },
    Driver {
        name: "net_pcap",
        arguments: &[
            "rx_pcap",
            "tx_pcap",
            "rx_iface",
            "rx_iface_in",
            "tx_iface",
            "iface",
            "phy_mac",
            "infinite_rx",
        ],
        needs: &["iface", "rx_pcap", "tx_pcap", "rx_iface", "rx_iface_in", "tx_iface"],
        example: "net_pcap0,iface=eth0",
    },
    Driver {
        name: "net_af_packet",
        arguments: &["iface", "qpairs", "blocksz", "framesz", "framecnt", "qdisc_bypass"],
        needs: &["iface"],
        example: "net_af_packet0,iface=eth0",
    },
    Driver {
        name: "net_af_xdp",
        arguments: &["iface", "start_queue", "queue_count", "shared_umem", "xdp_prog", "busy_budget"],
        needs: &["iface"],
        example: "net_af_xdp0,iface=eth0",
    },
    Driver {
        name: "net_tap",
        arguments: &["iface", "remote", "mac"],
        needs: &[],
        example: "net_tap0,iface=tap0",
    },
    Driver {
        name: "net_memif",
        arguments: &[
            "id",
            "role",
            "bsize",
            "rsize",
            "socket",
            "owner-uid",
            "owner-gid",
            "socket-abstract",
            "mac",
            "secret",
            "zero-copy",
        ],
        needs: &[],
        example: "net_memif0,role=server,socket=/run/memif.sock",
    },
    Driver {
        name: "net_vhost",
        arguments: &[
            "iface",
            "queues",
            "client",
            "postcopy-support",
            "tso",
            "linear-buffer",
            "ext-buffer",
            "legacy-ol-flags",
        ],
        needs: &["iface"],
        example: "net_vhost0,iface=/run/vhost.sock",
    },
    Driver {
        name: "net_virtio_user",
        arguments: &[
            "path",
            "mac",
            "cq",
            "queue_size",
            "queues",
            "iface",
            "server",
            "mrg_rxbuf",
            "in_order",
            "packed_vq",
            "speed",
            "vectorized",
        ],
        needs: &["path"],
        example: "net_virtio_user0,path=/run/vhost.sock",
    },
    Driver {
        name: "net_bonding",
        arguments: &[
            "mode",
            "member",
            "slave",
            "primary",
            "socket_id",
            "mac",
            "xmit_policy",
            "lsc_poll_period_ms",
            "up_delay",
            "down_delay",
            "agg_mode",
        ],
        needs: &["mode"],
        example: "net_bonding0,mode=1,slave=net_af_packet0,slave=net_af_packet1",
    },
];

/// Arguments that are a number, whatever the driver.
const NUMBERS: [&str; 19] = [
    "size",
    "copy",
    "no-rx",
    "infinite_rx",
    "phy_mac",
    "qpairs",
    "blocksz",
    "framesz",
    "framecnt",
    "qdisc_bypass",
    "start_queue",
    "queue_count",
    "busy_budget",
    "id",
    "bsize",
    "rsize",
    "queues",
    "queue_size",
    "server",
];

/// Longest name of a kernel interface, in bytes.
const LONGEST_INTERFACE: usize = libc::IFNAMSIZ - 1;

/// The driver of a device, if it is one that is known.
pub(super) fn driver_of(device: &str) -> Option<&'static Driver> {
    let name = device.split(',').next().unwrap_or_default();
    let name = name.strip_prefix("eth_").map_or(name.to_owned(), |rest| format!("net_{rest}"));
    let name = if name.starts_with("virtio_user") { format!("net_{name}") } else { name };
    DRIVERS.iter().find(|driver| name.starts_with(driver.name))
}

/// The arguments after the name.
pub(super) fn arguments(device: &str) -> impl Iterator<Item = (&str, &str)> {
    device.split(',').skip(1).filter_map(|argument| argument.split_once('='))
}

/// The value of an argument.
pub(super) fn argument<'d>(device: &'d str, key: &str) -> Option<&'d str> {
    arguments(device).find(|(found, _)| *found == key).map(|(_, value)| value)
}

/// What no machine would accept: an argument that is missing, or a value of the wrong form.
pub(super) fn misspelt(device: &str) -> Option<String> {
    let driver = driver_of(device)?;
    let has = |needed: &&str| arguments(device).any(|(key, value)| key == *needed && !value.is_empty());
    if !driver.needs.is_empty() && !driver.needs.iter().any(has) {
        let needed = match driver.needs {
            [only] => format!("it has no {only}="),
            several => format!("it has none of {}", several.join("=, ") + "="),
        };
        return Some(format!("{needed}: write it like \"{}\"", driver.example));
    }
    for (key, value) in arguments(device).filter(|(key, _)| driver.arguments.contains(key)) {
        let wanted = match key {
            _ if NUMBERS.contains(&key) && !is_number(value) => "a number",
            "iface" if driver.name == "net_tap" && value.len() > LONGEST_INTERFACE => {
                "a name of at most 15 characters"
            }
            "role" if !matches!(value, "server" | "client" | "master" | "slave") => "server or client",
            "socket-abstract" if !matches!(value, "yes" | "no") => "yes or no",
            "mac" if driver.name == "net_tap" && value == "fixed" => continue,
            "mac" if !is_mac(value) => "an address like 02:00:00:00:00:01",
            _ => continue,
        };
        return Some(format!("{key}={value} cannot be: {key} is {wanted}"));
    }
    None
}

/// The first argument that the driver does not have, and those that it has. For a device that was refused: a later
/// DPDK may know more.
pub(super) fn unknown_argument(device: &str) -> Option<String> {
    let driver = driver_of(device)?;
    let keys = device.split(',').skip(1).map(|argument| argument.split('=').next().unwrap_or_default());
    let unknown = keys.filter(|key| !key.is_empty()).find(|key| !driver.arguments.contains(key))?;
    Some(format!("{} has no argument {unknown}; it has {}", driver.name, driver.arguments.join(", ")))
}

/// As C's `strtoul` with base 0 reads it.
fn is_number(text: &str) -> bool {
    match text.strip_prefix("0x") {
        Some(hex) => !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()),
    }
}

fn is_mac(text: &str) -> bool {
    let bytes = || text.split(':');
    bytes().count() == 6
        && bytes().all(|byte| (1..=2).contains(&byte.len()) && byte.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_would_accept_is_named_with_what_would_be_right() {
        for (device, problem) in [
            ("net_af_packet0", "it has no iface=: write it like \"net_af_packet0,iface=eth0\""),
            ("net_af_packet0,iface=", "it has no iface=: write it like \"net_af_packet0,iface=eth0\""),
            ("eth_af_packet0", "it has no iface=: write it like \"net_af_packet0,iface=eth0\""),
            ("net_af_xdp0,start_queue=0", "it has no iface=: write it like \"net_af_xdp0,iface=eth0\""),
            ("virtio_user0", "it has no path=: write it like \"net_virtio_user0,path=/run/vhost.sock\""),
            (
                "net_pcap0,infinite_rx=1",
                "it has none of iface=, rx_pcap=, tx_pcap=, rx_iface=, rx_iface_in=, tx_iface=: write it like \
                 \"net_pcap0,iface=eth0\"",
            ),
            ("net_null0,size=zz", "size=zz cannot be: size is a number"),
            ("net_memif0,role=foo", "role=foo cannot be: role is server or client"),
            ("net_tap0,mac=zz", "mac=zz cannot be: mac is an address like 02:00:00:00:00:01"),
            (
                "net_tap0,iface=averyverylongname",
                "iface=averyverylongname cannot be: iface is a name of at most 15 characters",
            ),
        ] {
            assert_eq!(misspelt(device).as_deref(), Some(problem), "{device}");
        }
    }

    #[test]
    fn every_example_is_complete_and_what_later_versions_may_know_is_left_to_them() {
        let own = DRIVERS.iter().map(|driver| driver.example);
        let more = [
            "net_null",
            "net_null7,size=0x40,copy=1,no-rx=1",
            "net_tap0,mac=fixed",
            "net_memif0,mac=2:0:0:0:0:1",
            "net_null0,later=word",
            "0000:3b:00.0",
            "net_nosuch0,size=zz",
        ];
        for device in own.chain(more) {
            assert_eq!(misspelt(device), None, "{device}");
        }
    }

    #[test]
    fn an_argument_that_the_driver_does_not_have_is_named() {
        let problem = unknown_argument("net_null7,sise=3");
        assert_eq!(problem.as_deref(), Some("net_null has no argument sise; it has size, copy, no-rx"));
        assert_eq!(unknown_argument("net_null7,size=3"), None);
    }
}
