//! Fuzzes [`minuted::fuzzing::config`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| minuted::fuzzing::config(bytes));
