//! Peers that vanish, stall or talk nonsense.

use crate::support::{Ask, Gate, Http2, Setup, Upstream, answer, ok};
use serde_json::Value;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

const DELETE: &str = "DELETE /b/k HTTP/1.1\r\nHost: h\r\n\r\n";
const GET: &str = "GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n";

/// A port nobody listens on.
fn dead_port() -> String {
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", taken.local_addr().unwrap());
    // Bound and never listening: nobody else gets the port while the test runs.
    std::mem::forget(taken);
    url
}

#[tokio::test]
async fn an_upstream_that_is_down_is_told_in_the_callers_own_shape_and_recorded() {
    let config = format!("default_upstream = '{}'", dead_port());
    let mut setup = Setup::nobody();
    setup.config = toml::from_str(&config).unwrap();
    let bed = setup.start().await;
    let now = bed.now();
    let json = Ask::json("dynamodb", "DynamoDB_20120810.ListTables", "{}").signed(now);
    let query = Ask::query("iam", "Action=ListUsers&Version=2010-05-08").signed(now);
    let ec2 = Ask::query("ec2", "Action=DescribeVpcs&Version=2016-11-15").signed(now);
    let rest = Ask::new("GET", "lambda", "/2015-03-31/functions").signed(now);
    let cases = [
        (GET.as_bytes(), "<Error><Code>Trailbox.UpstreamUnavailable</Code>"),
        (&json, "\"__type\":\"Trailbox.UpstreamUnavailable\""),
        (&query, "<ErrorResponse><Error><Type>Receiver</Type><Code>Trailbox.UpstreamUnav"),
        (&ec2, "<Response><Errors><Error><Code>Trailbox.UpstreamUnavailable</Code>"),
        (&rest, "{\"message\":\"upstream `default` cannot be reached\"}"),
    ];
    let count = cases.len();
    for (request, want) in cases {
        let answer = bed.call(request).await;
        assert_eq!(answer.status, 502);
        assert!(answer.text().contains(want), "{}", answer.text());
        assert!(answer.whole);
    }
    for record in bed.wait_for_records(count).await {
        let code = record["errorCode"].as_str().unwrap();
        assert!(code.ends_with("Trailbox.UpstreamUnavailable"), "{record:#}");
    }
}

#[tokio::test]
async fn a_change_whose_answer_was_lost_is_of_unknown_outcome() {
    for (request, code) in
        [(DELETE, "Trailbox.OutcomeUnknown"), (GET, "Trailbox.UpstreamUnavailable")]
    {
        let upstream = Upstream::scripted(|_, mut peer| async move {
            peer.request().await.unwrap();
        })
        .await;
        let bed = Setup::with_default(&upstream).start().await;
        let answer = bed.call(request).await;
        assert_eq!(answer.status, 502);
        assert!(answer.text().contains(code), "{}", answer.text());
        assert_eq!(bed.only_record().await["errorCode"], code);
        assert_eq!(upstream.connections.load(Ordering::SeqCst), 1, "repeated");
    }
}

#[tokio::test]
async fn an_upstream_that_takes_too_long_is_given_up() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        peer.request().await.unwrap();
        tokio::time::sleep(Duration::from_secs(30)).await;
    })
    .await;
    let setup = Setup::with_default(&upstream)
        .edit(|config| config.limits.response_timeout = Duration::from_millis(100));
    let bed = setup.start().await;
    let answer = bed.call(GET).await;
    assert_eq!(answer.status, 504);
    assert_eq!(bed.only_record().await["errorCode"], "Trailbox.UpstreamTimeout");
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let replies = [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense",
    ];
    for reply in replies {
        let upstream = Upstream::scripted(move |_, mut peer| async move {
            peer.request().await.unwrap();
            peer.write(reply.as_bytes()).await;
        })
        .await;
        let bed = Setup::with_default(&upstream).start().await;
        let answer = bed.call(GET).await;
        assert!(!answer.whole, "{reply:?}");
        assert_eq!(bed.only_record().await["eventName"], "GetObject");
    }
}

/// A body that ends with its connection looks whole unless the end is a reset.
#[tokio::test]
async fn a_reset_upstream_resets_its_client() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = Upstream::scripted(move |_, mut peer| {
        let gate = held.clone();
        async move {
            peer.request().await.unwrap();
            peer.write(b"HTTP/1.0 200 OK\r\n\r\nsome of it").await;
            gate.opened().await;
            peer.stream.set_zero_linger().unwrap();
        }
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    peer.write(GET.as_bytes()).await;
    let end = loop {
        match peer.stream.read_buf(&mut peer.buffer).await {
            Ok(0) => break None,
            Ok(_) => gate.open(),
            Err(error) => break Some(error.kind()),
        }
    };
    assert_eq!(end, Some(std::io::ErrorKind::ConnectionReset));
    bed.only_record().await;
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_a_bad_gateway() {
    for reply in ["SSH-2.0-OpenSSH_9\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n"] {
        let upstream = Upstream::scripted(move |_, mut peer| async move {
            peer.request().await.unwrap();
            peer.write(reply.as_bytes()).await;
        })
        .await;
        let bed = Setup::with_default(&upstream).start().await;
        assert_eq!(bed.call(GET).await.status, 502, "{reply:?}");
        assert_eq!(bed.only_record().await["errorCode"], "Trailbox.UpstreamUnavailable");
    }
}

/// A server closes idle connections when it likes; no call may be lost by that.
#[tokio::test]
async fn a_pooled_connection_that_was_closed_is_not_used() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        peer.request().await.unwrap();
        peer.write(&ok("once")).await;
        // Closes without a word.
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    for _ in 0..5 {
        peer.write(GET.as_bytes()).await;
        assert_eq!(peer.answer(false).await.text(), "once");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_connection_that_stays_open_is_used_again() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    for _ in 0..5 {
        assert_eq!(bed.call(GET).await.status, 200);
    }
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
}

/// A request lost on a pooled connection is not sent again: it may have been done.
#[tokio::test]
async fn a_request_is_never_repeated() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        peer.request().await.unwrap();
        peer.write(&ok("")).await;
        // Takes the next one and dies.
        let _ = peer.request().await;
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    assert_eq!(bed.call(DELETE).await.status, 200);
    assert_eq!(bed.call(DELETE).await.status, 502);
    assert_eq!(upstream.connections.load(Ordering::SeqCst), 1);
    let records = bed.wait_for_records(2).await;
    assert_eq!(records[1]["errorCode"], "Trailbox.OutcomeUnknown");
}

#[tokio::test]
async fn a_client_that_vanishes_within_its_request_leaves_a_record() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    peer.write(b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n").await;
    peer.write(&vec![1; 300_000]).await;
    drop(peer);
    let record = bed.only_record().await;
    assert_eq!(record["errorCode"], "Trailbox.ClientDisconnected");
    assert_eq!(record["eventName"], "PutObject");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(upstream.requests().iter().all(|request| !request.whole));
}

#[tokio::test]
async fn a_client_that_vanishes_before_its_answer_leaves_the_true_outcome() {
    let gate = Gate::new();
    let refusal = answer(409, "", "<Error><Code>BucketNotEmpty</Code></Error>");
    let upstream = Upstream::behind(&gate, refusal).await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    peer.write(b"DELETE /b HTTP/1.1\r\nHost: h\r\n\r\n").await;
    upstream.connected(1).await;
    drop(peer);
    tokio::time::sleep(Duration::from_millis(150)).await;
    gate.open();
    let record = bed.only_record().await;
    assert_eq!(record["errorCode"], "BucketNotEmpty");
    assert_eq!(record["eventName"], "DeleteBucket");
}

#[tokio::test]
async fn a_client_that_stalls_within_its_body_is_answered_and_recorded() {
    let upstream = Upstream::agreeable().await;
    let setup = Setup::with_default(&upstream)
        .edit(|config| config.limits.stall_timeout = Duration::from_millis(100));
    let bed = setup.start().await;
    let answer = bed.call("PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabc").await;
    assert_eq!(answer.status, 408);
    assert_eq!(bed.only_record().await["errorCode"], "RequestTimeout");
}

#[tokio::test]
async fn calls_under_way_finish_at_shutdown_and_nothing_new_begins() {
    let gate = Gate::new();
    let upstream = Upstream::behind(&gate, ok("late")).await;
    let mut bed = Setup::with_default(&upstream).start().await;
    let idle = bed.connect().await;
    let mut peer = bed.connect().await;
    peer.write(DELETE.as_bytes()).await;
    upstream.connected(1).await;
    let began = std::time::Instant::now();
    tokio::join!(bed.stop(), async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        gate.open();
    });
    assert!(began.elapsed() < Duration::from_secs(10), "idle connections hold it up");
    assert_eq!(peer.answer(false).await.text(), "late");
    drop(idle);
    bed.gateway.close().await.unwrap();
    assert_eq!(bed.records().len(), 1);
    let seen = bed.of_kind(trailbox_journal::FrameKind::Seen);
    assert_eq!(seen.iter().map(|count| count["seen"].as_u64().unwrap()).sum::<u64>(), 1);
}

#[tokio::test]
async fn reads_that_do_not_finish_before_a_stop_break_off_and_are_recorded() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        let (head, _) = peer.request_head().await.unwrap();
        if head.head.contains("/large") {
            peer.write(&answer(200, "", &"x".repeat(32 << 20))).await;
        }
        if head.head.contains("/half") {
            peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").await;
        }
        std::future::pending::<()>().await;
    })
    .await;
    let setup = Setup::with_default(&upstream)
        .edit(|config| config.limits.shutdown_deadline = Duration::from_millis(200));
    let mut bed = setup.start().await;
    let mut peers = Vec::new();
    // The first is not sent to its end, so nothing of it is forwarded.
    for (name, length) in [("sending", 9), ("none", 0), ("large", 0), ("half", 0)] {
        let mut peer = bed.connect().await;
        let head = format!("GET /b/{name} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        peer.write(head.as_bytes()).await;
        peers.push(peer);
    }
    let mut stream = Http2::connect(bed.address).await;
    let (streamed, _) = stream.begin(&Ask::new("GET", "s3", "/b/stream"), &[], true).await;
    upstream.connected(4).await;
    let began = std::time::Instant::now();
    bed.stop().await;
    assert!(began.elapsed() < Duration::from_secs(4), "they are dropped, not broken off");
    for (peer, status) in peers.iter_mut().zip([503, 502]) {
        let told = peer.answer(false).await;
        assert_eq!((told.status, told.text().contains("Trailbox stops")), (status, true));
    }
    drop(streamed);
    bed.gateway.close().await.unwrap();
    let records = bed.records();
    for name in ["none", "large", "half", "sending", "stream"] {
        let of = |record: &&Value| record["requestParameters"]["key"] == name;
        assert_eq!(records.iter().filter(of).count(), 1, "{name}: {records:?}");
    }
}

/// The client sends the next request while the last answer is on its way.
#[tokio::test]
async fn an_early_answer_to_a_large_upload_reaches_its_client() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        peer.request_head().await.unwrap();
        peer.write(&answer(400, "", "<Error><Code>EntityTooLarge</Code></Error>")).await;
        std::future::pending::<()>().await;
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    peer.write(b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n").await;
    peer.write(&vec![1; 100_000]).await;
    let answer = peer.answer(false).await;
    assert_eq!(answer.status, 400);
    assert_eq!(bed.only_record().await["errorCode"], "EntityTooLarge");
}
