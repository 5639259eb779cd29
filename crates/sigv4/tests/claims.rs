//! What is read of claims that are odd, foreign or broken, and how verification says no.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{KEY, SECRET, fields, head, moment, sha256, v4};
use trailbox_clock::Micros;
use trailbox_exchange::RequestHead;
use trailbox_sigv4::refusal::{self, Dialect};
use trailbox_sigv4::{Claim, ClaimProblem, Payload, SignRequest, VerifyError, claim, sign, verify};

const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn with_authorization(value: &str) -> RequestHead {
    let date = ("X-Amz-Date", "20261122T173000Z");
    head("GET", "/", &fields(&[("Host", "h"), date, ("Authorization", value)]))
}

fn problem(head: &RequestHead) -> (ClaimProblem, Option<String>) {
    match claim(head) {
        Claim::Malformed(claim) => (claim.problem, claim.access_key_id),
        Claim::Anonymous
        | Claim::Foreign { .. }
        | Claim::V4(_)
        | Claim::V4a(_)
        | Claim::V2 { .. } => panic!("{head:?} is not malformed"),
    }
}

#[test]
fn broken_headers_are_named_with_the_key_they_claim() {
    let scope = "Credential=AK/20261122/r/s3/aws4_request";
    let cases: Vec<(String, &str, Option<&str>)> = vec![
        (format!("{scope}, SignedHeaders=host"), "Missing { part: \"Signature\" }", Some("AK")),
        (format!("{scope}, Signature={ZEROS}"), "Missing { part: \"SignedHeaders\" }", Some("AK")),
        (
            format!("SignedHeaders=host, Signature={ZEROS}"),
            "Missing { part: \"Credential\" }",
            None,
        ),
        (
            format!("{scope}, {scope}, SignedHeaders=host"),
            "Repeated { name: \"Credential\" }",
            Some("AK"),
        ),
        (format!("{scope}, SignedHeaders=host, Signature=00"), "Signature", Some("AK")),
        (format!("{scope}, SignedHeaders=Host, Signature={ZEROS}"), "SignedHeaders", Some("AK")),
        (
            format!("{scope}, SignedHeaders=host;host, Signature={ZEROS}"),
            "SignedHeaders",
            Some("AK"),
        ),
        (format!("{scope}, SignedHeaders=, Signature={ZEROS}"), "SignedHeaders", Some("AK")),
        (
            "Credential=AK/20261122/r/s3, SignedHeaders=host, Signature=0".into(),
            "Credential",
            Some("AK"),
        ),
        (
            "Credential=AK/2026/r/s3/aws4_request, SignedHeaders=host, Signature=0".into(),
            "Credential",
            Some("AK"),
        ),
        (
            "Credential=AK/20261122//s3/aws4_request, SignedHeaders=host, Signature=0".into(),
            "Credential",
            Some("AK"),
        ),
        (
            "Credential=/20261122/r/s3/aws4_request, SignedHeaders=host, Signature=0".into(),
            "Credential",
            None,
        ),
        (String::new(), "Missing { part: \"Credential\" }", None),
    ];
    for (rest, want, key) in cases {
        let (problem, found) = problem(&with_authorization(&format!("AWS4-HMAC-SHA256 {rest}")));
        let text = format!("{problem:?}");
        assert!(text.starts_with(want), "{rest:?}: {text}");
        assert_eq!(found.as_deref(), key, "{rest:?}");
    }
}

#[test]
fn other_ways_to_sign_are_recognised() {
    let v4a = format!(
        "AWS4-ECDSA-P256-SHA256 Credential=AK/20261122/s3/aws4_request, SignedHeaders=host, Signature={}",
        "30".repeat(70)
    );
    let Claim::V4a(found) = claim(&with_authorization(&v4a)) else { panic!("not SigV4A") };
    assert_eq!((&*found.access_key_id, &*found.service), ("AK", "s3"));

    let v2 = claim(&with_authorization("AWS AK:c2lnbmF0dXJl"));
    assert_eq!(v2, Claim::V2 { access_key_id: "AK".into(), in_query: false });
    let target = "/b/k?AWSAccessKeyId=AK&Expires=1795368600&Signature=a%2Bb%3D";
    let v2 = claim(&head("GET", target, &[]));
    assert_eq!(v2, Claim::V2 { access_key_id: "AK".into(), in_query: true });
    assert_eq!(problem(&with_authorization("AWS AK")).0, ClaimProblem::VersionTwo);

    let bearer = claim(&with_authorization("Bearer eyJhbGciOi.secret"));
    assert_eq!(bearer, Claim::Foreign { scheme: "Bearer".into() });
    assert_eq!(claim(&head("GET", "/", &[])), Claim::Anonymous);
    let (found, _) = problem(&with_authorization("AWS4-HMAC-SHA1 Credential=AK/x"));
    assert_eq!(found, ClaimProblem::Algorithm { found: "AWS4-HMAC-SHA1".into() });
}

#[test]
fn what_may_stand_once_stands_once() {
    let good = signed("s3", &[]);
    for name in ["authorization", "x-amz-date"] {
        let value = good.headers.get(name).unwrap().to_owned();
        let mut twice = good.clone();
        twice.headers.push(name.to_owned(), value);
        assert!(matches!(problem(&twice).0, ClaimProblem::Repeated { .. }), "{name}");
    }
    let mut both = good;
    both.target.push_str("?X-Amz-Signature=0");
    assert_eq!(problem(&both), (ClaimProblem::TwoClaims, Some(KEY.into())));
    let parts = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20261122%2Fr%2Fs3%2Faws4_request\
         &X-Amz-Date=20261122T173000Z&X-Amz-SignedHeaders=host&X-Amz-Signature={ZEROS}"
    );
    for (more, want) in [
        ("", "Missing { part: \"X-Amz-Expires\" }"),
        ("&X-Amz-Expires=0", "Expires { found: \"0\" }"),
        ("&X-Amz-Expires=604801", "Expires { found: \"604801\" }"),
        ("&X-Amz-Expires=-1", "Expires { found: \"-1\" }"),
        ("&X-Amz-Expires=9&X-Amz-Expires=10", "Repeated { name: \"X-Amz-Expires\" }"),
    ] {
        let (found, key) = problem(&head("GET", &format!("/k?{parts}{more}"), &[]));
        assert_eq!(format!("{found:?}"), want);
        assert_eq!(key.as_deref(), Some("AK"));
    }
}

#[test]
fn every_payload_form_is_known() {
    let cases = [
        ("UNSIGNED-PAYLOAD", Payload::Unsigned),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", Payload::StreamingSigned),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", Payload::StreamingSignedTrailer),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", Payload::StreamingUnsignedTrailer),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", Payload::StreamingV4a),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", Payload::StreamingV4aTrailer),
        ("STREAMING-AWS4-HMAC-SHA256-EVENTS", Payload::StreamingEvents),
    ];
    for (text, want) in cases {
        assert_eq!(Payload::parse(text), Some(want), "{text}");
    }
    assert_eq!(Payload::parse(ZEROS), Some(Payload::Signed([0; 32])));
    assert_eq!(Payload::parse("STREAMING-SOMETHING"), None);
}

fn signed(service: &str, more: &[(&str, &str)]) -> RequestHead {
    let mut all = fields(&[("host", "h")]);
    all.extend(fields(more));
    let added = sign(SignRequest {
        method: "GET",
        target: "/",
        headers: &all,
        body: b"body",
        access_key_id: KEY,
        secret: SECRET,
        session_token: None,
        region: "eu-central-1",
        service,
        now: moment("20261122T173000Z"),
    });
    all.extend(added);
    head("GET", "/", &all)
}

#[test]
fn an_http_date_counts_where_no_amz_date_is() {
    for (date, well) in [
        ("Sun, 22 Nov 2026 17:30:00 GMT", true),
        ("Sun, 22 Nov 2026 17:30:00 +0000", true),
        ("20261122T173000Z", true),
        ("2026-11-22", false),
    ] {
        let value = format!(
            "AWS4-HMAC-SHA256 Credential=AK/20261122/r/iam/aws4_request, \
             SignedHeaders=date;host, Signature={ZEROS}"
        );
        let head =
            head("GET", "/", &fields(&[("Host", "h"), ("Date", date), ("Authorization", &value)]));
        let found = claim(&head);
        let Claim::V4(claim) = found else {
            assert!(!well, "{date}: {found:?}");
            continue;
        };
        assert_eq!(claim.signed_at, moment("20261122T173000Z"), "{date}");
    }
}

#[test]
fn clocks_may_be_fifteen_minutes_apart_and_no_more() {
    let head = signed("iam", &[]);
    let at = |seconds: i64| {
        let now = Micros(moment("20261122T173000Z").0 + seconds * 1_000_000);
        verify(&v4(&head), &head, SECRET.as_bytes(), now, Some(sha256(b"body"))).map(drop)
    };
    assert_eq!(at(900), Ok(()));
    assert_eq!(at(-900), Ok(()));
    assert!(matches!(at(901), Err(VerifyError::Skew { .. })));
    assert!(matches!(at(-901), Err(VerifyError::Skew { .. })));
}

#[test]
fn extra_headers_may_be_unsigned_but_not_those_that_tell_s3_what_to_do() {
    let prove = |head: &RequestHead| {
        let now = moment("20261122T173000Z");
        verify(&v4(head), head, SECRET.as_bytes(), now, None).map(drop)
    };
    for service in ["s3", "iam"] {
        let mut head = signed(service, &[]);
        head.headers.push("X-Forwarded-For", "10.0.0.1");
        assert_eq!(prove(&head), Ok(()), "{service}");
        head.headers.push("X-Amz-Acl", "public-read");
        let want = VerifyError::HeaderNotSigned { name: "x-amz-acl".into() };
        let want = if service == "s3" { Err(want) } else { Ok(()) };
        assert_eq!(prove(&head), want, "{service}");
    }
}

#[test]
fn signed_headers_must_be_there_and_host_among_them() {
    let good = signed("iam", &[("x-one", "1")]);
    let now = moment("20261122T173000Z");
    let without = |name: &str| RequestHead {
        headers: good
            .headers
            .iter()
            .filter(|(held, _)| !held.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(n, v)| (n.to_vec(), v.to_vec()))
            .collect(),
        ..good.clone()
    };
    for name in ["x-one", "host"] {
        let head = without(name);
        let err = verify(&v4(&head), &head, SECRET.as_bytes(), now, None).unwrap_err();
        assert_eq!(err, VerifyError::SignedHeaderMissing { name: name.into() });
    }
    let mut claim = v4(&good);
    claim.signed_headers.retain(|name| name != "host");
    let err = verify(&claim, &good, SECRET.as_bytes(), now, None).unwrap_err();
    assert_eq!(err, VerifyError::HostNotSigned);
    let mut claim = v4(&good);
    claim.date = "20261121".into();
    let err = verify(&claim, &good, SECRET.as_bytes(), now, None).unwrap_err();
    assert!(matches!(err, VerifyError::ScopeMismatch { .. }), "{err}");
}

#[test]
fn a_body_that_is_not_the_signed_one_is_told_apart_from_a_wrong_signature() {
    let head = signed("s3", &[]);
    let now = moment("20261122T173000Z");
    let run = |secret: &str, body: &[u8]| {
        verify(&v4(&head), &head, secret.as_bytes(), now, Some(sha256(body))).map(drop)
    };
    assert_eq!(run(SECRET, b"body"), Ok(()));
    assert_eq!(run(SECRET, b"other"), Err(VerifyError::BodyHashMismatch));
    assert_eq!(run("other", b"other"), Err(VerifyError::WrongSignature));
}

#[test]
fn refusals_speak_the_dialect_of_the_service() {
    let now = moment("20261122T173000Z");
    let skew = VerifyError::Skew { signed_at: moment("20261122T170000Z"), now };
    let expired = VerifyError::Expired { expired_at: now, now };
    let cases = [
        (
            refusal::unproved(&VerifyError::WrongSignature, Dialect::S3),
            403,
            "SignatureDoesNotMatch",
        ),
        (
            refusal::unproved(&VerifyError::WrongSignature, Dialect::Query),
            403,
            "SignatureDoesNotMatch",
        ),
        (
            refusal::unproved(&VerifyError::WrongSignature, Dialect::Json),
            400,
            "InvalidSignatureException",
        ),
        (
            refusal::unproved(&VerifyError::WrongSignature, Dialect::RestJson),
            403,
            "InvalidSignatureException",
        ),
        (refusal::unproved(&VerifyError::WrongSignature, Dialect::Ec2), 401, "AuthFailure"),
        (refusal::unproved(&skew, Dialect::S3), 403, "RequestTimeTooSkewed"),
        (refusal::unproved(&skew, Dialect::Query), 403, "SignatureDoesNotMatch"),
        (refusal::unproved(&skew, Dialect::Ec2), 400, "RequestExpired"),
        (refusal::unproved(&expired, Dialect::S3), 403, "AccessDenied"),
        (
            refusal::unproved(&VerifyError::BodyHashMismatch, Dialect::S3),
            400,
            "XAmzContentSHA256Mismatch",
        ),
        (
            refusal::unproved(&VerifyError::ChunksTruncated { decoded: 1 }, Dialect::S3),
            400,
            "IncompleteBody",
        ),
        (
            refusal::unproved(&VerifyError::HostNotSigned, Dialect::Json),
            400,
            "IncompleteSignatureException",
        ),
        (refusal::unknown_key(Dialect::S3), 403, "InvalidAccessKeyId"),
        (refusal::unknown_key(Dialect::Query), 403, "InvalidClientTokenId"),
        (refusal::unknown_key(Dialect::Json), 400, "UnrecognizedClientException"),
        (refusal::expired_token(Dialect::S3), 400, "ExpiredToken"),
        (refusal::expired_token(Dialect::Json), 400, "ExpiredTokenException"),
        (refusal::invalid_token(Dialect::S3), 400, "InvalidToken"),
        (
            refusal::missing_authentication(Dialect::Json),
            400,
            "MissingAuthenticationTokenException",
        ),
        (refusal::unsupported_signature(Dialect::S3), 400, "InvalidRequest"),
    ];
    for (found, status, code) in cases {
        assert_eq!((found.status, found.code), (status, code), "{}", found.message);
    }
    assert_eq!(
        refusal::unproved(&skew, Dialect::Json).message,
        "Signature expired: 20261122T170000Z is now earlier than 20261122T171500Z \
         (20261122T173000Z - 15 min.)"
    );
}

#[test]
fn malformed_claims_are_refused_in_the_dialect_too() {
    let Claim::Malformed(header) = claim(&with_authorization("AWS4-HMAC-SHA256 x")) else {
        panic!()
    };
    let Claim::Malformed(query) = claim(&head("GET", "/?X-Amz-Signature=0", &[])) else { panic!() };
    let cases = [
        (refusal::malformed(&header, Dialect::S3), 400, "AuthorizationHeaderMalformed"),
        (refusal::malformed(&query, Dialect::S3), 400, "AuthorizationQueryParametersError"),
        (refusal::malformed(&header, Dialect::Query), 400, "IncompleteSignature"),
        (refusal::malformed(&header, Dialect::Json), 400, "IncompleteSignatureException"),
        (refusal::malformed(&header, Dialect::Ec2), 401, "AuthFailure"),
    ];
    for (found, status, code) in cases {
        assert_eq!((found.status, found.code), (status, code), "{}", found.message);
    }
}

#[test]
fn nothing_shows_a_secret_in_debug() {
    let token = "very-secret-token";
    let mut all = fields(&[("host", "h")]);
    let request = SignRequest {
        method: "GET",
        target: "/",
        headers: &all.clone(),
        body: b"",
        access_key_id: KEY,
        secret: SECRET,
        session_token: Some(token),
        region: "r",
        service: "s3",
        now: moment("20261122T173000Z"),
    };
    all.extend(sign(request));
    let head = head("GET", "/", &all);
    let claim = v4(&head);
    let signature = head.headers.get("authorization").unwrap();
    let signature = &signature[signature.len() - 64..];
    let verified = verify(&claim, &head, SECRET.as_bytes(), request.now, None).unwrap();
    for text in [format!("{request:?}"), format!("{claim:?}"), format!("{verified:?}")] {
        assert!(!text.contains(SECRET) && !text.contains(token), "{text}");
        assert!(!text.contains(signature), "{text}");
    }
}
