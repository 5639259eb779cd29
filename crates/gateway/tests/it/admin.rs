//! The admin listener, the engine behind its socket, and TLS.

use crate::support::{Ask, Bed, GatedDisk, Message, Peer, Setup, Upstream, ok};
use base64::Engine as _;
use rustls_pki_types::pem::PemObject as _;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use trailbox_gateway::tls::{self_signed, server_config};

async fn get(address: std::net::SocketAddr, path: &str) -> Message {
    let mut peer = Peer::connect(address).await;
    peer.write(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await;
    peer.answer(false).await
}

/// An engine that notes what it is told and answers `{}`.
fn engine(path: &std::path::Path) -> Arc<Mutex<Vec<String>>> {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&told);
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let noted = Arc::clone(&noted);
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                    noted.lock().unwrap().push(String::from_utf8_lossy(&bytes[..count]).into());
                    let body = "engine_metric 1\n";
                    let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{body}");
                    stream.write_all(reply.as_bytes()).await.unwrap();
                }
            });
        }
    });
    told
}

fn field<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

#[tokio::test]
async fn the_engine_is_told_who_calls_and_the_client_cannot() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    let told = engine(&socket);
    let mut setup = Setup::nobody();
    setup.engine = Some(socket);
    let bed = setup.start().await;
    let ask = Ask::json(
        "cloudtrail",
        "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents",
        "{}",
    )
    .header("x-trailbox-caller", "Zm9yZ2Vk")
    .header("X-TRAILBOX-Service", "sts");
    assert_eq!(bed.call(ask.signed(bed.now())).await.status, 200);
    let head = told.lock().unwrap()[0].clone();
    assert_eq!(field(&head, "x-trailbox-service"), ["cloudtrail"]);
    assert_eq!(field(&head, "x-trailbox-operation"), ["LookupEvents"]);
    assert_eq!(field(&head, "x-trailbox-region"), ["us-east-1"]);
    assert!(!head.contains("X-TRAILBOX-Service"));
    let callers = field(&head, "x-trailbox-caller");
    assert_eq!(callers.len(), 1);
    let caller = base64::engine::general_purpose::STANDARD.decode(callers[0]).unwrap();
    let caller: trailbox_identity::Caller = serde_json::from_slice(&caller).unwrap();
    assert_eq!(caller.arn.as_deref(), Some("arn:aws:iam::111122223333:user/alice"));
    let position: trailbox_journal::Position =
        field(&head, "x-trailbox-position")[0].parse().unwrap();
    assert_eq!(position.node, [9; 16]);
    let record = bed.only_record().await;
    assert_eq!(record["eventName"], "LookupEvents");
    assert_eq!(record["readOnly"], true);
}

#[tokio::test]
async fn recording_goes_on_while_the_engine_is_down() {
    let bed = Setup::nobody().start().await;
    let ask = Ask::query("sts", "Action=GetCallerIdentity&Version=2011-06-15");
    let answer = bed.call(ask.signed(bed.now())).await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("<Code>ServiceUnavailable</Code>"), "{}", answer.text());
    assert_eq!(bed.only_record().await["errorCode"], "ServiceUnavailable");
}

#[tokio::test]
async fn trailboxs_own_api_is_on_the_admin_listener_only() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    let told = engine(&socket);
    let mut setup = Setup::nobody();
    setup.engine = Some(socket);
    let bed = setup.start().await;
    let admin = bed.admin().await;
    let request = Ask::new("GET", "trailbox", "/api/v1/principals").signed(bed.now());
    assert_eq!(bed.call(&request).await.status, 403);
    let mut peer = Peer::connect(admin).await;
    peer.write(&request).await;
    assert_eq!(peer.answer(false).await.status, 200);
    assert_eq!(field(&told.lock().unwrap()[0], "x-trailbox-service"), ["trailbox"]);
    peer.write(b"GET /favicon.ico HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(peer.answer(false).await.status, 404);
    let records = bed.wait_for_records(2).await;
    assert_eq!(records.len(), 2);
    assert_eq!(records[1]["eventSource"], "trailbox");
    assert_eq!(records[1]["eventName"], "ListPrincipals");
    assert_eq!(records[1]["readOnly"], true);
}

#[tokio::test]
async fn health_readiness_and_metrics_are_open_and_unrecorded() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    engine(&socket);
    let mut setup = Setup::nobody();
    setup.engine = Some(socket);
    let disk = GatedDisk::new();
    let bed = Bed::start(setup, Arc::new(disk.clone())).await;
    let admin = bed.admin().await;
    assert_eq!(get(admin, "/healthz").await.text(), "ok\n");
    assert_eq!(get(admin, "/readyz").await.status, 200);
    assert_eq!(get(admin, "/metrics").await.text(), "own_metric 1\nengine_metric 1\n");
    assert_eq!(bed.records().len(), 0);

    disk.simulated().set_sick(Some(ErrorKind::Other));
    let delete = Ask::new("DELETE", "s3", "/b/k").signed(bed.now());
    assert_eq!(bed.call(delete).await.status, 503);
    let ready = get(admin, "/readyz").await;
    assert_eq!(ready.status, 503);
    assert!(ready.text().contains("journal refuses"), "{}", ready.text());
    assert_eq!(get(admin, "/healthz").await.status, 200);
}

#[tokio::test]
async fn tls_ends_here_and_stands_in_the_record() {
    let upstream = Upstream::answering(|_| ok("abc")).await;
    let pair = self_signed(&[]).unwrap();
    let mut setup = Setup::with_default(&upstream);
    setup.tls = Some(server_config(&pair).unwrap());
    let bed = setup.start().await;

    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(rustls_pki_types::CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let stream = tokio::net::TcpStream::connect(bed.address).await.unwrap();
    let name = rustls_pki_types::ServerName::try_from("localhost").unwrap();
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream.write_all(&Ask::new("GET", "s3", "/b/k").signed(bed.now())).await.unwrap();
    let mut answer = vec![0; 1000];
    let mut count = 0;
    while !answer[..count].ends_with(b"abc") {
        count += stream.read(&mut answer[count..]).await.unwrap();
    }
    let record = bed.only_record().await;
    assert_eq!(record["tlsDetails"]["tlsVersion"], "TLSv1.3");
    assert!(record["tlsDetails"]["cipherSuite"].as_str().unwrap().starts_with("TLS_"));
    assert_eq!(record["tlsDetails"]["clientProvidedHostHeader"], "localhost:4747");
}

/// An `https` upstream is checked against the certificate authorities given.
#[tokio::test]
async fn an_https_upstream_is_reached_with_its_own_authority() {
    let inner = Upstream::answering(|_| ok("abc")).await;
    let pair = self_signed(&[]).unwrap();
    let mut setup = Setup::with_default(&inner);
    setup.tls = Some(server_config(&pair).unwrap());
    let tls_server = setup.start().await;

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, &pair.certificate).unwrap();
    let port = tls_server.address.port();
    let trusting = format!("ca_file = '{}'", file.display());
    for (extra, status) in [(trusting.as_str(), 200), ("insecure = true", 200), ("", 502)] {
        let comma = if extra.is_empty() { "" } else { ", " };
        let mut setup = Setup::nobody();
        setup.config = toml::from_str(&format!(
            "default_upstream = {{ url = 'https://localhost:{port}', \
             verifies_signatures = false{comma}{extra} }}"
        ))
        .unwrap();
        let bed = setup.start().await;
        for _ in 0..2 {
            let answer = bed.call(Ask::new("GET", "s3", "/b/k").signed(bed.now())).await;
            assert_eq!(answer.status, status, "{extra} {}", answer.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Also the one whose signature covers a body: it is proved later.
#[tokio::test]
async fn in_test_mode_every_proved_caller_administrates_our_own_services() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("engine.sock");
    let told = engine(&socket);
    let mut setup = Setup::nobody().test_mode();
    setup.engine = Some(socket);
    let bed = setup.start().await;
    let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
    let ask = Ask::json("cloudtrail", target, "{}");
    assert_eq!(bed.call(ask.signed(bed.now())).await.status, 200);
    let head = told.lock().unwrap()[0].clone();
    let caller = field(&head, "x-trailbox-caller")[0].to_owned();
    let caller = base64::engine::general_purpose::STANDARD.decode(caller).unwrap();
    let caller: serde_json::Value = serde_json::from_slice(&caller).unwrap();
    assert_eq!(caller["administrator"], true);
}
