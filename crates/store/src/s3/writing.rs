//! `PutObject`, and what every write of an object shares.

use super::{etag, micros, sums_from, with_sums, write_condition};
use crate::bucket::Bucket;
use crate::errors;
use crate::intake::{Expected, Staged, check_sums, receive};
use crate::meta::{Acl, Attached, Described, ObjectMeta, Sums};
use crate::store::{Store, blocking};
use crate::unchunk::Trailers;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use s3s::dto::{self, PutObjectInput, PutObjectOutput};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, TrailingHeaders};
use std::sync::Arc;

const TAGS_MAX: usize = 10;
const TRAILER: &str = "x-amz-trailer";
const SUM_PREFIX: &str = "x-amz-checksum-";

pub(super) async fn put_object(
    store: &Arc<Store>,
    request: S3Request<PutObjectInput>,
) -> S3Result<PutObjectOutput> {
    let trailed = Trailed::of(&request);
    let mut input = request.input;
    let found = super::bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    refuse_absent(&Absent {
        customer_key: input.sse_customer_key.is_some() || input.sse_customer_algorithm.is_some(),
        lock: input.object_lock_mode.is_some() || input.object_lock_legal_hold_status.is_some(),
        append: input.write_offset_bytes.is_some(),
    })?;
    let condition = write_condition(input.if_match.take(), input.if_none_match.take())?;
    let described = described(&mut input);
    let attached = attached(&mut input)?;
    let expected = Expected {
        length: input.content_length,
        md5: input.content_md5.take(),
        sums: sums_from!(input),
        algorithms: trailed.algorithms(),
    };
    let staged = receive(found.aside(&store.fresh()), input.body.take(), expected).await?;
    trailed.check(&staged)?;
    let meta = ObjectMeta {
        key: input.key,
        etag: hex::encode(staged.md5),
        size: staged.size,
        described,
        attached,
        sums: staged.sums.clone(),
        ..fresh_meta(store)
    };
    let output = put_output(&meta);
    let Staged { aside, file, .. } = staged;
    blocking(move || found.put(aside, file, &meta, &condition)).await?;
    Ok(output)
}

/// A description that so far knows only its generation and its moment.
pub(super) fn fresh_meta(store: &Store) -> ObjectMeta {
    ObjectMeta { generation: store.fresh(), modified: store.now(), ..ObjectMeta::default() }
}

/// What a caller asks of an object that this store does not have.
pub(super) struct Absent {
    pub(super) customer_key: bool,
    pub(super) lock: bool,
    pub(super) append: bool,
}

/// Refuses what would be answered with a lie otherwise.
pub(super) fn refuse_absent(asked: &Absent) -> S3Result<()> {
    if asked.customer_key {
        return Err(errors::not_implemented("encryption with keys that customers provide"));
    }
    if asked.append {
        return Err(errors::not_implemented("appending to objects"));
    }
    if asked.lock {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            "Bucket is missing Object Lock Configuration",
        ));
    }
    Ok(())
}

fn described(input: &mut PutObjectInput) -> Described {
    Described {
        content_type: input.content_type.take(),
        cache_control: input.cache_control.take(),
        content_disposition: input.content_disposition.take(),
        content_encoding: real_encoding(input.content_encoding.take()),
        content_language: input.content_language.take(),
        expires: input.expires.take().map(micros),
        website_redirect: input.website_redirect_location.take(),
        user: input.metadata.take().unwrap_or_default().into_iter().collect(),
    }
}

fn attached(input: &mut PutObjectInput) -> S3Result<Attached> {
    Ok(Attached {
        storage_class: storage_class(input.storage_class.take()),
        encryption: input.server_side_encryption.take().map(|it| it.as_str().to_owned()),
        kms_key_id: input.ssekms_key_id.take(),
        bucket_key: input.bucket_key_enabled,
        tags: tags(input.tagging.as_deref())?,
        acl: canned(input.acl.take()),
    })
}

/// The content encoding without `aws-chunked`, which names only the transport.
pub(super) fn real_encoding(text: Option<String>) -> Option<String> {
    let text = text?;
    let kept: Vec<&str> =
        text.split(',').map(str::trim).filter(|name| *name != "aws-chunked").collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// The storage class, unless it is the usual one.
pub(super) fn storage_class(class: Option<dto::StorageClass>) -> Option<String> {
    class.map(|class| class.as_str().to_owned()).filter(|name| name != dto::StorageClass::STANDARD)
}

pub(super) fn canned(acl: Option<dto::ObjectCannedACL>) -> Acl {
    acl.map_or_else(Acl::default, |acl| Acl::Canned(acl.as_str().to_owned()))
}

/// The tags of an `x-amz-tagging` header: a query string.
pub(super) fn tags(header: Option<&str>) -> S3Result<Vec<(String, String)>> {
    let pairs = header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let read = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let list = pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (read(key), read(value)))
        .collect();
    checked_tags(list)
}

/// Refuses what S3 refuses of object tags: more than 10, a key twice, a key of
/// more than 128 or a value of more than 256 characters.
pub(super) fn checked_tags(list: Vec<(String, String)>) -> S3Result<Vec<(String, String)>> {
    let invalid =
        |message: &str| Err(S3Error::with_message(S3ErrorCode::InvalidTag, message.to_owned()));
    if list.len() > TAGS_MAX {
        return invalid("Object tags cannot be greater than 10");
    }
    for (at, (key, value)) in list.iter().enumerate() {
        if key.is_empty() || key.chars().count() > 128 {
            return invalid("The TagKey you have provided is invalid");
        }
        if value.chars().count() > 256 {
            return invalid("The TagValue you have provided is invalid");
        }
        if list[..at].iter().any(|(earlier, _)| earlier == key) {
            return invalid("Cannot provide multiple Tags with the same key");
        }
    }
    Ok(list)
}

fn put_output(meta: &ObjectMeta) -> PutObjectOutput {
    let mut output = PutObjectOutput {
        e_tag: etag(&meta.etag),
        checksum_type: meta.sums.checksum_type(),
        server_side_encryption: meta.attached.encryption.clone().map(Into::into),
        ssekms_key_id: meta.attached.kms_key_id.clone(),
        bucket_key_enabled: meta.attached.bucket_key,
        ..PutObjectOutput::default()
    };
    with_sums!(output, &meta.sums);
    output
}

/// Checksums that come behind the body, however the framing was taken off.
pub(super) struct Trailed {
    announced: Vec<String>,
    verified: Option<TrailingHeaders>,
    unchecked: Option<Trailers>,
}

impl Trailed {
    pub(super) fn of<T>(request: &S3Request<T>) -> Self {
        let names = request.headers.get_all(TRAILER).iter();
        let announced = names
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(','))
            .filter_map(|name| {
                Some(
                    name.trim().to_ascii_lowercase().strip_prefix(SUM_PREFIX)?.to_ascii_uppercase(),
                )
            })
            .collect();
        Self {
            announced,
            verified: request.trailing_headers.clone(),
            unchecked: request.extensions.get::<Trailers>().cloned(),
        }
    }

    /// The checksum algorithms announced.
    pub(super) fn algorithms(&self) -> Vec<String> {
        self.announced.clone()
    }

    /// Compares the trailers, now that the body was read, with what was computed.
    pub(super) fn check(&self, staged: &Staged) -> S3Result<()> {
        if self.announced.is_empty() {
            return Ok(());
        }
        let headers = match (&self.verified, &self.unchecked) {
            (Some(verified), _) => verified.read(HeaderMap::clone).unwrap_or_default(),
            (None, Some(unchecked)) => unchecked.get(),
            (None, None) => return Ok(()),
        };
        let mut given = Sums::default();
        for algorithm in &self.announced {
            let name = format!("{SUM_PREFIX}{}", algorithm.to_ascii_lowercase());
            let value = headers.get(&name).and_then(|value| value.to_str().ok());
            if let (Some(slot), Some(value)) = (given.slot(algorithm), value) {
                *slot = Some(value.to_owned());
            }
        }
        check_sums(&given, &staged.sums)
    }
}

/// Puts `meta` over `staged` and waits until it is durable.
pub(super) async fn commit(bucket: Arc<Bucket>, staged: Staged, meta: ObjectMeta) -> S3Result<()> {
    let Staged { aside, file, .. } = staged;
    blocking(move || bucket.put(aside, file, &meta, &crate::bucket::Condition::None)).await
}

#[cfg(test)]
mod tests {
    use super::{real_encoding, tags};

    #[test]
    fn the_transport_is_not_kept_as_content_encoding() {
        let cases = [
            ("aws-chunked", None),
            ("gzip,aws-chunked", Some("gzip")),
            ("gzip, br", Some("gzip,br")),
        ];
        for (text, want) in cases {
            assert_eq!(real_encoding(Some(text.into())).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn a_tagging_header_is_read_like_a_query() {
        let got = tags(Some("a=1&b+c=%C3%A9&d")).unwrap();
        let want = [("a", "1"), ("b c", "é"), ("d", "")];
        assert_eq!(got, want.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert!(tags(Some("a=1&a=2")).is_err());
    }
}
