#![no_main]
//! PROXY headers: any bytes; reading what is asked for never goes past the end
//! of a header, always asks for something, and asks for a bounded amount.

use trailbox_gateway::wire::{ProxyStep, proxy_header};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let mut have = 0;
    loop {
        match proxy_header(&input[..have]) {
            Ok(ProxyStep::More(count)) => {
                assert!(0 < count && have + count <= 4096);
                if input.len() < have + count {
                    return;
                }
                have += count;
            }
            Ok(ProxyStep::Done(client)) => {
                // More bytes behind a whole header change nothing.
                assert_eq!(proxy_header(input), Ok(ProxyStep::Done(client)));
                return;
            }
            Err(_) => return,
        }
    }
});
