//! Fuzzes [`minuted::fuzzing::files`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| minuted::fuzzing::files(bytes));
