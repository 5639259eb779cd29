//! `eventSource` and `eventName`. Source: spec/gateway.md 2.4 and 2.5.

use super::{Asked, s3};
use crate::facts::Facts;
use crate::model::{Operation, Service};
use crate::tables::LambdaSuffix;

/// Name of a call that nothing explains.
pub(super) const UNRECOGNIZED: &str = "UnrecognizedOperation";

/// The signing name (else the endpoint prefix) as a host, unless a row of the
/// tables says otherwise.
pub(super) fn event_source(asked: &Asked<'_>, service: Option<&Service>) -> String {
    let tables = asked.facts.tables();
    let scope = asked.scope.service.as_deref();
    if let Some(source) =
        scope.and_then(|scope| tables.scope(scope)).and_then(|rule| rule.source.as_ref())
    {
        return source.clone();
    }
    match (service, scope) {
        (Some(service), _) => match &tables.service(&service.name).event_source {
            Some(source) => source.clone(),
            None => format!("{}.amazonaws.com", service.signing_name),
        },
        (None, Some(scope)) => format!("{scope}.amazonaws.com"),
        (None, None) if s3::looks_anonymous(asked) => "s3.amazonaws.com".to_owned(),
        (None, None) => "unknown.amazonaws.com".to_owned(),
    }
}

/// The wire name of the operation, unless the tables say otherwise.
pub(super) fn event_name(
    facts: &Facts,
    service: Option<&Service>,
    operation: Option<&Operation>,
) -> String {
    let Some((service, operation)) = service.zip(operation) else {
        return UNRECOGNIZED.to_owned();
    };
    let rules = facts.tables().service(&service.name).operation(&operation.name);
    if let Some(name) = rules.and_then(|rules| rules.event_name.as_ref()) {
        return name.clone();
    }
    let name = operation.wire_name.as_ref().unwrap_or(&operation.name);
    if service.name != "lambda" {
        return name.clone();
    }
    let suffix = rules.and_then(|rules| rules.lambda_suffix);
    match (suffix, uri_date(&operation.uri)) {
        (Some(LambdaSuffix::None), _) | (_, None) => name.clone(),
        (Some(LambdaSuffix::DateV2), Some(date)) => format!("{name}{date}v2"),
        (None, Some(date)) => format!("{name}{date}"),
    }
}

/// `20150331` of `/2015-03-31/functions`.
fn uri_date(uri: &str) -> Option<String> {
    let date = uri.strip_prefix('/')?.split('/').next()?;
    let digits: String = date.chars().filter(char::is_ascii_digit).collect();
    let shape = date.len() == 10 && digits.len() == 8 && date.matches('-').count() == 2;
    shape.then_some(digits)
}
