//! What files there are, and the end of those nobody needs any more.

use super::sealed_view::Contents;
use super::{Limit, Reader, SegmentInfo, Stream, limit};
use crate::ReadError;
use crate::disk::Disk;
use crate::error::{FileFault, at};
use crate::format::footer::Footer;
use crate::names::{self, Presence, Segment, TEMPORARY};
use crate::recovery::read_mark;
use crate::sealed::SealedFile;
use std::path::Path;
use trailbox_clock::Micros;

impl Reader {
    /// The files of the journal, oldest first; what was dropped is not there.
    ///
    /// # Errors
    ///
    /// When they cannot be listed or read.
    pub fn segments(&self) -> Result<Vec<SegmentInfo>, ReadError> {
        let mut tries = 0;
        loop {
            match self.describe_all() {
                Err(ReadError::Disk { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound && tries < super::TRIES =>
                {
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    fn describe_all(&self) -> Result<Vec<SegmentInfo>, ReadError> {
        let mut state = self.state();
        self.list(&mut state)?;
        let mark = read_mark(&*self.disk, &self.dir)?;
        let segments = state.segments.clone();
        self.sealed.retain(&segments);
        let mut infos = Vec::with_capacity(segments.len() + 1);
        for (at, segment) in segments.iter().enumerate() {
            if segment.is_sealed() {
                self.describe_sealed(segment, &mut infos)?;
                continue;
            }
            let limit: Limit = limit(segment, segments.get(at + 1), mark);
            let view = self.view(&mut state, segment, limit)?;
            infos.push(SegmentInfo {
                id: segment.first,
                stream: Stream::Open,
                first: segment.first,
                last: view.last,
                bytes: view.bytes(),
                records: view.last + 1 - segment.first,
                min_arrival: view.arrivals.map(|arrivals| Micros(arrivals.0)),
                max_arrival: view.arrivals.map(|arrivals| Micros(arrivals.1)),
            });
        }
        Ok(infos)
    }

    fn describe_sealed(
        &self,
        segment: &Segment,
        infos: &mut Vec<SegmentInfo>,
    ) -> Result<(), ReadError> {
        for stream in [Stream::Management, Stream::Data] {
            let held = self.sealed.contents(&*self.disk, &self.dir, segment, stream)?;
            let Some(Contents { bytes, records, arrivals }) = held else { continue };
            infos.push(SegmentInfo {
                id: segment.first,
                stream,
                first: segment.first,
                last: segment.last,
                bytes,
                records,
                min_arrival: arrivals.map(|arrivals| Micros(arrivals.0)),
                max_arrival: arrivals.map(|arrivals| Micros(arrivals.1)),
            });
        }
        Ok(())
    }

    /// The tree head of a sealed stream, kept even after it was dropped as
    /// long as an older segment or its sibling is there.
    ///
    /// # Errors
    ///
    /// [`ReadError::NoSuchFrame`] when the segment has no such stream.
    pub fn tree_head(&self, id: u64, stream: Stream) -> Result<[u8; 32], ReadError> {
        Ok(self.sealed_file(id, stream)?.footer.head)
    }

    /// Reads a sealed stream whole and checks it against its tree head.
    ///
    /// # Errors
    ///
    /// [`ReadError::Corrupt`] with the first damage found.
    pub fn verify(&self, id: u64, stream: Stream) -> Result<(), ReadError> {
        Ok(self.sealed_file(id, stream)?.verify(&*self.keys)?)
    }

    fn sealed_file(&self, id: u64, stream: Stream) -> Result<SealedFile, ReadError> {
        let known = names::segments(&*self.disk, &self.dir).map_err(at(&self.dir, "list"))?;
        let segment = known.iter().rev().find(|known| known.first == id && known.is_sealed());
        let missing = ReadError::NoSuchFrame { sequence: id };
        let Some(Segment { first, last, epoch, .. }) = segment.copied() else {
            return Err(missing);
        };
        let name = match segment.map_or(Presence::Absent, |known| known.presence(stream)) {
            Presence::Absent => return Err(missing),
            Presence::Sealed => names::sealed_name(first, last, epoch, stream),
            Presence::Dropped => names::dropped_name(first, last, epoch, stream),
        };
        Ok(SealedFile::open(&*self.disk, &self.dir.join(name))?)
    }

    /// Removes one sealed stream of a segment: retention. Removing what is
    /// gone already succeeds.
    ///
    /// While an older segment or the other stream is there, header and footer
    /// stay behind: readers see that nothing is missing by accident, and the
    /// tree head can still be shown.
    ///
    /// # Errors
    ///
    /// When the file cannot be removed; an open segment never is.
    pub fn drop_segment(&self, id: u64, stream: Stream) -> Result<(), ReadError> {
        let known = names::segments(&*self.disk, &self.dir).map_err(at(&self.dir, "list"))?;
        let segment = known.iter().find(|known| known.first == id && known.is_sealed());
        let Some(segment) = segment.filter(|s| s.presence(stream) != Presence::Absent) else {
            return Ok(());
        };
        if segment.presence(stream) == Presence::Sealed {
            leave_stub(&*self.disk, &self.dir, segment, stream)?;
        }
        // Also when an attempt before this one stopped between the two.
        remove_sealed(&*self.disk, &self.dir, segment, stream)?;
        self.sealed.forget(segment.first, segment.epoch, stream);
        sweep(&*self.disk, &self.dir)?;
        let mut state = self.state();
        self.list(&mut state)
    }
}

/// Replaces a sealed file by its header and footer.
fn leave_stub(
    disk: &dyn Disk,
    dir: &Path,
    segment: &Segment,
    stream: Stream,
) -> Result<(), FileFault> {
    let Segment { first, last, epoch, .. } = *segment;
    let sealed = dir.join(names::sealed_name(first, last, epoch, stream));
    let stub = dir.join(names::dropped_name(first, last, epoch, stream));
    let temporary = dir.join(names::dropped_name(first, last, epoch, stream) + TEMPORARY);
    let old = SealedFile::open(disk, &sealed)?;
    let mut bytes = old.header.encode();
    bytes.extend_from_slice(&Footer::encode(&old.footer));
    let _ = disk.remove(&temporary);
    let file = disk.create(&temporary).map_err(at(&temporary, "create"))?;
    file.write_at(0, &bytes).map_err(at(&temporary, "write"))?;
    file.sync().map_err(at(&temporary, "sync"))?;
    disk.rename(&temporary, &stub).map_err(at(&temporary, "rename"))?;
    disk.sync_dir(dir).map_err(at(dir, "sync"))
}

/// Removes a sealed file that its stub stands for; it may be gone already.
fn remove_sealed(
    disk: &dyn Disk,
    dir: &Path,
    segment: &Segment,
    stream: Stream,
) -> Result<(), FileFault> {
    let Segment { first, last, epoch, .. } = *segment;
    let sealed = dir.join(names::sealed_name(first, last, epoch, stream));
    match disk.remove(&sealed) {
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(err) => Err(at(&sealed, "remove")(err)),
        Ok(()) => disk.sync_dir(dir).map_err(at(dir, "sync")),
    }
}

/// Removes the remains of the oldest segments, up to one that still holds
/// frames. The management file goes first, as it came last.
fn sweep(disk: &dyn Disk, dir: &Path) -> Result<(), FileFault> {
    let known = names::segments(disk, dir).map_err(at(dir, "list"))?;
    let streams = [Stream::Management, Stream::Data];
    let holds = |segment: &Segment| {
        segment.open || streams.iter().any(|s| segment.presence(*s) == Presence::Sealed)
    };
    for segment in known.iter().take_while(|segment| !holds(segment)) {
        for stream in streams {
            if segment.presence(stream) == Presence::Dropped {
                // Else it would be taken for a live one without its stub.
                remove_sealed(disk, dir, segment, stream)?;
                let Segment { first, last, epoch, .. } = *segment;
                let path = dir.join(names::dropped_name(first, last, epoch, stream));
                disk.remove(&path).map_err(at(&path, "remove"))?;
            }
        }
    }
    disk.sync_dir(dir).map_err(at(dir, "sync"))
}
