//! Calls to an upstream that knows another key than their callers': proved
//! here, signed anew.
//!
//! The head keeps its fields, their order and their bytes, save the old
//! signature, `Host` and what the new signature says. A body passes as it came,
//! unless its chunks are signed: then they are framed anew ([`Rewrite`]). The
//! record is of the call as the client made it.
//!
//! Start reading at [`Call::sign_anew`].
//!
//! Not yet as AWS does it: in front of an upstream with `resign`, browser uploads
//! signed by a POST policy, event streams whose every event is signed, and access
//! points or directory buckets named in the host are answered with `NotImplemented`;
//! `SigV4A`, and Version 2 beside S3's, are not accepted.

use super::Call;
use super::local::Stop;
use super::rewrite::Rewrite;
use crate::answer::Refusal;
use crate::passage::Passage;
use crate::upstream::Resigning;
use crate::who::{self, Judge};
use crate::wire::{Framer, Framing, Step};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use trailbox_exchange::{Headers, RequestHead};
use trailbox_service_facts::RouteHints;
use trailbox_sigv4::{
    ChunkPlan, Claim, Payload, Resign, VerifyError, is_of_signature, query_without_signature,
    refusal, resign,
};

/// Most bytes of a body that is read whole because its hash is signed and
/// nobody told it: what Lambda takes as a function's code is the largest.
const WHOLE_MAX: usize = 80 << 20;
/// The same of a body whose length nobody told either.
const WHOLE_CHUNKED_MAX: usize = 4 << 20;

/// A request on its way up.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// The head, until it was sent.
    pub(super) head: Bytes,
    /// How the body is written anew; absent: as it came.
    pub(super) rewrite: Option<Box<Rewrite>>,
}

/// How a request was signed.
struct Told {
    payload: Payload,
    signed_headers: Vec<String>,
    region: Option<String>,
    service: String,
    version_2: bool,
    in_query: bool,
}

/// A head that is being put together: its bytes, and the same parsed.
struct Draft {
    raw: Vec<u8>,
    head: RequestHead,
}

impl Draft {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        let line = [name, b": ", value, b"\r\n"].concat();
        self.as_it_came(&line, name, value);
    }

    fn as_it_came(&mut self, line: &[u8], name: &[u8], value: &[u8]) {
        self.raw.extend_from_slice(line);
        self.head.headers.push(name.to_vec(), value.to_vec());
    }
}

impl Call<'_> {
    /// Who judges the caller.
    pub(super) fn judge(&self) -> Judge {
        let Some(upstream) = &self.upstream else {
            return Judge::Upstream;
        };
        match &upstream.resign {
            // Browsers ask with `OPTIONS` before they sign.
            Some(resign) => Judge::Resigned {
                anonymous: resign.anonymous || self.request.head.method == "OPTIONS",
            },
            None if upstream.engine => Judge::Own,
            None => Judge::Upstream,
        }
    }

    /// What nobody can sign anew, whoever asks.
    pub(super) fn cannot_be_signed_anew(&self) -> Option<Refusal> {
        self.resigning()?;
        let head = &self.request.head;
        let refused = |text: &str| Refusal::new("resign", 501, "NotImplemented", text);
        let media = head.headers.get("content-type").unwrap_or_default();
        let form = media.to_ascii_lowercase().starts_with("multipart/form-data");
        if form && head.method == "POST" && self.who.is_anonymous() && self.is_s3() {
            return Some(refused(
                "a browser upload is signed by its policy, which cannot be signed anew here; \
                 use a presigned PUT",
            ));
        }
        if self.bucket_of_host().is_some_and(|(bucket, behind)| !may_be_in_path(&bucket, &behind)) {
            return Some(refused(
                "what the host names is no plain bucket; only those can be signed anew here",
            ));
        }
        if head.query_pairs().iter().any(|(name, _)| is_copied(name)) {
            return Some(refused(
                "a presigned URL that names a source to copy cannot be signed anew; sign the \
                 field x-amz-copy-source instead",
            ));
        }
        if self.who.is_anonymous() {
            return None;
        }
        (self.told().payload == Payload::StreamingEvents).then(|| {
            refused("an event stream whose every event is signed cannot be signed anew here")
        })
    }

    /// Most bytes of the body that must be read before the call can be signed,
    /// or its own signature be judged: nobody is let through on the word that
    /// proof will follow. `None` when nothing need be known of the body.
    pub(super) fn whole_body_max(&self) -> Option<usize> {
        let anew = self.resigning().is_some()
            && !self.who.is_anonymous()
            && self.told().payload.needs_body_hash();
        let needed = anew || self.who.needs_body();
        let most = match self.request.framing {
            Framing::Length(_) => WHOLE_MAX,
            Framing::Chunked | Framing::UntilClose => WHOLE_CHUNKED_MAX,
        };
        let room = usize::try_from(self.shared.config.limits.buffered_bytes_max);
        needed.then(|| most.min(room.unwrap_or(usize::MAX)))
    }

    /// Prepares what is sent to an upstream with a key of its own. `buffer`
    /// begins with what came of the body.
    pub(super) fn sign_anew(&mut self, buffer: &[u8], body: &Passage) -> Result<(), Stop> {
        let Some(resigning) = self.resigning() else {
            return Ok(());
        };
        let made = if self.who.is_anonymous() {
            Ok(Outgoing { head: self.unsigned(resigning), rewrite: None })
        } else {
            self.signed_anew(resigning, buffer, body).map_err(|error| {
                let found = refusal::unproved(&error, who::dialect(&self.route));
                Refusal::new("resign", found.status, found.code, found.message)
            })
        };
        self.outgoing = Some(made?);
        Ok(())
    }

    fn resigning(&self) -> Option<&Resigning> {
        self.upstream.as_ref()?.resign.as_ref()
    }

    /// How the client signed. Who is vouched for by config need not have.
    fn told(&self) -> Told {
        let head = &self.request.head;
        let service = self.route.service.as_ref().map(|service| service.signing_name.clone());
        let service = service.unwrap_or_else(|| "s3".to_owned());
        match trailbox_sigv4::claim(head) {
            Claim::V4(claim) => Told {
                payload: claim.payload,
                signed_headers: claim.signed_headers,
                region: Some(claim.region),
                service: claim.service,
                version_2: false,
                in_query: claim.in_query,
            },
            claim @ (Claim::Anonymous
            | Claim::Foreign { .. }
            | Claim::V4a(_)
            | Claim::V2 { .. }
            | Claim::Malformed(_)) => {
                let said = head.headers.get("x-amz-content-sha256").map(str::trim);
                let payload = said.and_then(Payload::parse).unwrap_or(if service == "s3" {
                    Payload::Unsigned
                } else {
                    Payload::EmptyImplied
                });
                Told {
                    payload,
                    signed_headers: vec!["content-md5".to_owned(), "content-type".to_owned()],
                    region: None,
                    service,
                    version_2: matches!(claim, Claim::V2 { .. }),
                    in_query: claim.in_query(),
                }
            }
        }
    }

    fn is_http10(&self) -> bool {
        let line = self.request.raw.split(|byte| *byte == b'\r').next().unwrap_or_default();
        line.ends_with(b"HTTP/1.0")
    }

    pub(super) fn is_s3(&self) -> bool {
        matches!(self.route.service_name(), "" | "s3")
    }

    /// The bucket that `Host` names, and the host behind it.
    fn bucket_of_host(&self) -> Option<(String, String)> {
        let hints = RouteHints { s3_domains: &self.shared.config.s3_domains, ..Default::default() };
        let of_path = self.is_s3() && self.request.head.path().starts_with('/');
        hints.virtual_bucket(&self.request.head).filter(|_| of_path)
    }

    /// The target: a bucket that the old host named stands in its path.
    fn target(&self, query: &str) -> String {
        let path = self.request.head.path();
        let bucket = self.bucket_of_host().map(|(bucket, _)| format!("/{bucket}"));
        let mut target = bucket.unwrap_or_default() + path;
        if !query.is_empty() || self.request.head.target.ends_with('?') {
            target.push('?');
            target.push_str(query);
        }
        target
    }

    /// The request line.
    fn draft(&self, query: &str) -> Draft {
        let method = self.request.head.method.clone();
        let target = self.target(query);
        let line = self.request.raw.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let version = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        let mut raw = format!("{method} {target} ").into_bytes();
        raw.extend_from_slice(version);
        raw.extend_from_slice(b"\r\n");
        Draft { raw, head: RequestHead { method, target, headers: Headers::new() } }
    }

    /// The head with another host, and no signature.
    fn unsigned(&self, resigning: &Resigning) -> Bytes {
        let mut draft = self.draft(self.request.head.query());
        self.fields(&mut draft, resigning, |_| false, None);
        draft.raw.extend_from_slice(b"\r\n");
        draft.raw.into()
    }

    fn signed_anew(
        &self,
        resigning: &Resigning,
        buffer: &[u8],
        body: &Passage,
    ) -> Result<Outgoing, VerifyError> {
        let told = self.told();
        let old = &self.request.head;
        let query = if told.in_query {
            query_without_signature(old.query(), told.version_2)
        } else {
            old.query().to_owned()
        };
        let plan = ChunkPlan::of(old, &told.payload)?;
        let framing = new_framing(plan.as_ref(), self.request.framing);
        if matches!(framing, Some(Framing::Chunked)) && self.is_http10() {
            // Only HTTP/1.1 can leave a length open.
            return Err(VerifyError::DecodedLengthMissing);
        }
        let mut draft = self.draft(&query);
        let dropped = |name: &[u8]| is_of_signature(name, told.version_2);
        self.fields(&mut draft, resigning, dropped, framing);
        if told.in_query && told.service == "s3" {
            lifted(&mut draft);
        }
        let now = self.shared.clock.now();
        let hash = told.payload.needs_body_hash().then(|| self.body_hash(buffer, body)).flatten();
        let region = resigning.region.as_deref().or(told.region.as_deref());
        let to_sign = Resign {
            head: &draft.head,
            signed_headers: &told.signed_headers,
            payload: &told.payload,
            body_hash: hash,
            region: region.unwrap_or(&self.shared.config.region),
            service: &told.service,
            now,
        };
        let resigned = resign(&to_sign, &resigning.signer, &self.shared.signing_keys)?;
        for (name, value) in resigned.fields {
            draft.field(name.as_bytes(), value.as_bytes());
        }
        draft.raw.extend_from_slice(b"\r\n");
        let rewrite = plan.zip(resigned.encoder).map(|(plan, encoder)| {
            let chunked = matches!(framing, Some(Framing::Chunked));
            Box::new(Rewrite::new(self.request.framing, plan.start(encoder), chunked))
        });
        Ok(Outgoing { head: draft.raw.into(), rewrite })
    }

    /// The fields as they came, without those `dropped`, with another host and,
    /// if given, another framing.
    fn fields(
        &self,
        draft: &mut Draft,
        resigning: &Resigning,
        dropped: impl Fn(&[u8]) -> bool,
        framing: Option<Framing>,
    ) {
        let lines = self.request.raw.split_inclusive(|byte| *byte == b'\n').skip(1);
        let held = &self.request.head.headers;
        for (line, (name, value)) in lines.zip(held.iter()).filter(|(_, (name, _))| !dropped(name))
        {
            let of_length = name.eq_ignore_ascii_case(b"content-length");
            match framing.filter(|_| of_length) {
                _ if name.eq_ignore_ascii_case(b"host") => {
                    draft.field(name, resigning.host.as_bytes());
                }
                Some(Framing::Length(length)) => draft.field(name, length.to_string().as_bytes()),
                Some(Framing::Chunked) => draft.field(b"Transfer-Encoding", b"chunked"),
                Some(Framing::UntilClose) | None => draft.as_it_came(line, name, value),
            }
        }
        if !held.contains("host") {
            draft.field(b"Host", resigning.host.as_bytes());
        }
    }

    /// SHA-256 of a body that is here whole: taken as it came, or now.
    fn body_hash(&self, buffer: &[u8], body: &Passage) -> Option<[u8; 32]> {
        if let Some(hash) = body.body_hash() {
            return Some(hash);
        }
        let mut rest = buffer.get(..body.ready()).filter(|_| body.is_done())?;
        let (mut framer, mut hash) = (Framer::new(self.request.framing), Context::new(&SHA256));
        // It was followed once already: no step fails.
        while let Ok(step) = framer.step(rest) {
            let count = match step {
                Step::Payload(count) => {
                    hash.update(&rest[..count]);
                    count
                }
                Step::Framing(count) => count,
                Step::NeedMore | Step::Done => break,
            };
            rest = &rest[count..];
        }
        hash.finish().as_ref().try_into().ok()
    }
}

/// The framing of a body whose chunks are written anew; `None`: as it was.
fn new_framing(plan: Option<&ChunkPlan>, old: Framing) -> Option<Framing> {
    let plan = plan?;
    Some(match (old, plan.wire_length()) {
        (Framing::Length(_), Some(length)) => Framing::Length(length),
        (Framing::Length(_) | Framing::Chunked | Framing::UntilClose, _) => Framing::Chunked,
    })
}

/// Whether a query member would make another operation of the call as a field.
fn is_copied(name: &str) -> bool {
    name.to_ascii_lowercase().starts_with("x-amz-copy-source")
}

/// Adds as fields what a presigned URL carries of them: S3 reads `x-amz-acl` and
/// its like in a query only when the signature stands there, too.
fn lifted(draft: &mut Draft) {
    let pairs = draft.head.query_pairs().into_iter();
    let pairs = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned()));
    let fields: Vec<(String, String)> = pairs
        .filter(|(name, value)| {
            let token = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
            let plain = value.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b));
            name.starts_with("x-amz-") && token && plain && !is_of_signature(name.as_bytes(), false)
        })
        .collect();
    for (name, value) in fields {
        if !draft.head.headers.contains(&name) {
            draft.field(name.as_bytes(), value.as_bytes());
        }
    }
}

/// Whether a bucket in front of a host can stand in a path instead: a name that
/// is one, before a host of S3 itself.
fn may_be_in_path(bucket: &str, behind: &str) -> bool {
    let named = bucket.starts_with(|first: char| first.is_ascii_alphanumeric())
        && bucket.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    named
        && !["s3-accesspoint", "s3-object-lambda", "s3-outposts", "s3express"]
            .iter()
            .any(|kind| behind.starts_with(kind))
}
