//! [`diogenes_fuzz::tekton`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diogenes_fuzz::tekton::check(bytes));
