//! Keeps the agent under its megabyte: what a static program that aborts on panic does not need is left out.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=no-unwind.ld");
    let is = |key: &str, value: &str| std::env::var(key).is_ok_and(|found| found == value);
    if !is("CARGO_CFG_TARGET_ENV", "musl") || !is("CARGO_CFG_PANIC", "abort") {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("no-unwind.ld");
    // Relative relocations in their packed form (DT_RELR), which musl's start-up code reads since 1.2.4: 50 KB less.
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    // No tables for unwinding, for nothing unwinds: 150 KB less.
    println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
}
