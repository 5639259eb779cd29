//! The answer on its way down: streamed, its end held until the record is durable.

use super::send::{SendError, Sending, Sent};
use crate::http2::Fault;
use crate::io::{Inbound, Outbound, PeerError};
use crate::passage::Passage;
use crate::wire::{HeadError, HeadLimits, ResponseIn, parse_response};
use bytes::Bytes;
use std::time::Duration;
use tokio::time::Instant;

/// How an answer is read and how long that may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) limits: HeadLimits,
    /// The request was a `HEAD`.
    pub(super) to_head: bool,
    /// The client was told to go on already.
    pub(super) said_continue: bool,
    /// Longest wait for the head once the request is sent.
    pub(super) response_timeout: Duration,
    /// Longest pause within the body.
    pub(super) stall_timeout: Duration,
    /// Bytes kept of a successful body, and of an error.
    pub(super) caps: (usize, usize),
    /// The operation answers with an event stream when it succeeds.
    pub(super) event_stream: bool,
    /// The client asked for another protocol.
    pub(super) upgrade: bool,
}

/// What became of an exchange with an upstream.
#[derive(Debug)]
pub(super) struct Relayed {
    /// The answer, if its head came.
    pub(super) answer: Option<Incoming>,
    /// Why it did not come to its end.
    pub(super) trouble: Option<Trouble>,
    /// The whole request was sent.
    pub(super) sent: bool,
    /// More of the request is to be sent while the answer streams.
    pub(super) paused: bool,
    /// Seconds from there to the head of the answer.
    pub(super) waited: Duration,
}

/// An answer that came, or is coming.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) head: ResponseIn,
    pub(super) body: Passage,
    /// What of the head was not written to the client yet.
    pub(super) lead: Bytes,
    /// The client takes no more.
    pub(super) client_gone: bool,
    /// It is an event stream, or the end of HTTP: recorded now, piped then.
    pub(super) stream: bool,
}

impl Relayed {
    /// The stream of HTTP/2 that stood for a connection tells more than its end.
    pub(super) fn blame(&mut self, fault: &Fault) {
        let told = || PeerError::Gone(std::io::Error::other(fault.reason.clone()));
        match &mut self.trouble {
            Some(
                Trouble::Upstream(error @ PeerError::Gone(_))
                | Trouble::Broken(error @ PeerError::Gone(_)),
            ) => *error = told(),
            Some(Trouble::Upstream(_) | Trouble::Broken(_) | Trouble::Sending(_)) | None => {}
        }
        self.sent = self.sent && !fault.unprocessed;
    }
}

/// What went wrong.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The request could not be sent to its end.
    Sending(SendError),
    /// The upstream did not answer, or not in HTTP.
    Upstream(PeerError),
    /// The answer broke off.
    Broken(PeerError),
}

/// Waits for the head of the answer while the request is being sent.
pub(super) async fn relay(
    mut sending: Sending<'_>,
    upstream: &mut Inbound,
    client: &mut Outbound,
    terms: &Terms,
) -> Relayed {
    let (head, waited) = head(&mut sending, upstream, client, terms).await;
    let (answer, trouble) = match head {
        Ok(head) => {
            let mut answer = Incoming::new(head, terms);
            let broken = if answer.stream {
                sending.pause().await;
                None
            } else {
                answer.pump(&mut sending, upstream, client, terms.stall_timeout).await.err()
            };
            (Some(answer), broken.map(Trouble::Broken))
        }
        Err(error) => (None, Some(Trouble::Upstream(error))),
    };
    // The last of the request may have been taken without our noticing.
    let _ = sending.beside(std::future::ready(())).await;
    let hopeless = sending.is_hopeless();
    let (sent, paused, failed) = match sending.into_end() {
        Some(Ok(Sent::Whole)) => (true, false, None),
        Some(Ok(Sent::Paused)) => (false, true, None),
        Some(Err(error)) => (false, false, Some(error)),
        None => (false, false, None),
    };
    let trouble = match failed.filter(|_| hopeless) {
        Some(error) => Some(Trouble::Sending(error)),
        None => trouble,
    };
    Relayed { answer, trouble, sent, paused, waited }
}

/// The final head. Interim ones pass to the client at once.
async fn head(
    sending: &mut Sending<'_>,
    upstream: &mut Inbound,
    client: &mut Outbound,
    terms: &Terms,
) -> (Result<ResponseIn, PeerError>, Duration) {
    let mut reading = std::pin::pin!(read_head(upstream, client, terms));
    tokio::select! {
        biased;
        () = sending.end() => {}
        head = &mut reading => return (head, Duration::ZERO),
    }
    if sending.is_hopeless() {
        return (Err(PeerError::early_end()), Duration::ZERO);
    }
    let started = Instant::now();
    let patience = terms.response_timeout;
    let head = tokio::time::timeout(patience, reading).await;
    (head.unwrap_or(Err(PeerError::Stalled(patience))), started.elapsed())
}

async fn read_head(
    upstream: &mut Inbound,
    client: &mut Outbound,
    terms: &Terms,
) -> Result<ResponseIn, PeerError> {
    let mut swallow = terms.said_continue;
    loop {
        match parse_response(&mut upstream.buffer, terms.to_head, terms.limits)? {
            Some(head) if head.head.status == 101 && !terms.upgrade => {
                let what = "the upstream switches protocols unasked".to_owned();
                return Err(HeadError::Malformed { what }.into());
            }
            Some(head) if head.is_interim() => {
                if !(head.head.status == 100 && std::mem::take(&mut swallow)) {
                    // A client that is gone is noticed when the answer is written.
                    let _ = client.write(&head.raw, &[]).await;
                }
            }
            Some(head) => return Ok(head),
            None => {
                if upstream.fill_unbounded().await? == 0 {
                    return Err(PeerError::early_end());
                }
            }
        }
    }
}

impl Incoming {
    fn new(head: ResponseIn, terms: &Terms) -> Self {
        let failed = 400 <= head.head.status;
        let media = head.head.headers.get("content-type").unwrap_or_default();
        let stream = !failed
            && (terms.event_stream
                || head.head.status == 101
                || media.starts_with("application/vnd.amazon.eventstream"));
        let cap = if failed { terms.caps.1 } else { terms.caps.0 };
        let body = Passage::new(head.framing, if stream { 0 } else { cap });
        let lead = head.raw.clone();
        Self { head, body, lead, client_gone: false, stream }
    }

    /// Passes the body on as it comes, up to its last payload byte: that and
    /// all behind it stay in the buffer, and so does the head of an answer that
    /// came whole.
    async fn pump(
        &mut self,
        sending: &mut Sending<'_>,
        upstream: &mut Inbound,
        client: &mut Outbound,
        patience: Duration,
    ) -> Result<(), PeerError> {
        loop {
            self.body.scan(&upstream.buffer)?;
            if self.body.is_done() {
                return Ok(());
            }
            let count = self.body.ready_but_last();
            if self.pass(sending, upstream, client, count).await.is_none() {
                return Ok(());
            }
            if self.client_gone && !self.worth_reading() {
                return Ok(());
            }
            match sending.beside(upstream.fill(patience)).await {
                None => return Ok(()),
                Some(Ok(0)) if self.body.may_end_here() => return Ok(()),
                Some(Ok(0)) => return Err(PeerError::early_end()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
            }
        }
    }

    /// Writes the head, if it was not, and `count` bytes of the body.
    async fn pass(
        &mut self,
        sending: &mut Sending<'_>,
        upstream: &mut Inbound,
        client: &mut Outbound,
        count: usize,
    ) -> Option<()> {
        let lead = std::mem::take(&mut self.lead);
        if !self.client_gone {
            let writing = client.write(&lead, &upstream.buffer[..count]);
            self.client_gone = sending.beside(writing).await?.is_err();
        }
        bytes::Buf::advance(&mut upstream.buffer, count);
        self.body.forwarded(count);
        Some(())
    }

    /// Whether the rest of the body is wanted for the record although nobody
    /// else wants it.
    fn worth_reading(&self) -> bool {
        self.body.kept_all() && self.body.remaining().is_none_or(|left| left <= 256 * 1024)
    }

    /// Releases what was held: the call is recorded.
    pub(super) async fn release(&mut self, upstream: &mut Inbound, client: &mut Outbound) {
        let ready = self.body.ready();
        let lead = std::mem::take(&mut self.lead);
        if !self.client_gone {
            self.client_gone = client.write(&lead, &upstream.buffer[..ready]).await.is_err();
        }
        bytes::Buf::advance(&mut upstream.buffer, ready);
        self.body.forwarded(ready);
    }

    /// Pipes an event stream to its end, nothing held, while `sending` goes on.
    pub(super) async fn pipe(
        &mut self,
        sending: &mut Sending<'_>,
        upstream: &mut Inbound,
        client: &mut Outbound,
        patience: Duration,
    ) -> Result<(), PeerError> {
        loop {
            self.body.scan(&upstream.buffer)?;
            let count = self.body.ready();
            self.pass(sending, upstream, client, count).await.ok_or_else(PeerError::early_end)?;
            if self.body.is_done() || self.client_gone {
                return Ok(());
            }
            // A request that cannot be gone on with ends its answer, too.
            let filled = sending.beside(upstream.fill(patience)).await;
            match filled.ok_or_else(PeerError::early_end)?? {
                0 if self.body.may_end_here() => return Ok(()),
                0 => return Err(PeerError::early_end()),
                _ => {}
            }
        }
    }
}
