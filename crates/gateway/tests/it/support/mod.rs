//! A gateway on a simulated disk, upstreams that do as they are told, clients
//! that write bytes.

mod disk;
mod http2;
mod log;
mod peer;

pub use disk::GatedDisk;
pub use http2::{Http2, Http2Server, Reply, pour};
pub use log::Log;
pub use peer::{Gate, Message, Peer, Upstream, eventually};

use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use trailbox_clock::{Clock, ManualClock, Micros, SeededRandom};
use trailbox_gateway::config::GatewayConfig;
use trailbox_gateway::{
    Gateway, GatewayParts, ListenerRole, ListenerSettings, MetricsText, Mode, SharedDirectory,
};
use trailbox_identity::{AccessKey, Directory, Principal};
use trailbox_journal::disk::{Disk, SimulatedDisk};
use trailbox_journal::{
    DataKey, DataKeys, FrameKind, Journal, KeyError, Options, Reader, StoredFrame,
};
use trailbox_service_facts::Facts;
use trailbox_sigv4::SignRequest;

pub const ACCOUNT: &str = "111122223333";
pub const KEY: &str = "AKIAEXAMPLEALICE0000";
pub const SECRET: &str = "alices-secret-key-that-nobody-logs";

/// One key for everybody.
#[derive(Debug)]
struct OneKey;

impl DataKeys for OneKey {
    fn current(&self, _account: &str) -> Result<DataKey, KeyError> {
        Ok(DataKey { id: 1, key: [7; 32] })
    }

    fn by_id(&self, _account: &str, _id: u32) -> Result<[u8; 32], KeyError> {
        Ok([7; 32])
    }
}

/// What a test bed is made with.
pub struct Setup {
    pub config: GatewayConfig,
    pub mode: Mode,
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub engine: Option<std::path::PathBuf>,
}

impl Setup {
    /// Everything goes to `upstream`, which does not verify signatures.
    pub fn with_default(upstream: &Upstream) -> Self {
        let mut setup = Self::nobody();
        let text = format!(
            "default_upstream = {{ url = 'http://{}', verifies_signatures = false }}",
            upstream.address
        );
        setup.config = toml::from_str(&text).unwrap();
        setup
    }

    pub fn nobody() -> Self {
        Self { config: GatewayConfig::default(), mode: Mode::Normal, tls: None, engine: None }
    }

    pub fn edit(mut self, change: impl FnOnce(&mut GatewayConfig)) -> Self {
        change(&mut self.config);
        self
    }

    pub fn test_mode(mut self) -> Self {
        self.mode = Mode::Test;
        self
    }

    pub async fn start(self) -> Bed {
        Bed::start(self, Arc::new(SimulatedDisk::new(1))).await
    }
}

/// A running gateway.
pub struct Bed {
    pub address: std::net::SocketAddr,
    pub gateway: Gateway,
    pub clock: Arc<ManualClock>,
    disk: Arc<dyn Disk>,
    stop: Option<oneshot::Sender<()>>,
    running: Option<JoinHandle<std::io::Result<()>>>,
}

impl Bed {
    pub async fn start(setup: Setup, disk: Arc<dyn Disk>) -> Self {
        let now = Micros::parse_rfc3339("2026-11-22T18:00:00Z").unwrap();
        let clock = Arc::new(ManualClock::at(now));
        let random = Arc::new(SeededRandom::new(42));
        let mut options = Options::new("/journal", [9; 16]);
        (options.reserve_bytes, options.free_bytes_min) = (1 << 20, 1 << 20);
        options.seal = false;
        let (journal, _) = Journal::open(
            Arc::clone(&disk),
            Arc::new(OneKey),
            Arc::clone(&clock) as Arc<dyn Clock>,
            random.clone(),
            options,
        )
        .unwrap();
        let gateway = Gateway::new(GatewayParts {
            clock: clock.clone(),
            random,
            facts: Facts::embedded(),
            journal: Arc::new(journal),
            directory: Arc::new(SharedDirectory::new(people())),
            engine_socket: setup.engine.unwrap_or_else(|| "/nowhere/engine.sock".into()),
            config: setup.config,
            mode: setup.mode,
            account: ACCOUNT.to_owned(),
            metrics: MetricsText(Arc::new(|| "own_metric 1\n".to_owned())),
        })
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn({
            let (gateway, tls) = (gateway.clone(), setup.tls);
            async move {
                let stopped = async { drop(stopped.await) };
                let settings = ListenerSettings { tls, ..gateway.settings(ListenerRole::Aws) };
                gateway.run(listener, settings, stopped).await
            }
        });
        let (stop, running) = (Some(stop), Some(running));
        Self { address, gateway, clock, disk, stop, running }
    }

    /// Opens the admin listener, too.
    pub async fn admin(&self) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = self.gateway.clone();
        tokio::spawn(async move {
            let settings = gateway.settings(ListenerRole::Admin);
            gateway.run(listener, settings, std::future::pending()).await
        });
        address
    }

    /// Opens one more listener for AWS calls.
    pub async fn listen(&self, edit: impl FnOnce(&mut ListenerSettings)) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = self.gateway.clone();
        let mut settings = gateway.settings(ListenerRole::Aws);
        edit(&mut settings);
        tokio::spawn(async move { gateway.run(listener, settings, std::future::pending()).await });
        address
    }

    /// Stops the listener and waits for the calls under way.
    pub async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.running.take().unwrap().await.unwrap().unwrap();
    }

    pub async fn connect(&self) -> Peer {
        Peer::connect(self.address).await
    }

    /// Sends `request` on a connection of its own and reads the answer.
    pub async fn call(&self, request: impl AsRef<[u8]>) -> Message {
        let mut peer = self.connect().await;
        peer.write(request.as_ref()).await;
        let to_head = request.as_ref().starts_with(b"HEAD ");
        peer.answer(to_head).await
    }

    /// Every frame that is durable now.
    pub fn frames(&self) -> Vec<StoredFrame> {
        let mut reader =
            Reader::open(Arc::clone(&self.disk), Arc::new(OneKey), "/journal").unwrap();
        let mut frames = Vec::new();
        loop {
            let batch = reader.next_batch(1000).unwrap();
            if batch.is_empty() {
                return frames;
            }
            frames.extend(batch);
        }
    }

    /// The records that are durable now.
    pub fn records(&self) -> Vec<Value> {
        self.of_kind(FrameKind::Record)
    }

    pub fn of_kind(&self, kind: FrameKind) -> Vec<Value> {
        self.frames()
            .iter()
            .filter(|frame| frame.kind == kind)
            .map(|frame| serde_json::from_slice(frame.payload.bytes().unwrap()).unwrap())
            .collect()
    }

    /// The records, once there are `count` of them.
    pub async fn wait_for_records(&self, count: usize) -> Vec<Value> {
        for _ in 0..2000 {
            let records = self.records();
            if count <= records.len() {
                return records;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} records after 20 s, not {count}", self.records().len());
    }

    /// The only record, once it is there.
    pub async fn only_record(&self) -> Value {
        let mut records = self.wait_for_records(1).await;
        assert_eq!(records.len(), 1, "{records:#?}");
        records.remove(0)
    }

    pub fn now(&self) -> Micros {
        self.clock.now()
    }
}

/// Alice has a key.
fn people() -> Directory {
    let mut directory = Directory::new();
    let alice = Principal::user(ACCOUNT, "/", "alice", "AIDAALICE");
    directory.add_key(AccessKey::lasting(KEY, SECRET.into(), &alice.arn));
    directory.add_principal(alice);
    let carol = Principal::user(ACCOUNT, "/", "carol", "AIDACAROL").as_administrator();
    directory.add_key(AccessKey::without_secret("AKIASECRETLESS", &carol.arn));
    directory.add_principal(carol);
    directory
}

/// A request to be written and signed.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: &'static str,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub service: &'static str,
    pub key: (String, String, Option<String>),
}

impl Ask {
    pub fn new(method: &'static str, service: &'static str, target: &str) -> Self {
        Self {
            method,
            target: target.to_owned(),
            headers: vec![("Host".to_owned(), "localhost:4747".to_owned())],
            body: Vec::new(),
            service,
            key: (KEY.to_owned(), SECRET.to_owned(), None),
        }
    }

    /// A query operation: `Action=…`.
    pub fn query(service: &'static str, form: &str) -> Self {
        Self::new("POST", service, "/")
            .header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(form)
    }

    /// An awsJson operation.
    pub fn json(service: &'static str, target: &str, body: &str) -> Self {
        Self::new("POST", service, "/")
            .header("Content-Type", "application/x-amz-json-1.1")
            .header("X-Amz-Target", target)
            .body(body)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        body.as_ref().clone_into(&mut self.body);
        self
    }

    pub fn by(mut self, id: &str, secret: &str, token: Option<&str>) -> Self {
        self.key = (id.to_owned(), secret.to_owned(), token.map(str::to_owned));
        self
    }

    pub fn request(&self, now: Micros) -> SignRequest<'_> {
        SignRequest {
            method: self.method,
            target: &self.target,
            headers: &self.headers,
            body: &self.body,
            access_key_id: &self.key.0,
            secret: &self.key.1,
            session_token: self.key.2.as_deref(),
            region: "us-east-1",
            service: self.service,
            now,
        }
    }

    /// Head and body as bytes, signed.
    pub fn signed(&self, now: Micros) -> Vec<u8> {
        let added = trailbox_sigv4::sign(self.request(now));
        self.written(&added, Some(&self.body))
    }

    /// Head as bytes with `added` fields; `Content-Length` and body if given.
    pub fn written(&self, added: &[(String, String)], body: Option<&[u8]>) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in self.headers.iter().chain(added) {
            text.extend([name, ": ", value, "\r\n"]);
        }
        if let Some(body) = body.filter(|body| !body.is_empty() || self.method != "GET") {
            text.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        text.push_str("\r\n");
        [text.as_bytes(), body.unwrap_or_default()].concat()
    }
}

/// An answer with a length.
pub fn ok(body: &str) -> Vec<u8> {
    answer(200, "", body)
}

pub fn answer(status: u16, fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{fields}\r\n{body}", body.len())
        .into_bytes()
}
