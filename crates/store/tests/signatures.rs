//! The store's own door: whose signature it takes, and what it says to others.

#![allow(clippy::unwrap_used, reason = "a helper of a test may end the test")]

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use s3s::crypto::{Checksum as _, Sha256};
use std::sync::Arc;
use trailbox_clock::{Clock, Micros, SeededRandom};
use trailbox_store::{Auth, KeyLookup, Options, StoreService, service};

#[derive(Debug)]
struct OneKey;

impl KeyLookup for OneKey {
    fn secret(&self, access_key_id: &str) -> Option<String> {
        (access_key_id == "AKID").then(|| "secret".to_owned())
    }
}

/// The real time: `s3s` judges the age of a signature by its own clock.
#[derive(Debug)]
struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Micros {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap();
        Micros(i64::try_from(since.as_micros()).unwrap())
    }
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let pad = |with: u8| -> Vec<u8> {
        (0..64).map(|at| key.get(at).copied().unwrap_or(0) ^ with).collect()
    };
    let inner = Sha256::checksum(&[pad(0x36), text.as_bytes().to_vec()].concat());
    Sha256::checksum(&[pad(0x5c), inner.to_vec()].concat()).to_vec()
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::checksum(bytes))
}

/// A signed `PUT /bucket`.
fn signed(key: &str, secret: &str, stamp: &str, host: &str) -> Request<Full<Bytes>> {
    let empty = hash(b"");
    let canonical = format!(
        "PUT\n/bucket\n\nhost:{host}\nx-amz-content-sha256:{empty}\nx-amz-date:{stamp}\n\n\
         host;x-amz-content-sha256;x-amz-date\n{empty}"
    );
    let day = &stamp[..8];
    let scope = format!("{day}/us-east-1/s3/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hash(canonical.as_bytes()));
    let mut signing = hmac(format!("AWS4{secret}").as_bytes(), day);
    for part in ["us-east-1", "s3", "aws4_request"] {
        signing = hmac(&signing, part);
    }
    let signature = hex::encode(hmac(&signing, &to_sign));
    Request::builder()
        .method("PUT")
        .uri("/bucket")
        .header("host", host)
        .header("content-length", "0")
        .header("x-amz-date", stamp)
        .header("x-amz-content-sha256", empty)
        .header(
            "authorization",
            format!(
                "AWS4-HMAC-SHA256 Credential={key}/{scope}, \
                 SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"
            ),
        )
        .body(Full::new(Bytes::new()))
        .unwrap()
}

async fn answer(store: &StoreService, request: Request<Full<Bytes>>) -> (u16, String) {
    let answer = store.call(request).await;
    let status = answer.status().as_u16();
    let bytes =
        answer.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn only_a_known_key_with_a_fresh_and_right_signature_gets_in() {
    let dir = tempfile::tempdir().unwrap();
    let store = service(
        &Options::at(dir.path()),
        Auth::Verify(Arc::new(OneKey)),
        Arc::new(WallClock),
        Arc::new(SeededRandom::new(1)),
    )
    .unwrap();
    let now = WallClock.now().to_amz_date();
    let old = WallClock.now().plus(-3_600_000_000).to_amz_date();
    let host = "127.0.0.1:9";
    let anonymous = Request::builder()
        .uri("/bucket")
        .header("host", host)
        .body(Full::new(Bytes::new()))
        .unwrap();
    let cases = [
        (signed("AKID", "secret", &now, host), 200, ""),
        (signed("AKID", "wrong", &now, host), 403, "SignatureDoesNotMatch"),
        (signed("NOBODY", "secret", &now, host), 403, "InvalidAccessKeyId"),
        (signed("AKID", "secret", &old, host), 403, "RequestTimeTooSkewed"),
        (anonymous, 403, "AccessDenied"),
    ];
    for (request, status, code) in cases {
        let (got, body) = answer(&store, request).await;
        assert_eq!(got, status, "{code}: {body}");
        assert!(body.contains(code), "{code}: {body}");
        assert!(!body.contains("secret"), "{body}");
    }
}
