//! Settings of a bucket that are put, shown and taken away as a whole, and the
//! answers about those that this store does not have.

use super::bucket;
use super::bucket_access::change;
use crate::bucket::Bucket;
use crate::errors;
use crate::store::Store;
use s3s::dto;
use s3s::{S3ErrorCode, S3Request, S3Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::sync::Arc;

/// The setting `name` of a bucket, when somebody has put it.
pub(super) fn setting<T: DeserializeOwned>(bucket: &Bucket, name: &str) -> S3Result<Option<T>> {
    let held = bucket.meta().settings.remove(name);
    held.map(serde_json::from_value).transpose().map_err(|cause| errors::io(io::Error::from(cause)))
}

/// Puts the setting `name` of a bucket.
pub(super) async fn set<T: Serialize>(
    store: &Arc<Store>,
    bucket: Arc<Bucket>,
    name: &'static str,
    value: &T,
) -> S3Result<()> {
    let value = serde_json::to_value(value).map_err(|cause| errors::io(io::Error::from(cause)))?;
    change(store, bucket, move |meta| drop(meta.settings.insert(name.to_owned(), value))).await
}

/// A setting that is kept as it is put: get, put and delete in the same words.
macro_rules! kept {
    (
        $key:literal, missing $missing:ident;
        $get:ident($get_in:ident) -> $get_out:ident { $out:ident, |$held:ident: $kept:ident| $shown:expr };
        $put:ident($put_in:ident) -> $put_out:ident { |$given:ident| $value:expr };
        $delete:ident($delete_in:ident) -> $delete_out:ident;
    ) => {
        pub(super) async fn $get(
            store: &Arc<Store>,
            request: S3Request<dto::$get_in>,
        ) -> S3Result<dto::$get_out> {
            let input = request.input;
            let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
            let $held: dto::$kept = setting(&found, $key)?
                .ok_or_else(|| errors::no_such_setting(S3ErrorCode::$missing))?;
            let mut output = dto::$get_out::default();
            output.$out = $shown;
            Ok(output)
        }

        pub(super) async fn $put(
            store: &Arc<Store>,
            request: S3Request<dto::$put_in>,
        ) -> S3Result<dto::$put_out> {
            let $given = request.input;
            let found = bucket(store, &$given.bucket, $given.expected_bucket_owner.as_deref())?;
            let value: dto::$kept = $value;
            set(store, found, $key, &value).await?;
            Ok(dto::$put_out::default())
        }

        pub(super) async fn $delete(
            store: &Arc<Store>,
            request: S3Request<dto::$delete_in>,
        ) -> S3Result<dto::$delete_out> {
            let input = request.input;
            let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
            change(store, found, |meta| drop(meta.settings.remove($key))).await?;
            Ok(dto::$delete_out {})
        }
    };
}

kept! {
    "tagging", missing NoSuchTagSet;
    get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput
        { tag_set, |held: Tagging| held.tag_set };
    put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput { |input| input.tagging };
    delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput;
}

kept! {
    "encryption", missing ServerSideEncryptionConfigurationNotFoundError;
    get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput
        {
            server_side_encryption_configuration,
            |held: ServerSideEncryptionConfiguration| Some(held)
        };
    put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput
        { |input| input.server_side_encryption_configuration };
    delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput;
}

kept! {
    "lifecycle", missing NoSuchLifecycleConfiguration;
    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput)
        -> GetBucketLifecycleConfigurationOutput
        { rules, |held: BucketLifecycleConfiguration| Some(held.rules) };
    put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput)
        -> PutBucketLifecycleConfigurationOutput
        { |input| input.lifecycle_configuration.ok_or_else(errors::malformed_xml)? };
    delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput;
}

kept! {
    "cors", missing NoSuchCORSConfiguration;
    get_bucket_cors(GetBucketCorsInput) -> GetBucketCorsOutput
        { cors_rules, |held: CORSConfiguration| Some(held.cors_rules) };
    put_bucket_cors(PutBucketCorsInput) -> PutBucketCorsOutput
        { |input| input.cors_configuration };
    delete_bucket_cors(DeleteBucketCorsInput) -> DeleteBucketCorsOutput;
}

/// A setting that this store does not have: one fixed answer, so that tools
/// that read a bucket whole (Terraform) can.
macro_rules! fixed {
    ($($name:ident($input:ident) -> $output:ident { $answer:expr })*) => {
        $(pub(super) async fn $name(
            store: &Arc<Store>,
            request: S3Request<dto::$input>,
        ) -> S3Result<dto::$output> {
            let input = request.input;
            bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
            $answer
        })*
    };
}

fixed! {
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput
        { Ok(dto::GetBucketVersioningOutput::default()) }
    get_bucket_logging(GetBucketLoggingInput) -> GetBucketLoggingOutput
        { Ok(dto::GetBucketLoggingOutput::default()) }
    get_bucket_accelerate_configuration(GetBucketAccelerateConfigurationInput)
        -> GetBucketAccelerateConfigurationOutput
        { Ok(dto::GetBucketAccelerateConfigurationOutput::default()) }
    get_bucket_request_payment(GetBucketRequestPaymentInput) -> GetBucketRequestPaymentOutput
        { Ok(dto::GetBucketRequestPaymentOutput { payer: Some(owner_pays()) }) }
    get_bucket_notification_configuration(GetBucketNotificationConfigurationInput)
        -> GetBucketNotificationConfigurationOutput
        { Ok(dto::GetBucketNotificationConfigurationOutput::default()) }
    get_bucket_website(GetBucketWebsiteInput) -> GetBucketWebsiteOutput
        { Err(errors::no_such_setting(S3ErrorCode::NoSuchWebsiteConfiguration)) }
    get_bucket_replication(GetBucketReplicationInput) -> GetBucketReplicationOutput
        { Err(errors::no_such_setting(S3ErrorCode::ReplicationConfigurationNotFoundError)) }
    get_object_lock_configuration(GetObjectLockConfigurationInput)
        -> GetObjectLockConfigurationOutput
        { Err(errors::no_such_setting(S3ErrorCode::ObjectLockConfigurationNotFoundError)) }
}

fn owner_pays() -> dto::Payer {
    dto::Payer::from_static(dto::Payer::BUCKET_OWNER)
}
