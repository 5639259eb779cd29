//! What one file holds: on the platter, on its way there, and as read.

use trailbox_clock::{Random as _, SeededRandom};

const SECTOR: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Node {
    /// What is on the platter.
    pub(super) durable: Vec<u8>,
    /// What was done since the last sync, in order.
    pub(super) pending: Vec<Change>,
    /// What a running process reads.
    pub(super) live: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(super) enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

impl Node {
    /// Applies a random part of what was not synced, sector by sector.
    pub(super) fn lose_some(&mut self, random: &SeededRandom) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Write(offset, bytes) => self.keep_some(random, offset, &bytes),
                Change::Length(len) if pick(random, 2) == 0 => resize(&mut self.durable, len),
                Change::Length(_) => {}
            }
        }
        self.live.clone_from(&self.durable);
    }

    fn keep_some(&mut self, random: &SeededRandom, offset: u64, bytes: &[u8]) {
        let fate = pick(random, 4);
        let mut at = 0;
        while at < bytes.len() {
            // Sectors are whole on the platter, not relative to the write.
            let into = usize::try_from(offset).unwrap_or(0) + at;
            let end = (at + SECTOR - into % SECTOR).min(bytes.len());
            let keep = match fate {
                0 => true,
                1 => false,
                _ => pick(random, 2) == 0,
            };
            if keep {
                put(&mut self.durable, offset + at as u64, &bytes[at..end]);
            }
            at = end;
        }
    }

    pub(super) fn sync(&mut self) {
        self.pending.clear();
        self.durable.clone_from(&self.live);
    }
}

pub(super) fn pick(random: &SeededRandom, below: usize) -> usize {
    let mut bytes = [0; 8];
    random.fill(&mut bytes);
    usize::try_from(u64::from_le_bytes(bytes) >> 1).unwrap_or(0) % below.max(1)
}

pub(super) fn put(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = start + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

pub(super) fn resize(content: &mut Vec<u8>, len: u64) {
    content.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
}
