//! A request that is signed anew is proved under the new key, in every payload
//! form, and shows nothing of the old signature.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{head, sha256, v4};
use proptest::prelude::*;
use trailbox_clock::Micros;
use trailbox_exchange::RequestHead;
use trailbox_sigv4::{
    ChunkPlan, ChunkVerifier, Claim, Payload, RECHUNK_BYTES, RECHUNK_HELD_MAX, Resign, Resigned,
    SignRequest, Signer, SigningKeyCache, VerifyError, claim, is_of_signature, presign,
    query_without_signature, resign, sign, sign_streaming, verify,
};

const NOW: Micros = Micros(1_795_368_600_000_000);
const OLD_KEY: &str = "AKIACLIENTCLIENTCLIE";
const OLD_SECRET: &str = "the clients secret";
const OLD_TOKEN: &str = "the-clients-session-token";
const NEW_SECRET: &str = "the upstreams secret";

fn signer() -> Signer {
    Signer {
        access_key_id: "AKIAUPSTREAMUPSTREAM".to_owned(),
        secret: NEW_SECRET.into(),
        session_token: Some("the-upstreams-token".into()),
    }
}

#[derive(Debug, Clone)]
struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    service: &'static str,
}

fn requests() -> impl Strategy<Value = Request> {
    let target = "/[!-~&&[^?#]]{0,30}(\\?[!-~&&[^#]]{0,30})?";
    let headers = prop::collection::vec(("(x-h|X-Amz-Meta)-[a-c]", "[!-~][ -~]{0,20}"), 0..4);
    let service = prop::sample::select(vec!["s3", "iam", "lambda"]);
    let body = prop::collection::vec(any::<u8>(), 0..100);
    ("GET|PUT|POST|DELETE", target, headers, body, service).prop_map(
        |(method, target, mut headers, body, service)| {
            headers.push(("hOST".into(), "localhost:4747".into()));
            Request { method, target, headers, body, service }
        },
    )
}

impl Request {
    fn to_sign(&self) -> SignRequest<'_> {
        SignRequest {
            method: &self.method,
            target: &self.target,
            headers: &self.headers,
            body: &self.body,
            access_key_id: OLD_KEY,
            secret: OLD_SECRET,
            session_token: Some(OLD_TOKEN),
            region: "eu-central-1",
            service: self.service,
            now: NOW,
        }
    }

    fn with(&self, more: Vec<(String, String)>) -> RequestHead {
        let all: Vec<_> = self.headers.iter().cloned().chain(more).collect();
        head(&self.method, &self.target, &all)
    }
}

/// What is sent on instead of `old`, and the new signature.
fn anew(old: &RequestHead, body: &[u8]) -> (RequestHead, Resigned) {
    let claim = v4(old);
    let query = if claim.in_query {
        query_without_signature(old.query(), false)
    } else {
        old.query().into()
    };
    let target =
        if query.is_empty() { old.path().into() } else { format!("{}?{query}", old.path()) };
    let fields: Vec<(String, String)> = old
        .headers
        .iter()
        .filter(|(name, _)| !is_of_signature(name, false))
        .map(|(name, value)| {
            let name = String::from_utf8(name.to_vec()).unwrap();
            let value = String::from_utf8(value.to_vec()).unwrap();
            if name.eq_ignore_ascii_case("host") {
                (name, "s3.example".into())
            } else {
                (name, value)
            }
        })
        .collect();
    let mut new = head(&old.method, &target, &fields);
    let to_sign = Resign {
        head: &new,
        signed_headers: &claim.signed_headers,
        payload: &claim.payload,
        body_hash: claim.payload.needs_body_hash().then(|| sha256(body)),
        region: "us-west-2",
        service: &claim.service,
        now: NOW,
    };
    let resigned = resign(&to_sign, &signer(), &SigningKeyCache::new(8)).unwrap();
    for (name, value) in &resigned.fields {
        new.headers.push(*name, value.clone());
    }
    (new, resigned)
}

fn chunks_of(head: &RequestHead, secret: &str) -> ChunkVerifier {
    verify(&v4(head), head, secret.as_bytes(), NOW, None).unwrap().chunks().unwrap()
}

fn proves(head: &RequestHead, body: &[u8]) {
    let Claim::V4(claim) = claim(head) else { panic!("{head:?}") };
    assert_eq!((&*claim.access_key_id, &*claim.region), ("AKIAUPSTREAMUPSTREAM", "us-west-2"));
    let hash = (!claim.payload.is_chunked()).then(|| sha256(body));
    let proved = verify(&claim, head, NEW_SECRET.as_bytes(), NOW, hash);
    assert!(proved.is_ok(), "{proved:?} {head:?}");
    let wrong = verify(&claim, head, OLD_SECRET.as_bytes(), NOW, hash).unwrap_err();
    assert_eq!(wrong, VerifyError::WrongSignature);
    let seen = format!("{head:?}");
    for old in [OLD_KEY, OLD_SECRET, OLD_TOKEN, "localhost:4747", "eu-central-1"] {
        assert!(!seen.contains(old), "{old} is left in {seen}");
    }
    assert!(!head.query().contains("X-Amz-Signature"), "{seen}");
}

proptest! {
    #[test]
    fn whatever_was_signed_is_proved_under_the_new_key(
        request in requests(), kind in 0..4, expires in 1u32..=604_800,
    ) {
        prop_assume!(!request.target.contains("X-Amz-"));
        let old = match kind {
            0 => request.with(sign(request.to_sign())),
            1 => {
                let target = presign(request.to_sign(), expires);
                head(&request.method, &target, &request.headers)
            }
            2 => request.with(sign_streaming(request.to_sign(), 5, Some("x-amz-checksum-crc32"), false).0),
            _ => request.with(sign_streaming(request.to_sign(), 5, None, true).0),
        };
        let (new, _) = anew(&old, &request.body);
        proves(&new, &request.body);
        prop_assert_eq!(new.path(), old.path());
        if kind != 1 {
            prop_assert_eq!(new.query(), old.query());
        }
    }

    /// Whatever the client's chunks are, ours are proved, whole, and as long as was said.
    #[test]
    fn chunks_are_written_anew_whatever_pieces_they_come_in(
        request in requests(), trailer: bool, proved_first: bool,
        sizes in prop::collection::vec(prop_oneof![1usize..300, 60_000usize..70_000, 300_000usize..400_000], 0..4),
        cuts in prop::collection::vec(prop_oneof![1usize..80, 10_000usize..90_000], 1..9),
    ) {
        prop_assume!(!request.target.contains("X-Amz-"));
        let (old, body) = streamed(&request, &sizes, trailer);
        let (new, resigned) = anew(&old, b"");
        proves(&new, b"");
        let plan = ChunkPlan::of(&old, &v4(&old).payload).unwrap().unwrap();
        let length = plan.wire_length().unwrap();
        let mut rechunker = plan.start(resigned.encoder.unwrap());
        let mut verifier = chunks_of(&old, OLD_SECRET);
        let (mut out, mut rest, mut cuts) = (Vec::new(), &body[..], cuts.into_iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            verifier.update(piece).unwrap();
            rechunker.take(piece).unwrap();
            out.extend(rechunker.release(if proved_first { verifier.proved() } else { u64::MAX }));
            rest = after;
        }
        verifier.finish().unwrap();
        out.extend(rechunker.finish().unwrap());
        prop_assert_eq!(out.len() as u64, length);
        let (decoded, largest, text) = decoded(&new, &out);
        prop_assert_eq!(decoded, plain(&sizes));
        prop_assert!(largest <= RECHUNK_BYTES);
        prop_assert_eq!(text.contains("x-amz-checksum-crc32:AAAAAA=="), trailer);
    }

    /// Nothing of a chunk goes on before its signature is proved, unless it is a large one.
    #[test]
    fn a_forged_chunk_is_held_back(
        request in requests(), before in 0usize..200_000, size in 1usize..RECHUNK_HELD_MAX,
        at: prop::sample::Index,
    ) {
        prop_assume!(!request.target.contains("X-Amz-"));
        let sizes: Vec<usize> = [before, size].into_iter().filter(|size| 0 < *size).collect();
        let (old, mut body) = streamed(&request, &sizes, false);
        // The last chunk's bytes stand in front of its line end and the final chunk.
        let end = body.len() - 2 - "0;chunk-signature=\r\n\r\n".len() - 64;
        let place = end - 1 - at.index(size);
        body[place] ^= 1;
        let (new, resigned) = anew(&old, b"");
        let plan = ChunkPlan::of(&old, &v4(&old).payload).unwrap().unwrap();
        let mut rechunker = plan.start(resigned.encoder.unwrap());
        let mut verifier = chunks_of(&old, OLD_SECRET);
        let mut out = Vec::new();
        for piece in body.chunks(50_000) {
            let checked = verifier.update(piece);
            rechunker.take(piece).unwrap();
            if checked.is_err() {
                break;
            }
            out.extend(rechunker.release(verifier.proved()));
        }
        let wrong = matches!(verifier.finish(), Err(VerifyError::WrongChunkSignature { .. }));
        prop_assert!(wrong);
        let (decoded, ..) = decoded(&new, &out);
        prop_assert!(decoded.len() <= before, "{} of {before}", decoded.len());
    }
}

/// Forged or not, memory is bounded: of a chunk of any size at most so much is held.
#[test]
fn of_a_large_chunk_only_the_end_is_held() {
    let request = Request {
        method: "PUT".into(),
        target: "/b/k".into(),
        headers: vec![("Host".into(), "localhost:4747".into())],
        body: Vec::new(),
        service: "s3",
    };
    let (old, mut body) = streamed(&request, &[3_000_000], false);
    body[1_000_000] ^= 1;
    let (new, resigned) = anew(&old, b"");
    let plan = ChunkPlan::of(&old, &v4(&old).payload).unwrap().unwrap();
    let mut rechunker = plan.start(resigned.encoder.unwrap());
    let mut verifier = chunks_of(&old, OLD_SECRET);
    let mut out = Vec::new();
    for piece in body.chunks(50_000) {
        rechunker.take(piece).unwrap();
        if verifier.update(piece).is_err() {
            break;
        }
        out.extend(rechunker.release(verifier.proved()));
    }
    let (decoded, ..) = decoded(&new, &out);
    let left = 3_000_000 - decoded.len();
    let most = RECHUNK_HELD_MAX + RECHUNK_BYTES + 50_000;
    assert!((RECHUNK_HELD_MAX - 50_000..most).contains(&left), "{left}");
}

#[test]
fn a_body_whose_length_nobody_says_has_no_plan() {
    let bare = head("PUT", "/b/k", &common::fields(&[("host", "h")]));
    let plan = ChunkPlan::of(&bare, &Payload::StreamingSigned);
    assert_eq!(plan, Err(VerifyError::DecodedLengthMissing));
    assert_eq!(ChunkPlan::of(&bare, &Payload::Unsigned), Ok(None));
}

#[test]
fn a_trailer_of_unknown_length_leaves_the_length_open_and_another_than_promised_is_refused() {
    let fields = |trailer: &str| {
        common::fields(&[("x-amz-decoded-content-length", "5"), ("x-amz-trailer", trailer)])
    };
    let plan = |trailer: &str| {
        let head = head("PUT", "/b/k", &fields(trailer));
        ChunkPlan::of(&head, &Payload::StreamingSignedTrailer).unwrap().unwrap()
    };
    assert_eq!(plan("x-amz-checksum-new").wire_length(), None);
    assert!(plan("x-amz-checksum-sha256, x-amz-checksum-crc32").wire_length().is_some());

    let request = Request {
        method: "PUT".into(),
        target: "/b/k".into(),
        headers: vec![("Host".into(), "localhost:4747".into())],
        body: Vec::new(),
        service: "s3",
    };
    let (old, body) = streamed(&request, &[5], true);
    let (_, resigned) = anew(&old, b"");
    let mut rechunker = plan("x-amz-checksum-sha256").start(resigned.encoder.unwrap());
    rechunker.take(&body).unwrap();
    let refused = rechunker.finish().unwrap_err();
    assert!(matches!(refused, VerifyError::ChunkFraming { decoded: 5, .. }), "{refused}");
}

#[test]
fn forms_that_no_shared_secret_signs_are_refused() {
    let bare = head("PUT", "/b/k", &common::fields(&[("host", "h")]));
    for (payload, want) in [
        (Payload::StreamingV4a, VerifyError::PayloadForm),
        (Payload::StreamingV4aTrailer, VerifyError::PayloadForm),
        (Payload::StreamingEvents, VerifyError::PayloadForm),
        (Payload::EmptyImplied, VerifyError::BodyHashNeeded),
    ] {
        let request = Resign {
            head: &bare,
            signed_headers: &[],
            payload: &payload,
            body_hash: None,
            region: "r",
            service: "s3",
            now: NOW,
        };
        let refused = resign(&request, &signer(), &SigningKeyCache::new(2)).unwrap_err();
        assert_eq!(refused, want);
    }
}

#[test]
fn a_signer_shows_no_secret() {
    let shown = format!("{:?}", signer());
    assert!(!shown.contains(NEW_SECRET) && !shown.contains("token\""), "{shown}");
}

fn plain(sizes: &[usize]) -> Vec<u8> {
    let fill = |(place, size): (usize, &usize)| vec![u8::try_from(place).unwrap(); *size];
    sizes.iter().enumerate().flat_map(fill).collect()
}

/// A request whose body travels in signed chunks of the given sizes, and that body.
fn streamed(request: &Request, sizes: &[usize], trailer: bool) -> (RequestHead, Vec<u8>) {
    let name = trailer.then_some("x-amz-checksum-crc32");
    let length = sizes.iter().sum::<usize>() as u64;
    let (headers, mut encoder) = sign_streaming(request.to_sign(), length, name, true);
    let mut body = Vec::new();
    for (place, size) in sizes.iter().enumerate() {
        body.extend(encoder.chunk(&vec![u8::try_from(place).unwrap(); *size]));
    }
    let trailers: &[(&str, &str)] =
        if trailer { &[("x-amz-checksum-crc32", "AAAAAA==")] } else { &[] };
    body.extend(encoder.finish(trailers));
    (request.with(headers), body)
}

/// The payload of a body under the new signature, as far as it came: decoded by
/// hand, proved by the verifier. Also its largest chunk and its last lines.
fn decoded(head: &RequestHead, body: &[u8]) -> (Vec<u8>, usize, String) {
    let mut verifier = chunks_of(head, NEW_SECRET);
    verifier.update(body).unwrap();
    let (mut plain, mut largest, mut rest) = (Vec::new(), 0, body);
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(line.split(';').next().unwrap(), 16).unwrap();
        rest = &rest[end + 2..];
        if size == 0 {
            verifier.finish().unwrap();
            break;
        }
        plain.extend_from_slice(&rest[..size]);
        largest = largest.max(size);
        rest = &rest[size + 2..];
    }
    (plain, largest, String::from_utf8_lossy(rest).into_owned())
}
