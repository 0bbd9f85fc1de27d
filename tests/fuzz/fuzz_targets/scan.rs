//! [`diogenes_fuzz::scan`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diogenes_fuzz::scan::check(bytes));
