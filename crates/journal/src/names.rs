//! Names of the journal's files, and which of them are live.

use crate::Stream;
use crate::disk::Disk;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Claimed by the process that writes.
pub(crate) const LOCK: &str = "journal.lock";
/// Says how far the open segment is durable.
pub(crate) const MARK: &str = "journal.mark";
/// Room for outcomes when the disk is full.
pub(crate) const RESERVE: &str = "journal.reserve";
/// Written and removed to see whether the disk works again.
pub(crate) const PROBE: &str = "journal.probe";
/// Unfinished files; removed when the journal is opened.
pub(crate) const TEMPORARY: &str = ".tmp";

/// The name of an unsealed segment.
pub(crate) fn open_name(first: u64, epoch: u64) -> String {
    format!("{first:020}-{epoch:010}.open")
}

/// The name of one sealed stream of a segment.
pub(crate) fn sealed_name(first: u64, last: u64, epoch: u64, stream: Stream) -> String {
    format!("{first:020}-{last:020}-{epoch:010}.{}.sealed", stream_name(stream))
}

/// The name of what remains when retention has removed a stream.
pub(crate) fn dropped_name(first: u64, last: u64, epoch: u64, stream: Stream) -> String {
    format!("{first:020}-{last:020}-{epoch:010}.{}.dropped", stream_name(stream))
}

const fn stream_name(stream: Stream) -> &'static str {
    match stream {
        Stream::Open => "open",
        Stream::Management => "management",
        Stream::Data => "data",
    }
}

/// One sealed stream on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Presence {
    /// Never written, or removed together with its whole segment.
    #[default]
    Absent,
    /// There.
    Sealed,
    /// Removed by retention; an empty file keeps its place.
    Dropped,
}

/// One segment, as the names in the directory tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Segment {
    pub(crate) first: u64,
    /// 0 while the segment is not sealed.
    pub(crate) last: u64,
    pub(crate) epoch: u64,
    /// Whether the unsealed file is there.
    pub(crate) open: bool,
    pub(crate) management: Presence,
    pub(crate) data: Presence,
}

impl Segment {
    /// Whether readers use the sealed files. The management file is written
    /// last: with it, or what remains of it, sealing is complete.
    pub(crate) fn is_sealed(&self) -> bool {
        !self.open || self.management != Presence::Absent
    }

    /// Whether the management file is gone while the data file is there: it is
    /// neither sealed nor dropped that way, somebody took it.
    pub(crate) fn lacks_management(&self) -> bool {
        !self.open && self.management == Presence::Absent && self.data == Presence::Sealed
    }

    pub(crate) fn presence(&self, stream: Stream) -> Presence {
        match stream {
            Stream::Open => Presence::Absent,
            Stream::Management => self.management,
            Stream::Data => self.data,
        }
    }
}

/// The segments in `dir`, by first sequence. A directory that is not there
/// has none.
pub(crate) fn segments(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<Segment>> {
    let names = match disk.list(dir) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other?,
    };
    let mut found: BTreeMap<(u64, u64), Segment> = BTreeMap::new();
    for (first, epoch, part) in names.iter().filter_map(|name| parse(name)) {
        let segment = found.entry((first, epoch)).or_default();
        (segment.first, segment.epoch) = (first, epoch);
        match part {
            Part::Open => segment.open = true,
            Part::Stream(stream, last, presence) => {
                segment.last = last;
                let slot = match stream {
                    Stream::Data => &mut segment.data,
                    Stream::Management | Stream::Open => &mut segment.management,
                };
                // Between a drop's two steps both files are there: it counts
                // as dropped.
                if *slot != Presence::Dropped {
                    *slot = presence;
                }
            }
        }
    }
    Ok(found.into_values().collect())
}

/// The segment that the file called `name` belongs to; `last` is 0 while it is
/// not sealed.
pub(crate) fn segment_of(name: &str) -> Option<Segment> {
    let (first, epoch, part) = parse(name)?;
    let last = match part {
        Part::Open => 0,
        Part::Stream(_, last, _) => last,
    };
    Some(Segment { first, last, epoch, ..Segment::default() })
}

enum Part {
    Open,
    Stream(Stream, u64, Presence),
}

fn parse(name: &str) -> Option<(u64, u64, Part)> {
    let (numbers, suffix) = name.split_once('.')?;
    let numbers: Vec<u64> = numbers.split('-').map(|n| n.parse().ok()).collect::<Option<_>>()?;
    let stream = |text: &str| match text {
        "management" => Some(Stream::Management),
        "data" => Some(Stream::Data),
        _ => None,
    };
    match (numbers.as_slice(), suffix.split_once('.')) {
        (&[first, epoch], None) if suffix == "open" => Some((first, epoch, Part::Open)),
        (&[first, last, epoch], Some((which, "sealed"))) => {
            Some((first, epoch, Part::Stream(stream(which)?, last, Presence::Sealed)))
        }
        (&[first, last, epoch], Some((which, "dropped"))) => {
            Some((first, epoch, Part::Stream(stream(which)?, last, Presence::Dropped)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Presence, dropped_name, open_name, sealed_name, segments};
    use crate::Stream;
    use crate::disk::{Disk as _, SimulatedDisk};
    use std::path::Path;

    #[test]
    fn segments_are_told_by_their_names_and_other_files_are_left_alone() {
        let (disk, dir) = (SimulatedDisk::new(1), Path::new("/j"));
        let names = [
            open_name(11, 2),
            sealed_name(1, 10, 1, Stream::Data),
            sealed_name(1, 10, 1, Stream::Management),
            dropped_name(1, 10, 1, Stream::Data),
            "journal.lock".to_owned(),
            format!("{}.tmp", open_name(12, 3)),
            "notes.txt".to_owned(),
        ];
        for name in &names {
            disk.create(&dir.join(name)).unwrap();
        }
        let found = segments(&disk, dir).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].first, found[0].last, found[0].epoch), (1, 10, 1));
        assert_eq!((found[0].management, found[0].data), (Presence::Sealed, Presence::Dropped));
        assert!(found[0].is_sealed() && !found[1].is_sealed());
        assert_eq!(found[1].first, 11);
    }
}
