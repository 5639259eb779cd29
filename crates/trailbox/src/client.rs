//! The command line's way to the running server: its signed API on the admin port.

use crate::datadir::{DataDir, Running};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::net::SocketAddr;
use tokio::net::TcpStream;
use trailbox_clock::Clock;
use trailbox_sigv4::SignRequest;

/// An access key of ours, as a caller holds it.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) access_key_id: String,
    pub(crate) secret: String,
    pub(crate) session_token: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// One signed call to come.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'a str,
    /// Path and query as sent.
    pub(crate) target: &'a str,
    /// SigV4 service name, such as `s3`.
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// Signs `call` with `credentials` and sends it to `address`.
pub(crate) async fn send(
    address: SocketAddr,
    credentials: &Credentials,
    clock: &dyn Clock,
    call: Call<'_>,
) -> anyhow::Result<Answer> {
    let mut headers = call.headers;
    headers.push(("host".to_owned(), address.to_string()));
    headers.extend(trailbox_sigv4::sign(SignRequest {
        method: call.method,
        target: call.target,
        headers: &headers,
        body: &call.body,
        access_key_id: &credentials.access_key_id,
        secret: &credentials.secret,
        session_token: credentials.session_token.as_deref(),
        region: call.region,
        service: call.service,
        now: clock.now(),
    }));
    let mut request = hyper::Request::builder().method(call.method).uri(call.target);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    exchange(address, request.body(Full::new(call.body))?).await
}

/// Sends one request on a connection of its own.
pub(crate) async fn exchange(
    address: SocketAddr,
    request: hyper::Request<Full<Bytes>>,
) -> anyhow::Result<Answer> {
    let stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("nothing answers on {address}; is the server running?"))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes();
    driver.abort();
    Ok(Answer { status, body })
}

/// The signed API of the server that holds a data directory.
#[derive(Debug)]
pub(crate) struct Admin {
    address: SocketAddr,
    credentials: Credentials,
}

impl Admin {
    /// Finds the running server and the administrator key of `data`.
    pub(crate) fn connect(data: &DataDir) -> anyhow::Result<Self> {
        let Running { admin_listen, .. } = data.running()?;
        Ok(Self::at(admin_listen, crate::adminkey::read(data)?))
    }

    /// The server whose admin port is at `address`, asked by an administrator.
    pub(crate) fn at(address: SocketAddr, credentials: Credentials) -> Self {
        Self { address, credentials }
    }

    /// Calls `method path` with a JSON body; the answer's JSON.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let bytes = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        self.send(method, path, bytes.into()).await
    }

    /// Calls `method path` with the bytes of a file; the answer's JSON.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<Value> {
        json_of(&self.bytes(method, path, body).await?)
    }

    /// Calls `method path` with a body; the answer as it came.
    pub(crate) async fn bytes(
        &self,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<Bytes> {
        let call = Call {
            method,
            target: path,
            service: "trailbox",
            region: "us-east-1",
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body,
        };
        let clock = crate::ports::SystemClock;
        let answer = send(self.address, &self.credentials, &clock, call).await?;
        if answer.status >= 300 {
            let json = json_of(&answer.body)?;
            let code = json["__type"].as_str().or(json["code"].as_str()).unwrap_or("error");
            let message = json["message"].as_str().unwrap_or("no message");
            bail!("{code}: {message}");
        }
        Ok(answer.body)
    }
}

fn json_of(body: &[u8]) -> anyhow::Result<Value> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(body).context("the server's answer is not JSON")
}
