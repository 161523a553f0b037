//! Any frame, cut anywhere: headers, flow keys, field masks and every view hold what they promise.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../dataplane/wire/tests/properties/mod.rs"]
#[allow(dead_code, reason = "those about checksums are another target's")]
mod properties;

fuzz_target!(|data: &[u8]| {
    if let [cut, frame @ ..] = data {
        properties::frame_holds(frame, usize::from(*cut));
    }
});
