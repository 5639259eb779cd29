//! Routes the botocore-serialised request of every operation and compares
//! `eventSource` and `eventName` with what CloudTrail would write.
//!
//! Input: lines of `conformance/transparency/serialise.py`.

use crate::run::{command, output, root};
use crate::{codegen, venv};
use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde::Deserialize;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use trailbox_exchange::RequestHead;
use trailbox_service_facts::{Facts, Route, RouteHints};

/// Share of operations that must get the right source and name, per mille.
const WANTED: usize = 998;

/// One line.
#[derive(Debug, Deserialize)]
struct Line {
    service: String,
    operation: String,
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body_b64: String,
    event_source: String,
    event_name: String,
}

/// Has botocore serialise the smallest request of every operation.
///
/// # Errors
///
/// No Python, no botocore, or an operation that cannot be serialised.
pub(crate) fn requests() -> anyhow::Result<PathBuf> {
    let python = venv::ensure("codegen-venv", codegen::BOTOCORE)?;
    let text = output(command(python).arg("conformance/transparency/serialise.py"))?;
    let path = root().join("target/requests.jsonl");
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Routes every line of the file and prints each miss.
///
/// # Errors
///
/// A file that is not such lines; fewer than 99.8 % right.
pub(crate) fn run(lines: &Path) -> anyhow::Result<()> {
    let facts = Facts::embedded();
    let file =
        std::fs::File::open(lines).with_context(|| format!("cannot open {}", lines.display()))?;
    let (mut all, mut right, mut same) = (0, 0, 0);
    for (index, text) in BufReader::new(file).lines().enumerate() {
        let line: Line = serde_json::from_str(&text?)
            .with_context(|| format!("{} line {}", lines.display(), index + 1))?;
        let route = route(&facts, &line)?;
        all += 1;
        same += usize::from(route.service_name() == line.service);
        if route.event_source == line.event_source && route.event_name == line.event_name {
            right += 1;
        } else {
            println!("{}", miss(&line, &route));
        }
    }
    ensure!(all > 0, "{} is empty", lines.display());
    println!(
        "{right} of {all} get the right eventSource and eventName ({:.2} %), \
         {same} the very service of botocore",
        percent(right, all)
    );
    ensure!(right * 1000 >= all * WANTED, "fewer than {WANTED} ‰");
    Ok(())
}

fn route(facts: &Facts, line: &Line) -> anyhow::Result<Route> {
    let head = RequestHead {
        method: line.method.clone(),
        target: line.target.clone(),
        headers: line.headers.iter().cloned().collect(),
    };
    let body = BASE64.decode(&line.body_b64)?;
    let form = head
        .headers
        .get("content-type")
        .is_some_and(|content| content.starts_with("application/x-www-form-urlencoded"));
    Ok(facts.route(&head, form.then_some(&body[..]), &RouteHints::default()))
}

fn miss(line: &Line, route: &Route) -> String {
    format!(
        "{}:{} {} {} → {} {} (wanted {} {})",
        line.service,
        line.operation,
        line.method,
        line.target,
        route.event_source,
        route.event_name,
        line.event_source,
        line.event_name
    )
}

#[allow(clippy::cast_precision_loss, reason = "counts are small")]
fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole as f64
}
