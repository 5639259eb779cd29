//! One sealed file while it is being written.

use crate::disk::{Disk, DiskFile};
use crate::error::{FileFault, at};
use crate::format::block::{Builder, Descriptor, Entry, nonce};
use crate::format::crypt::{Cipher, HASH};
use crate::format::cursor::put_varint;
use crate::format::footer::{Footer, Section};
use crate::format::frame::{Body, Stamp};
use crate::format::header::Header;
use crate::format::merkle;
use bytes::Bytes;
use std::collections::HashMap;
use std::path::PathBuf;

/// A block is closed at this size before compression. Bytes.
const BLOCK: usize = 64 << 10;

/// Which block a frame goes into: account, key id, whether erased.
type Place = (String, u32, bool);

/// Finds the cipher of an account's key, for blocks of this file.
pub(super) type FindCipher<'a> = dyn Fn(&str, u32) -> Option<&'a Cipher> + 'a;

pub(super) struct StreamWriter {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    range: (u64, u64),
    /// Where the next byte goes.
    end: u64,
    compressor: zstd::bulk::Compressor<'static>,
    /// Blocks being filled, with their numbers.
    filling: HashMap<Place, (u32, Builder)>,
    /// Finished blocks by number.
    finished: Vec<Option<Descriptor>>,
    frames: Vec<(u64, u32)>,
    leaves: Vec<u8>,
}

impl StreamWriter {
    pub(super) fn create(
        disk: &dyn Disk,
        path: PathBuf,
        header: &Header,
        level: i32,
    ) -> Result<Self, FileFault> {
        let file = disk.create(&path).map_err(at(&path, "create"))?;
        let bytes = header.encode();
        file.write_at(0, &bytes).map_err(at(&path, "write"))?;
        let compressor =
            zstd::bulk::Compressor::new(level).map_err(at(&path, "start compressing"))?;
        Ok(Self {
            path,
            file,
            range: (header.first, header.last),
            end: bytes.len() as u64,
            compressor,
            filling: HashMap::new(),
            finished: Vec::new(),
            frames: Vec::new(),
            leaves: Vec::new(),
        })
    }

    /// Frames added so far.
    pub(super) fn count(&self) -> u64 {
        self.frames.len() as u64
    }

    /// Adds a frame; the bytes this made it write. `cipher` is absent when the
    /// account was erased, and then so is the payload.
    pub(super) fn add(
        &mut self,
        stamp: Stamp,
        body: &Body<'_>,
        payload: Option<Bytes>,
        cipher: Option<&Cipher>,
    ) -> Result<usize, FileFault> {
        let place = (body.account.to_owned(), body.key_id, cipher.is_none());
        let next = u32::try_from(self.finished.len()).unwrap_or(u32::MAX);
        let finished = &mut self.finished;
        let (number, builder) = self.filling.entry(place.clone()).or_insert_with(|| {
            finished.push(None);
            (next, Builder::default())
        });
        builder.add(&Entry {
            stamp,
            kind: body.kind,
            category: body.category,
            read_only: body.read_only,
            arrival: body.arrival,
            event_id: body.event_id,
            region: body.region,
            extension: body.extension_bytes(),
            payload: payload.as_deref(),
        });
        self.frames.push((stamp.sequence, *number));
        self.leaves.extend_from_slice(&body.leaf);
        if builder.len() < BLOCK {
            return Ok(0);
        }
        match self.filling.remove(&place) {
            Some(full) => self.flush(place, full, cipher),
            None => Ok(0),
        }
    }

    fn flush(
        &mut self,
        (account, key_id, _): Place,
        (number, builder): (u32, Builder),
        cipher: Option<&Cipher>,
    ) -> Result<usize, FileFault> {
        let (summary, raw) = builder.finish();
        let mut stored = self.compressor.compress(&raw).map_err(at(&self.path, "compress"))?;
        let mut descriptor = Descriptor {
            account: account.into(),
            key_id,
            clear: cipher.is_none(),
            summary,
            raw_len: u32::try_from(raw.len()).unwrap_or(u32::MAX),
            offset: self.end,
            stored_len: 0,
            stored_crc: 0,
        };
        if let Some(cipher) = cipher {
            let tag = cipher.seal(nonce(number as usize), &descriptor.aad(), &mut stored);
            stored.extend_from_slice(&tag);
        }
        let section = self.write(&stored)?;
        descriptor.stored_len = u32::try_from(stored.len()).unwrap_or(u32::MAX);
        descriptor.stored_crc = section.crc;
        self.finished[number as usize] = Some(descriptor);
        Ok(raw.len())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Section, FileFault> {
        self.file.write_at(self.end, bytes).map_err(at(&self.path, "write"))?;
        let len = bytes.len() as u64;
        let section = Section { offset: self.end, len, crc: crc32c::crc32c(bytes) };
        self.end += len;
        Ok(section)
    }

    /// Writes what is left, the tables and the footer, and syncs.
    pub(super) fn finish(
        mut self,
        other_count: u64,
        previous: [u8; HASH],
        ciphers: &FindCipher<'_>,
    ) -> Result<PathBuf, FileFault> {
        let mut rest: Vec<_> = std::mem::take(&mut self.filling).into_iter().collect();
        rest.sort_unstable_by_key(|(_, (number, _))| *number);
        for (place, filled) in rest {
            let cipher = if place.2 { None } else { ciphers(&place.0, place.1) };
            self.flush(place, filled, cipher)?;
        }
        let footer = self.tables(other_count, previous)?;
        self.write(&footer.encode())?;
        self.file.sync().map_err(at(&self.path, "sync"))?;
        Ok(self.path)
    }

    fn tables(&mut self, other_count: u64, previous: [u8; HASH]) -> Result<Footer, FileFault> {
        let blocks: Vec<Descriptor> =
            std::mem::take(&mut self.finished).into_iter().flatten().collect();
        let mut index = Vec::new();
        for block in &blocks {
            block.encode(&mut index);
        }
        let index = self.write(&index)?;
        let mut table = Vec::with_capacity(self.frames.len() * 2);
        let mut last = 0;
        for &(sequence, block) in &self.frames {
            put_varint(&mut table, sequence - last);
            put_varint(&mut table, u64::from(block));
            last = sequence;
        }
        let table = self.compressor.compress(&table).map_err(at(&self.path, "compress"))?;
        let table = self.write(&table)?;
        let leaves = std::mem::take(&mut self.leaves);
        let head = merkle::tree_head(leaves.as_chunks::<HASH>().0.iter().copied());
        let leaves = self.write(&leaves)?;
        let arrivals = blocks.iter().map(|block| &block.summary);
        Ok(Footer {
            count: self.frames.len() as u64,
            other_count,
            min_arrival: arrivals.clone().map(|s| s.min_arrival).min().unwrap_or(i64::MAX),
            max_arrival: arrivals.map(|s| s.max_arrival).max().unwrap_or(i64::MIN),
            blocks: u32::try_from(blocks.len()).unwrap_or(u32::MAX),
            index,
            table,
            leaves,
            head,
            previous,
            link: merkle::link(&previous, &head, self.range),
        })
    }
}
