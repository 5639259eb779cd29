//! Reading an index segment: open the footer, then only what a lookup needs.

use super::{
    Directory, FEATURES, Footer, HEAD_BYTES, INLINE_MAX, MAGIC, PartitionEntry, ROWS_PER_PAGE,
    TAIL_BYTES, VERSION, take_ref,
};
use crate::cache::{Cache, Cached};
use crate::codec::{BlockRef, Damage, Take, open_block};
use crate::files::{Files, IndexFile};
use crate::row::Place;
use crate::segment::CHUNK;
use crate::segment::scan::Posting;
use crate::term::Term;
use bytes::Bytes;
use std::sync::Arc;

/// An opened index segment. Its footer is in memory, the rest is read on demand.
#[derive(Debug)]
pub(crate) struct Segment {
    /// File name within the history directory.
    pub(crate) file: String,
    pub(crate) footer: Footer,
    /// Oldest and newest `eventTime` of its rows.
    pub(crate) times: Option<(i64, i64)>,
    /// Bytes of the file.
    pub(crate) length: u64,
    number: u64,
    bytes: IndexFile,
    cache: Arc<Cache>,
}

impl Segment {
    /// Opens `file` and checks its head, tail and footer.
    pub(crate) fn open(files: &Files, cache: &Arc<Cache>, file: &str) -> Result<Self, Damage> {
        let bytes = files.read(file).map_err(|err| Damage::Read { reason: err.to_string() })?;
        Self::of(bytes, cache, file)
    }

    /// A segment that is on no disk.
    pub(crate) fn in_memory(bytes: Vec<u8>, cache: &Arc<Cache>) -> Result<Self, Damage> {
        Self::of(IndexFile::Memory(bytes.into()), cache, "memory")
    }

    fn of(bytes: IndexFile, cache: &Arc<Cache>, file: &str) -> Result<Self, Damage> {
        let length = bytes.length()?;
        let tail_at = length
            .checked_sub((HEAD_BYTES + TAIL_BYTES) as u64)
            .ok_or(Damage::Short { offset: length })?
            + HEAD_BYTES as u64;
        check_head(&bytes.read(0, HEAD_BYTES)?)?;
        let block = footer_ref(&bytes.read(tail_at, TAIL_BYTES)?, tail_at)?;
        let raw = bytes.read(block.offset, block.length as usize)?;
        let footer = Footer::decode(&open_block(block.offset, raw)?)?;
        let (number, cache) = (cache.next_number(), Arc::clone(cache));
        let (file, times) = (file.to_owned(), footer.times());
        Ok(Self { file, footer, times, length, number, bytes, cache })
    }

    /// A checked and unpacked block.
    fn block(&self, block: BlockRef) -> Result<Bytes, Damage> {
        let key = (self.number, block.offset);
        if let Some(Cached::Block(bytes)) = self.cache.get(key) {
            return Ok(bytes);
        }
        let raw = self.read(block)?;
        let bytes = open_block(block.offset, raw)?;
        self.cache.put(key, Cached::Block(bytes.clone()));
        Ok(bytes)
    }

    /// A block as it lies in the file. The length was checked with the footer
    /// or is checked against the file's, so damage cannot ask for all memory.
    fn read(&self, block: BlockRef) -> Result<Bytes, Damage> {
        let end = block.offset.checked_add(u64::from(block.length));
        if end.is_none_or(|end| end > self.length) {
            return Err(Damage::Short { offset: block.offset });
        }
        self.bytes.read(block.offset, block.length as usize)
    }

    fn directory(&self, partition: &PartitionEntry) -> Result<Arc<Directory>, Damage> {
        let key = (self.number, partition.directory.offset);
        if let Some(Cached::Directory(directory)) = self.cache.get(key) {
            return Ok(directory);
        }
        let block = partition.directory;
        let raw = self.read(block)?;
        let directory = Arc::new(Directory::decode(&open_block(block.offset, raw)?)?);
        self.cache.put(key, Cached::Directory(Arc::clone(&directory)));
        Ok(directory)
    }

    /// A reader of partition number `index` of the footer.
    pub(crate) fn partition(self: &Arc<Self>, index: usize) -> Result<PartitionReader, Damage> {
        let entry = &self.footer.partitions[index];
        let directory = self.directory(entry)?;
        if directory.rows.len() != (entry.rows as usize).div_ceil(ROWS_PER_PAGE) {
            return Err(Damage::Shape { what: "the page count of a directory" });
        }
        let rows = entry.rows;
        Ok(PartitionReader { segment: Arc::clone(self), directory, rows })
    }
}

fn check_head(head: &[u8]) -> Result<(), Damage> {
    let refuse = |reason: String| Err(Damage::Header { reason });
    if head.get(..8) != Some(MAGIC) {
        return refuse("the magic is missing".to_owned());
    }
    let stored = head.get(16..20).and_then(|crc| crc.try_into().ok()).map(u32::from_le_bytes);
    if stored != Some(crc32c::crc32c(&head[..16])) {
        return refuse("its checksum does not match".to_owned());
    }
    let (version, features) =
        (u16::from_le_bytes([head[8], head[9]]), u16::from_le_bytes([head[10], head[11]]));
    if version != VERSION {
        return refuse(format!("it says version {version}"));
    }
    if features & !FEATURES != 0 {
        return refuse(format!("it needs features {features:#x}"));
    }
    Ok(())
}

fn footer_ref(tail: &[u8], tail_at: u64) -> Result<BlockRef, Damage> {
    let damage = Damage::Short { offset: tail_at };
    let fields: [u8; TAIL_BYTES] = tail.try_into().map_err(|_| damage.clone())?;
    let crc = u32::from_le_bytes([fields[12], fields[13], fields[14], fields[15]]);
    if crc32c::crc32c(&fields[..12]) != crc {
        return Err(Damage::Checksum { offset: tail_at });
    }
    let (offset, rest) = fields.split_at(8);
    let offset = offset.try_into().map(u64::from_le_bytes).map_err(|_| damage.clone())?;
    let length = rest[..4].try_into().map(u32::from_le_bytes).map_err(|_| damage.clone())?;
    if offset.checked_add(u64::from(length)) != Some(tail_at) {
        return Err(damage);
    }
    Ok(BlockRef { offset, length })
}

/// One partition of a segment, ready for questions.
#[derive(Debug, Clone)]
pub(crate) struct PartitionReader {
    segment: Arc<Segment>,
    directory: Arc<Directory>,
    pub(crate) rows: u32,
}

impl PartitionReader {
    /// The segment this is a part of.
    pub(crate) const fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The places of row page `page`.
    pub(crate) fn row_page(&self, page: usize) -> Result<Vec<Place>, Damage> {
        let (first, block) =
            *self.directory.rows.get(page).ok_or(Damage::Shape { what: "a row number" })?;
        let bytes = self.segment.block(block)?;
        let mut take = Take::new(&bytes, "a row page");
        let mut places = vec![first];
        let mut place = first;
        while !take.is_empty() {
            let time = i64::try_from(take.number()?).map_err(|_| take.damage())?;
            place.time = place.time.checked_sub(time).ok_or(take.damage())?;
            place.sequence = place.sequence.wrapping_sub(take.signed()?.cast_unsigned());
            places.push(place);
        }
        let left = (self.rows as usize).saturating_sub(page * ROWS_PER_PAGE);
        if places.len() != left.min(ROWS_PER_PAGE) {
            return Err(take.damage());
        }
        Ok(places)
    }

    /// The first ordinal at `place` or behind it; the number of rows when there is none.
    pub(crate) fn ordinal(&self, place: Place) -> Result<u32, Damage> {
        let behind = self.directory.rows.partition_point(|(first, _)| *first < place);
        let Some(page) = behind.checked_sub(1) else { return Ok(0) };
        let within = self.row_page(page)?.partition_point(|held| *held < place);
        u32::try_from(page * ROWS_PER_PAGE + within)
            .map_err(|_| Damage::Shape { what: "a row number" })
    }

    /// All places, newest first.
    pub(crate) fn places(&self) -> Result<Vec<Place>, Damage> {
        let mut places = Vec::with_capacity(self.rows as usize);
        for page in 0..self.directory.rows.len() {
            places.extend(self.row_page(page)?);
        }
        Ok(places)
    }

    /// The ordinals that have `term`; `None` when no row has it.
    pub(crate) fn posting(&self, term: Term) -> Result<Option<Posting>, Damage> {
        let behind = self.directory.terms.partition_point(|(first, _)| *first <= term);
        let Some(page) = behind.checked_sub(1) else { return Ok(None) };
        let mut entries = self.term_page(page)?;
        while let Some((held, posting)) = entries.next(self)? {
            if held == term {
                return Ok(Some(posting));
            }
            if held > term {
                break;
            }
        }
        Ok(None)
    }

    /// How many pages of terms there are.
    pub(crate) fn term_pages(&self) -> usize {
        self.directory.terms.len()
    }

    /// The entries of term page `page`.
    pub(crate) fn term_page(&self, page: usize) -> Result<TermEntries, Damage> {
        let (first, block) =
            *self.directory.terms.get(page).ok_or(Damage::Shape { what: "a term page number" })?;
        Ok(TermEntries { bytes: self.segment.block(block)?, at: 0, before: first })
    }

    /// The ordinals of one chunk.
    pub(crate) fn chunk(&self, block: BlockRef, count: usize) -> Result<Vec<u32>, Damage> {
        let bytes = self.segment.block(block)?;
        let mut ordinals = Vec::with_capacity(count);
        Take::new(&bytes, "a posting chunk").ascending(count, &mut ordinals)?;
        Ok(ordinals)
    }

    /// The chunks that a chunk list of `count` ordinals names: first ordinal, how many, where.
    fn chunk_list(
        &self,
        block: BlockRef,
        count: usize,
    ) -> Result<Vec<(u32, usize, BlockRef)>, Damage> {
        if count <= CHUNK {
            return Ok(vec![(0, count, block)]);
        }
        let bytes = self.segment.block(block)?;
        let mut take = Take::new(&bytes, "a chunk list");
        let mut end = 0;
        (0..count.div_ceil(CHUNK))
            .map(|at| {
                let held = (count - at * CHUNK).min(CHUNK);
                Ok((take.small()?, held, take_ref(&mut take, &mut end)?))
            })
            .collect()
    }
}

/// Walks through one term page.
#[derive(Debug)]
pub(crate) struct TermEntries {
    bytes: Bytes,
    at: usize,
    before: Term,
}

impl TermEntries {
    /// The next term with its postings.
    pub(crate) fn next(
        &mut self,
        partition: &PartitionReader,
    ) -> Result<Option<(Term, Posting)>, Damage> {
        let rest = &self.bytes[self.at..];
        let mut take = Take::new(rest, "a term page");
        if take.is_empty() {
            return Ok(None);
        }
        self.before = self.before.checked_add(take.number()?).ok_or(take.damage())?;
        let count = take.count()?;
        if count > partition.rows as usize {
            return Err(take.damage());
        }
        let posting = if count <= INLINE_MAX {
            let mut ordinals = Vec::with_capacity(count);
            take.ascending(count, &mut ordinals)?;
            Posting::whole(ordinals)
        } else {
            let block = take_ref(&mut take, &mut 0)?;
            Posting::chunked(block, count)
        };
        self.at = self.bytes.len() - take.left();
        Ok(Some((self.before, posting)))
    }
}

impl Posting {
    /// Every ordinal, ascending.
    pub(crate) fn all(self, partition: &PartitionReader) -> Result<Vec<u32>, Damage> {
        let Some((block, count)) = self.unread() else { return Ok(self.into_loaded()) };
        let mut ordinals = Vec::with_capacity(count);
        for (_, held, chunk) in partition.chunk_list(block, count)? {
            ordinals.extend(partition.chunk(chunk, held)?);
        }
        Ok(ordinals)
    }

    /// Reads the list of chunks, if there is one.
    pub(crate) fn prepare(&mut self, partition: &PartitionReader) -> Result<(), Damage> {
        if let Some((block, count)) = self.unread() {
            self.set_chunks(partition.chunk_list(block, count)?);
        }
        Ok(())
    }
}
