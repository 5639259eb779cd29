//! The HTTP face: request ids, the trusted door, and `s3s` behind them.

use crate::Options;
use crate::auth::{Auth, BucketHosts, Keys, SignedOnly};
use crate::errors;
use crate::s3::Files;
use crate::store::{OpenError, Store};
use crate::unchunk::{Trailers, unchunk};
use base64::Engine as _;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, S3Error};
use std::convert::Infallible;
use std::sync::Arc;
use trailbox_clock::{Clock, Random};

/// The header in which the recorder names the caller it has judged.
pub const CALLER_HEADER: &str = "x-trailbox-caller";

/// The store as a service: a hyper 1 service, or [`StoreService::call`] for a
/// server that dispatches by itself. Cheap to clone.
#[derive(Clone)]
pub struct StoreService {
    s3: S3Service,
    trusted: bool,
    random: Arc<dyn Random>,
}

impl std::fmt::Debug for StoreService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreService").field("trusted", &self.trusted).finish_non_exhaustive()
    }
}

/// Opens the store and makes it a service.
///
/// # Errors
///
/// [`OpenError`] when the directory is held by another process, was written by
/// a later version, or cannot be read or written.
pub fn service(
    options: &Options,
    auth: Auth,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<StoreService, OpenError> {
    let store = Store::open(options, clock, Arc::clone(&random))?;
    let mut builder = S3ServiceBuilder::new(Files(Arc::new(store)));
    builder.set_host(BucketHosts(options.domains.clone()));
    builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(limits()))));
    let trusted = match auth {
        Auth::Verify(keys) => {
            builder.set_auth(Keys(keys));
            builder.set_access(SignedOnly);
            false
        }
        Auth::Trusted => true,
    };
    Ok(StoreService { s3: builder.build(), trusted, random })
}

/// `s3s` holds XML bodies and browser uploads (forms) in memory as a whole:
/// both are kept small. A list of 10,000 parts with checksums fits.
fn limits() -> S3Config {
    let mut limits = S3Config::default();
    limits.xml_max_body_size = 8 * 1024 * 1024;
    limits.post_object_max_file_size = 16 * 1024 * 1024;
    limits
}

impl StoreService {
    /// Answers one request. Never fails: what goes wrong is an S3 error answer.
    ///
    /// Adds `x-amz-request-id` and `x-amz-id-2` to every answer.
    pub async fn call<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        let request = request.map(Body::http_body_unsync);
        let mut answer = match self.admit(request) {
            Ok(request) => match self.s3.call(request).await {
                Ok(answer) => answer,
                Err(cause) => internal(&cause),
            },
            Err(refused) => refusal(refused),
        };
        self.mark(answer.headers_mut());
        answer
    }

    /// In trusted mode takes the signature off, otherwise changes nothing.
    fn admit(&self, request: Request<Body>) -> Result<Request<Body>, S3Error> {
        if !self.trusted {
            return Ok(request);
        }
        if !request.headers().get(CALLER_HEADER).is_some_and(names_a_key) {
            return Err(errors::access_denied());
        }
        Ok(unsigned(request))
    }

    fn mark(&self, headers: &mut HeaderMap) {
        let id = hex::encode_upper(&self.random.uuid()[..8]);
        let host = hex::encode(self.random.uuid());
        for (name, text) in [("x-amz-request-id", id), ("x-amz-id-2", host)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name, value);
            }
        }
    }
}

fn refusal(error: S3Error) -> Response<Body> {
    error.to_http_response().unwrap_or_else(|cause| internal(&cause))
}

fn internal(cause: &dyn std::fmt::Debug) -> Response<Body> {
    tracing::error!(?cause, "bucket store: no answer could be written");
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    answer
}

/// Whether the caller that the recorder judged came with an access key, or is
/// a service that the configuration vouches for.
///
/// What the request itself looks like says nothing: anybody can add a query
/// member that a presigned URL has.
fn names_a_key(caller: &HeaderValue) -> bool {
    let caller = base64::engine::general_purpose::STANDARD.decode(caller.as_bytes());
    caller
        .ok()
        .and_then(|json| serde_json::from_slice::<serde_json::Value>(&json).ok())
        .is_some_and(|caller| {
            let key = caller["access_key_id"].as_str().is_some_and(|id| !id.is_empty());
            key || caller["user_identity"]["type"] == "AWSService"
        })
}

fn query_pairs(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty())
}

/// Query members that sign a request: SigV4's, and the three of Version 2.
fn is_signature_pair(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    let v4 = ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires"]
        .into_iter()
        .chain(["x-amz-signedheaders", "x-amz-signature", "x-amz-security-token"])
        .any(|known| name.eq_ignore_ascii_case(known));
    v4 || ["AWSAccessKeyId", "Signature", "Expires"].contains(&name)
}

/// The request as an unsigned one: no signature, no chunk framing.
fn unsigned(request: Request<Body>) -> Request<Body> {
    let (mut head, mut body) = request.into_parts();
    head.headers.remove(AUTHORIZATION);
    head.headers.remove("x-amz-security-token");
    let payload = head.headers.remove("x-amz-content-sha256");
    if payload.is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-")) {
        match head.headers.get("x-amz-decoded-content-length").cloned() {
            Some(length) => head.headers.insert(CONTENT_LENGTH, length),
            None => head.headers.remove(CONTENT_LENGTH),
        };
        let trailers = Trailers::default();
        head.extensions.insert(trailers.clone());
        body = unchunk(body, trailers);
    }
    head.uri = without_signature(&head.uri);
    Request::from_parts(head, body)
}

fn without_signature(uri: &Uri) -> Uri {
    if !query_pairs(uri).any(is_signature_pair) {
        return uri.clone();
    }
    let kept: Vec<&str> = query_pairs(uri).filter(|pair| !is_signature_pair(pair)).collect();
    let target = if kept.is_empty() {
        uri.path().to_owned()
    } else {
        format!("{}?{}", uri.path(), kept.join("&"))
    };
    target.parse().unwrap_or_else(|_| uri.clone())
}

impl hyper::service::Service<Request<Incoming>> for StoreService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(Self::call(&service, request).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::without_signature;

    #[test]
    fn only_the_signature_leaves_a_presigned_target() {
        let cases = [
            ("/b/k?uploads", "/b/k?uploads"),
            ("/b/k?X-Amz-Signature=ab&partNumber=1&X-Amz-Expires=9", "/b/k?partNumber=1"),
            ("/b/k?AWSAccessKeyId=A&Signature=b&Expires=1", "/b/k"),
            ("/b/..//k%2F?X-Amz-Date=1", "/b/..//k%2F"),
        ];
        for (target, want) in cases {
            assert_eq!(without_signature(&target.parse().unwrap()).to_string(), want);
        }
    }
}
