//! What the linker gets.

use std::path::Path;

/// Shared: only the libraries that are called. EAL loads the drivers itself, from the plug-in folder that
/// the distribution compiled into it.
const SHARED: &[&str] = &["rte_ethdev", "rte_mbuf", "rte_mempool", "rte_eal"];

/// Static: buses, the pool's store, and the drivers.
///
/// Left out of what Debian has: mlx4 and mlx5 (they bring libibverbs with all its providers), those of
/// other processor architectures (dpaa, enetc, octeontx and the like), and what is no NIC of a server.
const DRIVERS: &[&str] = &[
    "bus_pci",
    "bus_vdev",
    "bus_vmbus",
    "common_iavf",
    "mempool_ring",
    "net_af_packet",
    "net_af_xdp",
    "net_atlantic",
    "net_axgbe",
    "net_bnxt",
    "net_bond",
    "net_cxgbe",
    "net_e1000",
    "net_ena",
    "net_enic",
    "net_fm10k",
    "net_gve",
    "net_i40e",
    "net_iavf",
    "net_ice",
    "net_igc",
    "net_ionic",
    "net_ixgbe",
    "net_memif",
    "net_netvsc",
    "net_ngbe",
    "net_null",
    "net_pcap",
    "net_qede",
    "net_ring",
    "net_tap",
    "net_txgbe",
    "net_vhost",
    "net_virtio",
    "net_vmxnet3",
];

/// Static: DPDK's libraries that those and we need.
const LIBRARIES: &[&str] = &[
    "cmdline",
    "cryptodev",
    "dmadev",
    "eal",
    "ethdev",
    "gro",
    "gso",
    "hash",
    "ip_frag",
    "kvargs",
    "mbuf",
    "mempool",
    "meter",
    "net",
    "pci",
    "rcu",
    "ring",
    "sched",
    "security",
    "telemetry",
    "timer",
    "vhost",
];

/// Static: libraries of others, in the order in which they need each other.
const DEPENDENCIES: &[&str] = &["pcap", "xdp", "bpf", "elf", "z", "numa", "bsd", "md"];

/// Says what to link.
pub fn emit(libdir: &Path, statically: bool) {
    println!("cargo::rustc-link-search=native={}", libdir.display());
    if !statically {
        for library in SHARED {
            println!("cargo::rustc-link-lib=dylib={library}");
        }
        return;
    }
    println!("cargo::rerun-if-changed=shim/pcap_sources.c");
    // Before libpcap, and whole: nothing asks for these symbols yet when the linker comes by.
    cc::Build::new().file("shim/pcap_sources.c").cargo_metadata(false).compile("braid_pcap_sources");
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    println!("cargo::rustc-link-search=native={out}");
    println!("cargo::rustc-link-lib=static:+whole-archive,-bundle=braid_pcap_sources");
    // Whole: drivers and mempool handlers register themselves in constructors that nobody refers to. What
    // a DPDK does not have (sets of drivers differ between versions) is left out.
    for name in DRIVERS.iter().chain(LIBRARIES) {
        let library = format!("rte_{name}");
        if is_there(libdir, &library) {
            println!("cargo::rustc-link-lib=static:+whole-archive,-bundle={library}");
        } else if LIBRARIES.contains(name) {
            println!("cargo::error=lib{library}.a is missing: install Debian's package libdpdk-dev");
        }
    }
    for library in DEPENDENCIES {
        if is_there(libdir, library) {
            println!("cargo::rustc-link-lib=static:-bundle={library}");
        } else {
            println!("cargo::rustc-link-lib=dylib={library}");
        }
    }
}

fn is_there(libdir: &Path, library: &str) -> bool {
    libdir.join(format!("lib{library}.a")).is_file()
}
