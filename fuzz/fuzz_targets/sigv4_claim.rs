//! Any head is read without panic, and none is proved that we did not sign.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trailbox_clock::Micros;
use trailbox_exchange::RequestHead;
use trailbox_sigv4::{Claim, claim, verify};

// First line: method and target; then one `name: value` per line.
fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|b| *b == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or(b"")).into_owned();
    let (method, target) = first.split_once(' ').unwrap_or(("GET", &first));
    let fields = lines.filter_map(|line| {
        let colon = line.iter().position(|b| *b == b':')?;
        Some((line[..colon].to_vec(), line[colon + 1..].to_vec()))
    });
    let head = RequestHead {
        method: method.to_owned(),
        target: target.to_owned(),
        headers: fields.collect(),
    };
    if let Claim::V4(claim) = claim(&head) {
        let now = Micros(claim.signed_at.0);
        assert!(verify(&claim, &head, b"unguessable", now, Some([7; 32])).is_err());
    }
});
