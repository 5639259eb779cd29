//! `LookupEvents`: management and Insight records of the last 90 days, newest first.
//!
//! Source: CloudTrail API Reference, `API_LookupEvents`.
//! Differs from AWS: records are visible at once, not after minutes, and the
//! limit of two calls per second is off unless `[limits] lookup_tps` sets one.

use super::{authorize, token};
use crate::engine::Engine;
use crate::error::{ApiError, Code};
use crate::json;
use crate::request::OwnRequest;
use serde::{Deserialize, Serialize};
use trailbox_clock::Micros;
use trailbox_history::{Attribute, Hit, Query};
use trailbox_record::Category;

const PAGE_MAX: i64 = 50;
const VALUE_WEIGHT_MAX: usize = 2000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LookupEventsRequest {
    lookup_attributes: Option<Vec<LookupAttribute>>,
    start_time: Option<f64>,
    end_time: Option<f64>,
    event_category: Option<String>,
    max_results: Option<i64>,
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LookupAttribute {
    attribute_key: Option<String>,
    attribute_value: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LookupEventsResponse {
    events: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(clippy::struct_field_names, reason = "the names are AWS's")]
struct Event {
    event_id: String,
    event_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_only: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key_id: Option<String>,
    event_time: i64,
    event_source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    resources: Vec<Resource>,
    cloud_trail_event: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    resource_type: String,
    resource_name: String,
}

/// Answers one call.
pub(super) async fn lookup_events(
    engine: &Engine,
    request: &OwnRequest,
) -> Result<LookupEventsResponse, ApiError> {
    authorize(&request.caller, "cloudtrail:LookupEvents")?;
    let (account, region) = (&request.caller.account, &request.region);
    let now = engine.clock.now();
    if engine.lookups.as_ref().is_some_and(|throttle| !throttle.admit(account, region, now)) {
        return Err(ApiError::refused(Code::ThrottlingException, "Rate exceeded"));
    }
    let asked: LookupEventsRequest = json::parse(&request.body)?;
    let (query, question) = asked.query(engine, account, region)?;
    engine.wait_for(request).await?;

    let page = engine.lookup(query).await?;

    let next_token = page.next.map(|next| token::seal(&engine.token_key, &question, next));
    Ok(LookupEventsResponse {
        events: page.records.into_iter().map(Event::from).collect(),
        next_token,
    })
}

impl LookupEventsRequest {
    /// What to look up, and the question as a token is bound to it.
    fn query(
        self,
        engine: &Engine,
        account: &str,
        region: &str,
    ) -> Result<(Query, Vec<String>), ApiError> {
        let filters = filters(self.lookup_attributes.unwrap_or_default())?;
        let (start, end) = (self.start_time.map(moment), self.end_time.map(moment));
        if start.zip(end).is_some_and(|(start, end)| end < start) {
            return Err(ApiError::refused(
                Code::InvalidTimeRangeException,
                "The start time must not be after the end time.",
            ));
        }
        let limit = limit(self.max_results)?;
        let question = question(
            account,
            region,
            &filters,
            (start, end),
            limit,
            self.event_category.as_deref(),
        );
        let after = self
            .next_token
            .map(|text| {
                let refused =
                    || ApiError::refused(Code::InvalidNextTokenException, "Invalid token.");
                token::open(&engine.token_key, &question, &text).ok_or_else(refused)
            })
            .transpose()?;
        let category = category(self.event_category.as_deref(), &filters)?;
        let query = Query {
            region: Some(region.to_owned()),
            categories: vec![category],
            filters,
            start,
            end,
            limit,
            after,
            ..Query::newest(account)
        };
        Ok((query, question))
    }
}

/// Model constraints first, as AWS's front door checks them, then CloudTrail's own rules.
fn filters(attributes: Vec<LookupAttribute>) -> Result<Vec<(Attribute, String)>, ApiError> {
    let mut filters = Vec::with_capacity(attributes.len());
    for (at, attribute) in attributes.into_iter().enumerate() {
        let member = |name: &str| format!("lookupAttributes.{}.member.{name}", at + 1);
        let key = attribute.attribute_key.ok_or_else(|| missing(&member("attributeKey")))?;
        let value = attribute.attribute_value.ok_or_else(|| missing(&member("attributeValue")))?;
        let parsed = key.parse().map_err(|_| unknown_key(&key, &member("attributeKey")))?;
        filters.push((parsed, value));
    }
    let refused =
        |message: String| Err(ApiError::refused(Code::InvalidLookupAttributesException, message));
    if 1 < filters.len() {
        return refused(format!("LookupAttributes has {} items; it can have one.", filters.len()));
    }
    if let Some((attribute, value)) = filters.first() {
        let weight = weight(value);
        if !(1..=VALUE_WEIGHT_MAX).contains(&weight) {
            return refused(format!(
                "AttributeValue counts {weight} characters; it needs 1 to {VALUE_WEIGHT_MAX}. \
                 Underscores, spaces, commas and newlines count as two."
            ));
        }
        if *attribute == Attribute::ReadOnly && value != "true" && value != "false" {
            return refused("The value of ReadOnly must be true or false.".to_owned());
        }
    }
    Ok(filters)
}

fn missing(member: &str) -> ApiError {
    ApiError::refused(
        Code::ValidationException,
        format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: \
             Member must not be null"
        ),
    )
}

fn unknown_key(key: &str, member: &str) -> ApiError {
    let names: Vec<&str> = Attribute::ALL.iter().map(|attribute| attribute.name()).collect();
    let key: String = key.chars().take(256).collect();
    ApiError::refused(
        Code::ValidationException,
        format!(
            "1 validation error detected: Value '{key}' at '{member}' failed to satisfy \
             constraint: Member must satisfy enum value set: [{}]",
            names.join(", ")
        ),
    )
}

/// Characters as the API counts them: `_`, space, `,` and newline are two.
fn weight(value: &str) -> usize {
    value.chars().map(|c| if matches!(c, '_' | ' ' | ',' | '\n') { 2 } else { 1 }).sum()
}

/// Epoch seconds, fractions allowed.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what is meant")]
fn moment(seconds: f64) -> Micros {
    Micros((seconds * 1e6).round() as i64)
}

fn limit(max_results: Option<i64>) -> Result<usize, ApiError> {
    let asked = max_results.unwrap_or(PAGE_MAX);
    let refused = || {
        ApiError::refused(
            Code::InvalidMaxResultsException,
            format!("MaxResults is {asked}; it needs 1 to {PAGE_MAX}."),
        )
    };
    usize::try_from(asked).ok().filter(|_| (1..=PAGE_MAX).contains(&asked)).ok_or_else(refused)
}

/// Insight records can be looked up by three attributes only.
///
/// Source: CloudTrail User Guide, "Viewing Insights events with the AWS CLI".
fn category(asked: Option<&str>, filters: &[(Attribute, String)]) -> Result<Category, ApiError> {
    match asked {
        None => Ok(Category::Management),
        Some("insight") => {
            let allowed = [Attribute::EventId, Attribute::EventName, Attribute::EventSource];
            match filters.iter().find(|(attribute, _)| !allowed.contains(attribute)) {
                None => Ok(Category::Insight),
                Some((attribute, _)) => Err(ApiError::refused(
                    Code::InvalidLookupAttributesException,
                    format!(
                        "Insights events can be looked up by EventId, EventName and EventSource, \
                         not by {}.",
                        attribute.name()
                    ),
                )),
            }
        }
        Some(other) => {
            let other: String = other.chars().take(64).collect();
            Err(ApiError::refused(
                Code::InvalidEventCategoryException,
                format!("EventCategory is '{other}'; the only value is insight."),
            ))
        }
    }
}

fn question(
    account: &str,
    region: &str,
    filters: &[(Attribute, String)],
    (start, end): (Option<Micros>, Option<Micros>),
    limit: usize,
    category: Option<&str>,
) -> Vec<String> {
    let time = |moment: Option<Micros>| moment.map_or_else(String::new, |at| at.0.to_string());
    let mut parts = vec![
        "LookupEvents".to_owned(),
        account.to_owned(),
        region.to_owned(),
        time(start),
        time(end),
        limit.to_string(),
        category.unwrap_or_default().to_owned(),
    ];
    for (attribute, value) in filters {
        parts.extend([attribute.name().to_owned(), value.clone()]);
    }
    parts
}

impl From<Hit> for Event {
    fn from(hit: Hit) -> Self {
        let Hit { json, view, .. } = hit;
        Self {
            event_id: view.event_id,
            event_name: view.event_name,
            read_only: view.read_only.map(|flag| if flag { "true" } else { "false" }),
            access_key_id: view.access_key_id,
            event_time: view.event_time.seconds(),
            event_source: view.event_source,
            username: view.username,
            resources: view
                .resources
                .into_iter()
                .map(|(resource_type, resource_name)| Resource { resource_type, resource_name })
                .collect(),
            cloud_trail_event: String::from_utf8_lossy(&json).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{moment, weight};
    use trailbox_clock::Micros;

    #[test]
    fn separators_count_twice() {
        for (text, want) in [("abc", 3), ("a_b", 4), ("a, \n", 7), ("é", 1), ("", 0)] {
            assert_eq!(weight(text), want, "{text:?}");
        }
    }

    #[test]
    fn times_keep_their_fraction_and_never_overflow() {
        assert_eq!(moment(1_441_139_757.497), Micros(1_441_139_757_497_000));
        assert_eq!(moment(1e300), Micros(i64::MAX));
        assert_eq!(moment(-1.5), Micros(-1_500_000));
    }
}
