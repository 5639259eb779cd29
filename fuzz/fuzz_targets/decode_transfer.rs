#![no_main]
//! gzip and aws-chunked: any body.

use trailbox_service_facts::decode::{inflate_capped, unchunk_aws};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let _ = unchunk_aws(body);
    if let Ok(plain) = inflate_capped(body, 1 << 20) {
        assert!(plain.len() <= 1 << 20);
    }
});
