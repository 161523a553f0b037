//! Configuring a port and its queues.

use dpdk_sys::{
    BRAID_MQ_RX_NONE, BRAID_MQ_RX_RSS, BRAID_RETA_GROUP, BRAID_RSS_FIELDS, BRAID_RX_CKSUM, BRAID_RX_RSS_HASH,
    BRAID_RX_SCATTER, BRAID_SOCKET_ANY, BRAID_TX_CKSUM, BRAID_TX_MULTI_SEGS, rte_eth_conf, rte_eth_dev_info,
    rte_eth_rss_reta_entry64,
};

use super::info::{PortInfo, is_modest};
use super::{Inner, arrival, kernel};
use crate::rss::KEY_WORD;
use crate::{DpdkError, Pool, gate};

/// Descriptors of a queue when neither the configuration nor the device says.
const DESCRIPTORS: u16 = 1024;
/// Ethernet header and two VLAN tags and CRC: what a frame has beyond the MTU.
const FRAME_OVERHEAD: u32 = 14 + 8 + 4;
/// What the kernel puts before a frame in a packet ring, at most.
const PACKET_RING_HEADER: u32 = 80;
/// The MTU of a device for which none is given.
const USUAL_MTU: u16 = 1500;
/// Headers are contiguous this far, so one mbuf must hold them.
const SMALLEST_ROOM: u16 = 256;
/// Longest hash key of a device that is known.
const LONGEST_KEY: usize = 64;

/// How a port is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortConfig {
    /// Receive queues.
    pub rx_queues: u16,
    /// Transmit queues.
    pub tx_queues: u16,
    /// Descriptors of each receive queue, adjusted to what the device can. `None`: the device's own wish.
    pub rx_descriptors: Option<u16>,
    /// Descriptors of each transmit queue, adjusted to what the device can. `None`: the device's own wish.
    pub tx_descriptors: Option<u16>,
    /// Bytes of layer 3. `None`: 1500, or the most that the device can.
    pub mtu: Option<u16>,
    /// Receive packets for any MAC address. `None`: yes, where the device can.
    pub promiscuous: Option<bool>,
    /// Spread packets over the receive queues by the symmetric hash.
    pub rss: bool,
    /// Have the device check checksums on reception.
    pub rx_checksum: bool,
    /// Have the device fill in checksums where [`Mbuf::request_tx_checksum`](crate::Mbuf::request_tx_checksum)
    /// asks for it.
    pub tx_checksum: bool,
}

impl Default for PortConfig {
    fn default() -> Self {
        PortConfig {
            rx_queues: 1,
            tx_queues: 1,
            rx_descriptors: None,
            tx_descriptors: None,
            mtu: None,
            promiscuous: None,
            rss: false,
            rx_checksum: false,
            tx_checksum: false,
        }
    }
}

/// What the queues must know of the port.
pub(crate) struct Shape {
    pub(crate) multi_segment: bool,
    pub(crate) prepare: bool,
    /// Bytes of the longest frame that may be given to the device.
    pub(crate) longest: usize,
}

/// Configures and starts the port. The caller holds its lock, and has seen that it does not run.
pub(super) fn bring_up(port: &Inner, config: &PortConfig, pools: &[Pool]) -> Result<Shape, DpdkError> {
    let _passage = gate::enter();
    let info = port.info()?;
    check(port, config, pools, &info)?;
    let raw = port.describe()?;
    configure(port, config, pools, &info, &raw)?;
    set_up_queues(port, config, pools, &raw)?;
    if let Some(mtu) = config.mtu {
        set_mtu(port, mtu, &info, raw.if_index)?;
    }
    // SAFETY: configured, with all its queues set up.
    let result = unsafe { dpdk_sys::rte_eth_dev_start(port.id) };
    if result != 0 {
        return Err(port.refused("the start", result));
    }
    finish(port, config, &info).inspect_err(|_| {
        // SAFETY: just started, and no queue has been given out.
        unsafe { dpdk_sys::rte_eth_dev_stop(port.id) };
    })?;
    // A tap stops at a frame that is too long for its MTU, for good.
    let longest = match info.driver.as_str() {
        "net_tap" => usize::from(config.mtu.unwrap_or(USUAL_MTU)) + 14 + 4,
        _ => usize::MAX,
    };
    Ok(Shape { multi_segment: info.multi_segment_tx, prepare: config.tx_checksum, longest })
}

/// What can be said without asking the device to do it.
fn check(port: &Inner, config: &PortConfig, pools: &[Pool], info: &PortInfo) -> Result<(), DpdkError> {
    let wrong = |what: String| Err(DpdkError::InvalidArgument(format!("port {}: {what}", port.device)));
    if config.rx_queues > info.max_rx_queues || config.tx_queues > info.max_tx_queues {
        return wrong(format!(
            "{} receive and {} transmit queues are wanted, {} has at most {} and {}",
            config.rx_queues, config.tx_queues, info.driver, info.max_rx_queues, info.max_tx_queues
        ));
    }
    if pools.len() != usize::from(config.rx_queues) {
        return wrong(format!("{} receive queues need as many pools, not {}", config.rx_queues, pools.len()));
    }
    if let Some(pool) = pools.iter().find(|pool| pool.data_room() < SMALLEST_ROOM) {
        return wrong(format!("the mbufs of {pool:?} hold less than {SMALLEST_ROOM} bytes"));
    }
    if let Some(mtu) = config.mtu
        && !(info.min_mtu..=info.max_mtu).contains(&mtu)
    {
        return wrong(format!(
            "the MTU {mtu} is not in {}..={}, which it can have",
            info.min_mtu, info.max_mtu
        ));
    }
    if let Some(mtu) = config.mtu
        && info.driver == "net_af_packet"
        && u32::from(mtu) + FRAME_OVERHEAD + PACKET_RING_HEADER > frame_size(&port.device)
    {
        let size = (u32::from(mtu) + FRAME_OVERHEAD + PACKET_RING_HEADER).next_power_of_two().max(4096);
        return wrong(format!(
            "frames of the MTU {mtu} do not fit into its ring, and would be cut: add \
             \",blocksz={size},framesz={size},framecnt=256\" to the device, and have buffers of {size} bytes"
        ));
    }
    if config.rss && config.rx_queues > 1 && !info.rss_symmetric {
        return wrong(format!("{} has no programmable hash, so one receive queue and no rss", info.driver));
    }
    for (wanted, can, name) in [
        (config.rx_checksum, info.rx_checksum, "check checksums on reception"),
        (config.tx_checksum, info.tx_checksum, "fill in checksums on transmission"),
    ] {
        if wanted && !can {
            return wrong(format!("{} cannot {name}", info.driver));
        }
    }
    Ok(())
}

/// What net_af_packet's ring has room for, with its own header: its argument `framesz`, or the driver's default.
fn frame_size(device: &str) -> u32 {
    device
        .split(',')
        .find_map(|argument| argument.strip_prefix("framesz="))
        .and_then(|size| size.parse().ok())
        .unwrap_or(2048)
}

fn configure(
    port: &Inner,
    config: &PortConfig,
    pools: &[Pool],
    info: &PortInfo,
    raw: &rte_eth_dev_info,
) -> Result<(), DpdkError> {
    let mut key = KEY_WORD.repeat(LONGEST_KEY / KEY_WORD.len());
    // SAFETY: a plain C structure of integers, pointers and unions of them: zero is DPDK's own default.
    let mut conf: rte_eth_conf = unsafe { std::mem::zeroed() };
    conf.rxmode.mq_mode = BRAID_MQ_RX_NONE as _;
    if config.rss && config.rx_queues > 1 {
        conf.rxmode.mq_mode = BRAID_MQ_RX_RSS as _;
        let rss = &mut conf.rx_adv_conf.rss_conf;
        rss.rss_key = key.as_mut_ptr();
        rss.rss_key_len = raw.hash_key_size.min(LONGEST_KEY as u8);
        rss.rss_hf = raw.flow_type_rss_offloads & BRAID_RSS_FIELDS;
        conf.rxmode.offloads |= raw.rx_offload_capa & BRAID_RX_RSS_HASH;
    }
    conf.intr_conf.set_rxq(arrival::has_files(&info.driver).into());
    let mtu = config.mtu.unwrap_or(USUAL_MTU).min(info.max_mtu);
    conf.rxmode.mtu = u32::from(if is_modest(&info.driver) { mtu.min(USUAL_MTU) } else { mtu });
    let frame = u32::from(mtu) + FRAME_OVERHEAD;
    if pools.iter().any(|pool| u32::from(pool.data_room()) < frame) {
        conf.rxmode.offloads |= raw.rx_offload_capa & BRAID_RX_SCATTER;
    }
    if config.rx_checksum {
        conf.rxmode.offloads |= BRAID_RX_CKSUM;
    }
    conf.txmode.offloads |= raw.tx_offload_capa & BRAID_TX_MULTI_SEGS;
    if config.tx_checksum {
        conf.txmode.offloads |= BRAID_TX_CKSUM;
    }
    // SAFETY: the port exists and does not run; the configuration is copied, the key with it.
    let result = unsafe {
        dpdk_sys::rte_eth_dev_configure(port.id, config.rx_queues, config.tx_queues, &raw const conf)
    };
    if result != 0 {
        return Err(port.refused("the configuration", result));
    }
    Ok(())
}

fn set_up_queues(
    port: &Inner,
    config: &PortConfig,
    pools: &[Pool],
    raw: &rte_eth_dev_info,
) -> Result<(), DpdkError> {
    let own = |wish: u16| if wish > 0 { wish } else { DESCRIPTORS };
    let mut rx = config.rx_descriptors.unwrap_or(own(raw.default_rxportconf.ring_size));
    let mut tx = config.tx_descriptors.unwrap_or(own(raw.default_txportconf.ring_size));
    // SAFETY: the port exists; both numbers are adjusted in place.
    let result = unsafe { dpdk_sys::rte_eth_dev_adjust_nb_rx_tx_desc(port.id, &raw mut rx, &raw mut tx) };
    if result != 0 {
        return Err(port.refused("fitting the numbers of descriptors", result));
    }
    // SAFETY: the port exists.
    let socket = match unsafe { dpdk_sys::rte_eth_dev_socket_id(port.id) } {
        socket if socket >= 0 && port.hugepages => socket as u32,
        _ => BRAID_SOCKET_ANY as u32,
    };
    for (queue, pool) in (0..config.rx_queues).zip(pools) {
        // SAFETY: the port is configured with this queue and does not run. No configuration: the default.
        // The pool lives until the queue is set up anew or closed (`Lifecycle::pools`).
        let result = unsafe {
            dpdk_sys::rte_eth_rx_queue_setup(port.id, queue, rx, socket, std::ptr::null(), pool.as_ptr())
        };
        if result != 0 {
            return Err(port.refused(&format!("setting up receive queue {queue} ({rx} descriptors)"), result));
        }
    }
    for queue in 0..config.tx_queues {
        // SAFETY: as above.
        let result =
            unsafe { dpdk_sys::rte_eth_tx_queue_setup(port.id, queue, tx, socket, std::ptr::null()) };
        if result != 0 {
            return Err(
                port.refused(&format!("setting up transmit queue {queue} ({tx} descriptors)"), result)
            );
        }
    }
    Ok(())
}

/// Devices behind which there is a kernel interface do not take the MTU with the configuration.
fn set_mtu(port: &Inner, mtu: u16, info: &PortInfo, interface: u32) -> Result<(), DpdkError> {
    let doing = format!("setting the MTU to {mtu}");
    if is_modest(&info.driver) {
        // DPDK would refuse what the driver does not admit.
        return match interface {
            0 => Ok(()),
            _ => kernel::set_mtu(interface, mtu)
                .map_err(|error| port.refused(&doing, -error.raw_os_error().unwrap_or(libc::EIO))),
        };
    }
    // SAFETY: the port exists, is configured and does not run.
    match unsafe { dpdk_sys::rte_eth_dev_set_mtu(port.id, mtu) } {
        0 => Ok(()),
        result if result == -libc::ENOTSUP => Ok(()),
        result => Err(port.refused(&doing, result)),
    }
}

/// What can only be set while the port runs.
fn finish(port: &Inner, config: &PortConfig, info: &PortInfo) -> Result<(), DpdkError> {
    match config.promiscuous {
        Some(on) => port.set_promiscuous(on)?,
        // A wish, not an order.
        None => drop(port.set_promiscuous(true)),
    }
    if config.rss && config.rx_queues > 1 {
        spread(port, config.rx_queues, info.reta_size)?;
    }
    Ok(())
}

/// Fills the device's table from hash to queue, round robin.
fn spread(port: &Inner, queues: u16, size: u16) -> Result<(), DpdkError> {
    let group = BRAID_RETA_GROUP as usize;
    let groups = usize::from(size).div_ceil(group);
    let mut table =
        vec![rte_eth_rss_reta_entry64 { mask: u64::MAX, reta: [0; BRAID_RETA_GROUP as usize] }; groups];
    for (i, queue) in (0..usize::from(size)).zip((0..queues).cycle()) {
        table[i / group].reta[i % group] = queue;
    }
    // SAFETY: the port runs; the table has as many groups as `size` entries need.
    let result = unsafe { dpdk_sys::rte_eth_dev_rss_reta_update(port.id, table.as_mut_ptr(), size) };
    if result == 0 { Ok(()) } else { Err(port.refused("programming the table from hash to queue", result)) }
}
