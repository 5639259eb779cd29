//! The engine's server on its Unix socket: plain HTTP from the recorder.
//!
//! The recorder has read the route, the caller and the Region already; they come
//! in `x-trailbox-*` headers, which it never lets through from a client.

use super::Parts;
use crate::stop::told;
use anyhow::Context as _;
use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use trailbox_api::{OwnAnswer, OwnRequest};
use trailbox_exchange::{Headers, RequestHead};
use trailbox_identity::Caller;
use trailbox_journal::Position;

/// Largest body of a call to our own operations, in bytes.
const BODY_MAX: usize = 4 << 20;

/// Most header fields of a call: what the recorder lets through, and its own.
const HEADERS_MAX: usize = 288;

/// Pause after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

type Body = http_body_util::combinators::BoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Answers until `stop` says true, then finishes what is under way.
pub(super) async fn serve(
    listener: UnixListener,
    parts: Arc<Parts>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(connection(stream, parts.clone(), stop.clone()));
                    }
                    Err(err) => {
                        // Out of descriptors, most likely: calls under way give some back.
                        tracing::error!(error = %err, "the engine cannot accept a connection");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
            Some(_) = connections.join_next() => {}
            () = told(&mut stop) => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: UnixStream, parts: Arc<Parts>, mut stop: watch::Receiver<bool>) {
    let service = service_fn(move |request| {
        let parts = parts.clone();
        async move { Ok::<_, Infallible>(answer(&parts, request).await) }
    });
    let http = hyper::server::conn::http1::Builder::new()
        .preserve_header_case(true)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut http = std::pin::pin!(http);
    let done = tokio::select! {
        done = http.as_mut() => done,
        () = told(&mut stop) => {
            http.as_mut().graceful_shutdown();
            http.await
        }
    };
    if let Err(err) = done {
        tracing::debug!(error = %err, "the recorder closed a connection to the engine");
    }
}

async fn answer(parts: &Parts, request: Request<Incoming>) -> Response<Body> {
    let service = header(&request, "x-trailbox-service").unwrap_or_default().to_owned();
    if service == "s3" {
        return stored(parts.store.call(request).await);
    }
    if service == "metrics" {
        let text = super::figures::text(&parts.history.stats()) + &parts.registry.sources.text();
        return plain(200, text);
    }
    match own(parts, request).await {
        Ok(answer) => whole(answer),
        Err(err) => {
            tracing::error!(error = %format!("{err:#}"), "the recorder sent what the engine cannot read");
            plain(500, "{\"__type\":\"InternalFailure\"}")
        }
    }
}

/// The store's answer, its body as ours.
fn stored(response: Response<trailbox_store::Body>) -> Response<Body> {
    response.map(|body| body.map_err(Into::into).boxed())
}

async fn own(parts: &Parts, request: Request<Incoming>) -> anyhow::Result<OwnAnswer> {
    let text = |name: &str| {
        header(&request, name).map(str::to_owned).with_context(|| format!("no `{name}`"))
    };
    let caller = base64::engine::general_purpose::STANDARD.decode(text("x-trailbox-caller")?)?;
    let caller: Caller = serde_json::from_slice(&caller).context("`x-trailbox-caller`")?;
    let position = match header(&request, "x-trailbox-position") {
        Some(text) => Some(text.parse::<Position>().context("`x-trailbox-position`")?),
        None => None,
    };
    let calls = header(&request, "x-trailbox-calls").and_then(counts);
    let (service, operation) = (text("x-trailbox-service")?, text("x-trailbox-operation")?);
    let (region, request_id) = (text("x-trailbox-region")?, text("x-trailbox-request-id")?);
    let (head, body) = request.into_parts();
    let head = RequestHead {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: plain_headers(&head.headers),
    };
    let body = Limited::new(body, BODY_MAX)
        .collect()
        .await
        .map_err(|err| anyhow::anyhow!("the body: {err}"))?
        .to_bytes();
    let request =
        OwnRequest { service, operation, head, body, caller, region, request_id, position, calls };
    Ok(parts.api.answer(request).await)
}

/// Four counts, separated by spaces.
fn counts(text: &str) -> Option<[u64; 4]> {
    let counts: Result<Vec<u64>, _> = text.split(' ').map(str::parse).collect();
    counts.ok()?.try_into().ok()
}

fn plain_headers(headers: &hyper::HeaderMap) -> Headers {
    let ours = |name: &str| name.starts_with("x-trailbox-");
    headers
        .iter()
        .filter(|(name, _)| !ours(name.as_str()))
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

fn header<'a>(request: &'a Request<Incoming>, name: &str) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

fn whole(answer: OwnAnswer) -> Response<Body> {
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers.iter() {
        response = response.header(name, value);
    }
    let body = Full::new(answer.body).map_err(|never| match never {}).boxed();
    response.body(body).unwrap_or_else(|_| plain(500, "{\"__type\":\"InternalFailure\"}"))
}

fn plain(status: u16, text: impl Into<Bytes>) -> Response<Body> {
    let body = Full::new(text.into()).map_err(|never| match never {});
    let mut response = Response::new(body.boxed());
    *response.status_mut() =
        hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    response
}
