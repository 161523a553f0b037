//! What a device can do, and how it is doing.

use std::ffi::CStr;
use std::mem::MaybeUninit;

use super::{Inner, Port, kernel, name};
use crate::DpdkError;

/// What a device is and can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortInfo {
    /// The driver's name, as "net_null".
    pub driver: String,
    /// The NUMA node it is on; `None` for virtual devices.
    pub socket: Option<u32>,
    /// Most receive queues.
    pub max_rx_queues: u16,
    /// Most transmit queues.
    pub max_tx_queues: u16,
    /// Smallest MTU, in bytes of layer 3.
    pub min_mtu: u16,
    /// Largest MTU, in bytes of layer 3.
    pub max_mtu: u16,
    /// Entries in its table from hash to receive queue; 0 without one.
    pub reta_size: u16,
    /// It can spread packets over queues by the symmetric hash
    /// ([`symmetric_toeplitz`](crate::symmetric_toeplitz)): key and table can be programmed.
    pub rss_symmetric: bool,
    /// It can check IPv4, TCP and UDP checksums on reception.
    pub rx_checksum: bool,
    /// It can fill in IPv4, TCP and UDP checksums on transmission.
    pub tx_checksum: bool,
    /// It can send packets of several segments as they are.
    pub multi_segment_tx: bool,
    /// It can receive packets longer than one mbuf.
    pub scatter_rx: bool,
    /// Its MAC address; zeros when it has none.
    pub mac: [u8; 6],
}

/// A port's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Packets can pass.
    pub up: bool,
    /// Megabits per second; 0 when not known.
    pub speed_mbps: u32,
}

/// A port's counters since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Packets received.
    pub rx_packets: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets that the device dropped because its queues were full.
    pub rx_missed: u64,
    /// Packets received with errors.
    pub rx_errors: u64,
    /// Packets dropped because the pool was empty.
    pub rx_no_mbufs: u64,
    /// Packets that failed to be sent.
    pub tx_errors: u64,
}

/// Virtual devices that send and receive packets of several segments without saying so.
const ANY_SEGMENTS: [&str; 3] = ["net_null", "net_ring", "net_pcap"];

/// Virtual devices that say they spread packets by a hash and do not.
const NO_REAL_HASH: [&str; 4] = ["net_null", "net_ring", "net_pcap", "net_bonding"];

/// Virtual devices that move frames of any length and tell DPDK that they end at 1518 bytes or so.
const ANY_LENGTH: [&str; 2] = ["net_memif", "net_af_packet"];

/// Whether the driver carries longer frames than it admits, so that DPDK must not be asked for them.
pub(super) fn is_modest(driver: &str) -> bool {
    ANY_LENGTH.contains(&driver)
}

/// The driver's name.
pub(super) fn driver_of(raw: &dpdk_sys::rte_eth_dev_info) -> String {
    if raw.driver_name.is_null() {
        return String::new();
    }
    // SAFETY: the driver's name is a C string in the driver.
    unsafe { CStr::from_ptr(raw.driver_name) }.to_string_lossy().into_owned()
}

/// The largest MTU that a device can be given: by its own word, and by the longest frame it receives.
fn largest_mtu(driver: &str, raw: &dpdk_sys::rte_eth_dev_info) -> u16 {
    /// Ethernet header and CRC.
    const FRAME: u32 = 14 + 4;
    if is_modest(driver) {
        return raw.max_mtu;
    }
    raw.max_mtu.min(u16::try_from(raw.max_rx_pktlen.saturating_sub(FRAME)).unwrap_or(u16::MAX))
}

impl Inner {
    /// DPDK's description of the device.
    pub(super) fn describe(&self) -> Result<dpdk_sys::rte_eth_dev_info, DpdkError> {
        let mut info = MaybeUninit::zeroed();
        // SAFETY: the port exists as long as self; the description is filled in.
        let result = unsafe { dpdk_sys::rte_eth_dev_info_get(self.id, info.as_mut_ptr()) };
        if result != 0 {
            return Err(self.refused("asking for its abilities", result));
        }
        // SAFETY: filled in by the call; integers and pointers, for which zero is a value, too.
        Ok(unsafe { info.assume_init() })
    }

    pub(super) fn info(&self) -> Result<PortInfo, DpdkError> {
        let raw = self.describe()?;
        let driver = driver_of(&raw);
        // SAFETY: the port exists.
        let socket = unsafe { dpdk_sys::rte_eth_dev_socket_id(self.id) };
        let physical = name::pci_address(&self.name).is_some();
        let mut mac = dpdk_sys::rte_ether_addr { addr_bytes: [0; 6] };
        // SAFETY: the port exists; the address is filled in, or left alone on an error.
        unsafe { dpdk_sys::rte_eth_macaddr_get(self.id, &raw mut mac) };
        let any_segments = ANY_SEGMENTS.contains(&driver.as_str());
        Ok(PortInfo {
            rss_symmetric: raw.reta_size > 0
                && raw.hash_key_size >= 40
                && raw.flow_type_rss_offloads & dpdk_sys::BRAID_RSS_FIELDS != 0
                && !NO_REAL_HASH.contains(&driver.as_str()),
            socket: u32::try_from(socket).ok().filter(|_| physical),
            max_rx_queues: raw.max_rx_queues,
            max_tx_queues: raw.max_tx_queues,
            min_mtu: raw.min_mtu,
            max_mtu: largest_mtu(&driver, &raw),
            driver,
            reta_size: raw.reta_size,
            rx_checksum: raw.rx_offload_capa & dpdk_sys::BRAID_RX_CKSUM == dpdk_sys::BRAID_RX_CKSUM,
            tx_checksum: raw.tx_offload_capa & dpdk_sys::BRAID_TX_CKSUM == dpdk_sys::BRAID_TX_CKSUM,
            multi_segment_tx: any_segments || raw.tx_offload_capa & dpdk_sys::BRAID_TX_MULTI_SEGS != 0,
            scatter_rx: any_segments || raw.rx_offload_capa & dpdk_sys::BRAID_RX_SCATTER != 0,
            mac: mac.addr_bytes,
        })
    }

    /// An error of a call on this port.
    pub(super) fn refused(&self, doing: &str, result: i32) -> DpdkError {
        DpdkError::refused(format!("{doing} of port {}", self.device), result, Vec::new())
    }
}

impl Port {
    /// What the device is and can do.
    ///
    /// # Errors
    /// The device is gone (unplugged).
    pub fn info(&self) -> Result<PortInfo, DpdkError> {
        let _lifecycle = self.inner.lock();
        self.inner.info()
    }

    /// The state of the link, without waiting for it. Down when the device does not say.
    ///
    /// Drivers on top of a kernel interface (af_packet, af_xdp, pcap) say what they were told to be; there the
    /// interface itself is asked.
    #[must_use]
    pub fn link(&self) -> Link {
        let _lifecycle = self.inner.lock();
        let (mut up, mut speed) = (0, 0);
        // SAFETY: the port exists; both values are filled in, or left alone on an error.
        unsafe { dpdk_sys::braid_link(self.inner.id, &raw mut up, &raw mut speed) };
        let up = up != 0 && self.inner.blind_interface().and_then(kernel::has_carrier).unwrap_or(true);
        Link { up, speed_mbps: if speed == u32::MAX { 0 } else { speed } }
    }

    /// The counters; all 0 when the device has none.
    #[must_use]
    pub fn stats(&self) -> PortStats {
        let _lifecycle = self.inner.lock();
        let mut raw = MaybeUninit::<dpdk_sys::rte_eth_stats>::zeroed();
        // SAFETY: the port exists; the counters are filled in, and are integers, for which zero is a value.
        let raw = unsafe {
            dpdk_sys::rte_eth_stats_get(self.inner.id, raw.as_mut_ptr());
            raw.assume_init()
        };
        PortStats {
            rx_packets: raw.ipackets,
            tx_packets: raw.opackets,
            rx_bytes: raw.ibytes,
            tx_bytes: raw.obytes,
            rx_missed: raw.imissed,
            rx_errors: raw.ierrors,
            rx_no_mbufs: raw.rx_nombuf,
            tx_errors: raw.oerrors,
        }
    }

    /// Receives packets for any MAC address, or only for its own.
    ///
    /// # Errors
    /// The device refuses.
    pub fn set_promiscuous(&self, on: bool) -> Result<(), DpdkError> {
        let _lifecycle = self.inner.lock();
        self.inner.set_promiscuous(on)
    }

    /// Changes the MTU, in bytes of layer 3. Some devices only do that while they do not run.
    ///
    /// # Errors
    /// The device refuses.
    pub fn set_mtu(&self, mtu: u16) -> Result<(), DpdkError> {
        let _lifecycle = self.inner.lock();
        // SAFETY: the port exists, control calls are serialised.
        match unsafe { dpdk_sys::rte_eth_dev_set_mtu(self.inner.id, mtu) } {
            0 => Ok(()),
            result => Err(self.inner.refused(&format!("setting the MTU to {mtu}"), result)),
        }
    }
}

impl Inner {
    /// The kernel interface below a driver that does not watch it.
    fn blind_interface(&self) -> Option<u32> {
        const BLIND: [&str; 3] = ["net_af_packet", "net_af_xdp", "net_pcap"];
        let raw = self.describe().ok().filter(|raw| raw.if_index > 0)?;
        BLIND.contains(&driver_of(&raw).as_str()).then_some(raw.if_index)
    }

    pub(super) fn set_promiscuous(&self, on: bool) -> Result<(), DpdkError> {
        // SAFETY: the port exists, control calls are serialised.
        let result = unsafe {
            if on {
                dpdk_sys::rte_eth_promiscuous_enable(self.id)
            } else {
                dpdk_sys::rte_eth_promiscuous_disable(self.id)
            }
        };
        if result == 0 { Ok(()) } else { Err(self.refused("setting promiscuous mode", result)) }
    }
}
