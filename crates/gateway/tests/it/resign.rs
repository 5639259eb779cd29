//! In front of an upstream that knows another key: callers are proved here, what
//! is forwarded is proved there, and nothing of the callers' keys is in it.

use crate::support::{ACCOUNT, Ask, Bed, Http2, KEY, Message, SECRET, Setup, Upstream, answer, ok};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key};
use base64::Engine as _;
use bytes::BytesMut;
use std::time::Duration;
use trailbox_exchange::RequestHead;
use trailbox_gateway::wire::{HeadLimits, parse_request};
use trailbox_sigv4::{Claim, sign_streaming};

const UP_KEY: &str = "AKIAUPSTREAM00000000";
const UP_SECRET: &str = "the-key-of-the-gateway-at-its-upstream";
const UP_TOKEN: &str = "token-of-the-gateway";
const HOST: &str = "s3.upstream.example";

/// Everything goes to `upstream`, signed anew; `more` are lines of the table.
fn resigning(upstream: &Upstream, more: &str) -> Setup {
    let mut setup = Setup::nobody();
    let table = format!(
        "[default_upstream]\nurl = 'http://{}'\n[default_upstream.resign]\n\
         access_key_id = '{UP_KEY}'\nsecret_env = 'UNUSED'\nhost = '{HOST}'\n{more}",
        upstream.address
    );
    setup.config = toml::from_str(&table).unwrap();
    let resign = setup.config.default_upstream.as_mut().unwrap().resign.as_mut().unwrap();
    resign.secret = UP_SECRET.into();
    resign.session_token = Some(UP_TOKEN.into());
    setup
}

fn head_of(message: &Message) -> RequestHead {
    parse_request(&mut BytesMut::from(&message.raw[..]), HeadLimits::default())
        .unwrap()
        .unwrap()
        .head
}

/// Proves a request as the upstream would; its head, and its payload unframed.
fn proved(bed: &Bed, message: &Message) -> (RequestHead, Vec<u8>) {
    let head = head_of(message);
    let claim = trailbox_sigv4::claim(&head);
    let Claim::V4(claim) = claim else { panic!("{claim:?}") };
    assert_eq!(claim.access_key_id, UP_KEY);
    let chunked = claim.payload.is_chunked();
    let hash = (!chunked).then(|| digest(&SHA256, &message.body).as_ref().try_into().unwrap());
    let verified = trailbox_sigv4::verify(&claim, &head, UP_SECRET.as_bytes(), bed.now(), hash)
        .unwrap_or_else(|error| panic!("{error}: {}", message.head));
    if let Some(mut chunks) = verified.chunks() {
        chunks.update(&message.body).and_then(|()| chunks.finish()).unwrap();
    }
    assert_eq!(head.host(), HOST);
    assert_eq!(head.headers.get("x-amz-security-token"), Some(UP_TOKEN));
    let seen = String::from_utf8_lossy(&message.raw);
    for old in [KEY, SECRET, "localhost:4747", "X-Amz-Signature", "AWSAccessKeyId"] {
        assert!(!seen.contains(old), "{old} is left in {seen}");
    }
    (head, if chunked { unframed(&message.body) } else { message.body.clone() })
}

fn unframed(mut body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    loop {
        let end = body.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let line = std::str::from_utf8(&body[..end]).unwrap();
        let size = usize::from_str_radix(line.split(';').next().unwrap(), 16).unwrap();
        if size == 0 {
            return plain;
        }
        plain.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 4 + size..];
    }
}

fn presigned(bed: &Bed, ask: Ask) -> Vec<u8> {
    let target = trailbox_sigv4::presign(ask.request(bed.now()), 600);
    let body = ask.body.clone();
    Ask { target, ..ask }.written(&[], Some(&body))
}

/// A URL of version 2, as stock clients presign by default.
fn presigned_by_v2(bed: &Bed, path: &str) -> Vec<u8> {
    let expires = bed.now().seconds() + 600;
    let text = format!("GET\n\n\n{expires}\n{path}");
    let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
    let tag = aws_lc_rs::hmac::sign(&key, text.as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(tag.as_ref());
    let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let query = format!("AWSAccessKeyId={KEY}&Signature={signature}&Expires={expires}&x-id=1");
    Ask::new("GET", "s3", &format!("{path}?{query}")).written(&[], None)
}

fn streamed(bed: &Bed, ask: &Ask, sizes: &[usize], trailer: bool, signed: bool) -> Vec<u8> {
    let (added, framed) = chunks(bed, ask, sizes, trailer, signed);
    ask.written(&added, Some(&framed))
}

fn chunks(
    bed: &Bed,
    ask: &Ask,
    sizes: &[usize],
    trailer: bool,
    signed: bool,
) -> (Vec<(String, String)>, Vec<u8>) {
    let name = trailer.then_some("x-amz-checksum-crc32");
    let length = sizes.iter().sum::<usize>() as u64;
    let (added, mut encoder) = sign_streaming(ask.request(bed.now()), length, name, signed);
    let mut framed = Vec::new();
    for size in sizes {
        framed.extend(encoder.chunk(&vec![3; *size]));
    }
    let trailers: &[(&str, &str)] =
        if trailer { &[("x-amz-checksum-crc32", "AAAAAA==")] } else { &[] };
    framed.extend(encoder.finish(trailers));
    (added, framed)
}

#[tokio::test]
async fn every_form_of_a_signature_is_proved_here_and_another_is_proved_there() {
    let upstream = Upstream::agreeable().await;
    let bed = resigning(&upstream, "region = 'us-west-2'").start().await;
    let put = || Ask::new("PUT", "s3", "/b/a%20b//c");
    let cases: Vec<(&str, Vec<u8>, Vec<u8>)> = vec![
        ("hash", put().body("abc").signed(bed.now()), b"abc".to_vec()),
        ("no body", Ask::new("GET", "s3", "/b?list-type=2&prefix=a+b").signed(bed.now()), vec![]),
        ("presigned get", presigned(&bed, Ask::new("GET", "s3", "/b/k?x-id=GetObject")), vec![]),
        ("presigned put", presigned(&bed, put().body("abc")), b"abc".to_vec()),
        ("presigned by version 2", presigned_by_v2(&bed, "/b/k"), vec![]),
        ("presigned, not s3", presigned(&bed, Ask::new("GET", "lambda", "/f/x")), vec![]),
        ("chunks", streamed(&bed, &put(), &[70_000, 9_000], false, true), vec![3; 79_000]),
        ("trailer", streamed(&bed, &put(), &[5], true, true), vec![3; 5]),
        ("plain trailer", streamed(&bed, &put(), &[5, 6], true, false), vec![3; 11]),
        ("large chunk", streamed(&bed, &put(), &[900_000], true, true), vec![3; 900_000]),
    ];
    let count = cases.len();
    for (place, (name, request, want)) in cases.into_iter().enumerate() {
        let answer = bed.call(&request).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let seen = upstream.requests().pop().unwrap();
        assert_eq!(upstream.requests().len(), place + 1);
        let (head, body) = proved(&bed, &seen);
        assert_eq!(body, want, "{name}");
        assert!(head.headers.get("authorization").unwrap().contains("/us-west-2/"), "{name}");
        let old = String::from_utf8_lossy(&request).into_owned();
        let path = old.split(' ').nth(1).unwrap().split('?').next().unwrap().to_owned();
        assert_eq!(head.path(), path, "{name}");
    }
    for record in bed.wait_for_records(count).await {
        assert_eq!(record["userIdentity"]["userName"], "alice");
        assert_eq!(record["userIdentity"]["accessKeyId"], KEY);
        assert_eq!(record["awsRegion"], "us-east-1");
        assert_eq!(record["additionalEventData"]["trailboxIdentity"], "verified");
        assert!(!record.to_string().contains(UP_KEY), "{record}");
    }
}

#[tokio::test]
async fn a_head_keeps_its_fields_their_order_and_their_bytes() {
    let upstream = Upstream::agreeable().await;
    let bed = resigning(&upstream, "").start().await;
    let target = trailbox_sigv4::presign(
        Ask::new("GET", "s3", "/b/k?b=%2f&x-amz-acl=private&a=1+2").request(bed.now()),
        600,
    );
    let request = format!(
        "GET {target} HTTP/1.1\r\nx-Odd:1\r\nhOsT: localhost:4747\r\nX-odd:  2 \r\n\
         User-Agent: a  b\r\nAccept-Encoding: gzip\r\n\r\n"
    );
    assert_eq!(bed.call(&request).await.status, 200);
    let seen = upstream.only();
    let kept = "GET /b/k?b=%2f&x-amz-acl=private&a=1+2 HTTP/1.1\r\nx-Odd:1\r\n\
                hOsT: s3.upstream.example\r\nX-odd:  2 \r\nUser-Agent: a  b\r\n\
                Accept-Encoding: gzip\r\nx-amz-acl: private\r\nx-amz-date: ";
    assert!(seen.head.starts_with(kept), "{}", seen.head);
    proved(&bed, &seen);
    let record = bed.only_record().await;
    assert_eq!(record["requestParameters"]["Host"], "localhost:4747");
}

/// Without `x-amz-content-sha256` the body itself is what was signed.
#[tokio::test]
async fn a_body_whose_hash_nobody_told_is_read_first() {
    let upstream = Upstream::answering(|_| ok("{}")).await;
    let setup = resigning(&upstream, "").edit(|config| config.limits.buffered_bytes_max = 2 << 20);
    let bed = setup.start().await;
    for (size, status) in [(1_000, 200), (1 << 20, 200), (3 << 20, 413)] {
        let code = "A".repeat(size);
        let body = format!(r#"{{"FunctionName":"f","Role":"r","Code":{{"ZipFile":"{code}"}}}}"#);
        let ask = Ask::new("POST", "lambda", "/2015-03-31/functions").body(&body);
        let answer = bed.call(presigned(&bed, ask)).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 200 {
            let (_, came) = proved(&bed, &upstream.requests().pop().unwrap());
            assert_eq!(came, body.as_bytes());
        } else {
            assert!(answer.text().contains("x-amz-content-sha256"), "{}", answer.text());
        }
    }
    assert_eq!(upstream.requests().len(), 2);
    assert_eq!(bed.wait_for_records(3).await[2]["errorCode"], "RequestEntityTooLarge");
}

#[tokio::test]
async fn a_bucket_in_the_host_stands_in_the_path_of_the_new_one() {
    let upstream = Upstream::agreeable().await;
    let setup = resigning(&upstream, "").edit(|config| config.s3_domains = vec!["gw.test".into()]);
    let bed = setup.start().await;
    for (host, path) in [("logs.gw.test:4747", "/logs/k"), ("gw.test", "/k")] {
        let mut ask = Ask::new("GET", "s3", "/k");
        ask.headers[0].1 = host.to_owned();
        assert_eq!(bed.call(ask.signed(bed.now())).await.status, 200);
        let (head, _) = proved(&bed, &upstream.requests().pop().unwrap());
        assert_eq!(head.target, path, "{host}");
    }
}

#[tokio::test]
async fn whom_we_cannot_prove_is_refused_and_recorded() {
    let upstream = Upstream::agreeable().await;
    let bed = resigning(&upstream, "").start().await;
    let now = bed.now();
    let get = || Ask::new("GET", "s3", "/b/k");
    let v4a = format!(
        "GET /b/k HTTP/1.1\r\nHost: h\r\nX-Amz-Date: {}\r\nX-Amz-Region-Set: *\r\nAuthorization: \
         AWS4-ECDSA-P256-SHA256 Credential={KEY}/20261122/s3/aws4_request, SignedHeaders=host, \
         Signature=00\r\n\r\n",
        now.to_amz_date()
    );
    let form = Ask::new("POST", "s3", "/b")
        .header("Content-Type", "multipart/form-data; boundary=x")
        .body("--x--\r\n");
    let v2 = format!(
        "GET /?Action=ListUsers&Version=2010-05-08&AWSAccessKeyId={KEY}&SignatureVersion=2\
         &SignatureMethod=HmacSHA256&Signature=x HTTP/1.1\r\nHost: iam.local\r\n\r\n"
    );
    let cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (get().by("AKIASTRANGER", "x", None).signed(now), 403, "<Code>InvalidAccessKeyId</Code>"),
        (get().by(KEY, "x", None).signed(now), 403, "<Code>SignatureDoesNotMatch</Code>"),
        (get().written(&[], None), 403, "<Code>AccessDenied</Code>"),
        (v4a.into_bytes(), 400, "not supported"),
        (form.written(&[], Some(&form.body)), 501, "presigned PUT"),
        (v2.into_bytes(), 400, "<Code>IncompleteSignature</Code>"),
        (
            Ask::json("dynamodb", "DynamoDB_20120810.ListTables", "{}")
                .by("AKIAX", "x", None)
                .signed(now),
            400,
            "UnrecognizedClientException",
        ),
    ];
    let count = cases.len();
    for (request, status, want) in cases {
        let answer = bed.call(&request).await;
        assert_eq!(answer.status, status, "{want}: {}", answer.text());
        assert!(answer.text().contains(want), "{want}: {}", answer.text());
    }
    for record in bed.wait_for_records(count).await {
        assert!(record["errorCode"].is_string(), "{record}");
        assert_ne!(record["additionalEventData"]["trailboxIdentity"], "verified");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn calls_without_a_signature_pass_unsigned_where_config_says_so() {
    for (more, method, status) in
        [("anonymous = 'pass'", "GET", 200), ("", "OPTIONS", 200), ("", "GET", 403)]
    {
        let upstream = Upstream::agreeable().await;
        let bed = resigning(&upstream, more).start().await;
        let answer = bed.call(Ask::new(method, "s3", "/b/k").written(&[], None)).await;
        assert_eq!(answer.status, status, "{more} {method}");
        let want = format!("{method} /b/k HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        let seen: Vec<String> = upstream.requests().into_iter().map(|seen| seen.head).collect();
        assert_eq!(seen, if status == 200 { vec![want] } else { vec![] }, "{more} {method}");
    }
}

/// In test mode every key is somebody's; what the upstream says proves nobody.
#[tokio::test]
async fn in_test_mode_an_unknown_key_is_signed_anew_and_stays_a_claim() {
    let upstream = Upstream::agreeable().await;
    let bed = resigning(&upstream, "").test_mode().start().await;
    let ask = |method, service, target| {
        Ask::new(method, service, target).by("AKIASTRANGER", "whatever", None)
    };
    let put = ask("PUT", "s3", "/b/k");
    let cases = [
        (put.clone().body("abc").signed(bed.now()), b"abc".to_vec()),
        (streamed(&bed, &put, &[70_000], true, true), vec![3; 70_000]),
        (presigned(&bed, ask("POST", "lambda", "/x").body("abc")), b"abc".to_vec()),
    ];
    let count = cases.len();
    for (request, want) in cases {
        assert_eq!(bed.call(&request).await.status, 200);
        let (_, body) = proved(&bed, &upstream.requests().pop().unwrap());
        assert_eq!(body, want);
    }
    for record in bed.wait_for_records(count).await {
        assert_eq!(record["userIdentity"]["accessKeyId"], "AKIASTRANGER");
        assert_eq!(record["additionalEventData"]["trailboxIdentity"], "claimed");
        assert_eq!(record["recipientAccountId"], ACCOUNT);
    }
}

/// The good chunk may pass; of the forged one nothing does.
#[tokio::test]
async fn a_forged_chunk_stops_the_call_before_it_is_forwarded() {
    let upstream = Upstream::agreeable().await;
    let bed = resigning(&upstream, "").start().await;
    let ask = Ask::new("PUT", "s3", "/b/k");
    let (added, mut framed) = chunks(&bed, &ask, &[100_000, 100_000, 100_000], false, true);
    framed[150_000] = b'!';
    let answer = bed.call(ask.written(&added, Some(&framed))).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.text().contains("SignatureDoesNotMatch"), "{}", answer.text());
    let record = bed.only_record().await;
    assert_eq!(record["errorCode"], "SignatureDoesNotMatch");
    tokio::time::sleep(Duration::from_millis(50)).await;
    for seen in upstream.requests() {
        assert!(!seen.whole);
        assert!(seen.body.len() < 101_000 && !seen.body.contains(&b'!'), "{}", seen.body.len());
    }
}

/// What is said of the new body's length is true, whatever carried the old one.
#[tokio::test]
async fn the_carriage_of_a_body_is_kept_and_its_length_is_true() {
    let upstream = Upstream::agreeable().await;
    let bed = resigning(&upstream, "").start().await;
    let ask = Ask::new("PUT", "s3", "/b/k");
    let (added, framed) = chunks(&bed, &ask, &[8_000, 90_000, 10], true, true);
    let with_length = ask.written(&added, Some(&framed));
    let mut in_chunks = {
        let mut added = added.clone();
        added.push(("Transfer-Encoding".to_owned(), "chunked".to_owned()));
        ask.written(&added, None)
    };
    for piece in framed.chunks(33_333) {
        in_chunks.extend(format!("{:x};ext=1\r\n", piece.len()).into_bytes());
        in_chunks.extend_from_slice(piece);
        in_chunks.extend_from_slice(b"\r\n");
    }
    in_chunks.extend_from_slice(b"0\r\n\r\n");
    for (request, kept) in
        [(with_length, "Content-Length: "), (in_chunks, "Transfer-Encoding: chunked")]
    {
        // Both at once on one connection: the second begins where the first ends.
        let mut peer = bed.connect().await;
        peer.write(&request).await;
        peer.write(&Ask::new("GET", "s3", "/b/after").signed(bed.now())).await;
        assert_eq!(peer.answer(false).await.status, 200);
        assert_eq!(peer.answer(false).await.status, 200);
        let seen = upstream.requests();
        let [.., upload, after] = &seen[..] else { panic!("{}", seen.len()) };
        assert!(upload.head.contains(kept), "{}", upload.head);
        let (head, body) = proved(&bed, upload);
        assert_eq!(body, vec![3; 98_010]);
        assert_eq!(head.headers.get("x-amz-decoded-content-length"), Some("98010"));
        assert!(upload.body.windows(31).any(|w| w == b"x-amz-checksum-crc32:AAAAAA==\r\n"));
        assert_eq!(head_of(after).target, "/b/after");
    }
}

/// Chunks whose whole length nobody says cannot be given a true length.
#[tokio::test]
async fn signed_chunks_without_a_decoded_length_are_refused() {
    let upstream = Upstream::agreeable().await;
    let bed = resigning(&upstream, "").start().await;
    let ask = Ask::new("PUT", "s3", "/b/k")
        .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let key = trailbox_sigv4::SigningKeyCache::new(2);
    let signer = trailbox_sigv4::Signer {
        access_key_id: KEY.to_owned(),
        secret: SECRET.into(),
        session_token: None,
    };
    let head = RequestHead {
        method: "PUT".to_owned(),
        target: "/b/k".to_owned(),
        headers: [("Host", "localhost:4747")].into_iter().collect(),
    };
    let request = trailbox_sigv4::Resign {
        head: &head,
        signed_headers: &[],
        payload: &trailbox_sigv4::Payload::StreamingSigned,
        body_hash: None,
        region: "us-east-1",
        service: "s3",
        now: bed.now(),
    };
    let signed = trailbox_sigv4::resign(&request, &signer, &key).unwrap();
    let body = signed.encoder.unwrap().finish(&[]);
    let mut added: Vec<(String, String)> =
        signed.fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    added.retain(|(name, _)| name != "x-amz-content-sha256");
    let answer = bed.call(ask.written(&added, Some(&body))).await;
    assert_eq!(answer.status, 411, "{}", answer.text());
    assert_eq!(bed.only_record().await["errorCode"], "MissingContentLength");
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_over_http_2_are_signed_anew_like_any_other() {
    let upstream = Upstream::agreeable().await;
    let bed = resigning(&upstream, "").start().await;
    let mut client = Http2::connect(bed.address).await;
    for ask in [
        Ask::new("GET", "s3", "/b//a%2Fb/+?x=%20&x"),
        Ask::new("PUT", "s3", "/b/k").body("hello"),
        Ask::query("iam", "Action=ListUsers&Version=2010-05-08"),
        Ask::json("dynamodb", "DynamoDB_20120810.ListTables", "{}"),
    ] {
        assert_eq!(client.call(&ask, bed.now()).await.status, 200);
        let (head, body) = proved(&bed, &upstream.requests().pop().unwrap());
        assert_eq!((&*head.target, body), (&*ask.target, ask.body));
    }
    for record in bed.wait_for_records(4).await {
        assert_eq!(record["additionalEventData"]["trailboxIdentity"], "verified");
    }
}

/// That our own key is not believed says nothing of the caller.
#[tokio::test]
async fn a_caller_stays_proved_when_the_upstream_denies_our_key() {
    let denied = "<Error><Code>InvalidAccessKeyId</Code><Message>x</Message></Error>";
    let upstream = Upstream::answering(move |_| answer(403, "", denied)).await;
    let bed = resigning(&upstream, "").start().await;
    let answer = bed.call(Ask::new("GET", "s3", "/b/k").signed(bed.now())).await;
    assert_eq!((answer.status, answer.text()), (403, denied.to_owned()));
    let record = bed.only_record().await;
    assert_eq!(record["userIdentity"]["userName"], "alice");
    assert_eq!(record["additionalEventData"]["trailboxIdentity"], "verified");
    assert_eq!(record["errorCode"], "InvalidAccessKeyId");
}

/// Keys that nobody proved got open nothing: an upstream that is made to answer
/// can show any.
#[tokio::test]
async fn a_key_that_rests_on_a_claim_is_not_signed_anew() {
    let loose = Upstream::answering(|_| {
        ok("<GetSessionTokenResponse><GetSessionTokenResult><Credentials>\
            <AccessKeyId>ASIACLAIMED000000001</AccessKeyId>\
            <SecretAccessKey>claimed-secret</SecretAccessKey>\
            <SessionToken>claimed-token</SessionToken>\
            <Expiration>2026-11-22T19:00:00Z</Expiration></Credentials>\
            </GetSessionTokenResult></GetSessionTokenResponse>")
    })
    .await;
    let strict = Upstream::agreeable().await;
    let mut setup = resigning(&strict, "");
    let resigned = setup.config.default_upstream.take().unwrap();
    setup.config = Setup::with_default(&loose).config;
    setup.config.upstreams.insert("s3".to_owned(), resigned);
    let bed = setup.start().await;
    let ask = Ask::query("sts", "Action=GetSessionToken&Version=2011-06-15");
    bed.call(ask.by("AKIASTRANGER", "x", None).signed(bed.now())).await;
    let get = Ask::new("GET", "s3", "/b/k");
    let get = get.by("ASIACLAIMED000000001", "claimed-secret", Some("claimed-token"));
    let refused = bed.call(get.signed(bed.now())).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.text().contains("InvalidAccessKeyId"), "{}", refused.text());
    assert_eq!(strict.requests().len(), 0);
}

#[tokio::test]
async fn a_host_that_names_more_than_a_bucket_is_refused() {
    let upstream = Upstream::agreeable().await;
    let setup = resigning(&upstream, "").edit(|config| config.s3_domains = vec!["gw.test".into()]);
    let bed = setup.start().await;
    for host in [
        "x HTTP/1.0.gw.test",
        "a/b.gw.test",
        "..gw.test",
        "ap.s3-accesspoint.us-east-1.amazonaws.com",
    ] {
        let mut ask = Ask::new("GET", "s3", "/k");
        ask.headers[0].1 = host.to_owned();
        let answer = bed.call(ask.signed(bed.now())).await;
        assert_eq!(answer.status, 501, "{host}: {}", answer.text());
    }
    assert_eq!(upstream.requests().len(), 0);
}

/// A session that was learned from the upstream's answer calls on as its holder.
#[tokio::test]
async fn a_learned_session_is_proved_and_signed_anew() {
    let upstream = Upstream::answering(|request| {
        if request.text().contains("GetSessionToken") {
            ok("<GetSessionTokenResponse><GetSessionTokenResult><Credentials>\
                <AccessKeyId>ASIALEARNED000000001</AccessKeyId>\
                <SecretAccessKey>learned-secret</SecretAccessKey>\
                <SessionToken>learned-token</SessionToken>\
                <Expiration>2026-11-22T19:00:00Z</Expiration></Credentials>\
                </GetSessionTokenResult></GetSessionTokenResponse>")
        } else {
            ok("abc")
        }
    })
    .await;
    let bed = resigning(&upstream, "").start().await;
    let ask = Ask::query("sts", "Action=GetSessionToken&Version=2011-06-15");
    assert_eq!(bed.call(ask.signed(bed.now())).await.status, 200);
    let get = Ask::new("GET", "s3", "/b/k");
    let get = get.by("ASIALEARNED000000001", "learned-secret", Some("learned-token"));
    assert_eq!(bed.call(get.signed(bed.now())).await.status, 200);
    let seen = upstream.requests().pop().unwrap();
    proved(&bed, &seen);
    assert!(!seen.head.contains("learned") && !seen.head.contains("ASIA"), "{}", seen.head);
    let records = bed.wait_for_records(2).await;
    assert_eq!(records[1]["userIdentity"]["accessKeyId"], "ASIALEARNED000000001");
    assert_eq!(records[1]["userIdentity"]["userName"], "alice");
}
