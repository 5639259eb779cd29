//! Self-audit: what the recorder does to itself stands in the journal too.
//!
//! Records of type `AwsServiceEvent` from `trailbox`: start with the hash of the
//! configuration and what a crash left, and stop.

use crate::config::Config;
use anyhow::Context as _;
use serde_json::json;
use std::sync::Arc;
use trailbox_clock::{Clock, Random};
use trailbox_journal::{Extension, Frame, FrameKind, Journal, MANAGEMENT, Recovery};
use trailbox_record::{ServiceEventContext, service_event};

/// Writes the recorder's own events.
pub(super) struct Audit {
    journal: Arc<Journal>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    account: String,
    region: String,
}

impl Audit {
    pub(super) fn new(
        journal: Arc<Journal>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        config: &Config,
    ) -> Self {
        let (account, region) = (config.account.clone(), config.region.clone());
        Self { journal, clock, random, account, region }
    }

    /// The recorder stands.
    ///
    /// # Errors
    ///
    /// When the journal does not take the first frame: then it takes none.
    pub(super) async fn started(&self, config: &Config, found: &Recovery) -> anyhow::Result<()> {
        let mode = format!("{:?}", config.mode).to_lowercase();
        let lost = found
            .counter_lost
            .map(|(from, to)| json!({"from": from.to_event_time(), "to": to.to_event_time()}));
        let details = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "mode": mode,
            "configurationSha256": config_hash(config),
            "truncatedBytes": found.truncated_bytes,
            "outcomesUnknown": found.open_intents.len(),
            "counterLost": lost,
        });
        self.write("StartRecorder", details).await.context("the journal does not take a record")
    }

    /// The recorder ends in good order.
    ///
    /// `restart`: the next one follows at once.
    pub(super) async fn stopped(&self, restart: bool) {
        let details = if restart { json!({"restart": true}) } else { json!({}) };
        if let Err(err) = self.write("StopRecorder", details).await {
            tracing::error!(error = %err, "the stop could not be recorded");
        }
    }

    async fn write(
        &self,
        name: &str,
        details: serde_json::Value,
    ) -> Result<(), trailbox_journal::AppendError> {
        self.write_as(self.random.uuid(), name, details).await
    }

    /// Writes an event whose eventID was drawn before: readers drop repetitions.
    pub(super) async fn write_as(
        &self,
        event_id: [u8; 16],
        name: &str,
        details: serde_json::Value,
    ) -> Result<(), trailbox_journal::AppendError> {
        let at = self.clock.now();
        let record = service_event(&ServiceEventContext {
            event_id,
            at,
            account: self.account.clone(),
            region: self.region.clone(),
            name: name.to_owned(),
            details,
        });
        let frame = Frame {
            kind: FrameKind::Record,
            account: self.account.clone(),
            region: self.region.clone(),
            category: MANAGEMENT,
            read_only: false,
            event_id,
            arrival: at,
            extension: Extension::default(),
            payload: record.json,
        };
        self.journal.append(frame).await.map(drop)
    }
}

/// SHA-256 of the settled configuration. Secrets are not in it: they are named by place only.
fn config_hash(config: &Config) -> String {
    let text = format!("{config:?}");
    hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()))
}
