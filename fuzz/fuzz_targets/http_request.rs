#![no_main]
//! Request heads: any bytes, in pieces; the verdict does not depend on them,
//! and what was accepted is kept byte for byte.

use bytes::BytesMut;
use trailbox_gateway::wire::{HeadLimits, parse_request};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let limits = HeadLimits::default();
    let mut whole = BytesMut::from(input);
    let verdict = parse_request(&mut whole, limits);
    if let Ok(Some(request)) = &verdict {
        let skipped = input.len() - request.raw.len() - whole.len();
        assert!(input[..skipped].iter().all(|byte| b"\r\n".contains(byte)));
        assert_eq!(&input[skipped..skipped + request.raw.len()], &request.raw[..]);
    }
    let mut growing = BytesMut::new();
    for byte in input {
        growing.extend_from_slice(&[*byte]);
        match parse_request(&mut growing, limits) {
            Ok(None) => {}
            Ok(Some(request)) => {
                assert_eq!(request.raw, verdict.unwrap().unwrap().raw);
                return;
            }
            Err(_) => return,
        }
    }
    assert!(!matches!(verdict, Ok(Some(_))));
});
