//! Connections that leave HTTP: recorded when they do, then piped.

use crate::support::{Ask, Bed, GatedDisk, Setup, Upstream, ok};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Long enough for everything that is not held to arrive.
const A_WHILE: Duration = Duration::from_millis(300);
const ASK: &[u8] = b"GET /socket?x HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n\
                     Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                        Upgrade: websocket\r\n\r\n";

/// Switches, greets, and echoes until its client ends.
async fn echoing() -> Upstream {
    Upstream::scripted(|_, mut peer| async move {
        peer.request().await.unwrap();
        peer.write(&[SWITCH, b"hello "].concat()).await;
        loop {
            let piece = peer.buffer.split();
            peer.write(&piece).await;
            if peer.fill().await == 0 {
                return;
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_is_recorded_before_it_is_released_and_then_all_passes() {
    let upstream = echoing().await;
    let disk = GatedDisk::new();
    let bed = Bed::start(Setup::with_default(&upstream), Arc::new(disk.clone())).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    disk.set_open(false);
    let mut peer = bed.connect().await;
    // Some clients do not wait for the answer.
    peer.write(&[ASK, b"\x00first "].concat()).await;
    assert_eq!(peer.come_within(A_WHILE).await.len(), 0);
    disk.set_open(true);
    let want = [SWITCH, b"hello \x00first "].concat();
    while peer.buffer.len() < want.len() {
        assert_ne!(peer.fill().await, 0);
    }
    assert_eq!(peer.buffer, want);
    let record = bed.only_record().await;
    assert_eq!(record["responseElements"], Value::Null);
    assert!(record.get("errorCode").is_none(), "{record:#}");

    let large = vec![7; 3 << 20];
    let (mut read, mut write) = tokio::io::split(peer.stream);
    let sent = large.clone();
    let writing = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut came = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut read, &mut came).await.unwrap();
    writing.await.unwrap();
    assert!(came == large, "{} bytes", came.len());
    assert_eq!(bed.records().len(), 1);
}

#[tokio::test]
async fn an_upstream_that_declines_answers_as_ever() {
    let upstream = Upstream::answering(|_| ok("no")).await;
    let bed = Setup::with_default(&upstream).start().await;
    let mut peer = bed.connect().await;
    for _ in 0..2 {
        peer.write(ASK).await;
        let answer = peer.answer(false).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "no"));
    }
    assert_eq!(upstream.requests()[0].raw, ASK);
    bed.wait_for_records(2).await;
}

/// Asking for another protocol hides nothing from the record.
#[tokio::test]
async fn a_form_is_read_whatever_else_is_asked_for() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let ask = Ask::query("iam", "Action=CreateUser&UserName=u&Version=2010-05-08")
        .header("Connection", "upgrade")
        .header("Upgrade", "websocket");
    assert_eq!(bed.call(ask.signed(bed.now())).await.status, 200);
    assert_eq!(bed.only_record().await["eventName"], "CreateUser");
}

#[tokio::test]
async fn a_switch_nobody_asked_for_is_refused() {
    let upstream = Upstream::answering(|_| SWITCH.to_vec()).await;
    let bed = Setup::with_default(&upstream).start().await;
    assert_eq!(bed.call("GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n").await.status, 502);
}

#[tokio::test]
async fn our_own_services_speak_nothing_else() {
    let bed = Setup::nobody().start().await;
    assert_eq!(bed.call(ASK).await.status, 501);
    assert_eq!(bed.only_record().await["errorCode"], "NotImplemented");
}

/// Silence in both directions ends it; silence in one does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_ends_when_nothing_moves() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        peer.request().await.unwrap();
        peer.write(SWITCH).await;
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            peer.write(b"tick ").await;
        }
        assert_eq!(peer.fill().await, 0);
    })
    .await;
    let setup = Setup::with_default(&upstream)
        .edit(|config| config.limits.stall_timeout = Duration::from_secs(1));
    let bed = setup.start().await;
    let mut peer = bed.connect().await;
    peer.write(ASK).await;
    let all = peer.come_within(Duration::from_secs(10)).await;
    assert_eq!(all.len(), SWITCH.len() + 50);
    assert!(peer.fill().await == 0, "it is still open");
}
