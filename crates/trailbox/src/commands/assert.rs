//! `trailbox assert`: which calls were made, for test suites.

use super::{Target, small_runtime};
use clap::Args;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Checks how often calls were made since the last reset; exit code 0 when true, 1 when false.
///
/// Examples:
///   trailbox assert `'count(s3:PutObject, bucket=="out") == 1'`
///   trailbox assert `'count(iam:*) == 0'` `'count(s3:Delete*) <= 2'`
#[derive(Debug, Args)]
pub(crate) struct Assert {
    #[command(flatten)]
    target: Target,
    /// `count(service:Operation[, condition]) comparison number`; all must be true.
    #[arg(required = true, value_name = "EXPRESSION")]
    expressions: Vec<String>,
    /// Records of this account [default: the server's own].
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// Print the answers as JSON.
    #[arg(long)]
    json: bool,
}

impl Assert {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let answers = small_runtime()?.block_on(async {
            let admin = self.target.connect()?;
            let mut answers = Vec::new();
            for expression in &self.expressions {
                let mut body = json!({ "expression": expression });
                if let Some(account) = &self.account {
                    body["account"] = json!(account);
                }
                answers.push(admin.call("POST", "/api/v1/count", Some(&body)).await?);
            }
            anyhow::Ok(answers)
        })?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&answers)?);
        }
        let mut holds = true;
        for (expression, answer) in self.expressions.iter().zip(&answers) {
            let true_here = answer["holds"] == Value::Bool(true);
            holds &= true_here;
            if !self.json {
                println!("{}", verdict(expression, answer, true_here));
            }
        }
        Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn verdict(expression: &str, answer: &Value, holds: bool) -> String {
    let count = &answer["count"];
    if holds {
        return format!("ok: {expression}");
    }
    let mut text = format!("FALSE: {expression}\n  counted {count}");
    let nearest = answer["nearest"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !nearest.is_empty() {
        text.push_str("\n  the nearest calls were:\n");
        text.push_str(&super::lookup::rows(nearest).table());
    }
    text
}
