//! Devices: probing one, starting it with its queues, asking it things.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::eal::log;
use crate::error::{DpdkError, LogLines};
use crate::{Eal, Pool, RxQueue, TxQueue, gate};

mod arrival;
mod bond;
mod diagnose;
mod info;
mod kernel;
mod name;
mod start;
mod vdev;

pub use arrival::Arrival;
pub use diagnose::Flaw;
pub use info::{Link, PortInfo, PortStats};
pub use start::PortConfig;
pub(crate) use start::Shape;

/// A device that this process drives. Clones are handles to the same port.
///
/// When the last handle and the last queue are gone, the device is stopped, closed and given back. A port
/// runs from [`Port::start`] until the queues that it returned are dropped, and can then be started anew,
/// with another configuration.
#[derive(Clone)]
pub struct Port {
    inner: Arc<Inner>,
}

/// The device, probed.
pub(crate) struct Inner {
    id: u16,
    /// As given.
    device: String,
    /// The part that names it, which nobody else may probe.
    name: String,
    hugepages: bool,
    /// DPDK's control calls on one port must not overlap.
    lifecycle: Mutex<Lifecycle>,
    /// The ports that a bond drives; they stay as long as it does.
    _members: Vec<Arc<Inner>>,
}

#[derive(Default)]
struct Lifecycle {
    running: bool,
    /// Another device (a bond) drives it, as long as it exists.
    member: bool,
    /// Devices refer to the pools of their receive queues until they are set up anew or closed.
    pools: Vec<Pool>,
}

/// A port that was started. Its queues hold it; with the last of them it stops.
pub(crate) struct Running {
    port: Arc<Inner>,
}

/// Names of all devices that are probed. Held while probing and removing, which DPDK wants one at a time.
static DEVICES: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Port {
    /// Takes over a device: a NIC by its PCI address ("0000:3b:00.0", with arguments for its driver after a
    /// comma), or a virtual one by its device string ("net_null0,copy=1"). It does not run yet.
    ///
    /// # Errors
    /// What is wrong with it and what to do about it: a driver that is not there, a file or an interface
    /// that is missing, permission, a NIC that belongs to the kernel.
    pub fn probe(eal: &Eal, device: &str) -> Result<Port, DpdkError> {
        let device = device.trim();
        let refused = |problem: String, log: Vec<String>| DpdkError::Device {
            device: device.to_owned(),
            problem,
            log: LogLines(log),
        };
        let name = name::of(device).map_err(|problem| refused(problem, Vec::new()))?;
        let arguments =
            CString::new(device).map_err(|_| refused("it contains a NUL byte".into(), Vec::new()))?;
        let mut devices = locked(&DEVICES);
        if devices.contains(&name) {
            return Err(DpdkError::Busy {
                device: device.to_owned(),
                by: "this process has a port on it already".into(),
            });
        }
        if let Some(Flaw::Misspelt(problem) | Flaw::Absent(problem)) = diagnose::before(device) {
            return Err(refused(problem, Vec::new()));
        }
        let members = bond::claim_members(device, &name)?;
        let known: BTreeSet<u16> = ports().collect();
        let mark = log::mark();
        // SAFETY: EAL is up; the arguments are a C string that is copied; probes are serialised.
        let result = unsafe { dpdk_sys::rte_dev_probe(arguments.as_ptr()) };
        let id = ports().find(|port| !known.contains(port));
        let (0.., Some(id)) = (result, id) else {
            bond::release_members(&members);
            let said = log::since(mark);
            let telling = diagnose::telling(&said).map(str::to_owned).collect();
            return Err(refused(diagnose::after(device, result, &said), telling));
        };
        devices.insert(name.clone());
        let inner = Arc::new(Inner {
            id,
            device: device.to_owned(),
            name,
            hugepages: eal.hugepages,
            lifecycle: Mutex::default(),
            _members: members,
        });
        bond::register(&inner);
        Ok(Port { inner })
    }

    /// What can be seen to be wrong with a device without asking for it, which needs no [`Eal`].
    #[must_use]
    pub fn flaw(device: &str) -> Option<Flaw> {
        diagnose::before(device.trim())
    }

    /// DPDK's number of the port, which received packets carry ([`Mbuf::port`](crate::Mbuf::port)).
    #[must_use]
    pub fn id(&self) -> u16 {
        self.inner.id
    }

    /// The device string that it was probed with.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.inner.device
    }

    /// Starts the port with queues of the given numbers. `pools`: where each receive queue has its mbufs
    /// from.
    ///
    /// # Errors
    /// [`DpdkError::Busy`] while queues of an earlier start exist; [`DpdkError::InvalidArgument`] for a
    /// configuration that the device cannot have (it says what it can); what the device refuses.
    pub fn start(
        &self,
        config: &PortConfig,
        pools: &[Pool],
    ) -> Result<(Vec<RxQueue>, Vec<TxQueue>), DpdkError> {
        let mut lifecycle = self.inner.lock();
        if lifecycle.running || lifecycle.member || self.inner.is_bond_member() {
            let by = if lifecycle.running { "its queues are still held" } else { "another device drives it" };
            return Err(DpdkError::Busy { device: self.inner.device.clone(), by: by.into() });
        }
        // Should it fail half-way, some queues refer to the old pools and some to the new ones.
        lifecycle.pools.extend_from_slice(pools);
        let mark = log::mark();
        let shape = start::bring_up(&self.inner, config, pools).map_err(|error| match error {
            DpdkError::Refused { doing, errno, .. } => {
                let said = log::since(mark);
                let reason = diagnose::starting(&self.inner.device, errno, &said);
                DpdkError::Refused { doing, errno, reason, log: LogLines(said) }
            }
            other => other,
        })?;
        lifecycle.running = true;
        lifecycle.pools = pools.to_vec();
        drop(lifecycle);
        let running = Arc::new(Running { port: Arc::clone(&self.inner) });
        let arrivals = arrival::of_queues(&self.inner, config).into_iter();
        let rx = (0..config.rx_queues)
            .zip(arrivals)
            .map(|(queue, arrival)| RxQueue::new(&running, self.inner.id, queue, arrival))
            .collect();
        let tx =
            (0..config.tx_queues).map(|queue| TxQueue::new(&running, self.inner.id, queue, &shape)).collect();
        Ok((rx, tx))
    }
}

/// The numbers of all ports that DPDK has.
fn ports() -> impl Iterator<Item = u16> {
    let end = dpdk_sys::BRAID_MAX_PORTS as u16;
    let mut next = 0;
    std::iter::from_fn(move || {
        // SAFETY: looks a number up in DPDK's table, any number is fine.
        let port = unsafe { dpdk_sys::rte_eth_find_next(next) };
        next = port.saturating_add(1);
        (port < end).then_some(port)
    })
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, Lifecycle> {
        locked(&self.lifecycle)
    }

    fn is_bond_member(&self) -> bool {
        // SAFETY: the port exists as long as self.
        unsafe { dpdk_sys::braid_is_bond_member(self.id) != 0 }
    }
}

impl Running {
    pub(crate) fn device(&self) -> &str {
        &self.port.device
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut lifecycle = self.port.lock();
        let _passage = gate::enter();
        // SAFETY: the port exists; its queues are gone, so nobody receives or sends.
        let result = unsafe { dpdk_sys::rte_eth_dev_stop(self.port.id) };
        if result != 0 {
            tracing::warn!(device = self.port.device, result, "the port did not stop");
        }
        lifecycle.running = false;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut devices = locked(&DEVICES);
        {
            let _passage = gate::enter();
            // SAFETY: the port exists until this function closes it, and is stopped: `Running` holds it.
            let closed = unsafe {
                let device = dpdk_sys::braid_device(self.id);
                let closed = dpdk_sys::rte_eth_dev_close(self.id);
                // Closing frees the port; the device stays until it is removed. Nobody else removes it:
                // its name is ours.
                if !device.is_null() && dpdk_sys::rte_dev_remove(device) != 0 {
                    tracing::warn!(device = self.device, "the device was not removed");
                }
                closed
            };
            if closed != 0 {
                tracing::warn!(device = self.device, closed, "the port did not close cleanly");
            }
        }
        devices.remove(&self.name);
        bond::release_members(&self._members);
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({}, {})", self.inner.id, self.inner.device)
    }
}
