//! The request on its way up: streamed, its end withheld until all that must
//! hold is known to hold.

use super::intent::Intent;
use super::pace::Pace;
use super::resign::Outgoing;
use crate::answer::Refusal;
use crate::io::{Inbound, Outbound, PeerError};
use crate::passage::Passage;
use crate::who::{self, Who};
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;
use trailbox_clock::Clock;
use trailbox_exchange::RequestHead;
use trailbox_journal::AppendError;
use trailbox_service_facts::Route;
use trailbox_sigv4::{VerifyError, refusal};

/// Why a request was not sent to its end.
#[derive(Debug)]
pub(super) enum SendError {
    /// The client's side failed.
    Client(PeerError),
    /// The upstream takes no more; it may still have answered.
    Upstream(PeerError),
    /// The body is not what was signed.
    Refused(Refusal),
    /// The intent is not durable.
    Intent(AppendError),
}

/// How far a request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// To its end.
    Whole,
    /// All that came, when it was asked to pause.
    Paused,
}

/// What must hold before the end of a request is released.
pub(super) struct Gate<'a> {
    pub(super) who: &'a mut Who,
    pub(super) head: &'a RequestHead,
    pub(super) route: &'a Route,
    pub(super) intent: &'a mut Intent,
    pub(super) clock: &'a dyn Clock,
    /// Whether a call whose intent is not durable passes all the same.
    pub(super) forward_anyway: bool,
}

impl Gate<'_> {
    /// Waits for the intent and proves the body.
    async fn pass(&mut self, body: &mut Passage) -> Result<(), SendError> {
        let now = self.clock.now();
        self.who.prove_body(self.head, self.route, body, now).map_err(SendError::Refused)?;
        match self.intent.wait().await {
            Err(error) if !self.forward_anyway => Err(SendError::Intent(error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// What is told when a body cannot be written anew.
    fn broken(&self, error: &VerifyError) -> SendError {
        let found = refusal::unproved(error, who::dialect(self.route));
        SendError::Refused(Refusal::new("resign", found.status, found.code, found.message))
    }
}

/// Sends head and body as they come. What completes the request goes last,
/// when `gate` lets it. `pause` ends it early, with nothing half written: the
/// same `outgoing` goes on from there.
pub(super) async fn send(
    outgoing: &mut Outgoing,
    inbound: &mut Inbound,
    outbound: &mut Outbound,
    body: &mut Passage,
    mut gate: Gate<'_>,
    (patience, mut pace): (Duration, Pace),
    pause: &Notify,
) -> Result<Sent, SendError> {
    let head = std::mem::take(&mut outgoing.head);
    let mut lead = &head[..];
    loop {
        let done = body.is_done();
        if done || body.wrong_chunk() {
            gate.pass(body).await?;
        }
        let ready = body.ready();
        let came = &inbound.buffer[..ready];
        let anew = outgoing.rewrite.as_mut().map(|rewrite| rewrite.pass(came, body.proved(), done));
        let anew = anew.transpose().map_err(|error| gate.broken(&error))?;
        let bytes = anew.as_deref().unwrap_or(came);
        outbound.write(lead, bytes).await.map_err(SendError::Upstream)?;
        lead = &[];
        bytes::Buf::advance(&mut inbound.buffer, ready);
        body.forwarded(ready);
        if done {
            return Ok(Sent::Whole);
        }
        let filled = tokio::select! {
            biased;
            () = pause.notified() => return Ok(Sent::Paused),
            filled = pace.fill(inbound, patience) => filled,
        };
        if filled.map_err(SendError::Client)? == 0 {
            return Err(SendError::Client(PeerError::early_end()));
        }
        body.scan(&inbound.buffer).map_err(|error| SendError::Client(error.into()))?;
    }
}

/// A request that is being sent while its answer is awaited.
pub(super) struct Sending<'a> {
    future: Pin<Box<dyn Future<Output = Result<Sent, SendError>> + Send + 'a>>,
    ended: Option<Result<Sent, SendError>>,
    pause: &'a Notify,
}

impl<'a> Sending<'a> {
    /// `future` is a [`send`] that listens to `pause`.
    pub(super) fn new(
        future: impl Future<Output = Result<Sent, SendError>> + Send + 'a,
        pause: &'a Notify,
    ) -> Self {
        Self { future: Box::pin(future), ended: None, pause }
    }

    /// Lets it come to a place from which it can be gone on with, or to its end.
    pub(super) async fn pause(&mut self) {
        self.pause.notify_one();
        self.end().await;
    }

    /// Whether the whole request was sent.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.ended, Some(Ok(Sent::Whole)))
    }

    /// Drives the sending and `main` together until `main` is done. `None`:
    /// the sending failed so that there is nothing to wait for.
    pub(super) async fn beside<T>(&mut self, main: impl Future<Output = T>) -> Option<T> {
        let mut main = std::pin::pin!(main);
        std::future::poll_fn(|context| {
            self.poll(context);
            if self.is_hopeless() {
                return Poll::Ready(None);
            }
            main.as_mut().poll(context).map(Some)
        })
        .await
    }

    /// Drives the sending alone until it ends.
    pub(super) async fn end(&mut self) {
        std::future::poll_fn(|context| {
            self.poll(context);
            if self.ended.is_some() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    fn poll(&mut self, context: &mut std::task::Context<'_>) {
        if self.ended.is_none()
            && let Poll::Ready(outcome) = self.future.as_mut().poll(context)
        {
            self.ended = Some(outcome);
        }
    }

    /// Whether it failed on our side or the client's: no answer is worth waiting for.
    pub(super) fn is_hopeless(&self) -> bool {
        match &self.ended {
            None | Some(Ok(Sent::Whole | Sent::Paused) | Err(SendError::Upstream(_))) => false,
            Some(Err(SendError::Client(_) | SendError::Refused(_) | SendError::Intent(_))) => true,
        }
    }

    /// How it ended; `None` when the answer came to its end first.
    pub(super) fn into_end(self) -> Option<Result<Sent, SendError>> {
        self.ended
    }
}
