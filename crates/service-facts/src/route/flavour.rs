//! Paths of an upstream's own APIs: Ceph's admin operations, Swift, MinIO's
//! admin API. Rows stand in the hand-made tables.

use super::template::segments;
use super::{Asked, Found};
use crate::tables::FlavourRow;
use trailbox_exchange::decode_component;

/// The first row of the listener's flavour that fits. Nothing the client says
/// leads past the rows.
pub(super) fn find(asked: &Asked<'_>) -> Option<Found> {
    let flavour = asked.hints.flavour?;
    let path = segments(asked.head.path());
    asked
        .facts
        .tables()
        .flavours()
        .iter()
        .filter(|row| covers(flavour, &row.flavour))
        .find_map(|row| fit(asked, row, &path))
}

/// Ceph serves Swift too.
fn covers(flavour: &str, row: &str) -> bool {
    row == flavour || (flavour == "rgw" && row == "swift")
}

fn fit(asked: &Asked<'_>, row: &FlavourRow, path: &[&str]) -> Option<Found> {
    if row.method != "*" && row.method != asked.head.method {
        return None;
    }
    let asks = |wanted: &String| {
        let (name, value) = wanted.split_once('=').unwrap_or((wanted, ""));
        asked
            .query
            .iter()
            .any(|(held, held_value)| held == name && (value.is_empty() || held_value == value))
    };
    if !row.query.iter().all(asks) {
        return None;
    }
    let labels = labels(&row.path, path)?;
    let mut name = row.name.clone();
    for (label, value) in &labels {
        name = name.replace(&format!("{{{label}}}"), &pascal(value));
    }
    Some(Found { labels, name: Some(name), source: Some(row.source.clone()), ..Found::default() })
}

fn labels(template: &str, path: &[&str]) -> Option<Vec<(String, String)>> {
    let first = template.trim_start_matches('/').split('/').next().unwrap_or_default();
    if !first.contains('{') && path.first() != Some(&first) {
        return None;
    }
    let wanted = segments(template);
    let mut labels = Vec::new();
    for (index, part) in wanted.iter().enumerate() {
        // `AUTH_{account}`: a literal may stand before the label.
        match part.strip_suffix('}').and_then(|rest| rest.split_once('{')) {
            None if path.get(index) == Some(part) => {}
            None => return None,
            Some((before, label)) => {
                let (label, value) = match label.strip_suffix('+') {
                    Some(label) => (label, path.get(index..)?.join("/")),
                    None => (label, path.get(index)?.strip_prefix(before)?.to_owned()),
                };
                if value.is_empty() {
                    return None;
                }
                labels.push((label.to_owned(), decode_component(&value).into_owned()));
                if part.ends_with("+}") {
                    return Some(labels);
                }
            }
        }
    }
    (wanted.len() == path.len()).then_some(labels)
}

/// `add-user` → `AddUser`; nothing but letters and digits stays.
fn pascal(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    words
        .take(16)
        .filter_map(|word| {
            let mut letters = word.chars();
            let first = letters.next()?.to_ascii_uppercase();
            Some(std::iter::once(first).chain(letters.take(63)).collect::<String>())
        })
        .collect()
}
