//! Waking those who wait for a batch, beside the writer where there are many.
//!
//! To wake a task costs about as much as to write its frame. So a large batch
//! is handed to a thread of its own, while the writer goes on with the next;
//! a small one is answered at once, which is the shorter way.

use super::{Item, Shared};
use crate::Position;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Batches of more items than this are handed over.
const INLINE: usize = 32;

/// Durable items, and the position before their first frame.
type Durable = (Vec<Item>, Position);

/// Answers durable items.
#[derive(Debug)]
pub(crate) struct Waking {
    shared: Arc<Shared>,
    /// The thread, where there is one. What waits in it has its room in the
    /// queue still, and is bounded by that.
    beside: Option<Sender<Durable>>,
}

impl Waking {
    /// Answers on the caller's thread only: for whoever drives the writer alone.
    pub(crate) const fn inline(shared: Arc<Shared>) -> Self {
        Self { shared, beside: None }
    }

    /// Hands large batches to the thread that runs [`run`] on what is returned.
    pub(crate) fn hand_over(&mut self) -> Receiver<Durable> {
        let (sender, receiver) = channel();
        self.beside = Some(sender);
        receiver
    }

    /// Tells everybody behind `items` where their frames stand.
    pub(crate) fn wake(&self, items: Vec<Item>, before: Position) {
        let mut durable = (items, before);
        if let Some(beside) = self.beside.as_ref().filter(|_| durable.0.len() > INLINE) {
            match beside.send(durable) {
                Ok(()) => return,
                // The thread is gone; nobody may wait for it.
                Err(unsent) => durable = unsent.0,
            }
        }
        answer(&self.shared, durable);
    }
}

/// The body of the thread: until the writer is gone.
pub(crate) fn run(shared: &Shared, durable: &Receiver<Durable>) {
    while let Ok(durable) = durable.recv() {
        answer(shared, durable);
    }
}

fn answer(shared: &Shared, (items, before): Durable) {
    let (mut sequence, mut charge) = (before.sequence, 0);
    for mut item in items {
        sequence += item.frames as u64;
        charge += item.charge as usize;
        item.answer(Ok(Position { sequence, ..before }));
    }
    shared.queue.release(charge);
}
