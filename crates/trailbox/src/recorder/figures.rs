//! Figures for `/metrics`: what the gateway counts, and the levels of the journal.

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use trailbox_gateway::MetricsText;
use trailbox_journal::{Journal, JournalStats, SYNC_BOUNDS};

/// Upper bounds of latency buckets, in seconds: 50 µs to a minute.
const SECONDS: [f64; 16] = [
    0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0,
    15.0, 60.0,
];

/// Starts counting and returns what `/metrics` prints.
///
/// # Errors
///
/// When figures are being collected in this process already.
pub(super) fn text(journal: Arc<Journal>, restarts: Arc<AtomicU64>) -> anyhow::Result<MetricsText> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .install_recorder()
        .context("figures are being collected already")?;
    trailbox_gateway::observe::describe();
    describe();
    Ok(MetricsText(Arc::new(move || {
        levels(&journal.stats());
        metrics::counter!("trailbox_engine_restarts_total")
            .absolute(restarts.load(Ordering::Relaxed));
        handle.render() + &syncs(&journal.stats())
    })))
}

fn describe() {
    use metrics::{describe_counter, describe_gauge};
    describe_counter!("trailbox_engine_restarts_total", "Engines that ended by themselves.");
    describe_counter!("trailbox_journal_frames_total", "Frames made durable.");
    describe_counter!("trailbox_journal_bytes_total", "Bytes made durable.");
    describe_counter!("trailbox_journal_payload_bytes_total", "Bytes of records made durable.");
    describe_counter!("trailbox_journal_written_bytes_total", "Bytes written by the journal.");
    describe_gauge!(
        "trailbox_journal_write_amplification",
        "Bytes written by the journal per byte recorded, since the start; 4 at most is well."
    );
    describe_counter!("trailbox_journal_batches_total", "Writes followed by one sync.");
    describe_counter!("trailbox_journal_refused_total", "Frames refused; their callers know.");
    describe_counter!("trailbox_journal_lost_total", "Frames lost that nobody waited for.");
    describe_counter!("trailbox_journal_failures_total", "Failed writes and syncs.");
    describe_gauge!("trailbox_journal_queue_frames", "Frames waiting for the writer.");
    describe_gauge!("trailbox_journal_parked_frames", "Frames held until the disk recovers.");
    describe_gauge!("trailbox_journal_open_intents", "Calls forwarded and not recorded yet.");
    describe_gauge!("trailbox_journal_unsealed_segments", "Segments not sealed yet.");
    describe_gauge!("trailbox_disk_available_bytes", "Room on the journal's disk.");
}

fn levels(stats: &JournalStats) {
    use metrics::{counter, gauge};
    counter!("trailbox_journal_frames_total").absolute(stats.frames);
    counter!("trailbox_journal_bytes_total").absolute(stats.bytes);
    counter!("trailbox_journal_payload_bytes_total").absolute(stats.payload_bytes);
    counter!("trailbox_journal_written_bytes_total").absolute(stats.written_bytes);
    gauge!("trailbox_journal_write_amplification").set(stats.write_amplification());
    counter!("trailbox_journal_batches_total").absolute(stats.batches);
    counter!("trailbox_journal_refused_total").absolute(stats.refused);
    counter!("trailbox_journal_lost_total").absolute(stats.lost);
    counter!("trailbox_journal_failures_total", "what" => "write").absolute(stats.write_failures);
    counter!("trailbox_journal_failures_total", "what" => "sync").absolute(stats.sync_failures);
    gauge!("trailbox_journal_queue_frames").set(level(stats.queue_frames));
    gauge!("trailbox_journal_parked_frames").set(level(stats.parked_frames));
    gauge!("trailbox_journal_open_intents").set(level(stats.open_intents));
    gauge!("trailbox_journal_unsealed_segments").set(level(stats.unsealed_segments));
    if let Some(space) = stats.space {
        gauge!("trailbox_disk_available_bytes").set(level(space.available));
    }
}

/// A level as Prometheus wants it; above 2^53 it is rounded, which no reader minds.
#[allow(clippy::cast_precision_loss)]
fn level(value: u64) -> f64 {
    value as f64
}

/// The journal's own histogram of sync latencies, as text.
fn syncs(stats: &JournalStats) -> String {
    let name = "trailbox_journal_sync_seconds";
    let mut text = format!("# HELP {name} Seconds of one sync.\n# TYPE {name} histogram\n");
    let mut total = 0;
    let buckets = SYNC_BOUNDS.iter().zip(stats.sync_buckets).map(|(bound, count)| {
        total += count;
        format!("{name}_bucket{{le=\"{}\"}} {total}\n", level(*bound) / 1e6)
    });
    text.extend(buckets);
    total += stats.sync_buckets[SYNC_BOUNDS.len()];
    let sum = level(stats.sync_micros) / 1e6;
    text + &format!(
        "{name}_bucket{{le=\"+Inf\"}} {total}\n{name}_sum {sum}\n{name}_count {total}\n"
    )
}
