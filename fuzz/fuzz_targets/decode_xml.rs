#![no_main]
//! XML: any document.

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let _ = trailbox_service_facts::decode::parse_xml(body);
});
