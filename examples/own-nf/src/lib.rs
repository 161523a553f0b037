//! A network function of one's own, and the registry that has it beside Braid's.
#![forbid(unsafe_code)]

pub mod ttl_guard;

use engine::Registry;

/// Braid's kinds of NF and ours.
pub fn registry() -> Registry {
    nfs::registry().with::<ttl_guard::TtlGuard>()
}
