//! `GetObject`, `HeadObject`, `GetObjectAttributes`.

use super::{bucket, etag, only_null_version, signed, stamp, with_sums};
use crate::bucket::Opened;
use crate::errors;
use crate::meta::{ObjectMeta, PartMeta, Sums};
use crate::store::{Store, blocking};
use bytes::Bytes;
use futures::Stream;
use http::{HeaderMap, HeaderValue};
use s3s::dto::{
    self, ETagCondition, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput,
    StreamingBlob,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use trailbox_clock::Micros;

/// Bytes read at once, and the memory one download needs.
const CHUNK: u64 = 256 * 1024;

/// The four conditional headers of a read.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) matches: Option<ETagCondition>,
    pub(super) none_match: Option<ETagCondition>,
    pub(super) modified_since: Option<dto::Timestamp>,
    pub(super) unmodified_since: Option<dto::Timestamp>,
}

/// How a read ends before any byte is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    NotModified,
    Failed,
}

impl Conditions {
    /// Judges an object in the order of RFC 9110, section 13.2.2.
    pub(super) fn judge(self, tag: &str, modified: i64) -> Verdict {
        let is = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(want) => want.value() == tag,
        };
        let later = |than: dto::Timestamp| modified > super::micros(than);
        match (&self.matches, self.unmodified_since) {
            (Some(condition), _) if !is(condition) => return Verdict::Failed,
            (None, Some(date)) if later(date.clone()) => return Verdict::Failed,
            _ => {}
        }
        match (&self.none_match, self.modified_since) {
            (Some(condition), _) if is(condition) => Verdict::NotModified,
            (None, Some(date)) if !later(date.clone()) => Verdict::NotModified,
            _ => Verdict::Go,
        }
    }
}

/// Which bytes of an object are asked for.
struct Asked {
    range: Option<dto::Range>,
    part: Option<i32>,
}

/// Which bytes are given: all, or some with status 206.
#[derive(Debug)]
struct Given {
    bytes: Range<u64>,
    partial: bool,
    sums: Sums,
    parts: Option<i32>,
}

pub(super) async fn get_object(
    store: &Arc<Store>,
    request: S3Request<GetObjectInput>,
) -> S3Result<GetObjectOutput> {
    let input = request.input;
    only_null_version(input.version_id.as_deref())?;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let Opened { meta, file } = blocking(move || found.object(&input.key)).await?;
    let conditions = Conditions {
        matches: input.if_match,
        none_match: input.if_none_match,
        modified_since: input.if_modified_since,
        unmodified_since: input.if_unmodified_since,
    };
    pass(conditions, &meta)?;
    let given = given(&meta, &Asked { range: input.range, part: input.part_number })?;
    let mut output = GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body: Some(StreamingBlob::wrap(stream(file, given.bytes.clone()))),
        cache_control: meta.described.cache_control.clone(),
        checksum_type: given.sums.checksum_type(),
        content_disposition: meta.described.content_disposition.clone(),
        content_encoding: meta.described.content_encoding.clone(),
        content_language: meta.described.content_language.clone(),
        content_length: Some(signed(given.bytes.end - given.bytes.start)),
        content_range: content_range(&given, meta.size),
        content_type: Some(content_type(&meta)),
        e_tag: etag(&meta.etag),
        expires: meta.described.expires.and_then(stamp),
        last_modified: stamp(meta.modified),
        metadata: Some(meta.described.user.clone().into_iter().collect()),
        parts_count: given.parts,
        server_side_encryption: meta.attached.encryption.clone().map(Into::into),
        ssekms_key_id: meta.attached.kms_key_id.clone(),
        bucket_key_enabled: meta.attached.bucket_key,
        storage_class: meta.attached.storage_class.clone().map(Into::into),
        tag_count: tag_count(&meta),
        website_redirect_location: meta.described.website_redirect.clone(),
        ..GetObjectOutput::default()
    };
    with_sums!(output, &given.sums);
    Ok(output)
}

pub(super) async fn head_object(
    store: &Arc<Store>,
    request: S3Request<HeadObjectInput>,
) -> S3Result<HeadObjectOutput> {
    let input = request.input;
    only_null_version(input.version_id.as_deref())?;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let Opened { meta, .. } = blocking(move || found.object(&input.key)).await?;
    let conditions = Conditions {
        matches: input.if_match,
        none_match: input.if_none_match,
        modified_since: input.if_modified_since,
        unmodified_since: input.if_unmodified_since,
    };
    pass(conditions, &meta)?;
    let given = given(&meta, &Asked { range: input.range, part: input.part_number })?;
    let mut output = HeadObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: meta.described.cache_control.clone(),
        checksum_type: given.sums.checksum_type(),
        content_disposition: meta.described.content_disposition.clone(),
        content_encoding: meta.described.content_encoding.clone(),
        content_language: meta.described.content_language.clone(),
        content_length: Some(signed(given.bytes.end - given.bytes.start)),
        content_range: content_range(&given, meta.size),
        content_type: Some(content_type(&meta)),
        e_tag: etag(&meta.etag),
        expires: meta.described.expires.and_then(stamp),
        last_modified: stamp(meta.modified),
        metadata: Some(meta.described.user.clone().into_iter().collect()),
        parts_count: given.parts,
        server_side_encryption: meta.attached.encryption.clone().map(Into::into),
        ssekms_key_id: meta.attached.kms_key_id.clone(),
        bucket_key_enabled: meta.attached.bucket_key,
        storage_class: meta.attached.storage_class.clone().map(Into::into),
        website_redirect_location: meta.described.website_redirect.clone(),
        ..HeadObjectOutput::default()
    };
    with_sums!(output, &given.sums);
    Ok(output)
}

fn content_type(meta: &ObjectMeta) -> String {
    meta.described.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned())
}

fn tag_count(meta: &ObjectMeta) -> Option<i32> {
    i32::try_from(meta.attached.tags.len()).ok().filter(|&count| count > 0)
}

fn content_range(given: &Given, size: u64) -> Option<String> {
    let last = given.bytes.end.checked_sub(1)?;
    given.partial.then(|| format!("bytes {}-{last}/{size}", given.bytes.start))
}

/// Ends the request where its conditions say so.
fn pass(conditions: Conditions, meta: &ObjectMeta) -> S3Result<()> {
    match conditions.judge(&meta.etag, meta.modified) {
        Verdict::Go => Ok(()),
        Verdict::Failed => Err(errors::precondition_failed()),
        Verdict::NotModified => Err(not_modified(meta)),
    }
}

fn not_modified(meta: &ObjectMeta) -> S3Error {
    let mut headers = HeaderMap::new();
    let texts = [
        (http::header::ETAG, format!("\"{}\"", meta.etag)),
        (http::header::LAST_MODIFIED, http_date(meta.modified)),
    ];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
    let mut made = S3Error::with_message(S3ErrorCode::NotModified, "Not Modified");
    made.set_headers(headers);
    made
}

fn http_date(micros: i64) -> String {
    let mut text = Vec::new();
    let moment = dto::Timestamp::from(Micros(micros).date_time());
    match moment.format(dto::TimestampFormat::HttpDate, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(_) => String::new(),
    }
}

/// Which bytes of an object of this size a request gets.
fn given(meta: &ObjectMeta, asked: &Asked) -> S3Result<Given> {
    match (&asked.range, asked.part) {
        (Some(_), Some(_)) => {
            Err(errors::invalid_argument("Cannot specify both Range header and partNumber"))
        }
        (None, None) => {
            let bytes = 0..meta.size;
            Ok(Given { bytes, partial: false, sums: meta.sums.clone(), parts: None })
        }
        (Some(range), None) => {
            let bytes = range.check(meta.size).map_err(|_| errors::invalid_range())?;
            Ok(Given { bytes, partial: true, sums: Sums::default(), parts: None })
        }
        (None, Some(number)) => part(meta, number),
    }
}

fn part(meta: &ObjectMeta, number: i32) -> S3Result<Given> {
    let at = usize::try_from(number - 1).map_err(|_| errors::invalid_range())?;
    if meta.parts.is_empty() && at == 0 {
        let bytes = 0..meta.size;
        return Ok(Given { bytes, partial: meta.size > 0, sums: meta.sums.clone(), parts: None });
    }
    let found = meta.parts.get(at).ok_or_else(errors::invalid_range)?;
    let start: u64 = meta.parts[..at].iter().map(|part| part.size).sum();
    Ok(Given {
        bytes: start..start + found.size,
        partial: true,
        sums: found.sums.clone(),
        parts: i32::try_from(meta.parts.len()).ok(),
    })
}

/// The bytes of `range`, read piece by piece as they are asked for.
fn stream(
    file: File,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, io::Error>> + Send + Sync + 'static {
    futures::stream::unfold(Some((Arc::new(file), range)), |place| async move {
        let (file, range) = place.filter(|(_, range)| !range.is_empty())?;
        let end = range.end.min(range.start + CHUNK);
        let (source, piece) = (Arc::clone(&file), range.start..end);
        match tokio::task::spawn_blocking(move || read(&source, &piece)).await {
            Ok(Ok(bytes)) => Some((Ok(bytes), Some((file, end..range.end)))),
            Ok(Err(cause)) => Some((Err(cause), None)),
            Err(cause) => Some((Err(io::Error::other(cause)), None)),
        }
    })
}

fn read(file: &File, piece: &Range<u64>) -> io::Result<Bytes> {
    let len = usize::try_from(piece.end - piece.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, piece.start)?;
    Ok(bytes.into())
}

pub(super) async fn get_object_attributes(
    store: &Arc<Store>,
    request: S3Request<dto::GetObjectAttributesInput>,
) -> S3Result<dto::GetObjectAttributesOutput> {
    let input = request.input;
    only_null_version(input.version_id.as_deref())?;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let key = input.key;
    let Opened { meta, .. } = blocking(move || found.object(&key)).await?;
    let asked: Vec<&str> = input
        .object_attributes
        .iter()
        .flat_map(|list| list.as_str().split(','))
        .map(str::trim)
        .collect();
    let wants = |name: &str| asked.contains(&name);
    let class = || meta.attached.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned());
    Ok(dto::GetObjectAttributesOutput {
        checksum: wants("Checksum").then(|| checksum(&meta.sums)).flatten(),
        e_tag: wants("ETag").then(|| etag(&meta.etag)).flatten(),
        last_modified: stamp(meta.modified),
        object_parts: wants("ObjectParts")
            .then(|| parts_shown(&meta.parts, input.part_number_marker, input.max_parts))
            .flatten(),
        object_size: wants("ObjectSize").then(|| signed(meta.size)),
        storage_class: wants("StorageClass").then(|| class().into()),
        ..dto::GetObjectAttributesOutput::default()
    })
}

fn checksum(sums: &Sums) -> Option<dto::Checksum> {
    let mut shown =
        dto::Checksum { checksum_type: Some(sums.checksum_type()?), ..dto::Checksum::default() };
    with_sums!(shown, sums);
    Some(shown)
}

fn parts_shown(
    parts: &[PartMeta],
    after: Option<i32>,
    max: Option<i32>,
) -> Option<dto::GetObjectAttributesParts> {
    if parts.is_empty() {
        return None;
    }
    let after = after.unwrap_or(0);
    let max = max.unwrap_or(1000).clamp(0, 1000);
    let mut rest = parts.iter().filter(|part| part.number > after);
    let limit = usize::try_from(max).unwrap_or(0);
    let list: Vec<dto::ObjectPart> = rest.by_ref().take(limit).map(object_part).collect();
    Some(dto::GetObjectAttributesParts {
        is_truncated: Some(rest.next().is_some()),
        max_parts: Some(max),
        next_part_number_marker: list.last().and_then(|part| part.part_number),
        part_number_marker: Some(after),
        // Without checksums S3 tells only how many parts there are.
        parts: Some(list).filter(|_| parts.iter().any(|part| part.sums.algorithm().is_some())),
        total_parts_count: i32::try_from(parts.len()).ok(),
    })
}

fn object_part(part: &PartMeta) -> dto::ObjectPart {
    let mut shown = dto::ObjectPart {
        part_number: Some(part.number),
        size: Some(signed(part.size)),
        ..dto::ObjectPart::default()
    };
    with_sums!(shown, &part.sums);
    shown
}

#[cfg(test)]
mod tests {
    use super::{Conditions, Verdict};
    use s3s::dto::{ETag, ETagCondition, Timestamp};
    use trailbox_clock::Micros;

    #[test]
    fn conditions_are_judged_in_the_order_of_the_standard() {
        let tag = |text: &str| Some(ETagCondition::ETag(ETag::Strong(text.into())));
        let at = |second| Some(Timestamp::from(Micros::from_seconds(second).date_time()));
        let none = Conditions::default;
        let cases = [
            (none(), Verdict::Go),
            (Conditions { matches: tag("e"), ..none() }, Verdict::Go),
            (Conditions { matches: tag("f"), ..none() }, Verdict::Failed),
            (Conditions { matches: tag("e"), unmodified_since: at(5), ..none() }, Verdict::Go),
            (Conditions { unmodified_since: at(5), ..none() }, Verdict::Failed),
            (Conditions { unmodified_since: at(10), ..none() }, Verdict::Go),
            (Conditions { none_match: tag("e"), ..none() }, Verdict::NotModified),
            (Conditions { none_match: Some(ETagCondition::Any), ..none() }, Verdict::NotModified),
            (Conditions { none_match: tag("f"), modified_since: at(99), ..none() }, Verdict::Go),
            (Conditions { modified_since: at(10), ..none() }, Verdict::NotModified),
            (Conditions { modified_since: at(9), ..none() }, Verdict::Go),
        ];
        for (conditions, want) in cases {
            let told = format!("{conditions:?}");
            assert_eq!(conditions.judge("e", 10_000_000), want, "{told}");
        }
    }
}
