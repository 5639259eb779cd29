//! Signs a request anew, under another key: what is sent to an upstream that
//! does not know the caller's.
//!
//! Start reading at [`resign`]. Whether the caller may have that signature is
//! asked before; whatever of the old one could be seen is named by
//! [`is_of_signature`] and removed by [`query_without_signature`].

use crate::canonical;
use crate::claim::Signature;
use crate::keys::{SigningKey, SigningKeyCache};
use crate::payload::Payload;
use crate::secret::SecretText;
use crate::stream::ChunkEncoder;
use crate::verify::{Verified, VerifyError, string_to_sign};
use percent_encoding::percent_decode_str;
use trailbox_clock::Micros;
use trailbox_exchange::RequestHead;

/// Whom a request is signed for: the key we have at an upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The access key id.
    pub access_key_id: String,
    /// The secret key.
    pub secret: SecretText,
    /// The session token of a temporary key.
    pub session_token: Option<SecretText>,
}

/// A request to sign anew.
#[derive(Debug, Clone, Copy)]
pub struct Resign<'a> {
    /// As it will be sent, `Host` included, without any signature.
    pub head: &'a RequestHead,
    /// Names to sign beside `host` and every `x-amz-` field: what the client
    /// signed. One that no field carries is left out.
    pub signed_headers: &'a [String],
    /// What is said about the body.
    pub payload: &'a Payload,
    /// The SHA-256 of the body, where `payload` says nothing.
    pub body_hash: Option<[u8; 32]>,
    /// Region, such as `us-east-1`.
    pub region: &'a str,
    /// Signing name of the service, such as `s3`.
    pub service: &'a str,
    /// When the request is sent.
    pub now: Micros,
}

/// A new signature: the fields that carry it, and what its chunks go on from.
#[derive(Debug)]
pub struct Resigned {
    /// Fields to add behind the others: `x-amz-date`, `x-amz-content-sha256`,
    /// `x-amz-security-token` where the key has one, `authorization`.
    pub fields: Vec<(&'static str, String)>,
    /// Signs the chunks, where `payload` promises signed ones.
    pub encoder: Option<ChunkEncoder>,
}

/// Whether a field belongs to a signature, so that it must not be sent on with
/// another. `version_2`: the request was signed by Version 2, which signs `Date`.
#[must_use]
pub fn is_of_signature(name: &[u8], version_2: bool) -> bool {
    const NAMES: [&str; 4] =
        ["authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"];
    let date = version_2 && name.eq_ignore_ascii_case(b"date");
    date || NAMES.iter().any(|held| name.eq_ignore_ascii_case(held.as_bytes()))
}

/// The query of a presigned URL without its signature; what remains keeps its
/// bytes and its order.
#[must_use]
pub fn query_without_signature(query: &str, version_2: bool) -> String {
    const V4: [&str; 8] = [
        "X-Amz-Algorithm",
        "X-Amz-Content-SHA256",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "X-Amz-SignedHeaders",
    ];
    const V2: [&str; 4] = ["AWSAccessKeyId", "Expires", "Signature", "x-amz-security-token"];
    let names: &[&str] = if version_2 { &V2 } else { &V4 };
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
            let name = percent_decode_str(name).decode_utf8_lossy();
            !names.iter().any(|held| name.eq_ignore_ascii_case(held))
        })
        .collect();
    kept.join("&")
}

/// Signs `request` as `signer`; `keys` keeps what is derived for the day.
///
/// The payload form is kept: a hash stays the same hash, chunks need signatures
/// of their own from [`Resigned::encoder`].
///
/// # Errors
///
/// [`VerifyError::BodyHashNeeded`] where nothing is said about the body and its
/// hash is not given; [`VerifyError::PayloadForm`] for forms of SigV4A and for
/// event streams, whose every event is signed.
pub fn resign(
    request: &Resign<'_>,
    signer: &Signer,
    keys: &SigningKeyCache,
) -> Result<Resigned, VerifyError> {
    let chunks = match request.payload {
        Payload::StreamingV4a | Payload::StreamingV4aTrailer | Payload::StreamingEvents => {
            return Err(VerifyError::PayloadForm);
        }
        Payload::StreamingSigned | Payload::StreamingSignedTrailer => true,
        Payload::Unsigned
        | Payload::Signed(_)
        | Payload::StreamingUnsignedTrailer
        | Payload::EmptyImplied => false,
    };
    let payload = request.payload.line(request.body_hash).ok_or(VerifyError::BodyHashNeeded)?;
    let amz_date = request.now.to_amz_date();
    let mut fields =
        vec![("x-amz-date", amz_date.clone()), ("x-amz-content-sha256", payload.clone())];
    let token = signer.session_token.as_ref().map(SecretText::expose);
    fields.extend(token.map(|token| ("x-amz-security-token", token.to_owned())));

    let date = amz_date.get(..8).unwrap_or_default();
    let scope = format!("{date}/{}/{}/aws4_request", request.region, request.service);
    let place = [date, request.region, request.service];
    let key = keys.get_for(&signer.access_key_id, &signer.secret, place);
    let (names, signature) = signature(request, &fields, &payload, &key, &amz_date, &scope);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        signer.access_key_id,
        hex::encode(signature)
    );
    fields.push(("authorization", authorization));
    let seed = chunks.then(|| Verified {
        key,
        amz_date,
        scope,
        seed: Signature(signature),
        payload: request.payload.clone(),
        decoded_length: None,
    });
    Ok(Resigned { fields, encoder: seed.map(ChunkEncoder::after) })
}

/// Signed names and signature.
fn signature(
    request: &Resign<'_>,
    fields: &[(&'static str, String)],
    payload: &str,
    key: &SigningKey,
    amz_date: &str,
    scope: &str,
) -> (String, [u8; 32]) {
    let mut headers = request.head.headers.clone();
    for (name, value) in fields {
        headers.push(*name, value.clone());
    }
    let mut names: Vec<String> = headers
        .iter()
        .map(|(name, _)| String::from_utf8_lossy(name).to_ascii_lowercase())
        .filter(|name| {
            name == "host" || name.starts_with("x-amz-") || request.signed_headers.contains(name)
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    // Servers decode the path and encode it again: the last form is that one for S3.
    let mut paths = canonical::paths(request.head.path(), request.service);
    let at = if canonical::is_s3(request.service) { paths.len() - 1 } else { 0 };
    let path = paths.swap_remove(at);
    let query = canonical::queries(request.head.query(), false).swap_remove(0);
    // Every name was taken from `headers`, so no line is missing.
    let lines = canonical::header_lines(&headers, &names).unwrap_or_default();
    let names = names.join(";");
    let text = canonical::request(request.head, &path, &query, &lines, &names, payload);
    (names, key.sign(&string_to_sign(amz_date, scope, &text)))
}

#[cfg(test)]
mod tests {
    use super::{is_of_signature, query_without_signature};

    #[test]
    fn a_query_loses_its_signature_and_nothing_else() {
        let cases = [
            ("", false, ""),
            ("acl", false, "acl"),
            (
                "X-Amz-Algorithm=A&b=%2f&X-Amz-Credential=C&X-Amz-Date=D&a=1+2&X-Amz-Expires=9\
                 &X-Amz-SignedHeaders=host&X%2DAmz-Security-Token=t&X-Amz-Content-Sha256=h\
                 &x-amz-acl=private&&X-Amz-Signature=s",
                false,
                "b=%2f&a=1+2&x-amz-acl=private&",
            ),
            (
                "AWSAccessKeyId=K&Signature=s&uploads&Expires=9&x-amz-security-token=t",
                true,
                "uploads",
            ),
            ("Expires=9&Signature=s", false, "Expires=9&Signature=s"),
        ];
        for (query, version_2, want) in cases {
            assert_eq!(query_without_signature(query, version_2), want, "{query}");
        }
    }

    #[test]
    fn date_is_of_a_signature_by_version_2_only() {
        assert!(is_of_signature(b"AUTHORIZATION", false) && is_of_signature(b"X-Amz-Date", false));
        assert!(is_of_signature(b"Date", true) && !is_of_signature(b"Date", false));
        assert!(!is_of_signature(b"x-amz-copy-source", true));
    }
}
