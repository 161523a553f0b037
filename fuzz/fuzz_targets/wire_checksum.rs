//! Checksums over any bytes: in pieces as in one, and updated as computed.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../dataplane/wire/tests/properties/mod.rs"]
#[allow(dead_code, reason = "those about frames are another target's")]
mod properties;

fuzz_target!(|data: &[u8]| properties::checksum_holds(data));
