//! The journal as its owner sees it.

use crate::disk::{Claim, ClaimError, Counted, Disk};
use crate::encoder::Encoder;
use crate::error::{FileFault, at};
use crate::names;
use crate::recovery::recover;
use crate::sealing::{Sealer, SealerContext};
use crate::stepper::Stepper;
use crate::writer::{
    self, Core, CoreParts, Epoch, Intents, Item, MarkFile, OpenSegment, Queue, Reserve, Shared,
    Waking, carry,
};
use crate::{
    Admission, AppendError, DataKeys, Frame, JournalStats, OpenError, Options, Position, Refusal,
    StoredFrame,
};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};
use trailbox_clock::{Clock, Micros, Random};

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Position of the last durable frame.
    pub position: Position,
    /// Bytes of a torn, never acknowledged tail that were cut off.
    pub truncated_bytes: u64,
    /// Intents without a record, oldest first. They stand in the new segment
    /// already; append a record of the same event id to resolve each.
    pub open_intents: Vec<StoredFrame>,
    /// After anything but a clean close: from the last commit to now. Seen
    /// counts of that time are lost.
    pub counter_lost: Option<(Micros, Micros)>,
}

/// One node's journal, open for appending. Share it in an `Arc`.
///
/// What it holds in memory is bounded: frames that wait for the writer and
/// those under its hands by [`Options::queue_bytes`]; outcomes parked while the
/// disk is ill by as much again; intents of calls under way by
/// [`Options::intent_bytes`] while they are carried over; ciphers by 4,096
/// accounts. A caller that waits for room holds its own frame.
///
/// Dropping it writes what is queued, like [`close`](Self::close), but blocks.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    encoder: Encoder,
    sealer: Sealer,
    /// Present while the journal is open.
    running: Mutex<Option<Running>>,
}

/// The threads, and the claim on the directory that outlives both.
#[derive(Debug)]
struct Running {
    threads: Vec<JoinHandle<()>>,
    claim: Box<dyn Claim>,
}

/// What every part of the journal is handed.
struct Ports {
    disk: Arc<dyn Disk>,
    keys: Arc<dyn DataKeys>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Journal {
    /// Opens or creates the journal and recovers what a crash left.
    ///
    /// # Errors
    ///
    /// Another owner, another node, a newer format, or damage: each by name.
    pub fn open(
        disk: Arc<dyn Disk>,
        keys: Arc<dyn DataKeys>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        options: Options,
    ) -> Result<(Self, Recovery), OpenError> {
        let ports = Ports { disk, keys, clock, random };
        let (mut journal, recovery, stepper) = begin(ports, options)?;
        let threads = stepper.spawn()?;
        let running = journal.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running {
            running.threads = threads;
        }
        Ok((journal, recovery))
    }

    /// As [`open`](Self::open), but without threads: nothing is written until
    /// the [`Stepper`] is told to. For simulations, which own the schedule.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_stepped(
        disk: Arc<dyn Disk>,
        keys: Arc<dyn DataKeys>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        options: Options,
    ) -> Result<(Self, Recovery, Stepper), OpenError> {
        begin(Ports { disk, keys, clock, random }, options)
    }

    /// Appends one frame; resolves when it is durable.
    ///
    /// Waits while the queue is full: back-pressure.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]: the variants say what is known.
    pub async fn append(&self, frame: Frame) -> Result<Position, AppendError> {
        let item = self.item(std::slice::from_ref(&frame))?;
        drop(frame);
        self.commit(item).await
    }

    /// Appends `frames` side by side, in this order; resolves with the last
    /// one's position when all are durable: nothing comes between them, and one
    /// sync serves all. Without frames nothing is written.
    ///
    /// # Errors
    ///
    /// See [`AppendError`]; then none of them is acknowledged.
    pub async fn append_all(&self, frames: Vec<Frame>) -> Result<Position, AppendError> {
        if frames.is_empty() {
            return Ok(self.durable());
        }
        let item = self.item(&frames)?;
        drop(frames);
        self.commit(item).await
    }

    /// Queues one frame and does not wait: it is durable soon, unless the
    /// process dies first.
    ///
    /// # Errors
    ///
    /// [`AppendError::Refused`] when the queue is full.
    pub fn submit(&self, frame: Frame) -> Result<(), AppendError> {
        let item = self.item(std::slice::from_ref(&frame))?;
        self.shared.queue.try_push(item).inspect_err(|_| {
            writer::Counters::add(&self.shared.counters.refused, 1);
        })
    }

    /// Whether new calls may pass. Cheap: ask for every call.
    #[must_use]
    pub fn admission(&self) -> Admission {
        self.shared.admission()
    }

    /// Position of the last durable frame.
    #[must_use]
    pub fn durable(&self) -> Position {
        *self.shared.durable.borrow()
    }

    /// Follows [`durable`](Self::durable).
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.shared.durable.subscribe()
    }

    /// Counters and levels.
    #[must_use]
    pub fn stats(&self) -> JournalStats {
        let (frames, bytes) = self.shared.queue.depth();
        let (waiting, sealed, failure) = self.sealer.progress();
        JournalStats {
            queue_frames: frames as u64,
            queue_bytes: bytes as u64,
            unsealed_segments: waiting as u64 + 1,
            sealed_segments: sealed,
            seal_failure: failure,
            ..self.shared.counters.read()
        }
    }

    /// Writes what is queued, notes a clean end and gives the directory up.
    /// Closing twice is closing once.
    ///
    /// # Errors
    ///
    /// [`AppendError::Refused`] when something queued could not be made durable.
    pub async fn close(&self) -> Result<(), AppendError> {
        let lost_before = self.shared.counters.read().lost;
        self.begin_close();
        let running = self.take_running().filter(|running| !running.threads.is_empty());
        let ended = match running {
            None => Ok(()),
            threads => tokio::task::spawn_blocking(move || end(threads)).await,
        };
        if ended.is_err() || self.shared.counters.read().lost > lost_before {
            return Err(AppendError::Refused(Refusal::Closed));
        }
        Ok(())
    }

    fn item(&self, frames: &[Frame]) -> Result<Item, AppendError> {
        let mut bytes = Vec::new();
        for frame in frames {
            self.encoder.encode(&mut bytes, frame)?;
        }
        let charge = self.shared.queue.charge(frames.len(), bytes.len())?;
        let admits = frames.iter().any(|frame| Item::admits(frame.kind));
        let payload = frames.iter().map(|frame| frame.payload.len()).sum();
        Ok(Item { bytes, frames: frames.len(), payload, admits, done: None, charge })
    }

    async fn commit(&self, mut item: Item) -> Result<Position, AppendError> {
        if item.admits
            && let Some(refusal) = self.shared.refusal()
        {
            writer::Counters::add(&self.shared.counters.refused, item.frames);
            return Err(AppendError::Refused(refusal));
        }
        let (done, durable) = oneshot::channel();
        item.done = Some(done);
        self.shared.queue.push(item).await?;
        durable.await.unwrap_or(Err(AppendError::Refused(Refusal::Closed)))
    }

    fn begin_close(&self) {
        self.shared.queue.close();
        self.sealer.stop();
    }

    fn take_running(&self) -> Option<Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.begin_close();
        end(self.take_running());
    }
}

/// Waits for the threads, then lets the directory go.
fn end(running: Option<Running>) {
    let Some(Running { threads, claim }) = running else { return };
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!("a thread of the journal panicked");
        }
    }
    drop(claim);
}

fn claim(disk: &dyn Disk, options: &Options) -> Result<Box<dyn Claim>, OpenError> {
    disk.create_dir(&options.dir).map_err(at(&options.dir, "create"))?;
    let lock = options.dir.join(names::LOCK);
    let owner = std::process::id().to_string();
    disk.claim(&lock, &owner).map_err(|err| match err {
        ClaimError::Held { owner } => OpenError::InUse { dir: options.dir.clone(), owner },
        ClaimError::Disk(source) => OpenError::Disk { file: lock, action: "claim", source },
    })
}

/// Claims the directory, recovers it, and begins a new epoch there.
fn begin(ports: Ports, options: Options) -> Result<(Journal, Recovery, Stepper), OpenError> {
    let claim = claim(&*ports.disk, &options)?;
    let recovered = recover(&*ports.disk, &*ports.keys, &options)?;
    let now = ports.clock.now();
    let mut salt = [0; 32];
    ports.random.fill(&mut salt);
    let (node, number) = (options.node, recovered.epoch + 1);
    let epoch = Epoch { node, number, key_id: ports.keys.master_id(), salt };
    let encoder = Encoder::new(Arc::clone(&ports.keys), salt);

    let first = recovered.sequence + 1;
    let frames = reencode(&encoder, &recovered.open_intents)?;
    let (bytes, places) = carry(frames, first, now.0);
    let dir = &options.dir;
    let written = Arc::default();
    let ports = Ports { disk: Arc::new(Counted::new(ports.disk, Arc::clone(&written))), ..ports };
    let segment = begin_segment(&*ports.disk, dir, &epoch, (first, now.0), &bytes)?;
    remove_empty(&*ports.disk, &options, &recovered.empty)?;

    let sequence = recovered.sequence + places.len() as u64;
    let position = Position { node, epoch: number, sequence };
    let lost_since = recovered.last_commit.filter(|_| !recovered.clean);
    let recovery = Recovery {
        position,
        truncated_bytes: recovered.truncated_bytes,
        open_intents: moved(recovered.open_intents, (node, number, first), now),
        counter_lost: lost_since.map(|since| (Micros(since), now)),
    };
    let queue = Queue::new(options.queue_frames, options.queue_bytes);
    let shared = Arc::new(Shared::new(queue, position, written));
    let sealer = Sealer::default();
    for segment in recovered.unsealed {
        sealer.add(segment);
    }
    let mark = dir.join(names::MARK);
    let mark = MarkFile::open(&*ports.disk, dir).map_err(at(&mark, "open"))?;
    let start = segment.durable - bytes.len() as u64;
    let core = Core::new(CoreParts {
        disk: Arc::clone(&ports.disk),
        clock: Arc::clone(&ports.clock),
        reserve: Reserve::new(dir, options.reserve_bytes),
        waking: Waking::inline(Arc::clone(&shared)),
        options: options.clone(),
        shared: Arc::clone(&shared),
        sealer: sealer.clone(),
        epoch,
        mark,
        segment,
        sequence,
        intents: Intents::carried(places, start),
    });
    let running = Mutex::new(Some(Running { threads: Vec::new(), claim }));
    let stepper = Stepper::new(core, &shared, &sealer, sealer_context(ports, options));
    Ok((Journal { shared, encoder, sealer, running }, recovery, stepper))
}

/// Begins the segment; on a full disk out of what the reserve gives up, so
/// that a restart can still write the outcomes it owes.
fn begin_segment(
    disk: &dyn Disk,
    dir: &Path,
    epoch: &Epoch,
    begun: (u64, i64),
    carried: &[u8],
) -> Result<OpenSegment, OpenError> {
    match OpenSegment::begin(disk, dir, epoch, begun, carried) {
        Err(FileFault::Disk { source, .. }) if source.kind() == ErrorKind::StorageFull => {
            let reserve = dir.join(names::RESERVE);
            disk.remove(&reserve).map_err(at(&reserve, "remove"))?;
            Ok(OpenSegment::begin(disk, dir, epoch, begun, carried)?)
        }
        other => Ok(other?),
    }
}

fn sealer_context(ports: Ports, options: Options) -> SealerContext {
    let Ports { disk, keys, clock, random } = ports;
    let Options { dir, seal_level: level, seal: active, check_every, .. } = options;
    let retry = check_every * 10;
    SealerContext { disk, keys, clock, random, dir, level, active, retry }
}

/// The open intents where they stand now: carried over, from `first` on.
fn moved(
    mut intents: Vec<StoredFrame>,
    (node, epoch, first): ([u8; 16], u64, u64),
    now: Micros,
) -> Vec<StoredFrame> {
    for (sequence, intent) in (first..).zip(&mut intents) {
        intent.position = Position { node, epoch, sequence };
        intent.carried = true;
        intent.commit = now;
    }
    intents
}

/// The open intents as frames of the new epoch.
fn reencode(encoder: &Encoder, intents: &[StoredFrame]) -> Result<Vec<Vec<u8>>, OpenError> {
    let encode = |intent: &StoredFrame| {
        let mut bytes = Vec::new();
        encoder.encode(&mut bytes, &intent.to_frame()).map(|()| bytes)
    };
    intents.iter().map(|intent| encode(intent).map_err(into_open_error)).collect()
}

fn into_open_error(err: AppendError) -> OpenError {
    match err {
        AppendError::Key(err) => OpenError::Key(err),
        AppendError::Invalid { what } => OpenError::Unsupported { file: PathBuf::new(), what },
        AppendError::Refused(refusal) | AppendError::Delayed(refusal) => {
            OpenError::Unsupported { file: PathBuf::new(), what: refusal.to_string() }
        }
    }
}

fn remove_empty(disk: &dyn Disk, options: &Options, empty: &[PathBuf]) -> Result<(), OpenError> {
    for path in empty {
        disk.remove(path).map_err(at(path, "remove"))?;
    }
    Ok(disk.sync_dir(&options.dir).map_err(at(&options.dir, "sync"))?)
}
