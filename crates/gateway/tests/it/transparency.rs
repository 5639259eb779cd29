//! What the upstream sees is what the client sent; and the other way round.

use crate::support::{Ask, Message, Setup, Upstream, ok};
use std::time::Duration;

/// Sends `request` in pieces through a gateway; what the upstream saw.
async fn seen_by_upstream(request: &[u8], pieces: usize) -> Message {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    for piece in request.chunks(request.len().div_ceil(pieces)) {
        peer.write(piece).await;
        if 1 < pieces {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    assert_eq!(peer.answer(false).await.status, 200);
    upstream.only()
}

#[tokio::test]
async fn odd_requests_reach_the_upstream_byte_for_byte() {
    let cases: [&str; 9] = [
        "GET //a/./../b%2Fc/+%20?x=%2f&x=&y HTTP/1.1\r\nhOsT: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\nx-a: 2\r\nX-A:   padded \t\r\nX-Empty:\r\n\r\n",
        "GET http://localhost/b/k?acl HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: b.s3.us-east-1.amazonaws.com\r\nX-Trailbox-Caller: kept\r\n\r\n",
        "DELETE /b/\u{e9}?versionId=a+b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nOrigin: http://x\r\n\r\n",
        "PUT /b/k HTTP/1.1\r\nHost: localhost\r\ncontent-LENGTH: 5\r\n\r\nhello",
        "PUT /b/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: Chunked\r\n\r\n\
         5;name=\"v;\";x\r\nhello\r\n00A \t;q\r\n0123456789\r\n0\r\nX-T: 1\r\nx-t:  2\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Transfer-Encoding: chunked\r\n\r\n10\r\nAction=ListUsers\r\n0\r\n\r\n",
    ];
    for request in cases {
        for pieces in [1, 7] {
            let seen = seen_by_upstream(request.as_bytes(), pieces).await;
            let seen = String::from_utf8_lossy(&seen.raw).into_owned();
            assert_eq!(seen, request, "in {pieces} pieces");
        }
    }
}

/// Every form of `aws-chunked`, verified here, chunk by chunk, as it passes.
#[tokio::test]
async fn all_four_streaming_forms_pass_unchanged() {
    let body: Vec<u8> = (0_u32..150_000).map(|n| n.to_le_bytes()[0]).collect();
    let forms = [
        (Some(true), None),
        (Some(true), Some("x-amz-checksum-crc32")),
        (Some(false), Some("x-amz-checksum-crc32")),
    ];
    for (signed, trailer) in forms {
        let upstream = Upstream::agreeable().await;
        let bed = Setup::with_default(&upstream).start().await;
        let ask = Ask::new("PUT", "s3", "/b/k%2F//+").header("Expect", "100-continue");
        let (added, mut encoder) = trailbox_sigv4::sign_streaming(
            ask.request(bed.now()),
            body.len() as u64,
            trailer,
            signed == Some(true),
        );
        let mut framed = Vec::new();
        for chunk in body.chunks(65_536) {
            framed.extend(encoder.chunk(chunk));
        }
        let trailers: Vec<_> = trailer.iter().map(|name| (*name, "AAAAAA==")).collect();
        framed.extend(encoder.finish(&trailers));
        let request = ask.written(&added, Some(&framed));
        let answer = bed.call(&request).await;
        assert_eq!(answer.status, 200, "{signed:?} {trailer:?} {}", answer.text());
        assert_eq!(upstream.only().raw, request);
        let record = bed.only_record().await;
        assert_eq!(record["eventName"], "PutObject");
        assert_eq!(record["userIdentity"]["userName"], "alice");
        assert_eq!(record["additionalEventData"]["trailboxIdentity"], "verified");
    }
}

/// The fourth form is signed with ECDSA, which nobody verifies here.
#[tokio::test]
async fn a_sigv4a_stream_passes_as_a_claim() {
    let body = "5;chunk-signature=00\r\nhello\r\n0;chunk-signature=00\r\n\r\n";
    let request = format!(
        "PUT /b/k HTTP/1.1\r\nHost: localhost\r\nX-Amz-Date: 20261122T180000Z\r\n\
         X-Amz-Region-Set: *\r\n\
         X-Amz-Content-SHA256: STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD\r\n\
         Authorization: AWS4-ECDSA-P256-SHA256 Credential=AKIASTRANGER/20261122/s3/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature=00\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    assert_eq!(bed.call(&request).await.status, 200);
    assert_eq!(upstream.only().raw, request.as_bytes());
    let record = bed.only_record().await;
    assert_eq!(record["userIdentity"]["accessKeyId"], "AKIASTRANGER");
    assert_eq!(record["recipientAccountId"], "000000000000");
}

#[tokio::test]
async fn answers_reach_the_client_byte_for_byte() {
    let cases: [(&str, &str); 9] = [
        ("GET", "HTTP/1.1 200 Very OK\r\nX-a: 1\r\nx-A: 2\r\ncontent-length:5\r\n\r\nhello"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\nETag: \"x\"\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\n0\r\nT: x\r\n\r\n",
        ),
        ("GET", "HTTP/1.0 200 OK\r\nServer: Werkzeug\r\n\r\nuntil the connection ends"),
        ("GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("GET", "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"),
        ("GET", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"),
    ];
    for (method, answer) in cases {
        let upstream = Upstream::answering(|_| answer.into()).await;
        let bed = Setup::with_default(&upstream).start().await;
        let request = format!("{method} /b/k HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let got = bed.call(request).await;
        assert_eq!(String::from_utf8_lossy(&got.raw), answer, "{method}");
        assert!(got.whole);
        bed.only_record().await;
    }
}

#[tokio::test]
async fn a_server_that_says_continue_is_heard_before_the_body_is_sent() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        let (mut message, framing) = peer.request_head().await.unwrap();
        peer.write(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\nX-U: 1\r\n\r\n").await;
        peer.body(&mut message, framing).await;
        peer.write(&ok(&message.body.len().to_string())).await;
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    peer.write(
        b"PUT /b/k HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    )
    .await;
    assert_eq!(peer.any_answer(false).await.status, 102);
    let go_on = peer.any_answer(false).await;
    assert_eq!(go_on.head, "HTTP/1.1 100 Continue\r\nX-U: 1\r\n\r\n");
    peer.write(b"hello").await;
    assert_eq!(peer.any_answer(false).await.body, b"5");
}

#[tokio::test]
async fn a_server_that_refuses_before_the_body_is_heard_and_recorded() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        peer.request_head().await.unwrap();
        let body = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>";
        peer.write(&crate::support::answer(403, "Connection: close\r\n", body)).await;
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    peer.write(
        b"PUT /b/k HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    )
    .await;
    let answer = peer.any_answer(false).await;
    assert_eq!(answer.status, 403);
    assert!(peer.is_closed().await);
    let record = bed.only_record().await;
    assert_eq!(record["errorCode"], "AccessDenied");
    assert_eq!(record["eventName"], "PutObject");
}

#[tokio::test]
async fn requests_may_follow_each_other_without_waiting() {
    let upstream = Upstream::answering(|request| {
        ok(request.head.split_whitespace().nth(1).unwrap_or_default())
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    peer.write(
        b"\r\nGET /b/1 HTTP/1.1\r\nHost: h\r\n\r\n\
          PUT /b/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc\
          PUT /b/3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n\
          GET /b/4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /never HTTP/1.1\r\n",
    )
    .await;
    for n in 1..=4 {
        assert_eq!(peer.answer(false).await.text(), format!("/b/{n}"));
    }
    assert!(peer.is_closed().await);
    assert_eq!(upstream.requests().len(), 4);
    let names: Vec<_> =
        bed.wait_for_records(4).await.iter().map(|r| r["eventName"].to_string()).collect();
    assert_eq!(names, ["\"GetObject\"", "\"PutObject\"", "\"PutObject\"", "\"GetObject\""]);
}

#[tokio::test]
async fn a_presigned_url_is_verified_and_passes_unchanged() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let ask = Ask::new("GET", "s3", "/b/k%20%2B?versionId=1");
    let target = trailbox_sigv4::presign(ask.request(bed.now()), 600);
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost:4747\r\n\r\n");
    assert_eq!(bed.call(&request).await.status, 200);
    assert_eq!(upstream.only().raw, request.as_bytes());
    let record = bed.only_record().await;
    assert_eq!(record["userIdentity"]["userName"], "alice");
    assert_eq!(record["additionalEventData"]["AuthenticationMethod"], "QueryString");
}
