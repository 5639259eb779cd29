//! Calls that name their operation: `X-Amz-Target`, the path of Smithy RPC,
//! `Action`.
//!
//! What a client says is believed only where the service it signs for could
//! act on it. Otherwise a header or a parameter that a bucket ignores would
//! disguise what the call does.

use super::scope::{Pairs, find};
use super::{Asked, Found, host};
use crate::facts::Facts;
use crate::model::Protocol;
use trailbox_exchange::decode_component;

/// `X-Amz-Target: prefix.Operation`, awsJson 1.0 and 1.1 and older CBOR.
pub(super) fn by_target(asked: &Asked<'_>, candidates: &[usize]) -> Option<Found> {
    let target = asked.head.headers.get("x-amz-target")?.trim();
    let (prefix, name) = target.rsplit_once('.')?;
    if asked.method != "POST" {
        return None;
    }
    let facts = asked.facts;
    let named = facts.targeted_as(prefix);
    let order: Vec<usize> = if candidates.is_empty() {
        named.iter().copied().filter(|_| asked.head.path() == "/").collect()
    } else {
        // An SDK that is older than the model may send the prefix of its time.
        let json = candidates.iter().filter(|&&index| speaks(facts, index, Protocol::Json));
        candidates.iter().filter(|index| named.contains(index)).chain(json).copied().collect()
    };
    let content = asked.head.headers.get("content-type").unwrap_or_default();
    let protocol = if content.contains("cbor") { Protocol::Cbor } else { Protocol::Json };
    let others = asked.head.headers.get_all("x-amz-target").any(|other| other.trim() != target);
    found(facts, &order, name, protocol).map(|found| one_of(found, others))
}

/// `/service/Name/operation/Name`, Smithy RPC v2; anything may stand before.
pub(super) fn by_path(asked: &Asked<'_>, candidates: &[usize]) -> Option<Found> {
    let marked = asked.head.headers.get("smithy-protocol");
    let mut parts = asked.head.path().rsplitn(5, '/');
    let name = decode_component(parts.next()?);
    let words = (parts.next()?, parts.next()?, parts.next()?);
    let ("operation", shape, "service") = words else { return None };
    if asked.method != "POST" {
        return None;
    }
    let facts = asked.facts;
    let cbor = |index: &usize| speaks(facts, *index, Protocol::Cbor);
    let order: Vec<usize> = if candidates.is_empty() {
        let named = facts.targeted_as(&decode_component(shape)).iter().copied();
        let order = named.chain((0..facts.heads().count()).filter(cbor));
        order.filter(|_| marked.is_some()).collect()
    } else {
        candidates.iter().copied().filter(cbor).collect()
    };
    let content = asked.head.headers.get("content-type").unwrap_or_default();
    let json = marked.is_some_and(|name| name.contains("json")) || content.contains("json");
    let protocol = if json { Protocol::Json } else { Protocol::Cbor };
    found(facts, &order, &name, protocol)
}

/// The operation among the services, else the first service without one.
fn found(facts: &Facts, order: &[usize], name: &str, protocol: Protocol) -> Option<Found> {
    let first = *order.first()?;
    let known = with_operation(facts, order, name);
    let (service, operation) = known.map_or((first, None), |(at, op)| (at, Some(op)));
    Some(Found { service: Some(service), operation, protocol: Some(protocol), ..Found::default() })
}

/// An operation that is one of several said: none is known.
fn one_of(found: Found, several: bool) -> Found {
    if several { Found { operation: None, ..found } } else { found }
}

/// `Action` with `Version`, in the form or in the query string.
///
/// Services that speak awsJson or CBOR today are asked too: older SDKs still
/// write forms to them.
pub(super) fn by_action(asked: &Asked<'_>, candidates: &[usize]) -> Option<Found> {
    let said = |name| find(asked.form, name).or_else(|| find(asked.query, name));
    let name = said("Action").filter(|name| !name.is_empty())?;
    let version = said("Version");
    let facts = asked.facts;
    let service_root = asked.hints.is_service_root(asked.head);
    let mut order: Vec<usize> = candidates
        .iter()
        .copied()
        .filter(|&index| is_rpc(facts, index) && (service_root || has_urls(facts, index)))
        .collect();
    if order.is_empty() && may_guess(asked, candidates) {
        order = by_version(asked, version);
    }
    let of_version = |index: &usize| {
        facts.head(*index).is_some_and(|head| version == Some(head.api_version.as_str()))
    };
    let current: Vec<usize> = order.iter().copied().filter(of_version).collect();
    let (service, operation) = with_operation(facts, &current, name)
        .or_else(|| with_operation(facts, &order, name))
        .map(|(at, op)| (at, Some(op)))
        .or_else(|| {
            let service = current.first().or(order.first())?;
            speaks_forms(facts, *service).then_some((*service, None))
        })?;
    let protocol =
        if speaks(facts, service, Protocol::Ec2) { Protocol::Ec2 } else { Protocol::Query };
    let found = Found {
        service: Some(service),
        operation,
        protocol: Some(protocol),
        labels: queue_labels(asked),
        ..Found::default()
    };
    let said = asked.form.iter().chain(asked.query).filter(|(held, _)| held == "Action");
    Some(one_of(found, said.into_iter().any(|(_, other)| other != name)))
}

/// Whether the version may choose the service although the signature did not.
///
/// No bucket takes a POST without a query, so a form is what it looks like.
/// An action in the query is believed only where no bucket can be meant.
fn may_guess(asked: &Asked<'_>, candidates: &[usize]) -> bool {
    let in_form = names_action(asked.form) && asked.method == "POST";
    if in_form && asked.head.query().is_empty() {
        return asked.scope.service.is_none() || candidates.is_empty();
    }
    candidates.is_empty() && asked.hints.is_service_root(asked.head)
}

/// Whether a resource of the service is called under a path of its own: the
/// URL of a queue. Everywhere else an `Action` beside a path is a parameter
/// that a bucket ignores.
fn has_urls(facts: &Facts, index: usize) -> bool {
    facts.head(index).is_some_and(|head| head.name == "sqs")
}

/// Whether every protocol of a service names its operations.
fn is_rpc(facts: &Facts, index: usize) -> bool {
    !speaks(facts, index, Protocol::RestJson) && !speaks(facts, index, Protocol::RestXml)
}

/// Form services of an API version, those of the host first.
fn by_version(asked: &Asked<'_>, version: Option<&str>) -> Vec<usize> {
    let heads = asked.facts.heads().enumerate();
    let mut order: Vec<(bool, usize)> = heads
        .filter(|(index, card)| {
            speaks_forms(asked.facts, *index) && version == Some(card.head.api_version.as_str())
        })
        .map(|(index, card)| (!host::is_endpoint_of(asked.host, &card.head.endpoint_prefix), index))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, index)| index).collect()
}

/// A queue may be named by the path of its URL.
fn queue_labels(asked: &Asked<'_>) -> Vec<(String, String)> {
    let path = asked.head.path().trim_matches('/');
    match path.split_once('/') {
        Some((account, queue)) if account.len() == 12 && !queue.contains('/') => vec![
            ("AccountId".to_owned(), decode_component(account).into_owned()),
            ("QueueName".to_owned(), decode_component(queue).into_owned()),
        ],
        _ => Vec::new(),
    }
}

/// The first service that has the operation.
fn with_operation(facts: &Facts, order: &[usize], name: &str) -> Option<(usize, usize)> {
    order.iter().find_map(|&index| Some((index, facts.at(index)?.operation(name)?)))
}

fn speaks(facts: &Facts, index: usize, protocol: Protocol) -> bool {
    facts.head(index).is_some_and(|head| head.protocols.contains(&protocol))
}

fn speaks_forms(facts: &Facts, index: usize) -> bool {
    speaks(facts, index, Protocol::Query) || speaks(facts, index, Protocol::Ec2)
}

/// Whether any field of the form names an operation.
pub(super) fn names_action(form: &Pairs<'_>) -> bool {
    find(form, "Action").is_some()
}
