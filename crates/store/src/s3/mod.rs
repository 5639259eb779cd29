//! The S3 operations, one file per family, and what they share.
//!
//! An operation that is not listed in [`operations!`] below answers
//! `NotImplemented`.

#![allow(
    clippy::unused_async,
    reason = "every operation has one signature, whether or not it waits for files"
)]

mod bucket_access;
mod bucket_settings;
mod buckets;
mod copying;
mod deleting;
mod listing;
mod object_settings;
mod reading;
mod uploads;
mod writing;

use crate::bucket::{Bucket, Condition};
use crate::errors;
use crate::store::Store;
use s3s::dto::{self, ETag, ETagCondition, Timestamp};
use s3s::{S3Request, S3Response, S3Result};
use std::sync::Arc;
use trailbox_clock::Micros;

/// The operations of S3 over a [`Store`].
#[derive(Debug, Clone)]
pub(crate) struct Files(pub(crate) Arc<Store>);

macro_rules! operations {
    ($($module:ident { $($name:ident($input:ident) -> $output:ident;)* })*) => {
        #[async_trait::async_trait]
        impl s3s::S3 for Files {
            $($(async fn $name(
                &self,
                request: S3Request<dto::$input>,
            ) -> S3Result<S3Response<dto::$output>> {
                $module::$name(&self.0, request).await.map(S3Response::new)
            })*)*
        }
    };
}

operations! {
    buckets {
        create_bucket(CreateBucketInput) -> CreateBucketOutput;
        delete_bucket(DeleteBucketInput) -> DeleteBucketOutput;
        head_bucket(HeadBucketInput) -> HeadBucketOutput;
        list_buckets(ListBucketsInput) -> ListBucketsOutput;
        get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput;
    }
    bucket_access {
        get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput;
        put_bucket_acl(PutBucketAclInput) -> PutBucketAclOutput;
        get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput;
        put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput;
        delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput;
        get_bucket_policy_status(GetBucketPolicyStatusInput) -> GetBucketPolicyStatusOutput;
        get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput;
        put_public_access_block(PutPublicAccessBlockInput) -> PutPublicAccessBlockOutput;
        delete_public_access_block(DeletePublicAccessBlockInput) -> DeletePublicAccessBlockOutput;
        get_bucket_ownership_controls(GetBucketOwnershipControlsInput)
            -> GetBucketOwnershipControlsOutput;
        put_bucket_ownership_controls(PutBucketOwnershipControlsInput)
            -> PutBucketOwnershipControlsOutput;
        delete_bucket_ownership_controls(DeleteBucketOwnershipControlsInput)
            -> DeleteBucketOwnershipControlsOutput;
    }
    bucket_settings {
        get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput;
        put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput;
        delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput;
        get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput;
        put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput;
        delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput;
        get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput)
            -> GetBucketLifecycleConfigurationOutput;
        put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput)
            -> PutBucketLifecycleConfigurationOutput;
        delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput;
        get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput;
        put_bucket_cors(PutBucketCorsInput) -> PutBucketCorsOutput;
        delete_bucket_cors(DeleteBucketCorsInput) -> DeleteBucketCorsOutput;
        get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput;
        get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput;
        get_bucket_accelerate_configuration(GetBucketAccelerateConfigurationInput)
            -> GetBucketAccelerateConfigurationOutput;
        get_bucket_request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput;
        get_bucket_notification_configuration(GetBucketNotificationConfigurationInput)
            -> GetBucketNotificationConfigurationOutput;
        get_bucket_website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput;
        get_bucket_replication(GetBucketReplicationInput) -> GetBucketReplicationOutput;
        get_object_lock_configuration(GetObjectLockConfigurationInput)
            -> GetObjectLockConfigurationOutput;
    }
    writing {
        put_object(PutObjectInput) -> PutObjectOutput;
    }
    copying {
        copy_object(CopyObjectInput) -> CopyObjectOutput;
        upload_part_copy(UploadPartCopyInput) -> UploadPartCopyOutput;
    }
    reading {
        get_object(GetObjectInput) -> GetObjectOutput;
        head_object(HeadObjectInput) -> HeadObjectOutput;
        get_object_attributes(GetObjectAttributesInput) -> GetObjectAttributesOutput;
    }
    deleting {
        delete_object(DeleteObjectInput) -> DeleteObjectOutput;
        delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput;
    }
    object_settings {
        get_object_acl(GetObjectAclInput) -> GetObjectAclOutput;
        put_object_acl(PutObjectAclInput) -> PutObjectAclOutput;
        get_object_tagging(GetObjectTaggingInput) -> GetObjectTaggingOutput;
        put_object_tagging(PutObjectTaggingInput) -> PutObjectTaggingOutput;
        delete_object_tagging(DeleteObjectTaggingInput) -> DeleteObjectTaggingOutput;
    }
    listing {
        list_objects(ListObjectsInput) -> ListObjectsOutput;
        list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output;
        list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput;
    }
    uploads {
        create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
        upload_part(UploadPartInput) -> UploadPartOutput;
        complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
        abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
        list_parts(ListPartsInput) -> ListPartsOutput;
        list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput;
    }
}

/// The bucket, if it belongs to whom the caller expects.
fn bucket(store: &Store, name: &str, expected_owner: Option<&str>) -> S3Result<Arc<Bucket>> {
    let bucket = store.bucket(name)?;
    let (_id, account) = store.owner();
    match expected_owner {
        Some(expected) if expected != account => Err(errors::access_denied()),
        _ => Ok(bucket),
    }
}

/// Refuses every version but the one there is: `null`.
fn only_null_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null" | "") => Ok(()),
        Some(_) => Err(errors::no_such_version()),
    }
}

fn owner(store: &Store) -> dto::Owner {
    let (id, name) = store.owner();
    dto::Owner { display_name: Some(name), id: Some(id) }
}

#[allow(clippy::unnecessary_wraps, reason = "members of `s3s` are optional")]
fn etag(text: &str) -> Option<ETag> {
    Some(ETag::Strong(text.to_owned()))
}

#[allow(clippy::unnecessary_wraps, reason = "members of `s3s` are optional")]
fn stamp(micros: i64) -> Option<Timestamp> {
    Some(Timestamp::from(Micros(micros).date_time()))
}

fn micros(stamp: Timestamp) -> i64 {
    Micros::from_date_time(stamp.into()).0
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// What `If-Match` and `If-None-Match` of a write demand.
fn write_condition(
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::None),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        (Some(ETagCondition::Any), None) => Ok(Condition::Present),
        (Some(ETagCondition::ETag(tag)), None) => Ok(Condition::Tag(tag.into_value())),
        (None, Some(ETagCondition::ETag(_))) => {
            Err(errors::not_implemented("If-None-Match with an entity tag on writes"))
        }
        (Some(_), Some(_)) => {
            Err(errors::invalid_argument("If-Match and If-None-Match exclude each other"))
        }
    }
}

/// Copies the five checksums and their type into an output of `s3s`.
macro_rules! with_sums {
    ($output:expr, $sums:expr) => {{
        let sums: &$crate::meta::Sums = $sums;
        $output.checksum_crc32.clone_from(&sums.crc32);
        $output.checksum_crc32c.clone_from(&sums.crc32c);
        $output.checksum_crc64nvme.clone_from(&sums.crc64nvme);
        $output.checksum_sha1.clone_from(&sums.sha1);
        $output.checksum_sha256.clone_from(&sums.sha256);
    }};
}
/// Reads the five checksums of an input of `s3s`.
macro_rules! sums_from {
    ($input:expr) => {
        $crate::meta::Sums {
            crc32: $input.checksum_crc32.take(),
            crc32c: $input.checksum_crc32c.take(),
            crc64nvme: $input.checksum_crc64nvme.take(),
            sha1: $input.checksum_sha1.take(),
            sha256: $input.checksum_sha256.take(),
            kind: None,
        }
    };
}
use {sums_from, with_sums};
