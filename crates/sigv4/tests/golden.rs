//! Requests as botocore signs them, from `data/botocore.json`.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{head, moment, sha256, v4};
use serde::Deserialize;
use trailbox_clock::Micros;
use trailbox_sigv4::{SecretText, SigningKeyCache, VerifyError, verify, verify_with_key};

#[derive(Deserialize)]
struct File {
    access_key_id: String,
    secret: String,
    region: String,
    now: String,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
    service: String,
    session_token: Option<String>,
}

fn file() -> File {
    let text = include_str!("data/botocore.json");
    serde_json::from_str(text).unwrap()
}

#[test]
fn every_request_botocore_signs_is_read_and_proved() {
    let file = file();
    let now = moment(&file.now);
    let cache = SigningKeyCache::new(16);
    assert!(30 <= file.vectors.len());
    for vector in &file.vectors {
        let name = &vector.name;
        let head = head(&vector.method, &vector.target, &vector.headers);
        let claim = v4(&head);
        assert_eq!(claim.access_key_id, file.access_key_id, "{name}");
        assert_eq!(claim.region, file.region, "{name}");
        assert_eq!(claim.service, vector.service, "{name}");
        assert_eq!(
            claim.session_token.as_ref().map(SecretText::expose),
            vector.session_token.as_deref(),
            "{name}"
        );
        let body = common::decode_base64(&vector.body);
        let chunked = claim.payload.is_chunked();
        let hash = (!chunked).then(|| sha256(&body));
        let verified = verify(&claim, &head, file.secret.as_bytes(), now, hash)
            .unwrap_or_else(|err| panic!("{name}: {err}"));
        if let Some(mut chunks) = verified.chunks() {
            chunks.update(&body).unwrap_or_else(|err| panic!("{name}: {err}"));
            chunks.finish().unwrap_or_else(|err| panic!("{name}: {err}"));
        }
        let key = cache.get(&claim, &file.secret.as_str().into());
        assert!(verify_with_key(&claim, &head, &key, now, hash).is_ok(), "{name}");
    }
}

#[test]
fn no_request_is_proved_with_another_secret_or_at_another_time() {
    let file = file();
    let now = moment(&file.now);
    for vector in &file.vectors {
        let name = &vector.name;
        let head = head(&vector.method, &vector.target, &vector.headers);
        let claim = v4(&head);
        let hash = Some(sha256(&common::decode_base64(&vector.body)));
        let wrong = verify(&claim, &head, b"another secret", now, hash).unwrap_err();
        assert_eq!(wrong, VerifyError::WrongSignature, "{name}");
        let later = Micros(now.0 + 8 * 86_400 * 1_000_000);
        let late = verify(&claim, &head, file.secret.as_bytes(), later, hash).unwrap_err();
        let over = matches!(late, VerifyError::Skew { .. } | VerifyError::Expired { .. });
        assert!(over, "{name}: {late}");
    }
}
