//! `POST /api/v1/lookup`: lookups beyond `LookupEvents`: several attributes at
//! once, free text, data events, every Region, any account.

use super::time::{Moment, range};
use super::{account, invalid};
use crate::cloudtrail::token;
use crate::engine::Engine;
use crate::error::{ApiError, Code};
use crate::json;
use crate::request::OwnRequest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use trailbox_history::{Attribute, Hit, Query};
use trailbox_record::Category;

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 1000;
const TEXT_MAX: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LookupRequest {
    account: Option<String>,
    region: Option<String>,
    categories: Option<Vec<String>>,
    #[serde(default)]
    attributes: Vec<Filter>,
    text: Option<String>,
    start: Option<Moment>,
    end: Option<Moment>,
    limit: Option<usize>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    key: String,
    value: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LookupAnswer {
    records: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    unreadable: u64,
}

/// Answers one call.
pub(super) async fn lookup(
    engine: &Engine,
    request: &OwnRequest,
) -> Result<Box<RawValue>, ApiError> {
    let asked: LookupRequest = json::parse(&request.body)?;
    let (query, question) = asked.query(engine, request)?;
    engine.wait_for(request).await?;

    let page = engine.lookup(query).await?;

    let next = page.next.map(|next| token::seal(&engine.token_key, &question, next));
    let records = page.records.iter().map(raw).collect::<Result<Vec<_>, _>>()?;
    let answer = LookupAnswer { records, next_token: next, unreadable: page.unreadable };
    serde_json::value::to_raw_value(&answer).map_err(ApiError::internal)
}

fn raw(hit: &Hit) -> Result<Box<RawValue>, ApiError> {
    serde_json::from_slice(&hit.json).map_err(ApiError::internal)
}

impl LookupRequest {
    fn query(
        self,
        engine: &Engine,
        request: &OwnRequest,
    ) -> Result<(Query, Vec<String>), ApiError> {
        let account = account(request, self.account.as_deref())?;
        let names = self.categories.unwrap_or_else(|| vec!["Management".into(), "Data".into()]);
        let categories = names.iter().map(|name| category(name)).collect::<Result<_, _>>()?;
        let filters = self
            .attributes
            .into_iter()
            .map(|Filter { key, value }| Ok((parse_key(&key)?, value)))
            .collect::<Result<Vec<_>, ApiError>>()?;
        if self.text.as_ref().is_some_and(|text| text.is_empty() || TEXT_MAX < text.len()) {
            return Err(invalid(format!("`text` needs 1 to {TEXT_MAX} bytes")));
        }
        let (start, end) = range(self.start.as_ref(), self.end.as_ref())?;
        let limit = self.limit.unwrap_or(LIMIT);
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(invalid(format!("`limit` is {limit}; it needs 1 to {LIMIT_MAX}")));
        }
        let mut query = Query {
            region: self.region,
            categories,
            filters,
            text: self.text,
            start,
            end,
            limit,
            ..Query::newest(account)
        };
        let question =
            vec!["lookup".to_owned(), format!("{:?}", Query { limit: 0, ..query.clone() })];
        if let Some(text) = self.next_token {
            let refused = || ApiError::refused(Code::InvalidNextTokenException, "invalid token");
            let cursor = token::open(&engine.token_key, &question, &text).ok_or_else(refused)?;
            query.after = Some(cursor);
        }
        Ok((query, question))
    }
}

fn parse_key(key: &str) -> Result<Attribute, ApiError> {
    key.parse().map_err(|err: trailbox_history::ParseAttributeError| invalid(err.to_string()))
}

/// A category by its name in records.
pub(super) fn category(name: &str) -> Result<Category, ApiError> {
    match name {
        "Management" => Ok(Category::Management),
        "Data" => Ok(Category::Data),
        "Insight" => Ok(Category::Insight),
        "NetworkActivity" => Ok(Category::NetworkActivity),
        other => {
            let other: String = other.chars().take(64).collect();
            Err(invalid(format!(
                "category {other:?} is none of `Management`, `Data`, `Insight`, `NetworkActivity`"
            )))
        }
    }
}
