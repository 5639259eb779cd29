//! Listeners side by side: whom each believes, whose calls pass, who leaves
//! when there is no room, and how they stop.

use crate::support::{Ask, Gate, Peer, Setup, Upstream, ok};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use trailbox_gateway::Callers;
use trailbox_gateway::tls::{mutual_config, self_signed};

const GET: &str = "GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n";

/// What one connection gets for `bytes`; status 0 when it is closed unanswered.
async fn told(address: SocketAddr, bytes: &[u8]) -> u16 {
    let mut peer = Peer::connect(address).await;
    peer.write(bytes).await;
    peer.answer(false).await.status
}

#[tokio::test]
async fn the_proxy_header_names_the_caller_where_config_says_so_and_nowhere_else() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let behind = bed
        .listen(|listener| {
            listener.name = "balanced".into();
            listener.proxy_protocol = vec!["127.0.0.0/8".parse().unwrap()];
        })
        .await;
    let elsewhere = bed
        .listen(|listener| listener.proxy_protocol = vec!["192.0.2.0/24".parse().unwrap()])
        .await;
    let text = format!("PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n{GET}");
    let binary = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x0a\x0a\0\0\x01\0\x50\0\x50",
        GET.as_bytes(),
    ]
    .concat();

    assert_eq!(told(behind, text.as_bytes()).await, 200);
    assert_eq!(told(behind, &binary).await, 200);
    let records = bed.wait_for_records(2).await;
    assert_eq!(records[0]["sourceIPAddress"], "203.0.113.9");
    assert_eq!(records[1]["sourceIPAddress"], "203.0.113.10");
    assert!(bed.frames().iter().any(|frame| frame.extension.listener == "balanced"));

    assert_eq!(told(behind, GET.as_bytes()).await, 0, "a header that must come and does not");
    assert_eq!(told(bed.address, text.as_bytes()).await, 400);
    assert_eq!(told(bed.address, &binary).await, 400);
    assert_eq!(told(elsewhere, text.as_bytes()).await, 400);
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn only_verified_callers_pass_where_config_says_so_and_refusals_are_recorded() {
    let upstream = Upstream::agreeable().await;
    let bed = Setup::with_default(&upstream).start().await;
    let known = bed.listen(|listener| listener.callers = Callers::Known).await;
    let alice = Ask::new("GET", "s3", "/b/k");
    let stranger = alice.clone().by("AKIASTRANGER00000000", "what", None);
    let query = Ask::query("sts", "Action=GetSessionToken&Version=2011-06-15");
    let query = query.by("AKIASTRANGER00000000", "what", None);
    assert_eq!(told(known, &alice.signed(bed.now())).await, 200);
    let mut peer = Peer::connect(known).await;
    peer.write(&stranger.signed(bed.now())).await;
    assert!(peer.answer(false).await.text().contains("InvalidAccessKeyId"));
    peer.write(&query.signed(bed.now())).await;
    assert!(peer.answer(false).await.text().contains("InvalidClientTokenId"));
    peer.write(GET.as_bytes()).await;
    assert_eq!(peer.answer(false).await.status, 403);
    let records = bed.wait_for_records(4).await;
    assert!(records[1..].iter().all(|record| record["errorCode"].is_string()), "{records:#?}");
    assert_eq!(upstream.requests().len(), 1);
    assert_eq!(bed.call(stranger.signed(bed.now())).await.status, 200, "the other listener");
}

/// An authority, and a certificate of it with its key.
fn authority() -> (String, Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["robot".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let chain = vec![leaf.der().clone()];
    (ca, chain, PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap())
}

#[tokio::test]
async fn mutual_tls_lets_in_who_has_a_certificate_of_the_authority_and_nobody_else() {
    let upstream = Upstream::answering(|_| ok("abc")).await;
    let bed = Setup::with_default(&upstream).start().await;
    let (ca, chain, key) = authority();
    let (_, wrong_chain, wrong_key) = authority();
    let pair = self_signed(&[]).unwrap();
    let mutual = mutual_config(&pair, &ca).unwrap();
    let address = bed.listen(|listener| listener.tls = Some(mutual)).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = || {
        rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
    };
    let clients = [
        (builder().with_client_auth_cert(chain, key).unwrap(), true),
        (builder().with_client_auth_cert(wrong_chain, wrong_key).unwrap(), false),
        (builder().with_no_client_auth(), false),
    ];
    for (client, passes) in clients {
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        // In TLS 1.3 a client hears of its refusal after its own last word.
        let served = async {
            let mut stream = connector.connect(name, stream).await?;
            stream
                .write_all(GET.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes())
                .await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            std::io::Result::Ok(answer)
        };
        let answer = served.await.unwrap_or_default();
        assert_eq!(answer.ends_with(b"abc"), passes);
    }
    assert_eq!(bed.records().len(), 1);
}

#[tokio::test]
async fn when_every_seat_is_taken_the_longest_idle_connection_makes_room() {
    let gate = Gate::new();
    let upstream = Upstream::behind(&gate, ok("slow")).await;
    let setup = Setup::with_default(&upstream).edit(|config| config.limits.connections_max = 3);
    let bed = setup.start().await;
    let mut busy = bed.connect().await;
    busy.write(GET.as_bytes()).await;
    upstream.connected(1).await;
    let mut oldest = bed.connect().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut younger = bed.connect().await;
    younger.write(b"GET / HT").await;
    tokio::time::sleep(Duration::from_millis(50)).await;

    let mut fresh = bed.connect().await;
    assert!(oldest.is_closed().await);
    fresh.write(GET.as_bytes()).await;
    upstream.connected(2).await;
    let mut last = bed.connect().await;
    assert!(younger.is_closed().await);
    gate.open();
    assert_eq!(busy.answer(false).await.text(), "slow", "a call under way is not cut");
    assert_eq!(fresh.answer(false).await.text(), "slow");
    last.write(GET.as_bytes()).await;
    assert_eq!(last.answer(false).await.text(), "slow");
}

#[tokio::test]
async fn one_address_gets_no_more_connections_than_its_share() {
    let upstream = Upstream::agreeable().await;
    let setup =
        Setup::with_default(&upstream).edit(|config| config.limits.connections_per_peer_max = 2);
    let bed = setup.start().await;
    let (mut first, _second) = (bed.connect().await, bed.connect().await);
    first.write(GET.as_bytes()).await;
    assert_eq!(first.answer(false).await.status, 200);
    assert!(bed.connect().await.is_closed().await);
    drop(first);
    // Its place is free when its end has been seen.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(bed.call(GET).await.status, 200);
}

#[tokio::test]
async fn at_shutdown_idle_connections_end_and_who_just_came_is_served() {
    let upstream = Upstream::agreeable().await;
    let mut bed = Setup::with_default(&upstream).start().await;
    let mut idle = bed.connect().await;
    idle.write(GET.as_bytes()).await;
    assert_eq!(idle.answer(false).await.status, 200);
    let mut fresh = bed.connect().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let started = std::time::Instant::now();
    let served = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(100)).await;
        fresh.write(GET.as_bytes()).await;
        fresh.answer(false).await.status
    });
    bed.stop().await;
    assert!(idle.is_closed().await);
    assert_eq!(served.await.unwrap(), 200);
    assert!(started.elapsed() < Duration::from_secs(10), "nobody lingers on an idle connection");
}
