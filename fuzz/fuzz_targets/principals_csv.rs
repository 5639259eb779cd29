#![no_main]
//! The list of principals people import: any bytes give rows or reasons.

use trailbox_identity::AccountId;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let account = AccountId::parse("111122223333").expect("twelve digits");
    match trailbox_identity::import::parse(bytes, &account) {
        Ok(_) => {}
        Err(reasons) => assert!(!reasons.is_empty()),
    }
});
