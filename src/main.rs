//! The `braid` binary: the library with our own network functions.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    braid::main(nfs::registry())
}
