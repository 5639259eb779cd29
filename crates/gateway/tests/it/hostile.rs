//! Bytes that are not an honest request.

use crate::support::{Setup, Upstream};
use std::time::Duration;

#[tokio::test]
async fn ambiguous_and_malformed_heads_are_refused_and_never_forwarded() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let smuggled = "\r\nDELETE /b/smuggled HTTP/1.1\r\nHost: h\r\n\r\n";
    let many: String =
        (0..500).flat_map(|n| ["X-".to_owned(), n.to_string(), ": 1\r\n".to_owned()]).collect();
    let long = "a".repeat(100_000);
    let heads = [
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n{smuggled}"
        ),
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 50\r\n{smuggled}"
        ),
        format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n{smuggled}"),
        format!("POST / HTTP/1.1\nHost: h\n{smuggled}"),
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n folded\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/3.0\r\nHost: h\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{0}\u{0}".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"),
        format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"),
    ];
    for head in heads {
        let mut peer = bed.connect().await;
        peer.write(head.as_bytes()).await;
        let answer = peer.answer(false).await;
        let shown = &head[..head.len().min(80)];
        assert_eq!(answer.status, 400, "{shown:?}");
        assert!(answer.text().contains("<Error><Code>"), "{shown:?}");
        assert!(peer.is_closed().await, "{shown:?}");
    }
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(bed.records().len(), 0);
}

#[tokio::test]
async fn chunked_framing_that_is_broken_stops_the_call() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let bodies =
        ["zz\r\n", "3\r\nabcX", "-3\r\nabc\r\n", "3\nabc\r\n0\r\n\r\n", "0\r\n bad\r\n\r\n"];
    for (n, body) in bodies.iter().enumerate() {
        let mut peer = bed.connect().await;
        let head = "PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        peer.write(format!("{head}{body}").as_bytes()).await;
        let answer = peer.answer(false).await;
        assert_eq!(answer.status, 400, "{body:?}");
        assert!(answer.text().contains("MalformedRequestBody"), "{body:?}");
        let records = bed.wait_for_records(n + 1).await;
        assert_eq!(records[n]["errorCode"], "MalformedRequestBody");
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(upstream.requests().iter().all(|request| !request.whole));
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off_in_time() {
    let setup =
        Setup::nobody().edit(|config| config.limits.head_timeout = Duration::from_millis(200));
    let bed = setup.start().await;
    let mut peer = bed.connect().await;
    peer.write(b"GET / HTTP/1.1\r\n").await;
    for _ in 0..10 {
        peer.write(b"X").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(peer.answer(false).await.status, 408);
}

#[tokio::test]
async fn a_tunnel_and_an_upgrade_to_http_2_are_refused() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let upgrade = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    assert_eq!(bed.call(upgrade).await.status, 501);
    assert_eq!(bed.call("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n").await.status, 501);
    assert_eq!(upstream.requests().len(), 0);
    assert_eq!(bed.wait_for_records(2).await[0]["errorCode"], "NotImplemented");
}

#[tokio::test]
async fn callers_nobody_vouches_for_have_a_budget() {
    let upstream = Upstream::agreeable().await;
    let setup = Setup::with_default(&upstream).edit(|config| {
        config.limits.unverified_rate = 1;
        config.limits.unverified_burst = 3;
    });
    let bed = setup.start().await;
    let get = "GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(bed.call(get).await.status);
    }
    assert_eq!(statuses[..3], [200, 200, 200]);
    assert!(statuses[3..].contains(&503), "{statuses:?}");
    let alice = crate::support::Ask::new("GET", "s3", "/b/k").signed(bed.now());
    assert_eq!(bed.call(&alice).await.status, 200);
}

/// A client that always sends a little is no reason to wait for ever.
#[tokio::test]
async fn a_body_that_is_held_must_come_within_a_time_and_find_room() {
    let upstream = Upstream::agreeable().await;
    let setup = Setup::with_default(&upstream).edit(|config| {
        config.limits.stall_timeout = Duration::from_millis(400);
        config.limits.buffered_bytes_max = 1 << 20;
    });
    let bed = setup.start().await;
    let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\
                Content-Type: application/x-www-form-urlencoded\r\n\r\n";
    let (mut slow, mut late) = (bed.connect().await, bed.connect().await);
    slow.write(head.as_bytes()).await;
    for n in 0..20 {
        slow.write(b"1\r\na\r\n").await;
        if n == 2 {
            late.write(head.as_bytes()).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let answer = slow.answer(false).await;
    assert_eq!(answer.status, 408, "{}", answer.text());
    let answer = late.answer(false).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.text().contains("SlowDown"), "{}", answer.text());
    assert_eq!(upstream.requests().len(), 0);
}
