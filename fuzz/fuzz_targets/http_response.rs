#![no_main]
//! Heads of answers: any bytes, to any method.

use bytes::BytesMut;
use trailbox_gateway::wire::{HeadLimits, parse_response};

libfuzzer_sys::fuzz_target!(|input: (bool, &[u8])| {
    let (to_head, bytes) = input;
    let mut buffer = BytesMut::from(bytes);
    if let Ok(Some(response)) = parse_response(&mut buffer, to_head, HeadLimits::default()) {
        assert_eq!(&bytes[..response.raw.len()], &response.raw[..]);
        assert_eq!(&bytes[response.raw.len()..], &buffer[..]);
    }
});
