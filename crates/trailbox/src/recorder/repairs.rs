//! Repairs of the journal since the last start: each is recorded once.
//!
//! `trailbox journal repair` leaves a report in the quarantine. Its eventID is
//! drawn there, so a start that dies here records the same event again.

use super::audit::Audit;
use anyhow::Context as _;
use serde_json::Value;
use std::path::Path;

/// Places named in one record at most; the report has them all.
const NAMED: usize = 50;

/// Records the repairs whose reports lie in `quarantine`.
///
/// # Errors
///
/// When a report cannot be read or renamed, or the journal takes no record.
pub(super) async fn record(audit: &Audit, quarantine: &Path) -> anyhow::Result<()> {
    let entries = match std::fs::read_dir(quarantine) {
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.with_context(|| format!("cannot read {}", quarantine.display()))?,
    };
    for entry in entries {
        let place = entry?.path();
        let name = place.file_name().map(|name| name.to_string_lossy().into_owned());
        let Some(name) = name.filter(|name| is_report(name)) else { continue };
        let text = std::fs::read(&place).with_context(|| format!("cannot read {name}"))?;
        let (event_id, details) = details(&text, &name)
            .with_context(|| format!("{} is no report of a repair", place.display()))?;
        audit.write_as(event_id, "RepairJournal", details).await?;
        tracing::warn!(report = %place.display(), "the journal was repaired; frames may be missing");
        std::fs::rename(&place, place.with_extension("recorded.json"))?;
    }
    Ok(())
}

fn is_report(name: &str) -> bool {
    let stem = name.strip_prefix("repair-").and_then(|name| name.strip_suffix(".json"));
    stem.is_some_and(|stem| stem.bytes().all(|byte| byte.is_ascii_digit()))
}

fn details(text: &[u8], name: &str) -> anyhow::Result<([u8; 16], Value)> {
    let report: Value = serde_json::from_slice(text)?;
    let mut event_id = [0; 16];
    let hex = report["eventId"].as_str().unwrap_or_default();
    hex::decode_to_slice(hex, &mut event_id).context("its `eventId` is not 32 hex digits")?;
    let repairs = report["repairs"].as_array().cloned().unwrap_or_default();
    let lost: u64 = repairs.iter().filter_map(|repair| repair["framesLost"].as_u64()).sum();
    let details = serde_json::json!({
        "report": name,
        "repairedAt": report["at"],
        "places": repairs.len(),
        "framesLost": lost,
        "repairs": repairs.into_iter().take(NAMED).collect::<Vec<_>>(),
    });
    Ok((event_id, details))
}

#[cfg(test)]
mod tests {
    use super::{details, is_report};

    #[test]
    fn a_report_is_told_from_what_was_set_aside_and_from_one_that_is_recorded() {
        assert!(is_report("repair-1700000000000000.json"));
        for other in ["repair-17.recorded.json", "1700-00000000000000000001-0000000001.open", "x"] {
            assert!(!is_report(other), "{other}");
        }
    }

    #[test]
    fn a_record_names_so_many_places_and_counts_them_all() {
        let one = r#"{"file": "f", "framesLost": 2}"#;
        let many = vec![one; 60].join(",");
        let id = "ab".repeat(16);
        let text = format!(r#"{{"eventId": "{id}", "at": "now", "repairs": [{many}]}}"#);
        let (event_id, details) = details(text.as_bytes(), "repair-1.json").unwrap();
        assert_eq!(event_id, [0xab; 16]);
        assert_eq!((&details["places"], &details["framesLost"]), (&60.into(), &120.into()));
        assert_eq!(details["repairs"].as_array().unwrap().len(), 50);
    }
}
