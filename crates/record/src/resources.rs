//! `resources`: which things a call was about.
//!
//! S3 follows the URI; every other service has rows in the tables that say
//! which parameter names the thing. Source: spec/gateway.md 4.4.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "of a tree only names are wanted; all other kinds are one case"
)]

use crate::call::Call;
use crate::{kms, partiql, s3};
use serde_json::{Value, json};
use trailbox_service_facts::Service;
use trailbox_service_facts::decode::Tree;
use trailbox_service_facts::tables::ResourceRow;

/// Most names of one call that become resources; no AWS call takes as many.
const NAMES_MAX: usize = 1000;

/// The decoded halves of a call, as far as there are any.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Decoded<'a> {
    pub(crate) request: Option<&'a Tree>,
    pub(crate) response: Option<&'a Tree>,
    /// Whether the call ended in an error.
    pub(crate) failed: bool,
}

/// The entries; empty when the record has no `resources`.
pub(crate) fn resources(call: &Call<'_>, decoded: Decoded<'_>) -> Vec<Value> {
    match call.route.service_name() {
        "s3" => s3_resources(call),
        service => {
            let mut found = statement_tables(call, decoded);
            let known = call.context.kms_key_arn.clone().filter(|_| service == "kms");
            let told = || kms::managed_key(call, decoded.request).filter(|_| !decoded.failed);
            let key = known.or_else(told);
            if let Some(arn) = &key {
                found.push(entry(arn, "AWS::KMS::Key", true, &call.context.account));
            }
            let rules = call.facts.tables().service(service);
            for row in rules.resources(call.route.operation_name()) {
                if key.is_none() || row.resource_type != "AWS::KMS::Key" {
                    add_row(call, decoded, row, &mut found);
                }
            }
            found
        }
    }
}

/// The tables that the statements of a `PartiQL` call name.
fn statement_tables(call: &Call<'_>, decoded: Decoded<'_>) -> Vec<Value> {
    let path = match (call.route.service_name(), call.route.operation_name()) {
        ("dynamodb", "ExecuteStatement") => "Statement",
        ("dynamodb", "BatchExecuteStatement") => "Statements.Statement",
        ("dynamodb", "ExecuteTransaction") => "TransactStatements.Statement",
        _ => return Vec::new(),
    };
    let Some(tree) = decoded.request else { return Vec::new() };
    let mut names: Vec<String> = Vec::new();
    for name in texts(call, tree, path).iter().flat_map(|text| partiql::tables(text)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let template = "arn:aws:dynamodb:{region}:{account}:table/{}";
    let arns = names.iter().filter_map(|name| arn(call, template, name));
    arns.map(|arn| entry(&arn, "AWS::DynamoDB::Table", true, &call.context.account)).collect()
}

fn s3_resources(call: &Call<'_>) -> Vec<Value> {
    let operation = call.route.operation_name();
    let Some(bucket) = s3::label(call, "Bucket").filter(|_| operation != "CreateBucket") else {
        return Vec::new();
    };
    let owner = call.context.bucket_owner.as_deref().unwrap_or(&call.context.account);
    let arn = format!("arn:aws:s3:::{bucket}");
    let whole = json!({"accountId": owner, "type": "AWS::S3::Bucket", "ARN": arn});
    if let Some(key) = s3::label(call, "Key") {
        let mut entries =
            vec![json!({"type": "AWS::S3::Object", "ARN": format!("{arn}/{key}")}), whole];
        if let Some(source) = call.request.headers.get("x-amz-copy-source") {
            entries.push(copy_source(source));
        }
        return entries;
    }
    if trailbox_service_facts::is_data_event(call.facts, call.route) {
        let prefix = call.request.query_value("prefix").unwrap_or_default();
        let objects = json!({"type": "AWS::S3::Object", "ARNPrefix": format!("{arn}/{prefix}")});
        return vec![objects, whole];
    }
    vec![whole]
}

/// The object behind `x-amz-copy-source`: `/bucket/key?versionId=…`, encoded.
fn copy_source(source: &str) -> Value {
    let path = source.split_once('?').map_or(source, |(path, _)| path);
    let path = trailbox_exchange::decode_component(path.trim_start_matches('/'));
    json!({"type": "AWS::S3::Object", "ARN": format!("arn:aws:s3:::{path}")})
}

fn add_row(call: &Call<'_>, decoded: Decoded<'_>, row: &ResourceRow, found: &mut Vec<Value>) {
    for from in &row.from {
        let names = named(call, decoded, from);
        let arns: Vec<String> = names.iter().filter_map(|name| arn(call, &row.arn, name)).collect();
        if !arns.is_empty() {
            let account = &call.context.account;
            found.extend(
                arns.iter().map(|arn| entry(arn, &row.resource_type, row.account, account)),
            );
            return;
        }
    }
}

/// The texts at `request.Member` or `response.Member`.
fn named(call: &Call<'_>, decoded: Decoded<'_>, from: &str) -> Vec<String> {
    let Some((side, path)) = from.split_once('.') else { return Vec::new() };
    let tree = if side == "request" { decoded.request } else { decoded.response };
    if let Some(tree) = tree {
        return texts(call, tree, path);
    }
    // Answers of read-only calls have no model: read the one name by itself.
    let body = call.response.filter(|answered| side == "response" && answered.head.status < 300);
    let read = body.and_then(|answered| Tree::from_json(&answered.body.bytes).ok());
    read.map_or_else(Vec::new, |tree| texts(call, &tree, path))
}

fn texts(call: &Call<'_>, tree: &Tree, path: &str) -> Vec<String> {
    let Some(service) = call.route.service.as_deref() else { return Vec::new() };
    let mut held = vec![tree];
    for part in path.split('.') {
        held = held
            .into_iter()
            .filter_map(|tree| tree.member(service, part))
            .flat_map(|tree| match tree {
                Tree::List(elements) => elements.iter().collect(),
                single => vec![single],
            })
            .collect();
    }
    let mut found: Vec<String> = Vec::new();
    for name in held.into_iter().flat_map(|tree| names_of(service, tree)).take(NAMES_MAX) {
        if !name.is_empty() && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// A text; the keys of a map; of a wrapper (`{Put: {TableName: …}}`) the table within.
fn names_of(service: &Service, tree: &Tree) -> Vec<String> {
    match tree {
        Tree::Text(text) => vec![text.clone()],
        Tree::Map(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
        Tree::Structure(_, known, _) => known
            .iter()
            .filter_map(|(_, inner)| inner.member(service, "TableName")?.text())
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

/// The ARN of a thing by its ARN, name or URL.
fn arn(call: &Call<'_>, template: &str, name: &str) -> Option<String> {
    if name.starts_with("arn:") {
        return Some(name.to_owned());
    }
    if template.is_empty() {
        return None;
    }
    let name = if name.contains("://") { name.rsplit('/').next().unwrap_or(name) } else { name };
    let name = if template.ends_with("/{}") { name.trim_start_matches('/') } else { name };
    Some(
        template
            .replace("{region}", &call.context.region)
            .replace("{account}", &call.context.account)
            .replace("{}", name),
    )
}

fn entry(arn: &str, kind: &str, with_account: bool, account: &str) -> Value {
    let mut entry = serde_json::Map::new();
    if with_account {
        let own = arn.split(':').nth(4).filter(|field| field.len() == 12);
        entry.insert("accountId".to_owned(), Value::from(own.unwrap_or(account)));
    }
    if !kind.is_empty() {
        entry.insert("type".to_owned(), Value::from(kind));
    }
    entry.insert("ARN".to_owned(), Value::from(arn));
    Value::Object(entry)
}
