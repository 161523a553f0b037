//! The `braid` program with one network function more.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    braid::main(own_nf::registry())
}
