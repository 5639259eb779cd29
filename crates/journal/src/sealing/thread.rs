//! The thread that seals complete segments, oldest first.

use super::{Outcome, Sealing, Unsealed};
use crate::DataKeys;
use crate::disk::Disk;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use trailbox_clock::{Clock, Random};

/// More waiting segments than this, and sealing stops resting.
const BACKLOG: usize = 3;

/// What the sealing thread works with.
#[derive(Debug, Clone)]
pub(crate) struct SealerContext {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) keys: Arc<dyn DataKeys>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) dir: PathBuf,
    pub(crate) level: i32,
    /// Whether to seal at all, or only to count what waits.
    pub(crate) active: bool,
    /// How long a failed sealing waits before it is tried again.
    pub(crate) retry: Duration,
}

/// Hands complete segments to the sealing thread.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sealer(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Unsealed>,
    sealed: u64,
    failure: Option<String>,
    stop: bool,
}

impl Sealer {
    /// Queues a segment.
    pub(crate) fn add(&self, segment: Unsealed) {
        self.state().waiting.push_back(segment);
        self.0.wake.notify_all();
    }

    /// Ends the thread, between two blocks at the latest.
    pub(crate) fn stop(&self) {
        self.state().stop = true;
        self.0.wake.notify_all();
    }

    /// Waiting segments, segments sealed, and why it stands still.
    pub(crate) fn progress(&self) -> (usize, u64, Option<String>) {
        let state = self.state();
        (state.waiting.len(), state.sealed, state.failure.clone())
    }

    /// Seals the oldest waiting segment without resting; whether one was sealed.
    pub(crate) fn step(&self, context: &SealerContext) -> bool {
        let waiting = self.state().waiting.front().cloned();
        let Some(segment) = waiting.filter(|_| context.active) else { return false };
        match seal(context, &segment, &|_| true) {
            Ok(Outcome::Sealed) => self.done(),
            Ok(Outcome::GivenUp) => return false,
            Err(reason) => {
                self.note(reason);
                return false;
            }
        }
        true
    }

    /// The body of the thread.
    pub(crate) fn run(&self, context: &SealerContext) {
        while let Some(segment) = self.next(context.active) {
            let began = std::cell::Cell::new(Instant::now());
            let pace = |_| {
                let go_on = self.rest(began.get().elapsed());
                began.set(Instant::now());
                go_on
            };
            match seal(context, &segment, &pace) {
                Ok(Outcome::Sealed) => self.done(),
                Ok(Outcome::GivenUp) => {}
                Err(reason) => self.failed(reason, context.retry),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a segment; `None` when it is time to stop.
    fn next(&self, active: bool) -> Option<Unsealed> {
        let mut state = self.state();
        loop {
            if state.stop {
                return None;
            }
            if let Some(segment) = state.waiting.front().filter(|_| active) {
                return Some(segment.clone());
            }
            state = self.0.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Rests as long as the last block took, unless segments pile up.
    fn rest(&self, worked: Duration) -> bool {
        let state = self.state();
        if state.stop || state.waiting.len() > BACKLOG {
            return !state.stop;
        }
        let waited = self.0.wake.wait_timeout(state, worked.min(Duration::from_millis(50)));
        !waited.unwrap_or_else(PoisonError::into_inner).0.stop
    }

    fn done(&self) {
        let mut state = self.state();
        state.waiting.pop_front();
        state.sealed += 1;
        state.failure = None;
    }

    fn note(&self, reason: String) {
        tracing::error!(reason, "sealing a journal segment failed; it stays readable unsealed");
        self.state().failure = Some(reason);
    }

    /// Notes the reason and waits: the segment stays readable as it is.
    fn failed(&self, reason: String, retry: Duration) {
        self.note(reason);
        let mut state = self.state();
        let deadline = Instant::now() + retry;
        while !state.stop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.0.wake.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Seals one segment; `pace` as in [`Sealing`].
fn seal(
    context: &SealerContext,
    segment: &Unsealed,
    pace: &dyn Fn(usize) -> bool,
) -> Result<Outcome, String> {
    let mut salts = [[0; 32]; 2];
    for salt in &mut salts {
        context.random.fill(salt);
    }
    let sealing = Sealing {
        disk: &*context.disk,
        keys: &*context.keys,
        dir: &context.dir,
        level: context.level,
        now: context.clock.now().0,
        salts,
        pace,
    };
    sealing.seal(segment).map_err(|fault| fault.to_string())
}
