//! Merging index segments: a lookup asks each segment once, so they must stay few.

use crate::HistoryOptions;
use crate::codec::Damage;
use crate::row::{PartitionKey, Place};
use crate::segment::{PartitionReader, Segment, SegmentWriter, TermEntries};
use crate::source::Stream;
use crate::term::Term;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

/// Neighbours of one size that are merged at once.
const FAN: usize = 8;
/// Segments below this many records are of the smallest size.
const SMALLEST: u64 = 4096;

/// The next neighbours to merge, oldest first; fewer than two when nothing is to do.
///
/// Sizes are classes of factor eight. Eight neighbours of a class become one of
/// the next, so n segments leave about 8·log8(n). A run that would grow over
/// `merged_records_max` is cut where it fits, and merged when that fills at
/// least half. No merged segment spans more than a twelfth of the retention:
/// old ones can be dropped whole.
pub(crate) fn next_merge(
    segments: &[Arc<Segment>],
    stream: Stream,
    options: &HistoryOptions,
) -> Vec<Arc<Segment>> {
    let mut held: Vec<&Arc<Segment>> =
        segments.iter().filter(|segment| segment.footer.stream == stream).collect();
    held.sort_by_key(|segment| segment.footer.first());
    let span_max = (options.retention_seconds(stream) / 12).max(86_400);
    for class in 0..=8 {
        for run in held.chunk_by(|a, b| (size_class(a) == class) == (size_class(b) == class)) {
            if size_class(run[0]) != class {
                continue;
            }
            let fitting = fitting(run, options.merged_records_max, span_max);
            if !fitting.is_empty() {
                return fitting;
            }
        }
    }
    Vec::new()
}

fn size_class(segment: &Segment) -> u32 {
    (segment.footer.rows() / SMALLEST).checked_ilog2().map_or(0, |log| log / 3 + 1)
}

/// The oldest neighbours of `run` that are worth merging.
fn fitting(run: &[&Arc<Segment>], records_max: u64, span_max: i64) -> Vec<Arc<Segment>> {
    let mut start = 0;
    while start < run.len() {
        let mut end = start;
        let mut records = 0;
        while end < run.len() && end - start < FAN {
            let more = records + run[end].footer.rows();
            if records_max < more || span_max < span(&run[start..=end]) {
                break;
            }
            records = more;
            end += 1;
        }
        let full = end - start == FAN;
        // Stopped by a limit, not by the end of the run: it will never grow.
        let cut = !full && end < run.len();
        if full || (cut && 2 <= end - start && records_max / 2 <= records) {
            return run[start..end].iter().map(|&segment| Arc::clone(segment)).collect();
        }
        if !cut {
            break;
        }
        start = end.max(start + 1);
    }
    Vec::new()
}

fn span(run: &[&Arc<Segment>]) -> i64 {
    let times = || run.iter().filter_map(|segment| segment.times);
    let oldest = times().map(|(oldest, _)| oldest).min();
    let newest = times().map(|(_, newest)| newest).max();
    newest.zip(oldest).map_or(0, |(newest, oldest)| newest - oldest)
}

/// The bytes of one segment with the rows of all of `run` that are not older
/// than `horizon`, or which segment of the run is damaged.
pub(crate) fn merge(
    stream: Stream,
    run: &[Arc<Segment>],
    horizon: i64,
) -> Result<Vec<u8>, (usize, Damage)> {
    let mut parts: BTreeMap<&PartitionKey, Vec<(usize, usize)>> = BTreeMap::new();
    for (at, segment) in run.iter().enumerate() {
        for (index, entry) in segment.footer.partitions.iter().enumerate() {
            parts.entry(&entry.key).or_default().push((at, index));
        }
    }
    let mut writer = SegmentWriter::new(stream);
    for (key, parts) in parts {
        let inputs = parts
            .iter()
            .map(|&(at, index)| {
                let partition = run[at].partition(index).map_err(|damage| (at, damage))?;
                let places = partition.places().map_err(|damage| (at, damage))?;
                Ok(Input { at, partition, places, ordinals: Vec::new() })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (places, inputs) = renumber(inputs, horizon);
        let mut terms = Terms::new(&inputs)?;
        let mut blame = None;
        let stream = std::iter::from_fn(|| terms.next().transpose()).map(|term| {
            term.map_err(|(at, damage)| {
                blame = Some(at);
                damage
            })
        });
        let written = writer.partition(key.clone(), &places, stream);
        written.map_err(|damage| (blame.unwrap_or(0), damage))?;
    }
    let covered = run.iter().flat_map(|segment| segment.footer.covered.clone()).collect();
    let generation = run.iter().map(|segment| segment.footer.generation).max().unwrap_or(0);
    Ok(writer.finish(covered, generation))
}

/// One partition that goes into the merged one.
struct Input {
    /// Which segment of the run.
    at: usize,
    partition: PartitionReader,
    places: Vec<Place>,
    /// The new ordinal of every old one, or [`GONE`].
    ordinals: Vec<u32>,
}

/// The ordinal of a row past its retention.
const GONE: u32 = u32::MAX;

/// Merges the rows of all inputs and notes where each went.
fn renumber(mut inputs: Vec<Input>, horizon: i64) -> (Vec<Place>, Vec<Input>) {
    let mut places: Vec<Place> = Vec::new();
    let mut heads: BinaryHeap<Reverse<(Place, usize)>> = BinaryHeap::new();
    for (at, input) in inputs.iter_mut().enumerate() {
        input.ordinals.reserve_exact(input.places.len());
        heads.extend(input.places.first().map(|&first| Reverse((first, at))));
    }
    while let Some(Reverse((place, at))) = heads.pop() {
        if horizon <= place.time && places.last() != Some(&place) {
            places.push(place);
        }
        let kept = horizon <= place.time;
        let input = &mut inputs[at];
        input.ordinals.push(if kept { last_ordinal(&places) } else { GONE });
        let next = input.places.get(input.ordinals.len());
        heads.extend(next.map(|&next| Reverse((next, at))));
    }
    for input in &mut inputs {
        input.places = Vec::new();
    }
    (places, inputs)
}

/// Partitions have fewer than 2^32 rows; more is refused when they are written.
fn last_ordinal(places: &[Place]) -> u32 {
    u32::try_from(places.len().saturating_sub(1)).unwrap_or(GONE)
}

/// The terms of all inputs, ascending, with their renumbered ordinals.
struct Terms<'a> {
    inputs: &'a [Input],
    heads: Vec<Option<Head>>,
}

struct Head {
    term: Term,
    ordinals: Vec<u32>,
    page: usize,
    entries: TermEntries,
}

type Blamed<T> = Result<T, (usize, Damage)>;

impl<'a> Terms<'a> {
    fn new(inputs: &'a [Input]) -> Blamed<Self> {
        let first = |input: &Input| {
            if input.partition.term_pages() == 0 {
                return Ok(None);
            }
            let entries = input.partition.term_page(0).map_err(|damage| (input.at, damage))?;
            advance(input, 0, entries)
        };
        let heads = inputs.iter().map(first).collect::<Result<_, _>>()?;
        Ok(Self { inputs, heads })
    }

    fn next(&mut self) -> Blamed<Option<(Term, Vec<u32>)>> {
        loop {
            let Some(term) = self.heads.iter().flatten().map(|head| head.term).min() else {
                return Ok(None);
            };
            let mut ordinals = Vec::new();
            for (input, slot) in self.inputs.iter().zip(&mut self.heads) {
                let Some(head) = slot.take_if(|head| head.term == term) else { continue };
                ordinals.extend(head.ordinals);
                *slot = advance(input, head.page, head.entries)?;
            }
            ordinals.sort_unstable();
            ordinals.dedup();
            if !ordinals.is_empty() {
                return Ok(Some((term, ordinals)));
            }
        }
    }
}

/// The next term of an input, from the page it stands in or a later one.
fn advance(input: &Input, mut page: usize, mut entries: TermEntries) -> Blamed<Option<Head>> {
    let blame = |damage| (input.at, damage);
    loop {
        if let Some((term, posting)) = entries.next(&input.partition).map_err(blame)? {
            let old = posting.all(&input.partition).map_err(blame)?;
            let new = |&ordinal: &u32| input.ordinals.get(ordinal as usize).copied();
            let ordinals = old.iter().filter_map(new).filter(|it| *it != GONE).collect();
            return Ok(Some(Head { term, ordinals, page, entries }));
        }
        page += 1;
        if page == input.partition.term_pages() {
            return Ok(None);
        }
        entries = input.partition.term_page(page).map_err(blame)?;
    }
}
