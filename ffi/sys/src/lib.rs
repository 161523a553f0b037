//! Raw bindings to DPDK, generated at build time from the installed headers (22.11 or newer).
//!
//! Nothing here is safe and nothing here is documented beyond DPDK's own manual: use the `dpdk` crate.
//! `braid_*` functions and `BRAID_*` constants come from `shim/shim.h`, which says what they are.

#![no_std]
#![allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unsafe_op_in_unsafe_fn,
    unused_qualifications,
    clippy::all,
    clippy::undocumented_unsafe_blocks
)]

include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
