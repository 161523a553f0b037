//! What the linker gets.

use std::path::Path;

/// Shared: only the libraries that are called. EAL loads the drivers itself, from the plug-in folder
/// that the distribution compiled into it.
const SHARED: &[&str] = &["rte_ethdev", "rte_mbuf", "rte_mempool", "rte_eal"];

/// Says what to link.
pub fn emit(libdir: &Path, statically: bool) {
    let _ = statically;
    println!("cargo::rustc-link-search=native={}", libdir.display());
    for library in SHARED {
        println!("cargo::rustc-link-lib=dylib={library}");
    }
}
