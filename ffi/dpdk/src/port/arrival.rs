//! How a thread that sleeps can know of packets in a receive queue.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::{Inner, PortConfig};

/// How packets that arrive in a receive queue are announced to a thread that does not poll it.
#[derive(Debug)]
pub enum Arrival {
    /// The file is readable when there are packets. Only to be waited for: reading takes packets from the driver.
    Readable(OwnedFd),
    /// There is no world behind the device: it has packets at once or never, or those that this process sends to it.
    Internal,
    /// Not at all: only polling the queue tells.
    Unannounced,
}

/// Whether the driver, when asked at configuration, keeps a file per receive queue that a thread can wait for as it
/// is, without switching interrupts on and off.
pub(super) fn has_files(driver: &str) -> bool {
    driver == "net_tap"
}

/// How packets arrive in each receive queue of a port that has just been started.
pub(super) fn of_queues(port: &Inner, config: &PortConfig) -> Vec<Arrival> {
    let queues = 0..config.rx_queues;
    let Ok((driver, raw)) = port.describe().map(|raw| (super::info::driver_of(&raw), raw)) else {
        return queues.map(|_| Arrival::Unannounced).collect();
    };
    let files: Vec<RawFd> = match driver.as_str() {
        "net_null" | "net_ring" => return queues.map(|_| Arrival::Internal).collect(),
        "net_pcap" if !port.device.contains("iface") => return queues.map(|_| Arrival::Internal).collect(),
        "net_af_packet" | "net_pcap" => {
            let sockets = packet_sockets(raw.if_index);
            // One for each queue that the device has, opened in their order; else they cannot be told apart.
            if sockets.len() == usize::from(raw.max_rx_queues) { sockets } else { Vec::new() }
        }
        driver if has_files(driver) => queues.clone().map_while(|queue| queue_file(port.id, queue)).collect(),
        _ => Vec::new(),
    };
    let duplicate = |queue: u16| files.get(usize::from(queue)).and_then(|&file| duplicate(file).ok());
    queues.map(|queue| duplicate(queue).map_or(Arrival::Unannounced, Arrival::Readable)).collect()
}

/// The file that the driver has registered for interrupts of a receive queue.
fn queue_file(port: u16, queue: u16) -> Option<RawFd> {
    // SAFETY: the port exists and runs; DPDK checks the queue's number.
    let file = unsafe { dpdk_sys::rte_eth_dev_rx_intr_ctl_q_get_fd(port, queue) };
    (file >= 0).then_some(file)
}

/// This process's packet sockets (packet(7)) on an interface, in the order of their numbers. Drivers that have one do
/// not tell which; nothing else in the process opens any.
fn packet_sockets(interface: u32) -> Vec<RawFd> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let files = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
    let mut sockets: Vec<RawFd> = files.filter(|&file| interface_of(file) == Some(interface)).collect();
    sockets.sort_unstable();
    sockets
}

/// The interface that a packet socket is bound to; `None` for any other file.
fn interface_of(file: RawFd) -> Option<u32> {
    // SAFETY: a plain C structure of integers, for which zero is a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: writes at most `length` bytes of the address; any number may be asked about, and what is not a socket
    // is refused.
    let result = unsafe { libc::getsockname(file, (&raw mut address).cast(), &raw mut length) };
    let bound = result == 0 && i32::from(address.sll_family) == libc::AF_PACKET;
    // 0: not bound to any.
    u32::try_from(address.sll_ifindex).ok().filter(|&interface| bound && interface > 0)
}

/// A descriptor of one's own for the same file, which stays valid whatever the driver closes.
fn duplicate(file: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: makes a new descriptor, or returns -1.
    match unsafe { libc::fcntl(file, libc::F_DUPFD_CLOEXEC, 0) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: just made, and nobody else has it.
        copy => Ok(unsafe { OwnedFd::from_raw_fd(copy) }),
    }
}
