//! `trailbox lookup`: who did what, by several attributes at once.

use super::{Target, small_runtime};
use crate::client::Admin;
use crate::render::{Output, Rows, say};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Records asked for in one call.
const PAGE: usize = 1000;

/// Looks up records: management calls, objects, items and messages; newest first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  trailbox lookup --event-name DeleteObject --username alice --last 2h
  trailbox lookup --category data --resource arn:aws:s3:::reports/budget.csv --output json
  trailbox lookup --text 203.0.113.9")]
pub(crate) struct Lookup {
    #[command(flatten)]
    target: Target,
    /// Only this call, such as `DeleteBucket`.
    #[arg(long, value_name = "NAME")]
    event_name: Option<String>,
    /// Only this service, such as `s3.amazonaws.com`.
    #[arg(long, value_name = "SOURCE")]
    event_source: Option<String>,
    /// Only this record.
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// Only this user, role session or `root`.
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Only calls signed with this key.
    #[arg(long, value_name = "ID")]
    access_key_id: Option<String>,
    /// Only this resource, by name or ARN.
    #[arg(long, value_name = "NAME")]
    resource: Option<String>,
    /// Only resources of this type, such as `AWS::S3::Object`.
    #[arg(long, value_name = "TYPE")]
    resource_type: Option<String>,
    /// Only calls that read (`true`) or may change something (`false`).
    #[arg(long, value_name = "BOOL")]
    read_only: Option<bool>,
    /// Only records that contain this text anywhere.
    #[arg(long)]
    text: Option<String>,
    /// Only records of this kind [default: all].
    #[arg(long, value_enum)]
    category: Vec<Category>,
    /// Only this Region.
    #[arg(long)]
    region: Option<String>,
    /// Records of this account [default: the server's own].
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// From this moment on, such as 2026-11-22T17:30:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "last")]
    start: Option<String>,
    /// Up to this moment.
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// Only the last while, such as `2h` or `30m`.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    last: Option<std::time::Duration>,
    /// At most so many records; 0 for all.
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    limit: usize,
    /// How the list is written. `json` gives whole records.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Kinds of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Category {
    /// Calls that manage resources.
    Management,
    /// Calls on objects, items and messages.
    Data,
    /// Rates that broke their baseline.
    Insight,
    /// Calls through a VPC endpoint.
    NetworkActivity,
}

impl Lookup {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let records = small_runtime()?.block_on(async {
            let admin = self.target.connect()?;
            self.collect(&admin).await
        })?;
        match self.output {
            Output::Json => say(&(serde_json::to_string_pretty(&records)? + "\n"))?,
            Output::Table => say(&(rows(&records).table() + "\n"))?,
            Output::Csv => say(&rows(&records).csv())?,
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn collect(&self, admin: &Admin) -> anyhow::Result<Vec<Value>> {
        let mut found = Vec::new();
        let mut question = self.question();
        loop {
            let wanted = if self.limit == 0 { PAGE } else { self.limit - found.len() };
            question["limit"] = json!(wanted.min(PAGE));
            let mut page = admin.call("POST", "/api/v1/lookup", Some(&question)).await?;
            if let Value::Array(records) = page["records"].take() {
                found.extend(records);
            }
            let enough = self.limit != 0 && found.len() >= self.limit;
            match page["nextToken"].take() {
                Value::String(token) if !enough => question["nextToken"] = Value::from(token),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_)
                | Value::Object(_) => return Ok(found),
            }
        }
    }

    fn question(&self) -> Value {
        let read_only = self.read_only.map(|flag| flag.to_string());
        let attributes = [
            ("EventName", &self.event_name),
            ("EventSource", &self.event_source),
            ("EventId", &self.event_id),
            ("Username", &self.username),
            ("AccessKeyId", &self.access_key_id),
            ("ResourceName", &self.resource),
            ("ResourceType", &self.resource_type),
            ("ReadOnly", &read_only),
        ];
        let attributes: Vec<Value> = attributes
            .into_iter()
            .filter_map(|(key, value)| Some(json!({"key": key, "value": value.as_deref()?})))
            .collect();
        let mut question = json!({ "attributes": attributes });
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                question[key] = value;
            }
        };
        set("text", self.text.clone().map(Value::from));
        set("region", self.region.clone().map(Value::from));
        set("account", self.account.clone().map(Value::from));
        set("start", self.start.clone().or_else(|| self.since()).map(Value::from));
        set("end", self.end.clone().map(Value::from));
        let names: Vec<&str> = self.category.iter().map(|category| category.name()).collect();
        set("categories", (!names.is_empty()).then(|| json!(names)));
        question
    }

    /// The moment `last` ago.
    fn since(&self) -> Option<String> {
        use trailbox_clock::Clock as _;
        let micros = i64::try_from(self.last?.as_micros()).unwrap_or(i64::MAX);
        Some(crate::ports::SystemClock.now().plus(-micros).to_event_time())
    }
}

impl Category {
    const fn name(self) -> &'static str {
        match self {
            Self::Management => "Management",
            Self::Data => "Data",
            Self::Insight => "Insight",
            Self::NetworkActivity => "NetworkActivity",
        }
    }
}

/// The columns people ask for first: when, who, what, on what, from where, and how it ended.
pub(crate) fn rows(records: &[Value]) -> Rows {
    let mut rows = Rows::new(&["time", "who", "event", "resource", "from", "outcome"]);
    for record in records {
        let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
        let source = text("/eventSource").unwrap_or("").trim_end_matches(".amazonaws.com");
        rows.push(vec![
            text("/eventTime").unwrap_or("").to_owned(),
            who(record),
            format!("{source}:{}", text("/eventName").unwrap_or("")),
            resource(record),
            text("/sourceIPAddress").unwrap_or("").to_owned(),
            text("/errorCode").unwrap_or("ok").to_owned(),
        ]);
    }
    rows
}

/// A user's name, a role with its session, or what else is known.
fn who(record: &Value) -> String {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    let arn = text("/userIdentity/arn");
    let name = text("/userIdentity/userName").or_else(|| arn?.split_once('/').map(|(_, n)| n));
    let kind = text("/userIdentity/type");
    let name = name
        .or_else(|| text("/userIdentity/invokedBy"))
        .or_else(|| (kind == Some("Root")).then_some("root"))
        .or_else(|| text("/userIdentity/accessKeyId"))
        .or(kind)
        .unwrap_or("?");
    match text("/additionalEventData/trailboxIdentity") {
        Some("claimed") => format!("{name} (claimed)"),
        _ => name.to_owned(),
    }
}

/// The first resource of the record, or the bucket or name in its parameters.
fn resource(record: &Value) -> String {
    let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str);
    let parameters = ["bucketName", "roleArn", "roleName", "userName", "name", "functionName"];
    text("/resources/0/ARN")
        .or_else(|| text("/resources/0/ARNPrefix"))
        .or_else(|| parameters.iter().find_map(|name| text(&format!("/requestParameters/{name}"))))
        .unwrap_or("")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::{resource, who};
    use serde_json::json;

    #[test]
    fn people_roles_and_claims_are_told_apart() {
        let cases = [
            (json!({"userIdentity": {"type": "IAMUser", "userName": "alice"}}), "alice"),
            (json!({"userIdentity": {"type": "Root"}}), "root"),
            (
                json!({"userIdentity": {"type": "AssumedRole",
                    "arn": "arn:aws:sts::1:assumed-role/ops/bob"}}),
                "ops/bob",
            ),
            (
                json!({"userIdentity": {"type": "Unknown", "accessKeyId": "AK"},
                    "additionalEventData": {"trailboxIdentity": "claimed"}}),
                "AK (claimed)",
            ),
        ];
        for (record, want) in cases {
            assert_eq!(who(&record), want);
        }
    }

    #[test]
    fn a_resource_is_an_arn_or_a_name() {
        let record = json!({"resources": [{"ARN": "arn:aws:s3:::b/k"}]});
        assert_eq!(resource(&record), "arn:aws:s3:::b/k");
        let record = json!({"requestParameters": {"bucketName": "b"}});
        assert_eq!(resource(&record), "b");
    }
}
