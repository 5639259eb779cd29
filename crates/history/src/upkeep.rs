//! Index files: made when a journal segment is sealed, made again when
//! damaged, merged while they are small, dropped after their retention.

use crate::codec::Damage;
use crate::files::FINISHED;
use crate::history::{History, State, Stop, lock};
use crate::merge::{merge, next_merge};
use crate::row::{PartitionKey, Row, stream_of_code};
use crate::segment::{Segment, SegmentWriter, group_terms};
use crate::source::{Entry, EntryKind, SealedSegment, SourceError, Stream};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What one [`History::upkeep`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Upkeep {
    /// Index segments made for newly sealed journal segments.
    pub built: usize,
    /// Index segments that were merged into larger ones.
    pub merged: usize,
    /// Journal segments dropped after their retention.
    pub dropped: usize,
}

/// Rows of one index segment to be, by partition.
pub(crate) type Rows = BTreeMap<PartitionKey, Vec<Row>>;

impl History {
    /// Makes missing index segments, merges small ones and drops what is past
    /// its retention. Blocks on the disk; lookups and
    /// [`catch_up`](Self::catch_up) run on beside it. When nobody looked
    /// anything up since the last time, caches are given back.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read or changed. What was done stays done.
    pub fn upkeep(&self) -> Result<Upkeep, SourceError> {
        let built = self.build_missing()?;
        let _builder = lock(&self.builder);
        let merged = self.merge_all()?;
        let dropped = self.drop_expired()?;
        if self.counters.asked.swap(0, Ordering::Relaxed) == 0 {
            self.cache.clear();
            self.source.rest();
        }
        Ok(Upkeep { built, merged, dropped })
    }

    /// Takes over the index files found at start. Damaged ones are removed, so
    /// that [`build_missing`](Self::build_missing) makes them again; of two that
    /// cover the same (a crash between a merge and its removals) the larger stays.
    pub(crate) fn adopt(&self, names: Vec<String>) {
        let mut found: Vec<Arc<Segment>> = Vec::new();
        for name in names {
            match Segment::open(&self.files, &self.cache, &name) {
                Ok(segment) => found.push(Arc::new(segment)),
                Err(damage) => {
                    self.report_damage(&name, &damage);
                    self.counters.rebuilt.fetch_add(1, Ordering::Relaxed);
                    self.remove_file(&name);
                }
            }
        }
        found.sort_by_key(|segment| std::cmp::Reverse(segment.footer.covered.len()));
        let mut covered = HashSet::new();
        found.retain(|segment| {
            let held: Vec<_> = segment.footer.covered.iter().map(cover_key).collect();
            let new = held.iter().all(|key| !covered.contains(key));
            covered.extend(held);
            if !new {
                self.remove_file(&segment.file);
            }
            new
        });
        found.sort_by_key(|segment| segment.footer.first());
        let mut state = self.state_mut();
        state.generation = found.iter().map(|segment| segment.footer.generation).max().unwrap_or(0);
        state.segments = found;
    }

    /// Builds an index segment for every sealed journal segment that has none
    /// and has been read to its end.
    pub(crate) fn build_missing(&self) -> Result<usize, SourceError> {
        let _builder = lock(&self.builder);
        let mut sealed = self.source.sealed()?.segments;
        sealed.sort_by_key(|segment| (segment.first, segment.stream));
        let (covered, position) = {
            let state = self.state();
            let footers = state.segments.iter().map(|segment| &segment.footer);
            let covered: HashSet<_> = footers.flat_map(|it| &it.covered).map(cover_key).collect();
            (covered, state.position)
        };
        let mut built = 0;
        for segment in sealed {
            let expired = segment.newest.seconds() < self.horizon(segment.stream);
            if !expired && segment.last <= position && !covered.contains(&cover_key(&segment)) {
                self.build(vec![segment], None)?;
                built += 1;
            }
        }
        Ok(built)
    }

    /// Makes the index segment that covers `covered`, in the place of `old`.
    fn build(
        &self,
        covered: Vec<SealedSegment>,
        old: Option<&Arc<Segment>>,
    ) -> Result<(), SourceError> {
        let Some((stream, first, last)) = extent(&covered) else { return Ok(()) };
        let from_memory = old.is_none() && self.state().holds_in_memory(stream, first, last);
        let (rows, generation) = if from_memory {
            let state = self.state();
            let rows = state.memory.rows_between(stream, first, last);
            (rows, if state.generation <= last { state.generation } else { 0 })
        } else {
            self.read_rows(&covered, old)?
        };
        let bytes = write_rows(stream, rows, covered, generation).map_err(corrupt)?;
        let name = file_name(stream, first, last);
        let segment = self.publish(&name, &bytes)?;
        self.change(|state| {
            state.segments.retain(|held| old.is_none_or(|old| !Arc::ptr_eq(held, old)));
            state.memory.forget(stream, first, last);
            // Segments are made oldest first: none before this one is missing.
            state.frozen.retain(|part| !part.is_covered(stream, last));
            state.generation = state.generation.max(segment.footer.generation);
            state.segments.push(segment);
            state.segments.sort_by_key(|held| held.footer.first());
        });
        Ok(())
    }

    /// Reads the rows of `covered` from the journal, repetitions left out.
    ///
    /// Whether a row repeats another is asked of earlier segments only, so a
    /// damaged one among those is rebuilt first and this comes to an end.
    fn read_rows(
        &self,
        covered: &[SealedSegment],
        old: Option<&Arc<Segment>>,
    ) -> Result<(Rows, u64), SourceError> {
        loop {
            match self.try_read_rows(covered, old) {
                Ok(rows) => return Ok(rows),
                Err(Stop::Source(err)) => return Err(err),
                Err(Stop::Damaged(other, damage)) => self.replace(&other, &damage)?,
            }
        }
    }

    fn try_read_rows(
        &self,
        covered: &[SealedSegment],
        old: Option<&Arc<Segment>>,
    ) -> Result<(Rows, u64), Stop> {
        let mut others = self.state().segments.clone();
        others.retain(|held| old.is_none_or(|old| !Arc::ptr_eq(held, old)));
        let mut reading = Reading { history: self, others, ids: HashSet::new(), rows: Rows::new() };
        let mut generation = 0;
        for segment in covered {
            let mut failure = None;
            self.source.read(segment, &mut |entry| match entry.kind {
                EntryKind::Record if failure.is_none() => {
                    failure = reading.take(&entry, segment.stream).err();
                }
                EntryKind::Generation => generation = generation.max(entry.sequence),
                EntryKind::Record | EntryKind::Other => {}
            })?;
            failure.map_or(Ok(()), Err)?;
        }
        Ok((reading.rows, generation))
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<Arc<Segment>, SourceError> {
        self.files
            .publish(name, bytes)
            .map_err(|err| SourceError::Unavailable { reason: format!("index {name}: {err}") })?;
        let segment = Segment::open(&self.files, &self.cache, name).map_err(corrupt)?;
        tracing::info!(
            file = name,
            records = segment.footer.rows(),
            bytes = bytes.len(),
            "index segment made"
        );
        Ok(Arc::new(segment))
    }

    /// Makes a damaged segment again from the journal, unless somebody did already.
    pub(crate) fn rebuild(
        &self,
        broken: &Arc<Segment>,
        damage: &Damage,
    ) -> Result<(), SourceError> {
        let _builder = lock(&self.builder);
        if !self.state().segments.iter().any(|held| Arc::ptr_eq(held, broken)) {
            return Ok(());
        }
        self.replace(broken, damage)
    }

    /// [`rebuild`](Self::rebuild) for who holds the builder's lock.
    fn replace(&self, broken: &Arc<Segment>, damage: &Damage) -> Result<(), SourceError> {
        self.report_damage(&broken.file, damage);
        let sealed = self.source.sealed()?.segments;
        let exists = |segment: &&SealedSegment| {
            sealed.iter().any(|held| cover_key(held) == cover_key(segment))
        };
        let covered: Vec<_> = broken.footer.covered.iter().filter(exists).cloned().collect();
        if covered.is_empty() {
            tracing::error!(file = broken.file, "its journal segments are gone: index dropped");
            self.change(|state| state.segments.retain(|held| !Arc::ptr_eq(held, broken)));
            self.remove_file(&broken.file);
            return Ok(());
        }
        self.build(covered, Some(broken))?;
        if !self.state().segments.iter().any(|held| held.file == broken.file) {
            self.remove_file(&broken.file);
        }
        self.counters.rebuilt.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn report_damage(&self, file: &str, damage: &Damage) {
        self.counters.damaged.fetch_add(1, Ordering::Relaxed);
        tracing::error!(file, %damage, "index segment is damaged; it is made again from the journal");
    }

    fn merge_all(&self) -> Result<usize, SourceError> {
        let mut merged = 0;
        for stream in [Stream::Management, Stream::Data] {
            loop {
                let segments = self.state().segments.clone();
                let run = next_merge(&segments, stream, &self.options);
                if run.len() < 2 {
                    break;
                }
                merged += run.len();
                self.merge_run(stream, &run)?;
            }
        }
        Ok(merged)
    }

    fn merge_run(&self, stream: Stream, run: &[Arc<Segment>]) -> Result<(), SourceError> {
        let bytes = match merge(stream, run, self.horizon(stream)) {
            Ok(bytes) => bytes,
            Err((at, damage)) => {
                // Merged again on the next round, from what is rebuilt now.
                return self.replace(&run[at], &damage);
            }
        };
        let covered: Vec<_> = run.iter().flat_map(|it| it.footer.covered.clone()).collect();
        let Some((_, first, last)) = extent(&covered) else { return Ok(()) };
        let segment = self.publish(&file_name(stream, first, last), &bytes)?;
        let file = segment.file.clone();
        self.change(|state| {
            state.segments.retain(|held| !run.iter().any(|old| Arc::ptr_eq(held, old)));
            state.segments.push(segment);
            state.segments.sort_by_key(|held| held.footer.first());
        });
        for old in run.iter().filter(|old| old.file != file) {
            self.remove_file(&old.file);
        }
        self.counters.merged.fetch_add(run.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Drops journal segments past their retention, then index segments all of
    /// whose records are.
    fn drop_expired(&self) -> Result<usize, SourceError> {
        let mut dropped = 0;
        for segment in self.source.sealed()?.segments {
            if segment.newest.seconds() < self.horizon(segment.stream) {
                self.source.drop_segment(&segment)?;
                self.counters.dropped.fetch_add(1, Ordering::Relaxed);
                dropped += 1;
            }
        }
        let expired = |segment: &Arc<Segment>| {
            let horizon = self.horizon(segment.footer.stream);
            let arrivals = segment.footer.covered.iter().map(|held| held.newest.seconds());
            let newest = arrivals.chain(segment.times.map(|(_, newest)| newest)).max();
            newest.is_none_or(|newest| newest < horizon)
        };
        let old: Vec<_> = self.state().segments.iter().filter(|it| expired(it)).cloned().collect();
        self.change(|state| {
            state.segments.retain(|held| !expired(held));
            state.frozen.retain(|part| !expired(&part.segment));
        });
        for segment in old {
            tracing::info!(file = segment.file, "index segment dropped after its retention");
            self.remove_file(&segment.file);
        }
        Ok(dropped)
    }

    fn remove_file(&self, name: &str) {
        if let Err(err) = self.files.remove(name) {
            tracing::warn!(file = name, %err, "cannot remove an index segment; it is removed at the next start");
        }
    }
}

impl State {
    /// Whether the memory index holds every row of `stream` from `first` to `last`.
    fn holds_in_memory(&self, stream: Stream, first: u64, last: u64) -> bool {
        let packed = self.frozen.iter().any(|part| part.overlaps(stream, first, last));
        self.memory_from < first && !packed
    }
}

/// Rows read again from the journal.
struct Reading<'a> {
    history: &'a History,
    /// Segments that may hold an earlier copy.
    others: Vec<Arc<Segment>>,
    ids: HashSet<(PartitionKey, [u8; 16])>,
    rows: Rows,
}

impl Reading<'_> {
    fn take(&mut self, entry: &Entry, stream: Stream) -> Result<(), Stop> {
        let Some((key, row)) = self.history.row(entry)? else { return Ok(()) };
        let own = stream_of_code(key.category) == stream;
        if own
            && self.ids.insert((key.clone(), row.event_id))
            && !self.history.is_repeated(&key, &row, &self.others)?
        {
            self.rows.entry(key).or_default().push(row);
        }
        Ok(())
    }
}

/// The stream of `covered`, its first and its last sequence.
fn extent(covered: &[SealedSegment]) -> Option<(Stream, u64, u64)> {
    let first = covered.iter().min_by_key(|segment| segment.first)?;
    let last = covered.iter().map(|segment| segment.last).max()?;
    Some((first.stream, first.first, last))
}

const fn cover_key(segment: &SealedSegment) -> (Stream, u64) {
    (segment.stream, segment.id)
}

fn file_name(stream: Stream, first: u64, last: u64) -> String {
    format!("{}-{first:020}-{last:020}{FINISHED}", stream.name())
}

/// A file that cannot be read now is not damaged for that.
fn corrupt(damage: Damage) -> SourceError {
    let reason = damage.to_string();
    match damage {
        Damage::Read { .. } => SourceError::Unavailable { reason },
        Damage::Checksum { .. }
        | Damage::Short { .. }
        | Damage::Shape { .. }
        | Damage::Header { .. } => SourceError::Corrupt { reason },
    }
}

pub(crate) fn write_rows(
    stream: Stream,
    rows: Rows,
    covered: Vec<SealedSegment>,
    generation: u64,
) -> Result<Vec<u8>, Damage> {
    let mut writer = SegmentWriter::new(stream);
    for (key, mut rows) in rows {
        rows.sort_unstable_by_key(|row| row.place);
        let places: Vec<_> = rows.iter().map(|row| row.place).collect();
        let numbered = (0_u32..).zip(&rows);
        let pairs = numbered.flat_map(|(at, row)| row.terms.iter().map(move |&term| (term, at)));
        let terms = group_terms(pairs.collect());
        writer.partition(key, &places, terms.into_iter().map(Ok))?;
    }
    Ok(writer.finish(covered, generation))
}
