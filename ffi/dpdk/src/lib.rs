//! Safe types on DPDK: the environment ([`Eal`]), packet memory ([`Pool`], [`Mbuf`], [`Mbufs`]), rings
//! between cores ([`Ring`]) and devices ([`Port`], [`RxQueue`], [`TxQueue`]).
//!
//! The rules that make them safe:
//!
//! - **EAL is initialised once** and never torn down; every type that needs it is made from an [`Eal`].
//! - **An [`Mbuf`] owns one reference** to a packet. Whoever wants to change a packet must hold the only
//!   one: every `&mut` operation copies a shared packet first ([`Mbuf::make_exclusive`]).
//! - **A pool outlives its mbufs**, whatever handles are dropped when (see [`Pool`]).
//! - **A queue has one owner**, and a port stops only when the last of its queues is gone.
//! - **No struct layout of DPDK is written down here**: the offsets of mbuf fields are evaluated by the
//!   compiler from the installed headers.
//!
//! Nothing on the way of a packet allocates, locks or logs.

mod clock;
mod eal;
mod error;
mod gate;
mod mbuf;
mod mbufs;
mod pool;
mod port;
mod queue;
mod ring;
mod rss;

pub use clock::{thread_socket, tsc, tsc_hz};
pub use eal::{Eal, EalOptions, ThreadGuard};
pub use error::{DpdkError, EalError};
pub use mbuf::{ChecksumStatus, L4Checksum, Mbuf, RxChecksum, Segments, SegmentsMut, TxChecksum};
pub use mbufs::{BURST, Drain, Exhausted, Mbufs};
pub use pool::Pool;
pub use port::{Arrival, Flaw, Link, Port, PortConfig, PortInfo, PortStats};
pub use queue::{Received, RxQueue, TxQueue};
pub use ring::{Ring, RingReceiver, RingSender};
pub use rss::symmetric_toeplitz;
