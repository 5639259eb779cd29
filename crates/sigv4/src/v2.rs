//! Signature Version 2 as S3 takes it: in `Authorization: AWS …` and in
//! presigned URLs. Old, and still what stock clients presign with by default.
//!
//! Only S3's form is proved; that of the query APIs stays a mere claim. It
//! covers no body: what it proves is who asks, not what arrives.
//!
//! Source: S3 Developer Guide, "Signing and authenticating REST requests".

use crate::SecretText;
use crate::verify::{SKEW_MAX_SECONDS, VerifyError};
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use trailbox_clock::Micros;
use trailbox_exchange::RequestHead;

/// Query members that are part of the resource: an unsigned one would turn a
/// presigned URL into another operation, so all that S3 has stand here.
const SUBRESOURCES: [&str; 42] = [
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

/// The session token of a request signed by Version 2.
#[must_use]
pub fn v2_session_token(head: &RequestHead) -> Option<SecretText> {
    let token = head.headers.get("x-amz-security-token").map(str::to_owned);
    token.or_else(|| Some(head.query_value("x-amz-security-token")?.into_owned())).map(Into::into)
}

/// Proves an S3 request signed by Version 2 under `secret`.
///
/// # Errors
///
/// A time more than 15 minutes off, a presigned URL past its time, or a
/// signature that is not the request's.
pub fn verify_v2(head: &RequestHead, secret: &[u8], now: Micros) -> Result<(), VerifyError> {
    let signed = Signed::read(head).ok_or(VerifyError::WrongSignature)?;
    signed.in_time(now)?;
    let key = hmac::Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let start = signed.start(head);
    let proved = resources(head).iter().any(|resource| {
        let text = format!("{start}{resource}");
        hmac::verify(&key, text.as_bytes(), &signed.signature).is_ok()
    });
    if proved { Ok(()) } else { Err(VerifyError::WrongSignature) }
}

/// What a request says of its own signature.
struct Signed {
    signature: Vec<u8>,
    /// `Date`, empty when `x-amz-date` stands in, or `Expires`.
    date: String,
    moment: Moment,
}

enum Moment {
    Sent(Micros),
    Until(Micros),
}

impl Signed {
    fn read(head: &RequestHead) -> Option<Self> {
        if let Some(header) = head.headers.get("authorization") {
            let (_, signature) = header.trim().strip_prefix("AWS ")?.rsplit_once(':')?;
            let amz = head.headers.get("x-amz-date");
            let date = if amz.is_some() { "" } else { head.headers.get("date")? };
            let sent = http_date(amz.unwrap_or(date))?;
            let (signature, date) = (BASE64.decode(signature).ok()?, date.to_owned());
            return Some(Self { signature, date, moment: Moment::Sent(sent) });
        }
        let date = head.query_value("Expires")?.into_owned();
        let until = Micros::from_seconds(date.parse().ok()?);
        let signature = BASE64.decode(head.query_value("Signature")?.as_bytes()).ok()?;
        Some(Self { signature, date, moment: Moment::Until(until) })
    }

    fn in_time(&self, now: Micros) -> Result<(), VerifyError> {
        match self.moment {
            Moment::Until(expired_at) if expired_at < now => {
                Err(VerifyError::Expired { expired_at, now })
            }
            Moment::Sent(signed_at)
                if SKEW_MAX_SECONDS < signed_at.seconds().abs_diff(now.seconds()).cast_signed() =>
            {
                Err(VerifyError::Skew { signed_at, now })
            }
            Moment::Until(_) | Moment::Sent(_) => Ok(()),
        }
    }

    /// Everything that is signed before the resource.
    fn start(&self, head: &RequestHead) -> String {
        let field = |name: &str| {
            let held = head.headers.get(name).map(str::to_owned);
            held.or_else(|| Some(head.query_value(name)?.into_owned())).unwrap_or_default()
        };
        let mut text = format!(
            "{}\n{}\n{}\n{}\n",
            head.method,
            field("content-md5").trim(),
            field("content-type").trim(),
            self.date
        );
        for (name, values) in amz_fields(head) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}:{}", values.join(","));
        }
        text
    }
}

/// `x-amz-*` of the headers and, in a presigned URL, of the query.
fn amz_fields(head: &RequestHead) -> BTreeMap<String, Vec<String>> {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |name: &str, value: &str| {
        let name = name.to_ascii_lowercase();
        if name.starts_with("x-amz-") {
            fields.entry(name).or_default().push(value.trim().to_owned());
        }
    };
    for (name, value) in head.headers.iter() {
        add(&String::from_utf8_lossy(name), &String::from_utf8_lossy(value));
    }
    if !head.headers.contains("authorization") {
        for (name, value) in head.query_pairs() {
            add(&name, &value);
        }
    }
    fields
}

/// The resource in path style and, where the host has labels, with its bucket in front.
fn resources(head: &RequestHead) -> Vec<String> {
    let (path, host) = (head.path(), head.host());
    let mut paths = vec![path.to_owned()];
    if let Some((label, _)) = host.split_once('.') {
        paths.push(format!("/{label}{path}"));
    }
    if let Some((bucket, _)) = host.split_once(".s3") {
        paths.push(format!("/{bucket}{path}"));
    }
    let rest = subresources(head);
    paths.into_iter().map(|path| path + &rest).collect()
}

fn subresources(head: &RequestHead) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (name, value) in head.query_pairs() {
        if !SUBRESOURCES.contains(&&*name) {
            continue;
        }
        // `?acl` and `?acl=` are one resource; a value is signed decoded.
        parts.push(if value.is_empty() { name.into_owned() } else { format!("{name}={value}") });
    }
    parts.sort();
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

fn http_date(text: &str) -> Option<Micros> {
    let parsed = OffsetDateTime::parse(text, &Rfc2822).map(Micros::from_date_time);
    parsed.ok().or_else(|| Micros::parse_amz_date(text).ok())
}

#[cfg(test)]
mod tests {
    use super::{v2_session_token, verify_v2};
    use crate::VerifyError;
    use trailbox_clock::Micros;
    use trailbox_exchange::{Headers, RequestHead};

    const SECRET: &[u8] = b"sEcReT/Key+example";
    /// 2026-11-22T17:30:00Z.
    const NOW: Micros = Micros::from_seconds(1_795_368_600);

    fn head(method: &str, target: &str, fields: &[(&'static str, &'static str)]) -> RequestHead {
        let headers: Headers = fields.iter().copied().collect();
        RequestHead { method: method.to_owned(), target: target.to_owned(), headers }
    }

    /// As botocore 1.43.11 signs them (`HmacV1Auth`, `HmacV1QueryAuth`).
    fn requests() -> Vec<RequestHead> {
        let date = "Sun, 22 Nov 2026 17:30:00 GMT";
        vec![
            head(
                "GET",
                "/reports/a%20b?uploads&x=1",
                &[
                    ("Host", "localhost:4747"),
                    ("Date", date),
                    ("Authorization", "AWS AKIAEXAMPLE:AYAGzYFSmJW1+rOy1NP2xkctvsc="),
                ],
            ),
            head(
                "PUT",
                "/reports/k",
                &[
                    ("Host", "localhost:4747"),
                    ("Content-Type", "text/plain"),
                    ("x-amz-meta-a", " one "),
                    ("X-Amz-Acl", "private"),
                    ("x-amz-security-token", "tok+en/="),
                    ("Date", date),
                    ("Authorization", "AWS ASIAEXAMPLE:F6xh83Ad2q73nEdMe9RcTdtaUks="),
                ],
            ),
            head(
                "GET",
                "/reports/k?response-content-type=text%2Fx%20y&AWSAccessKeyId=ASIAEXAMPLE\
                 &Signature=P7mZPSYWoQ%2FHcZqnKtkeUHmE%2Bn8%3D\
                 &x-amz-security-token=tok%2Ben%2F%3D&Expires=1795372200",
                &[("Host", "localhost:4747")],
            ),
            head(
                "GET",
                "/k?AWSAccessKeyId=AKIAEXAMPLE&Signature=aV93H%2FenVJ0p%2FLgn43ywsdtfCro%3D\
                 &Expires=1795372200",
                &[("Host", "reports.localhost:4747")],
            ),
        ]
    }

    #[test]
    fn what_botocore_signs_is_proved_and_with_another_secret_never() {
        for request in requests() {
            assert_eq!(verify_v2(&request, SECRET, NOW), Ok(()), "{request:?}");
            let wrong = verify_v2(&request, b"another", NOW);
            assert_eq!(wrong, Err(VerifyError::WrongSignature), "{request:?}");
        }
    }

    #[test]
    fn another_method_path_or_subresource_is_not_what_was_signed() {
        for request in requests() {
            let method = RequestHead { method: "DELETE".to_owned(), ..request.clone() };
            let path = RequestHead { target: format!("/x{}", request.target), ..request.clone() };
            let joint = if request.target.contains('?') { '&' } else { '?' };
            let target = format!("{}{joint}acl", request.target);
            let more = RequestHead { target, ..request.clone() };
            for bad in [method, path, more] {
                assert!(verify_v2(&bad, SECRET, NOW).is_err(), "{bad:?}");
            }
        }
    }

    #[test]
    fn a_presigned_url_ends_and_a_header_is_fresh() {
        let late = NOW.plus(3601 * 1_000_000);
        for request in requests() {
            let refused = verify_v2(&request, SECRET, late).unwrap_err();
            let in_query = !request.headers.contains("authorization");
            assert_eq!(matches!(refused, VerifyError::Expired { .. }), in_query, "{refused}");
            assert_eq!(matches!(refused, VerifyError::Skew { .. }), !in_query, "{refused}");
        }
    }

    #[test]
    fn a_token_is_found_in_either_place() {
        let tokens = requests().iter().map(v2_session_token).collect::<Vec<_>>();
        assert_eq!(tokens.iter().filter(|token| token.is_some()).count(), 2);
        assert_eq!(
            tokens[2].as_ref().map(|token| token.expose().to_owned()),
            Some("tok+en/=".into())
        );
    }
}
