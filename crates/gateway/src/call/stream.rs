//! Answers that go on after their record: event streams, and connections that
//! leave HTTP.
//!
//! The record says that the exchange was opened, by whom and how it was answered;
//! it is durable before the first byte of the answer passes. What is said then
//! is not recorded.

use super::Call;
use super::intent::Intent;
use super::pace::Pace;
use super::relay::Incoming;
use super::send::{Sending, Sent, send};
use crate::connection::Client;
use crate::io::{Inbound, Outbound, PeerError};
use crate::observe;
use crate::passage::Passage;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// It did not come to an end in order; both connections are of no further use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BrokenOff;

impl Call<'_> {
    /// Pipes the answer while the rest of the request is sent, if it was `paused`.
    /// Says how far that was.
    pub(super) async fn stream(
        &mut self,
        client: &mut Client,
        body: &mut Passage,
        answer: &mut Incoming,
        (up_in, up_out): (&mut Inbound, &mut Outbound),
        paused: bool,
    ) -> Result<Sent, BrokenOff> {
        let limits = &self.shared.config.limits;
        let (pause, stall, patience) =
            (Notify::new(), limits.stall_timeout, limits.response_timeout);
        if answer.head.head.status == 101 {
            answer.release(up_in, &mut client.outbound).await;
            if answer.client_gone {
                return Err(BrokenOff);
            }
            return tunnel(client, (up_in, up_out), stall).await.map(|()| Sent::Whole);
        }
        let mut outgoing = self.outgoing.take().unwrap_or_default();
        let mut sending = if paused {
            if matches!(self.intent, Intent::Failed) && !self.forwards_anyway() {
                return Err(BrokenOff);
            }
            body.keep(0);
            let gate = self.gate();
            // Either side may be silent for as long as a stream is.
            let patience = (patience, Pace::new(0));
            let inbound = &mut client.inbound;
            let going_on = send(&mut outgoing, inbound, up_out, body, gate, patience, &pause);
            Sending::new(going_on, &pause)
        } else {
            Sending::new(std::future::ready(Ok(Sent::Whole)), &pause)
        };
        let piped = answer.pipe(&mut sending, up_in, &mut client.outbound, patience).await;
        let sent = if sending.is_whole() { Sent::Whole } else { Sent::Paused };
        piped.map(|()| sent).map_err(|_| BrokenOff)
    }
}

/// Moves bytes both ways until both sides ended, one broke, or nothing moved for
/// `patience` in either direction.
async fn tunnel(
    client: &mut Client,
    (up_in, up_out): (&mut Inbound, &mut Outbound),
    patience: Duration,
) -> Result<(), BrokenOff> {
    let moved = AtomicU64::new(0);
    let Client { inbound, outbound, .. } = client;
    let up = one_way(inbound, up_out, "in", &moved, patience);
    let down = one_way(up_in, outbound, "out", &moved, patience);
    tokio::try_join!(up, down).map(drop).map_err(|_| BrokenOff)
}

/// Moves bytes one way; `moved` counts the pieces of both.
async fn one_way(
    from: &mut Inbound,
    to: &mut Outbound,
    direction: &'static str,
    moved: &AtomicU64,
    patience: Duration,
) -> Result<(), PeerError> {
    let bytes = metrics::counter!(observe::BYTES, "direction" => direction);
    loop {
        bytes.increment(from.buffer.len() as u64);
        to.write(&from.buffer, &[]).await?;
        from.buffer.clear();
        let mut seen = moved.fetch_add(1, Ordering::Relaxed) + 1;
        loop {
            match from.fill(patience).await {
                Ok(0) => {
                    to.shutdown().await;
                    return Ok(());
                }
                Ok(_) => break,
                // Silence in one direction is no stall while the other moves.
                Err(PeerError::Stalled(_)) if moved.load(Ordering::Relaxed) != seen => {
                    seen = moved.load(Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
