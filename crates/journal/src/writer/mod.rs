//! The writer: one thread that turns waiting frames into durable ones.

mod core;
mod counters;
mod health;
mod intents;
mod queue;
mod reserve;
mod segment;
mod waking;

pub(crate) use self::core::{Core, CoreParts};
pub(crate) use counters::Counters;
pub(crate) use intents::{Intents, carry};
pub(crate) use queue::{Item, Queue};
pub(crate) use reserve::Reserve;
pub(crate) use segment::{Epoch, OpenSegment};
pub(crate) use waking::{Waking, run as wake_all};

use crate::disk::{Disk, DiskFile};
use crate::format::mark::Mark;
use crate::{Admission, Position, Refusal, names};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;
use tokio::sync::watch;

/// What the writer thread and the callers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) counters: Counters,
    pub(crate) durable: watch::Sender<Position>,
    refusing: AtomicBool,
    refusal: RwLock<Option<Refusal>>,
}

impl Shared {
    pub(crate) fn new(queue: Queue, position: Position, written: Arc<AtomicU64>) -> Self {
        Self {
            queue,
            counters: Counters::new(written),
            durable: watch::Sender::new(position),
            refusing: AtomicBool::new(false),
            refusal: RwLock::new(None),
        }
    }

    /// Publishes whether new calls may pass.
    pub(crate) fn set_refusal(&self, refusal: Option<Refusal>) {
        let mut slot = self.refusal.write().unwrap_or_else(PoisonError::into_inner);
        if *slot == refusal {
            return;
        }
        match &refusal {
            Some(Refusal::Closed) => tracing::debug!("journal is closed"),
            Some(reason) => tracing::error!(%reason, "journal refuses new calls"),
            None => tracing::warn!("journal admits calls again"),
        }
        self.refusing.store(refusal.is_some(), Ordering::Release);
        *slot = refusal;
    }

    /// Nobody is admitted from now on.
    pub(crate) fn end(&self) {
        self.queue.close();
        self.set_refusal(Some(Refusal::Closed));
    }

    pub(crate) fn refusal(&self) -> Option<Refusal> {
        if !self.refusing.load(Ordering::Acquire) {
            return None;
        }
        self.refusal.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn admission(&self) -> Admission {
        if let Some(reason) = self.refusal() {
            return Admission::Refusing { reason };
        }
        if self.queue.is_crowded() {
            return Admission::Refusing { reason: self.queue.full() };
        }
        Admission::Open
    }
}

/// Runs `core` until the queue is closed and empty.
pub(crate) fn run(mut core: Core, shared: &Arc<Shared>) {
    let guard = ClosedAtEnd(shared);
    let (frames, bytes, every) = core.limits();
    let mut checked = Instant::now();
    loop {
        let patience = every.saturating_sub(checked.elapsed());
        let batch = shared.queue.take(frames, bytes, patience);
        core.commit(batch.items);
        if checked.elapsed() >= every {
            core.check();
            checked = Instant::now();
        }
        if batch.last {
            break;
        }
    }
    core.finish();
    drop(guard);
}

/// However the writer ends, nobody is admitted afterwards.
struct ClosedAtEnd<'a>(&'a Arc<Shared>);

impl Drop for ClosedAtEnd<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The mark file, open for rewriting.
#[derive(Debug)]
pub(crate) struct MarkFile {
    file: Box<dyn DiskFile>,
    failing: bool,
}

impl MarkFile {
    pub(crate) fn open(disk: &dyn Disk, dir: &Path) -> std::io::Result<Self> {
        let path = dir.join(names::MARK);
        let file = match disk.open(&path, false) {
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => disk.create(&path)?,
            other => other?,
        };
        Ok(Self { file, failing: false })
    }

    /// Moves the mark. A failure holds readers back and loses nothing.
    pub(crate) fn write(&mut self, mark: &Mark) {
        let written = self.file.write_at(0, &mark.encode());
        if let (Err(err), false) = (&written, self.failing) {
            tracing::error!(%err, "the journal's mark cannot be moved; readers fall behind");
        }
        self.failing = written.is_err();
    }

    pub(crate) fn sync(&self) -> std::io::Result<()> {
        self.file.sync()
    }
}
