#![no_main]
//! The index reader, past the checksums: blocks parted by FF FE FF, the footer last.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| trailbox_history::read_foreign(bytes));
