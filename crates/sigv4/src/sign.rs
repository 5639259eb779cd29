//! Signatures for calls of our own: the demo, the command line, tests.

use crate::canonical::{self, encode};
use crate::keys::SigningKey;
use crate::verify::string_to_sign;
use aws_lc_rs::digest::{SHA256, digest};
use trailbox_clock::Micros;
use trailbox_exchange::{Headers, RequestHead};

/// Headers that proxies may change or that a client library adds late.
const NEVER_SIGNED: [&str; 9] = [
    "authorization",
    "connection",
    "expect",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "x-amzn-trace-id",
];

/// A request to sign.
#[derive(Clone, Copy)]
pub struct SignRequest<'a> {
    /// `GET`, `PUT`, ….
    pub method: &'a str,
    /// Path and query as they will stand on the wire, percent-encoded.
    pub target: &'a str,
    /// The headers that will be sent; `host` must be among them.
    pub headers: &'a [(String, String)],
    /// The whole body; ignored where only its promise is signed.
    pub body: &'a [u8],
    /// The access key id.
    pub access_key_id: &'a str,
    /// The secret key.
    pub secret: &'a str,
    /// The session token of a temporary key.
    pub session_token: Option<&'a str>,
    /// Region, such as `us-east-1`.
    pub region: &'a str,
    /// Signing name of the service, such as `s3`.
    pub service: &'a str,
    /// When the request is sent.
    pub now: Micros,
}

impl std::fmt::Debug for SignRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignRequest")
            .field("method", &self.method)
            .field("access_key_id", &self.access_key_id)
            .field("region", &self.region)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl SignRequest<'_> {
    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::derive(self.secret.as_bytes(), &self.date(), self.region, self.service)
    }

    pub(crate) fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.date(), self.region, self.service)
    }

    fn date(&self) -> String {
        self.now.to_amz_date().chars().take(8).collect()
    }
}

/// Headers to add to `request` so that it is signed, body included.
///
/// They are `x-amz-date`, `x-amz-content-sha256`, `x-amz-security-token` where
/// there is one, and `authorization`.
#[must_use]
pub fn sign(request: SignRequest<'_>) -> Vec<(String, String)> {
    let payload = hex::encode(digest(&SHA256, request.body));
    sign_with_payload(&request, &payload, &[]).0
}

/// Signs with the given payload line; also returns the signature, the seed of chunks.
pub(crate) fn sign_with_payload(
    request: &SignRequest<'_>,
    payload: &str,
    more: &[(&str, String)],
) -> (Vec<(String, String)>, [u8; 32]) {
    let amz_date = request.now.to_amz_date();
    let mut added = vec![
        ("x-amz-date".to_owned(), amz_date.clone()),
        ("x-amz-content-sha256".to_owned(), payload.to_owned()),
    ];
    added.extend(request.session_token.map(|t| ("x-amz-security-token".to_owned(), t.to_owned())));
    added.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let sent: Headers = request.headers.iter().chain(&added).cloned().collect();
    let names = signable_names(&sent);
    let signature = signature(request, request.target, &sent, &names, payload);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
        request.access_key_id,
        request.scope(),
        names.join(";"),
        hex::encode(signature)
    );
    added.push(("authorization".to_owned(), authorization));
    (added, signature)
}

/// The target of a presigned URL that is good for `expires_seconds`.
///
/// Signs `host` and every header given; a body is signed except for S3.
#[must_use]
pub fn presign(request: SignRequest<'_>, expires_seconds: u32) -> String {
    let sent: Headers = request.headers.iter().cloned().collect();
    let names = signable_names(&sent);
    let credential = format!("{}/{}", request.access_key_id, request.scope());
    let mut target = format!(
        "{}{}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date={}\
         &X-Amz-Expires={expires_seconds}&X-Amz-SignedHeaders={}",
        request.target,
        if request.target.contains('?') { '&' } else { '?' },
        encode(credential.as_bytes(), false),
        request.now.to_amz_date(),
        encode(names.join(";").as_bytes(), false),
    );
    if let Some(token) = request.session_token {
        target.push_str("&X-Amz-Security-Token=");
        target.push_str(&encode(token.as_bytes(), false));
    }
    let payload = if canonical::is_s3(request.service) {
        "UNSIGNED-PAYLOAD".to_owned()
    } else {
        hex::encode(digest(&SHA256, request.body))
    };
    let signature = signature(&request, &target, &sent, &names, &payload);
    format!("{target}&X-Amz-Signature={}", hex::encode(signature))
}

/// Names of the headers to sign: lower case, sorted, once each.
fn signable_names(sent: &Headers) -> Vec<String> {
    let mut names: Vec<String> = sent
        .iter()
        .map(|(name, _)| String::from_utf8_lossy(name).to_ascii_lowercase())
        .filter(|name| !NEVER_SIGNED.contains(&name.as_str()))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn signature(
    request: &SignRequest<'_>,
    target: &str,
    sent: &Headers,
    names: &[String],
    payload: &str,
) -> [u8; 32] {
    let head = RequestHead {
        method: request.method.to_owned(),
        target: target.to_owned(),
        headers: sent.clone(),
    };
    let first = |mut forms: Vec<String>| forms.swap_remove(0);
    let path = first(canonical::paths(head.path(), request.service));
    let query = first(canonical::queries(head.query(), false));
    // Every name was taken from `sent`, so no line is missing.
    let lines = canonical::header_lines(sent, names).unwrap_or_default();
    let text = canonical::request(&head, &path, &query, &lines, &names.join(";"), payload);
    let amz_date = request.now.to_amz_date();
    request.key().sign(&string_to_sign(&amz_date, &request.scope(), &text))
}
