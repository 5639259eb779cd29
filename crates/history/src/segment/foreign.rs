//! The way in for fuzzing: an index file whose checksums are right and whose
//! contents are anybody's. Whoever reaches a reader past the checksums, by
//! accident or on purpose, must find an error and never a panic.

use super::{FEATURES, MAGIC, PartitionReader, Posting, Segment, VERSION};
use crate::cache::Cache;
use crate::codec::{Damage, put_plain_block};
use crate::files::Files;
use std::sync::Arc;
use trailbox_journal::disk::{Disk, SimulatedDisk};

/// Parts the blocks of a foreign file; the last one is its footer.
const BETWEEN: &[u8] = b"\xff\xfe\xff";

/// Reads everything an index file of these blocks offers.
#[doc(hidden)]
pub fn read_foreign(bytes: &[u8]) {
    // Damage is the expected answer; only a panic would be news.
    let _ = read_all(&file(bytes));
}

/// Head, blocks, footer, tail, with right checksums.
fn file(bytes: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&FEATURES.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&crc32c::crc32c(&out).to_le_bytes());
    let mut rest = bytes;
    while let Some(at) = memchr::memmem::find(rest, BETWEEN) {
        put_plain_block(&mut out, &rest[..at]);
        rest = &rest[at + BETWEEN.len()..];
    }
    let footer = put_plain_block(&mut out, rest);
    let mut tail = footer.offset.to_le_bytes().to_vec();
    tail.extend_from_slice(&footer.length.to_le_bytes());
    out.extend_from_slice(&tail);
    out.extend_from_slice(&crc32c::crc32c(&tail).to_le_bytes());
    out
}

fn read_all(file: &[u8]) -> Result<(), Damage> {
    let disk: Arc<dyn Disk> = Arc::new(SimulatedDisk::new(1));
    let unusable = |err: std::io::Error| Damage::Read { reason: err.to_string() };
    let files = Files::open(disk, "/history".into()).map_err(unusable)?;
    files.publish("foreign.idx", file).map_err(unusable)?;
    let cache = Arc::new(Cache::new(1 << 20));
    let segment = Arc::new(Segment::open(&files, &cache, "foreign.idx")?);
    for index in 0..segment.footer.partitions.len().min(16) {
        read_partition(&segment.partition(index)?)?;
    }
    Ok(())
}

fn read_partition(partition: &PartitionReader) -> Result<(), Damage> {
    for place in partition.places()? {
        partition.ordinal(place)?;
    }
    for page in 0..partition.term_pages() {
        let mut entries = partition.term_page(page)?;
        while let Some((term, posting)) = entries.next(partition)? {
            Posting::all(posting, partition)?;
            if let Some(mut again) = partition.posting(term)? {
                again.prepare(partition)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BETWEEN, file, read_all, read_foreign};
    use crate::codec::{Damage, put_number, put_signed, put_text};
    use proptest::prelude::*;

    /// A footer of one partition whose directory lies in the first block.
    fn footer(rows: u64, directory_length: u64) -> Vec<u8> {
        let mut out = vec![0];
        put_number(&mut out, 0);
        put_number(&mut out, 0);
        put_number(&mut out, 1);
        put_text(&mut out, "111122223333");
        put_text(&mut out, "us-east-1");
        out.push(0);
        put_number(&mut out, 1);
        put_number(&mut out, rows);
        for _ in 0..2 {
            put_signed(&mut out, 5);
            put_number(&mut out, 1);
        }
        put_number(&mut out, 20);
        put_number(&mut out, directory_length);
        out
    }

    #[test]
    fn a_foreign_file_passes_the_checksums_and_is_judged_by_its_contents() {
        let nothing = [vec![0, 0], BETWEEN.to_vec(), footer(0, 11)].concat();
        assert_eq!(read_all(&file(&nothing)), Ok(()));
        let too_many = [vec![0, 0], BETWEEN.to_vec(), footer(1, 11)].concat();
        let shape = Damage::Shape { what: "the page count of a directory" };
        assert_eq!(read_all(&file(&too_many)), Err(shape));
        let beyond = [vec![0, 0], BETWEEN.to_vec(), footer(0, 4_000_000)].concat();
        assert_eq!(read_all(&file(&beyond)), Err(Damage::Short { offset: 20 }));
    }

    proptest! {
        #[test]
        fn foreign_blocks_never_panic(
            blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..4),
            rows in 0_u64..2000,
            length in 0_u64..80,
        ) {
            let mut bytes = Vec::new();
            for block in blocks {
                bytes.extend_from_slice(&block);
                bytes.extend_from_slice(BETWEEN);
            }
            bytes.extend_from_slice(&footer(rows, length));
            read_foreign(&bytes);
        }
    }
}
