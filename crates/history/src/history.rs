//! The history itself: follows the journal and answers lookups.

use crate::HistoryStats;
use crate::cache::Cache;
use crate::codec::Damage;
use crate::files::Files;
use crate::frozen::Frozen;
use crate::memory::Memory;
use crate::row::{PartitionKey, Place, Row, category_code};
use crate::segment::{Bounds, Scan, Segment};
use crate::source::{Batch, Entry, EntryKind, Fetched, Source, SourceError, Stream};
use crate::stats::Counters;
use crate::term::TermKey;
use bytes::Bytes;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use tokio::sync::watch;
use trailbox_clock::{Clock, Micros};
use trailbox_journal::disk::Disk;
use trailbox_record::lookup;

/// Entries read from the journal at once.
const BATCH: usize = 1000;

/// How the history keeps its files. Section `[history]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryOptions {
    /// Directory of the index segments.
    pub dir: PathBuf,
    /// Days a management record can be looked up. Default 90.
    ///
    /// Source: CloudTrail User Guide, "Event history".
    pub management_days: u32,
    /// Days a data record can be looked up. Default 7.
    pub data_days: u32,
    /// Bytes of young records kept in memory. Default 8 MiB.
    pub payload_bytes: usize,
    /// Rows of what is not sealed yet that are kept ready for change, at about
    /// 600 bytes each; more are packed. Default 32 768.
    pub memory_rows_max: usize,
    /// Bytes of index blocks kept in memory while somebody asks. Default 32 MiB.
    pub cache_bytes: usize,
    /// Index segments are merged up to this many records. Default 2 000 000:
    /// merging takes about 60 bytes of memory per record.
    pub merged_records_max: u64,
}

impl HistoryOptions {
    /// The defaults, in `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            management_days: 90,
            data_days: 7,
            payload_bytes: 8 << 20,
            memory_rows_max: 32_768,
            cache_bytes: 32 << 20,
            merged_records_max: 2_000_000,
        }
    }

    /// How long records of `stream` can be looked up, seconds.
    pub(crate) fn retention_seconds(&self, stream: Stream) -> i64 {
        let days = match stream {
            Stream::Management => self.management_days,
            Stream::Data => self.data_days,
        };
        i64::from(days) * 86_400
    }
}

/// Why the history does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its directory cannot be used.
    #[error("cannot use the history directory {}", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The journal cannot be read.
    #[error("cannot read the journal")]
    Source(#[from] SourceError),
}

/// Newest-first lookup over the journal.
///
/// Whoever owns it calls [`catch_up`](Self::catch_up) when the journal grew and
/// [`upkeep`](Self::upkeep) now and then; both may block on the disk. Lookups
/// run beside them. Everything in its directory can be made again from the
/// journal, so nothing is lost if the process dies anywhere.
#[derive(Debug)]
pub struct History {
    pub(crate) source: Arc<dyn Source>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: HistoryOptions,
    pub(crate) files: Files,
    pub(crate) cache: Arc<Cache>,
    pub(crate) counters: Counters,
    state: RwLock<State>,
    /// Held while rows enter the memory index or move out of it.
    intake: Mutex<()>,
    /// Held while index files are made, merged or dropped.
    pub(crate) builder: Mutex<()>,
    indexed: watch::Sender<u64>,
    /// Whether everything journalled before the opening can be looked up.
    complete: watch::Sender<bool>,
}

/// Why something was broken off.
#[derive(Debug)]
pub(crate) enum Stop {
    Source(SourceError),
    /// Rebuild the segment and begin again.
    Damaged(Arc<Segment>, Damage),
}

impl From<SourceError> for Stop {
    fn from(err: SourceError) -> Self {
        Self::Source(err)
    }
}

/// What lookups see; changed in one step.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) memory: Memory,
    /// What left `memory` before it was sealed; oldest first.
    pub(crate) frozen: Vec<Frozen>,
    /// Ascending by first covered sequence; the streams interleave.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Newest generation entry.
    pub(crate) generation: u64,
    /// Every entry up to here is in `memory` or in `segments`.
    pub(crate) position: u64,
    /// Entries up to here never went through `memory`.
    pub(crate) memory_from: u64,
}

impl State {
    /// Index segments and packed parts.
    pub(crate) fn all_segments(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.segments.iter().chain(self.frozen.iter().map(|part| &part.segment))
    }
}

impl History {
    /// Opens the directory, builds what index segments are missing or damaged,
    /// and stands at the end of the sealed journal. The open part of it comes
    /// with the first [`catch_up`](Self::catch_up).
    ///
    /// # Errors
    ///
    /// When the directory or the journal cannot be read.
    pub fn open(
        disk: Arc<dyn Disk>,
        source: Arc<dyn Source>,
        clock: Arc<dyn Clock>,
        options: HistoryOptions,
    ) -> Result<Self, OpenError> {
        let history = Self::begin(disk, source, clock, options)?;
        history.build_missing()?;
        history.complete.send_replace(true);
        Ok(history)
    }

    /// Opens the directory and reads no record: whoever owns the history calls
    /// [`complete`](Self::complete) next, beside everything else. Until that is
    /// done, answers may lack what no index segment covers yet.
    ///
    /// # Errors
    ///
    /// When the directory or the journal cannot be listed.
    pub fn begin(
        disk: Arc<dyn Disk>,
        source: Arc<dyn Source>,
        clock: Arc<dyn Clock>,
        options: HistoryOptions,
    ) -> Result<Self, OpenError> {
        let directory = |source| OpenError::Directory { dir: options.dir.clone(), source };
        let files = Files::open(disk, options.dir.clone()).map_err(directory)?;
        let names = files.list().map_err(directory)?;
        let through = source.sealed()?.through;
        let state = State {
            memory: Memory::new(options.payload_bytes),
            frozen: Vec::new(),
            segments: Vec::new(),
            generation: 0,
            position: through,
            memory_from: through,
        };
        let history = Self {
            source,
            clock,
            cache: Arc::new(Cache::new(options.cache_bytes)),
            options,
            files,
            counters: Counters::default(),
            state: RwLock::new(state),
            intake: Mutex::new(()),
            builder: Mutex::new(()),
            indexed: watch::Sender::new(through),
            complete: watch::Sender::new(false),
        };
        history.adopt(names);
        Ok(history)
    }

    /// Builds what index segments are missing or damaged and reads the journal
    /// to its end. Blocks on the disk, for long when much is missing.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read; calling again goes on.
    pub fn complete(&self) -> Result<(), SourceError> {
        self.build_missing()?;
        self.catch_up()?;
        self.complete.send_replace(true);
        Ok(())
    }

    /// Waits until [`complete`](Self::complete) is done, at most `patience`;
    /// says whether it is.
    pub async fn wait_until_complete(&self, patience: Duration) -> bool {
        let mut complete = self.complete.subscribe();
        let done = complete.wait_for(|complete| *complete);
        tokio::time::timeout(patience, done).await.is_ok_and(|done| done.is_ok())
    }

    /// Reads the journal to its end; 0 when nothing was new, else about how
    /// many entries were.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read; what was read before stays indexed.
    pub fn catch_up(&self) -> Result<usize, SourceError> {
        let mut count = 0;
        loop {
            match self.take_batch() {
                Ok(0) => return Ok(count),
                Ok(taken) => count += taken,
                Err(Stop::Source(err)) => return Err(err),
                Err(Stop::Damaged(segment, damage)) => self.rebuild(&segment, &damage)?,
            }
        }
    }

    fn take_batch(&self) -> Result<usize, Stop> {
        let _intake = lock(&self.intake);
        let position = self.state().position;
        let Batch { entries, through } = self.source.after(position, BATCH)?;
        let count = entries.len();
        if let Some(first) = entries.first().filter(|first| first.sequence <= position) {
            tracing::warn!(sequence = first.sequence, "the journal's end was lost and rewritten");
            if self.forget_from(first.sequence) {
                return Ok(count.max(1));
            }
        }
        if through != position {
            self.take_in(entries, through)?;
            self.freeze_when_full()?;
        }
        Ok(if through == position { 0 } else { count.max(1) })
    }

    fn take_in(&self, entries: Vec<Entry>, last: u64) -> Result<(), Stop> {
        let mut generation = 0;
        let mut rows = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry.kind {
                EntryKind::Record => rows.extend(self.row(&entry)?.map(|row| (row, entry.payload))),
                EntryKind::Generation => generation = entry.sequence,
                EntryKind::Other => {}
            }
        }
        let segments = self.state().all_segments().cloned().collect::<Vec<_>>();
        let mut new = Vec::with_capacity(rows.len());
        for ((key, row), payload) in rows {
            if !self.is_repeated(&key, &row, &segments)? {
                new.push((key, row, payload));
            }
        }
        let mut state = self.state_mut();
        for (key, row, payload) in new {
            if state.memory.find_id(&key, &row.event_id).is_some() {
                self.counters.repeated(&row.event_id);
                continue;
            }
            self.counters.indexed.fetch_add(1, Ordering::Relaxed);
            state.memory.insert(&key, row, payload);
        }
        state.generation = state.generation.max(generation);
        state.position = last;
        drop(state);
        self.indexed.send_replace(last);
        Ok(())
    }

    /// The index row of a record; `None` when there is nothing to look up:
    /// the account was erased, or the record cannot be read (counted, logged).
    pub(crate) fn row(&self, entry: &Entry) -> Result<Option<(PartitionKey, Row)>, SourceError> {
        if entry.payload.is_empty() {
            return Ok(None);
        }
        let Some((id, secret)) = self.source.secret(&entry.account, None)? else {
            return Ok(None);
        };
        let view = match lookup::view(&entry.payload) {
            Ok(view) => view,
            Err(err) => {
                self.counters.unreadable.fetch_add(1, Ordering::Relaxed);
                tracing::error!(sequence = entry.sequence, %err, "record cannot be indexed");
                return Ok(None);
            }
        };
        let key = PartitionKey {
            account: entry.account.clone(),
            region: entry.region.clone(),
            category: category_code(entry.category),
            key_id: id,
        };
        let terms = TermKey::derive(id, &secret).of_view(&entry.event_id, &view);
        let place = Place { time: view.event_time.seconds(), sequence: entry.sequence };
        Ok(Some((key, Row { place, event_id: entry.event_id, terms })))
    }

    /// Whether an earlier record in `segments` has the same event id.
    ///
    /// An event id belongs to one arrival, so a repetition has the same
    /// `eventTime`: only segments that hold that second are asked.
    pub(crate) fn is_repeated(
        &self,
        key: &PartitionKey,
        row: &Row,
        segments: &[Arc<Segment>],
    ) -> Result<bool, Stop> {
        let time = row.place.time;
        let may_hold = |it: &&Arc<Segment>| {
            it.footer.first() < row.place.sequence
                && it.times.is_some_and(|(oldest, newest)| (oldest..=newest).contains(&time))
        };
        for segment in segments.iter().filter(may_hold) {
            if self.holds_id(segment, key, row)? {
                self.counters.repeated(&row.event_id);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn holds_id(
        &self,
        segment: &Arc<Segment>,
        key: &PartitionKey,
        row: &Row,
    ) -> Result<bool, Stop> {
        let time = row.place.time;
        let partitions = &segment.footer.partitions;
        let Ok(index) = partitions.binary_search_by(|entry| entry.key.cmp(key)) else {
            return Ok(false);
        };
        let Some((id, secret)) = self.source.secret(&key.account, Some(key.key_id))? else {
            return Ok(false);
        };
        let term = TermKey::derive(id, &secret).event_id(&row.event_id);
        let bounds = Bounds::second(time, row.place.sequence - 1);
        let places = || {
            let partition = segment.partition(index)?;
            let Some(posting) = partition.posting(term)? else { return Ok(Vec::new()) };
            Scan::new(partition, vec![posting], bounds)?.rest()
        };
        let places = places().map_err(|damage| Stop::Damaged(Arc::clone(segment), damage))?;
        for place in places {
            if self.has_event_id(place.sequence, &row.event_id)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has_event_id(&self, sequence: u64, event_id: &[u8; 16]) -> Result<bool, SourceError> {
        let Fetched::Present(json) = self.source.fetch(sequence)? else { return Ok(false) };
        let view = lookup::view(&json).ok();
        let held = view.and_then(|view| crate::term::parse_event_id(&view.event_id));
        Ok(held == Some(*event_id))
    }

    /// Every journal entry up to this sequence can be looked up.
    #[must_use]
    pub fn indexed(&self) -> u64 {
        *self.indexed.borrow()
    }

    /// Sequence of the newest generation entry; 0 when there is none.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.state().generation
    }

    /// Waits until every entry up to `sequence` can be looked up, at most
    /// `patience`; says whether it can. Somebody else must call
    /// [`catch_up`](Self::catch_up).
    pub async fn wait_for(&self, sequence: u64, patience: Duration) -> bool {
        let mut indexed = self.indexed.subscribe();
        let reached = indexed.wait_for(|indexed| sequence <= *indexed);
        tokio::time::timeout(patience, reached).await.is_ok_and(|reached| reached.is_ok())
    }

    /// What the history says about itself.
    #[must_use]
    pub fn stats(&self) -> HistoryStats {
        let state = self.state();
        self.counters.stats(&state)
    }

    /// The record at `sequence`, from memory or from the journal.
    pub(crate) fn payload(&self, sequence: u64) -> Result<Fetched, SourceError> {
        let young: Option<Bytes> = self.state().memory.payload(sequence);
        young.map_or_else(|| self.source.fetch(sequence), |json| Ok(Fetched::Present(json)))
    }

    /// Oldest `eventTime` of `stream` that may still be shown, seconds.
    pub(crate) fn horizon(&self, stream: Stream) -> i64 {
        let Micros(now) = self.clock.now();
        now.div_euclid(1_000_000) - self.options.retention_seconds(stream)
    }

    pub(crate) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps rows from moving while `change` is applied to what lookups see.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        let _intake = lock(&self.intake);
        change(&mut self.state_mut());
    }
}

pub(crate) fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
