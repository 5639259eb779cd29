//! What must hold for every request, not only for the ones we thought of.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{head, sha256, v4};
use proptest::prelude::*;
use trailbox_clock::Micros;
use trailbox_exchange::RequestHead;
use trailbox_sigv4::{
    Claim, SignRequest, Verified, VerifyError, claim, presign, sign, sign_streaming, verify,
};

const NOW: Micros = Micros(1_795_368_600_000_000);
const SECRET: &str = "a secret";

/// What a request is signed from.
#[derive(Debug, Clone)]
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    service: &'static str,
    token: Option<String>,
}

fn requests(target: &'static str) -> impl Strategy<Value = Request> {
    let headers = prop::collection::vec(("x-h-[a-c]", "[!-~][ -~]{0,20}"), 0..4);
    let service = prop::sample::select(vec!["s3", "iam", "lambda"]);
    let body = prop::collection::vec(any::<u8>(), 0..100);
    ("GET|PUT|POST|DELETE", target, headers, body, service, prop::option::of("[!-~]{1,40}"))
        .prop_map(|(method, target, mut headers, body, service, token)| {
            headers.push(("Host".into(), "localhost:4747".into()));
            Request { method, target, headers, body, service, token }
        })
}

impl Request {
    fn to_sign(&self) -> SignRequest<'_> {
        SignRequest {
            method: &self.method,
            target: &self.target,
            headers: &self.headers,
            body: &self.body,
            access_key_id: "AKIAEXAMPLE",
            secret: SECRET,
            session_token: self.token.as_deref(),
            region: "eu-central-1",
            service: self.service,
            now: NOW,
        }
    }

    fn signed(&self) -> RequestHead {
        self.with(sign(self.to_sign()))
    }

    fn with(&self, more: Vec<(String, String)>) -> RequestHead {
        let all: Vec<_> = self.headers.iter().cloned().chain(more).collect();
        head(&self.method, &self.target, &all)
    }
}

fn prove(head: &RequestHead, body: Option<&[u8]>) -> Result<Verified, VerifyError> {
    verify(&v4(head), head, SECRET.as_bytes(), NOW, body.map(sha256))
}

/// Whether the head is proved; a claim that cannot be read any more is not.
fn holds(head: &RequestHead, body: &[u8]) -> bool {
    let Claim::V4(claim) = claim(head) else { return false };
    verify(&claim, head, SECRET.as_bytes(), NOW, Some(sha256(body))).is_ok()
}

fn flipped(text: &str, at: prop::sample::Index, bit: u8) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let at = at.index(bytes.len());
    bytes[at] ^= 1 << bit;
    String::from_utf8(bytes).ok()
}

const ANY_TARGET: &str = "/[!-~&&[^?#]]{0,30}(\\?[!-~&&[^#]]{0,30})?";
/// No empty segment: outside of S3 paths are normalised, and `//` is one way to
/// write `/./`.
const PLAIN_TARGET: &str =
    "(/[a-z]{1,8}){1,3}\\?[a-z]{1,5}=[a-z0-9]{1,9}(&[a-z]{1,5}=[a-z0-9]{1,9}){0,3}";

proptest! {
    #[test]
    fn what_is_signed_is_proved(request in requests(ANY_TARGET)) {
        let head = request.signed();
        prop_assume!(!head.target.contains("X-Amz-"));
        prop_assert!(prove(&head, Some(&request.body)).is_ok(), "{head:?}");
        let late = prove(&head, None).unwrap();
        prop_assert_eq!(late.body_sha256(), Some(sha256(&request.body)));
    }

    #[test]
    fn what_is_presigned_is_proved_and_never_with_another_secret(
        request in requests(ANY_TARGET), expires in 1u32..=604_800,
    ) {
        let target = presign(request.to_sign(), expires);
        let head = head(&request.method, &target, &request.headers);
        let Claim::V4(claim) = claim(&head) else { panic!("{head:?}") };
        let hash = Some(sha256(&request.body));
        prop_assert!(verify(&claim, &head, SECRET.as_bytes(), NOW, hash).is_ok(), "{head:?}");
        let wrong = verify(&claim, &head, b"another", NOW, hash).unwrap_err();
        prop_assert_eq!(wrong, VerifyError::WrongSignature);
    }

    /// Path, query, method, header, body, date or signature: each bit counts.
    #[test]
    fn no_bit_of_a_signed_part_can_change(
        request in requests(PLAIN_TARGET), part in 0..5, field: prop::sample::Index,
        at: prop::sample::Index, bit in 0..8u8,
    ) {
        let good = request.signed();
        let (mut bad, mut body) = (good.clone(), request.body.clone());
        match part {
            0 => bad.method = flipped(&good.method, at, bit).unwrap_or_default(),
            1 => match flipped(&good.target, at, bit) {
                Some(target) => bad.target = target,
                None => return Ok(()),
            },
            2 if !body.is_empty() => {
                let at = at.index(body.len());
                body[at] ^= 1 << bit;
            }
            2 => body.push(0),
            _ => {
                let fields: Vec<(String, String)> = good
                    .headers
                    .iter()
                    .map(|(n, v)| (n, v.to_vec()))
                    .map(|(n, v)| (String::from_utf8_lossy(n).into(), String::from_utf8(v).unwrap()))
                    .collect();
                let place = field.index(fields.len());
                let (name, value) = &fields[place];
                // The spelling of hexadecimal digits and of `Authorization`'s frame is free.
                prop_assume!(name != "authorization" && name != "x-amz-content-sha256");
                let Some(changed) = flipped(value, at, bit) else { return Ok(()) };
                let words = |text: &str| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
                prop_assume!(words(&changed) != words(value));
                let mut fields = fields.clone();
                fields[place].1 = changed;
                bad.headers = fields.into_iter().collect();
            }
        }
        prop_assert!(!holds(&bad, &body), "{bad:?} was {good:?}");
    }

    #[test]
    fn no_digit_of_a_signature_can_change(request in requests(ANY_TARGET), at in 0usize..64, by in 1u8..16) {
        let good = request.signed();
        let Some(text) = good.headers.get("authorization") else { panic!("{good:?}") };
        let place = text.len() - 64 + at;
        let digit = text[place..=place].parse::<char>().unwrap().to_digit(16).unwrap();
        let other = char::from_digit(digit ^ u32::from(by), 16).unwrap();
        let changed = format!("{}{other}{}", &text[..place], &text[place + 1..]);
        let fields = good.headers.iter().map(|(n, v)| {
            let value = if n == b"authorization" { changed.as_bytes() } else { v };
            (n.to_vec(), value.to_vec())
        });
        let bad = RequestHead { headers: fields.collect(), ..good.clone() };
        prop_assert!(!holds(&bad, &request.body));
    }

    #[test]
    fn chunks_are_proved_whatever_pieces_they_come_in(
        request in requests(ANY_TARGET), sizes in prop::collection::vec(1usize..300, 0..5),
        trailer: bool, signed: bool, cuts in prop::collection::vec(1usize..80, 1..20),
    ) {
        let (head, body) = streamed(&request, &sizes, trailer || !signed, signed);
        let mut verifier = prove(&head, None).unwrap().chunks().unwrap();
        let (mut rest, mut cuts) = (&body[..], cuts.into_iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            prop_assert_eq!(verifier.update(piece), Ok(()));
            rest = after;
        }
        prop_assert_eq!(verifier.finish(), Ok(()));
        prop_assert_eq!(verifier.decoded(), sizes.iter().sum::<usize>() as u64);
        prop_assert!(verifier.update(b"x").is_err());
    }

    #[test]
    fn no_bit_of_signed_chunks_can_change_and_none_can_be_missing(
        request in requests(ANY_TARGET), sizes in prop::collection::vec(1usize..100, 1..4),
        at: prop::sample::Index, bit in 0..8u8,
    ) {
        let (head, good) = streamed(&request, &sizes, false, true);
        let run = |body: &[u8]| {
            let mut verifier = prove(&head, None).unwrap().chunks().unwrap();
            verifier.update(body).and_then(|()| verifier.finish())
        };
        let at = at.index(good.len());
        let mut bad = good.clone();
        bad[at] ^= 1 << bit;
        // `a` and `A` are the same digit.
        let same_digit = bit == 5 && good[at].is_ascii_alphabetic() && run(&bad).is_ok();
        let outside_data = good[at].is_ascii_hexdigit();
        prop_assert!(run(&bad).is_err() || (same_digit && outside_data), "byte {at}");
        let short = run(&good[..at]).unwrap_err();
        let cut = matches!(short, VerifyError::ChunksTruncated { .. });
        prop_assert!(cut, "{short}");
    }

    #[test]
    fn arbitrary_heads_are_read_without_panic(
        method in ".{0,8}", target in ".{0,200}",
        fields in prop::collection::vec((
            prop::sample::select(vec!["authorization", "x-amz-date", "date", "host",
                "x-amz-content-sha256", "x-amz-security-token", "x-amz-decoded-content-length"]),
            prop_oneof![
                ".{0,200}",
                "AWS4-(HMAC-SHA256|ECDSA-P256-SHA256) Credential=[A-Z/0-9]{0,30}aws4_request, \
                 SignedHeaders=[a-z;]{0,9}, Signature=[0-9a-f]{60,66}",
                "[0-9]{8}T[0-9]{6}Z",
            ],
        ), 0..6),
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let fields: Vec<_> = fields.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
        let head = head(&method, &target, &fields);
        if let Claim::V4(claim) = claim(&head) {
            let _ = verify(&claim, &head, b"secret", NOW, Some(sha256(&body)));
        }
    }

    #[test]
    fn arbitrary_query_claims_are_read_without_panic(
        values in prop::collection::vec((
            prop::sample::select(vec!["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date",
                "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature", "AWSAccessKeyId",
                "Signature", "X-Amz-Security-Token", "X-Amz-Content-Sha256"]),
            "AWS4-HMAC-SHA256|AK/20261122/r/s3/aws4_request|20261122T173000Z|[0-9]{1,7}|host|\
             [0-9a-f]{64}|[ -~]{0,20}",
        ), 0..10),
    ) {
        let query: Vec<String> = values.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let head = head("GET", &format!("/?{}", query.join("&")), &common::fields(&[("host", "h")]));
        if let Claim::V4(claim) = claim(&head) {
            prop_assert!(verify(&claim, &head, b"secret", NOW, None).is_err());
        }
    }

    #[test]
    fn arbitrary_chunk_bytes_are_read_without_panic_and_never_proved(
        request in requests(PLAIN_TARGET), bytes in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let (head, _) = streamed(&request, &[5], true, true);
        let mut verifier = prove(&head, None).unwrap().chunks().unwrap();
        prop_assert!(verifier.update(&bytes).and_then(|()| verifier.finish()).is_err());
    }
}

/// A request whose body travels in chunks of the given sizes, and that body.
fn streamed(
    request: &Request,
    sizes: &[usize],
    trailer: bool,
    signed: bool,
) -> (RequestHead, Vec<u8>) {
    let name = trailer.then_some("x-amz-checksum-crc32");
    let length = sizes.iter().sum::<usize>() as u64;
    let (headers, mut encoder) = sign_streaming(request.to_sign(), length, name, signed);
    let mut body = Vec::new();
    for (place, size) in sizes.iter().enumerate() {
        let fill = u8::try_from(place % 250).unwrap();
        body.extend(encoder.chunk(&vec![fill; *size]));
    }
    let trailers: &[(&str, &str)] =
        if trailer { &[("x-amz-checksum-crc32", "AAAAAA==")] } else { &[] };
    body.extend(encoder.finish(trailers));
    (request.with(headers), body)
}
