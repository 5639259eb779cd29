//! A sealed file: its footer, index and table, and blocks on demand.

use crate::disk::{Disk, DiskFile};
use crate::error::{FileFault, at};
use crate::format::block::{Block, Descriptor, nonce};
use crate::format::crypt::{Cipher, HASH, Purpose};
use crate::format::cursor::Cursor;
use crate::format::footer::{Footer, Section, TAIL};
use crate::format::frame::BODY_MAX;
use crate::format::header::{HEADER_MAX, Header, HeaderError};
use crate::format::merkle;
use crate::frames::Frames;
use crate::unpack::unpack;
use crate::{Corruption, DataKeys, KeyError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// No compressed table or index grows beyond this. Bytes.
const TABLE_MAX: usize = 256 << 20;
/// No block is longer before compression: one frame may stand alone. Bytes.
const BLOCK_MAX: usize = 2 * BODY_MAX;

/// An open sealed file; header and footer are verified.
#[derive(Debug)]
pub(crate) struct SealedFile {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    pub(crate) header: Header,
    pub(crate) footer: Footer,
    pub(crate) bytes: u64,
}

/// Where the frames of a sealed file are.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) blocks: Vec<Descriptor>,
    pub(crate) frames: Frames,
}

/// A block, or word that its account was erased.
#[derive(Debug)]
pub(crate) enum Opened {
    Block(Block),
    Erased,
}

impl SealedFile {
    /// Opens a file and verifies header and footer.
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> Result<Self, FileFault> {
        let file = disk.open(path, true).map_err(at(path, "open"))?;
        let bytes = file.len().map_err(at(path, "measure"))?;
        let header = read_header(&*file, path)?;
        let footer = read_footer(&*file, path, bytes, &header)?;
        Ok(Self { path: path.to_owned(), file, header, footer, bytes })
    }

    /// The path it was opened by.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn corrupt(&self, offset: u64, what: impl Into<String>) -> FileFault {
        corrupt(&self.path, offset, what, &self.header)
    }

    /// A part of the file, whole.
    pub(crate) fn section(&self, section: Section, what: &str) -> Result<Vec<u8>, FileFault> {
        let len = usize::try_from(section.len).ok().filter(|_| section.len <= self.bytes);
        let len = len.ok_or_else(|| self.corrupt(section.offset, format!("{what} is too long")))?;
        let mut bytes = vec![0; len];
        let read = self.file.read_at(section.offset, &mut bytes).map_err(at(&self.path, "read"))?;
        if read < len || crc32c::crc32c(&bytes) != section.crc {
            return Err(self.corrupt(section.offset, format!("checksum of the {what} is wrong")));
        }
        Ok(bytes)
    }

    /// Reads index and table.
    pub(crate) fn table(&self) -> Result<Table, FileFault> {
        let index = self.section(self.footer.index, "block index")?;
        let mut cursor = Cursor::new(&index);
        let blocks: Option<Vec<_>> =
            (0..self.footer.blocks).map(|_| Descriptor::decode(&mut cursor)).collect();
        let offset = self.footer.index.offset;
        let mut blocks = blocks
            .filter(|_| cursor.is_done())
            .ok_or_else(|| self.corrupt(offset, "block index does not parse"))?;
        share_names(&mut blocks);
        let table = self.section(self.footer.table, "sequence table")?;
        let frames = decode_table(&table, self.footer.count, blocks.len()).ok_or_else(|| {
            self.corrupt(self.footer.table.offset, "sequence table does not parse")
        })?;
        Ok(Table { blocks, frames })
    }

    /// A block as it lies in the file.
    pub(crate) fn stored(&self, descriptor: &Descriptor) -> Result<Vec<u8>, FileFault> {
        let section = Section {
            offset: descriptor.offset,
            len: u64::from(descriptor.stored_len),
            crc: descriptor.stored_crc,
        };
        self.section(section, "block")
    }

    /// Reads, decrypts and decompresses block `number`.
    pub(crate) fn block(
        &self,
        keys: &dyn DataKeys,
        number: usize,
        descriptor: &Descriptor,
    ) -> Result<Opened, FileFault> {
        let raw_len = descriptor.raw_len as usize;
        if raw_len > BLOCK_MAX {
            return Err(self.corrupt(descriptor.offset, "block is longer than any block"));
        }
        let mut stored = self.stored(descriptor)?;
        if !descriptor.clear {
            let key = match keys.by_id(&descriptor.account, descriptor.key_id) {
                Err(KeyError::Erased { .. }) => return Ok(Opened::Erased),
                other => other?,
            };
            let cipher = Cipher::new(&key, Purpose::Blocks(&self.header.salt));
            let len = cipher
                .open(nonce(number), &descriptor.aad(), &mut stored, 0..)
                .map_err(|_| self.corrupt(descriptor.offset, "block does not decrypt"))?;
            stored.truncate(len);
        }
        let raw = unpack(&stored, raw_len)
            .map_err(|_| self.corrupt(descriptor.offset, "block does not decompress"))?;
        Block::decode(raw, descriptor.summary.count)
            .map(Opened::Block)
            .ok_or_else(|| self.corrupt(descriptor.offset, "block does not parse"))
    }

    /// The leaf hashes, in sequence order.
    pub(crate) fn leaves(&self) -> Result<Vec<[u8; HASH]>, FileFault> {
        let bytes = self.section(self.footer.leaves, "leaf hashes")?;
        Ok(bytes.as_chunks::<HASH>().0.to_vec())
    }

    /// Reads everything and checks it against the tree head; payloads of
    /// erased accounts excepted, whose leaf hashes still count.
    pub(crate) fn verify(&self, keys: &dyn DataKeys) -> Result<(), FileFault> {
        let leaves = self.leaves()?;
        let table = self.table()?;
        let offset = self.footer.leaves.offset;
        if leaves.len() as u64 != table.frames.count()
            || merkle::tree_head(leaves.iter().copied()) != self.footer.head
        {
            return Err(self.corrupt(offset, "leaf hashes do not make the tree head"));
        }
        for (number, descriptor) in table.blocks.iter().enumerate() {
            if let Opened::Block(block) = self.block(keys, number, descriptor)? {
                self.verify_block(keys, (descriptor, &block), &table, &leaves)?;
            }
        }
        Ok(())
    }

    /// Checks the frames of a block against their leaf hashes.
    pub(crate) fn verify_block(
        &self,
        keys: &dyn DataKeys,
        (descriptor, block): (&Descriptor, &Block),
        table: &Table,
        leaves: &[[u8; HASH]],
    ) -> Result<(), FileFault> {
        if descriptor.clear {
            return Ok(());
        }
        let key = match keys.by_id(&descriptor.account, descriptor.key_id) {
            Err(KeyError::Erased { .. }) => return Ok(()),
            other => other?,
        };
        let cipher = Cipher::new(&key, Purpose::Blocks(&self.header.salt));
        for (sequence, kind, event_id, arrival, payload) in block.leaf_inputs() {
            let place = table.frames.place(sequence);
            let leaf = place.and_then(|place| leaves.get(place));
            let fits = payload
                .is_none_or(|payload| leaf == Some(&cipher.leaf(kind, event_id, arrival, payload)));
            if !fits {
                let what = format!("frame {sequence} does not match its leaf hash");
                return Err(self.corrupt(descriptor.offset, what));
            }
        }
        Ok(())
    }
}

/// Blocks of one account keep its name once.
fn share_names(blocks: &mut [Descriptor]) {
    for at in 1..blocks.len() {
        let (before, block) = blocks.split_at_mut(at);
        if let Some(before) = before.last().filter(|before| before.account == block[0].account) {
            block[0].account = Arc::clone(&before.account);
        }
    }
}

fn decode_table(bytes: &[u8], count: u64, blocks: usize) -> Option<Frames> {
    let count = usize::try_from(count).ok()?;
    let raw = unpack(bytes, count.checked_mul(15)?.clamp(16, TABLE_MAX)).ok()?;
    let mut cursor = Cursor::new(&raw);
    let mut frames = Frames::default();
    let mut sequence = 0_u64;
    for _ in 0..count {
        sequence = sequence.checked_add(cursor.varint()?)?;
        let block = u32::try_from(cursor.varint()?).ok()?;
        if block as usize >= blocks {
            return None;
        }
        frames.push(sequence, block)?;
    }
    frames.shrink();
    cursor.is_done().then_some(frames)
}

/// Reads and verifies the header of any segment file.
pub(crate) fn read_header(file: &dyn DiskFile, path: &Path) -> Result<Header, FileFault> {
    read_header_len(file, path).map(|(header, _)| header)
}

/// The header and its length.
pub(crate) fn read_header_len(
    file: &dyn DiskFile,
    path: &Path,
) -> Result<(Header, u64), FileFault> {
    let mut bytes = vec![0; HEADER_MAX];
    let read = file.read_at(0, &mut bytes).map_err(at(path, "read"))?;
    match Header::decode(&bytes[..read]) {
        Ok((header, len)) => Ok((header, len as u64)),
        Err(HeaderError::Unsupported(what)) => {
            Err(FileFault::Unsupported { file: path.to_owned(), what })
        }
        Err(HeaderError::Bad(what)) => Err(FileFault::Corrupt(Corruption {
            file: path.to_owned(),
            offset: 0,
            what,
            first_affected: first_of(path),
            last_affected: u64::MAX,
        })),
    }
}

/// The first sequence, as the file's name has it.
fn first_of(path: &Path) -> u64 {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    name.and_then(|name| name.get(..20)?.parse().ok()).unwrap_or_default()
}

fn read_footer(
    file: &dyn DiskFile,
    path: &Path,
    bytes: u64,
    header: &Header,
) -> Result<Footer, FileFault> {
    let bad = |what: &str| corrupt(path, bytes, what, header);
    let mut tail = [0; TAIL];
    let tail_at = bytes.checked_sub(TAIL as u64).ok_or_else(|| bad("footer is cut short"))?;
    file.read_at(tail_at, &mut tail).map_err(at(path, "read"))?;
    let len = Footer::fields_len(&tail).ok_or_else(|| bad("footer is missing"))?;
    let fields_at = tail_at.checked_sub(len as u64).ok_or_else(|| bad("footer is cut short"))?;
    let mut fields = vec![0; len];
    file.read_at(fields_at, &mut fields).map_err(at(path, "read"))?;
    Footer::decode(&fields, &tail).ok_or_else(|| bad("checksum of the footer is wrong"))
}

fn corrupt(path: &Path, offset: u64, what: impl Into<String>, header: &Header) -> FileFault {
    FileFault::Corrupt(Corruption {
        file: path.to_owned(),
        offset,
        what: what.into(),
        first_affected: header.first,
        last_affected: header.last,
    })
}
