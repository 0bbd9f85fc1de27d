//! [`diogenes_fuzz::registries`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diogenes_fuzz::registries::check(bytes));
