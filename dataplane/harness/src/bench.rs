//! What every check runs on: EAL and packet memory, once per process.

use dpdk::{Eal, EalOptions};
use engine::StandPools;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// Packets that may be in flight in all stands of the process at once.
const PACKETS: u32 = 4096;

/// Packet memory, on an EAL without hugepages and devices that any user can start.
///
/// # Errors
/// Why EAL did not start or has no memory.
pub(crate) fn pools() -> Result<&'static StandPools, &'static str> {
    static POOLS: OnceLock<Result<StandPools, String>> = OnceLock::new();
    POOLS.get_or_init(start).as_ref().map_err(String::as_str)
}

fn start() -> Result<StandPools, String> {
    let options = EalOptions {
        hugepages: false,
        pci: false,
        memory_mb: 128,
        file_prefix: format!("harness-{}", std::process::id()),
        extra: Vec::new(),
    };
    let eal = Eal::init(&options).map_err(|error| format!("EAL does not start: {error}"))?;
    StandPools::new(&eal, PACKETS).map_err(|error| format!("no packet memory: {error}"))
}

/// Runs what may panic; the message if it did.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        text.or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned())
    })
}
