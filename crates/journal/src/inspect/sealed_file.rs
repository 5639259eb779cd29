//! One sealed stream, block by block, past whatever is damaged.

use super::{Damage, Finding, Inspector, finding};
use crate::disk::Disk;
use crate::error::{FileFault, at};
use crate::format::block::{Builder, Descriptor, Entry};
use crate::format::footer::{Footer, Section};
use crate::format::frame::Stamp;
use crate::format::merkle;
use crate::sealed::{Opened, SealedFile, Table};
use crate::{DATA, DataKeys, FrameKind, KeyError, MANAGEMENT, Stream};
use std::path::Path;

/// What was found in one sealed file that opens.
#[derive(Debug)]
pub(super) struct SealedReport {
    pub(super) file: SealedFile,
    /// The sequences it holds, in order.
    pub(super) sequences: Vec<u64>,
    /// Whole frames.
    pub(super) frames: u64,
    pub(super) findings: Vec<Finding>,
}

/// Reads the sealed file in `path`; a finding when nothing of it can be read.
pub(super) fn survey(
    disk: &dyn Disk,
    keys: &dyn DataKeys,
    path: &Path,
    range: (u64, u64),
) -> Result<Result<SealedReport, Finding>, FileFault> {
    let whole = |fault| finding(fault, Damage::File, range);
    let file = match SealedFile::open(disk, path) {
        Ok(file) => file,
        Err(fault) => return whole(fault).map(Err),
    };
    let table = match file.table() {
        Ok(table) => table,
        Err(fault) => return whole(fault).map(Err),
    };
    let leaves = match file.leaves() {
        Ok(leaves) => leaves,
        Err(fault) => return whole(fault).map(Err),
    };
    let footer = &file.footer;
    let head = merkle::tree_head(leaves.iter().copied());
    let linked = merkle::link(&footer.previous, &head, (file.header.first, file.header.last));
    if leaves.len() as u64 != table.frames.count() || head != footer.head || linked != footer.link {
        let fault = file.corrupt(footer.leaves.offset, "leaf hashes do not make the tree head");
        return whole(fault).map(Err);
    }
    let mut findings = Vec::new();
    for (number, descriptor) in table.blocks.iter().enumerate() {
        let opened = file.block(keys, number, descriptor).and_then(|opened| match opened {
            Opened::Block(block) => file.verify_block(keys, (descriptor, &block), &table, &leaves),
            Opened::Erased => Ok(()),
        });
        if let Err(fault) = opened {
            findings.push(block_finding(&file, fault, (number, &table))?);
        }
    }
    let lost: u64 = findings.iter().map(|finding| finding.frames).sum();
    let sequences: Vec<u64> = table.frames.from(0).map(|frame| frame.0).collect();
    let frames = (sequences.len() as u64).saturating_sub(lost);
    Ok(Ok(SealedReport { file, sequences, frames, findings }))
}

fn block_finding(
    file: &SealedFile,
    fault: FileFault,
    (number, table): (usize, &Table),
) -> Result<Finding, FileFault> {
    let inside = || table.frames.from(0).filter(|frame| frame.1 as usize == number);
    let first = inside().next().map_or(0, |frame| frame.0);
    let last = inside().last().map_or(0, |frame| frame.0);
    let mut found = match fault {
        FileFault::Key(err @ KeyError::Unknown { .. }) => {
            let offset = table.blocks[number].offset;
            let place = super::place(file.path(), offset, err.to_string(), (first, last));
            Finding::new(Damage::Key, place)
        }
        fault @ (FileFault::Corrupt(_)
        | FileFault::Unsupported { .. }
        | FileFault::Key(_)
        | FileFault::Disk { .. }) => finding(fault, Damage::Block, (first, last))?,
    };
    found.frames = inside().count() as u64;
    found.part = number as u64;
    Ok(found)
}

/// Writes the sealed file in `path` anew, with the frames of block `number`
/// bare of what they held. Sequences, leaf hashes and tree head stay.
pub(super) fn blank_block(
    inspector: &Inspector,
    path: &Path,
    number: usize,
) -> Result<(), FileFault> {
    let Inspector { disk, dir, .. } = inspector;
    let old = SealedFile::open(&**disk, path)?;
    let table = old.table()?;
    let mut bytes = old.header.encode();
    let mut index = Vec::new();
    for (at_block, descriptor) in table.blocks.iter().enumerate() {
        let mut descriptor = descriptor.clone();
        let stored = if at_block == number {
            let raw = blank(&mut descriptor, (number, &table), old.header.stream);
            zstd::bulk::compress(&raw, 3).map_err(at(path, "compress"))?
        } else {
            old.stored(&descriptor)?
        };
        descriptor.offset = bytes.len() as u64;
        descriptor.stored_len = u32::try_from(stored.len()).unwrap_or(u32::MAX);
        descriptor.stored_crc = crc32c::crc32c(&stored);
        bytes.extend_from_slice(&stored);
        descriptor.encode(&mut index);
    }
    let mut put = |part: &[u8]| {
        let (offset, len) = (bytes.len() as u64, part.len() as u64);
        bytes.extend_from_slice(part);
        Section { offset, len, crc: crc32c::crc32c(part) }
    };
    let footer = Footer {
        index: put(&index),
        table: put(&old.section(old.footer.table, "sequence table")?),
        leaves: put(&old.section(old.footer.leaves, "leaf hashes")?),
        ..old.footer.clone()
    };
    put(&footer.encode());
    let temporary = path.with_added_extension("tmp");
    let _ = disk.remove(&temporary);
    let file = disk.create(&temporary).map_err(at(&temporary, "create"))?;
    file.write_at(0, &bytes).map_err(at(&temporary, "write"))?;
    file.sync().map_err(at(&temporary, "sync"))?;
    disk.rename(&temporary, path).map_err(at(&temporary, "rename"))?;
    disk.sync_dir(dir).map_err(at(dir, "sync"))
}

/// A block of bare frames in the place of one that cannot be read.
fn blank(descriptor: &mut Descriptor, (number, table): (usize, &Table), stream: Stream) -> Vec<u8> {
    let summary = &descriptor.summary;
    let only = summary.kinds.is_power_of_two().then(|| summary.kinds.trailing_zeros());
    let kind = only.and_then(|kind| FrameKind::from_byte(u8::try_from(kind).ok()?));
    let mut builder = Builder::default();
    for frame in table.frames.from(0).filter(|frame| frame.1 as usize == number) {
        builder.add(&Entry {
            stamp: Stamp {
                sequence: frame.0,
                commit: summary.min_arrival,
                index: 0,
                carried: false,
            },
            kind: kind.unwrap_or(FrameKind::Record),
            category: if stream == Stream::Data { DATA } else { MANAGEMENT },
            read_only: false,
            arrival: summary.min_arrival,
            event_id: [0; 16],
            region: "",
            extension: &[],
            payload: None,
        });
    }
    let (summary, raw) = builder.finish();
    descriptor.clear = true;
    descriptor.summary = summary;
    descriptor.raw_len = u32::try_from(raw.len()).unwrap_or(u32::MAX);
    raw
}
