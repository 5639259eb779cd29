//! Bytes coming in: streamed to a file aside, hashed and checked on the way.
//!
//! At most [`BATCH`] bytes are held in memory per request, whatever the object
//! measures.

use crate::disk::Aside;
use crate::errors::{self, OrIo as _};
use crate::meta::Sums;
use crate::store::blocking;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use futures::StreamExt as _;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};
use s3s::dto::StreamingBlob;
use s3s::{S3Error, S3Result, StdError};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

/// Bytes gathered before they are written, and the memory one upload needs.
const BATCH: usize = 1024 * 1024;

/// What the caller has said about the bytes before sending them.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// How many bytes, when known.
    pub(crate) length: Option<i64>,
    /// `Content-MD5`: base64 of 16 bytes.
    pub(crate) md5: Option<String>,
    /// Checksums in headers.
    pub(crate) sums: Sums,
    /// Algorithms to compute beside, by name: announced trailers, or what the
    /// upload promised.
    pub(crate) algorithms: Vec<String>,
}

/// Bytes on disk, aside, and what was computed over them.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) aside: Aside,
    pub(crate) file: File,
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) sums: Sums,
}

/// A file being written, with its hashes.
pub(crate) struct Writer {
    aside: Aside,
    file: File,
    size: u64,
    md5: Md5,
    hasher: ChecksumHasher,
}

impl Writer {
    /// Begins a file at `path` and computes `algorithms` beside MD5.
    pub(crate) fn create(path: PathBuf, algorithms: &[String]) -> S3Result<Self> {
        let (aside, file) = Aside::create(path).or_io()?;
        Ok(Self { aside, file, size: 0, md5: Md5::new(), hasher: hasher(algorithms)? })
    }

    /// Appends `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> S3Result<()> {
        self.file.write_all(bytes).or_io()?;
        self.md5.update(bytes);
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Closes the hashes; the file is neither described nor synced yet.
    pub(crate) fn finish(self) -> Staged {
        Staged {
            aside: self.aside,
            file: self.file,
            size: self.size,
            md5: self.md5.finalize(),
            sums: self.hasher.finalize().into(),
        }
    }
}

fn hasher(algorithms: &[String]) -> S3Result<ChecksumHasher> {
    let mut hasher = ChecksumHasher::default();
    for name in algorithms {
        match name.as_str() {
            "CRC32" => hasher.crc32 = Some(Crc32::new()),
            "CRC32C" => hasher.crc32c = Some(Crc32c::new()),
            "CRC64NVME" => hasher.crc64nvme = Some(Crc64Nvme::new()),
            "SHA1" => hasher.sha1 = Some(Sha1::new()),
            "SHA256" => hasher.sha256 = Some(Sha256::new()),
            other => {
                return Err(errors::invalid_argument(format!(
                    "checksum algorithm {other:?} is not known; use CRC32, CRC32C, CRC64NVME, \
                     SHA1 or SHA256"
                )));
            }
        }
    }
    Ok(hasher)
}

/// One checksum over bytes in memory.
pub(crate) fn sums_of(bytes: &[u8], algorithm: &str) -> S3Result<Sums> {
    let mut hasher = hasher(&[algorithm.to_owned()])?;
    hasher.update(bytes);
    Ok(hasher.finalize().into())
}

/// Streams `body` into a new file at `path` and checks it against `expected`.
///
/// On any error the file is gone.
pub(crate) async fn receive(
    path: PathBuf,
    body: Option<StreamingBlob>,
    expected: Expected,
) -> S3Result<Staged> {
    let mut algorithms = expected.algorithms.clone();
    let given = expected.sums.named().into_iter().filter(|(_, value)| value.is_some());
    algorithms.extend(given.map(|(name, _)| name.to_owned()));
    let mut writer = blocking(move || Writer::create(path, &algorithms)).await?;
    let mut batch: Vec<Bytes> = Vec::new();
    let mut held = 0;
    let mut body = body;
    while let Some(chunk) = next(&mut body).await? {
        held += chunk.len();
        batch.push(chunk);
        if held >= BATCH {
            writer = write_batch(writer, std::mem::take(&mut batch)).await?;
            held = 0;
        }
    }
    let staged = write_batch(writer, batch).await?.finish();
    check(&staged, &expected)?;
    Ok(staged)
}

async fn next(body: &mut Option<StreamingBlob>) -> S3Result<Option<Bytes>> {
    let Some(stream) = body else { return Ok(None) };
    stream.next().await.transpose().map_err(broken_body)
}

async fn write_batch(mut writer: Writer, batch: Vec<Bytes>) -> S3Result<Writer> {
    blocking(move || {
        for bytes in &batch {
            writer.write(bytes)?;
        }
        Ok(writer)
    })
    .await
}

/// Tells from the text of a stream's error what the caller did wrong: `s3s`
/// keeps the types to itself.
fn broken_body(cause: StdError) -> S3Error {
    let text = cause.to_string();
    let mut made = if text.contains("Sha256Mismatch") {
        errors::content_sha256_mismatch()
    } else if text.contains("SignatureMismatch") {
        errors::chunk_signature()
    } else {
        errors::incomplete_body()
    };
    made.set_source(cause);
    made
}

fn check(staged: &Staged, expected: &Expected) -> S3Result<()> {
    if let Some(length) = expected.length
        && u64::try_from(length) != Ok(staged.size)
    {
        return Err(errors::incomplete_body());
    }
    if let Some(text) = &expected.md5 {
        let want = BASE64_STANDARD.decode(text).map_err(|_| errors::invalid_digest())?;
        if want.len() != 16 {
            return Err(errors::invalid_digest());
        }
        if want != staged.md5 {
            return Err(errors::bad_digest("Content-MD5"));
        }
    }
    check_sums(&expected.sums, &staged.sums)
}

/// Compares the checksums a caller gave with those computed.
pub(crate) fn check_sums(given: &Sums, computed: &Sums) -> S3Result<()> {
    for ((name, want), (_, got)) in given.named().into_iter().zip(computed.named()) {
        if want.is_some() && want != got {
            return Err(errors::bad_digest(name));
        }
    }
    Ok(())
}
