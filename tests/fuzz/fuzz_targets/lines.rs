//! [`diogenes_fuzz::lines`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diogenes_fuzz::lines::check(bytes));
