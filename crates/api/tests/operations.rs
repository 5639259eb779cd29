//! Which modelled operations have no answer yet: a list that only shrinks.
#![allow(clippy::unwrap_used, reason = "a test may stop at what should not happen")]

mod support;

use std::fmt::Write as _;
use std::path::Path;
use support::{World, request};
use trailbox_api::EngineOptions;
use trailbox_service_facts::Facts;

#[tokio::test]
async fn the_list_of_missing_operations_is_true() {
    let world = World::new(EngineOptions::default());
    let mut missing = String::from(
        "# Modelled operations that Trailbox does not answer yet. This list only shrinks.\n",
    );
    for name in ["cloudtrail", "cloudtrail-data", "sts"] {
        let facts = Facts::embedded();
        for operation in &facts.service(name).unwrap().operations {
            let asked = request(World::caller("admin"), name, &operation.name, "");
            let answer = world.ask(asked).await;
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            assert!(
                !text.contains("UnknownOperation") && !text.contains("InvalidAction"),
                "{text}"
            );
            if text.contains("UnsupportedOperationException") {
                assert_eq!(answer.status, 400);
                writeln!(missing, "{name}:{}", operation.name).unwrap();
            }
        }
    }
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/output/operations-missing.txt");
    let written = std::fs::read_to_string(&place).unwrap_or_default();
    if std::env::var_os("UPDATE_WIRE").is_some() {
        assert!(
            written.is_empty() || missing.lines().all(|line| written.lines().any(|it| it == line)),
            "the list may only shrink"
        );
        std::fs::write(&place, &missing).unwrap();
    } else {
        assert_eq!(missing, written, "UPDATE_WIRE=1 rewrites the list; it only shrinks");
    }
}
