//! Calls under way: which intents are open, and where they stand.

use super::OpenSegment;
use crate::FrameKind;
use crate::format::frame::{Stamp, frame_len, identity, stamp};
use std::collections::HashMap;
use std::io;

/// Where each open intent stands in the open segment: offset and length.
#[derive(Debug, Default)]
pub(crate) struct Intents {
    places: HashMap<[u8; 16], (u64, usize)>,
    /// Bytes of their frames: what the next segment begins with.
    bytes: usize,
}

/// An intent's event id, offset and length.
pub(crate) type Place = ([u8; 16], u64, usize);

impl Intents {
    /// Intents that were carried over, `start` bytes into the segment.
    pub(crate) fn carried(places: Vec<Place>, start: u64) -> Self {
        let mut intents = Self::default();
        for (id, at, len) in places {
            intents.open(id, (start + at, len));
        }
        intents
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes of the open intents' frames.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Notes where the new intents in `batch` stand, which begins at `offset`
    /// of the segment, and forgets those with a record.
    pub(crate) fn follow(&mut self, batch: &[u8], offset: u64) {
        let mut at = 0;
        while at < batch.len() {
            let frame = &batch[at..];
            let len = frame_len(frame);
            match identity(frame) {
                Some((FrameKind::Intent, id)) => self.open(id, (offset + at as u64, len)),
                Some((FrameKind::Record, id)) => self.close(&id),
                _ => {}
            }
            at += len;
        }
    }

    fn open(&mut self, id: [u8; 16], place: (u64, usize)) {
        self.close(&id);
        self.bytes += place.1;
        self.places.insert(id, place);
    }

    fn close(&mut self, id: &[u8; 16]) {
        if let Some((_, len)) = self.places.remove(id) {
            self.bytes -= len;
        }
    }

    /// The encoded frames of all open intents, in order.
    pub(crate) fn frames(&self, segment: &OpenSegment) -> io::Result<Vec<Vec<u8>>> {
        let mut places: Vec<_> = self.places.values().copied().collect();
        places.sort_unstable();
        places.into_iter().map(|(offset, len)| segment.frame(offset, len)).collect()
    }
}

/// Stamps encoded intents as carried over, from sequence `first` on. Gives the
/// bytes, and each intent's id, place and length in them.
pub(crate) fn carry(frames: Vec<Vec<u8>>, first: u64, commit: i64) -> (Vec<u8>, Vec<Place>) {
    let mut bytes = Vec::new();
    let mut places = Vec::new();
    for (index, mut frame) in (0_u32..).zip(frames) {
        let sequence = first + u64::from(index);
        let len = stamp(&mut frame, Stamp { sequence, commit, index, carried: true });
        if let Some((_, id)) = identity(&frame) {
            places.push((id, bytes.len() as u64, len));
        }
        bytes.extend_from_slice(&frame);
    }
    (bytes, places)
}
