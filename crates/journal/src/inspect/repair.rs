//! Repair: what is damaged is set aside, what can be read stays, the gap shows.
//!
//! Nothing is destroyed: a file is copied into `quarantine/` and synced there
//! before anything of it is replaced. Dying in between leaves a journal that
//! can be repaired again.

use super::{Damage, Finding, Inspector, Progress, place};
use crate::disk::DiskFile;
use crate::error::{FileFault, at};
use crate::format::footer::{Footer, Section};
use crate::format::header::Header;
use crate::format::merkle;
use crate::names::{self, Presence, Segment, TEMPORARY};
use crate::scan::next_whole;
use crate::sealed::{SealedFile, read_header_len};
use crate::{Corruption, OpenError, ReadError, Stream};
use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use trailbox_clock::Micros;

/// Directory below the journal's for what was set aside.
const QUARANTINE: &str = "quarantine";
const CHUNK: usize = 1 << 20;

/// What is done about one damaged place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The damage.
    pub damage: Damage,
    /// File, offset, reason, and the frames that are lost.
    pub place: Corruption,
    /// How many frames are lost.
    pub frames: u64,
    /// What is done, in words; `None` where a person must decide.
    pub action: Option<&'static str>,
}

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repaired {
    /// One for each finding, oldest first.
    pub repairs: Vec<Repair>,
    /// Copies of damaged files, in `quarantine/`.
    pub quarantined: Vec<PathBuf>,
}

/// A repair under way.
struct Work<'a> {
    inspector: &'a Inspector,
    node: [u8; 16],
    now: Micros,
    /// Files that are in quarantine already.
    copied: HashSet<PathBuf>,
    quarantined: Vec<PathBuf>,
}

impl Inspector {
    /// Where damaged files are set aside.
    #[must_use]
    pub fn quarantine(&self) -> PathBuf {
        self.dir.join(QUARANTINE)
    }

    /// Checks the journal of `node` and repairs what it can, so that it opens
    /// and reads on behind the gaps. `announce` hears what will be done before
    /// anything is; when it fails, nothing is done.
    ///
    /// # Errors
    ///
    /// [`OpenError::InUse`] while a server runs, and whatever stops a check or
    /// the disk says.
    pub fn repair(
        &self,
        (node, now): ([u8; 16], Micros),
        announce: &mut dyn FnMut(&[Repair]) -> io::Result<()>,
        progress: Progress<'_>,
    ) -> Result<Repaired, OpenError> {
        let claim = self.claim()?;
        let findings = self.check(false, progress).map_err(into_open_error)?.findings;
        let repairs: Vec<Repair> = findings.iter().map(plan).collect();
        let mut work =
            Work { inspector: self, node, now, copied: HashSet::new(), quarantined: Vec::new() };
        if repairs.iter().any(|repair| repair.action.is_some()) {
            let aside = self.quarantine();
            self.disk.create_dir(&aside).map_err(at(&aside, "create"))?;
            announce(&repairs).map_err(at(&aside, "write down the repair in"))?;
        }
        // The last one first: what follows a gap is in place before the gap is.
        for finding in findings.iter().rev() {
            work.mend(finding)?;
        }
        drop(claim);
        Ok(Repaired { repairs, quarantined: work.quarantined })
    }
}

fn plan(finding: &Finding) -> Repair {
    let action = match finding.damage {
        Damage::Frames => Some("the frames before and behind stay; a gap stands in between"),
        Damage::Rest => Some("the frames before stay; a gap stands for the rest"),
        Damage::Block => Some("the other blocks stay; frames of this one have no payload"),
        Damage::File => Some("a gap stands for the file"),
        Damage::Missing => Some("a gap stands for the missing files"),
        Damage::Mark => Some("a gap stands for the missing frames; the mark is set aside"),
        Damage::Order | Damage::Key => None,
    };
    let Finding { damage, place, frames, .. } = finding.clone();
    Repair { damage, place, frames, action }
}

impl Work<'_> {
    fn mend(&mut self, finding: &Finding) -> Result<(), FileFault> {
        let path = finding.place.file.clone();
        let gap = (finding.place.first_affected, finding.place.last_affected);
        match finding.damage {
            Damage::Frames | Damage::Rest => self.unsealed(&path, gap, finding),
            Damage::Block => {
                self.set_aside(&path)?;
                let number = usize::try_from(finding.part).unwrap_or(usize::MAX);
                super::sealed_file::blank_block(self.inspector, &path, number)
            }
            Damage::File => {
                self.set_aside(&path)?;
                let segment = segment_of(&path)?;
                let stream =
                    if name(&path).contains(".data.") { Stream::Data } else { Stream::Management };
                self.gap((segment.first, segment.last), segment.epoch, stream)?;
                self.remove_if_other(&path, &segment, stream)
            }
            Damage::Missing if path == self.inspector.dir => {
                let epoch = self.epoch_at(gap.0)?;
                self.gap(gap, epoch, Stream::Management)
            }
            Damage::Missing => {
                // The file that is named is the one that is there.
                let segment = segment_of(&path)?;
                let data = name(&path).contains(".data.");
                let stream = if data { Stream::Management } else { Stream::Data };
                self.gap((segment.first, segment.last), segment.epoch, stream)
            }
            Damage::Mark => {
                self.set_aside(&path)?;
                let epoch = self.epoch_at(gap.0)?;
                self.gap(gap, epoch, Stream::Management)?;
                self.remove(&path)
            }
            Damage::Order | Damage::Key => Ok(()),
        }
    }

    /// Damage in an unsealed segment: what can be read behind it becomes a
    /// segment of its own, then the gap gets its place.
    fn unsealed(
        &mut self,
        path: &Path,
        gap: (u64, u64),
        finding: &Finding,
    ) -> Result<(), FileFault> {
        self.set_aside(path)?;
        let segment = segment_of(path)?;
        let disk = &self.inspector.disk;
        let file = disk.open(path, true).map_err(at(path, "open"))?;
        if finding.damage == Damage::Frames {
            let (header, _) = read_header_len(&*file, path)?;
            let limit = file.len().map_err(at(path, "measure"))?;
            let next = next_whole(&*file, (finding.part, limit), gap.1 + 1);
            if let Some((offset, first)) = next.map_err(at(path, "read"))? {
                let header = Header { first, ..header };
                let name = names::open_name(first, segment.epoch);
                self.write(&name, &header.encode(), Some((&*file, offset, limit)))?;
            }
        }
        self.gap(gap, segment.epoch, Stream::Management)?;
        if gap.0 == segment.first {
            // Nothing of it counts any more, and the gap bears its name.
            self.remove(path)?;
        }
        Ok(())
    }

    /// Puts a stub in the place of `range`: header and footer whose tree head
    /// is zeros. Links of the files around it stay as they are.
    fn gap(&self, range: (u64, u64), epoch: u64, stream: Stream) -> Result<(), FileFault> {
        let known = self.known()?;
        let others = known.iter().find(|k| (k.first, k.epoch) == (range.0, epoch));
        let other_there = match stream {
            Stream::Data => true,
            Stream::Management | Stream::Open => {
                others.is_some_and(|known| known.data != Presence::Absent)
            }
        };
        let header = Header {
            stream,
            node: self.node,
            epoch,
            first: range.0,
            last: range.1,
            created: self.now.0,
            key_id: self.inspector.keys.master_id(),
            salt: [0; 32],
        };
        let head = [0; 32];
        let before = known.iter().rev().filter(|known| known.first < range.0);
        let after = known.iter().filter(|known| known.first > range.1);
        let previous = self.first_footer(before, stream)?.map_or([0; 32], |footer| footer.link);
        let link = self
            .first_footer(after, stream)?
            .map_or_else(|| merkle::link(&previous, &head, range), |footer| footer.previous);
        let footer = Footer {
            count: range.1 - range.0 + 1,
            other_count: u64::from(other_there),
            min_arrival: i64::MAX,
            max_arrival: i64::MIN,
            blocks: 0,
            index: Section::default(),
            table: Section::default(),
            leaves: Section::default(),
            head,
            previous,
            link,
        };
        let mut bytes = header.encode();
        bytes.extend_from_slice(&footer.encode());
        self.write(&names::dropped_name(range.0, range.1, epoch, stream), &bytes, None)
    }

    fn first_footer<'s>(
        &self,
        segments: impl Iterator<Item = &'s Segment>,
        stream: Stream,
    ) -> Result<Option<Footer>, FileFault> {
        let mut paths = segments.filter_map(|known| self.inspector.sealed_path(known, stream));
        let Some(path) = paths.next() else { return Ok(None) };
        match SealedFile::open(&*self.inspector.disk, &path) {
            Ok(file) => Ok(Some(file.footer)),
            // Its own gap is made next, and takes its link from ours.
            Err(FileFault::Corrupt(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Writes a file under its final name, durably; then a part of another.
    fn write(
        &self,
        name: &str,
        start: &[u8],
        rest: Option<(&dyn DiskFile, u64, u64)>,
    ) -> Result<(), FileFault> {
        let Inspector { disk, dir, .. } = self.inspector;
        let temporary = dir.join(name.to_owned() + TEMPORARY);
        let _ = disk.remove(&temporary);
        let file = disk.create(&temporary).map_err(at(&temporary, "create"))?;
        file.write_at(0, start).map_err(at(&temporary, "write"))?;
        if let Some((from, offset, limit)) = rest {
            let to = (&*file, start.len() as u64);
            copy((from, offset, limit), to).map_err(at(&temporary, "write"))?;
        }
        file.sync().map_err(at(&temporary, "sync"))?;
        disk.rename(&temporary, &dir.join(name)).map_err(at(&temporary, "rename"))?;
        disk.sync_dir(dir).map_err(at(dir, "sync"))
    }

    /// Copies a file into the quarantine, once.
    fn set_aside(&mut self, path: &Path) -> Result<(), FileFault> {
        if !self.copied.insert(path.to_owned()) {
            return Ok(());
        }
        let (disk, aside) = (&self.inspector.disk, self.inspector.quarantine());
        let from = disk.open(path, true).map_err(at(path, "open"))?;
        let len = from.len().map_err(at(path, "measure"))?;
        let copy_of = format!("{}-{}", self.now.0, name(path));
        let mut to = aside.join(&copy_of);
        let mut tries = 1;
        let file = loop {
            match disk.create(&to) {
                Err(err) if err.kind() == ErrorKind::AlreadyExists && tries < 1000 => {
                    tries += 1;
                    to = aside.join(format!("{copy_of}.{tries}"));
                }
                other => break other.map_err(at(&to, "create"))?,
            }
        };
        copy((&*from, 0, len), (&*file, 0)).map_err(at(&to, "write"))?;
        file.sync().map_err(at(&to, "sync"))?;
        disk.sync_dir(&aside).map_err(at(&aside, "sync"))?;
        self.quarantined.push(to);
        Ok(())
    }

    /// Removes the damaged original, unless the gap has taken its very name.
    fn remove_if_other(
        &self,
        path: &Path,
        segment: &Segment,
        stream: Stream,
    ) -> Result<(), FileFault> {
        let Segment { first, last, epoch, .. } = *segment;
        if name(path) == names::dropped_name(first, last, epoch, stream) {
            return Ok(());
        }
        self.remove(path)
    }

    /// Removes a file that is in quarantine.
    fn remove(&self, path: &Path) -> Result<(), FileFault> {
        let Inspector { disk, dir, .. } = self.inspector;
        disk.remove(path).map_err(at(path, "remove"))?;
        disk.sync_dir(dir).map_err(at(dir, "sync"))
    }

    fn known(&self) -> Result<Vec<Segment>, FileFault> {
        let Inspector { disk, dir, .. } = self.inspector;
        names::segments(&**disk, dir).map_err(at(dir, "list"))
    }

    /// The epoch that `sequence` belonged to, as far as its neighbours tell.
    fn epoch_at(&self, sequence: u64) -> Result<u64, FileFault> {
        let known = self.known()?;
        let before = known.iter().rev().find(|known| known.first < sequence);
        Ok(before.or(known.first()).map_or(1, |known| known.epoch))
    }
}

fn segment_of(path: &Path) -> Result<Segment, FileFault> {
    names::segment_of(&name(path)).ok_or_else(|| {
        FileFault::Corrupt(place(path, 0, "the name is not that of a segment", (0, 0)))
    })
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn copy(
    (from, mut at, limit): (&dyn DiskFile, u64, u64),
    (to, mut end): (&dyn DiskFile, u64),
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    while at < limit {
        let want = usize::try_from(limit - at).unwrap_or(CHUNK).min(CHUNK);
        let read = from.read_at(at, &mut buffer[..want])?;
        if read == 0 {
            break;
        }
        to.write_at(end, &buffer[..read])?;
        (at, end) = (at + read as u64, end + read as u64);
    }
    Ok(())
}

fn into_open_error(err: ReadError) -> OpenError {
    match err {
        ReadError::Corrupt(corruption) => OpenError::Corrupt(corruption),
        ReadError::Unsupported { file, what } => OpenError::Unsupported { file, what },
        ReadError::Key(err) => OpenError::Key(err),
        ReadError::Disk { file, action, source } => OpenError::Disk { file, action, source },
        err @ (ReadError::Missing { .. }
        | ReadError::NoSuchFrame { .. }
        | ReadError::OtherNode { .. }) => {
            OpenError::Unsupported { file: PathBuf::new(), what: err.to_string() }
        }
    }
}
