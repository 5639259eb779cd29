//! Finding out whether an upstream refuses wrong signatures.
//!
//! One harmless request with a deliberately wrong signature, under a key that
//! cannot exist: who answers it as if nothing were wrong does not verify.

use super::answerer::{Upstream, Verifies};
use crate::denial::is_identity_code;
use crate::io::{PeerError, part};
use crate::observe;
use crate::passage::Passage;
use crate::shared::Shared;
use crate::wire::{ResponseIn, parse_response};
use std::time::Duration;
use trailbox_clock::Micros;
use trailbox_exchange::ResponseHead;
use trailbox_service_facts::RouteHints;
use trailbox_service_facts::decode::decode_error;

/// Longest wait for a probe's answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes read of an answer to a request of our own.
const ANSWER_MAX: usize = 1 << 20;

/// Asks every upstream that is to be asked.
pub(crate) async fn probe_all(shared: &Shared) {
    for (service, upstream) in shared.answerers.remotes() {
        if upstream.is_probe_due() {
            probe(shared, service, upstream).await;
        }
    }
}

async fn probe(shared: &Shared, service: &str, upstream: &Upstream) {
    let raw = request(service, &upstream.authority, shared.clock.now());
    match fetch(shared, upstream, &raw, PATIENCE).await {
        // A server in trouble says nothing about how it is otherwise.
        Ok((head, _)) if 500 <= head.status => {}
        Ok((head, body)) => {
            let denial = denial(shared, &raw, &head, &body);
            // 400 is also what a server says that does not know the operation.
            let verifies = matches!(head.status, 401 | 403)
                || (head.status == 400 && denial.as_deref().is_some_and(is_identity_code));
            observe::Probed { upstream: &upstream.name, verifies, status: head.status }.emit();
            upstream.found(if verifies { Verifies::Yes { denial } } else { Verifies::No });
        }
        Err(error) => {
            let error = error.to_string();
            observe::ProbeFailed { upstream: &upstream.name, error: &error }.emit();
        }
    }
}

/// The code a wrong signature was refused with.
fn denial(shared: &Shared, raw: &[u8], head: &ResponseHead, body: &[u8]) -> Option<String> {
    let mut buffer = bytes::BytesMut::from(raw);
    let request = crate::wire::parse_request(&mut buffer, shared.head_limits).ok()??;
    let route = shared.facts.route(&request.head, Some(&buffer), &RouteHints::default());
    decode_error(&route, &request.head.method, head, body).map(|error| error.code)
}

/// `ListBuckets` for S3, `GetCallerIdentity` for everybody else.
fn request(service: &str, host: &str, now: Micros) -> Vec<u8> {
    let date = now.to_amz_date();
    let day = date.get(..8).unwrap_or_default();
    let s3 = service == "s3";
    let scope = if s3 { "s3" } else { "sts" };
    let signature = "0123456789abcdef".repeat(4);
    let signed = "host;x-amz-content-sha256;x-amz-date";
    let body = "Action=GetCallerIdentity&Version=2011-06-15";
    let hash = "fedcba9876543210".repeat(4);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIATRAILBOXPROBE000/{day}/us-east-1/{scope}/aws4_request, \
         SignedHeaders={signed}, Signature={signature}"
    );
    let common = format!(
        "Host: {host}\r\nX-Amz-Date: {date}\r\nAuthorization: {authorization}\r\n\
         User-Agent: trailbox-probe\r\n"
    );
    if s3 {
        format!("GET / HTTP/1.1\r\n{common}X-Amz-Content-SHA256: UNSIGNED-PAYLOAD\r\n\r\n")
    } else {
        format!(
            "POST / HTTP/1.1\r\n{common}X-Amz-Content-SHA256: {hash}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
    .into_bytes()
}

/// Sends a request of our own and reads the whole answer.
pub(crate) async fn fetch(
    shared: &Shared,
    upstream: &Upstream,
    request: &[u8],
    patience: Duration,
) -> Result<(ResponseHead, Vec<u8>), PeerError> {
    let lease = upstream
        .pool
        .lease()
        .await
        .map_err(|error| PeerError::Gone(std::io::Error::other(error.to_string())))?;
    let (mut inbound, mut outbound) = part(lease.io, patience);
    outbound.write(request, &[]).await?;
    let to_head = request.starts_with(b"HEAD ");
    let head: ResponseIn = loop {
        match parse_response(&mut inbound.buffer, to_head, shared.head_limits)? {
            Some(head) if head.is_interim() => {}
            Some(head) => break head,
            None if inbound.fill(patience).await? == 0 => return Err(PeerError::early_end()),
            None => {}
        }
    };
    let mut body = Passage::new(head.framing, ANSWER_MAX);
    loop {
        body.scan(&inbound.buffer)?;
        let _ = inbound.buffer.split_to(body.ready());
        body.forwarded(body.ready());
        if body.is_done() || (ANSWER_MAX as u64) < body.total() {
            break;
        }
        if inbound.fill(patience).await? == 0 {
            if body.may_end_here() {
                break;
            }
            return Err(PeerError::early_end());
        }
    }
    Ok((head.head, body.kept().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::request;
    use crate::wire::{HeadLimits, parse_request};
    use bytes::BytesMut;
    use trailbox_clock::Micros;

    #[test]
    fn a_probe_is_a_well_formed_request_with_a_readable_claim() {
        for service in ["s3", "iam"] {
            let raw = request(service, "h:1", Micros::from_seconds(1_700_000_000));
            let mut buffer = BytesMut::from(&raw[..]);
            let parsed = parse_request(&mut buffer, HeadLimits::default()).unwrap().unwrap();
            let head = parsed.head;
            assert!(
                matches!(trailbox_sigv4::claim(&head), trailbox_sigv4::Claim::V4(_)),
                "{service}"
            );
        }
    }
}
