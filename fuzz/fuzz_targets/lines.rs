//! Fuzzes [`minuted::fuzzing::lines`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| minuted::fuzzing::lines(bytes));
