//! Any bytes in both directions of a TLS connection: bounded, and the same however they are cut.
#![no_main]

mod talk;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| talk::check(None, b"\x16\x03\x01", input));
