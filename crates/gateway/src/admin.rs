//! `/healthz`, `/readyz`, `/metrics`: unsigned, unrecorded, admin listener only.

use crate::answer::{http_date, reason_phrase};
use crate::connection::{After, Client};
use crate::shared::Shared;
use crate::upstream::fetch;
use crate::wire::{Framing, RequestIn};
use std::time::Duration;
use trailbox_exchange::RequestHead;
use trailbox_journal::Admission;

/// Longest wait for the engine's metrics.
const ENGINE_PATIENCE: Duration = Duration::from_secs(2);

/// Whether the admin listener answers it without a signature.
pub(crate) fn is_public(head: &RequestHead) -> bool {
    matches!(head.method.as_str(), "GET" | "HEAD")
        && matches!(head.path(), "/healthz" | "/readyz" | "/metrics")
}

/// Answers one of the public paths.
pub(crate) async fn answer(shared: &Shared, client: &mut Client, request: &RequestIn) -> After {
    let (status, text) = match request.head.path() {
        "/healthz" => (200, "ok\n".to_owned()),
        "/readyz" => ready(shared),
        _ => (200, metrics(shared).await),
    };
    // A body with these is not worth reading.
    let keep = request.keep_alive && request.framing == Framing::Length(0) && !client.is_draining();
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nDate: {}\r\n{}\r\n",
        reason_phrase(status),
        text.len(),
        http_date(shared.clock.now()),
        if keep { "" } else { "Connection: close\r\n" },
    );
    let body = if request.head.method == "HEAD" { "" } else { &text };
    match client.outbound.write(head.as_bytes(), body.as_bytes()).await {
        Ok(()) if keep => After::Keep,
        Ok(()) | Err(_) => After::Close,
    }
}

/// Ready is who can record.
fn ready(shared: &Shared) -> (u16, String) {
    match shared.journal.admission() {
        Admission::Open => (200, "ready\n".to_owned()),
        Admission::Refusing { reason } => (503, format!("journal refuses: {reason}\n")),
    }
}

/// Our own metrics, then the engine's where it answers.
async fn metrics(shared: &Shared) -> String {
    let mut text = (shared.metrics.0)();
    let engine = shared.answerers.engine();
    let request = b"GET /metrics HTTP/1.1\r\nHost: engine\r\nx-trailbox-service: metrics\r\n\r\n";
    if let Ok((head, body)) = fetch(shared, engine, request, ENGINE_PATIENCE).await
        && head.status == 200
    {
        text.push_str(&String::from_utf8_lossy(&body));
    }
    text
}
