//! Fuzzes [`minuted::fuzzing::models`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| minuted::fuzzing::models(bytes));
