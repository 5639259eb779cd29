//! Bodies of any size pass in constant memory, both ways.

use crate::support::{Ask, Setup, Upstream};
use aws_lc_rs::digest::{SHA256, digest};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const MEGABYTE: usize = 1 << 20;

/// A server that streams `size` bytes and never has more than a piece in hand.
async fn fountain(size: usize) -> Upstream {
    Upstream::scripted(move |_, mut peer| async move {
        while peer.request().await.is_some() {
            peer.write(format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").as_bytes())
                .await;
            let piece = vec![7; 65_536];
            for _ in 0..size / piece.len() {
                peer.write(&piece).await;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_downloads_at_once_are_whole() {
    let upstream = fountain(4 * MEGABYTE).await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut downloads = tokio::task::JoinSet::new();
    for n in 0..64 {
        let mut peer = bed.connect().await;
        downloads.spawn(async move {
            peer.write(format!("GET /b/{n} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await;
            let mut left = 4 * MEGABYTE;
            let mut piece = vec![0; 65_536];
            let head = peer.stream.read(&mut piece).await.unwrap();
            let end = memchr::memmem::find(&piece[..head], b"\r\n\r\n").unwrap() + 4;
            left -= head - end;
            while 0 < left {
                let count = peer.stream.read(&mut piece).await.unwrap();
                assert_ne!(count, 0, "{left} bytes missing");
                left -= count;
            }
        });
    }
    while let Some(done) = downloads.join_next().await {
        done.unwrap();
    }
    let records = bed.wait_for_records(64).await;
    for record in records {
        let out = record["additionalEventData"]["bytesTransferredOut"].as_f64().unwrap();
        assert!((out - 4_194_304.0).abs() < 0.5, "{out}");
    }
}

/// A reader that stops stops the upstream: at most socket buffers and one
/// piece are under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_holds_its_upstream_back() {
    let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&sent);
    let upstream = Upstream::scripted(move |_, mut peer| {
        let counted = std::sync::Arc::clone(&counted);
        async move {
            peer.request().await.unwrap();
            peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n").await;
            let piece = vec![7; 65_536];
            while peer.stream.write_all(&piece).await.is_ok() {
                counted.fetch_add(piece.len(), std::sync::atomic::Ordering::SeqCst);
            }
        }
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    peer.write(b"GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(400)).await;
        let after = sent.load(std::sync::atomic::Ordering::SeqCst);
        assert!(after < 64 * MEGABYTE, "{after} bytes are somewhere in between");
        if after == before && after != 0 {
            break;
        }
        before = after;
    }
    drop(peer);
    assert_eq!(bed.only_record().await["eventName"], "GetObject");
}

#[tokio::test]
async fn a_large_upload_is_streamed_and_its_hash_is_proved() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let body: Vec<u8> = (0..3 * MEGABYTE).map(|n| n.to_le_bytes()[1]).collect();
    let ask = Ask::new("PUT", "s3", "/b/k").body(&body);
    let request = ask.signed(bed.now());
    assert_eq!(bed.call(&request).await.status, 200);
    let seen = upstream.only();
    assert_eq!(digest(&SHA256, &seen.raw).as_ref(), digest(&SHA256, &request).as_ref());
    let record = bed.only_record().await;
    assert_eq!(record["additionalEventData"]["trailboxIdentity"], "verified");
}

/// The upstream must never have the whole of a body that is not the signed one.
#[tokio::test]
async fn a_body_that_is_not_the_signed_one_never_completes() {
    for size in [10, 3 * MEGABYTE] {
        let upstream = Upstream::agreeable().await;
        let bed = Setup::with_default(&upstream).start().await;
        let ask = Ask::new("PUT", "s3", "/b/k").body(vec![1; size]);
        let mut request = ask.signed(bed.now());
        *request.last_mut().unwrap() = 2;
        let answer = bed.call(&request).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("XAmzContentSHA256Mismatch"), "{}", answer.text());
        let record = bed.only_record().await;
        assert_eq!(record["errorCode"], "XAmzContentSHA256Mismatch");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(upstream.requests().iter().all(|request| !request.whole), "{size}");
    }
}

#[tokio::test]
async fn a_forged_chunk_ends_the_upload() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let ask = Ask::new("PUT", "s3", "/b/k");
    let (added, mut encoder) =
        trailbox_sigv4::sign_streaming(ask.request(bed.now()), 300_000, None, true);
    let mut framed = Vec::new();
    for _ in 0..3 {
        framed.extend(encoder.chunk(&vec![3; 100_000]));
    }
    framed[150_000] ^= 1;
    framed.extend(encoder.finish(&[]));
    let answer = bed.call(ask.written(&added, Some(&framed))).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.text().contains("SignatureDoesNotMatch"), "{}", answer.text());
    assert_eq!(bed.only_record().await["errorCode"], "SignatureDoesNotMatch");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(upstream.requests().iter().all(|request| !request.whole));
}

/// Bodies that must be whole first share a bounded room; nobody is refused.
#[tokio::test]
async fn large_forms_wait_for_room_and_all_get_through() {
    let upstream = Upstream::agreeable().await;
    let setup =
        Setup::with_default(&upstream).edit(|config| config.limits.buffered_bytes_max = 300 * 1024);
    let bed = setup.start().await;
    let form = format!("Action=ListUsers&Version=2010-05-08&X={}", "x".repeat(200_000));
    let request = Ask::query("iam", &form).signed(bed.now());
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut peer = bed.connect().await;
        let request = request.clone();
        calls.spawn(async move {
            for piece in request.chunks(50_000) {
                peer.write(piece).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            peer.answer(false).await.status
        });
    }
    while let Some(status) = calls.join_next().await {
        assert_eq!(status.unwrap(), 200);
    }
    assert!(upstream.requests().iter().all(|seen| seen.raw == request));
}

/// A body larger than what is kept streams on; its signature covers it all.
#[tokio::test]
async fn a_signature_over_a_large_body_is_proved_at_its_end() {
    for tampered in [false, true] {
        let upstream = Upstream::answering(|_| crate::support::ok("{}")).await;
        let bed = Setup::with_default(&upstream).start().await;
        let code = "A".repeat(2 * MEGABYTE);
        let body = format!(
            r#"{{"FunctionName":"f","Role":"arn:aws:iam::1:role/r","Code":{{"ZipFile":"{code}"}}}}"#
        );
        let ask = Ask::new("POST", "lambda", "/2015-03-31/functions").body(&body);
        let target = trailbox_sigv4::presign(ask.request(bed.now()), 600);
        let mut request = Ask { target, ..ask }.written(&[], Some(body.as_bytes()));
        if tampered {
            let at = request.len() - 1000;
            request[at] = b'B';
        }
        let answer = bed.call(&request).await;
        let record = bed.only_record().await;
        assert_eq!(record["eventName"], "CreateFunction20150331");
        if tampered {
            assert_eq!(answer.status, 403, "{}", answer.text());
            assert_eq!(record["errorCode"], "InvalidSignatureException");
            assert_eq!(record["recipientAccountId"], "000000000000");
        } else {
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(record["userIdentity"]["userName"], "alice");
        }
    }
}
