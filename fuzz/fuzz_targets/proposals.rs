//! Fuzzes [`minuted::fuzzing::proposals`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| minuted::fuzzing::proposals(bytes));
