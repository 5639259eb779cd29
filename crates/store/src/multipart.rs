//! Uploads in parts: begun, filled part by part, joined or given up.
//!
//! `uploads/ID/` holds `upload.json` and `part-00001` and so on, each part a
//! file like an object's. Joining copies the parts into one new object file, so
//! that an object is one file whichever way it came.

use crate::bucket::Bucket;
use crate::disk;
use crate::errors::{self, OrIo as _};
use crate::intake::{Staged, Writer, check_sums};
use crate::meta::{PartMeta, Sums, UploadMeta};
use crate::names;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use s3s::S3Result;
use s3s::crypto::{Checksum as _, Md5};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Least size of every part but the last, bytes.
pub(crate) const PART_MIN: u64 = 5 * 1024 * 1024;
/// Highest part number.
pub(crate) const PARTS_MAX: i32 = 10_000;
const COPY: usize = 1024 * 1024;

/// A part as the caller names it when completing.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) number: i32,
    pub(crate) etag: String,
    pub(crate) sums: Sums,
}

/// The joined bytes, aside, with entity tag and checksums.
#[derive(Debug)]
pub(crate) struct Joined {
    pub(crate) staged: Staged,
    pub(crate) etag: String,
    pub(crate) sums: Sums,
    pub(crate) parts: Vec<PartMeta>,
}

impl Bucket {
    /// Begins an upload; `fresh` is a name nobody has used.
    pub(crate) fn begin(&self, fresh: &str, upload: &UploadMeta) -> S3Result<()> {
        let aside = self.aside(fresh);
        fs::create_dir(&aside).or_io()?;
        disk::write_json(aside.join("aside"), &aside.join("upload.json"), upload).or_io()?;
        let place = self.uploads().join(&upload.id);
        fs::rename(&aside, &place).or_io()?;
        disk::sync_parent(&place).or_io()
    }

    /// The upload `id` of `key`.
    pub(crate) fn upload(&self, id: &str, key: &str) -> S3Result<UploadMeta> {
        if !names::is_upload_id(id) {
            return Err(errors::no_such_upload());
        }
        let found: Option<UploadMeta> =
            disk::read_json(&self.uploads().join(id).join("upload.json")).or_io()?;
        found.filter(|upload| upload.key == key).ok_or_else(errors::no_such_upload)
    }

    /// Every upload that is neither completed nor aborted, by key, then id.
    pub(crate) fn pending(&self) -> S3Result<Vec<UploadMeta>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.uploads()).or_io()? {
            let path = entry.or_io()?.path().join("upload.json");
            found.extend(disk::read_json::<UploadMeta>(&path).or_io()?);
        }
        found.sort_by(|a, b| (&a.key, &a.id).cmp(&(&b.key, &b.id)));
        Ok(found)
    }

    /// Keeps a part, in the place of an earlier one of the same number.
    pub(crate) fn keep_part(&self, id: &str, staged: Staged, part: &PartMeta) -> S3Result<()> {
        let Staged { aside, mut file, size, .. } = staged;
        disk::finish(&mut file, size, part).or_io()?;
        let place = part_path(&self.uploads().join(id), part.number);
        match aside.settle(&place) {
            Ok(()) => disk::sync_parent(&place).or_io(),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Err(errors::no_such_upload()),
            Err(cause) => Err(errors::io(cause)),
        }
    }

    /// The parts of an upload by number.
    pub(crate) fn parts(&self, id: &str) -> S3Result<Vec<PartMeta>> {
        let mut parts = Vec::new();
        let listed = match fs::read_dir(self.uploads().join(id)) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(errors::no_such_upload());
            }
            other => other.or_io()?,
        };
        for entry in listed {
            let path = entry.or_io()?.path();
            if path.extension().is_none() && path.is_file() {
                parts.push(disk::about::<PartMeta>(&File::open(&path).or_io()?).or_io()?.0);
            }
        }
        parts.sort_by_key(|part| part.number);
        Ok(parts)
    }

    /// Gives an upload up and frees its parts. `fresh` is a name nobody has used.
    pub(crate) fn give_up(&self, fresh: &str, id: &str) -> S3Result<()> {
        let (place, grave) = (self.uploads().join(id), self.aside(fresh));
        match fs::rename(&place, &grave) {
            Ok(()) => {}
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(errors::no_such_upload());
            }
            Err(cause) => return Err(errors::io(cause)),
        }
        disk::sync_parent(&place).or_io()?;
        // What is left of it goes now or at the next start.
        let _ = fs::remove_dir_all(&grave);
        Ok(())
    }

    /// Joins the wanted parts of `upload` into the file `aside`.
    pub(crate) fn join(
        &self,
        aside: PathBuf,
        upload: &UploadMeta,
        wanted: &[Wanted],
    ) -> S3Result<Joined> {
        let parts = chosen(&self.parts(&upload.id)?, wanted)?;
        let whole = upload.kind.as_deref() == Some("FULL_OBJECT");
        let algorithms: Vec<String> = upload.algorithm.iter().filter(|_| whole).cloned().collect();
        let mut writer = Writer::create(aside, &algorithms)?;
        let dir = self.uploads().join(&upload.id);
        for part in &parts {
            let file = File::open(part_path(&dir, part.number)).or_io()?;
            copy(&file, 0..part.size, &mut writer)?;
        }
        let staged = writer.finish();
        let sums = if whole {
            Sums { kind: upload.kind.clone(), ..staged.sums.clone() }
        } else {
            composite(upload.algorithm.as_deref(), &parts)?
        };
        Ok(Joined { etag: joined_etag(&parts), staged, sums, parts })
    }
}

fn part_path(dir: &Path, number: i32) -> PathBuf {
    dir.join(format!("part-{number:05}"))
}

/// Copies a range of `from` behind what `to` holds.
pub(crate) fn copy(from: &File, range: std::ops::Range<u64>, to: &mut Writer) -> S3Result<()> {
    let mut buffer = vec![0; COPY];
    let mut at = range.start;
    while at < range.end {
        let room = usize::try_from(range.end - at).unwrap_or(COPY).min(COPY);
        let chunk = &mut buffer[..room];
        from.read_exact_at(chunk, at).or_io()?;
        to.write(chunk)?;
        at += room as u64;
    }
    Ok(())
}

/// The parts that `wanted` names, each checked against what was uploaded.
fn chosen(held: &[PartMeta], wanted: &[Wanted]) -> S3Result<Vec<PartMeta>> {
    if wanted.is_empty() {
        return Err(errors::malformed_xml());
    }
    if !wanted.is_sorted_by(|a, b| a.number < b.number) {
        return Err(errors::invalid_part_order());
    }
    let mut parts = Vec::with_capacity(wanted.len());
    for want in wanted {
        let found = held.iter().find(|part| part.number == want.number && part.etag == want.etag);
        let part = found.ok_or_else(errors::invalid_part)?;
        check_sums(&want.sums, &part.sums).map_err(|_| errors::invalid_part())?;
        parts.push(part.clone());
    }
    let (_last, others) = parts.split_last().ok_or_else(errors::malformed_xml)?;
    if others.iter().any(|part| part.size < PART_MIN) {
        return Err(errors::entity_too_small());
    }
    Ok(parts)
}

/// Hex MD5 over the binary MD5s of the parts, then a dash and their number.
fn joined_etag(parts: &[PartMeta]) -> String {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(&hex::decode(&part.etag).unwrap_or_default());
    }
    format!("{}-{}", hex::encode(md5.finalize()), parts.len())
}

/// The checksum of the parts' checksums, then a dash and their number.
fn composite(algorithm: Option<&str>, parts: &[PartMeta]) -> S3Result<Sums> {
    let Some(algorithm) = algorithm else { return Ok(Sums::default()) };
    let mut joined = Vec::new();
    for part in parts {
        let mut sums = part.sums.clone();
        let text = sums.slot(algorithm).and_then(Option::take).ok_or_else(errors::invalid_part)?;
        joined.extend(BASE64_STANDARD.decode(text).map_err(|_| errors::invalid_part())?);
    }
    let mut sums = crate::intake::sums_of(&joined, algorithm)?;
    if let Some(value) = sums.slot(algorithm).and_then(Option::as_mut) {
        *value = format!("{value}-{}", parts.len());
    }
    sums.kind = Some("COMPOSITE".to_owned());
    Ok(sums)
}
