//! Calls that name their operation: `X-Amz-Target`, the path of Smithy RPC,
//! `Action`.

use super::scope::{Pairs, find};
use super::{Asked, Found, host};
use crate::facts::Facts;
use crate::model::Protocol;
use trailbox_exchange::decode_component;

/// `X-Amz-Target: prefix.Operation`, awsJson 1.0 and 1.1 and older CBOR.
pub(super) fn by_target(asked: &Asked<'_>, candidates: &[usize]) -> Option<Found> {
    let target = asked.head.headers.get("x-amz-target")?.trim();
    let (prefix, name) = target.rsplit_once('.')?;
    let named = asked.facts.targeted_as(prefix);
    let mut order: Vec<usize> =
        named.iter().copied().filter(|index| candidates.contains(index)).collect();
    order.extend(named);
    // An SDK that is older than the model may send the prefix of its time.
    order.extend(candidates.iter().filter(|&&index| speaks(asked.facts, index, Protocol::Json)));
    let content = asked.head.headers.get("content-type").unwrap_or_default();
    let protocol = if content.contains("cbor") { Protocol::Cbor } else { Protocol::Json };
    let service = *order.first()?;
    let known = with_operation(asked.facts, &order, name);
    let (service, operation) = known.map_or((service, None), |(at, op)| (at, Some(op)));
    Some(Found { service: Some(service), operation, protocol: Some(protocol), ..Found::default() })
}

/// `/service/Name/operation/Name`, Smithy RPC v2; anything may stand before.
pub(super) fn by_path(asked: &Asked<'_>, candidates: &[usize]) -> Option<Found> {
    let marked = asked.head.headers.get("smithy-protocol");
    if asked.head.method != "POST" {
        return None;
    }
    let mut parts = asked.head.path().rsplitn(5, '/');
    let name = decode_component(parts.next()?);
    let words = (parts.next()?, parts.next()?, parts.next()?);
    let ("operation", shape, "service") = words else { return None };
    let facts = asked.facts;
    let cbor = |index: &usize| speaks(facts, *index, Protocol::Cbor);
    let mut order: Vec<usize> = candidates.iter().copied().filter(cbor).collect();
    if order.is_empty() && marked.is_none() {
        return None;
    }
    order.extend(facts.targeted_as(&decode_component(shape)));
    if candidates.is_empty() && marked.is_some() {
        order.extend((0..facts.heads().count()).filter(cbor));
    }
    let content = asked.head.headers.get("content-type").unwrap_or_default();
    let json = marked.is_some_and(|name| name.contains("json")) || content.contains("json");
    let protocol = if json { Protocol::Json } else { Protocol::Cbor };
    let (service, operation) = with_operation(facts, &order, &name)
        .map(|(at, op)| (Some(at), Some(op)))
        .or_else(|| Some((Some(*order.first()?), None)))?;
    Some(Found { service, operation, protocol: Some(protocol), ..Found::default() })
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
    let rpc = |index: &usize| {
        facts.head(*index).is_some_and(|head| {
            let rest = [Protocol::RestJson, Protocol::RestXml];
            !head.protocols.iter().any(|protocol| rest.contains(protocol))
        })
    };
    let mut order: Vec<usize> = candidates.iter().copied().filter(rpc).collect();
    if order.is_empty() && (candidates.is_empty() || !asked.form.is_empty()) {
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
    Some(Found {
        service: Some(service),
        operation,
        protocol: Some(protocol),
        labels: queue_labels(asked),
        ..Found::default()
    })
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
