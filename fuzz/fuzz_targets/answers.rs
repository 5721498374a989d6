//! Fuzzes [`minuted::fuzzing::answers`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| minuted::fuzzing::answers(bytes));
