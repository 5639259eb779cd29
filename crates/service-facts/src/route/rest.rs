//! Calls that are told apart by method and path.

use super::scope::Scope;
use super::template::{Among, Ask, Hit, Rank, segments};
use super::{Asked, Found, host, s3};
use crate::model::Protocol;
use std::cmp::Reverse;

/// The operation whose URI template fits best.
pub(super) fn find(asked: &Asked<'_>, candidates: &[usize]) -> Option<Found> {
    if let Some(found) = s3::form_upload(asked, candidates) {
        return Some(found);
    }
    if !candidates.is_empty() {
        return among(asked, candidates, Among::All).or_else(|| posted(asked, candidates));
    }
    match asked.scope {
        Scope { service: Some(_), .. } => None,
        Scope { bearer: true, .. } => {
            let services = services_with(asked, |card| card.bearer);
            among(asked, &services, Among::Bearer).or_else(|| default(asked))
        }
        Scope { .. } => default(asked),
    }
}

/// An unsigned call whose host says nothing: the listener's default service,
/// then operations that need no signature, then anonymous S3.
fn default(asked: &Asked<'_>) -> Option<Found> {
    let named = asked.hints.default_service.and_then(|name| asked.facts.place(name));
    named
        .and_then(|index| among(asked, &[index], Among::All))
        .or_else(|| {
            let services = services_with(asked, |card| card.unsigned);
            among(asked, &services, Among::Unsigned)
        })
        .or_else(|| {
            let anonymous = s3::looks_anonymous(asked).then(|| asked.facts.place("s3")).flatten();
            anonymous.and_then(|index| among(asked, &[index], Among::All))
        })
}

/// A GET whose query some SDKs post as a form (`cloudsearchdomain`).
fn posted(asked: &Asked<'_>, candidates: &[usize]) -> Option<Found> {
    if asked.head.method != "POST" || asked.form.is_empty() {
        return None;
    }
    let query: Vec<_> = asked.query.iter().chain(asked.form).cloned().collect();
    let got = Asked { method: "GET", query: &query, form: &[], ..*asked };
    among(&got, candidates, Among::All)
}

/// Services whose endpoint the host is.
pub(super) fn by_host(asked: &Asked<'_>) -> Vec<usize> {
    if !asked.host.contains('.') {
        return Vec::new();
    }
    let heads = asked.facts.heads().enumerate();
    let fits =
        heads.filter(|(_, card)| host::is_endpoint_of(asked.host, &card.head.endpoint_prefix));
    let mut found: Vec<usize> = fits.map(|(index, _)| index).collect();
    let s3 = host::bucket(asked.host, asked.hints.s3_domains).and(asked.facts.place("s3"));
    if found.is_empty() {
        found.extend(s3);
    }
    found
}

fn services_with(asked: &Asked<'_>, wanted: impl Fn(&crate::table::Card) -> bool) -> Vec<usize> {
    let heads = asked.facts.heads().enumerate();
    heads.filter(|(_, card)| wanted(card)).map(|(index, _)| index).collect()
}

fn among(asked: &Asked<'_>, candidates: &[usize], among: Among) -> Option<Found> {
    let mut best: Option<(Rank, bool, Reverse<usize>, usize, Hit)> = None;
    for (order, &index) in candidates.iter().enumerate() {
        let Some((hit, head)) = hit(asked, index, among).zip(asked.facts.head(index)) else {
            continue;
        };
        let of_host = host::is_endpoint_of(asked.host, &head.endpoint_prefix);
        let key = (hit.rank, of_host, Reverse(order));
        if best.as_ref().is_none_or(|(rank, host, order, ..)| key > (*rank, *host, *order)) {
            best = Some((key.0, key.1, key.2, index, hit));
        }
    }
    let (.., index, hit) = best?;
    let protocols = asked.facts.head(index).map_or(&[][..], |head| &head.protocols);
    let rest = [Protocol::RestJson, Protocol::RestXml];
    let protocol = protocols.iter().copied().find(|protocol| rest.contains(protocol));
    Some(Found {
        service: Some(index),
        operation: Some(hit.operation),
        protocol,
        labels: hit.labels,
        ..Found::default()
    })
}

fn hit(asked: &Asked<'_>, index: usize, among: Among) -> Option<Hit> {
    let head = asked.facts.head(index)?;
    let rest = [Protocol::RestJson, Protocol::RestXml];
    if !head.protocols.iter().any(|protocol| rest.contains(protocol)) {
        return None;
    }
    let matcher = asked.facts.matcher(index)?;
    let ask = |segments: &[&str]| {
        let (head, method, query) = (asked.head, asked.method, asked.query);
        matcher.find(&Ask { head, method, query, segments }, among)
    };
    match head.name.as_str() {
        "s3" => s3::hit(asked, ask),
        "s3control" if !s3::may_be_control(asked) => None,
        _ => ask(&segments(asked.head.path())),
    }
}
