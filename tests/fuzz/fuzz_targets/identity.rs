//! [`diogenes_fuzz::identity`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diogenes_fuzz::identity::check(bytes));
