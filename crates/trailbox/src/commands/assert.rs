//! `trailbox assert`: which calls were made, for test suites.

use super::{Target, small_runtime};
use crate::render::say;
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

/// Checks which calls were made since the last reset; exit code 0 when all hold, 1 when not.
///
/// Exit code 2 says that nothing could be checked: no server, or an assertion nobody can read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  trailbox assert 'count(s3:PutObject, bucket==\"out\") == 1'
  trailbox assert 'count(iam:*) == 0' 'count(*, errorCode) == 0'")]
pub(crate) struct Assert {
    #[command(flatten)]
    target: Target,
    /// `count(service:Operation[, condition]) comparison number`; all must hold.
    #[arg(required = true, value_name = "ASSERTION")]
    assertions: Vec<String>,
    /// Records of this account [default: the server's own].
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Also count what was before the last reset.
    #[arg(long)]
    all_generations: bool,
    /// How the results are written.
    #[arg(long, value_enum, default_value_t)]
    output: AssertOutput,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum AssertOutput {
    /// Lines for people.
    #[default]
    Table,
    /// The server's answer.
    Json,
}

impl Assert {
    pub(crate) fn run(self) -> ExitCode {
        match self.check() {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(err) => {
                eprintln!("trailbox: {err:#}");
                ExitCode::from(2)
            }
        }
    }

    /// Whether all assertions hold, after saying so.
    fn check(self) -> anyhow::Result<bool> {
        let mut body = json!({
            "assertions": self.assertions,
            "allGenerations": self.all_generations,
        });
        if let Some(account) = &self.account {
            body["account"] = json!(account);
        }
        let answer = small_runtime()?.block_on(async {
            let admin = self.target.connect()?;
            admin.call("POST", "/api/v1/count", Some(&body)).await
        })?;
        match self.output {
            AssertOutput::Json => say(&(serde_json::to_string_pretty(&answer)? + "\n"))?,
            AssertOutput::Table => say(&report(&answer))?,
        }
        Ok(answer["holds"] == Value::Bool(true))
    }
}

/// A line for each assertion; for one that does not hold, what was found instead.
fn report(answer: &Value) -> String {
    let lines = list(&answer["results"]).iter().map(|result| {
        let assertion = result["assertion"].as_str().unwrap_or("");
        if result["holds"] == Value::Bool(true) {
            format!("holds: {assertion}\n")
        } else {
            format!("FAILS: {assertion}\n{}", instead(result))
        }
    });
    lines.collect()
}

/// What was counted, the calls that came nearest, and the calls there were.
fn instead(result: &Value) -> String {
    let mut text = String::new();
    for count in list(&result["counts"]) {
        let what = count["text"].as_str().unwrap_or("");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {what} is {}", count["found"]);
        for near in list(&count["nearest"]) {
            let broken = near["broken"].as_str().unwrap_or("");
            let _ = writeln!(text, "    near: {broken} fails, it is {}", near["is"]);
            let record = std::slice::from_ref(&near["record"]);
            let table = super::lookup::rows(record).table();
            table.lines().for_each(|line| {
                let _ = writeln!(text, "      {line}");
            });
        }
    }
    let calls: Vec<String> = list(&result["calls"])
        .iter()
        .map(|call| format!("{} ×{}", call["call"].as_str().unwrap_or(""), call["count"]))
        .collect();
    if !calls.is_empty() {
        let _ = writeln!(text, "  calls seen: {}", calls.join(", "));
    }
    text
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::report;
    use serde_json::json;

    #[test]
    fn a_failure_says_what_was_counted_and_what_came_near() {
        let answer = json!({"results": [
            {"assertion": "count(a:B) == 0", "holds": true},
            {"assertion": "count(s3:PutObject, bucket==\"out\") == 1", "holds": false,
             "counts": [{"text": "count(s3:PutObject, bucket==\"out\")", "found": 0, "nearest": [
                {"broken": "bucket==\"out\"", "is": "in", "record": {"eventName": "PutObject"}}]}]},
        ]});
        let text = report(&answer);
        assert!(text.starts_with("holds: count(a:B) == 0\nFAILS: "), "{text}");
        assert!(text.contains("bucket==\"out\" fails, it is \"in\""), "{text}");
    }
}
