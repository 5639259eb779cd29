//! Which operation of which service a request is.

use crate::model::{Operation, Protocol, Service};
use std::sync::Arc;

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

    /// Whether it is that operation of that service.
    #[must_use]
    pub fn is(&self, service: &str, operation: &str) -> bool {
        self.service_name() == service && self.operation_name() == operation
    }
}
