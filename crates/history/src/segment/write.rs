//! Writing an index segment: everything sorted first, then one pass.

use super::{
    CHUNK, Directory, FEATURES, Footer, HEAD_BYTES, INLINE_MAX, MAGIC, PartitionEntry,
    ROWS_PER_PAGE, TERM_PAGE_BYTES, VERSION, put_ref,
};
use crate::codec::{
    BlockRef, Damage, put_ascending, put_block, put_number, put_plain_block, put_signed,
};
use crate::row::{PartitionKey, Place};
use crate::source::{SealedSegment, Stream};
use crate::term::Term;

/// Builds the bytes of one index segment.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    out: Vec<u8>,
    footer: Footer,
}

impl SegmentWriter {
    /// A segment of `stream` without rows.
    pub(crate) fn new(stream: Stream) -> Self {
        let mut out = Vec::with_capacity(HEAD_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&FEATURES.to_le_bytes());
        out.extend_from_slice(&0_u32.to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        let footer = Footer { stream, covered: Vec::new(), generation: 0, partitions: Vec::new() };
        Self { out, footer }
    }

    /// Adds a partition: its places newest first, its terms ascending, each
    /// with the ordinals (indices into `places`) that have it, ascending.
    pub(crate) fn partition(
        &mut self,
        key: PartitionKey,
        places: &[Place],
        terms: impl Iterator<Item = Result<(Term, Vec<u32>), Damage>>,
    ) -> Result<(), Damage> {
        let (Some(&newest), Some(&oldest)) = (places.first(), places.last()) else {
            return Ok(());
        };
        let rows = u32::try_from(places.len())
            .map_err(|_| Damage::Shape { what: "a partition of 2^32 rows" })?;
        let directory = Directory { rows: self.row_pages(places), terms: self.term_pages(terms)? };
        let directory = put_block(&mut self.out, &directory.encode());
        self.footer.partitions.push(PartitionEntry { key, rows, newest, oldest, directory });
        Ok(())
    }

    /// Closes the file: it covers `covered`, which hold `generation`.
    pub(crate) fn finish(mut self, mut covered: Vec<SealedSegment>, generation: u64) -> Vec<u8> {
        covered.sort_by_key(|segment| segment.first);
        self.footer.covered = covered;
        self.footer.generation = generation;
        let footer = put_block(&mut self.out, &self.footer.encode());
        let mut tail = footer.offset.to_le_bytes().to_vec();
        tail.extend_from_slice(&footer.length.to_le_bytes());
        let crc = crc32c::crc32c(&tail);
        tail.extend_from_slice(&crc.to_le_bytes());
        self.out.extend_from_slice(&tail);
        self.out
    }

    fn row_pages(&mut self, places: &[Place]) -> Vec<(Place, BlockRef)> {
        let pages = places.chunks(ROWS_PER_PAGE);
        pages
            .map(|page| {
                let mut before = page[0];
                let mut bytes = Vec::with_capacity(page.len() * 3);
                for place in &page[1..] {
                    put_number(&mut bytes, before.time.abs_diff(place.time));
                    put_signed(
                        &mut bytes,
                        before.sequence.wrapping_sub(place.sequence).cast_signed(),
                    );
                    before = *place;
                }
                (page[0], put_block(&mut self.out, &bytes))
            })
            .collect()
    }

    fn term_pages(
        &mut self,
        terms: impl Iterator<Item = Result<(Term, Vec<u32>), Damage>>,
    ) -> Result<Vec<(Term, BlockRef)>, Damage> {
        let mut pages = Vec::new();
        let mut page = TermPage::default();
        for term in terms {
            let (term, ordinals) = term?;
            let postings = self.postings(&ordinals);
            page.push(term, ordinals.len(), &postings);
            if page.bytes.len() >= TERM_PAGE_BYTES {
                pages.push(page.close(&mut self.out));
                page = TermPage::default();
            }
        }
        if !page.bytes.is_empty() {
            pages.push(page.close(&mut self.out));
        }
        Ok(pages)
    }

    /// What a term page says about `ordinals`: the list itself, its only chunk,
    /// or the list of its chunks.
    fn postings(&mut self, ordinals: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        if ordinals.len() <= INLINE_MAX {
            put_ascending(&mut bytes, ordinals);
            return bytes;
        }
        let chunks: Vec<(u32, BlockRef)> =
            ordinals.chunks(CHUNK).map(|chunk| (chunk[0], self.chunk(chunk))).collect();
        let block = if let [(_, only)] = chunks[..] {
            only
        } else {
            let mut list = Vec::new();
            let mut end = 0;
            for (first, block) in chunks {
                put_number(&mut list, u64::from(first));
                put_ref(&mut list, &mut end, block);
            }
            put_block(&mut self.out, &list)
        };
        put_ref(&mut bytes, &mut 0, block);
        bytes
    }

    fn chunk(&mut self, ordinals: &[u32]) -> BlockRef {
        let mut bytes = Vec::with_capacity(ordinals.len() * 2);
        put_ascending(&mut bytes, ordinals);
        put_block(&mut self.out, &bytes)
    }
}

#[derive(Debug, Default)]
struct TermPage {
    first: Term,
    before: Term,
    bytes: Vec<u8>,
}

impl TermPage {
    fn push(&mut self, term: Term, count: usize, postings: &[u8]) {
        if self.bytes.is_empty() {
            self.first = term;
            self.before = term;
        }
        put_number(&mut self.bytes, term - self.before);
        put_number(&mut self.bytes, count as u64);
        self.bytes.extend_from_slice(postings);
        self.before = term;
    }

    fn close(self, out: &mut Vec<u8>) -> (Term, BlockRef) {
        (self.first, put_plain_block(out, &self.bytes))
    }
}

/// Groups (term, ordinal) pairs: terms ascending, ordinals ascending.
pub(crate) fn group_terms(mut pairs: Vec<(Term, u32)>) -> Vec<(Term, Vec<u32>)> {
    pairs.sort_unstable();
    pairs.dedup();
    pairs
        .chunk_by(|a, b| a.0 == b.0)
        .map(|group| (group[0].0, group.iter().map(|pair| pair.1).collect()))
        .collect()
}
