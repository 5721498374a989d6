//! Fuzzes [`minuted::fuzzing::calendars`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| minuted::fuzzing::calendars(bytes));
