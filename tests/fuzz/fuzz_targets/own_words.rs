//! [`diogenes_fuzz::own_words`] under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diogenes_fuzz::own_words::check(bytes));
