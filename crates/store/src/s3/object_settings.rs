//! ACL and tags of an object, changed after it was put.

use super::bucket_access::{acl_put, grants};
use super::writing::checked_tags;
use super::{bucket, only_null_version, owner};
use crate::bucket::Bucket;
use crate::meta::ObjectMeta;
use crate::store::{Store, blocking};
use s3s::dto::{self, Tag};
use s3s::{S3Request, S3Result};
use std::sync::Arc;

async fn meta(bucket: Arc<Bucket>, key: String) -> S3Result<ObjectMeta> {
    blocking(move || Ok(bucket.object(&key)?.meta)).await
}

async fn amend(
    store: &Arc<Store>,
    bucket: Arc<Bucket>,
    key: String,
    act: impl FnOnce(&mut ObjectMeta) + Send + 'static,
) -> S3Result<()> {
    let fresh = store.fresh();
    blocking(move || bucket.amend(&fresh, &key, act)).await
}

pub(super) async fn get_object_acl(
    store: &Arc<Store>,
    request: S3Request<dto::GetObjectAclInput>,
) -> S3Result<dto::GetObjectAclOutput> {
    let input = request.input;
    only_null_version(input.version_id.as_deref())?;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let held = meta(found, input.key).await?;
    Ok(dto::GetObjectAclOutput {
        grants: Some(grants(store, &held.attached.acl)),
        owner: Some(owner(store)),
        ..dto::GetObjectAclOutput::default()
    })
}

pub(super) async fn put_object_acl(
    store: &Arc<Store>,
    request: S3Request<dto::PutObjectAclInput>,
) -> S3Result<dto::PutObjectAclOutput> {
    let input = request.input;
    only_null_version(input.version_id.as_deref())?;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let headers = [
        ("FULL_CONTROL", input.grant_full_control),
        ("READ", input.grant_read),
        ("WRITE", input.grant_write),
        ("READ_ACP", input.grant_read_acp),
        ("WRITE_ACP", input.grant_write_acp),
    ];
    let canned = input.acl.as_ref().map(dto::ObjectCannedACL::as_str);
    let acl = acl_put(canned, input.access_control_policy, headers)?;
    amend(store, found, input.key, move |meta| meta.attached.acl = acl).await?;
    Ok(dto::PutObjectAclOutput::default())
}

pub(super) async fn get_object_tagging(
    store: &Arc<Store>,
    request: S3Request<dto::GetObjectTaggingInput>,
) -> S3Result<dto::GetObjectTaggingOutput> {
    let input = request.input;
    only_null_version(input.version_id.as_deref())?;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let tags = meta(found, input.key).await?.attached.tags;
    let shown = |(key, value)| Tag { key: Some(key), value: Some(value) };
    Ok(dto::GetObjectTaggingOutput {
        tag_set: tags.into_iter().map(shown).collect(),
        ..dto::GetObjectTaggingOutput::default()
    })
}

pub(super) async fn put_object_tagging(
    store: &Arc<Store>,
    request: S3Request<dto::PutObjectTaggingInput>,
) -> S3Result<dto::PutObjectTaggingOutput> {
    let input = request.input;
    only_null_version(input.version_id.as_deref())?;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let given = input.tagging.tag_set.into_iter();
    let list = given.map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
    let tags = checked_tags(list.collect())?;
    amend(store, found, input.key, move |meta| meta.attached.tags = tags).await?;
    Ok(dto::PutObjectTaggingOutput::default())
}

pub(super) async fn delete_object_tagging(
    store: &Arc<Store>,
    request: S3Request<dto::DeleteObjectTaggingInput>,
) -> S3Result<dto::DeleteObjectTaggingOutput> {
    let input = request.input;
    only_null_version(input.version_id.as_deref())?;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    amend(store, found, input.key, |meta| meta.attached.tags.clear()).await?;
    Ok(dto::DeleteObjectTaggingOutput::default())
}
