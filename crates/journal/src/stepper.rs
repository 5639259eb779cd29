//! The journal's work, apart from the threads that do it.
//!
//! [`Journal::open`](crate::Journal::open) hands it to threads. A simulation
//! keeps it and takes each step when its own schedule says so: nothing in here
//! waits, sleeps or reads another clock than the port.

use crate::OpenError;
use crate::sealing::{Sealer, SealerContext};
use crate::writer::{self, Core, Shared};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Writes, looks after and seals a journal, one step at a time.
///
/// Dropping it is what a killed process does: what waits is not written.
#[derive(Debug)]
pub struct Stepper {
    core: Core,
    shared: Arc<Shared>,
    sealer: Sealer,
    context: SealerContext,
}

impl Stepper {
    /// The work on what `core` begins with; the disk is measured at once.
    pub(crate) fn new(
        mut core: Core,
        shared: &Arc<Shared>,
        sealer: &Sealer,
        context: SealerContext,
    ) -> Self {
        core.start();
        Self { core, shared: Arc::clone(shared), sealer: sealer.clone(), context }
    }

    /// Makes one batch of what waits durable and wakes its callers. False when
    /// nothing waited.
    pub fn write(&mut self) -> bool {
        let (frames, bytes, _) = self.core.limits();
        let batch = self.shared.queue.take(frames, bytes, Duration::ZERO);
        let some = !batch.items.is_empty();
        self.core.commit(batch.items);
        some
    }

    /// What is done every [`Options::check_every`](crate::Options::check_every):
    /// measures the disk, ends an old segment, tries to get well.
    pub fn check(&mut self) {
        self.core.check();
    }

    /// Seals the oldest complete segment. False when there is none, or when it
    /// could not be sealed: it stays readable as it is.
    pub fn seal(&mut self) -> bool {
        self.sealer.step(&self.context)
    }

    /// Writes what waits and notes a clean end. Call it after
    /// [`Journal::close`](crate::Journal::close).
    pub fn finish(mut self) {
        while self.write() {}
        self.core.finish();
        self.shared.end();
    }

    /// Hands the work to threads of its own.
    pub(crate) fn spawn(self) -> Result<Vec<JoinHandle<()>>, OpenError> {
        let failed =
            |source| OpenError::Disk { file: PathBuf::new(), action: "start a thread", source };
        let Self { mut core, shared, sealer, context } = self;
        let (durable, waked) = (core.hand_over(), Arc::clone(&shared));
        let waking = std::thread::Builder::new().name("journal-waker".to_owned());
        let waking = waking.spawn(move || writer::wake_all(&waked, &durable)).map_err(failed)?;
        let writing = std::thread::Builder::new().name("journal-writer".to_owned());
        let writing = writing.spawn(move || writer::run(core, &shared)).map_err(failed)?;
        let sealing = std::thread::Builder::new().name("journal-sealer".to_owned());
        let sealing = sealing.spawn(move || sealer.run(&context)).map_err(failed)?;
        Ok(vec![writing, sealing, waking])
    }
}
