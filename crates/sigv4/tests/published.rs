//! The worked examples AWS publishes.
//!
//! Source: S3 API Reference, "Examples: signature calculations in AWS Signature
//! Version 4", "Signature calculations … multiple chunks" (with and without
//! trailers), "Authenticating requests: using query parameters"; IAM User Guide,
//! "Create a signed AWS API request".
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{KEY, SECRET, fields, head, moment, sha256, v4};
use trailbox_exchange::RequestHead;
use trailbox_sigv4::{Verified, VerifyError, verify};

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn s3(
    method: &str,
    target: &str,
    more: &[(&str, &str)],
    signed: &str,
    signature: &str,
) -> RequestHead {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={KEY}/20130524/us-east-1/s3/aws4_request,\
         SignedHeaders={signed},Signature={signature}"
    );
    let mut all = fields(more);
    all.push(("x-amz-date".into(), "20130524T000000Z".into()));
    all.push(("Authorization".into(), authorization));
    head(method, target, &all)
}

fn prove(head: &RequestHead) -> Result<Verified, VerifyError> {
    verify(&v4(head), head, SECRET.as_bytes(), moment("20130524T000000Z"), None)
}

#[test]
fn the_s3_examples_for_the_authorization_header() {
    let host = ("Host", "examplebucket.s3.amazonaws.com");
    let empty = ("x-amz-content-sha256", EMPTY);
    let plain = "host;x-amz-content-sha256;x-amz-date";
    let cases = [
        s3(
            "GET",
            "/test.txt",
            &[host, ("Range", "bytes=0-9"), empty],
            "host;range;x-amz-content-sha256;x-amz-date",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        s3(
            "PUT",
            "/test$file.text",
            &[
                host,
                ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                (
                    "x-amz-content-sha256",
                    "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
                ),
            ],
            "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        s3(
            "GET",
            "/?lifecycle",
            &[host, empty],
            plain,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        s3(
            "GET",
            "/?max-keys=2&prefix=J",
            &[host, empty],
            plain,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ];
    for head in &cases {
        assert!(prove(head).is_ok(), "{} {}: {:?}", head.method, head.target, prove(head));
    }
}

#[test]
fn the_s3_example_of_a_presigned_url() {
    let target = "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
        &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
    let head = head("GET", target, &fields(&[("host", "examplebucket.s3.amazonaws.com")]));
    assert!(prove(&head).is_ok());
    let late = verify(&v4(&head), &head, SECRET.as_bytes(), moment("20130525T000001Z"), None);
    assert!(matches!(late, Err(VerifyError::Expired { .. })), "{late:?}");
}

#[test]
fn the_iam_example_says_nothing_about_its_body() {
    let head = head(
        "GET",
        "/?Action=ListUsers&Version=2010-05-08",
        &fields(&[
            ("Host", "iam.amazonaws.com"),
            ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("X-Amz-Date", "20150830T123600Z"),
            (
                "Authorization",
                "AWS4-HMAC-SHA256 \
                 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, \
                 Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        ]),
    );
    let secret = b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let now = moment("20150830T123600Z");
    assert!(verify(&v4(&head), &head, secret, now, Some(sha256(b""))).is_ok());
    let unknown = verify(&v4(&head), &head, secret, now, None).unwrap_err();
    assert_eq!(unknown, VerifyError::BodyHashNeeded);
    let other = verify(&v4(&head), &head, secret, now, Some(sha256(b"x"))).unwrap_err();
    assert_eq!(other, VerifyError::WrongSignature);
}

/// 65 KiB of `a` in chunks of 64 KiB and 1 KiB, with the given signatures.
fn chunks(signatures: [&str; 3]) -> Vec<u8> {
    let mut body = Vec::new();
    for (size, signature) in [65_536, 1024, 0].into_iter().zip(signatures) {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        body.extend(std::iter::repeat_n(b'a', size));
        if size > 0 {
            body.extend_from_slice(b"\r\n");
        }
    }
    body
}

#[test]
fn the_s3_example_of_signed_chunks() {
    let head = s3(
        "PUT",
        "/examplebucket/chunkObject.txt",
        &[
            ("Host", "s3.amazonaws.com"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("Content-Encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("Content-Length", "66824"),
        ],
        "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;\
         x-amz-decoded-content-length;x-amz-storage-class",
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    );
    let mut body = chunks([
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ]);
    body.extend_from_slice(b"\r\n");
    assert_eq!(body.len(), 66_824);
    let mut verifier = prove(&head).unwrap().chunks().unwrap();
    verifier.update(&body).unwrap();
    verifier.finish().unwrap();
    assert_eq!(verifier.decoded(), 66_560);
}

#[test]
fn the_s3_example_of_signed_chunks_with_a_trailer() {
    let head = s3(
        "PUT",
        "/examplebucket/chunkObject.txt",
        &[
            ("Host", "s3.amazonaws.com"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"),
            ("Content-Encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("x-amz-trailer", "x-amz-checksum-crc32c"),
        ],
        "content-encoding;host;x-amz-content-sha256;x-amz-date;\
         x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    );
    let mut body = chunks([
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ]);
    body.extend_from_slice(
        b"x-amz-checksum-crc32c:sOO8/Q==\n\r\n\
          x-amz-trailer-signature:\
          d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
    );
    let mut verifier = prove(&head).unwrap().chunks().unwrap();
    verifier.update(&body).unwrap();
    verifier.finish().unwrap();
}
