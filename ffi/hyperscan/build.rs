//! Finds Hyperscan, generates the bindings, and says what to link.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

/// The oldest Hyperscan with literals that are no expressions.
const OLDEST: (u32, u32) = (5, 2);
const INSTALL: &str = "install Debian's package libhyperscan-dev (apt-get install libhyperscan-dev), point \
                       PKG_CONFIG_PATH at the folder of your own libhs.pc, or build without the feature 'ids' \
                       (--no-default-features)";

/// The functions that the crate calls.
const FUNCTIONS: &[&str] = &[
    "hs_(alloc|free)_scratch",
    "hs_compile_(ext|lit)_multi",
    "hs_database_(info|size)",
    "hs_free_(compile_error|database)",
    "hs_scan",
    "hs_scratch_size",
    "hs_valid_platform",
];

fn main() {
    for name in
        ["PKG_CONFIG", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR", "PKG_CONFIG_SYSROOT_DIR", "LIBCLANG_PATH"]
    {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    find();
    generate_bindings(&pkg_config(&["--cflags"]));
    link(Path::new(&pkg_config(&["--variable=libdir"])), env::var_os("CARGO_FEATURE_STATIC").is_some());
}

/// Ends the build with one message.
fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    exit(1)
}

fn tool() -> String {
    env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into())
}

/// Whether there is a version that will do; else the build ends with the name of the package to install.
fn find() {
    let Ok(output) = Command::new(tool()).args(["--modversion", "libhs"]).output() else {
        fail(&format!(
            "{} cannot be run: install Debian's package pkg-config (and libhyperscan-dev)",
            tool()
        ));
    };
    if !output.status.success() {
        fail(&format!("Hyperscan was not found by {}: {INSTALL}", tool()));
    }
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        let (major, minor) = OLDEST;
        fail(&format!("Hyperscan {version} is too old, {major}.{minor} or newer is needed: {INSTALL}"));
    }
}

/// What pkg-config says about libhs.
fn pkg_config(arguments: &[&str]) -> String {
    match Command::new(tool()).args(arguments).arg("libhs").output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(output) => fail(&String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ")),
        Err(error) => fail(&format!("{}: {error}", tool())),
    }
}

fn generate_bindings(cflags: &str) {
    let mut builder = bindgen::Builder::default()
        .header_contents("hyperscan.h", "#include <hs.h>\n")
        .clang_args(cflags.split_whitespace())
        .allowlist_var("HS_(SUCCESS|SCAN_TERMINATED|MODE_BLOCK|FLAG_.*|EXT_FLAG_.*)")
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
            "no bindings for Hyperscan's headers (are libhyperscan-dev and a C library's headers complete?): {error}"
        )),
        Err(_) => fail(
            "libclang was not found, which generates the bindings to Hyperscan: install Debian's packages \
             libclang-dev and clang (apt-get install libclang-dev clang), or set LIBCLANG_PATH",
        ),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("bindings.rs");
    if let Err(error) = bindings.write_to_file(&out) {
        fail(&format!("{}: {error}", out.display()));
    }
}

fn link(libdir: &Path, statically: bool) {
    println!("cargo::rustc-link-search=native={}", libdir.display());
    if !statically {
        println!("cargo::rustc-link-lib=dylib=hs");
        return;
    }
    if !libdir.join("libhs.a").is_file() {
        fail(&format!("libhs.a is missing in {}: {INSTALL}", libdir.display()));
    }
    println!("cargo::rustc-link-lib=static:-bundle=hs");
    match cpp_archive() {
        Some(folder) => {
            println!("cargo::rustc-link-search=native={}", folder.display());
            println!("cargo::rustc-link-lib=static:-bundle=stdc++");
        }
        None => println!("cargo::rustc-link-lib=dylib=stdc++"),
    }
}

/// The folder of libstdc++.a, where the C++ compiler has one.
fn cpp_archive() -> Option<PathBuf> {
    let compiler = cc::Build::new().cpp(true).try_get_compiler().ok()?;
    let output = compiler.to_command().arg("-print-file-name=libstdc++.a").output().ok()?;
    // The bare name comes back where there is none.
    let file = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    file.is_absolute().then(|| file.parent().map(Path::to_path_buf)).flatten()
}
