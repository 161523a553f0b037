//! SMART's decisions: when a priority flow is about to miss its target, from which node and packet on it gets another
//! route, where the two meet again, and what becomes of the flows that follow it.
//!
//! After P. Kathiravelu, L. Veiga: SDN Middlebox Architecture for Resilient Transfers, IFIP/IEEE IM 2017, Algorithms 1
//! and 2. Everything is a function of what it is given: no packets, no clock, no sockets. A controller calls it with what
//! nodes report, the simulator with what it simulates.
//!
//! - [`policy`]: hard and soft limits, whose they are, and the skyline that settles conflicts.
//! - [`history`]: what flows so far say about one that is under way.
//! - [`enhancer`]: the algorithms.
#![forbid(unsafe_code)]

pub mod enhancer;
pub mod history;
pub mod policy;

/// Nanoseconds, as a point in time or a length of it.
pub type Nanos = u64;
