//! Who signs, and for which service: the claim, not its proof.

use std::borrow::Cow;
use trailbox_exchange::RequestHead;

/// Names and values of a query or a form.
pub(super) type Pairs<'a> = [(Cow<'a, str>, Cow<'a, str>)];

/// What a signature claims.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) access_key_id: Option<String>,
    pub(super) region: Option<String>,
    /// Signing name; for `SigV2` in a header always `s3`.
    pub(super) service: Option<String>,
    /// `Authorization: Bearer …`.
    pub(super) bearer: bool,
}

/// Longer claims are nonsense and would only fill records; the journal keeps
/// a Region of up to 255 bytes.
const LONGEST: usize = 128;

/// Reads the claim of a request: `Authorization`, else the query, else a form
/// signed by `SigV2`.
pub(super) fn read(head: &RequestHead, query: &Pairs<'_>, form: &Pairs<'_>) -> Scope {
    let header = head.headers.get("authorization").map_or("", str::trim);
    let mut scope = if let Some(rest) = header.strip_prefix("AWS4-HMAC-SHA256") {
        credential(in_header(rest), false)
    } else if let Some(rest) = header.strip_prefix("AWS4-ECDSA-P256-SHA256") {
        let mut scope = credential(in_header(rest), true);
        scope.region = head.headers.get("x-amz-region-set").and_then(single);
        scope
    } else if let Some(rest) = header.strip_prefix("AWS ") {
        let key = rest.rsplit_once(':').map_or(rest, |(key, _)| key);
        Scope { access_key_id: some(key), service: Some("s3".into()), ..Scope::default() }
    } else if header.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("bearer ")) {
        Scope { bearer: true, ..Scope::default() }
    } else {
        in_query(query).or_else(|| old_form(form)).unwrap_or_default()
    };
    scope.service = scope.service.filter(|service| is_name(service));
    scope
}

fn in_header(rest: &str) -> &str {
    rest.split_once("Credential=")
        .map_or("", |(_, value)| value.split([',', ' ']).next().unwrap_or_default())
}

fn in_query(query: &Pairs<'_>) -> Option<Scope> {
    if let Some(value) = find(query, "X-Amz-Credential") {
        let asymmetric = find(query, "X-Amz-Algorithm") == Some("AWS4-ECDSA-P256-SHA256");
        let mut scope = credential(value, asymmetric);
        if asymmetric {
            scope.region = find(query, "X-Amz-Region-Set").and_then(single);
        }
        return Some(scope);
    }
    let key = find(query, "AWSAccessKeyId")?;
    let s3 = find(query, "SignatureVersion").is_none();
    let service = s3.then(|| "s3".to_owned());
    Some(Scope { access_key_id: some(key), service, ..Scope::default() })
}

fn old_form(form: &Pairs<'_>) -> Option<Scope> {
    let key = find(form, "AWSAccessKeyId")?;
    Some(Scope { access_key_id: some(key), ..Scope::default() })
}

/// `AK/date/region/service/aws4_request`, without the region when asymmetric.
/// Read from its end: a key of another maker may hold a slash.
fn credential(text: &str, asymmetric: bool) -> Scope {
    let mut parts = text.rsplit('/');
    let _terminator = parts.next();
    let service = parts.next().and_then(some);
    let region = if asymmetric { None } else { parts.next().and_then(some) };
    let _date = parts.next();
    let taken: Vec<&str> = parts.collect();
    let key: Vec<&str> = taken.into_iter().rev().collect();
    Scope { access_key_id: some(&key.join("/")), region, service, bearer: false }
}

/// A Region set of one Region says which it is.
fn single(set: &str) -> Option<String> {
    some(set.trim()).filter(|set| !set.contains([',', '*']))
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty() && text.len() <= LONGEST).then(|| text.to_owned())
}

fn is_name(service: &str) -> bool {
    service.len() <= 64
        && service.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}

/// The first value of that exact name.
pub(super) fn find<'a>(pairs: &'a Pairs<'_>, name: &str) -> Option<&'a str> {
    pairs.iter().find(|(held, _)| held == name).map(|(_, value)| &**value)
}

#[cfg(test)]
mod tests {
    use super::{Scope, read};
    use trailbox_exchange::{RequestHead, decode_pairs};

    fn scope(authorization: &str, query: &str) -> Scope {
        let head = RequestHead {
            headers: [("Authorization", authorization), ("X-Amz-Region-Set", "eu-west-1")]
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            ..RequestHead::default()
        };
        read(&head, &decode_pairs(query), &[])
    }

    fn parts(scope: &Scope) -> [&str; 3] {
        [&scope.access_key_id, &scope.region, &scope.service]
            .map(|part| part.as_deref().unwrap_or("-"))
    }

    #[test]
    fn every_form_of_a_signature_says_who_where_and_what() {
        let cases = [
            (
                "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/iam/aws4_request, SignedHeaders=host",
                "",
                ["AK", "us-east-1", "iam"],
            ),
            (
                "AWS4-HMAC-SHA256 Credential=a/b/20260101/r/s3/aws4_request,Signature=0",
                "",
                ["a/b", "r", "s3"],
            ),
            (
                "AWS4-ECDSA-P256-SHA256 Credential=AK/20260101/s3/aws4_request, Signature=0",
                "",
                ["AK", "eu-west-1", "s3"],
            ),
            ("AWS AK:c2ln", "", ["AK", "-", "s3"]),
            ("", "X-Amz-Credential=AK%2F20260101%2Fr%2Fsts%2Faws4_request", ["AK", "r", "sts"]),
            (
                "",
                "X-Amz-Algorithm=AWS4-ECDSA-P256-SHA256&X-Amz-Credential=AK/20260101/s3/aws4_request&X-Amz-Region-Set=*",
                ["AK", "-", "s3"],
            ),
            ("", "AWSAccessKeyId=AK&Expires=1&Signature=s", ["AK", "-", "s3"]),
            ("", "AWSAccessKeyId=AK&SignatureVersion=2&Action=Select", ["AK", "-", "-"]),
            ("Bearer token", "", ["-", "-", "-"]),
            ("AWS4-HMAC-SHA256 Credential=", "", ["-", "-", "-"]),
            ("AWS4-HMAC-SHA256", "", ["-", "-", "-"]),
            ("AWS4-HMAC-SHA256 Credential=AK/d/r/<svc>/aws4_request", "", ["AK", "r", "-"]),
        ];
        for (authorization, query, want) in cases {
            assert_eq!(parts(&scope(authorization, query)), want, "{authorization} ? {query}");
        }
    }

    #[test]
    fn a_region_is_never_longer_than_the_journal_keeps() {
        for (length, kept) in [(128, true), (129, false), (256, false)] {
            let region = "r".repeat(length);
            let text = format!("AWS4-HMAC-SHA256 Credential=AK/20260101/{region}/iam/aws4_request");
            assert_eq!(scope(&text, "").region.is_some(), kept, "{length}");
        }
    }
}
