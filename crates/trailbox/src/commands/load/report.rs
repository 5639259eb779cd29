//! What a run says in the end, for people or as JSON.

use super::drive::Tally;
use super::verify::Verdict;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::time::Duration;

/// Percentiles that are told, in thousandths.
const PERCENTILES: [(&str, u64); 5] =
    [("p50", 500), ("p90", 900), ("p99", 990), ("p999", 999), ("max", 1000)];

/// A run that is over.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) tally: &'a Tally,
    /// How long was measured.
    pub(super) duration: Duration,
    /// `None` when nobody asked.
    pub(super) verdict: Option<&'a Verdict>,
}

impl Report<'_> {
    /// Acknowledged calls per second while it was measured.
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    fn rate(&self) -> f64 {
        self.tally.latency.len() as f64 / self.duration.as_secs_f64()
    }

    fn verdict_text(&self) -> String {
        self.verdict.map_or_else(|| "not verified: --no-verify".to_owned(), Verdict::text)
    }

    /// One JSON object; latencies in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of an hour fit 52 bits")]
    pub(super) fn json(&self) -> Value {
        let tally = self.tally;
        let latency: serde_json::Map<String, Value> = PERCENTILES
            .iter()
            .map(|(name, place)| {
                ((*name).to_owned(), json!(tally.latency.percentile(*place) as f64 / 1000.0))
            })
            .collect();
        json!({
            "verdict": self.verdict_text(),
            "seconds": self.duration.as_secs_f64(),
            "callsPerSecond": self.rate(),
            "measured": tally.latency.len(),
            "latencyMicros": latency,
            "acknowledged": tally.acknowledged,
            "answeredWithAnError": tally.failed,
            "refused": tally.refused,
            "unacknowledged": tally.unacknowledged,
            "unconnected": tally.unconnected,
            "behind": tally.behind,
            "verification": self.verdict,
        })
    }

    /// Lines for people.
    pub(super) fn text(&self) -> String {
        let tally = self.tally;
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "calls      {} acknowledged ({} with an error), {} refused unrecorded, \
             {} without an answer",
            tally.acknowledged, tally.failed, tally.refused, tally.unacknowledged
        );
        if tally.unconnected > 0 {
            let _ = writeln!(text, "           {} times no connection", tally.unconnected);
        }
        if tally.behind > 0 {
            let _ = writeln!(text, "           {} were due and not made in time", tally.behind);
        }
        let _ = writeln!(text, "rate       {:.0} calls/s", self.rate());
        let latency: Vec<String> = PERCENTILES
            .iter()
            .map(|(name, place)| {
                let nanos = tally.latency.percentile(*place);
                let micros = Duration::from_micros(nanos.div_ceil(1000));
                format!("{name} {}", humantime::format_duration(micros))
            })
            .collect();
        let _ = writeln!(text, "latency    {}", latency.join(" · "));
        if let Some(verdict) = self.verdict {
            let _ = writeln!(
                text,
                "records    {} found, {} of them of calls without an answer",
                verdict.found, verdict.found_unacknowledged
            );
            if verdict.unreadable > 0 {
                let _ = writeln!(text, "           {} unreadable", verdict.unreadable);
            }
            for example in &verdict.examples {
                let _ = writeln!(text, "           {example}");
            }
        }
        let _ = writeln!(text, "verdict    {}", self.verdict_text());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Report, Tally, Verdict};
    use std::time::Duration;

    #[test]
    fn a_report_ends_with_the_verdict() {
        let mut tally = Tally::new();
        (1..=4000).for_each(|micros| tally.latency.record(micros * 1000));
        let verdict = Verdict { missing: 1, ..Verdict::default() };
        let report =
            Report { tally: &tally, duration: Duration::from_secs(2), verdict: Some(&verdict) };
        let text = report.text();
        assert!(text.contains("rate       2000 calls/s"), "{text}");
        assert!(text.ends_with("verdict    MISSING 1\n"), "{text}");
        assert_eq!(report.json()["latencyMicros"]["max"], 4000.0);
    }
}
