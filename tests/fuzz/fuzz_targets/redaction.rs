//! [`diogenes_fuzz::redaction`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diogenes_fuzz::redaction::check(bytes));
