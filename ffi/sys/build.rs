//! Finds DPDK, generates the bindings, compiles the shim, and says what to link.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

#[path = "build/link.rs"]
mod link;

/// The oldest DPDK that is known to work.
const OLDEST: (u32, u32) = (22, 11);

/// DPDK's functions that the `dpdk` crate calls directly; everything inline comes through the shim.
const FUNCTIONS: &[&str] = &[
    "braid_.*",
    "rte_dev_(probe|remove)",
    "rte_eal_(init|get_runtime_dir)",
    "rte_eth_allmulticast_enable",
    "rte_eth_dev_(adjust_nb_rx_tx_desc|close|configure|info_get|rss_reta_update)",
    "rte_eth_dev_(rx_intr_ctl_q_get_fd|set_mtu|socket_id|start|stop)",
    "rte_eth_find_next",
    "rte_eth_macaddr_get",
    "rte_eth_promiscuous_(enable|disable)",
    "rte_eth_(rx|tx)_queue_setup",
    "rte_eth_stats_get",
    "rte_free",
    "rte_get_tsc_hz",
    "rte_log_cur_msg_loglevel",
    "rte_log_set_global_level",
    "rte_mbuf_dynfield_register",
    "rte_mempool_(avail_count|free)",
    "rte_openlog_stream",
    "rte_pktmbuf_(copy|free_bulk)",
    "rte_strerror",
    "rte_thread_(register|unregister)",
    "rte_version",
    "rte_zmalloc_socket",
];

fn main() {
    for name in
        ["PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR", "PKG_CONFIG_SYSROOT_DIR", "LIBCLANG_PATH"]
    {
        println!("cargo::rerun-if-env-changed={name}");
    }
    for path in ["build.rs", "build/link.rs", "shim/shim.h", "shim/shim.c"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let version = find_dpdk();
    println!("cargo::metadata=version={version}");
    let cflags: Vec<String> = pkg_config(&["--cflags"]).split_whitespace().map(str::to_owned).collect();
    generate_bindings(&cflags);
    compile_shim(&cflags);
    let libdir = PathBuf::from(pkg_config(&["--variable=libdir"]));
    link::emit(&sysroot(&libdir), env::var_os("CARGO_FEATURE_STATIC").is_some());
}

/// Ends the build with one message.
fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    exit(1)
}

/// The installed version, or the build ends with the name of the package to install.
fn find_dpdk() -> String {
    const INSTALL: &str = "install Debian's package libdpdk-dev (apt-get install libdpdk-dev), or point \
                           PKG_CONFIG_PATH at the folder of your own libdpdk.pc";
    let tool = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let Ok(output) = Command::new(&tool).args(["--modversion", "libdpdk"]).output() else {
        fail(&format!("{tool} cannot be run: install Debian's package pkg-config (and libdpdk-dev)"));
    };
    if !output.status.success() {
        fail(&format!("DPDK was not found by {tool}: {INSTALL}"));
    }
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        let (year, month) = OLDEST;
        fail(&format!("DPDK {version} is too old, {year}.{month} or newer is needed: {INSTALL}"));
    }
    version
}

/// What pkg-config says about libdpdk.
fn pkg_config(arguments: &[&str]) -> String {
    let tool = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    match Command::new(&tool).args(arguments).arg("libdpdk").output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(output) => fail(&format!(
            "{tool} {} libdpdk: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")
        )),
        Err(error) => fail(&format!("{tool}: {error}")),
    }
}

/// pkg-config puts its sysroot before paths in flags, but not before variables.
fn sysroot(path: &Path) -> PathBuf {
    match env::var_os("PKG_CONFIG_SYSROOT_DIR") {
        Some(root) if !root.is_empty() && !path.starts_with(&root) => {
            Path::new(&root).join(path.strip_prefix("/").unwrap_or(path))
        }
        _ => path.to_path_buf(),
    }
}

fn generate_bindings(cflags: &[String]) {
    let mut builder = bindgen::Builder::default()
        .header("shim/shim.h")
        .clang_args(cflags)
        .allowlist_var("BRAID_.*")
        .allowlist_type("rte_eth_(conf|dev_info|rxconf|txconf|stats|rss_reta_entry64)")
        .allowlist_type("rte_(mbuf|mempool|mbuf_dynfield|ether_addr|device)")
        // Only ever behind a pointer: their layout differs between DPDK versions, and packed or
        // bit-field members trip the generator.
        .opaque_type("rte_(mbuf|mempool|device|mbuf_ext_shared_info)")
        .opaque_type("rte_arp_hdr|rte_arp_ipv4|rte_l2tpv2_.*|rte_gtp_psc_.*|rte_ipv6_fragment_ext")
        .blocklist_type("FILE|_IO_.*")
        .raw_line("/// C's stream, never looked into.\npub type FILE = ::core::ffi::c_void;")
        .default_enum_style(bindgen::EnumVariation::Consts)
        .derive_debug(false)
        .layout_tests(false)
        .use_core()
        .generate_comments(false)
        .merge_extern_blocks(true);
    for function in FUNCTIONS {
        builder = builder.allowlist_function(function);
    }
    // bindgen panics when it does not find libclang; its message names no package.
    let generated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.generate()));
    let bindings = match generated {
        Ok(Ok(bindings)) => bindings,
        Ok(Err(error)) => fail(&format!(
            "no bindings for DPDK's headers (are libdpdk-dev and a C library's headers complete?): {error}"
        )),
        Err(_) => fail(
            "libclang was not found, which generates the bindings to DPDK: install Debian's packages libclang-dev \
             and clang (apt-get install libclang-dev clang), or set LIBCLANG_PATH",
        ),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("bindings.rs");
    if let Err(error) = bindings.write_to_file(&out) {
        fail(&format!("{}: {error}", out.display()));
    }
}

fn compile_shim(cflags: &[String]) {
    let mut build = cc::Build::new();
    build
        .file("shim/shim.c")
        .include("shim")
        .flag("-std=gnu11")
        .flag("-Werror=implicit-function-declaration")
        .opt_level(3)
        .warnings(false)
        .extra_warnings(false);
    // Verbatim: -include rte_config.h and -march are part of DPDK's interface.
    for flag in cflags {
        build.flag(flag);
    }
    if let Err(error) = build.try_compile("braid_shim") {
        fail(&format!("shim.c does not compile against the installed DPDK: {error}"));
    }
}
