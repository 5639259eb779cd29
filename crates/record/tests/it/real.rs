//! Real records of the shared set, where it is at hand.

use std::path::PathBuf;
use trailbox_record::lookup;
use trailbox_service_facts::decode::inflate_capped;

/// Every record of the shared log files, as JSON text.
fn records() -> Vec<Vec<u8>> {
    let root = std::env::var_os("TRAILBOX_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let files = std::fs::read_dir(root.join("data/events/invictus"));
    files
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "gz"))
        .flat_map(|path| {
            let packed = std::fs::read(path).expect("a readable file");
            let plain = inflate_capped(&packed, 64 << 20).expect("gzip");
            let file: serde_json::Value = serde_json::from_slice(&plain).expect("JSON");
            file["Records"].as_array().cloned().unwrap_or_default()
        })
        .map(|record| record.to_string().into_bytes())
        .collect()
}

#[test]
#[allow(clippy::print_stdout, reason = "says that nothing was read")]
fn every_real_record_can_be_looked_up_and_most_name_a_resource() {
    let records = records();
    if records.is_empty() {
        println!("no shared records here: set TRAILBOX_SHARED to read them");
        return;
    }
    let mut changing = 0;
    let mut naming = 0;
    for json in &records {
        let view = lookup::view(json).expect("a record");
        assert_eq!(view.event_id.len(), 36);
        let by_hand = !json.windows(17).any(|part| part == b"\"AwsServiceEvent\"");
        let changes = view.read_only == Some(false) && view.error_code.is_none() && by_hand;
        changing += usize::from(changes);
        naming += usize::from(changes && !view.resources.is_empty());
    }
    assert!(naming * 100 >= changing * 90, "{naming} of {changing} changes name a resource");
}
