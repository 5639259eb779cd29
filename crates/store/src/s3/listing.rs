//! `ListObjects` in both versions, and `ListObjectVersions` of a bucket without
//! versions.

use super::{bucket, etag, owner, signed, stamp};
use crate::bucket::Bucket;
use crate::errors;
use crate::index::{Entry, Page, Query};
use crate::names::url_encoded;
use crate::store::{Store, blocking};
use s3s::dto::{
    self, CommonPrefix, EncodingType, ListObjectVersionsInput, ListObjectVersionsOutput,
    ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
};
use s3s::{S3Request, S3Result};
use std::sync::Arc;

/// Most items of one page.
const PAGE_MAX: i32 = 1000;

/// How names are written in the answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writing {
    url: bool,
}

impl Writing {
    pub(super) fn of(encoding: Option<&EncodingType>) -> S3Result<Self> {
        match encoding.map(EncodingType::as_str) {
            None => Ok(Self { url: false }),
            Some("url") => Ok(Self { url: true }),
            Some(_) => {
                Err(errors::invalid_argument("Invalid Encoding Method specified in Request"))
            }
        }
    }

    pub(super) fn name(self, text: &str) -> String {
        if self.url { url_encoded(text) } else { text.to_owned() }
    }

    pub(super) fn maybe(self, text: Option<&String>) -> Option<String> {
        text.map(|text| self.name(text))
    }

    pub(super) fn told(self) -> Option<EncodingType> {
        self.url.then(|| EncodingType::from_static(EncodingType::URL))
    }

    pub(super) fn prefixes(self, prefixes: &[String]) -> Vec<CommonPrefix> {
        let shown = |prefix: &String| CommonPrefix { prefix: Some(self.name(prefix)) };
        prefixes.iter().map(shown).collect()
    }
}

/// The page size that counts: at most 1000, never negative.
pub(super) fn page_size(asked: Option<i32>) -> S3Result<i32> {
    match asked.unwrap_or(PAGE_MAX) {
        size if size < 0 => Err(errors::invalid_argument(
            "Argument max-keys must be an integer between 0 and 2147483647",
        )),
        size => Ok(size.min(PAGE_MAX)),
    }
}

/// What all three listings ask of a bucket.
struct Ask {
    prefix: Option<String>,
    delimiter: Option<String>,
    after: Option<String>,
    size: i32,
}

async fn page(found: Arc<Bucket>, ask: Ask) -> S3Result<Page> {
    blocking(move || {
        found.list(Query {
            prefix: ask.prefix.as_deref().unwrap_or_default(),
            delimiter: ask.delimiter.as_deref().filter(|text| !text.is_empty()),
            after: ask.after.as_deref().unwrap_or_default(),
            limit: usize::try_from(ask.size).unwrap_or(0),
        })
    })
    .await
}

fn object(key: &str, entry: &Entry, writing: Writing, owner: Option<&dto::Owner>) -> Object {
    Object {
        e_tag: etag(&entry.etag),
        key: Some(writing.name(key)),
        last_modified: stamp(entry.modified),
        owner: owner.cloned(),
        size: Some(signed(entry.size)),
        storage_class: Some(class(entry).into()),
        ..Object::default()
    }
}

fn class(entry: &Entry) -> String {
    entry.storage_class.as_deref().unwrap_or("STANDARD").to_owned()
}

pub(super) async fn list_objects(
    store: &Arc<Store>,
    request: S3Request<ListObjectsInput>,
) -> S3Result<ListObjectsOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let writing = Writing::of(input.encoding_type.as_ref())?;
    let size = page_size(input.max_keys)?;
    let ask = Ask {
        prefix: input.prefix.clone(),
        delimiter: input.delimiter.clone(),
        after: input.marker.clone(),
        size,
    };
    let page = page(found, ask).await?;
    let own = owner(store);
    let rolled = input.delimiter.as_ref().is_some_and(|text| !text.is_empty());
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(writing.name(input.prefix.as_deref().unwrap_or_default())),
        marker: Some(writing.name(input.marker.as_deref().unwrap_or_default())),
        max_keys: Some(size),
        is_truncated: Some(page.next.is_some()),
        contents: Some(
            page.keys.iter().map(|(key, entry)| object(key, entry, writing, Some(&own))).collect(),
        ),
        common_prefixes: Some(writing.prefixes(&page.prefixes)),
        delimiter: writing.maybe(input.delimiter.as_ref()),
        // S3 names it only where keys are rolled up; else the last key serves.
        next_marker: writing.maybe(page.next.as_ref().filter(|_| rolled)),
        encoding_type: writing.told(),
        ..ListObjectsOutput::default()
    })
}

pub(super) async fn list_objects_v2(
    store: &Arc<Store>,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<ListObjectsV2Output> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let writing = Writing::of(input.encoding_type.as_ref())?;
    let size = page_size(input.max_keys)?;
    let after = match &input.continuation_token {
        Some(token) => Some(read_token(token)?),
        None => input.start_after.clone(),
    };
    let ask = Ask { prefix: input.prefix.clone(), delimiter: input.delimiter.clone(), after, size };
    let page = page(found, ask).await?;
    let own = input.fetch_owner.unwrap_or(false).then(|| owner(store));
    let count = page.keys.len() + page.prefixes.len();
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(writing.name(input.prefix.as_deref().unwrap_or_default())),
        max_keys: Some(size),
        key_count: i32::try_from(count).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_deref().map(token),
        contents: Some(
            page.keys.iter().map(|(key, e)| object(key, e, writing, own.as_ref())).collect(),
        ),
        common_prefixes: Some(writing.prefixes(&page.prefixes)),
        delimiter: writing.maybe(input.delimiter.as_ref()),
        encoding_type: writing.told(),
        start_after: writing.maybe(input.start_after.as_ref()),
        ..ListObjectsV2Output::default()
    })
}

/// A continuation token: the last item given, in hex, so that it is opaque and
/// safe in a URL.
fn token(last: &str) -> String {
    format!("1{}", hex::encode(last))
}

fn read_token(text: &str) -> S3Result<String> {
    let bytes = text.strip_prefix('1').and_then(|digits| hex::decode(digits).ok());
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| errors::invalid_argument("The continuation token provided is incorrect"))
}

pub(super) async fn list_object_versions(
    store: &Arc<Store>,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<ListObjectVersionsOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let writing = Writing::of(input.encoding_type.as_ref())?;
    let size = page_size(input.max_keys)?;
    let ask = Ask {
        prefix: input.prefix.clone(),
        delimiter: input.delimiter.clone(),
        after: input.key_marker.clone(),
        size,
    };
    let page = page(found, ask).await?;
    let own = owner(store);
    let version = |(key, entry): &(Box<str>, Entry)| dto::ObjectVersion {
        e_tag: etag(&entry.etag),
        is_latest: Some(true),
        key: Some(writing.name(key)),
        last_modified: stamp(entry.modified),
        owner: Some(own.clone()),
        size: Some(signed(entry.size)),
        storage_class: Some(class(entry).into()),
        version_id: Some("null".to_owned()),
        ..dto::ObjectVersion::default()
    };
    Ok(ListObjectVersionsOutput {
        versions: Some(page.keys.iter().map(version).collect()),
        common_prefixes: Some(writing.prefixes(&page.prefixes)),
        delimiter: writing.maybe(input.delimiter.as_ref()),
        encoding_type: writing.told(),
        is_truncated: Some(page.next.is_some()),
        key_marker: Some(writing.name(input.key_marker.as_deref().unwrap_or_default())),
        max_keys: Some(size),
        name: Some(input.bucket),
        next_version_id_marker: page.next.as_ref().map(|_| "null".to_owned()),
        next_key_marker: writing.maybe(page.next.as_ref()),
        prefix: Some(writing.name(input.prefix.as_deref().unwrap_or_default())),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        ..ListObjectVersionsOutput::default()
    })
}

#[cfg(test)]
mod tests {
    use super::{read_token, token};

    #[test]
    fn a_token_comes_back_as_the_key_it_was_made_of() {
        for key in ["", "a/b", "é\u{10ffff}"] {
            assert_eq!(read_token(&token(key)).unwrap(), key);
        }
        for bad in ["", "2ab", "1zz", "1ff"] {
            assert!(read_token(bad).is_err(), "{bad}");
        }
    }
}
