#![no_main]
//! awsJson: any body of a call of DynamoDB.

#[path = "shared.rs"]
mod shared;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    let fields = [
        ("host", "localhost"),
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "DynamoDB_20120810.CreateTable"),
    ];
    shared::record("POST", "/", &fields, body);
});
