//! `readOnly` and whether a record is a data event. Source: spec/gateway.md
//! 4.2 and 4.3.

use super::Route;
use crate::facts::Facts;
use crate::model::Operation;
use crate::tables::FlavourRow;

/// Whether a name begins with a verb that only reads: `Get`, `List`,
/// `Describe`, `Head`, `BatchGet`, `Search`, `Lookup`, `Query`, `Scan`,
/// `Select`.
#[must_use]
pub fn is_read_only_verb(operation: &str) -> bool {
    const VERBS: [&str; 10] = [
        "Get", "List", "Describe", "Head", "BatchGet", "Search", "Lookup", "Query", "Scan",
        "Select",
    ];
    VERBS.iter().any(|verb| {
        operation
            .strip_prefix(verb)
            .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_lowercase()))
    })
}

/// `readOnly` of a record: the row of the tables, then the verb, then the
/// model's own hint. A call that no model explains changes something unless it
/// is GET or HEAD.
#[must_use]
pub fn read_only(facts: &Facts, route: &Route, method: &str) -> bool {
    if let Some(said) = flavour_row(facts, route).and_then(|row| row.read_only) {
        return said;
    }
    if route.event_source == "trailbox" {
        // The admin API asks questions with POST.
        return is_read_only_verb(&route.event_name) || route.event_name.starts_with("Count");
    }
    let Some(operation) = route.op() else {
        return matches!(method, "GET" | "HEAD");
    };
    let rules = facts.tables().service(route.service_name()).operation(&operation.name);
    rules
        .and_then(|rules| rules.read_only)
        .unwrap_or_else(|| is_read_only_verb(&operation.name) || operation.read_only_hint)
}

/// Whether the record is a data event: a row of the tables, or an S3 call that
/// names an object.
#[must_use]
pub fn is_data_event(facts: &Facts, route: &Route) -> bool {
    if let Some(row) = flavour_row(facts, route) {
        return row.data;
    }
    let rules = facts.tables().service(route.service_name());
    let name = route.op().map_or(route.event_name.as_str(), |operation| &operation.name);
    rules.operation(name).is_some_and(|rules| rules.data.is_some())
        || (route.service_name() == "s3" && route.op().is_some_and(names_object))
}

fn names_object(operation: &Operation) -> bool {
    operation.uri.contains("{Key+}")
}

/// The row that named a call of an upstream's own API. Its name may hold a
/// label, so only what stands before the label is compared.
fn flavour_row<'a>(facts: &'a Facts, route: &Route) -> Option<&'a FlavourRow> {
    if route.service.is_some() || route.event_source.ends_with(".amazonaws.com") {
        return None;
    }
    facts.tables().flavours().iter().find(|row| {
        let fixed = row.name.split('{').next().unwrap_or_default();
        row.source == route.event_source
            && if fixed.len() == row.name.len() {
                fixed == route.event_name
            } else {
                route.event_name.starts_with(fixed)
            }
    })
}
