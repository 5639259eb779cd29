//! The run itself: connections that call until the time is over.
//!
//! Without a rate each connection calls again as soon as it is answered. With a
//! rate calls are due at even moments whatever the server does, and a call that
//! had to wait for a free connection counts from when it was due.
//! No call is ever repeated. Start at [`Run::drive`].

use super::connect::{Connection, Endpoint};
use super::histogram::Histogram;
use super::ledger::{ACKNOWLEDGED, FAILED, Ledger, SENT};
use super::mix::Mix;
use super::sign::Signer;
use super::{Acknowledged, Broken};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Pause after a connection was refused: a server that restarts needs a moment.
const PAUSE: Duration = Duration::from_millis(50);

/// All that the connections share.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) endpoint: Endpoint,
    pub(super) signer: Signer,
    pub(super) mix: Mix,
    pub(super) ledger: Ledger,
    pub(super) connections: usize,
    /// Calls per second; `None`: as fast as they are answered.
    pub(super) rate: Option<f64>,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    pub(super) patience: Duration,
    pub(super) answered: AtomicU64,
    pub(super) lost: AtomicU64,
}

/// What a run, or one connection of it, has seen.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    pub(super) latency: Histogram,
    pub(super) acknowledged: u64,
    /// Of these, answered with an error.
    pub(super) failed: u64,
    /// Turned away by the recorder, unrecorded on purpose: not acknowledged.
    pub(super) refused: u64,
    /// No whole answer came.
    pub(super) unacknowledged: u64,
    /// Connections that could not be opened.
    pub(super) unconnected: u64,
    /// Calls that were due and not made, since no connection was free in time.
    pub(super) behind: u64,
}

/// When the next call is due.
#[derive(Debug)]
struct Pace {
    start: Instant,
    end: Instant,
    /// With a rate: a permit for each call that is due.
    due: Option<Arc<Semaphore>>,
    interval: f64,
    next: AtomicU64,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            latency: Histogram::new(),
            acknowledged: 0,
            failed: 0,
            refused: 0,
            unacknowledged: 0,
            unconnected: 0,
            behind: 0,
        }
    }

    fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency);
        self.acknowledged += other.acknowledged;
        self.failed += other.failed;
        self.refused += other.refused;
        self.unacknowledged += other.unacknowledged;
        self.unconnected += other.unconnected;
    }
}

impl Pace {
    /// From when the next call counts; `None` when the run is over.
    async fn next(&self) -> Option<Instant> {
        let ready = Instant::now();
        let Some(due) = &self.due else {
            return (ready < self.end).then_some(ready);
        };
        due.acquire().await.ok()?.forget();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let due = self.start + self.at(turn);
        Some(if ready > due { due } else { Instant::now() })
    }

    #[expect(clippy::cast_precision_loss, reason = "a run has far less than 2^52 calls")]
    fn at(&self, turn: u64) -> Duration {
        Duration::from_secs_f64(turn as f64 * self.interval)
    }

    /// Lets calls fall due, from a thread of its own: the runtime's timers are too coarse.
    fn beat(&self) {
        let Some(due) = &self.due else { return };
        for turn in 0.. {
            let at = self.start + self.at(turn);
            if at >= self.end {
                break;
            }
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
            due.add_permits(1);
        }
        due.close();
    }
}

impl Run {
    /// Makes calls until the time is over, and waits for the last answers.
    pub(super) async fn drive(self: &Arc<Self>) -> anyhow::Result<Tally> {
        let start = Instant::now();
        let pace = Arc::new(Pace {
            start,
            end: start + self.warm_up + self.duration,
            due: self.rate.map(|_| Arc::new(Semaphore::new(0))),
            interval: self.rate.map_or(0.0, |rate| 1.0 / rate),
            next: AtomicU64::new(0),
        });
        let beating = Arc::clone(&pace);
        let beat = std::thread::spawn(move || beating.beat());
        let workers: Vec<_> = (0..self.connections)
            .map(|_| tokio::spawn(Arc::clone(self).work(Arc::clone(&pace))))
            .collect();
        let mut tally = Tally::new();
        for worker in workers {
            tally.add(&worker.await?);
        }
        // It ended when it closed what the connections waited on.
        let _ = beat.join();
        tally.behind = pace.due.as_ref().map_or(0, |due| due.available_permits() as u64);
        Ok(tally)
    }

    async fn work(self: Arc<Self>, pace: Arc<Pace>) -> Tally {
        let mut tally = Tally::new();
        let mut connection = None;
        let measured = pace.start + self.warm_up;
        while let Some(from) = pace.next().await {
            let open = match connection.take() {
                Some(open) => Ok(open),
                None => self.endpoint.connect().await,
            };
            let Ok(mut open) = open else {
                tally.unconnected += 1;
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let Some(number) = self.ledger.take() else { break };
            let told = self.call(&mut open, number).await;
            if from >= measured && told.is_ok() {
                let nanos = from.elapsed().as_nanos();
                tally.latency.record(u64::try_from(nanos).unwrap_or(u64::MAX));
            }
            self.count(&mut tally, number, &told);
            // A broken connection is of no more use; the next call opens another.
            if told.is_ok_and(|told| !told.close) {
                connection = Some(open);
            }
        }
        tally
    }

    /// Makes the call of a number, once.
    pub(super) async fn call(
        &self,
        connection: &mut Connection,
        number: u64,
    ) -> Result<Acknowledged, Broken> {
        let request = self.signer.call(&self.mix, number);
        self.ledger.set(number, SENT);
        let told = tokio::time::timeout(self.patience, connection.call(request)).await;
        let told = told.unwrap_or(Err(Broken))?;
        if !told.is_refusal() {
            let failed = if told.status >= 400 { FAILED } else { 0 };
            self.ledger.set(number, ACKNOWLEDGED | failed);
        }
        Ok(told)
    }

    fn count(&self, tally: &mut Tally, number: u64, told: &Result<Acknowledged, Broken>) {
        match told {
            Err(Broken) => {
                tally.unacknowledged += 1;
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
            Ok(told) if told.is_refusal() => tally.refused += 1,
            Ok(_) => {
                tally.acknowledged += 1;
                tally.failed += u64::from(self.ledger.get(number) & FAILED != 0);
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pace;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::time::{Duration, Instant};
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn a_call_that_waited_for_a_connection_counts_from_when_it_was_due() {
        let start = Instant::now().checked_sub(Duration::from_secs(100)).unwrap();
        let due = Some(Arc::new(Semaphore::new(1)));
        let end = start + Duration::from_secs(1000);
        let pace = Pace { start, end, due, interval: 10.0, next: AtomicU64::new(3) };
        assert_eq!(pace.next().await, Some(start + Duration::from_secs(30)));
    }

    #[tokio::test]
    async fn without_a_rate_calls_follow_each_other_until_the_end() {
        let start = Instant::now();
        let pace = |end| Pace { start, end, due: None, interval: 0.0, next: AtomicU64::new(0) };
        assert!(pace(start + Duration::from_secs(1000)).next().await.is_some());
        assert_eq!(pace(start).next().await, None);
    }
}
