//! [`diogenes_fuzz::snapshot`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diogenes_fuzz::snapshot::check(bytes));
