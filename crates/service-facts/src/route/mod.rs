//! Which operation of which service a request is.
//!
//! The credential scope narrows the services; then `X-Amz-Target`, the path of
//! Smithy RPC, `Action`, and last the URI templates decide. `Host` is needed
//! only for virtual-host buckets and helps unsigned calls. Start reading at
//! [`route`]. Source: spec/gateway.md 2.3.

mod flags;
mod flavour;
mod host;
mod names;
mod rest;
mod rpc;
mod s3;
mod scope;
mod template;
#[cfg(test)]
mod tests;

pub use flags::{is_data_event, is_read_only_verb, read_only};
pub(crate) use template::Matcher;

use crate::facts::Facts;
use crate::model::{Operation, Protocol, Service};
use scope::{Pairs, Scope};
use std::sync::Arc;
use trailbox_exchange::{RequestHead, decode_pairs};

/// What a listener knows before it sees a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct RouteHints<'a> {
    /// botocore name of the service of unsigned calls that nothing else tells.
    pub default_service: Option<&'a str>,
    /// Host names whose subdomains are buckets.
    pub s3_domains: &'a [String],
    /// `rgw`, `minio` or `swift`: path rows of the upstream's own APIs.
    pub flavour: Option<&'a str>,
}

impl RouteHints<'_> {
    /// Whether a request goes to a service itself, neither to a path nor to a
    /// bucket of a virtual host: only there a call of STS or IAM is one.
    #[must_use]
    pub fn is_service_root(&self, head: &RequestHead) -> bool {
        let host = host::bare(head.host());
        head.path() == "/" && host::bucket(&host, self.s3_domains).is_none()
    }

    /// The bucket that a virtual host names, and the host behind its label.
    #[must_use]
    pub fn virtual_bucket(&self, head: &RequestHead) -> Option<(String, String)> {
        let host = host::bare(head.host());
        let bucket = host::bucket(&host, self.s3_domains)?;
        let behind = host.get(bucket.len() + 1..).unwrap_or_default();
        Some((bucket.to_owned(), behind.to_owned()))
    }
}

/// What a request is.
#[derive(Debug, Clone)]
pub struct Route {
    /// The service, when a model explains the call at least that far.
    pub service: Option<Arc<Service>>,
    /// Index into its operations.
    pub operation: Option<usize>,
    /// How the request is written; a guess when the operation is unknown.
    pub protocol: Protocol,
    /// Labels of the URI template, percent-decoded; for S3 `Bucket` and `Key`
    /// in virtual-host style too.
    pub labels: Vec<(String, String)>,
    /// As CloudTrail writes it.
    pub event_source: String,
    /// As CloudTrail writes it; `UnrecognizedOperation` when nothing knows it.
    pub event_name: String,
    /// Region of the credential scope.
    pub region: Option<String>,
    /// Service of the credential scope.
    pub scope_service: Option<String>,
    /// Who the caller claims to be.
    pub access_key_id: Option<String>,
    /// Region of a global service.
    pub global_region: Option<String>,
}

impl Route {
    /// The operation's facts.
    #[must_use]
    pub fn op(&self) -> Option<&Operation> {
        self.service.as_ref()?.operations.get(self.operation?)
    }

    /// botocore name of the service; empty when unknown.
    #[must_use]
    pub fn service_name(&self) -> &str {
        self.service.as_ref().map_or("", |service| &service.name)
    }

    /// Model name of the operation; empty when unknown.
    #[must_use]
    pub fn operation_name(&self) -> &str {
        self.op().map_or("", |operation| &operation.name)
    }

    /// Whether a model or a path table knows a name for it.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.event_name != names::UNRECOGNIZED
    }

    /// Forgets the operation: what was read of the call does not settle it.
    pub fn unname(&mut self) {
        self.operation = None;
        names::UNRECOGNIZED.clone_into(&mut self.event_name);
    }

    /// Whether it is that operation of that service.
    #[must_use]
    pub fn is(&self, service: &str, operation: &str) -> bool {
        self.service_name() == service && self.operation_name() == operation
    }
}

/// A request with everything that routing reads more than once.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    facts: &'a Facts,
    head: &'a RequestHead,
    /// Usually the head's own.
    method: &'a str,
    query: &'a Pairs<'a>,
    form: &'a Pairs<'a>,
    host: &'a str,
    scope: &'a Scope,
    hints: &'a RouteHints<'a>,
}

/// What the steps of routing find.
#[derive(Debug, Default)]
struct Found {
    service: Option<usize>,
    operation: Option<usize>,
    protocol: Option<Protocol>,
    labels: Vec<(String, String)>,
    /// An event name that belongs to no operation of the model.
    name: Option<String>,
    source: Option<String>,
}

pub(crate) fn route(
    facts: &Facts,
    head: &RequestHead,
    form: Option<&[u8]>,
    hints: &RouteHints<'_>,
) -> Route {
    let query = head.query_pairs();
    let form = String::from_utf8_lossy(form.unwrap_or_default());
    let form = decode_pairs(&form);
    let scope = scope::read(head, &query, &form);
    let host = host::bare(head.host());
    let asked = Asked {
        facts,
        head,
        method: &head.method,
        query: &query,
        form: &form,
        host: &host,
        scope: &scope,
        hints,
    };
    let found = asked.find();
    asked.finish(found)
}

impl Asked<'_> {
    fn find(&self) -> Found {
        if let Some(found) = flavour::find(self) {
            return found;
        }
        let candidates = self.candidates();
        let named = [
            rpc::by_target(self, &candidates),
            rpc::by_path(self, &candidates),
            rpc::by_action(self, &candidates),
        ];
        let mut named = named.into_iter().flatten();
        match (named.next(), named.next()) {
            (Some(one), None) => one,
            // Which of them the service obeys is its own affair: a reader that
            // believes the harmless one would be fooled.
            (Some(one), Some(_)) => Found { operation: None, ..one },
            (None, _) => rest::find(self, &candidates).unwrap_or_else(|| self.unknown(&candidates)),
        }
    }

    /// Services of the signing name; of an unsigned call those of the host.
    fn candidates(&self) -> Vec<usize> {
        match &self.scope.service {
            Some(service) => self.facts.signed_as(service).to_vec(),
            None => rest::by_host(self),
        }
    }

    /// A call to a known service that has no such operation.
    fn unknown(&self, candidates: &[usize]) -> Found {
        let default = || self.hints.default_service.and_then(|name| self.facts.place(name));
        let s3 = || s3::looks_anonymous(self).then(|| self.facts.place("s3")).flatten();
        let service = candidates.first().copied().or_else(|| match &self.scope.service {
            Some(_) => None,
            None => default().or_else(s3),
        });
        Found { service, ..Found::default() }
    }

    fn finish(&self, found: Found) -> Route {
        let service = found.service.and_then(|index| self.facts.at(index)).map(Arc::clone);
        let operation = found.operation;
        let op = service.as_ref().zip(operation).and_then(|(held, at)| held.operations.get(at));
        let source = found.source.unwrap_or_else(|| names::event_source(self, service.as_deref()));
        let name =
            found.name.unwrap_or_else(|| names::event_name(self.facts, service.as_deref(), op));
        let rules = service.as_ref().map(|service| self.facts.tables().service(&service.name));
        Route {
            protocol: found.protocol.unwrap_or_else(|| self.guess(service.as_deref())),
            labels: found.labels,
            event_source: source,
            event_name: name,
            region: self.scope.region.clone(),
            scope_service: self.scope.service.clone(),
            access_key_id: self.scope.access_key_id.clone(),
            global_region: rules.and_then(|rules| rules.global_region.clone()),
            operation,
            service,
        }
    }

    /// How a request is written of which no operation is known.
    fn guess(&self, service: Option<&Service>) -> Protocol {
        if let Some(&protocol) = service.and_then(|service| service.protocols.first()) {
            return protocol;
        }
        let content = self.head.headers.get("content-type").unwrap_or_default();
        if self.head.headers.contains("x-amz-target") || content.contains("x-amz-json") {
            Protocol::Json
        } else if content.contains("cbor") {
            Protocol::Cbor
        } else if content.contains("json") {
            Protocol::RestJson
        } else if !self.form.is_empty() {
            Protocol::Query
        } else {
            Protocol::RestXml
        }
    }
}
