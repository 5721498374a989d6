//! Fuzzes [`minuted::fuzzing::markdown`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| minuted::fuzzing::markdown(bytes));
