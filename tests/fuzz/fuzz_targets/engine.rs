//! [`diogenes_fuzz::engine`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diogenes_fuzz::engine::check(bytes));
