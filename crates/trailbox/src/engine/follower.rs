//! What runs beside the answers: the history catches up, learned facts are kept.

use super::people::Registry;
use crate::stop::told;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use trailbox_history::History;
use trailbox_journal::Reader;

/// How often the journal is looked at without a wake-up: one may be lost.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How often index segments are made, merged and dropped.
const UPKEEP_EVERY: Duration = Duration::from_secs(10);

/// How often learned facts make a new snapshot: until then the recorder reads
/// them from the journal at its start.
const SNAPSHOT_EVERY: Duration = Duration::from_mins(1);

/// The engine's own reading of the journal.
pub(super) struct Follower {
    pub(super) history: Arc<History>,
    pub(super) registry: Arc<Registry>,
    pub(super) reader: Reader,
}

impl Follower {
    /// Follows the journal until `stopped`.
    pub(super) async fn run(mut self, woken: Arc<Notify>, mut stopped: watch::Receiver<bool>) {
        let opening = tokio::spawn(complete(self.history.clone(), stopped.clone()));
        let mut snapshot_at = Instant::now() + SNAPSHOT_EVERY;
        loop {
            tokio::select! {
                () = woken.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = told(&mut stopped) => break,
            }
            // Before that, whoever completes the history reads the journal.
            if self.history.wait_until_complete(Duration::ZERO).await {
                let history = self.history.clone();
                let caught_up = tokio::task::spawn_blocking(move || history.catch_up()).await;
                if let Ok(Err(err)) = caught_up {
                    tracing::error!(error = %err, "the history cannot read the journal");
                }
            }
            let due = snapshot_at <= Instant::now();
            if let Err(err) = self.registry.take_in(&mut self.reader, due).await {
                tracing::error!(error = %format!("{err:#}"), "learned sessions cannot be kept");
            }
            if due {
                snapshot_at = Instant::now() + SNAPSHOT_EVERY;
            }
        }
        opening.abort();
    }
}

/// Completes the history, then keeps its files up.
async fn complete(history: Arc<History>, mut stopped: watch::Receiver<bool>) {
    let begun = Instant::now();
    loop {
        let opening = history.clone();
        match tokio::task::spawn_blocking(move || opening.complete()).await {
            Ok(Ok(())) => break,
            Ok(Err(err)) => tracing::error!(error = %err, "the history cannot be completed"),
            Err(err) => tracing::error!(error = %err, "completing the history failed"),
        }
        tokio::select! {
            () = tokio::time::sleep(UPKEEP_EVERY) => {}
            () = told(&mut stopped) => return,
        }
    }
    let (indexed, took) = (history.indexed(), begun.elapsed());
    tracing::info!(indexed, ?took, "the history is complete");
    upkeep(history, stopped).await;
}

async fn upkeep(history: Arc<History>, mut stopped: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(UPKEEP_EVERY) => {}
            () = told(&mut stopped) => return,
        }
        let history = history.clone();
        match tokio::task::spawn_blocking(move || history.upkeep()).await {
            Ok(Ok(done)) if done != trailbox_history::Upkeep::default() => {
                tracing::info!(
                    built = done.built,
                    merged = done.merged,
                    dropped = done.dropped,
                    "index segments are kept up"
                );
            }
            Ok(Ok(_)) => {}
            Ok(Err(err)) => tracing::error!(error = %err, "index segments cannot be kept up"),
            Err(err) => tracing::error!(error = %err, "the upkeep of index segments failed"),
        }
    }
}
