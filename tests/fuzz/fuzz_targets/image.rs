//! [`diogenes_fuzz::image`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diogenes_fuzz::image::check(bytes));
