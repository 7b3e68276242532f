//! Compiles the software driver to a shared library, which the crate then embeds.
//!
//! A build script and not a `cdylib` target: cargo would put that library's folder on the search
//! path of every test, in front of a real driver's, and could not give it to crates from a registry.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const DRIVER: &str = "src/driver";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={DRIVER}");
    println!("cargo:rustc-check-cfg=cfg(softcuda_embedded)");

    let out = PathBuf::from(variable("OUT_DIR"));
    if env::var_os("CARGO_CFG_SOFTCUDA_LINKED").is_some() {
        satisfy_the_linker(&out);
    } else if variable("CARGO_CFG_TARGET_OS") == "linux" && variable("CARGO_CFG_TARGET_ENV") == "gnu" {
        compile_the_driver(&out);
        // The crate embeds the library.
        println!("cargo:rustc-cfg=softcuda_embedded");
    }
}

/// cudarc's `dynamic-linking` asks for libraries by name. The crate itself defines the symbols, so
/// that an empty archive of each name is enough.
fn satisfy_the_linker(out: &Path) {
    for name in ["libcuda.a", "libnvrtc.a"] {
        fs::write(out.join(name), b"!<arch>\n").expect("write an empty archive to OUT_DIR");
    }
    println!("cargo:rustc-link-search=native={}", out.display());
}

/// Runs rustc without cargo, and so without the flags of the build around it: sanitizers,
/// `-Dwarnings` and `panic=abort` belong to the crate that loads the library, not to the library.
fn compile_the_driver(out: &Path) {
    let library = out.join("libsoftcuda.so");
    let mut rustc = Command::new(variable("RUSTC"));
    rustc
        .args(["--crate-type=cdylib", "--crate-name=softcuda_driver", "--edition=2024"])
        .args(["-Copt-level=3", "-Cpanic=unwind", "-Cstrip=debuginfo", "--cap-lints=warn"])
        // The name that cudarc asks for first: a later dlopen of it finds the library that is
        // already there. The driver's own calls must not reach a real driver loaded before it.
        .args(["-Clink-arg=-Wl,-soname,libcuda.so", "-Clink-arg=-Wl,-Bsymbolic"])
        .args(["--check-cfg=cfg(softcuda_linked, softcuda_shuttle)", "--check-cfg=cfg(test)", "--target"])
        .arg(variable("TARGET"))
        .arg("-o")
        .arg(&library)
        .arg(format!("{DRIVER}/mod.rs"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS");
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut flag = OsString::from("-Clinker=");
        flag.push(linker);
        rustc.arg(flag);
    }
    let status = rustc.status().unwrap_or_else(|error| panic!("cannot run {rustc:?}: {error}"));
    assert!(status.success(), "the software driver does not compile ({status}): {rustc:?}");
    // A target without shared libraries is a warning to rustc, not an error.
    assert!(library.is_file(), "rustc makes no shared library for this target: {rustc:?}");
}

fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| panic!("cargo sets {name} for build scripts"))
}
