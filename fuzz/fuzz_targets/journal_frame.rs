//! Whatever bytes a journal file holds, reading them never panics.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| trailbox_journal::decode_foreign(bytes));
