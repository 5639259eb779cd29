//! `CopyObject` and `UploadPartCopy`: bytes that come from another object.

use super::reading::{Conditions, Verdict};
use super::uploads::{check_part_number, part_meta};
use super::writing::{
    Absent, canned, commit, fresh_meta, real_encoding, refuse_absent, storage_class, tags,
};
use super::{bucket, etag, micros, only_null_version, stamp, with_sums};
use crate::bucket::{Bucket, Opened};
use crate::errors;
use crate::intake::{Staged, Writer};
use crate::meta::{Attached, Described, ObjectMeta, Sums};
use crate::multipart::copy;
use crate::store::{Store, blocking};
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopyPartResult, CopySource,
    MetadataDirective, TaggingDirective, UploadPartCopyInput, UploadPartCopyOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result};
use std::ops::Range;
use std::sync::Arc;

/// Where the bytes come from.
struct Source {
    bucket: Arc<Bucket>,
    name: String,
    key: String,
}

fn source(store: &Store, from: &CopySource, owner: Option<&str>) -> S3Result<Source> {
    let CopySource::Bucket { bucket: name, key, version_id } = from else {
        return Err(errors::not_implemented("access points as copy source"));
    };
    only_null_version(version_id.as_deref())?;
    let found = bucket(store, name, owner)?;
    Ok(Source { bucket: found, name: name.to_string(), key: key.to_string() })
}

async fn open(source: &Source, conditions: Conditions) -> S3Result<Opened> {
    let (bucket, key) = (Arc::clone(&source.bucket), source.key.clone());
    let opened = blocking(move || bucket.object(&key)).await?;
    match conditions.judge(&opened.meta.etag, opened.meta.modified) {
        Verdict::Go => Ok(opened),
        Verdict::NotModified | Verdict::Failed => Err(errors::precondition_failed()),
    }
}

/// Copies a range of an opened object into a new file of `to`.
async fn stage(
    to: &Bucket,
    fresh: &str,
    from: Opened,
    range: Range<u64>,
    algorithms: Vec<String>,
) -> S3Result<Staged> {
    let aside = to.aside(fresh);
    blocking(move || {
        let mut writer = Writer::create(aside, &algorithms)?;
        copy(&from.file, range, &mut writer)?;
        Ok(writer.finish())
    })
    .await
}

pub(super) async fn copy_object(
    store: &Arc<Store>,
    request: S3Request<CopyObjectInput>,
) -> S3Result<CopyObjectOutput> {
    let mut input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    refuse_absent(&Absent {
        customer_key: input.sse_customer_key.is_some()
            || input.copy_source_sse_customer_key.is_some(),
        lock: input.object_lock_mode.is_some() || input.object_lock_legal_hold_status.is_some(),
        append: false,
    })?;
    let from = source(store, &input.copy_source, input.expected_source_bucket_owner.as_deref())?;
    let itself = from.name == input.bucket && from.key == input.key;
    if itself && !changes_something(&input) {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself \
             without changing the object's metadata, storage class, website redirect location \
             or encryption attributes.",
        ));
    }
    let conditions = Conditions {
        matches: input.copy_source_if_match.take(),
        none_match: input.copy_source_if_none_match.take(),
        modified_since: input.copy_source_if_modified_since.take(),
        unmodified_since: input.copy_source_if_unmodified_since.take(),
    };
    let opened = open(&from, conditions).await?;
    let held = opened.meta.clone();
    let algorithms = algorithms(&input, &held.sums);
    let staged = stage(&found, &store.fresh(), opened, 0..held.size, algorithms).await?;
    let meta = ObjectMeta {
        etag: hex::encode(staged.md5),
        size: staged.size,
        sums: staged.sums.clone(),
        described: described(&mut input, held.described),
        attached: attached(&mut input, held.attached)?,
        key: input.key,
        ..fresh_meta(store)
    };
    let output = copy_output(&meta);
    commit(found, staged, meta).await?;
    Ok(output)
}

fn changes_something(input: &CopyObjectInput) -> bool {
    replaces(input.metadata_directive.as_ref().map(MetadataDirective::as_str))
        || input.storage_class.is_some()
        || input.website_redirect_location.is_some()
        || input.server_side_encryption.is_some()
}

fn replaces(directive: Option<&str>) -> bool {
    directive == Some("REPLACE")
}

/// The algorithm asked for, else the one the source has.
fn algorithms(input: &CopyObjectInput, held: &Sums) -> Vec<String> {
    let asked = input.checksum_algorithm.as_ref().map(|it| it.as_str().to_owned());
    asked.or_else(|| held.algorithm().map(str::to_owned)).into_iter().collect()
}

fn described(input: &mut CopyObjectInput, held: Described) -> Described {
    let website_redirect = input.website_redirect_location.take();
    if !replaces(input.metadata_directive.as_ref().map(MetadataDirective::as_str)) {
        return Described { website_redirect, ..held };
    }
    Described {
        content_type: input.content_type.take(),
        cache_control: input.cache_control.take(),
        content_disposition: input.content_disposition.take(),
        content_encoding: real_encoding(input.content_encoding.take()),
        content_language: input.content_language.take(),
        expires: input.expires.take().map(micros),
        website_redirect,
        user: input.metadata.take().unwrap_or_default().into_iter().collect(),
    }
}

fn attached(input: &mut CopyObjectInput, held: Attached) -> S3Result<Attached> {
    let tags = if replaces(input.tagging_directive.as_ref().map(TaggingDirective::as_str)) {
        tags(input.tagging.as_deref())?
    } else {
        held.tags
    };
    Ok(Attached {
        storage_class: storage_class(input.storage_class.take()),
        encryption: input.server_side_encryption.take().map(|it| it.as_str().to_owned()),
        kms_key_id: input.ssekms_key_id.take(),
        bucket_key: input.bucket_key_enabled,
        tags,
        acl: canned(input.acl.take()),
    })
}

fn copy_output(meta: &ObjectMeta) -> CopyObjectOutput {
    let mut result = CopyObjectResult {
        e_tag: etag(&meta.etag),
        last_modified: stamp(meta.modified),
        checksum_type: meta.sums.checksum_type(),
        ..CopyObjectResult::default()
    };
    with_sums!(result, &meta.sums);
    CopyObjectOutput {
        copy_object_result: Some(result),
        server_side_encryption: meta.attached.encryption.clone().map(Into::into),
        ssekms_key_id: meta.attached.kms_key_id.clone(),
        ..CopyObjectOutput::default()
    }
}

pub(super) async fn upload_part_copy(
    store: &Arc<Store>,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<UploadPartCopyOutput> {
    let mut input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    check_part_number(input.part_number)?;
    let (id, key) = (input.upload_id.clone(), input.key.clone());
    let holder = Arc::clone(&found);
    let upload = blocking(move || holder.upload(&id, &key)).await?;
    let from = source(store, &input.copy_source, input.expected_source_bucket_owner.as_deref())?;
    let conditions = Conditions {
        matches: input.copy_source_if_match.take(),
        none_match: input.copy_source_if_none_match.take(),
        modified_since: input.copy_source_if_modified_since.take(),
        unmodified_since: input.copy_source_if_unmodified_since.take(),
    };
    let opened = open(&from, conditions).await?;
    let range = copy_range(input.copy_source_range.as_deref(), opened.meta.size)?;
    let algorithms = upload.algorithm.iter().cloned().collect();
    let staged = stage(&found, &store.fresh(), opened, range, algorithms).await?;
    let part = part_meta(store, input.part_number, &staged);
    let mut result = CopyPartResult {
        e_tag: etag(&part.etag),
        last_modified: stamp(part.modified),
        ..CopyPartResult::default()
    };
    with_sums!(result, &part.sums);
    blocking(move || found.keep_part(&upload.id, staged, &part)).await?;
    Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() })
}

/// `bytes=first-last`, both named and both within the source.
fn copy_range(text: Option<&str>, size: u64) -> S3Result<Range<u64>> {
    let Some(text) = text else { return Ok(0..size) };
    let wrong = || {
        errors::invalid_argument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first \
             and last are the zero-based offsets of the first and last bytes to copy",
        )
    };
    let (first, last) =
        text.strip_prefix("bytes=").and_then(|it| it.split_once('-')).ok_or_else(wrong)?;
    let first: u64 = first.parse().map_err(|_| wrong())?;
    let last: u64 = last.parse().map_err(|_| wrong())?;
    if first > last || last >= size {
        return Err(errors::invalid_range());
    }
    Ok(first..last + 1)
}

#[cfg(test)]
mod tests {
    use super::copy_range;

    #[test]
    fn a_copy_range_names_both_ends_within_the_source() {
        assert_eq!(copy_range(None, 9).unwrap(), 0..9);
        assert_eq!(copy_range(Some("bytes=0-8"), 9).unwrap(), 0..9);
        for bad in ["bytes=0-9", "bytes=3-2", "bytes=-3", "bytes=3-", "0-8", "bytes=a-b"] {
            assert!(copy_range(Some(bad), 9).is_err(), "{bad}");
        }
    }
}
