//! An unsealed segment, frame by frame, past whatever is damaged.

use super::{Damage, Finding, place};
use crate::disk::{Disk, DiskFile};
use crate::error::{FileFault, at};
use crate::format::crypt::{Cipher, Purpose};
use crate::format::frame::{Body, FrameFault};
use crate::format::header::Header;
use crate::scan::{Found, Step, Walk, examine_tail, next_whole};
use crate::sealed::read_header_len;
use crate::{DataKeys, KeyError};
use std::collections::HashMap;
use std::path::Path;

/// How far frames must go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent {
    /// Bytes that may be read.
    pub(super) limit: u64,
    /// Last sequence known to have been durable, if that is known.
    pub(super) last: Option<u64>,
    /// Whether a later segment follows: then `last` is exact.
    pub(super) complete: bool,
}

/// What was found in one unsealed segment.
#[derive(Debug)]
pub(super) struct OpenReport {
    pub(super) header: Header,
    /// Whole frames that count.
    pub(super) frames: u64,
    /// Last sequence that is there, or was there and is damaged.
    pub(super) last: u64,
    pub(super) findings: Vec<Finding>,
    /// Bytes of a torn, never acknowledged tail.
    pub(super) torn: u64,
}

struct Survey<'a> {
    path: &'a Path,
    file: &'a dyn DiskFile,
    keys: &'a dyn DataKeys,
    ciphers: HashMap<(String, u32), Option<Cipher>>,
    extent: Extent,
    report: OpenReport,
}

/// Reads the segment in `path`.
pub(super) fn survey(
    disk: &dyn Disk,
    keys: &dyn DataKeys,
    path: &Path,
    extent: Extent,
) -> Result<OpenReport, FileFault> {
    let file = disk.open(path, true).map_err(at(path, "open"))?;
    let (header, start) = read_header_len(&*file, path)?;
    let last = header.first - 1;
    let report = OpenReport { header, frames: 0, last, findings: Vec::new(), torn: 0 };
    let file = &*file;
    let mut survey = Survey { path, file, keys, ciphers: HashMap::new(), extent, report };
    let mut from = Some(start);
    while let Some(offset) = from {
        from = survey.stretch(offset)?;
    }
    Ok(survey.report)
}

impl Survey<'_> {
    /// Reads whole frames from `offset` on; where to go on behind damage.
    fn stretch(&mut self, offset: u64) -> Result<Option<u64>, FileFault> {
        let mut walk = Walk::new(self.file, offset, self.extent.limit);
        loop {
            let expected = self.report.last + 1;
            if self.extent.complete && self.extent.last.is_some_and(|last| last < expected) {
                return Ok(None);
            }
            let (offset, what) = match walk.next().map_err(at(self.path, "read"))? {
                Step::Frame(found) if found.sequence() == expected => {
                    self.frame(&found)?;
                    continue;
                }
                Step::Frame(found) => (found.offset, "frames are out of sequence"),
                Step::Bad { offset, what } => (offset, what),
                Step::End => (self.extent.limit, "durable frames are gone"),
                Step::Unsupported(what) => {
                    return Err(FileFault::Unsupported { file: self.path.to_owned(), what });
                }
            };
            return self.damaged(offset, what);
        }
    }

    /// A frame whose checksums are right and whose sequence is the next.
    fn frame(&mut self, found: &Found<'_>) -> Result<(), FileFault> {
        let sequence = found.sequence();
        self.report.last = sequence;
        match self.fault_of(found)? {
            None => self.report.frames += 1,
            Some((damage, what)) => {
                let place = place(self.path, found.offset, what, (sequence, sequence));
                let mut finding = Finding::new(damage, place);
                finding.part = found.end();
                self.report.findings.push(finding);
            }
        }
        Ok(())
    }

    fn fault_of(&mut self, found: &Found<'_>) -> Result<Option<(Damage, String)>, FileFault> {
        let body = match Body::decode(found.body) {
            Ok(body) => body,
            Err(FrameFault::Bad(what)) => return Ok(Some((Damage::Frames, what.to_owned()))),
            Err(FrameFault::Unsupported(what)) => {
                return Err(FileFault::Unsupported { file: self.path.to_owned(), what });
            }
        };
        let name = (body.account.to_owned(), body.key_id);
        if !self.ciphers.contains_key(&name) {
            let cipher = match self.keys.by_id(body.account, body.key_id) {
                Ok(key) => Some(Cipher::new(&key, Purpose::Frames(&self.report.header.salt))),
                Err(KeyError::Erased { .. }) => None,
                Err(err @ KeyError::Unknown { .. }) => {
                    return Ok(Some((Damage::Key, err.to_string())));
                }
                Err(err @ KeyError::Unavailable { .. }) => return Err(err.into()),
            };
            self.ciphers.insert(name.clone(), cipher);
        }
        let Some(Some(cipher)) = self.ciphers.get(&name) else { return Ok(None) };
        let wrong = |what: &str| Ok(Some((Damage::Frames, what.to_owned())));
        let Some(payload) = body.decrypt(cipher) else { return wrong("payload does not decrypt") };
        if cipher.leaf(body.kind as u8, &body.event_id, body.arrival, &payload) != body.leaf {
            return wrong("payload does not match its leaf hash");
        }
        Ok(None)
    }

    /// Something that is not the next frame stands at `offset`.
    fn damaged(&mut self, offset: u64, what: &str) -> Result<Option<u64>, FileFault> {
        let expected = self.report.last + 1;
        let limit = self.extent.limit;
        let known = self.extent.last.is_some_and(|last| last >= expected);
        if !known {
            let tail = examine_tail(self.file, (offset, limit), expected)
                .map_err(at(self.path, "read"))?;
            if tail.proof.is_none() {
                self.report.torn = tail.torn;
                return Ok(None);
            }
        }
        let next =
            next_whole(self.file, (offset, limit), expected).map_err(at(self.path, "read"))?;
        let wanted = self.extent.last.unwrap_or(u64::MAX);
        let next = next.filter(|(_, sequence)| !self.extent.complete || *sequence <= wanted);
        let (damage, last) = match next {
            Some((_, sequence)) => (Damage::Frames, sequence - 1),
            None => (Damage::Rest, wanted),
        };
        self.report.last = last;
        if last >= expected {
            let mut finding =
                Finding::new(damage, place(self.path, offset, what, (expected, last)));
            finding.part = next.map_or(limit, |next| next.0);
            self.report.findings.push(finding);
        }
        Ok(next.map(|next| next.0))
    }
}
