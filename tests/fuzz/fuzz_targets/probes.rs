//! [`diogenes_fuzz::probes`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diogenes_fuzz::probes::check(bytes));
