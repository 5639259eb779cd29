//! Durable before the answer: what is held, and until when.

use crate::support::{Bed, GatedDisk, Setup, Upstream, answer, ok};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use trailbox_gateway::config::{Durability, Intents, OnFailure};
use trailbox_journal::FrameKind;

/// Long enough for everything that is not held to arrive.
const A_WHILE: Duration = Duration::from_millis(300);

async fn bed_on(disk: &GatedDisk, setup: Setup) -> Bed {
    let bed = Bed::start(setup, Arc::new(disk.clone())).await;
    // The first frame makes keys and segments; the gate is about the rest.
    tokio::time::sleep(Duration::from_millis(50)).await;
    bed
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_answer_waits_for_its_record() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let cases: [(&str, &str, &str); 5] = [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "c"),
        ("GET", chunked, "c"),
        ("GET", "HTTP/1.0 200 OK\r\n\r\nabc", "c"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "200"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", "304"),
    ];
    for (method, reply, held) in cases {
        let upstream = Upstream::answering(|_| reply.into()).await;
        let disk = GatedDisk::new();
        let bed = bed_on(&disk, Setup::with_default(&upstream)).await;
        disk.set_open(false);
        let mut peer = bed.connect().await;
        peer.write(format!("{method} /b/k HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await;
        let early = peer.come_within(A_WHILE).await;
        let early = String::from_utf8_lossy(&early).into_owned();
        assert!(!early.contains(held), "{method} {reply:?}: {early:?} came too early");
        disk.set_open(true);
        let whole = peer.answer(method == "HEAD").await;
        assert_eq!(String::from_utf8_lossy(&whole.raw), reply);
        assert_eq!(bed.records().len(), 1, "the record was not durable when the answer ended");
    }
}

/// Most of a large body passes while its record is not even begun.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_end_is_held() {
    let reply = answer(200, "", &"x".repeat(1_000_000));
    let upstream = Upstream::answering(move |_| reply.clone()).await;
    let disk = GatedDisk::new();
    let bed = bed_on(&disk, Setup::with_default(&upstream)).await;
    disk.set_open(false);
    let mut peer = bed.connect().await;
    peer.write(b"GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let early = peer.come_within(A_WHILE).await.len();
    assert!((900_000..1_000_040).contains(&early), "{early}");
    disk.set_open(true);
    assert_eq!(peer.answer(false).await.body.len(), 1_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_forwarded_when_its_intent_is_durable() {
    let upstream = Upstream::agreeable().await;
    let disk = GatedDisk::new();
    let bed = bed_on(&disk, Setup::with_default(&upstream)).await;
    disk.set_open(false);
    let mut peer = bed.connect().await;
    peer.write(b"DELETE /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(upstream.requests().len(), 0);
    disk.set_open(true);
    assert_eq!(peer.answer(false).await.status, 200);
    let kinds: Vec<_> = bed.frames().iter().map(|frame| frame.kind).collect();
    assert_eq!(kinds[..2], [FrameKind::Intent, FrameKind::Record]);
    assert_eq!(bed.frames()[0].event_id, bed.frames()[1].event_id);
}

/// The body streams on; what completes it waits.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_streams_while_its_intent_is_written_and_ends_after() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        let (mut message, framing) = peer.request_head().await.unwrap();
        peer.body(&mut message, framing).await;
        peer.write(&ok(if message.whole { "whole" } else { "broken" })).await;
    })
    .await;
    let disk = GatedDisk::new();
    let bed = bed_on(&disk, Setup::with_default(&upstream)).await;
    disk.set_open(false);
    let mut peer = bed.connect().await;
    peer.write(b"PUT /b/k HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n").await;
    peer.write(&vec![1; 300_000]).await;
    assert_eq!(peer.come_within(A_WHILE).await.len(), 0);
    disk.set_open(true);
    assert_eq!(peer.answer(false).await.text(), "whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn asynchronous_reads_do_not_wait() {
    let upstream = Upstream::answering(|_| ok("abc")).await;
    let disk = GatedDisk::new();
    let setup = Setup::with_default(&upstream)
        .edit(|config| config.recording.reads = Some(Durability::Asynchronous));
    let bed = bed_on(&disk, setup).await;
    disk.set_open(false);
    let answer = bed.call("GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(answer.text(), "abc");
    disk.set_open(true);
    bed.only_record().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_write_refuses_before_forwarding() {
    let upstream = Upstream::agreeable().await;
    let disk = GatedDisk::new();
    let bed = bed_on(&disk, Setup::with_default(&upstream)).await;
    disk.simulated().set_sick(Some(ErrorKind::Other));
    let delete = "DELETE /b/k HTTP/1.1\r\nHost: h\r\n\r\n";
    let first = bed.call(delete).await;
    assert_eq!(first.status, 503, "{}", first.text());
    let second = bed.call(delete).await;
    assert!(second.text().contains("<Code>ServiceUnavailable</Code>"), "{}", second.text());
    let read = bed.call("GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(read.status, 503);
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fail_open_forwards_what_config_says() {
    let upstream = Upstream::agreeable().await;
    let disk = GatedDisk::new();
    let setup = Setup::with_default(&upstream)
        .edit(|config| config.recording.on_failure_read = Some(OnFailure::Forward));
    let bed = bed_on(&disk, setup).await;
    disk.simulated().set_sick(Some(ErrorKind::Other));
    assert_eq!(bed.call("DELETE /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await.status, 503);
    for _ in 0..3 {
        assert_eq!(bed.call("GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await.status, 200);
        assert_eq!(bed.call("DELETE /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await.status, 503);
    }
    assert_eq!(upstream.requests().len(), 3);

    // Each of the three is recorded late, or counted by the record of the outage.
    disk.simulated().set_sick(None);
    let told = told_of_outage(&bed).await;
    let details = &told["serviceEventDetails"];
    let late = bed.records().iter().filter(|record| record["eventName"] == "GetObject").count();
    let lost = details["callsUnrecorded"].as_u64().unwrap();
    assert_eq!(late as u64 + lost, 3, "{details:#}");
    assert_eq!(details["callsRefused"], 3);
    assert!(details["reason"].is_string());
}

/// The record that tells of an outage, once the journal can write it.
async fn told_of_outage(bed: &Bed) -> serde_json::Value {
    for _ in 0..500 {
        let mut records = bed.records().into_iter();
        if let Some(told) = records.find(|record| record["eventName"] == "RecordingInterrupted") {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no record of the outage after 5 s: {:#?}", bed.records());
}

/// An error would make the client repeat a change that has happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_forwarded_call_keeps_its_answer_when_the_journal_fails_then() {
    let disk = GatedDisk::new();
    let sick = disk.clone();
    let upstream = Upstream::answering(move |_| {
        sick.simulated().set_sick(Some(ErrorKind::Other));
        ok("done")
    })
    .await;
    let bed = bed_on(&disk, Setup::with_default(&upstream)).await;
    let answer = bed.call("DELETE /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!((answer.status, answer.text()), (200, "done".to_owned()));
    assert_eq!(bed.call("DELETE /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await.status, 503);
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn intents_can_be_switched_off() {
    let upstream = Upstream::agreeable().await;
    let setup =
        Setup::with_default(&upstream).edit(|config| config.recording.intents = Intents::Off);
    let bed = setup.start().await;
    bed.call("DELETE /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await;
    bed.only_record().await;
    assert!(bed.frames().iter().all(|frame| frame.kind != FrameKind::Intent));
}

/// An event stream is recorded when it opens and passes as it comes.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_stream_is_recorded_before_its_head_and_then_flows() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        peer.request().await.unwrap();
        peer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n\
              Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
        )
        .await;
        // It goes on until the client has seen the first event.
        let _ = peer.fill().await;
    })
    .await;
    let disk = GatedDisk::new();
    let bed = bed_on(&disk, Setup::with_default(&upstream)).await;
    disk.set_open(false);
    let mut peer = bed.connect().await;
    peer.write(b"GET /stream HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(peer.come_within(A_WHILE).await.len(), 0);
    disk.set_open(true);
    while !peer.buffer.ends_with(b"1\r\na\r\n") {
        assert_ne!(peer.fill().await, 0);
    }
    assert_eq!(bed.records().len(), 1);
}
