//! Clients that speak HTTP/2: their calls are recorded like anybody's, and what
//! is held is held.

use crate::support::{Ask, Bed, Gate, GatedDisk, Http2, Reply, Setup, Upstream, answer, ok};
use bytes::Bytes;
use h2::Reason;
use http::Request;
use std::sync::Arc;
use std::time::Duration;
use trailbox_journal::FrameKind;

/// Long enough for everything that is not held to arrive.
const A_WHILE: Duration = Duration::from_millis(300);
const MEGABYTE: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn signed_calls_pass_and_are_recorded_as_over_http_1() {
    let upstream =
        Upstream::answering(|_| answer(200, "ETag: \"1\"\r\nConnection: x-y\r\nX-Y: 1\r\n", "abc"))
            .await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut client = Http2::connect(bed.address).await;

    let get = client.call(&Ask::new("GET", "s3", "/b//a%2Fb/+?x=%20&x"), bed.now()).await;
    assert_eq!((get.status, get.text().as_str(), get.whole), (200, "abc", true));
    assert_eq!(get.headers["etag"], "\"1\"");
    assert!(!get.headers.contains_key("x-y") && !get.headers.contains_key("connection"));
    let put = client.call(&Ask::new("PUT", "s3", "/b/k").body("hello"), bed.now()).await;
    assert_eq!(put.status, 200);
    let form = Ask::query("iam", "Action=ListUsers&Version=2010-05-08");
    assert_eq!(client.call(&form, bed.now()).await.status, 200);

    let seen = upstream.requests();
    assert!(
        seen[0].head.starts_with("GET /b//a%2Fb/+?x=%20&x HTTP/1.1\r\nhost: localhost:4747\r\n")
    );
    assert!(seen[1].head.contains("content-length: 5\r\n"), "{}", seen[1].head);
    assert_eq!(seen[1].text(), "hello");
    let records = bed.wait_for_records(3).await;
    for (record, name) in records.iter().zip(["GetObject", "PutObject", "ListUsers"]) {
        assert_eq!(record["eventName"], name);
        assert_eq!(record["userIdentity"]["userName"], "alice");
        assert_eq!(record["additionalEventData"]["trailboxIdentity"], "verified");
    }
    assert_eq!(records[0]["requestParameters"]["Host"], "localhost:4747");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_both_ways_on_many_streams() {
    let upstream =
        Upstream::answering(|request| answer(200, "", &String::from_utf8_lossy(&request.body)))
            .await;
    let bed = Setup::with_default(&upstream).start().await;
    let client = Http2::connect(bed.address).await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..8_u8 {
        let mut client =
            Http2 { requests: client.requests.clone(), connection: tokio::spawn(async { Ok(()) }) };
        let now = bed.now();
        calls.spawn(async move {
            let body = vec![b'a' + n; 2 * MEGABYTE + usize::from(n)];
            let reply =
                client.call(&Ask::new("PUT", "s3", &format!("/b/{n}")).body(&body), now).await;
            assert!(reply.whole, "{:?}", reply.reset);
            assert!(reply.body == body, "{n}");
        });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    for record in bed.wait_for_records(8).await {
        assert_eq!(record["additionalEventData"]["trailboxIdentity"], "verified");
    }
}

/// Whatever frames the answer, its stream does not end before the record is durable.
#[tokio::test(flavor = "multi_thread")]
async fn no_stream_ends_before_its_record_is_durable() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let cases: [(&str, &str, &str); 6] = [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "ab"),
        ("GET", chunked, "ab"),
        ("GET", "HTTP/1.0 200 OK\r\n\r\nabc", "ab"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", ""),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", ""),
    ];
    for (method, reply, most) in cases {
        let upstream = Upstream::answering(|_| reply.into()).await;
        let disk = GatedDisk::new();
        let bed = Bed::start(Setup::with_default(&upstream), Arc::new(disk.clone())).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
        disk.set_open(false);
        let mut client = Http2::connect(bed.address).await;
        let (answer, _) = client.begin(&Ask::new(method, "s3", "/b/k"), &[], true).await;
        let mut reading = std::pin::pin!(Reply::read(answer));
        assert!(
            tokio::time::timeout(A_WHILE, &mut reading).await.is_err(),
            "{reply:?} ended early"
        );
        assert!(bed.records().is_empty());
        disk.set_open(true);
        let whole = reading.await;
        assert!(whole.whole && whole.text().starts_with(most), "{reply:?}: {whole:?}");
        assert_eq!(bed.records().len(), 1, "the record was not durable when the stream ended");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mutating_call_is_intended_before_its_end_is_forwarded() {
    let upstream = Upstream::agreeable().await;
    let disk = GatedDisk::new();
    let bed = Bed::start(Setup::with_default(&upstream), Arc::new(disk.clone())).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    disk.set_open(false);
    let mut client = Http2::connect(bed.address).await;
    let ask = Ask::new("PUT", "s3", "/b/k").body("hello");
    let now = bed.now();
    let mut calling = std::pin::pin!(client.call(&ask, now));
    assert!(tokio::time::timeout(A_WHILE, &mut calling).await.is_err());
    assert!(upstream.requests().is_empty());
    disk.set_open(true);
    assert_eq!(calling.await.status, 200);
    assert_eq!(bed.of_kind(FrameKind::Intent).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_within_a_body_is_recorded_and_the_end_never_forwarded() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut client = Http2::connect(bed.address).await;
    let ask = Ask::new("PUT", "s3", "/b/k").body(vec![1; 200_000]);
    let added = trailbox_sigv4::sign(ask.request(bed.now()));
    let (_answer, mut stream) = client.begin(&ask, &added, false).await;
    stream.send_data(Bytes::from(vec![1; 50_000]), false).unwrap();
    tokio::time::sleep(A_WHILE).await;
    stream.send_reset(Reason::CANCEL);
    assert_eq!(bed.only_record().await["errorCode"], "Trailbox.ClientDisconnected");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(upstream.requests().iter().all(|request| !request.whole));
    // The connection goes on.
    assert_eq!(client.get("/b/k").await.status, 200);
}

/// The client must not take a part for the whole.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_reset() {
    let cases = [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.0 200 OK\r\n\r\nabc",
    ];
    for reply in cases {
        let upstream = Upstream::scripted(move |_, mut peer| async move {
            peer.request().await.unwrap();
            peer.write(reply.as_bytes()).await;
            tokio::time::sleep(A_WHILE).await;
            // Not an end in order: a reset.
            peer.stream.set_zero_linger().unwrap();
        })
        .await;
        let bed = Setup::with_default(&upstream).start().await;
        let mut client = Http2::connect(bed.address).await;
        let broken = client.get("/b/k").await;
        assert_eq!((broken.status, broken.whole), (200, false), "{reply:?}");
        assert_eq!(broken.reset, Some(Reason::INTERNAL_ERROR), "{reply:?}");
        bed.only_record().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_and_trailers_pass_in_both_directions() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n\
          Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n"
            .to_vec()
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut client = Http2::connect(bed.address).await;
    let ask = Ask::new("PUT", "s3", "/b/k").header("Cookie", "a=1").header("Cookie", "b=2");
    let (mut answer, mut stream) = client.begin(&ask, &[], false).await;
    stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
    let mut fields = http::HeaderMap::new();
    fields.insert("x-mine", "8".parse().unwrap());
    stream.send_trailers(fields).unwrap();
    let early = std::future::poll_fn(|context| answer.poll_informational(context)).await;
    let early = early.unwrap().unwrap();
    assert_eq!(
        (early.status().as_u16(), &early.headers()["link"]),
        (103, &"</x>".parse().unwrap())
    );
    let reply = Reply::read(answer).await;
    assert_eq!(reply.text(), "abc");
    assert_eq!(reply.trailers.unwrap()["x-sum"], "7");
    let seen = upstream.only();
    assert!(seen.head.contains("cookie: a=1; b=2\r\n"), "{}", seen.head);
    let raw = String::from_utf8_lossy(&seen.raw).into_owned();
    assert!(raw.ends_with("5\r\nhello\r\n0\r\nx-mine: 8\r\n\r\n"), "{raw}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_contradict_themselves_are_refused_and_the_others_go_on() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut client = Http2::connect(bed.address).await;
    let request = |change: fn(http::request::Builder) -> http::request::Builder| {
        change(Request::builder().uri("http://h/b/k")).body(()).unwrap()
    };
    let other_host = request(|request| request.header("host", "other"));
    let (answer, _) = client.send(other_host, true).await;
    assert_eq!(Reply::read(answer).await.status, 400);
    let many = request(|request| {
        (0..200).fold(request, |request, n| request.header(format!("x-{n}"), "1"))
    });
    let (answer, _) = client.send(many, true).await;
    assert_eq!(Reply::read(answer).await.status, 400);
    let connect = Request::builder().method("CONNECT").uri("h:443").body(()).unwrap();
    let (answer, _) = client.send(connect, false).await;
    assert_eq!(Reply::read(answer).await.status, 501);
    assert!(upstream.requests().is_empty());
    assert_eq!(client.get("/b/k").await.status, 200);
}

/// CVE-2023-44487: requests that are reset at once cost their client a
/// connection, and the upstream no more than the streams allowed.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_resets_is_bounded() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        peer.request().await;
        std::future::pending::<()>().await;
    })
    .await;
    let setup = Setup::with_default(&upstream).edit(|config| config.limits.http2_streams_max = 5);
    let bed = setup.start().await;
    let mut client = Http2::connect(bed.address).await;
    for n in 0..500 {
        if std::future::poll_fn(|context| client.requests.poll_ready(context)).await.is_err() {
            break;
        }
        let request = Request::builder().uri(format!("http://h/b/{n}")).body(()).unwrap();
        let Ok((_, mut stream)) = client.requests.send_request(request, true) else { break };
        // So that it is sent before it is taken back.
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        stream.send_reset(Reason::CANCEL);
    }
    let ended = tokio::time::timeout(Duration::from_secs(10), client.connection).await;
    let error = ended.expect("the connection ends").unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(Reason::ENHANCE_YOUR_CALM));
    let connections = upstream.connections.load(std::sync::atomic::Ordering::SeqCst);
    assert!(connections <= 5, "{connections} calls reached the upstream");
}

/// CVE-2024-27316: a head that never ends is given up, not collected.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_continuations_is_bounded() {
    fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, 0], &stream.to_be_bytes(), payload].concat()
    }
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    peer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    peer.write(&frame(4, 0, &[])).await;
    // A literal field that is not indexed: `a: xxx…`.
    let field = [b"\x00\x01a\x64".as_slice(), &[b'x'; 100]].concat();
    let fields = field.repeat(150);
    peer.write(&frame(1, 1, &fields)).await;
    let mut taken = 0;
    let ended = loop {
        let writing =
            tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &frame(9, 1, &fields)).await;
        taken += fields.len();
        if writing.is_err() {
            break true;
        }
        if 64 * MEGABYTE < taken {
            break false;
        }
    };
    assert!(ended, "{taken} bytes of one head were taken");
    assert!(upstream.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_given_up_and_its_call_recorded() {
    let upstream = Upstream::answering(|_| answer(200, "", &"x".repeat(4 * MEGABYTE))).await;
    let setup = Setup::with_default(&upstream)
        .edit(|config| config.limits.stall_timeout = Duration::from_millis(300));
    let bed = setup.start().await;
    let mut client = Http2::connect(bed.address).await;
    let (answer, _) = client.begin(&Ask::new("GET", "s3", "/b/k"), &[], true).await;
    let mut body = answer.await.unwrap().into_body();
    // Without our releasing it, the window stays shut.
    bed.only_record().await;
    let mut outcome = Ok(Bytes::new());
    while outcome.is_ok() {
        outcome = body.data().await.expect("no end in order");
    }
    assert_eq!(outcome.unwrap_err().reason(), Some(Reason::INTERNAL_ERROR));
    assert_eq!(client.get("/none").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_over_all_connections_are_bounded_and_told_that_nothing_was_done() {
    let gate = Gate::new();
    let upstream = Upstream::behind(&gate, ok("")).await;
    let setup = Setup::with_default(&upstream).edit(|config| config.limits.connections_max = 3);
    let bed = setup.start().await;
    let (mut one, mut two) = (Http2::connect(bed.address).await, Http2::connect(bed.address).await);
    let mut held = Vec::new();
    for first in [true, false, true] {
        let client = if first { &mut one } else { &mut two };
        held.push(client.begin(&Ask::new("GET", "s3", "/b/k"), &[], true).await.0);
    }
    upstream.connected(3).await;
    assert_eq!(two.get("/b/k").await.reset, Some(Reason::REFUSED_STREAM));
    gate.open();
    for answer in held {
        assert_eq!(Reply::read(answer).await.status, 200);
    }
    // A stream gives its place back a moment after its end.
    while two.get("/b/k").await.status != 200 {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_streams_finish_and_takes_no_new_ones() {
    let gate = Gate::new();
    let upstream = Upstream::behind(&gate, ok("late")).await;
    let mut bed = Setup::with_default(&upstream).start().await;
    let mut client = Http2::connect(bed.address).await;
    let (answer, _) = client.begin(&Ask::new("GET", "s3", "/b/k"), &[], true).await;
    upstream.connected(1).await;
    let reading = tokio::spawn(Reply::read(answer));
    tokio::join!(bed.stop(), async {
        tokio::time::sleep(A_WHILE).await;
        gate.open();
    });
    assert_eq!(reading.await.unwrap().text(), "late");
    assert!(client.connection.await.unwrap().is_ok());
    assert_eq!(bed.records().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_calls_is_closed_in_time() {
    let upstream = Upstream::agreeable().await;
    let setup = Setup::with_default(&upstream)
        .edit(|config| config.limits.idle_timeout = Duration::from_millis(200));
    let bed = setup.start().await;
    let mut client = Http2::connect(bed.address).await;
    assert_eq!(client.get("/b/k").await.status, 200);
    let ended = tokio::time::timeout(Duration::from_secs(10), client.connection).await;
    assert!(ended.expect("it is closed").unwrap().is_ok());
}

#[tokio::test]
async fn without_http_2_its_preface_is_refused() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).edit(|config| config.http2 = false).start().await;
    let mut peer = bed.connect().await;
    peer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(peer.answer(false).await.status, 400);
}
