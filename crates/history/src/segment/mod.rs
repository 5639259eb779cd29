//! Index segments: immutable files that answer lookups for the sealed part of
//! the journal.
//!
//! ```text
//! head     magic "TBXINDEX" · version u16 · features u16 · zero u32 · CRC-32C u32
//! blocks   per partition (account, Region, category, key): row pages, posting
//!          chunks, term pages, one directory
//! footer   one block: stream, covered journal segments, partitions
//! tail     footer offset u64 · footer length u32 · CRC-32C u32
//! ```
//!
//! All numbers are little-endian; inside blocks they are LEB128. A row is known
//! by its *ordinal*: 0 is the newest record of the partition. A row page holds
//! (eventTime, sequence) of 512 rows as distances. A term page holds ascending
//! 48-bit terms, each with its ordinals: up to 16 in place, more in chunks of
//! 4096, more than one chunk behind a list of chunks. The directory names the
//! first row or term of every page, so a lookup reads one page per question.
//!
//! Every block carries its checksum and is checked when it is read. A file of a
//! newer version or with unknown features is not guessed at: it counts as
//! damaged and is rebuilt from the journal.

mod foreign;
mod read;
mod scan;
mod write;

#[doc(hidden)]
pub use foreign::read_foreign;
pub(crate) use read::{PartitionReader, Segment, TermEntries};
pub(crate) use scan::{Bounds, Posting, Scan};
pub(crate) use write::{SegmentWriter, group_terms};

use crate::codec::{BlockRef, Damage, Take, put_number, put_signed, put_text};
use crate::row::{PartitionKey, Place};
use crate::source::{SealedSegment, Stream};
use trailbox_clock::Micros;

pub(crate) const MAGIC: &[u8; 8] = b"TBXINDEX";
pub(crate) const VERSION: u16 = 1;
/// Feature bits this code understands: none yet.
pub(crate) const FEATURES: u16 = 0;
pub(crate) const HEAD_BYTES: usize = 20;
pub(crate) const TAIL_BYTES: usize = 16;

pub(crate) const ROWS_PER_PAGE: usize = 512;
/// Small: a lookup decodes half a page per segment it asks.
pub(crate) const TERM_PAGE_BYTES: usize = 1024;
pub(crate) const INLINE_MAX: usize = 16;
pub(crate) const CHUNK: usize = 4096;

/// What an index segment says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) stream: Stream,
    /// Journal segments whose records are in here, ascending.
    pub(crate) covered: Vec<SealedSegment>,
    /// Newest generation entry in the covered segments; 0 for none.
    pub(crate) generation: u64,
    /// Ascending by key.
    pub(crate) partitions: Vec<PartitionEntry>,
}

/// One partition of an index segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionEntry {
    pub(crate) key: PartitionKey,
    pub(crate) rows: u32,
    pub(crate) newest: Place,
    pub(crate) oldest: Place,
    pub(crate) directory: BlockRef,
}

impl Footer {
    pub(crate) fn rows(&self) -> u64 {
        self.partitions.iter().map(|partition| u64::from(partition.rows)).sum()
    }

    pub(crate) fn first(&self) -> u64 {
        self.covered.first().map_or(0, |segment| segment.first)
    }

    /// Oldest and newest `eventTime` of all rows.
    pub(crate) fn times(&self) -> Option<(i64, i64)> {
        let oldest = self.partitions.iter().map(|partition| partition.oldest.time).min()?;
        let newest = self.partitions.iter().map(|partition| partition.newest.time).max()?;
        Some((oldest, newest))
    }

    /// Partitions of `account`, with their numbers. Partitions are sorted by key.
    pub(crate) fn of_account<'a>(
        &'a self,
        account: &'a str,
    ) -> impl Iterator<Item = (usize, &'a PartitionEntry)> {
        let first = self.partitions.partition_point(|entry| *entry.key.account < *account);
        let rest = self.partitions.iter().enumerate().skip(first);
        rest.take_while(move |(_, entry)| entry.key.account == account)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![match self.stream {
            Stream::Management => 0,
            Stream::Data => 1,
        }];
        put_number(&mut out, self.generation);
        put_number(&mut out, self.covered.len() as u64);
        for segment in &self.covered {
            put_number(&mut out, segment.id);
            put_number(&mut out, segment.first);
            put_number(&mut out, segment.last);
            put_signed(&mut out, segment.newest.0);
        }
        put_number(&mut out, self.partitions.len() as u64);
        for partition in &self.partitions {
            partition.encode(&mut out);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut take = Take::new(bytes, "the footer");
        let stream = match take.byte()? {
            0 => Stream::Management,
            1 => Stream::Data,
            _ => return Err(take.damage()),
        };
        let generation = take.number()?;
        let covered = (0..take.count()?)
            .map(|_| {
                Ok(SealedSegment {
                    id: take.number()?,
                    stream,
                    first: take.number()?,
                    last: take.number()?,
                    newest: Micros(take.signed()?),
                })
            })
            .collect::<Result<_, Damage>>()?;
        let partitions = (0..take.count()?)
            .map(|_| PartitionEntry::decode(&mut take))
            .collect::<Result<Vec<_>, Damage>>()?;
        if !partitions.is_sorted_by(|a, b| a.key < b.key) {
            return Err(take.damage());
        }
        Ok(Self { stream, covered, generation, partitions })
    }
}

impl PartitionEntry {
    fn encode(&self, out: &mut Vec<u8>) {
        put_text(out, &self.key.account);
        put_text(out, &self.key.region);
        out.push(self.key.category);
        put_number(out, u64::from(self.key.key_id));
        put_number(out, u64::from(self.rows));
        for place in [self.newest, self.oldest] {
            put_signed(out, place.time);
            put_number(out, place.sequence);
        }
        put_number(out, self.directory.offset);
        put_number(out, u64::from(self.directory.length));
    }

    fn decode(take: &mut Take<'_>) -> Result<Self, Damage> {
        let key = PartitionKey {
            account: take.text()?.to_owned(),
            region: take.text()?.to_owned(),
            category: take.byte()?,
            key_id: take.small()?,
        };
        let rows = take.small()?;
        let newest = Place { time: take.signed()?, sequence: take.number()? };
        let oldest = Place { time: take.signed()?, sequence: take.number()? };
        let directory = BlockRef { offset: take.number()?, length: take.small()? };
        Ok(Self { key, rows, newest, oldest, directory })
    }
}

/// First row or term of every page of a partition, with the page's place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) rows: Vec<(Place, BlockRef)>,
    pub(crate) terms: Vec<(u64, BlockRef)>,
}

impl Directory {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut end = 0;
        put_number(&mut out, self.rows.len() as u64);
        for (first, page) in &self.rows {
            put_signed(&mut out, first.time);
            put_number(&mut out, first.sequence);
            put_ref(&mut out, &mut end, *page);
        }
        put_number(&mut out, self.terms.len() as u64);
        let mut before = 0;
        for (first, page) in &self.terms {
            put_number(&mut out, first - before);
            before = *first;
            put_ref(&mut out, &mut end, *page);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let mut take = Take::new(bytes, "a directory");
        let mut end = 0;
        let mut directory = Self::default();
        for _ in 0..take.count()? {
            let first = Place { time: take.signed()?, sequence: take.number()? };
            directory.rows.push((first, take_ref(&mut take, &mut end)?));
        }
        let mut before = 0_u64;
        for _ in 0..take.count()? {
            before = before.checked_add(take.number()?).ok_or(take.damage())?;
            directory.terms.push((before, take_ref(&mut take, &mut end)?));
        }
        Ok(directory)
    }

    /// Rough size in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.len() * 32 + self.terms.len() * 24 + 64
    }
}

/// Appends a reference as its distance from the end of the one before.
pub(crate) fn put_ref(out: &mut Vec<u8>, end: &mut u64, block: BlockRef) {
    put_signed(out, block.offset.wrapping_sub(*end).cast_signed());
    put_number(out, u64::from(block.length));
    *end = block.offset + u64::from(block.length);
}

/// Takes what [`put_ref`] put.
pub(crate) fn take_ref(take: &mut Take<'_>, end: &mut u64) -> Result<BlockRef, Damage> {
    let offset = end.wrapping_add(take.signed()?.cast_unsigned());
    let length = take.small()?;
    *end = offset.checked_add(u64::from(length)).ok_or(take.damage())?;
    Ok(BlockRef { offset, length })
}
