//! `POST /api/v1/count`: whether assertions about the recorded calls hold.

use super::time::{Moment, range};
use super::{account, invalid};
use crate::engine::Engine;
use crate::error::ApiError;
use crate::expression::{Assertion, Tally};
use crate::json;
use crate::request::OwnRequest;
use serde::Deserialize;
use serde_json::{Value, json};
use trailbox_history::{Hit, Query};
use trailbox_record::Category;

/// Records looked at for one request at most.
const RECORDS_MAX: usize = 200_000;
/// Records read at once.
const BATCH: usize = 1000;
/// Assertions of one request at most.
const ASSERTIONS_MAX: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CountRequest {
    assertions: Vec<String>,
    account: Option<String>,
    region: Option<String>,
    start: Option<Moment>,
    end: Option<Moment>,
    #[serde(default)]
    all_generations: bool,
}

/// Answers one call: every assertion with what was counted for it.
pub(super) async fn count(engine: &Engine, request: &OwnRequest) -> Result<Value, ApiError> {
    let asked: CountRequest = json::parse(&request.body)?;
    if asked.assertions.is_empty() || ASSERTIONS_MAX < asked.assertions.len() {
        return Err(invalid(format!("`assertions` needs 1 to {ASSERTIONS_MAX} items")));
    }
    let parsed = asked
        .assertions
        .iter()
        .map(|text| Assertion::parse(text).map_err(|err| invalid(err.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    let (start, end) = range(asked.start.as_ref(), asked.end.as_ref())?;
    engine.wait_for(request).await?;
    let generation = if asked.all_generations { 0 } else { engine.history.generation() };
    let query = Query {
        region: asked.region,
        categories: vec![Category::Management, Category::Data],
        start,
        end,
        after_sequence: generation,
        limit: BATCH,
        ..Query::newest(account(request, asked.account.as_deref())?)
    };

    let now = engine.clock.now().seconds();
    let mut tallies: Vec<Tally<'_>> = parsed.iter().map(|it| Tally::new(it, now)).collect();
    let seen =
        each(engine, query, |hit| tallies.iter_mut().for_each(|tally| tally.see(hit))).await?;

    let verdicts: Vec<_> = tallies.into_iter().map(Tally::verdict).collect();
    let holds = verdicts.iter().all(|verdict| verdict.holds);
    let mut results = Vec::with_capacity(verdicts.len());
    for (text, verdict) in asked.assertions.iter().zip(verdicts) {
        let mut told = verdict.told;
        told["assertion"] = Value::from(text.as_str());
        results.push(told);
    }
    Ok(json!({ "holds": holds, "records": seen, "generation": generation, "results": results }))
}

/// Hands every record that answers `query` to `see`; says how many there were.
async fn each(
    engine: &Engine,
    mut query: Query,
    mut see: impl FnMut(&Hit),
) -> Result<usize, ApiError> {
    let mut seen = 0;
    loop {
        let page = engine.lookup(query.clone()).await?;
        if page.unreadable != 0 {
            return Err(invalid(
                "some records cannot be read from the journal; a count would be wrong",
            ));
        }
        seen += page.records.len();
        page.records.iter().for_each(&mut see);
        let Some(next) = page.next else { return Ok(seen) };
        if RECORDS_MAX <= seen {
            return Err(invalid(format!(
                "there are more than {RECORDS_MAX} records; say `start` to count fewer"
            )));
        }
        query.after = Some(next);
    }
}
