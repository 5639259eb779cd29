#![no_main]
//! Errors: any body of any failed answer.

use trailbox_exchange::{Headers, RequestHead, ResponseHead};
use trailbox_service_facts::decode::decode_error;
use trailbox_service_facts::{Facts, RouteHints};

libfuzzer_sys::fuzz_target!(|input: (u16, bool, &[u8])| {
    let (status, cbor, body) = input;
    let facts = Facts::embedded();
    let head = RequestHead { method: "PUT".into(), target: "/b/k".into(), ..Default::default() };
    let route = facts.route(&head, None, &RouteHints::default());
    let kind = if cbor { "application/cbor" } else { "text/xml" };
    let headers: Headers = [("content-type", kind)].into_iter().collect();
    let _ = decode_error(&route, "PUT", &ResponseHead { status, headers }, body);
});
