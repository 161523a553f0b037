//! The tables of the dataplane: flows, timers, routes, rules and match expressions.
//!
//! Nothing here knows DPDK, network functions or policy, so all of it runs under Miri and in fuzz targets.
//! Tables that live on the fast path allocate everything when they are made; tables that are read-only there
//! ([`lpm::Fib`], [`classifier::Classifier`], [`expression::Expression`]) are built elsewhere and shared by `Arc`.
//!
//! | module | what | owner |
//! |---|---|---|
//! | [`flow_table`] | exact match on a key, bounded, with expiry and bulk look-up | one worker |
//! | [`timer_wheel`] | millions of timers, O(1) to arm and to cancel | one worker |
//! | [`lpm`] | longest-prefix match for IPv4 and IPv6 | published |
//! | [`classifier`] | first matching rule among thousands | published |
//! | [`expression`] | the `match` language of chains | published |
#![forbid(unsafe_code)]

pub mod classifier;
pub mod expression;
pub mod flow_table;
pub mod lpm;
pub mod timer_wheel;
