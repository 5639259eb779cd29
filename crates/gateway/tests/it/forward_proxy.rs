//! A listener as its clients' HTTP proxy: who answers what they name, and where
//! they cannot lead us.

use crate::support::{Ask, Bed, Message, Peer, Setup, Upstream, ok};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use trailbox_clock::SeededRandom;
use trailbox_gateway::tls::{PemPair, self_signed, server_config};
use trailbox_gateway::{ProxyAuthority, make_authority};

/// A gateway with a proxy listener, and the authority its clients trust.
async fn proxy(setup: Setup) -> (Bed, SocketAddr, PemPair) {
    let bed = setup.start().await;
    // Its clients look at the real clock.
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
    bed.clock.advance(i64::try_from(now).unwrap() - bed.now().0);
    let pair = make_authority(bed.now(), &SeededRandom::new(9)).unwrap();
    bed.gateway.sign_with(ProxyAuthority::from_key(&pair.key).unwrap());
    let address = bed.listen(|listener| listener.forward_proxy = true).await;
    (bed, address, pair)
}

async fn connect(proxy: SocketAddr, target: &str) -> (Peer, Message) {
    let mut peer = Peer::connect(proxy).await;
    peer.write(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).await;
    let head = peer.head().await;
    (peer, head)
}

/// Speaks TLS as `name` inside and sends one request; what came back.
async fn inside(peer: Peer, name: &str, trust: &str, request: &[u8]) -> std::io::Result<String> {
    use rustls_pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls_pki_types::CertificateDer::from_pem_slice(trust.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    let name = rustls_pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let mut stream = connector.connect(name, peer.stream).await?;
    stream.write_all(request).await?;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    Ok(answer)
}

fn get(host: &str) -> Ask {
    let mut ask = Ask::new("GET", "s3", "/b/k").header("Connection", "close");
    host.clone_into(&mut ask.headers[0].1);
    ask
}

#[tokio::test]
async fn what_is_inside_a_connect_is_a_call_like_any_other() {
    let upstream = Upstream::answering(|_| ok("abc")).await;
    let (bed, address, ca) = proxy(Setup::with_default(&upstream)).await;
    let host = "s3.us-east-1.amazonaws.com";
    let (peer, head) = connect(address, &format!("{host}:443")).await;
    assert_eq!(head.status, 200);
    let answer = inside(peer, host, &ca.certificate, &get(host).signed(bed.now())).await.unwrap();
    assert!(answer.ends_with("abc"), "{answer}");
    let record = bed.only_record().await;
    assert_eq!(record["eventName"], "GetObject");
    assert_eq!(record["tlsDetails"]["clientProvidedHostHeader"], host);
    assert_eq!(record["additionalEventData"]["trailboxIdentity"], "verified");
    assert!(upstream.only().head.starts_with("GET /b/k HTTP/1.1\r\nHost: s3.us-east-1"));

    let (peer, _) = connect(address, &format!("{host}:443")).await;
    let wrong = inside(peer, "sts.amazonaws.com", &ca.certificate, b"").await;
    assert!(wrong.is_err(), "the certificate is for the host that was named");
    let (mut plain, _) = connect(address, &format!("{host}:80")).await;
    plain.write(&get(host).signed(bed.now())).await;
    assert_eq!(plain.answer(false).await.text(), "abc");
    let (mut twice, _) = connect(address, &format!("{host}:80")).await;
    twice.write(b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n").await;
    assert_ne!(twice.answer(false).await.status, 200, "no tunnel within a tunnel");
}

#[tokio::test]
async fn whom_nobody_is_mapped_for_answers_himself() {
    let inner = Upstream::answering(|_| ok("the origin")).await;
    let pair = self_signed(&[]).unwrap();
    let mut setup = Setup::with_default(&inner);
    setup.tls = Some(server_config(&pair).unwrap());
    let origin = setup.start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    std::fs::write(&file, &pair.certificate).unwrap();

    let setup = Setup::nobody().edit(|config| {
        config.forward_proxy.hosts = vec!["localhost".parse().unwrap()];
        config.forward_proxy.ca_file = Some(file);
        config.forward_proxy.private_targets = true;
    });
    let (bed, address, ca) = proxy(setup).await;
    origin.clock.advance(bed.now().0 - origin.now().0);
    let host = format!("localhost:{}", origin.address.port());
    let (peer, _) = connect(address, &host).await;
    let request = get(&host).signed(bed.now());
    let answer = inside(peer, "localhost", &ca.certificate, &request).await.unwrap();
    assert!(answer.ends_with("the origin"), "{answer}");
    assert_eq!(inner.only().raw, request, "not a byte is changed");
    assert_eq!(bed.only_record().await["eventName"], "GetObject");
    let frames = bed.frames();
    assert!(frames.iter().any(|frame| frame.extension.upstream == "origin"));

    // HTTP without CONNECT, in absolute form.
    let plain = format!("localhost:{}", inner.address.port());
    let request = format!("GET http://{plain}/b/k HTTP/1.1\r\nHost: {plain}\r\n\r\n");
    let mut peer = Peer::connect(address).await;
    peer.write(request.as_bytes()).await;
    assert_eq!(peer.answer(false).await.text(), "the origin");

    // Ourselves.
    let own = format!("localhost:{}", bed.address.port());
    let request = format!("GET http://{own}/b/k HTTP/1.1\r\nHost: {own}\r\n\r\n");
    peer.write(request.as_bytes()).await;
    assert_eq!(peer.answer(false).await.status, 502);
}

#[tokio::test]
async fn other_hosts_and_inner_addresses_are_refused_unless_config_opens_them() {
    let upstream = Upstream::scripted(|_, mut peer| async move {
        peer.fill().await;
        peer.write(b"pong").await;
    })
    .await;
    let target = upstream.address.to_string();
    let (bed, address, _) = proxy(Setup::with_default(&upstream)).await;
    assert_eq!(connect(address, &target).await.1.status, 403);
    assert_eq!(connect(address, "no-port").await.1.status, 403);
    let elsewhere = "GET http://h/b/k HTTP/1.1\r\nHost: h\r\n\r\n";
    let mut peer = Peer::connect(address).await;
    peer.write(elsewhere.as_bytes()).await;
    assert_eq!(peer.answer(false).await.status, 403);
    assert_eq!(connect(bed.address, &target).await.1.status, 501, "no proxy on that listener");

    let tunnel = |private| {
        Setup::nobody().edit(move |config| {
            config.forward_proxy.others = trailbox_gateway::config::OtherHosts::Tunnel;
            config.forward_proxy.private_targets = private;
        })
    };
    let (_bed, address, _) = proxy(tunnel(false)).await;
    assert_eq!(connect(address, &target).await.1.status, 502);
    let (bed, address, _) = proxy(tunnel(true)).await;
    let (mut peer, head) = connect(address, &target).await;
    assert_eq!(head.status, 200);
    peer.write(b"\x16ping").await;
    let mut pong = [0; 4];
    TcpStream::read_exact(&mut peer.stream, &mut pong).await.unwrap();
    assert_eq!(&pong, b"pong");
    assert_eq!(bed.records().len(), 0);
    assert_eq!(connect(address, &address.to_string()).await.1.status, 502, "ourselves");
}
