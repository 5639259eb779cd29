//! Uploads in parts, as S3 speaks of them.

use super::listing::{Writing, page_size};
use super::writing::{
    Absent, Trailed, canned, fresh_meta, real_encoding, refuse_absent, storage_class, tags,
};
use super::{bucket, etag, micros, owner, signed, stamp, sums_from, with_sums, write_condition};
use crate::errors;
use crate::intake::{Expected, Staged, check_sums, receive};
use crate::meta::{Attached, Described, ObjectMeta, PartMeta, UploadMeta};
use crate::multipart::{Joined, PARTS_MAX, Wanted};
use crate::store::{Store, blocking};
use s3s::dto::{
    self, AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Result};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) async fn create_multipart_upload(
    store: &Arc<Store>,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<CreateMultipartUploadOutput> {
    let mut input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    refuse_absent(&Absent {
        customer_key: input.sse_customer_key.is_some() || input.sse_customer_algorithm.is_some(),
        lock: input.object_lock_mode.is_some() || input.object_lock_legal_hold_status.is_some(),
        append: false,
    })?;
    let upload = upload_meta(store, &mut input)?;
    let output = CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(upload.key.clone()),
        upload_id: Some(upload.id.clone()),
        checksum_algorithm: upload.algorithm.clone().map(Into::into),
        checksum_type: upload.kind.clone().map(Into::into),
        server_side_encryption: upload.attached.encryption.clone().map(Into::into),
        ssekms_key_id: upload.attached.kms_key_id.clone(),
        ..CreateMultipartUploadOutput::default()
    };
    let fresh = store.fresh();
    blocking(move || found.begin(&fresh, &upload)).await?;
    Ok(output)
}

fn upload_meta(store: &Store, input: &mut CreateMultipartUploadInput) -> S3Result<UploadMeta> {
    let algorithm = input.checksum_algorithm.take().map(|it| it.as_str().to_owned());
    let asked = input.checksum_type.take().map(|it| it.as_str().to_owned());
    let usual =
        || if algorithm.as_deref() == Some("CRC64NVME") { "FULL_OBJECT" } else { "COMPOSITE" };
    let kind = algorithm.is_some().then(|| asked.unwrap_or_else(|| usual().to_owned()));
    Ok(UploadMeta {
        id: store.fresh(),
        key: input.key.clone(),
        started: store.now(),
        described: Described {
            content_type: input.content_type.take(),
            cache_control: input.cache_control.take(),
            content_disposition: input.content_disposition.take(),
            content_encoding: real_encoding(input.content_encoding.take()),
            content_language: input.content_language.take(),
            expires: input.expires.take().map(micros),
            website_redirect: input.website_redirect_location.take(),
            user: input.metadata.take().unwrap_or_default().into_iter().collect(),
        },
        attached: Attached {
            storage_class: storage_class(input.storage_class.take()),
            encryption: input.server_side_encryption.take().map(|it| it.as_str().to_owned()),
            kms_key_id: input.ssekms_key_id.take(),
            bucket_key: input.bucket_key_enabled,
            tags: tags(input.tagging.as_deref())?,
            acl: canned(input.acl.take()),
        },
        algorithm,
        kind,
    })
}

/// Refuses part numbers outside 1 to 10,000.
pub(super) fn check_part_number(number: i32) -> S3Result<()> {
    if (1..=PARTS_MAX).contains(&number) {
        return Ok(());
    }
    Err(errors::invalid_argument("Part number must be an integer between 1 and 10000, inclusive"))
}

pub(super) async fn upload_part(
    store: &Arc<Store>,
    request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let trailed = Trailed::of(&request);
    let mut input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    check_part_number(input.part_number)?;
    let (id, key) = (input.upload_id.clone(), input.key.clone());
    let holder = Arc::clone(&found);
    let upload = blocking(move || holder.upload(&id, &key)).await?;
    let mut algorithms = trailed.algorithms();
    algorithms.extend(upload.algorithm);
    let expected = Expected {
        length: input.content_length,
        md5: input.content_md5.take(),
        sums: sums_from!(input),
        algorithms,
    };
    let staged = receive(found.aside(&store.fresh()), input.body.take(), expected).await?;
    trailed.check(&staged)?;
    let part = part_meta(store, input.part_number, &staged);
    let mut output = UploadPartOutput { e_tag: etag(&part.etag), ..UploadPartOutput::default() };
    with_sums!(output, &part.sums);
    blocking(move || found.keep_part(&upload.id, staged, &part)).await?;
    Ok(output)
}

/// What is kept about a part whose bytes have arrived.
pub(super) fn part_meta(store: &Store, number: i32, staged: &Staged) -> PartMeta {
    PartMeta {
        number,
        size: staged.size,
        etag: hex::encode(staged.md5),
        modified: store.now(),
        sums: staged.sums.clone(),
    }
}

pub(super) async fn complete_multipart_upload(
    store: &Arc<Store>,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<CompleteMultipartUploadOutput> {
    let mut input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let condition = write_condition(input.if_match.take(), input.if_none_match.take())?;
    let given = sums_from!(input);
    let listed = input.multipart_upload.take().and_then(|list| list.parts).unwrap_or_default();
    let wanted = listed.into_iter().map(wanted).collect::<S3Result<Vec<_>>>()?;
    let expected_size = input.mpu_object_size;
    let (aside, fresh) = (found.aside(&store.fresh()), store.fresh());
    let blank = fresh_meta(store);
    let key = input.key.clone();
    let id = input.upload_id;
    let meta = blocking(move || {
        let upload = found.upload(&id, &key)?;
        let Joined { staged, etag, sums, parts } = found.join(aside, &upload, &wanted)?;
        if expected_size.is_some_and(|size| u64::try_from(size) != Ok(staged.size)) {
            return Err(errors::invalid_argument(
                "x-amz-mp-object-size differs from the size of the parts",
            ));
        }
        check_sums(&given, &sums)?;
        let UploadMeta { described, attached, .. } = upload;
        let size = staged.size;
        let meta = ObjectMeta { key, etag, size, described, attached, sums, parts, ..blank };
        let Staged { aside, file, .. } = staged;
        found.put(aside, file, &meta, &condition)?;
        // The object stands; an upload that cannot be cleared away is listed on.
        if let Err(cause) = found.give_up(&fresh, &id) {
            tracing::warn!(error = %cause, "bucket store: parts of a completed upload remain");
        }
        Ok(meta)
    })
    .await?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, meta.key)),
        bucket: Some(input.bucket),
        e_tag: etag(&meta.etag),
        checksum_type: meta.sums.checksum_type(),
        server_side_encryption: meta.attached.encryption.clone().map(Into::into),
        ssekms_key_id: meta.attached.kms_key_id.clone(),
        ..CompleteMultipartUploadOutput::default()
    };
    with_sums!(output, &meta.sums);
    output.key = Some(meta.key);
    Ok(output)
}

fn wanted(mut part: dto::CompletedPart) -> S3Result<Wanted> {
    let number = part.part_number.ok_or_else(errors::malformed_xml)?;
    check_part_number(number)?;
    let tag = part.e_tag.take().ok_or_else(errors::malformed_xml)?;
    Ok(Wanted { number, etag: tag.into_value(), sums: sums_from!(part) })
}

pub(super) async fn abort_multipart_upload(
    store: &Arc<Store>,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<AbortMultipartUploadOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let fresh = store.fresh();
    blocking(move || {
        let upload = found.upload(&input.upload_id, &input.key)?;
        found.give_up(&fresh, &upload.id)
    })
    .await?;
    Ok(AbortMultipartUploadOutput::default())
}

pub(super) async fn list_parts(
    store: &Arc<Store>,
    request: S3Request<ListPartsInput>,
) -> S3Result<ListPartsOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let after = input.part_number_marker.unwrap_or(0);
    let max = page_size(input.max_parts)?;
    let (id, key) = (input.upload_id.clone(), input.key.clone());
    let (upload, parts) = blocking(move || {
        let upload = found.upload(&id, &key)?;
        let parts = found.parts(&upload.id)?;
        Ok((upload, parts))
    })
    .await?;
    let mut rest = parts.iter().filter(|part| part.number > after);
    let shown: Vec<dto::Part> =
        rest.by_ref().take(usize::try_from(max).unwrap_or(0)).map(part_shown).collect();
    let own = owner(store);
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        checksum_algorithm: upload.algorithm.map(Into::into),
        checksum_type: upload.kind.map(Into::into),
        initiator: Some(initiator(&own)),
        is_truncated: Some(rest.next().is_some()),
        key: Some(input.key),
        max_parts: Some(max),
        next_part_number_marker: shown.last().and_then(|part| part.part_number),
        owner: Some(own),
        part_number_marker: Some(after),
        parts: Some(shown),
        storage_class: Some(
            upload.attached.storage_class.unwrap_or_else(|| "STANDARD".to_owned()).into(),
        ),
        upload_id: Some(input.upload_id),
        ..ListPartsOutput::default()
    })
}

fn part_shown(part: &PartMeta) -> dto::Part {
    let mut shown = dto::Part {
        e_tag: etag(&part.etag),
        last_modified: stamp(part.modified),
        part_number: Some(part.number),
        size: Some(signed(part.size)),
        ..dto::Part::default()
    };
    with_sums!(shown, &part.sums);
    shown
}

fn initiator(own: &dto::Owner) -> dto::Initiator {
    dto::Initiator { display_name: own.display_name.clone(), id: own.id.clone() }
}

pub(super) async fn list_multipart_uploads(
    store: &Arc<Store>,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<ListMultipartUploadsOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let writing = Writing::of(input.encoding_type.as_ref())?;
    let max = page_size(input.max_uploads)?;
    let pending = blocking(move || found.pending()).await?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let marker = input.key_marker.clone().unwrap_or_default();
    let id_marker = input.upload_id_marker.clone().unwrap_or_default();
    let later = |upload: &&UploadMeta| {
        (upload.key.as_str(), upload.id.as_str()) > (marker.as_str(), id_marker.as_str())
            && (upload.key != marker || !id_marker.is_empty())
    };
    let mut prefixes = BTreeSet::new();
    let mut uploads: Vec<&UploadMeta> = Vec::new();
    for upload in pending.iter().filter(|upload| upload.key.starts_with(&prefix)).filter(later) {
        match rolled(&prefix, input.delimiter.as_deref(), &upload.key) {
            Some(rolled) => drop(prefixes.insert(rolled)),
            None => uploads.push(upload),
        }
    }
    let truncated = uploads.len() > usize::try_from(max).unwrap_or(0);
    uploads.truncate(usize::try_from(max).unwrap_or(0));
    let last = uploads.last().filter(|_| truncated);
    let prefixes: Vec<String> = prefixes.into_iter().collect();
    let own = owner(store);
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        common_prefixes: Some(writing.prefixes(&prefixes)),
        delimiter: writing.maybe(input.delimiter.as_ref()),
        encoding_type: writing.told(),
        is_truncated: Some(truncated),
        key_marker: Some(writing.name(&marker)),
        max_uploads: Some(max),
        next_key_marker: last.map(|upload| writing.name(&upload.key)),
        next_upload_id_marker: last.map(|upload| upload.id.clone()),
        prefix: Some(writing.name(&prefix)),
        upload_id_marker: Some(id_marker.clone()),
        uploads: Some(uploads.into_iter().map(|it| upload_shown(it, writing, &own)).collect()),
        ..ListMultipartUploadsOutput::default()
    })
}

fn rolled(prefix: &str, delimiter: Option<&str>, key: &str) -> Option<String> {
    let delimiter = delimiter.filter(|text| !text.is_empty())?;
    let end = key[prefix.len()..].find(delimiter)? + delimiter.len();
    Some(key[..prefix.len() + end].to_owned())
}

fn upload_shown(upload: &UploadMeta, writing: Writing, own: &dto::Owner) -> dto::MultipartUpload {
    let class = upload.attached.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned());
    dto::MultipartUpload {
        checksum_algorithm: upload.algorithm.clone().map(Into::into),
        checksum_type: upload.kind.clone().map(Into::into),
        initiated: stamp(upload.started),
        initiator: Some(initiator(own)),
        key: Some(writing.name(&upload.key)),
        owner: Some(own.clone()),
        storage_class: Some(class.into()),
        upload_id: Some(upload.id.clone()),
    }
}
