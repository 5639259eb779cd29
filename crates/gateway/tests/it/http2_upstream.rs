//! Upstreams that speak HTTP/2: one connection, many calls, none sent twice.

use crate::support::{
    Ask, Bed, Gate, GatedDisk, Http2, Http2Server, Reply, Setup, Upstream, eventually, pour,
};
use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use trailbox_gateway::config::{GatewayConfig, Http2 as Spoken};

/// Long enough for everything that is not held to arrive.
const A_WHILE: Duration = Duration::from_millis(300);

fn setup(server: &Http2Server) -> Setup {
    let mut setup = Setup::nobody();
    let text = format!(
        "default_upstream = {{ url = 'http://{}', verifies_signatures = false, http2 = true }}",
        server.address
    );
    setup.config = toml::from_str(&text).unwrap();
    setup
}

fn status(code: u16) -> Response<()> {
    Response::builder().status(code).body(()).unwrap()
}

/// Answers with the body that came, and a trailer.
async fn echoing() -> Http2Server {
    Http2Server::streams(|(request, mut respond)| async move {
        let mut asked = Reply::default();
        asked.rest(&mut request.into_body()).await.unwrap();
        let mut stream = respond.send_response(status(200), false).unwrap();
        pour(&mut stream, &asked.body, false).await;
        let mut trailer = asked.trailers.unwrap_or_default();
        trailer.insert("x-sum", "7".parse().unwrap());
        stream.send_trailers(trailer).unwrap();
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_any_client_share_one_connection() {
    let server = echoing().await;
    let bed = setup(&server).start().await;
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..20_u8 {
        let body = vec![b'a' + n; 300_000];
        let request = Ask::new("PUT", "s3", &format!("//b/%2F{n}?x")).body(&body).signed(bed.now());
        let mut peer = bed.connect().await;
        calls.spawn(async move {
            peer.write(&request).await;
            let answer = peer.answer(false).await;
            assert!(answer.whole && answer.body == body, "{n}: {}", answer.status);
            assert!(answer.raw.ends_with(b"0\r\nx-sum: 7\r\n\r\n"), "{n}");
        });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    assert_eq!(server.connections(), 1);
    for record in bed.wait_for_records(20).await {
        assert_eq!(record["additionalEventData"]["trailboxIdentity"], "verified");
    }
    let seen = server.seen.lock().unwrap();
    assert!(seen.iter().all(|head| head.uri.authority().unwrap() == "localhost:4747"));
    assert!(seen.iter().all(|head| head.uri.path().starts_with("//b/%2F")));
    assert!(seen.iter().all(|head| head.headers.contains_key("authorization")));
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_pass_from_end_to_end() {
    let server = echoing().await;
    let bed = setup(&server).start().await;
    let mut client = Http2::connect(bed.address).await;
    let (answer, mut stream) = client.begin(&Ask::new("PUT", "s3", "/b/k"), &[], false).await;
    stream.send_data(Bytes::from_static(b"abc"), false).unwrap();
    let mut trailer = HeaderMap::new();
    trailer.insert("x-mine", "8".parse().unwrap());
    stream.send_trailers(trailer).unwrap();
    let reply = Reply::read(answer).await;
    let trailers = reply.trailers.unwrap();
    assert_eq!(
        (&trailers["x-mine"], &trailers["x-sum"]),
        (&"8".parse().unwrap(), &"7".parse().unwrap())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_bodies_are_framed_as_http_1_has_them() {
    let server = Http2Server::streams(|(request, mut respond)| async move {
        let code = request.uri().path()[1..].parse().unwrap();
        let mut answer = status(code);
        if request.method() == "HEAD" {
            answer.headers_mut().insert("content-length", "9".parse().unwrap());
        }
        respond.send_response(answer, true).unwrap();
    })
    .await;
    let bed = setup(&server).start().await;
    let mut peer = bed.connect().await;
    for (method, code) in [("GET", 200), ("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 404)] {
        peer.write(format!("{method} /{code} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await;
        let answer = peer.answer(method == "HEAD").await;
        assert_eq!((answer.status, answer.whole, answer.body.len()), (code, true, 0), "{method}");
    }
    assert_eq!(server.connections(), 1);
}

/// What the peer says it did not do is told so; what it may have done, too. None
/// is sent again.
#[tokio::test(flavor = "multi_thread")]
async fn a_reset_is_reported_by_what_it_says_of_the_request() {
    let cases = [
        (Reason::REFUSED_STREAM, "Trailbox.UpstreamUnavailable"),
        (Reason::INTERNAL_ERROR, "Trailbox.OutcomeUnknown"),
    ];
    for (reason, code) in cases {
        let server = Http2Server::streams(move |(_, mut respond)| async move {
            respond.send_reset(reason);
        })
        .await;
        let bed = setup(&server).start().await;
        let answer = bed.call("DELETE /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(answer.status, 502);
        let record = bed.only_record().await;
        assert_eq!(record["errorCode"], code);
        assert!(record["errorMessage"].as_str().unwrap().contains("stream"), "{record:#}");
        assert_eq!(server.seen(), 1);
    }
}

/// A connection that its peer wants to leave is left; what is under way finishes.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_goes_away_takes_no_further_call() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = Http2Server::scripted(move |_, mut connection| {
        let gate = held.clone();
        async move {
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                connection.graceful_shutdown();
                let gate = gate.clone();
                tokio::spawn(async move {
                    gate.opened().await;
                    let mut stream = respond.send_response(status(200), false).unwrap();
                    stream.send_data(Bytes::from_static(b"late"), true).unwrap();
                });
            }
        }
    })
    .await;
    let bed = Arc::new(setup(&server).start().await);
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..3 {
        let bed = Arc::clone(&bed);
        calls.spawn(
            async move { bed.call(format!("GET /b/{n} HTTP/1.1\r\nHost: h\r\n\r\n")).await },
        );
        eventually(|| n < server.connections()).await;
        // The wish to leave has no echo.
        tokio::time::sleep(A_WHILE).await;
    }
    gate.open();
    while let Some(answer) = calls.join_next().await {
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_not_taken_for_whole() {
    let server = Http2Server::streams(|(_, mut respond)| async move {
        let mut stream = respond.send_response(status(200), false).unwrap();
        stream.send_data(Bytes::from_static(b"abcdef"), false).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.send_reset(Reason::INTERNAL_ERROR);
    })
    .await;
    let bed = setup(&server).start().await;
    let answer = bed.call("GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!((answer.status, answer.whole), (200, false));
    let mut client = Http2::connect(bed.address).await;
    assert_eq!(client.get("/b/k").await.reset, Some(Reason::INTERNAL_ERROR));
    bed.wait_for_records(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_vanishes_within_its_body_never_ends_the_stream() {
    let (told, heard) = tokio::sync::oneshot::channel();
    let told = Arc::new(std::sync::Mutex::new(Some(told)));
    let server = Http2Server::streams(move |(request, respond)| {
        let told = Arc::clone(&told);
        async move {
            let mut asked = Reply::default();
            let outcome = asked.rest(&mut request.into_body()).await;
            told.lock()
                .unwrap()
                .take()
                .unwrap()
                .send(outcome.map_err(|error| error.reason()))
                .unwrap();
            drop(respond);
        }
    })
    .await;
    let bed = setup(&server).start().await;
    let mut peer = bed.connect().await;
    peer.write(b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nabc").await;
    tokio::time::sleep(A_WHILE).await;
    drop(peer);
    assert_eq!(heard.await.unwrap(), Err(Some(Reason::CANCEL)));
    assert_eq!(bed.only_record().await["errorCode"], "Trailbox.ClientDisconnected");
}

/// Nobody waits for an answer that did not come in time: the stream is given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_nobody_waits_for_is_reset() {
    let (told, heard) = tokio::sync::oneshot::channel();
    let told = Arc::new(std::sync::Mutex::new(Some(told)));
    let server = Http2Server::streams(move |(_, mut respond)| {
        let told = Arc::clone(&told);
        async move {
            let reset = std::future::poll_fn(|context| respond.poll_reset(context)).await;
            told.lock().unwrap().take().unwrap().send(reset.unwrap()).unwrap();
        }
    })
    .await;
    let setup =
        setup(&server).edit(|config| config.limits.response_timeout = Duration::from_millis(300));
    let bed = setup.start().await;
    assert_eq!(bed.call("GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await.status, 504);
    let reset = tokio::time::timeout(Duration::from_secs(10), heard).await;
    assert_eq!(reset.expect("a reset").unwrap(), Reason::CANCEL);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_mutating_request_waits_for_its_intent() {
    let server = echoing().await;
    let disk = GatedDisk::new();
    let bed = Bed::start(setup(&server), Arc::new(disk.clone())).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    disk.set_open(false);
    let mut peer = bed.connect().await;
    peer.write(
        b"PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    )
    .await;
    // The echo answers when the request has ended.
    assert_eq!(peer.come_within(A_WHILE).await.len(), 0);
    disk.set_open(true);
    assert_eq!(peer.answer(false).await.text(), "abc");
}

/// A server with TLS that agrees to `protocols`; answers in what was agreed on.
async fn with_tls(protocols: &[&[u8]]) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    let pair = trailbox_gateway::tls::self_signed(&[]).unwrap();
    let mut config = (*trailbox_gateway::tls::server_config(&pair).unwrap()).clone();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            tokio::spawn(async move {
                use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
                if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                    let mut bytes = [0; 1000];
                    while stream.read(&mut bytes).await.is_ok_and(|count| 0 < count) {
                        stream
                            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none")
                            .await
                            .unwrap();
                    }
                    return;
                }
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let mut stream = respond.send_response(status(200), false).unwrap();
                    stream.send_data(Bytes::from_static(b"two"), true).unwrap();
                }
            });
        }
    });
    (address, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tls_agrees_on_is_spoken_where_config_leaves_it_to_it() {
    let both: &[&[u8]] = &[b"h2", b"http/1.1"];
    let one: &[&[u8]] = &[b"http/1.1"];
    let cases = [
        (both, Spoken::Auto, Some("two")),
        (one, Spoken::Auto, Some("one")),
        (&[], Spoken::Auto, Some("one")),
        (both, Spoken::No, Some("one")),
        (both, Spoken::Yes, Some("two")),
        (&[], Spoken::Yes, None),
    ];
    for (protocols, spoken, want) in cases {
        let (address, task) = with_tls(protocols).await;
        let mut setup = Setup::nobody();
        let text = format!(
            "default_upstream = {{ url = 'https://{address}', verifies_signatures = false, \
             insecure = true }}"
        );
        setup.config = toml::from_str::<GatewayConfig>(&text).unwrap();
        setup.config.default_upstream.as_mut().unwrap().http2 = spoken;
        let bed = setup.start().await;
        for _ in 0..2 {
            let answer = bed.call("GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
            match want {
                Some(want) => assert_eq!(answer.text(), want, "{protocols:?} {spoken:?}"),
                None => assert_eq!(answer.status, 502, "{protocols:?} {spoken:?}"),
            }
        }
        task.abort();
    }
}

/// Both sides talk at once (Transcribe, Bedrock): each event goes on before the
/// next is made, and the first of the answer waits for the record.
#[tokio::test(flavor = "multi_thread")]
async fn both_directions_of_an_event_stream_flow_at_once() {
    let server = Http2Server::streams(|(request, mut respond)| async move {
        let mut body = request.into_body();
        let mut answer = status(200);
        let kind = "application/vnd.amazon.eventstream".parse().unwrap();
        answer.headers_mut().insert("content-type", kind);
        let mut stream = respond.send_response(answer, false).unwrap();
        while let Some(Ok(piece)) = body.data().await {
            body.flow_control().release_capacity(piece.len()).unwrap();
            stream.send_data(piece, false).unwrap();
        }
        stream.send_data(Bytes::from_static(b"bye"), true).unwrap();
    })
    .await;
    let disk = GatedDisk::new();
    let bed = Bed::start(setup(&server), Arc::new(disk.clone())).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    // Nobody's key: each event would carry a signature of its own.
    let ask = Ask::new("POST", "bedrock", "/model/m/invoke-with-bidirectional-stream").by(
        "AKIASOMEBODYELSE0000",
        "x",
        None,
    );
    let mut added = trailbox_sigv4::sign(ask.request(bed.now()));
    for (name, value) in &mut added {
        if name == "x-amz-content-sha256" {
            "STREAMING-AWS4-HMAC-SHA256-EVENTS".clone_into(value);
        }
    }
    let mut client = Http2::connect(bed.address).await;
    disk.set_open(false);
    let (answer, mut stream) = client.begin(&ask, &added, false).await;
    stream.send_data(Bytes::from_static(b"one"), false).unwrap();
    let mut answer = std::pin::pin!(answer);
    assert!(tokio::time::timeout(A_WHILE, &mut answer).await.is_err(), "it came unrecorded");
    disk.set_open(true);
    let mut body = answer.await.unwrap().into_body();
    assert_eq!(bed.records().len(), 1);
    assert_eq!(body.data().await.unwrap().unwrap(), "one");
    for event in ["two", "three"] {
        stream.send_data(Bytes::from(event), false).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), event);
    }
    stream.send_data(Bytes::new(), true).unwrap();
    assert_eq!(body.data().await.unwrap().unwrap(), "bye");
    while let Some(rest) = body.data().await {
        assert_eq!(rest.unwrap(), "");
    }
    assert!(body.is_end_stream());
    let record = bed.only_record().await;
    assert_eq!(record["eventName"], "InvokeModelWithBidirectionalStream");
    assert_eq!(record["responseElements"], serde_json::Value::Null);
}

/// The same between peers that speak HTTP/1.1, and an end of the client that is
/// no end of its request.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_whose_client_vanishes_is_cut_upstream() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        peer.request_head().await.unwrap();
        peer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n\
              Transfer-Encoding: chunked\r\n\r\n",
        )
        .await;
        while peer.fill().await != 0 {
            let piece = peer.buffer.split();
            peer.write(&piece).await;
        }
    })
    .await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    peer.write(
        b"POST /stream HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
    )
    .await;
    for event in ["one", "two", "six"] {
        while !peer.buffer.ends_with(format!("3\r\n{event}\r\n").as_bytes()) {
            assert_ne!(peer.fill().await, 0);
        }
        if event != "six" {
            let next = if event == "one" { "two" } else { "six" };
            peer.write(format!("3\r\n{next}\r\n").as_bytes()).await;
        }
    }
    tokio::io::AsyncWriteExt::shutdown(&mut peer.stream).await.unwrap();
    let rest = peer.come_within(Duration::from_secs(5)).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "a request cut short looks whole");
    assert_eq!(bed.records().len(), 1);
}
