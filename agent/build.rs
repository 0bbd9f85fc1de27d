//! Keeps the agent under its megabyte: what a static program that aborts on panic does not need is left out.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=agent.ld");
    // Cargo does not tell a build script how the profile panics (CARGO_CFG_PANIC says "unwind" whatever it says), so the
    // agent's profile is known by being the only one that asks for the smallest code.
    let is = |key: &str, value: &str| std::env::var(key).is_ok_and(|found| found == value);
    if !is("CARGO_CFG_TARGET_ENV", "musl") || !is("OPT_LEVEL", "z") {
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("agent.ld");
    // Relative relocations in their packed form (DT_RELR), which musl's start-up code reads since 1.2.4: 50 KB less.
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    // No tables for unwinding, for nothing unwinds: 150 KB less.
    println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
    println!("cargo:rustc-link-arg-bins=-Wl,-T,{}", script.display());
}
