//! The store over HTTP, in process, behind its trusted door: what S3 promises.

#![allow(clippy::unwrap_used, reason = "a helper of a test may end the test")]

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use std::sync::Arc;
use trailbox_clock::{ManualClock, Micros, SeededRandom};
use trailbox_store::{Auth, Options, StoreService, service};

struct Bench {
    store: StoreService,
    dir: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

fn open(root: &std::path::Path) -> StoreService {
    let clock = Arc::new(ManualClock::at(Micros::from_seconds(1_700_000_000)));
    let chance = Arc::new(SeededRandom::new(rand_seed(root)));
    service(&Options::at(root), Auth::Trusted, clock, chance).unwrap()
}

/// Another seed for each start, so that no fresh name comes twice.
fn rand_seed(root: &std::path::Path) -> u64 {
    let log = root.join("../starts");
    let starts = std::fs::read_to_string(&log).unwrap_or_default();
    std::fs::write(&log, format!("{starts}x")).unwrap();
    starts.len() as u64 + 1
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        std::fs::create_dir(&root).unwrap();
        Self { store: open(&root), dir }
    }

    fn root(&self) -> std::path::PathBuf {
        self.dir.path().join("store")
    }

    fn restart(self) -> Self {
        let Self { store, dir } = self;
        drop(store);
        let store = open(&dir.path().join("store"));
        Self { store, dir }
    }

    async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", "127.0.0.1:4747")
            // {"access_key_id":"AK"}
            .header("x-trailbox-caller", "eyJhY2Nlc3Nfa2V5X2lkIjoiQUsifQ==")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=A/20231114/us-east-1/s3/aws4_request",
            );
        if !headers.iter().any(|(name, _)| *name == "content-length") {
            request = request.header("content-length", body.len());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Full::new(Bytes::copy_from_slice(body));
        read(self.store.call(request.body(body).unwrap()).await).await
    }

    async fn ok(&self, method: &str, target: &str, body: &[u8]) -> Answer {
        let answer = self.send(method, target, &[], body).await;
        assert!(answer.status.is_success(), "{method} {target}: {} {}", answer.status, answer.body);
        answer
    }

    async fn refused(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        code: &str,
    ) {
        let answer = self.send(method, target, headers, body).await;
        assert!(
            answer.body.contains(&format!("<Code>{code}</Code>")),
            "{method} {target}: {}",
            answer.body
        );
    }
}

async fn read(answer: Response<trailbox_store::Body>) -> Answer {
    let (head, body) = answer.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap();
    Answer {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8_lossy(&bytes).into_owned(),
    }
}

fn between<'a>(text: &'a str, tag: &str) -> Vec<&'a str> {
    let (start, end) = (format!("<{tag}>"), format!("</{tag}>"));
    text.split(&start).skip(1).filter_map(|rest| rest.split(&end).next()).collect()
}

#[tokio::test]
async fn an_object_comes_back_with_all_that_was_put_with_it() {
    let bench = Bench::new();
    bench.ok("PUT", "/bucket", b"").await;
    let put = bench
        .send(
            "PUT",
            "/bucket/a%20key",
            &[
                ("content-type", "text/plain"),
                ("content-encoding", "gzip,aws-chunked"),
                ("cache-control", "no-store"),
                ("x-amz-meta-signature", "abcdef"),
                ("x-amz-tagging", "team=audit"),
                ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
                ("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
            ],
            b"hello",
        )
        .await;
    assert_eq!(put.status, 200, "{}", put.body);
    assert_eq!(put.headers["etag"], "\"5d41402abc4b2a76b9719d911017c592\"");
    let got = bench.restart().ok("GET", "/bucket/a%20key", b"").await;
    assert_eq!(got.body, "hello");
    let want = [
        ("content-type", "text/plain"),
        ("content-encoding", "gzip"),
        ("cache-control", "no-store"),
        ("x-amz-meta-signature", "abcdef"),
        ("x-amz-tagging-count", "1"),
        ("content-length", "5"),
        ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
    ];
    for (name, value) in want {
        assert_eq!(got.headers.get(name).map(|v| v.to_str().unwrap()), Some(value), "{name}");
    }
    assert!(got.headers.contains_key("x-amz-request-id"));
}

#[tokio::test]
async fn any_key_up_to_its_length_limit_is_its_own_object() {
    let bench = Bench::new();
    bench.ok("PUT", "/bucket", b"").await;
    let long = "k".repeat(1024);
    let keys = ["..%2F..%2Fetc", "a//b", "a/", "a", "%C3%A9/%2B", "./x", long.as_str()];
    for (at, key) in keys.iter().enumerate() {
        bench.ok("PUT", &format!("/bucket/{key}"), at.to_string().as_bytes()).await;
    }
    for (at, key) in keys.iter().enumerate() {
        let got = bench.ok("GET", &format!("/bucket/{key}"), b"").await;
        assert_eq!(got.body, at.to_string(), "{key}");
    }
    let listed = bench.ok("GET", "/bucket?encoding-type=url", b"").await.body;
    assert_eq!(
        between(&listed, "Key"),
        ["../../etc", "./x", "a", "a/", "a//b", &long, "%C3%A9/%2B"]
    );
    bench.refused("PUT", &format!("/bucket/{long}k"), &[], b"", "KeyTooLongError").await;
}

#[tokio::test]
async fn ranges_and_conditions_are_honoured() {
    let bench = Bench::new();
    bench.ok("PUT", "/bucket", b"").await;
    let tag = "\"5d41402abc4b2a76b9719d911017c592\"";
    bench.ok("PUT", "/bucket/k", b"hello").await;
    let cases: [(&str, &str, u16, &str); 9] = [
        ("range", "bytes=1-3", 206, "ell"),
        ("range", "bytes=-2", 206, "lo"),
        ("range", "bytes=3-99", 206, "lo"),
        ("if-match", tag, 200, "hello"),
        ("if-none-match", "\"other\"", 200, "hello"),
        ("if-none-match", tag, 304, ""),
        ("if-modified-since", "Tue, 14 Nov 2023 22:13:20 GMT", 304, ""),
        ("if-unmodified-since", "Tue, 14 Nov 2023 22:13:20 GMT", 200, "hello"),
        ("if-modified-since", "Tue, 14 Nov 2023 22:13:19 GMT", 200, "hello"),
    ];
    for (name, value, status, body) in cases {
        let got = bench.send("GET", "/bucket/k", &[(name, value)], b"").await;
        assert_eq!(got.status.as_u16(), status, "{name}: {value}");
        if status != 304 {
            assert_eq!(got.body, body, "{name}: {value}");
        }
    }
    bench.refused("GET", "/bucket/k", &[("range", "bytes=5-")], b"", "InvalidRange").await;
    bench.refused("GET", "/bucket/k", &[("if-match", "\"x\"")], b"", "PreconditionFailed").await;
    let partial = bench.send("GET", "/bucket/k", &[("range", "bytes=1-3")], b"").await;
    assert_eq!(partial.headers["content-range"], "bytes 1-3/5");
}

#[tokio::test]
async fn a_conditional_put_never_replaces_what_it_must_not() {
    let bench = Bench::new();
    bench.ok("PUT", "/bucket", b"").await;
    let absent = [("if-none-match", "*")];
    assert_eq!(bench.send("PUT", "/bucket/k", &absent, b"1").await.status, 200);
    bench.refused("PUT", "/bucket/k", &absent, b"2", "PreconditionFailed").await;
    bench.refused("PUT", "/bucket/k", &[("if-match", "\"x\"")], b"2", "PreconditionFailed").await;
    bench.refused("PUT", "/bucket/new", &[("if-match", "*")], b"2", "NoSuchKey").await;
    assert_eq!(bench.ok("GET", "/bucket/k", b"").await.body, "1");
}

#[tokio::test]
async fn wrong_checksums_and_short_bodies_leave_no_object() {
    let bench = Bench::new();
    bench.ok("PUT", "/bucket", b"").await;
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg==")], "BadDigest"),
        (&[("content-md5", "nonsense")], "InvalidDigest"),
        (&[("x-amz-checksum-crc32", "AAAAAA==")], "BadDigest"),
        (&[("x-amz-checksum-sha1", "AAAAAA==")], "BadDigest"),
        (&[("content-length", "9")], "IncompleteBody"),
    ];
    for (headers, code) in cases {
        bench.refused("PUT", "/bucket/k", headers, b"hello", code).await;
    }
    bench.refused("GET", "/bucket/k", &[], b"", "NoSuchKey").await;
    assert_eq!(std::fs::read_dir(bench.root().join("buckets/bucket/tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_chunked_upload_is_unframed_and_its_trailer_checked() {
    let bench = Bench::new();
    bench.ok("PUT", "/bucket", b"").await;
    let framed =
        |sum: &str| format!("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:{sum}\r\n\r\n").into_bytes();
    let headers = [
        ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        ("x-amz-decoded-content-length", "5"),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
        ("content-encoding", "aws-chunked"),
    ];
    let put = bench.send("PUT", "/bucket/k", &headers, &framed("NhCmhg==")).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let got = bench.ok("GET", "/bucket/k", b"").await;
    assert_eq!((got.body.as_str(), got.headers.get("content-encoding")), ("hello", None));
    bench.refused("PUT", "/bucket/k", &headers, &framed("AAAAAA=="), "BadDigest").await;
    bench.refused("PUT", "/bucket/k", &headers, b"5\r\nhel", "IncompleteBody").await;
}

#[tokio::test]
async fn buckets_follow_the_rules_of_their_region() {
    let bench = Bench::new();
    let west = b"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    bench.ok("PUT", "/east", b"").await;
    bench.ok("PUT", "/east", b"").await;
    bench.ok("PUT", "/west", west).await;
    bench.refused("PUT", "/west", &[], west, "BucketAlreadyOwnedByYou").await;
    assert!(bench.ok("GET", "/west?location", b"").await.body.contains(">eu-west-1<"));
    assert!(!bench.ok("GET", "/east?location", b"").await.body.contains("us-east-1"));
    assert_eq!(bench.ok("HEAD", "/west", b"").await.headers["x-amz-bucket-region"], "eu-west-1");
    bench.ok("PUT", "/east/k", b"1").await;
    bench.refused("DELETE", "/east", &[], b"", "BucketNotEmpty").await;
    bench.ok("DELETE", "/east/k", b"").await;
    bench.ok("DELETE", "/east", b"").await;
    bench.refused("GET", "/east", &[], b"", "NoSuchBucket").await;
    let bench = bench.restart();
    assert_eq!(between(&bench.ok("GET", "/", b"").await.body, "Name"), ["west"]);
    bench.refused("PUT", "/Bad_Name", &[], b"", "InvalidBucketName").await;
}

#[tokio::test]
async fn listings_page_in_both_versions() {
    let bench = Bench::new();
    bench.ok("PUT", "/bucket", b"").await;
    for key in ["a", "b/1", "b/2", "c", "d%20e"] {
        bench.ok("PUT", &format!("/bucket/{key}"), b"x").await;
    }
    let bench = bench.restart();
    let first = bench.ok("GET", "/bucket?max-keys=2&delimiter=/", b"").await.body;
    assert_eq!(between(&first, "Key"), ["a"]);
    assert_eq!(between(&first, "NextMarker"), ["b/"]);
    let second = bench.ok("GET", "/bucket?max-keys=9&delimiter=/&marker=b/", b"").await.body;
    assert_eq!(between(&second, "Key"), ["c", "d e"]);
    assert_eq!(between(&second, "IsTruncated"), ["false"]);
    let v2 = bench.ok("GET", "/bucket?list-type=2&max-keys=3&encoding-type=url", b"").await.body;
    assert_eq!(between(&v2, "KeyCount"), ["3"]);
    let token = between(&v2, "NextContinuationToken")[0];
    let target = format!("/bucket?list-type=2&encoding-type=url&continuation-token={token}");
    assert_eq!(between(&bench.ok("GET", &target, b"").await.body, "Key"), ["c", "d%20e"]);
    let versions = bench.ok("GET", "/bucket?versions", b"").await.body;
    assert_eq!(between(&versions, "VersionId"), ["null"; 5]);
    bench.refused("GET", "/bucket?max-keys=-1", &[], b"", "InvalidArgument").await;
}

fn completion(parts: &[(i32, &str)]) -> Vec<u8> {
    let part = |(n, tag): &(i32, &str)| {
        format!("<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>")
    };
    let list = parts.iter().map(part).collect::<Vec<_>>().concat();
    format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>").into_bytes()
}

#[tokio::test]
async fn parts_become_one_object() {
    let bench = Bench::new();
    bench.ok("PUT", "/bucket", b"").await;
    bench.ok("PUT", "/bucket/source", b"tail!").await;
    let begun = bench.ok("POST", "/bucket/big?uploads", b"").await.body;
    let id = between(&begun, "UploadId")[0].to_owned();
    let at = |number: i32| format!("/bucket/big?partNumber={number}&uploadId={id}");
    let five = vec![b'x'; 5 * 1024 * 1024];
    let one = bench.ok("PUT", &at(1), &five).await.headers["etag"].to_str().unwrap().to_owned();
    let copied = bench
        .send(
            "PUT",
            &at(2),
            &[("x-amz-copy-source", "/bucket/source"), ("x-amz-copy-source-range", "bytes=0-3")],
            b"",
        )
        .await;
    let two = between(&copied.body, "ETag")[0].to_owned();
    let bench = bench.restart();
    assert_eq!(between(&bench.ok("GET", "/bucket?uploads", b"").await.body, "UploadId"), [&id]);
    let target = format!("/bucket/big?uploadId={id}");
    assert_eq!(between(&bench.ok("GET", &target, b"").await.body, "PartNumber"), ["1", "2"]);
    for (parts, code) in [
        (vec![(2, &*two), (1, &*one)], "InvalidPartOrder"),
        (vec![(1, "\"nope\"")], "InvalidPart"),
        (vec![], "MalformedXML"),
    ] {
        bench.refused("POST", &target, &[], &completion(&parts), code).await;
    }
    let done = bench.ok("POST", &target, &completion(&[(1, &one), (2, &two)])).await;
    assert!(between(&done.body, "ETag")[0].ends_with("-2\""), "{}", done.body);
    let got = bench.send("GET", "/bucket/big", &[("range", "bytes=-5")], b"").await;
    assert_eq!(got.body, "xtail");
    let part = bench.ok("GET", "/bucket/big?partNumber=2", b"").await;
    assert_eq!(
        (part.body.as_str(), &part.headers["x-amz-mp-parts-count"]),
        ("tail", &"2".parse().unwrap())
    );
    bench.refused("POST", &target, &[], &completion(&[(1, &one)]), "NoSuchUpload").await;
    let again =
        between(&bench.ok("POST", "/bucket/big?uploads", b"").await.body, "UploadId")[0].to_owned();
    bench.ok("DELETE", &format!("/bucket/big?uploadId={again}"), b"").await;
    bench
        .refused("DELETE", &format!("/bucket/big?uploadId={again}"), &[], b"", "NoSuchUpload")
        .await;
}

#[tokio::test]
async fn small_parts_are_refused_unless_last() {
    let bench = Bench::new();
    bench.ok("PUT", "/bucket", b"").await;
    let id =
        between(&bench.ok("POST", "/bucket/k?uploads", b"").await.body, "UploadId")[0].to_owned();
    let at = |number: i32| format!("/bucket/k?partNumber={number}&uploadId={id}");
    let mut tags = Vec::new();
    for number in [1, 2] {
        tags.push(
            bench.ok("PUT", &at(number), b"x").await.headers["etag"].to_str().unwrap().to_owned(),
        );
    }
    let target = format!("/bucket/k?uploadId={id}");
    bench
        .refused(
            "POST",
            &target,
            &[],
            &completion(&[(1, &tags[0]), (2, &tags[1])]),
            "EntityTooSmall",
        )
        .await;
    bench.ok("POST", &target, &completion(&[(2, &tags[1])])).await;
    bench.refused("PUT", &at(0), &[], b"x", "InvalidArgument").await;
}

#[tokio::test]
async fn a_copy_keeps_or_replaces_metadata_as_told() {
    let bench = Bench::new();
    bench.ok("PUT", "/bucket", b"").await;
    bench
        .send("PUT", "/bucket/a", &[("x-amz-meta-x", "1"), ("x-amz-tagging", "t=1")], b"hello")
        .await;
    bench.send("PUT", "/bucket/b", &[("x-amz-copy-source", "bucket/a")], b"").await;
    let kept = bench.ok("GET", "/bucket/b", b"").await;
    assert_eq!(
        (kept.body.as_str(), &kept.headers["x-amz-meta-x"]),
        ("hello", &"1".parse().unwrap())
    );
    let replace = [
        ("x-amz-copy-source", "bucket/a"),
        ("x-amz-metadata-directive", "REPLACE"),
        ("x-amz-meta-y", "2"),
    ];
    let done = bench.send("PUT", "/bucket/a", &replace, b"").await;
    assert_eq!(done.status, 200, "{}", done.body);
    let replaced = bench.ok("HEAD", "/bucket/a", b"").await;
    assert!(replaced.headers.get("x-amz-meta-x").is_none());
    assert_eq!(replaced.headers["x-amz-meta-y"], "2");
    bench.refused("PUT", "/bucket/a", &replace[..1], b"", "InvalidRequest").await;
    bench
        .refused("PUT", "/bucket/c", &[("x-amz-copy-source", "bucket/none")], b"", "NoSuchKey")
        .await;
}

#[tokio::test]
async fn many_keys_are_deleted_in_one_call() {
    let bench = Bench::new();
    bench.ok("PUT", "/bucket", b"").await;
    for key in ["a", "b", "c"] {
        bench.ok("PUT", &format!("/bucket/{key}"), b"x").await;
    }
    let body = b"<Delete><Object><Key>a</Key></Object><Object><Key>missing</Key></Object>\
        <Object><Key>b</Key><VersionId>v1</VersionId></Object></Delete>";
    let answer = bench.ok("POST", "/bucket?delete", body).await.body;
    assert_eq!(between(&answer, "Key"), ["a", "missing", "b"]);
    assert_eq!(between(&answer, "Code"), ["NoSuchVersion"]);
    let listed = bench.ok("GET", "/bucket", b"").await.body;
    assert_eq!(between(&listed, "Key"), ["b", "c"]);
}

#[tokio::test]
async fn settings_are_kept_and_their_absence_has_a_name() {
    let bench = Bench::new();
    bench.ok("PUT", "/bucket", b"").await;
    bench.ok("PUT", "/bucket/k", b"x").await;
    let absent = [
        ("policy", "NoSuchBucketPolicy"),
        ("tagging", "NoSuchTagSet"),
        ("encryption", "ServerSideEncryptionConfigurationNotFoundError"),
        ("lifecycle", "NoSuchLifecycleConfiguration"),
        ("cors", "NoSuchCORSConfiguration"),
        ("website", "NoSuchWebsiteConfiguration"),
        ("replication", "ReplicationConfigurationNotFoundError"),
        ("object-lock", "ObjectLockConfigurationNotFoundError"),
        ("publicAccessBlock", "NoSuchPublicAccessBlockConfiguration"),
        ("ownershipControls", "OwnershipControlsNotFoundError"),
    ];
    for (name, code) in absent {
        bench.refused("GET", &format!("/bucket?{name}"), &[], b"", code).await;
    }
    let put: [(&str, &[u8], &str); 7] = [
        ("policy", br#"{"Statement":[{"Effect":"Allow","Principal":"*"}]}"#, "Allow"),
        ("tagging", b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>", "<Value>1<"),
        ("encryption", b"<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>", "AES256"),
        ("lifecycle", b"<LifecycleConfiguration><Rule><ID>r</ID><Filter><Prefix>p</Prefix></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>", "<Days>1<"),
        ("cors", b"<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>", "GET"),
        ("publicAccessBlock", b"<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>", "true"),
        ("ownershipControls", b"<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>", "BucketOwnerEnforced"),
    ];
    for (name, body, _) in put {
        bench.ok("PUT", &format!("/bucket?{name}"), body).await;
    }
    bench.send("PUT", "/bucket?acl", &[("x-amz-acl", "public-read")], b"").await;
    bench.ok("PUT", "/bucket/k?tagging", put[1].1).await;
    bench.send("PUT", "/bucket/k?acl", &[("x-amz-acl", "public-read")], b"").await;
    let bench = bench.restart();
    for (name, _, shown) in put {
        let got = bench.ok("GET", &format!("/bucket?{name}"), b"").await.body;
        assert!(got.contains(shown), "{name}: {got}");
    }
    assert!(bench.ok("GET", "/bucket?policyStatus", b"").await.body.contains(">true<"));
    for target in ["/bucket?acl", "/bucket/k?acl"] {
        assert!(bench.ok("GET", target, b"").await.body.contains("global/AllUsers"), "{target}");
    }
    assert!(bench.ok("GET", "/bucket/k?tagging", b"").await.body.contains("<Value>1<"));
    bench.ok("PUT", "/bucket/k", b"y").await;
    assert!(
        !bench.ok("GET", "/bucket/k?tagging", b"").await.body.contains("<Value>"),
        "tags outlived their object"
    );
    for (name, ..) in put {
        assert_eq!(bench.ok("DELETE", &format!("/bucket?{name}"), b"").await.status, 204, "{name}");
    }
    bench.refused("PUT", "/bucket?policy", &[], b"{", "MalformedPolicy").await;
    bench
        .refused(
            "PUT",
            "/bucket?versioning",
            &[],
            b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
            "NotImplemented",
        )
        .await;
}

#[tokio::test]
async fn what_a_crash_left_half_done_is_gone_at_the_next_start() {
    let bench = Bench::new();
    bench.ok("PUT", "/bucket", b"").await;
    bench.ok("PUT", "/bucket/k", b"x").await;
    let root = bench.root();
    std::fs::write(root.join("buckets/bucket/tmp/half"), b"half an obj").unwrap();
    std::fs::create_dir(root.join("tmp/bucket-half")).unwrap();
    let bench = bench.restart();
    assert_eq!(between(&bench.ok("GET", "/bucket", b"").await.body, "Key"), ["k"]);
    assert_eq!(std::fs::read_dir(root.join("buckets/bucket/tmp")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(root.join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn one_directory_serves_one_process() {
    let bench = Bench::new();
    let clock = Arc::new(ManualClock::at(Micros(0)));
    let second =
        service(&Options::at(bench.root()), Auth::Trusted, clock, Arc::new(SeededRandom::new(9)));
    assert!(second.unwrap_err().to_string().contains("in use"));
}

#[tokio::test]
async fn the_trusted_door_needs_a_named_caller_and_a_claimed_key() {
    // {"user_identity":{"type":"AWSAccount"},"access_key_id":null}
    const ANONYMOUS: &str =
        "eyJ1c2VyX2lkZW50aXR5Ijp7InR5cGUiOiJBV1NBY2NvdW50In0sImFjY2Vzc19rZXlfaWQiOm51bGx9";
    let bench = Bench::new();
    for headers in [
        vec![("x-trailbox-caller", "e30=")],
        vec![("x-trailbox-caller", ANONYMOUS), ("authorization", "Basic x")],
        vec![("x-trailbox-caller", ANONYMOUS)],
        vec![("authorization", "AWS4-HMAC-SHA256 x")],
    ] {
        let mut request = Request::builder().uri("/?Expires=1&X-Amz-Date=1");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = bench.store.call(request.body(Full::new(Bytes::new())).unwrap()).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
}
