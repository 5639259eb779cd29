//! What is special about S3: buckets in host names, keys with any slash, S3
//! Control behind the same signing name.

use super::template::Hit;
use super::{Asked, Found, host, rpc};
use trailbox_exchange::decode_component;

/// The path by which a Lambda function answers for an object.
const WRITE_RESPONSE: &str = "WriteGetObjectResponse";

/// Asks the templates of S3 with the bucket and the key as one segment each.
pub(super) fn hit(asked: &Asked<'_>, ask: impl Fn(&[&str]) -> Option<Hit>) -> Option<Hit> {
    let path = asked.head.path();
    let path = path.strip_prefix('/').unwrap_or(path);
    if is_control(asked) {
        return None;
    }
    let of_host = host::bucket(asked.host, asked.hints.s3_domains);
    let (bucket, key) = match of_host {
        Some(bucket) => (bucket, path),
        None => path.split_once('/').unwrap_or((path, "")),
    };
    let found = match (bucket, key) {
        // The label before this host is a route, not a bucket.
        (_, WRITE_RESPONSE) if asked.head.headers.contains("x-amz-request-route") => {
            ask(&[WRITE_RESPONSE])
        }
        ("", _) => ask(&[]),
        (bucket, "") => ask(&[bucket]),
        (bucket, key) => ask(&[bucket, key]),
    };
    found.map(|hit| settle(asked, hit))
}

/// `GET /` lists buckets unless the caller signs for S3 Express.
fn settle(asked: &Asked<'_>, mut hit: Hit) -> Hit {
    let express = asked.scope.service.as_deref() == Some("s3express");
    let service = asked.facts.service("s3");
    let at = |name: &str| service.and_then(|service| service.operation(name));
    let (plain, directory) = (at("ListBuckets"), at("ListDirectoryBuckets"));
    if [plain, directory].contains(&Some(hit.operation)) {
        let right = if express { directory } else { plain };
        hit.operation = right.unwrap_or(hit.operation);
    }
    hit
}

/// Whether the call can be for S3 Control: surely, or by its path where no
/// bucket stands in the host. Then a bucket of that name is possible too.
pub(super) fn may_be_control(asked: &Asked<'_>) -> bool {
    is_control(asked)
        || (has_control_path(asked) && host::bucket(asked.host, asked.hints.s3_domains).is_none())
}

/// Whether the call is for S3 Control: by its host, or by its path together
/// with the header that nearly every operation requires.
fn is_control(asked: &Asked<'_>) -> bool {
    host::is_s3_control(asked.host)
        || (has_control_path(asked) && asked.head.headers.contains("x-amz-account-id"))
}

fn has_control_path(asked: &Asked<'_>) -> bool {
    asked.head.path().starts_with("/v20180820/")
}

/// Whether an unsigned call can be one to a bucket or an object: any of the
/// four methods; POST only below a bucket, and not as a form with an action.
pub(super) fn looks_anonymous(asked: &Asked<'_>) -> bool {
    match asked.method {
        "GET" | "HEAD" | "PUT" | "DELETE" => true,
        "POST" => {
            let action = rpc::names_action(asked.form) && asked.head.query().is_empty();
            (asked.head.path().len() > 1 && !action) || posts_form(asked)
        }
        _ => false,
    }
}

/// Browser uploads post a form to the bucket; no model has them.
fn posts_form(asked: &Asked<'_>) -> bool {
    asked
        .head
        .headers
        .get("content-type")
        .is_some_and(|content| content.trim_start().starts_with("multipart/form-data"))
}

/// A browser upload to a bucket that no template explains.
pub(super) fn form_upload(asked: &Asked<'_>, candidates: &[usize]) -> Option<Found> {
    let s3 = asked.facts.place("s3")?;
    let meant = candidates.contains(&s3)
        || (candidates.is_empty() && asked.scope.service.is_none() && asked.form.is_empty());
    if asked.head.method != "POST" || !posts_form(asked) || !meant {
        return None;
    }
    let bucket = host::bucket(asked.host, asked.hints.s3_domains)
        .unwrap_or_else(|| asked.head.path().trim_matches('/'));
    if bucket.is_empty() || bucket.contains('/') || !asked.head.query().is_empty() {
        return None;
    }
    let labels = vec![("Bucket".to_owned(), decode_component(bucket).into_owned())];
    Some(Found { service: Some(s3), labels, name: Some("PostObject".into()), ..Found::default() })
}
