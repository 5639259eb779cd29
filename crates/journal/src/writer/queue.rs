//! The bounded queue between those who append and the writer thread.

use crate::{AppendError, FrameKind, Position, Refusal};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot};

/// Frames that are written side by side, encoded except for their stamps.
#[derive(Debug)]
pub(crate) struct Item {
    /// One frame after the other.
    pub(crate) bytes: Vec<u8>,
    pub(crate) frames: usize,
    /// Bytes of the frames' payloads, for the figures.
    pub(crate) payload: usize,
    /// Whether an intent is among them: a call that may still be refused.
    pub(crate) admits: bool,
    /// Whoever waits; `None` for asynchronous frames.
    pub(crate) done: Option<oneshot::Sender<Result<Position, AppendError>>>,
    /// Room the item takes in the queue.
    pub(crate) charge: u32,
}

impl Item {
    /// Tells whoever waits, at most once.
    pub(crate) fn answer(&mut self, answer: Result<Position, AppendError>) {
        if let Some(done) = self.done.take() {
            // Nobody waits any more: the frame stays written all the same.
            let _ = done.send(answer);
        }
    }

    pub(crate) const fn admits(kind: FrameKind) -> bool {
        matches!(kind, FrameKind::Intent)
    }
}

/// The queue. Room is taken before an item enters and given back when the
/// writer is done with it.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    room: Semaphore,
    bytes_max: usize,
    frames_max: usize,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    frames: usize,
    bytes: usize,
    closing: bool,
}

/// What the writer takes at once.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) items: Vec<Item>,
    /// Whether the queue is closed and nothing more will come.
    pub(crate) last: bool,
}

impl Queue {
    pub(crate) fn new(frames_max: usize, bytes_max: usize) -> Self {
        let bytes_max = bytes_max.clamp(1 << 10, u32::MAX as usize);
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            room: Semaphore::new(bytes_max),
            bytes_max,
            frames_max: frames_max.clamp(1, bytes_max),
        }
    }

    /// Room that `frames` of together `bytes` take: both limits in one number.
    pub(crate) fn charge(&self, frames: usize, bytes: usize) -> Result<u32, AppendError> {
        let charge = bytes.max(frames.saturating_mul(self.bytes_max / self.frames_max));
        u32::try_from(charge).ok().filter(|_| charge <= self.bytes_max).ok_or_else(|| {
            let what = format!(
                "{frames} frames of {bytes} bytes at once; the queue holds {} of {} bytes",
                self.frames_max, self.bytes_max
            );
            AppendError::Invalid { what }
        })
    }

    /// Queues `item`, waiting for room.
    pub(crate) async fn push(&self, item: Item) -> Result<(), AppendError> {
        match self.room.acquire_many(item.charge).await {
            Ok(room) => room.forget(),
            Err(_) => return Err(AppendError::Refused(Refusal::Closed)),
        }
        self.enter(item)
    }

    /// Queues `item` if there is room now.
    pub(crate) fn try_push(&self, item: Item) -> Result<(), AppendError> {
        match self.room.try_acquire_many(item.charge) {
            Ok(room) => room.forget(),
            Err(_) => return Err(AppendError::Refused(self.full())),
        }
        self.enter(item)
    }

    /// Why there is no room.
    pub(crate) fn full(&self) -> Refusal {
        let state = self.state();
        if state.closing { Refusal::Closed } else { Refusal::QueueFull { frames: state.frames } }
    }

    /// Whether less than an eighth of the room is left.
    pub(crate) fn is_crowded(&self) -> bool {
        self.room.available_permits() < self.bytes_max / 8
    }

    fn enter(&self, item: Item) -> Result<(), AppendError> {
        let mut state = self.state();
        if state.closing {
            return Err(AppendError::Refused(Refusal::Closed));
        }
        state.frames += item.frames;
        state.bytes += item.bytes.len();
        let was_empty = state.items.is_empty();
        state.items.push_back(item);
        drop(state);
        if was_empty {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Gives room back.
    pub(crate) fn release(&self, charge: usize) {
        self.room.add_permits(charge);
    }

    /// Takes what waits, up to both limits; waits at most `patience` for it.
    pub(crate) fn take(&self, frames: usize, bytes: usize, patience: Duration) -> Batch {
        let mut state = self.state();
        if state.items.is_empty() && !state.closing {
            let waited = self.filled.wait_timeout(state, patience);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let mut batch = Batch::default();
        let (mut left_frames, mut left_bytes) = (frames, bytes);
        while let Some(item) = state.items.front() {
            let fits = item.frames <= left_frames && item.bytes.len() <= left_bytes;
            if !fits && !batch.items.is_empty() {
                break;
            }
            let Some(item) = state.items.pop_front() else { break };
            left_frames = left_frames.saturating_sub(item.frames);
            left_bytes = left_bytes.saturating_sub(item.bytes.len());
            state.frames -= item.frames;
            state.bytes -= item.bytes.len();
            batch.items.push(item);
        }
        batch.last = state.closing && state.items.is_empty();
        batch
    }

    /// Takes nothing new from now on; what waits is still written.
    pub(crate) fn close(&self) {
        self.state().closing = true;
        self.room.close();
        self.filled.notify_all();
    }

    /// Frames and bytes waiting.
    pub(crate) fn depth(&self) -> (usize, usize) {
        let state = self.state();
        (state.frames, state.bytes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Item, Queue};
    use crate::{AppendError, Refusal};
    use std::time::Duration;

    fn item(queue: &Queue, bytes: usize) -> Item {
        let charge = queue.charge(1, bytes).unwrap();
        Item { bytes: vec![0; bytes], frames: 1, payload: bytes, admits: false, done: None, charge }
    }

    #[test]
    fn a_full_queue_refuses_until_room_is_given_back() {
        let queue = Queue::new(4, 4096);
        for _ in 0..4 {
            queue.try_push(item(&queue, 10)).unwrap();
        }
        let full = AppendError::Refused(Refusal::QueueFull { frames: 4 });
        assert_eq!(queue.try_push(item(&queue, 10)), Err(full));
        assert!(queue.is_crowded());
        for taken in queue.take(10, 10_000, Duration::ZERO).items {
            queue.release(taken.charge as usize);
        }
        assert_eq!(queue.try_push(item(&queue, 4096)), Ok(()));
        assert!(queue.charge(1, 4097).is_err());
    }

    #[test]
    fn a_batch_keeps_its_limits_but_never_starves_a_large_item() {
        let queue = Queue::new(100, 1 << 20);
        for bytes in [5000, 10, 10, 10] {
            queue.try_push(item(&queue, bytes)).unwrap();
        }
        let sizes = [1, 2, 1].map(|_| queue.take(2, 1000, Duration::ZERO).items.len());
        assert_eq!(sizes, [1, 2, 1]);
    }

    #[test]
    fn a_closed_queue_hands_out_the_rest_and_takes_nothing() {
        let queue = Queue::new(100, 1 << 20);
        queue.try_push(item(&queue, 10)).unwrap();
        queue.close();
        let refused = Err(AppendError::Refused(Refusal::Closed));
        assert_eq!(queue.try_push(item(&queue, 10)), refused);
        let batch = queue.take(9, 999, Duration::ZERO);
        assert!(batch.last && batch.items.len() == 1);
    }
}
