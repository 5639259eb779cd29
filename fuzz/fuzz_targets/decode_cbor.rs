#![no_main]
//! CBOR: any body of a call of CloudWatch.

#[path = "shared.rs"]
mod shared;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let fields = [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")];
    let target = "/service/GraniteServiceVersion20100801/operation/PutMetricAlarm";
    shared::record("POST", target, &fields, body);
});
