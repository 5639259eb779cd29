//! Every file of a journal, and how they fit together.

use super::open_file::{self, Extent};
use super::sealed_file::{self, SealedReport};
use super::{Checked, Damage, Finding, Inspector, Progress, finding, place};
use crate::error::{FileFault, at};
use crate::format::mark::Mark;
use crate::names::{self, Presence, Segment};
use crate::recovery::read_mark;
use crate::scan::highest_whole;
use crate::sealed::SealedFile;
use crate::{ReadError, Stream};

const STREAMS: [Stream; 2] = [Stream::Management, Stream::Data];

/// A check under way.
struct Check<'a> {
    inspector: &'a Inspector,
    mark: Option<Mark>,
    /// Whether a server writes meanwhile: nothing is read beyond the mark.
    beside: bool,
    /// Last sequence passed.
    sequence: u64,
    /// Link of the newest file of each stream.
    links: [Option<[u8; 32]>; 2],
    checked: Checked,
}

impl Inspector {
    /// Reads every segment: checksums, decryption, leaf hashes, tree heads,
    /// links, that sequences are dense, and the mark. `beside` a running server
    /// nothing is read that is not durable yet.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read, a newer release wrote it, or keys are
    /// not available. Damage is no error: it is what the result is about.
    pub fn check(&self, beside: bool, progress: Progress<'_>) -> Result<Checked, ReadError> {
        // The mark first: whatever it names must be in the list.
        let mark = read_mark(&*self.disk, &self.dir)?;
        let segments = self.segments()?;
        let total = self.total(&segments);
        let mut check = Check {
            inspector: self,
            mark,
            beside,
            sequence: segments.first().map_or(0, |segment| segment.first - 1),
            links: [None, None],
            checked: Checked::default(),
        };
        for (at, segment) in segments.iter().enumerate() {
            check.segment(segment, segments.get(at + 1))?;
            progress(check.checked.bytes, total);
        }
        Ok(check.conclude())
    }
}

impl Check<'_> {
    fn segment(&mut self, segment: &Segment, next: Option<&Segment>) -> Result<(), FileFault> {
        let expected = self.sequence + 1;
        let dir = &self.inspector.dir;
        if segment.first > expected {
            let place = place(dir, 0, "segment files are missing", (expected, segment.first - 1));
            self.checked.findings.push(Finding::new(Damage::Missing, place));
        } else if segment.first < expected {
            let file = self.inspector.paths(segment).into_iter().next().unwrap_or_default();
            let place = place(
                &file,
                0,
                "two segments hold the same sequences",
                (segment.first, expected - 1),
            );
            self.checked.findings.push(Finding::new(Damage::Order, place));
        }
        let segment = &self.now(segment)?;
        if segment.is_sealed() { self.sealed(segment) } else { self.unsealed(segment, next) }
    }

    /// The segment as it is now: a server may have sealed or dropped it.
    fn now(&self, segment: &Segment) -> Result<Segment, FileFault> {
        if !self.beside {
            return Ok(*segment);
        }
        let Inspector { disk, dir, .. } = self.inspector;
        let known = names::segments(&**disk, dir).map_err(at(dir, "list"))?;
        let same = known.iter().find(|k| (k.first, k.epoch) == (segment.first, segment.epoch));
        Ok(same.copied().unwrap_or(*segment))
    }

    fn unsealed(&mut self, segment: &Segment, next: Option<&Segment>) -> Result<(), FileFault> {
        let Inspector { disk, keys, dir, .. } = self.inspector;
        let path = dir.join(names::open_name(segment.first, segment.epoch));
        let len = disk.open(&path, true).and_then(|file| file.len()).map_err(at(&path, "open"))?;
        let marked = self.mark.filter(|m| (m.segment, m.epoch) == (segment.first, segment.epoch));
        let extent = match (next, marked) {
            (Some(next), _) => Extent { limit: len, last: Some(next.first - 1), complete: true },
            (None, Some(mark)) if self.beside => {
                Extent { limit: mark.offset.min(len), last: Some(mark.sequence), complete: true }
            }
            (None, None) if self.beside => {
                // Begun a moment ago: nothing in it is known to be durable.
                Extent { limit: 0, last: Some(segment.first - 1), complete: true }
            }
            (None, mark) => {
                Extent { limit: len, last: mark.map(|mark| mark.sequence), complete: false }
            }
        };
        self.checked.files += 1;
        self.checked.bytes += len;
        let report = match open_file::survey(&**disk, &**keys, &path, extent) {
            Ok(report) => report,
            Err(fault) => {
                let file = disk.open(&path, true).map_err(at(&path, "open"))?;
                let highest = match extent {
                    Extent { complete: true, last: Some(last), .. } => last,
                    _ => highest_whole(&*file, len).map_err(at(&path, "read"))?,
                };
                let last = extent.last.unwrap_or(0).max(highest).max(segment.first);
                let mut found = finding(fault, Damage::Rest, (segment.first, last))?;
                found.part = len;
                self.checked.findings.push(found);
                self.sequence = last;
                return Ok(());
            }
        };
        if report.torn > 0 {
            self.checked.notes.push(format!(
                "{}: {} bytes at the end are torn; nobody was told that they are durable, the next start cuts them off",
                path.display(),
                report.torn
            ));
        }
        self.checked.frames += report.frames;
        self.checked.findings.extend(report.findings);
        self.sequence = report.last;
        Ok(())
    }

    fn sealed(&mut self, segment: &Segment) -> Result<(), FileFault> {
        let mut sequences = Vec::new();
        let mut whole = true;
        for (slot, stream) in STREAMS.into_iter().enumerate() {
            match segment.presence(stream) {
                Presence::Absent => {}
                Presence::Dropped => {
                    whole = false;
                    self.dropped(segment, stream, slot)?;
                }
                Presence::Sealed => match self.stream(segment, stream, slot)? {
                    Some(report) => sequences.extend(report.sequences),
                    None => whole = false,
                },
            }
        }
        if segment.lacks_management() {
            whole = false;
            let file = self.inspector.sealed_path(segment, Stream::Data).unwrap_or_default();
            let what = "the segment's management stream is missing";
            let place = place(&file, 0, what, (segment.first, segment.last));
            let mut found = Finding::new(Damage::Missing, place);
            found.frames = found.frames.saturating_sub(sequences.len() as u64);
            self.checked.findings.push(found);
        }
        sequences.sort_unstable();
        let dense = sequences.iter().copied().eq(segment.first..=segment.last);
        if whole && !dense {
            let file = self.inspector.paths(segment).into_iter().next().unwrap_or_default();
            let have = sequences.len();
            let what = format!("the segment's streams hold {have} frames and not every sequence");
            let place = place(&file, 0, what, (segment.first, segment.last));
            self.checked.findings.push(Finding::new(Damage::Order, place));
        }
        self.sequence = segment.last;
        Ok(())
    }

    /// A stream that retention removed, or repair set aside.
    fn dropped(&mut self, segment: &Segment, stream: Stream, slot: usize) -> Result<(), FileFault> {
        let Some(path) = self.inspector.sealed_path(segment, stream) else { return Ok(()) };
        let range = (segment.first, segment.last);
        self.checked.files += 1;
        match SealedFile::open(&*self.inspector.disk, &path) {
            Ok(file) => {
                if file.footer.head == [0; 32] {
                    self.checked.notes.push(format!(
                        "{}: frames {} to {} were damaged and set aside by a repair",
                        path.display(),
                        segment.first,
                        segment.last
                    ));
                }
                self.follow(&file, slot);
            }
            Err(fault) => {
                self.links[slot] = None;
                self.checked.findings.push(finding(fault, Damage::File, range)?);
            }
        }
        Ok(())
    }

    fn stream(
        &mut self,
        segment: &Segment,
        stream: Stream,
        slot: usize,
    ) -> Result<Option<SealedReport>, FileFault> {
        let Some(path) = self.inspector.sealed_path(segment, stream) else { return Ok(None) };
        let range = (segment.first, segment.last);
        let Inspector { disk, keys, .. } = self.inspector;
        let surveyed = match sealed_file::survey(&**disk, &**keys, &path, range) {
            // Dropped by retention while we looked.
            Err(FileFault::Disk { source, .. })
                if self.beside && source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Ok(None);
            }
            other => other?,
        };
        self.checked.files += 1;
        match surveyed {
            Ok(mut report) => {
                self.checked.bytes += report.file.bytes;
                self.checked.frames += report.frames;
                self.checked.findings.append(&mut report.findings);
                let lacks_data = stream == Stream::Management
                    && report.file.footer.other_count > 0
                    && segment.data == Presence::Absent;
                if lacks_data {
                    let what = "the segment's data stream is missing";
                    let mut found = Finding::new(Damage::Missing, place(&path, 0, what, range));
                    found.frames = report.file.footer.other_count;
                    self.checked.findings.push(found);
                }
                self.follow(&report.file, slot);
                Ok((!lacks_data).then_some(report))
            }
            Err(found) => {
                self.links[slot] = None;
                self.checked.findings.push(found);
                Ok(None)
            }
        }
    }

    /// Each file of a stream names the link of the one before.
    fn follow(&mut self, file: &SealedFile, slot: usize) {
        let footer = &file.footer;
        if self.links[slot].is_some_and(|link| link != footer.previous) {
            let range = (file.header.first, file.header.last);
            let what = "the file does not continue the one before it: another stands there now";
            let place = place(file.path(), file.bytes, what, range);
            self.checked.findings.push(Finding::new(Damage::Order, place));
        }
        self.links[slot] = Some(footer.link);
    }

    fn conclude(mut self) -> Checked {
        let last = self.sequence;
        if let Some(mark) = self.mark.filter(|mark| !self.beside && mark.sequence > last) {
            let what = "the mark says that more frames were durable than the segments hold";
            let file = self.inspector.dir.join(names::MARK);
            let place = place(&file, 0, what, (last + 1, mark.sequence));
            self.checked.findings.push(Finding::new(Damage::Mark, place));
        }
        self.checked
    }
}
