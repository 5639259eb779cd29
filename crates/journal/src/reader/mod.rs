//! Reading the journal, from this process or another, while it is written.

mod cache;
mod open_view;
mod retention;
mod sealed_view;

use crate::disk::Disk;
use crate::error::{FileFault, at};
use crate::format::mark::Mark;
use crate::names::{self, Segment};
use crate::recovery::read_mark;
use crate::{DataKeys, FrameKind, Position, ReadError, StoredFrame};
use open_view::{Limit, OpenView};
use sealed_view::SealedStore;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use trailbox_clock::Micros;

/// Opened blocks a reader keeps unless told otherwise. Bytes.
const BLOCK_BYTES: usize = 32 << 20;
/// How often a directory that changes under the reader is listed again.
const TRIES: usize = 5;
/// All kinds of frames.
const EVERY_KIND: u8 = 0xff;

/// Which file a segment's frames lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Not sealed yet: all frames in one file.
    Open,
    /// Sealed: management and Insight frames.
    Management,
    /// Sealed: data and network activity frames.
    Data,
}

/// One file of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// First sequence of the segment; its streams share it.
    pub id: u64,
    /// Which of the segment's files.
    pub stream: Stream,
    /// First sequence the file covers.
    pub first: u64,
    /// Last sequence the file covers; `first - 1` while it has none.
    pub last: u64,
    /// Size of the file.
    pub bytes: u64,
    /// Frames in this file.
    pub records: u64,
    /// Earliest arrival of a frame in it, if any.
    pub min_arrival: Option<Micros>,
    /// Latest arrival of a frame in it, if any.
    pub max_arrival: Option<Micros>,
}

/// Reads a journal in position order, and single frames by sequence.
///
/// Holds no lock and writes nothing, except that [`drop_segment`](Self::drop_segment)
/// removes files. Never returns a frame that is not durable.
#[derive(Debug)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    keys: Arc<dyn DataKeys>,
    dir: PathBuf,
    after: Position,
    /// Bit `k` is set when frames of kind `k` are wanted.
    kinds: u8,
    sealed: SealedStore,
    state: Mutex<State>,
}

/// What the reader knows of the directory.
#[derive(Debug, Default)]
struct State {
    segments: Vec<Segment>,
    /// The mark as it was before `segments` were listed.
    listed_at: Option<Mark>,
    views: HashMap<(u64, u64), OpenView>,
}

/// Where to go on after one step.
enum Progress {
    /// Frames, and the last position passed.
    Read(Vec<StoredFrame>, Position),
    /// Nothing there yet.
    Wait,
    /// The directory has changed.
    ListAgain,
}

impl Reader {
    /// Opens the journal in `dir`, which may be empty or not there yet.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn open(
        disk: Arc<dyn Disk>,
        keys: Arc<dyn DataKeys>,
        dir: impl Into<PathBuf>,
    ) -> Result<Self, ReadError> {
        let reader = Self {
            disk,
            keys,
            dir: dir.into(),
            after: Position::default(),
            kinds: EVERY_KIND,
            sealed: SealedStore::new(BLOCK_BYTES),
            state: Mutex::default(),
        };
        reader.list(&mut reader.state())?;
        Ok(reader)
    }

    /// Keeps at most `bytes` of opened blocks in memory; default 32 MiB.
    #[must_use]
    pub fn with_cache(mut self, bytes: usize) -> Self {
        self.sealed = SealedStore::new(bytes);
        self
    }

    /// Gives back what is kept of opened files and blocks.
    pub fn rest(&self) {
        self.sealed.clear();
    }

    /// Continues after `after`; [`Position::default`] starts at the oldest frame.
    pub fn from(&mut self, after: Position) {
        self.after = after;
    }

    /// Returns only frames of these kinds from now on; the rest is passed
    /// over without being decrypted where that can be.
    pub fn only(&mut self, kinds: &[FrameKind]) {
        self.kinds = kinds.iter().fold(0, |mask, kind| mask | 1 << *kind as u8);
    }

    /// Position of the last frame passed, or what [`from`](Self::from) set.
    #[must_use]
    pub fn position(&self) -> Position {
        self.after
    }

    /// The next frames, at most `max`, in order; empty when there are none yet.
    ///
    /// # Errors
    ///
    /// See [`ReadError`]; the position stays where it was.
    pub fn next_batch(&mut self, max: usize) -> Result<Vec<StoredFrame>, ReadError> {
        let mut tries = 0;
        loop {
            let progress = match self.step(max.max(1)) {
                Err(fault) if is_gone(&fault) => Ok(Progress::ListAgain),
                other => other,
            }?;
            match progress {
                Progress::Wait => return Ok(Vec::new()),
                Progress::Read(frames, passed) => {
                    self.after = passed;
                    tries = 0;
                    if !frames.is_empty() {
                        return Ok(frames);
                    }
                }
                Progress::ListAgain => {
                    tries += 1;
                    self.list(&mut self.state())?;
                    if tries > TRIES {
                        return Ok(Vec::new());
                    }
                }
            }
        }
    }

    /// The frame with this sequence.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchFrame`] when it is not (or no longer) there.
    pub fn fetch(&self, sequence: u64) -> Result<StoredFrame, ReadError> {
        for _ in 0..TRIES {
            match self.try_fetch(sequence) {
                Ok(Some(frame)) => return Ok(frame),
                Ok(None) => {}
                Err(fault) if is_gone(&fault) => {}
                Err(fault) => return Err(fault),
            }
            let before = self.state().segments.clone();
            self.list(&mut self.state())?;
            if self.state().segments == before {
                break;
            }
        }
        Err(ReadError::NoSuchFrame { sequence })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists the directory, and forgets views of what is no longer unsealed.
    fn list(&self, state: &mut State) -> Result<(), ReadError> {
        state.listed_at = read_mark(&*self.disk, &self.dir)?;
        state.segments = names::segments(&*self.disk, &self.dir).map_err(at(&self.dir, "list"))?;
        let unsealed = |first: u64, epoch: u64| {
            state.segments.iter().any(|s| !s.is_sealed() && (s.first, s.epoch) == (first, epoch))
        };
        // A view without frames may be of a file that was replaced.
        state.views.retain(|&(first, epoch), view| unsealed(first, epoch) && view.last >= first);
        Ok(())
    }

    fn step(&self, max: usize) -> Result<Progress, ReadError> {
        let mut state = self.state();
        let mark = read_mark(&*self.disk, &self.dir)?;
        if moved_on(state.listed_at, mark) {
            return Ok(Progress::ListAgain);
        }
        let from = self.resume(&state.segments);
        let Some(at) = covering(&state.segments, from) else { return self.late(&mut state) };
        let segment = state.segments[at];
        let next = state.segments.get(at + 1).copied();
        let from = from.max(segment.first);
        if segment.is_sealed() {
            drop(state);
            return self.step_sealed(&segment, next, from, max);
        }
        let view = self.view(&mut state, &segment, limit(&segment, next.as_ref(), mark))?;
        self.check_node(view.header.node)?;
        if from > view.last {
            // Frames that belong to no segment at all are missing, not late.
            return Ok(if mark.is_none() { self.late(&mut state)? } else { Progress::Wait });
        }
        let (frames, sequence) = view.read(&*self.keys, from, (max, self.kinds))?;
        let (node, epoch) = (view.header.node, view.header.epoch);
        Ok(Progress::Read(frames, Position { node, epoch, sequence }))
    }

    /// Without a mark only the directory says whether there is more.
    fn late(&self, state: &mut State) -> Result<Progress, ReadError> {
        let before = state.segments.clone();
        self.list(state)?;
        Ok(if state.segments == before { Progress::Wait } else { Progress::ListAgain })
    }

    fn step_sealed(
        &self,
        segment: &Segment,
        next: Option<Segment>,
        from: u64,
        max: usize,
    ) -> Result<Progress, ReadError> {
        if from > segment.last {
            let Some(next) = next else { return Ok(Progress::Wait) };
            return self.report_missing(from, next.first - 1);
        }
        if segment.lacks_management() {
            return self.report_lacking(segment);
        }
        let ports = (&*self.disk, &*self.keys, self.dir.as_path());
        let (frames, sequence) = self.sealed.read(ports, segment, from, (max, self.kinds))?;
        let node = frames.first().map_or(self.after.node, |frame| frame.position.node);
        self.check_node(node)?;
        Ok(Progress::Read(frames, Position { node, epoch: segment.epoch, sequence }))
    }

    /// Frames are missing, unless listing again finds them.
    fn report_missing(&self, first: u64, last: u64) -> Result<Progress, ReadError> {
        let mut state = self.state();
        self.list(&mut state)?;
        let there = covering(&state.segments, first).map(|at| state.segments[at]);
        match there {
            Some(segment) if segment.is_sealed() && segment.last < first => {
                Err(ReadError::Missing { first, last })
            }
            _ => Ok(Progress::ListAgain),
        }
    }

    /// A stream is missing, unless listing again finds it.
    fn report_lacking(&self, segment: &Segment) -> Result<Progress, ReadError> {
        let mut state = self.state();
        self.list(&mut state)?;
        if state.segments.contains(segment) {
            return Err(ReadError::Missing { first: segment.first, last: segment.last });
        }
        Ok(Progress::ListAgain)
    }

    /// The sequence to go on with. Frames of an epoch that ended before they
    /// were durable may have been read; what took their place is read now.
    fn resume(&self, segments: &[Segment]) -> u64 {
        let next = self.after.sequence + 1;
        let newer = segments.iter().find(|s| self.after.epoch != 0 && s.epoch > self.after.epoch);
        newer.map_or(next, |newer| next.min(newer.first))
    }

    fn check_node(&self, node: [u8; 16]) -> Result<(), ReadError> {
        let expected = self.after.node;
        if expected == [0; 16] || expected == node {
            return Ok(());
        }
        Err(ReadError::OtherNode { found: hex::encode(expected), expected: hex::encode(node) })
    }

    fn view<'a>(
        &self,
        state: &'a mut State,
        segment: &Segment,
        limit: Limit,
    ) -> Result<&'a mut OpenView, FileFault> {
        let key = (segment.first, segment.epoch);
        // A view without frames may be of a file that was replaced.
        let in_use = state.views.get(&key).is_some_and(|view| view.last >= segment.first);
        if !in_use {
            let view = OpenView::open(&*self.disk, &self.dir, segment)?;
            state.views.insert(key, view);
        }
        let view = state.views.get_mut(&key).ok_or_else(|| FileFault::Disk {
            file: self.dir.clone(),
            action: "find a segment in",
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        view.extend(limit)?;
        Ok(view)
    }

    fn try_fetch(&self, sequence: u64) -> Result<Option<StoredFrame>, ReadError> {
        let mut state = self.state();
        let ports = (&*self.disk, &*self.keys, self.dir.as_path());
        // What is sealed stays as it is: no need to look how far the writer is.
        let known = covering(&state.segments, sequence).map(|at| state.segments[at]);
        let within = |it: &Segment| (it.first..=it.last).contains(&sequence);
        if let Some(segment) = known.filter(|it| it.is_sealed() && within(it)) {
            drop(state);
            return Ok(self.sealed.fetch(ports, &segment, sequence)?);
        }
        let mark = read_mark(&*self.disk, &self.dir)?;
        if moved_on(state.listed_at, mark) {
            self.list(&mut state)?;
        }
        let Some(at) = covering(&state.segments, sequence) else { return Ok(None) };
        let segment = state.segments[at];
        if sequence < segment.first {
            return Ok(None);
        }
        if segment.is_sealed() {
            drop(state);
            return Ok(self.sealed.fetch(ports, &segment, sequence)?);
        }
        let next = state.segments.get(at + 1).copied();
        let view = self.view(&mut state, &segment, limit(&segment, next.as_ref(), mark))?;
        if sequence > view.last {
            return Ok(None);
        }
        let (mut frames, _) = view.read(&*self.keys, sequence, (1, EVERY_KIND))?;
        Ok(frames.pop().filter(|frame| frame.position.sequence == sequence))
    }
}

/// The segment that holds `sequence`, or would; the oldest when it is older.
fn covering(segments: &[Segment], sequence: u64) -> Option<usize> {
    let after = segments.partition_point(|segment| segment.first <= sequence);
    // Of segments that begin alike, only the newest epoch has frames.
    if segments.is_empty() { None } else { Some(after.saturating_sub(1)) }
}

/// How far `segment` may be read, by what follows it and by the mark.
fn limit(segment: &Segment, next: Option<&Segment>, mark: Option<Mark>) -> Limit {
    if let Some(next) = next {
        return Limit::Complete { last: next.first - 1 };
    }
    match mark {
        Some(mark) if (mark.segment, mark.epoch) == (segment.first, segment.epoch) => {
            Limit::Durable { offset: mark.offset, last: mark.sequence }
        }
        // Begun, but the mark has not come here yet.
        Some(_) => Limit::Durable { offset: 0, last: segment.first - 1 },
        None => Limit::Whole,
    }
}

/// Whether the writer has begun a segment since the directory was listed.
fn moved_on(listed: Option<Mark>, now: Option<Mark>) -> bool {
    let place = |mark: Option<Mark>| mark.map(|mark| (mark.epoch, mark.segment));
    place(listed) != place(now)
}

/// Whether a file went away between being listed and being opened.
fn is_gone(err: &ReadError) -> bool {
    matches!(err, ReadError::Disk { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
}
