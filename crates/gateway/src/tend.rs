//! What goes on beside the listeners: counts, probes, forgetting.

use crate::call::plain;
use crate::shared::Shared;
use crate::upstream::probe_all;
use crate::{observe, outage};
use bytes::Bytes;
use std::sync::{Arc, Weak};
use std::time::Duration;
use trailbox_journal::{AppendError, Extension, Frame, FrameKind, MANAGEMENT};

/// How often seen counts are journalled.
const SEEN_EVERY: Duration = Duration::from_secs(1);
/// How often ended sessions are forgotten, in seconds of the same clockwork.
const EXPIRE_EVERY: u32 = 60;
/// Longest that probing may hold up the first call.
const FIRST_PROBE_MAX: Duration = Duration::from_secs(2);
/// How often upstreams that were down are asked again.
const PROBE_EVERY: Duration = Duration::from_secs(10);

/// Starts the tasks. They end with the gateway.
pub(crate) fn start(shared: &Arc<Shared>) {
    tokio::spawn(count(Arc::downgrade(shared)));
    tokio::spawn(probe(Arc::downgrade(shared)));
}

async fn count(shared: Weak<Shared>) {
    let mut ticks = tokio::time::interval(SEEN_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut since_expiry, mut evicted) = (0, 0);
    loop {
        ticks.tick().await;
        let Some(shared) = shared.upgrade() else { return };
        outage::tell(&shared).await;
        journal_seen(&shared).await;
        learned(&shared, &mut evicted);
        since_expiry += 1;
        if EXPIRE_EVERY <= since_expiry {
            since_expiry = 0;
            shared.directory.expire(shared.clock.now());
        }
    }
}

/// Says how many keys are learned, and how many had to make room since the last time.
fn learned(shared: &Shared, evicted: &mut u64) {
    let (held, gone) = {
        let directory = shared.directory.read();
        (directory.learned_keys(), directory.evicted())
    };
    // A directory that was replaced counts from zero.
    let more = gone.checked_sub(*evicted).unwrap_or(gone);
    *evicted = gone;
    metrics::counter!(observe::LEARNED_EVICTED).increment(more);
    #[expect(clippy::cast_precision_loss, reason = "at most 100,000")]
    metrics::gauge!(observe::LEARNED_KEYS).set(held as f64);
}

async fn probe(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(PROBE_EVERY).await;
        let Some(shared) = shared.upgrade() else { return };
        probe_all(&shared).await;
    }
}

/// Asks every upstream once before the first call, unless that takes too long.
pub(crate) async fn first_probe(shared: &Shared) {
    // Who did not answer is asked again by the task.
    let _ = tokio::time::timeout(FIRST_PROBE_MAX, probe_all(shared)).await;
}

/// Writes the counts since the last time, one frame per account and Region.
pub(crate) async fn journal_seen(shared: &Shared) {
    let now = shared.clock.now();
    let frames: Vec<Frame> = shared
        .seen
        .take()
        .into_iter()
        .map(|((account, region), seen)| Frame {
            kind: FrameKind::Seen,
            account,
            region,
            category: MANAGEMENT,
            read_only: true,
            event_id: shared.random.uuid(),
            arrival: now,
            extension: Extension::default(),
            payload: Bytes::from(format!("{{\"seen\":{seen}}}")),
        })
        .collect();
    if frames.is_empty() {
        return;
    }
    // A journal that cannot write says so for calls; counts of that time are
    // part of the interval it marks as lost.
    let again = frames.clone();
    if let Err(AppendError::Invalid { .. }) = shared.append("seen", &[0; 16], frames).await {
        // What it cannot hold must not drop the counts of everybody else.
        for frame in again {
            let _ = shared.append("seen", &[0; 16], vec![plain(frame)]).await;
        }
    }
}
