//! Reads claims out of a request head: header, presigned query, SigV4A, SigV2.

use crate::claim::{
    ACCESS_KEY_ID_MAX, Claim, ClaimProblem, EXPIRES_MAX_SECONDS, MalformedClaim,
    SIGNED_HEADERS_MAX, Signature, V4Claim, V4aClaim,
};
use crate::payload::payload_of;
use crate::secret::SecretText;
use std::borrow::Cow;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use trailbox_clock::Micros;
use trailbox_exchange::RequestHead;

const HMAC: &str = "AWS4-HMAC-SHA256";
const ECDSA: &str = "AWS4-ECDSA-P256-SHA256";

/// Reads what `head` says about its sender; believes none of it.
///
/// Looks at the `Authorization` header and at the query of presigned URLs.
/// A claim inside a form body (browser uploads, SigV2 query APIs) is not seen.
///
/// Source: IAM User Guide, "Create a signed AWS API request"; S3 API Reference,
/// "Authenticating Requests (AWS Signature Version 4)".
#[must_use]
pub fn claim(head: &RequestHead) -> Claim {
    let in_query = query_is_signed(head.query());
    if !head.headers.contains("authorization") {
        return if in_query { claim_in_query(head) } else { Claim::Anonymous };
    }
    let text = match the_only_header(head, "authorization") {
        Ok(text) => text.unwrap_or("").trim(),
        Err(problem) => return malformed(problem, None, false),
    };
    if in_query {
        return malformed(ClaimProblem::TwoClaims, header_key(text), false);
    }
    let (scheme, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    match scheme {
        HMAC => v4_in_header(head, rest),
        ECDSA => v4a_in_header(head, rest),
        "AWS" => v2_in_header(rest),
        _ if scheme.starts_with("AWS4-") => {
            malformed(ClaimProblem::Algorithm { found: cut(scheme, 64) }, header_key(text), false)
        }
        _ => Claim::Foreign { scheme: cut(scheme, 32) },
    }
}

/// The access key id of a header that is wrong elsewhere.
fn header_key(text: &str) -> Option<String> {
    let credential = text.split_once("Credential=")?.1;
    let key = credential.split_once('/')?.0;
    (!key.is_empty() && key.len() <= ACCESS_KEY_ID_MAX).then(|| key.to_owned())
}

fn query_is_signed(query: &str) -> bool {
    ["X-Amz-Algorithm=", "X-Amz-Signature=", "X-Amz-Credential=", "AWSAccessKeyId="]
        .iter()
        .any(|name| query.split('&').any(|pair| pair.starts_with(name)))
}

/// The parts of an `Authorization` header behind the scheme.
struct HeaderParts<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
}

fn header_parts(rest: &str) -> Result<HeaderParts<'_>, ClaimProblem> {
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    for part in rest.split(',') {
        let Some((name, value)) = part.trim().split_once('=') else { continue };
        let (slot, name) = match name.trim() {
            "Credential" => (&mut credential, "Credential"),
            "SignedHeaders" => (&mut signed_headers, "SignedHeaders"),
            "Signature" => (&mut signature, "Signature"),
            _ => continue,
        };
        if slot.replace(value.trim()).is_some() {
            return Err(ClaimProblem::Repeated { name });
        }
    }
    Ok(HeaderParts {
        credential: credential.ok_or(ClaimProblem::Missing { part: "Credential" })?,
        signed_headers: signed_headers.ok_or(ClaimProblem::Missing { part: "SignedHeaders" })?,
        signature: signature.ok_or(ClaimProblem::Missing { part: "Signature" })?,
    })
}

fn v4_in_header(head: &RequestHead, rest: &str) -> Claim {
    read_v4_header(head, rest)
        .map_or_else(|problem| malformed(problem, header_key(rest), false), Claim::V4)
}

fn read_v4_header(head: &RequestHead, rest: &str) -> Result<V4Claim, ClaimProblem> {
    let parts = header_parts(rest)?;
    let scope = read_credential(parts.credential)?;
    let signed_headers = read_signed_headers(parts.signed_headers)?;
    let payload = payload_of(head, scope.service, false, &signed_headers)
        .map_err(|found| ClaimProblem::Payload { found })?;
    Ok(V4Claim {
        access_key_id: scope.key.to_owned(),
        date: scope.date.to_owned(),
        region: scope.region.to_owned(),
        service: scope.service.to_owned(),
        in_query: false,
        session_token: the_only_header(head, "x-amz-security-token")?.map(SecretText::from),
        payload,
        signed_headers,
        signed_at: header_date(head)?,
        expires: None,
        decoded_length: decoded_length(head)?,
        signature: read_signature(parts.signature)?,
    })
}

fn v4a_in_header(head: &RequestHead, rest: &str) -> Claim {
    let read = || {
        let parts = header_parts(rest)?;
        let (key, date, service) = read_v4a_credential(parts.credential)?;
        let signed_headers = read_signed_headers(parts.signed_headers)?;
        Ok(V4aClaim {
            access_key_id: key.to_owned(),
            date: date.to_owned(),
            service: service.to_owned(),
            region_set: head.headers.get("x-amz-region-set").unwrap_or("").trim().to_owned(),
            in_query: false,
            session_token: the_only_header(head, "x-amz-security-token")?.map(SecretText::from),
            payload: payload_of(head, service, false, &signed_headers)
                .map_err(|found| ClaimProblem::Payload { found })?,
        })
    };
    read().map_or_else(|problem| malformed(problem, header_key(rest), false), Claim::V4a)
}

fn v2_in_header(rest: &str) -> Claim {
    match rest.trim().split_once(':') {
        Some((key, signature))
            if !key.is_empty() && key.len() <= ACCESS_KEY_ID_MAX && !signature.is_empty() =>
        {
            Claim::V2 { access_key_id: key.to_owned(), in_query: false }
        }
        _ => malformed(ClaimProblem::VersionTwo, None, false),
    }
}

type Pairs<'a> = [(Cow<'a, str>, Cow<'a, str>)];

fn claim_in_query(head: &RequestHead) -> Claim {
    let pairs = head.query_pairs();
    let get = |name| the_only_pair(&pairs, name);
    let key = || {
        let credential = get("X-Amz-Credential").ok().flatten()?;
        header_key(&format!("Credential={credential}"))
    };
    if let (Ok(None), Ok(Some(key))) = (get("X-Amz-Algorithm"), get("AWSAccessKeyId")) {
        let well = !key.is_empty() && key.len() <= ACCESS_KEY_ID_MAX;
        return match get("Signature") {
            Ok(Some(_)) if well => Claim::V2 { access_key_id: key.to_owned(), in_query: true },
            Ok(_) => malformed(ClaimProblem::Missing { part: "Signature" }, None, true),
            Err(problem) => malformed(problem, None, true),
        };
    }
    let claim = match get("X-Amz-Algorithm") {
        Ok(Some(HMAC)) => read_v4_query(head, &pairs).map(Claim::V4),
        Ok(Some(ECDSA)) => read_v4a_query(head, &pairs).map(Claim::V4a),
        Ok(Some(found)) => Err(ClaimProblem::Algorithm { found: cut(found, 64) }),
        Ok(None) => Err(ClaimProblem::Missing { part: "X-Amz-Algorithm" }),
        Err(problem) => Err(problem),
    };
    claim.unwrap_or_else(|problem| malformed(problem, key(), true))
}

fn read_v4_query(head: &RequestHead, pairs: &Pairs<'_>) -> Result<V4Claim, ClaimProblem> {
    let need = |part| the_only_pair(pairs, part)?.ok_or(ClaimProblem::Missing { part });
    let scope = read_credential(need("X-Amz-Credential")?)?;
    let signed_headers = read_signed_headers(need("X-Amz-SignedHeaders")?)?;
    let date = need("X-Amz-Date")?;
    let payload = payload_of(head, scope.service, true, &signed_headers)
        .map_err(|found| ClaimProblem::Payload { found })?;
    Ok(V4Claim {
        access_key_id: scope.key.to_owned(),
        date: scope.date.to_owned(),
        region: scope.region.to_owned(),
        service: scope.service.to_owned(),
        in_query: true,
        session_token: token_in_query(head, pairs)?,
        payload,
        signed_headers,
        signed_at: amz_date(date)?,
        expires: Some(read_expires(need("X-Amz-Expires")?)?),
        decoded_length: decoded_length(head)?,
        signature: read_signature(need("X-Amz-Signature")?)?,
    })
}

fn read_v4a_query(head: &RequestHead, pairs: &Pairs<'_>) -> Result<V4aClaim, ClaimProblem> {
    let need = |part| the_only_pair(pairs, part)?.ok_or(ClaimProblem::Missing { part });
    let (key, date, service) = read_v4a_credential(need("X-Amz-Credential")?)?;
    let signed_headers = read_signed_headers(need("X-Amz-SignedHeaders")?)?;
    need("X-Amz-Signature")?;
    Ok(V4aClaim {
        access_key_id: key.to_owned(),
        date: date.to_owned(),
        service: service.to_owned(),
        region_set: the_only_pair(pairs, "X-Amz-Region-Set")?.unwrap_or("").to_owned(),
        in_query: true,
        session_token: token_in_query(head, pairs)?,
        payload: payload_of(head, service, true, &signed_headers)
            .map_err(|found| ClaimProblem::Payload { found })?,
    })
}

fn token_in_query(
    head: &RequestHead,
    pairs: &Pairs<'_>,
) -> Result<Option<SecretText>, ClaimProblem> {
    if let Some(token) = the_only_pair(pairs, "X-Amz-Security-Token")? {
        return Ok(Some(token.into()));
    }
    Ok(the_only_header(head, "x-amz-security-token")?.map(SecretText::from))
}

struct Scope<'a> {
    key: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
}

/// Read from the right: an upstream's access key id may hold a slash.
fn read_credential(text: &str) -> Result<Scope<'_>, ClaimProblem> {
    let bad = |reason| ClaimProblem::Credential { reason };
    let mut parts = text.rsplitn(5, '/');
    let mut next = || parts.next().ok_or(bad("it has fewer than five parts"));
    let (end, service, region, date, key) = (next()?, next()?, next()?, next()?, next()?);
    check_ends(key, date, end)?;
    if service.is_empty() || service.len() > 128 || !is_scope_text(service) {
        return Err(bad("the service is empty or has impossible characters"));
    }
    if region.is_empty() || region.len() > 128 || !is_scope_text(region) {
        return Err(bad("the Region is empty or has impossible characters"));
    }
    Ok(Scope { key, date, region, service })
}

fn read_v4a_credential(text: &str) -> Result<(&str, &str, &str), ClaimProblem> {
    let bad = |reason| ClaimProblem::Credential { reason };
    let mut parts = text.rsplitn(4, '/');
    let mut next = || parts.next().ok_or(bad("it has fewer than four parts"));
    let (end, service, date, key) = (next()?, next()?, next()?, next()?);
    check_ends(key, date, end)?;
    if service.is_empty() || service.len() > 128 || !is_scope_text(service) {
        return Err(bad("the service is empty or has impossible characters"));
    }
    Ok((key, date, service))
}

fn check_ends(key: &str, date: &str, end: &str) -> Result<(), ClaimProblem> {
    let bad = |reason| Err(ClaimProblem::Credential { reason });
    if end != "aws4_request" {
        return bad("it does not end with aws4_request");
    }
    if date.len() != 8 || !date.bytes().all(|b| b.is_ascii_digit()) {
        return bad("the date is not yyyymmdd");
    }
    if key.is_empty() || key.len() > ACCESS_KEY_ID_MAX || key.chars().any(char::is_control) {
        return bad("the access key id is empty, too long or has control characters");
    }
    Ok(())
}

fn is_scope_text(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.*".contains(&b))
}

fn read_signed_headers(text: &str) -> Result<Vec<String>, ClaimProblem> {
    let fits = |name: &str| {
        !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase() && b != b',')
    };
    let mut names = Vec::new();
    for name in text.split(';') {
        if names.len() == SIGNED_HEADERS_MAX || !fits(name) || names.iter().any(|held| held == name)
        {
            return Err(ClaimProblem::SignedHeaders);
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

fn read_signature(text: &str) -> Result<Signature, ClaimProblem> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| ClaimProblem::Signature)?;
    Ok(Signature(bytes))
}

fn read_expires(text: &str) -> Result<u32, ClaimProblem> {
    text.parse()
        .ok()
        .filter(|seconds| (1..=EXPIRES_MAX_SECONDS).contains(seconds))
        .ok_or_else(|| ClaimProblem::Expires { found: cut(text, 32) })
}

fn decoded_length(head: &RequestHead) -> Result<Option<u64>, ClaimProblem> {
    the_only_header(head, "x-amz-decoded-content-length")?
        .map(|text| {
            let text = text.trim();
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            text.parse()
                .ok()
                .filter(|_| digits)
                .ok_or_else(|| ClaimProblem::DecodedLength { found: cut(text, 32) })
        })
        .transpose()
}

/// `X-Amz-Date` wins over `Date`, as in every AWS service.
fn header_date(head: &RequestHead) -> Result<Micros, ClaimProblem> {
    if let Some(text) = the_only_header(head, "x-amz-date")? {
        return amz_date(text.trim());
    }
    let text =
        the_only_header(head, "date")?.ok_or(ClaimProblem::Missing { part: "X-Amz-Date" })?.trim();
    Micros::parse_amz_date(text)
        .or_else(|_| OffsetDateTime::parse(text, &Rfc2822).map(Micros::from_date_time))
        .map_err(|_| ClaimProblem::Date { found: cut(text, 64) })
}

fn amz_date(text: &str) -> Result<Micros, ClaimProblem> {
    Micros::parse_amz_date(text).map_err(|_| ClaimProblem::Date { found: cut(text, 64) })
}

fn the_only_header<'a>(
    head: &'a RequestHead,
    name: &'static str,
) -> Result<Option<&'a str>, ClaimProblem> {
    let mut found = head
        .headers
        .iter()
        .filter(|(held, _)| held.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value);
    let Some(first) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(ClaimProblem::Repeated { name });
    }
    std::str::from_utf8(first).map(Some).map_err(|_| ClaimProblem::NotText { name })
}

fn the_only_pair<'a>(
    pairs: &'a Pairs<'_>,
    name: &'static str,
) -> Result<Option<&'a str>, ClaimProblem> {
    let mut found = pairs.iter().filter(|(held, _)| held == name).map(|(_, value)| &**value);
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(ClaimProblem::Repeated { name }),
    }
}

fn malformed(problem: ClaimProblem, access_key_id: Option<String>, in_query: bool) -> Claim {
    Claim::Malformed(MalformedClaim { problem, access_key_id, in_query })
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}
