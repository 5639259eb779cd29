#![no_main]
//! Stored records: any bytes.

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = trailbox_record::lookup::view(bytes);
    if let Ok(record) = trailbox_record::outcome_unknown(bytes) {
        assert!(trailbox_record::outcome_unknown(&record.json).is_ok());
    }
});
