//! [`diogenes_fuzz::text`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diogenes_fuzz::text::check(bytes));
