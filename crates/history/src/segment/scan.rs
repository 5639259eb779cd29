//! Walking through the rows of one partition that match a question.

use super::ROWS_PER_PAGE;
use super::read::PartitionReader;
use crate::codec::{BlockRef, Damage};
use crate::row::Place;

/// The ordinals that have one term, ascending.
#[derive(Debug, Clone)]
pub(crate) struct Posting {
    /// Where the ordinals are, when they are not in the term page.
    unread: Option<(BlockRef, usize)>,
    chunks: Vec<(u32, usize, BlockRef)>,
    /// Which chunk `loaded` is.
    chunk: usize,
    loaded: Vec<u32>,
}

impl Posting {
    pub(super) const fn whole(ordinals: Vec<u32>) -> Self {
        Self { unread: None, chunks: Vec::new(), chunk: 0, loaded: ordinals }
    }

    pub(super) const fn chunked(block: BlockRef, count: usize) -> Self {
        Self { unread: Some((block, count)), chunks: Vec::new(), chunk: 0, loaded: Vec::new() }
    }

    pub(super) const fn unread(&self) -> Option<(BlockRef, usize)> {
        self.unread
    }

    pub(super) fn into_loaded(self) -> Vec<u32> {
        self.loaded
    }

    pub(super) fn set_chunks(&mut self, chunks: Vec<(u32, usize, BlockRef)>) {
        self.chunks = chunks;
        self.chunk = usize::MAX;
        self.unread = None;
    }

    /// The first ordinal that is `from` or more.
    fn seek(&mut self, partition: &PartitionReader, from: u32) -> Result<Option<u32>, Damage> {
        self.prepare(partition)?;
        if self.chunks.is_empty() {
            return Ok(self.seek_loaded(from));
        }
        let behind = self.chunks.partition_point(|(first, _, _)| *first <= from);
        self.load(partition, behind.saturating_sub(1))?;
        if let Some(found) = self.seek_loaded(from) {
            return Ok(Some(found));
        }
        Ok(self.chunks.get(behind).map(|(first, _, _)| *first))
    }

    fn seek_loaded(&self, from: u32) -> Option<u32> {
        self.loaded.get(self.loaded.partition_point(|&held| held < from)).copied()
    }

    fn load(&mut self, partition: &PartitionReader, chunk: usize) -> Result<(), Damage> {
        if self.chunk != chunk {
            let (_, count, block) = self.chunks[chunk];
            self.loaded = partition.chunk(block, count)?;
            self.chunk = chunk;
        }
        Ok(())
    }
}

/// Which rows of a partition a question can mean.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// The first place that may be shown.
    pub(crate) from: Place,
    /// The last place that may be shown.
    pub(crate) to: Place,
    /// Sequences above this came after the first page.
    pub(crate) pin: u64,
    /// Sequences up to this are of an earlier generation.
    pub(crate) after_sequence: u64,
}

impl Bounds {
    /// The rows of one second with sequences up to `pin`.
    pub(crate) const fn second(time: i64, pin: u64) -> Self {
        let (from, to) = (Place { time, sequence: u64::MAX }, Place { time, sequence: 0 });
        Self { from, to, pin, after_sequence: 0 }
    }

    /// Whether `place` lies within.
    pub(crate) fn hold(&self, place: Place) -> bool {
        (self.from..=self.to).contains(&place) && self.hold_sequence(place.sequence)
    }

    fn hold_sequence(&self, sequence: u64) -> bool {
        sequence <= self.pin && sequence > self.after_sequence
    }
}

/// The rows of one partition that have every posting's term and lie within bounds.
#[derive(Debug)]
pub(crate) struct Scan {
    partition: PartitionReader,
    postings: Vec<Posting>,
    bounds: Bounds,
    next: u32,
    end: u32,
    page: Option<(usize, Vec<Place>)>,
}

impl Scan {
    /// Begins at the newest row within `bounds`.
    pub(crate) fn new(
        partition: PartitionReader,
        postings: Vec<Posting>,
        bounds: Bounds,
    ) -> Result<Self, Damage> {
        let next = partition.ordinal(bounds.from)?;
        let end = partition.ordinal(bounds.to.behind())?;
        Ok(Self { partition, postings, bounds, next, end, page: None })
    }

    /// The next matching row.
    pub(crate) fn next(&mut self) -> Result<Option<Place>, Damage> {
        while let Some(ordinal) = self.candidate()? {
            self.next = ordinal + 1;
            let place = self.place(ordinal)?;
            if self.bounds.hold_sequence(place.sequence) {
                return Ok(Some(place));
            }
        }
        self.next = self.end;
        Ok(None)
    }

    /// All matching rows that are left.
    pub(crate) fn rest(mut self) -> Result<Vec<Place>, Damage> {
        let mut places = Vec::new();
        while let Some(place) = self.next()? {
            places.push(place);
        }
        Ok(places)
    }

    /// The first ordinal from `next` on that every posting has.
    fn candidate(&mut self) -> Result<Option<u32>, Damage> {
        let mut ordinal = self.next;
        let mut agreed = 0;
        while agreed < self.postings.len() {
            for posting in &mut self.postings {
                let Some(found) = posting.seek(&self.partition, ordinal)? else {
                    return Ok(None);
                };
                agreed = if found == ordinal { agreed + 1 } else { 1 };
                ordinal = found;
            }
        }
        Ok((ordinal < self.end).then_some(ordinal))
    }

    fn place(&mut self, ordinal: u32) -> Result<Place, Damage> {
        let (page, within) = (ordinal as usize / ROWS_PER_PAGE, ordinal as usize % ROWS_PER_PAGE);
        if self.page.as_ref().is_none_or(|(held, _)| *held != page) {
            self.page = Some((page, self.partition.row_page(page)?));
        }
        let place = self.page.as_ref().and_then(|(_, places)| places.get(within));
        place.copied().ok_or(Damage::Shape { what: "a row number" })
    }

    /// The segment that is walked through.
    pub(crate) const fn partition(&self) -> &PartitionReader {
        &self.partition
    }
}
