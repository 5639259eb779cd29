#![no_main]
//! rest-json and rest-xml: any body of calls of Lambda and S3.

#[path = "shared.rs"]
mod shared;

const LAMBDA: &str =
    "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/lambda/aws4_request, Signature=0";
const S3: &str = "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request, Signature=0";

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    shared::record("POST", "/2015-03-31/functions", &[("authorization", LAMBDA)], body);
    shared::record("PUT", "/bucket?tagging", &[("authorization", S3)], body);
    shared::record("POST", "/bucket?delete", &[("authorization", S3)], body);
});
