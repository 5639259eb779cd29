//! `DeleteObject` and `DeleteObjects`.

use super::{bucket, micros, only_null_version, write_condition};
use crate::bucket::{Bucket, Condition};
use crate::errors;
use crate::store::{Store, blocking};
use s3s::dto::{
    self, DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
    DeletedObject, ObjectIdentifier,
};
use s3s::{S3Error, S3Request, S3Result};
use std::sync::Arc;

/// Most keys of one `DeleteObjects`.
const KEYS_MAX: usize = 1000;

pub(super) async fn delete_object(
    store: &Arc<Store>,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<DeleteObjectOutput> {
    let input = request.input;
    only_null_version(input.version_id.as_deref())?;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let condition = write_condition(input.if_match, None)?;
    let facts = Facts {
        size: input.if_match_size,
        modified: input.if_match_last_modified_time.map(micros),
    };
    blocking(move || {
        facts.check(&found, &input.key)?;
        found.remove(&input.key, &condition)
    })
    .await?;
    Ok(DeleteObjectOutput::default())
}

/// What an object to be deleted must be, beside its entity tag.
struct Facts {
    size: Option<i64>,
    modified: Option<i64>,
}

impl Facts {
    fn check(&self, bucket: &Bucket, key: &str) -> S3Result<()> {
        if self.size.is_none() && self.modified.is_none() {
            return Ok(());
        }
        let meta = bucket.object(key)?.meta;
        let same = self.size.is_none_or(|size| u64::try_from(size) == Ok(meta.size))
            && self.modified.is_none_or(|moment| moment == meta.modified);
        if same { Ok(()) } else { Err(errors::precondition_failed()) }
    }
}

pub(super) async fn delete_objects(
    store: &Arc<Store>,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<DeleteObjectsOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let quiet = input.delete.quiet.unwrap_or(false);
    let objects = input.delete.objects;
    if objects.is_empty() || objects.len() > KEYS_MAX {
        return Err(errors::malformed_xml());
    }
    blocking(move || {
        let mut output = DeleteObjectsOutput::default();
        let (mut deleted, mut failed) = (Vec::new(), Vec::new());
        for object in objects {
            match delete_one(&found, &object) {
                Ok(()) => deleted.push(gone(object)),
                Err(cause) => failed.push(told(object, &cause)),
            }
        }
        output.deleted = (!quiet).then_some(deleted);
        output.errors = (!failed.is_empty()).then_some(failed);
        Ok(output)
    })
    .await
}

fn delete_one(bucket: &Bucket, object: &ObjectIdentifier) -> S3Result<()> {
    only_null_version(object.version_id.as_deref())?;
    let facts =
        Facts { size: object.size, modified: object.last_modified_time.clone().map(micros) };
    facts.check(bucket, &object.key)?;
    let condition = match &object.e_tag {
        Some(tag) => Condition::Tag(tag.value().to_owned()),
        None => Condition::None,
    };
    bucket.remove(&object.key, &condition)
}

fn gone(object: ObjectIdentifier) -> DeletedObject {
    DeletedObject {
        key: Some(object.key),
        version_id: object.version_id,
        ..DeletedObject::default()
    }
}

fn told(object: ObjectIdentifier, cause: &S3Error) -> dto::Error {
    dto::Error {
        code: Some(cause.code().as_str().to_owned()),
        key: Some(object.key),
        message: cause.message().map(str::to_owned),
        version_id: object.version_id,
    }
}
