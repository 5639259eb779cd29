//! Buckets: made, found, listed, removed.

use super::{bucket, owner, stamp};
use crate::meta::Acl;
use crate::store::{Store, blocking};
use s3s::dto::{
    Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput, DeleteBucketInput,
    DeleteBucketOutput, GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput,
    HeadBucketOutput, ListBucketsInput, ListBucketsOutput,
};
use s3s::{S3Request, S3Result};
use std::sync::Arc;

/// Region of a bucket that names none.
const HOME: &str = "us-east-1";

pub(super) async fn create_bucket(
    store: &Arc<Store>,
    request: S3Request<CreateBucketInput>,
) -> S3Result<CreateBucketOutput> {
    let input = request.input;
    let constraint = input.create_bucket_configuration.and_then(|c| c.location_constraint);
    // `EU` is what the oldest clients say.
    let region = match constraint.as_ref().map(BucketLocationConstraint::as_str) {
        None | Some("") => HOME.to_owned(),
        Some("EU") => "eu-west-1".to_owned(),
        Some(region) => region.to_owned(),
    };
    let acl = input.acl.map_or_else(Acl::default, |acl| Acl::Canned(acl.as_str().to_owned()));
    let location = Some(format!("/{}", input.bucket));
    let store = Arc::clone(store);
    blocking(move || store.create_bucket(&input.bucket, &region, acl)).await?;
    Ok(CreateBucketOutput { location })
}

pub(super) async fn delete_bucket(
    store: &Arc<Store>,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<DeleteBucketOutput> {
    let input = request.input;
    bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let store = Arc::clone(store);
    blocking(move || store.delete_bucket(&input.bucket)).await?;
    Ok(DeleteBucketOutput {})
}

pub(super) async fn head_bucket(
    store: &Arc<Store>,
    request: S3Request<HeadBucketInput>,
) -> S3Result<HeadBucketOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    Ok(HeadBucketOutput { bucket_region: Some(found.meta().region), ..HeadBucketOutput::default() })
}

pub(super) async fn list_buckets(
    store: &Arc<Store>,
    request: S3Request<ListBucketsInput>,
) -> S3Result<ListBucketsOutput> {
    let input = request.input;
    let prefix = input.prefix.clone().unwrap_or_default();
    let after = input.continuation_token.unwrap_or_default();
    let limit = input.max_buckets.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
    let mut metas = store
        .buckets()
        .into_iter()
        .map(|bucket| bucket.meta())
        .filter(|meta| meta.name.starts_with(&prefix) && meta.name > after)
        .filter(|meta| input.bucket_region.as_ref().is_none_or(|region| *region == meta.region))
        .peekable();
    let mut buckets = Vec::new();
    while buckets.len() < limit
        && let Some(meta) = metas.next()
    {
        buckets.push(Bucket {
            bucket_region: Some(meta.region),
            creation_date: stamp(meta.created),
            name: Some(meta.name),
        });
    }
    let more = metas.peek().is_some();
    Ok(ListBucketsOutput {
        continuation_token: buckets.last().filter(|_| more).and_then(|b| b.name.clone()),
        buckets: Some(buckets),
        owner: Some(owner(store)),
        prefix: input.prefix,
    })
}

pub(super) async fn get_bucket_location(
    store: &Arc<Store>,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<GetBucketLocationOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let region = found.meta().region;
    // S3 says nothing for its oldest Region; clients read that as us-east-1.
    let location_constraint = (region != HOME).then(|| BucketLocationConstraint::from(region));
    Ok(GetBucketLocationOutput { location_constraint })
}
