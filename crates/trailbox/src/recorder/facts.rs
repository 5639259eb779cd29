//! The table of services: the program's own, or a newer signed one.

use crate::config::FactsSource;
use anyhow::Context as _;
use std::sync::Arc;
use trailbox_service_facts::Facts;

/// The table that `source` names.
///
/// # Errors
///
/// When the file cannot be read or nobody trusted signed it: an old table in
/// place of the one that was asked for would misname calls in silence.
pub(super) fn load(source: &FactsSource) -> anyhow::Result<Arc<Facts>> {
    let Some(place) = &source.file else {
        return Ok(Facts::embedded());
    };
    let keys: Vec<[u8; 32]> = source
        .trusted_keys
        .iter()
        .map(|text| {
            let mut key = [0; 32];
            hex::decode_to_slice(text, &mut key)
                .map(|()| key)
                .with_context(|| format!("`facts.trusted_keys`: `{text}` is not 64 hex digits"))
        })
        .collect::<anyhow::Result<_>>()?;
    let file = std::fs::read(place)
        .with_context(|| format!("`facts.file`: cannot read {}", place.display()))?;
    let facts = Facts::from_signed(&file, &keys)
        .with_context(|| format!("`facts.file`: {}", place.display()))?;
    tracing::info!(file = %place.display(), services = facts.services().count(), "service facts loaded");
    Ok(Arc::new(facts))
}
