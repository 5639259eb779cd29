//! From a call to its record.

use crate::answer::{self, CallError};
use crate::call::{Call, Category, Record};
use crate::render::Renderer;
use crate::resources::{self, Decoded};
use crate::writer::Fields;
use crate::{adjust, ec2, s3, secrets};
use serde_json::{Map, Value, json};
use trailbox_exchange::Captured;
use trailbox_service_facts::Operation;
use trailbox_service_facts::decode::{
    DecodeError, FormNode, Tree, decode_request, decode_response, parse_xml, plain_body,
};
use trailbox_service_facts::tables::{OperationRules, Side};

/// Services whose records carry `apiVersion`, as real records show.
const WITH_API_VERSION: [&str; 4] = ["logs", "route53", "elb", "elbv2"];

/// The record of a call.
#[must_use]
pub fn build(call: &Call<'_>) -> Record {
    assemble(call, Stage::Finished)
}

/// The record of a call that is about to be forwarded: all but its outcome.
///
/// If the outcome never becomes known, [`crate::outcome_unknown`] says so.
#[must_use]
pub fn build_intent(call: &Call<'_>) -> Record {
    assemble(&Call { response: None, ..*call }, Stage::Intent)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Intent,
    Finished,
}

fn assemble(call: &Call<'_>, stage: Stage) -> Record {
    let context = call.context;
    let read_only = trailbox_service_facts::read_only(call.facts, call.route, &call.request.method);
    let error = if stage == Stage::Intent { None } else { answer::error(call) };
    let mut undecodable = None;
    let request = request(call, error.as_ref(), &mut undecodable);
    let mut answered = Answer::default();
    if error.is_none() {
        answered = response(call, read_only, &mut undecodable);
        if stage == Stage::Finished && call.response.is_some() {
            adjust::response(call, request.tree.as_ref(), &mut answered.value);
        }
    }
    let decoded = Decoded {
        request: request.tree.as_ref().filter(|_| !request.value.is_null()),
        response: answered.tree.as_ref(),
        failed: error.is_some(),
    };
    let resources = resources::resources(call, decoded);
    let wire_id = call.response.and_then(answer::request_id);
    let category = category(call);
    let fields = Fields {
        context,
        event_source: &call.route.event_source,
        event_name: &call.route.event_name,
        user_agent: user_agent(call),
        error_message: error.as_ref().and_then(|error| error.message.clone()),
        error_code: error.map(|error| error.code),
        request: request.value,
        response: answered.value,
        additional: additional(call, stage),
        request_id: wire_id.as_deref().unwrap_or(&context.request_id),
        read_only,
        resources,
        event_type: "AwsApiCall",
        api_version: api_version(call),
        category,
        shared_event_id: shared_event_id(call),
        service_event_details: None,
        host: Some(call.request.host()).filter(|host| !host.is_empty()),
    };
    Record {
        json: fields.write(),
        event_id: context.event_id,
        category,
        read_only,
        account: context.account.clone(),
        region: context.region.clone(),
        undecodable,
    }
}

pub(crate) fn category(call: &Call<'_>) -> Category {
    if trailbox_service_facts::is_data_event(call.facts, call.route) {
        Category::Data
    } else {
        Category::Management
    }
}

/// One half of the record, and the tree it was made of.
#[derive(Debug, Default)]
struct Answer {
    value: Value,
    tree: Option<Tree>,
}

fn rules<'a>(call: &Call<'a>) -> Option<&'a OperationRules> {
    let operation = call.route.op()?;
    call.facts.tables().service(call.route.service_name()).operation(&operation.name)
}

fn renderer<'a>(call: &Call<'a>, operation: &'a Operation, side: Side) -> Option<Renderer<'a>> {
    let service = call.route.service.as_deref()?;
    Some(Renderer {
        service,
        rules: call.facts.tables().service(&service.name),
        operation: &operation.name,
        side,
        session_tokens: call.settings.session_tokens,
    })
}

fn request(call: &Call<'_>, error: Option<&CallError>, wrong: &mut Option<String>) -> Answer {
    let Some(operation) = call.route.op() else {
        return Answer { value: without_operation(call), tree: None };
    };
    let tables = call.facts.tables().service(call.route.service_name());
    let denied = error.is_some_and(answer::hides_request) && !tables.denial_keeps_request;
    let rules = rules(call);
    if denied || rules.is_some_and(|rules| rules.null_request) {
        return Answer::default();
    }
    let Some(renderer) = renderer(call, operation, Side::Request) else {
        return Answer::default();
    };
    let mut answer = match call.route.service_name() {
        "s3" | "s3control" => {
            let (object, error) = s3::request(call);
            note(wrong, error);
            Answer { value: Value::Object(object), tree: None }
        }
        "ec2" => ec2_request(call, operation, renderer, wrong),
        _ => {
            let tree = request_tree(call, wrong);
            let object = tree.as_ref().map(|tree| renderer.object(tree)).unwrap_or_default();
            let value = if object.is_empty() { Value::Null } else { Value::Object(object) };
            Answer { value, tree }
        }
    };
    adjust::request(call, answer.tree.as_ref(), &mut answer.value);
    if let (Value::Object(object), Some(rules)) = (&mut answer.value, rules) {
        for (name, value) in rules.inject.iter().filter(|_| !object.is_empty()).collect::<Vec<_>>()
        {
            if !object.contains_key(name) {
                object.insert(name.clone(), value.clone());
            }
        }
    }
    if call.route.is("lambda", "UpdateFunctionCode") {
        add_qualified_arn(&mut answer.value);
    }
    mark_cut_body(call, operation, &mut answer.value);
    answer
}

/// Lambda takes a function's ARN apart when code is updated by ARN, as every
/// such raw record shows.
fn add_qualified_arn(value: &mut Value) {
    let arn = value["functionName"].as_str().unwrap_or_default().to_owned();
    let parts: Vec<&str> = arn.split(':').collect();
    if let ["arn", partition, "lambda", region, account, "function", name, qualifier @ ..] =
        parts.as_slice()
    {
        let qualifier = qualifier.first().map_or_else(|| json!({}), |q| json!({"version": q}));
        value["fullyQualifiedArn"] = json!({
            "arnPrefix": {"partition": partition, "region": region, "account": account},
            "relativeId": {"functionName": name},
            "functionQualifier": qualifier,
        });
    }
}

/// The decoded parameters; without the body where it cannot be read.
fn request_tree(call: &Call<'_>, wrong: &mut Option<String>) -> Option<Tree> {
    let body = whole(call.request_body);
    match decode_request(call.route, call.request, body) {
        Ok(tree) => tree,
        Err(error) => {
            note(wrong, Some(error));
            decode_request(call.route, call.request, b"").ok().flatten()
        }
    }
}

/// The bytes of a body that was kept whole; nothing of any other.
fn whole(body: &Captured) -> &[u8] {
    if body.complete { &body.bytes } else { b"" }
}

fn note(wrong: &mut Option<String>, error: Option<DecodeError>) {
    if wrong.is_none() {
        *wrong = error.map(|error| error.to_string());
    }
}

/// Says that parameters are missing because the body was not kept whole.
fn mark_cut_body(call: &Call<'_>, operation: &Operation, value: &mut Value) {
    let body = call.request_body;
    if body.complete || body.bytes.is_empty() || operation.streaming_input {
        return;
    }
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    if let Value::Object(object) = value {
        object.insert("omitted".to_owned(), Value::Bool(true));
        object.insert("originalSize".to_owned(), Value::from(body.total));
        object
            .insert("reason".to_owned(), Value::from("the request body exceeds the capture limit"));
    }
}

fn ec2_request(
    call: &Call<'_>,
    operation: &Operation,
    renderer: Renderer<'_>,
    wrong: &mut Option<String>,
) -> Answer {
    if operation.legacy {
        let tree = request_tree(call, wrong);
        let value = ec2::legacy_request(
            renderer,
            call.facts.tables().ec2(),
            tree.as_ref().unwrap_or(&Tree::Null),
        );
        return Answer { value, tree };
    }
    let form = plain_body(&call.request.headers, whole(call.request_body)).and_then(|body| {
        FormNode::parse(if body.is_empty() { call.request.query().as_bytes() } else { &body })
    });
    let form = form.unwrap_or_else(|error| {
        note(wrong, Some(error));
        FormNode::default()
    });
    Answer { value: ec2::wrapped_request(renderer, operation.input, &form), tree: None }
}

/// Parameters of a call that no model describes. S3 follows the wire anyway
/// (a browser's upload form); of any other the request line is what is known.
fn without_operation(call: &Call<'_>) -> Value {
    if call.route.event_name != "UnrecognizedOperation" && call.route.service_name() == "s3" {
        return Value::Object(s3::request(call).0);
    }
    request_line(call)
}

fn request_line(call: &Call<'_>) -> Value {
    let query: Vec<&str> = call
        .request
        .query()
        .split('&')
        .filter(|pair| {
            let name = pair.split_once('=').map_or(*pair, |(name, _)| name);
            !pair.is_empty()
                && !secrets::is_secret_parameter(&trailbox_exchange::decode_component(name))
        })
        .collect();
    json!({
        "method": call.request.method,
        "path": call.request.path(),
        "query": query.join("&"),
    })
}

fn response(call: &Call<'_>, read_only: bool, wrong: &mut Option<String>) -> Answer {
    let (Some(answered), Some(operation)) = (call.response, call.route.op()) else {
        return Answer::default();
    };
    let rules = rules(call);
    let recorded = !read_only || rules.is_some_and(|rules| rules.read_only_response);
    if !recorded || rules.is_some_and(|rules| rules.null_response) {
        return Answer::default();
    }
    let Some(renderer) = renderer(call, operation, Side::Response) else {
        return Answer::default();
    };
    if call.route.service_name() == "s3" {
        return Answer { value: s3::response(answered.head).unwrap_or_default(), tree: None };
    }
    if !answered.body.complete && answered.body.total > 0 && operation.output.is_some() {
        let value = json!({
            "omitted": true,
            "originalSize": answered.body.total,
            "reason": "the response body exceeds the capture limit",
        });
        return Answer { value, tree: None };
    }
    if call.route.service_name() == "ec2" {
        return ec2_response(call, operation, renderer, wrong);
    }
    let tree = decode_response(call.route, answered.head, &answered.body.bytes);
    let tree = tree.unwrap_or_else(|error| {
        note(wrong, Some(error));
        None
    });
    let mut object = tree.as_ref().map(|tree| renderer.object(tree)).unwrap_or_default();
    if renderer.rules.unwrap
        && object.len() == 1
        && let Some(Value::Object(inner)) = object.values_mut().next()
    {
        object = std::mem::take(inner);
    }
    let value = if object.is_empty() { Value::Null } else { Value::Object(object) };
    Answer { value, tree }
}

fn ec2_response(
    call: &Call<'_>,
    operation: &Operation,
    renderer: Renderer<'_>,
    wrong: &mut Option<String>,
) -> Answer {
    let Some(answered) = call.response.filter(|answered| !answered.body.bytes.is_empty()) else {
        return Answer::default();
    };
    let read = plain_body(&answered.head.headers, &answered.body.bytes).and_then(|body| {
        if !operation.legacy {
            let root = parse_xml(&body)?;
            return Ok((ec2::wrapped_response(renderer, operation.output, &root), None));
        }
        let tree = match operation.output {
            Some(_) => decode_response(call.route, answered.head, &answered.body.bytes)?,
            None => Some(parse_xml(&body)?.to_tree()),
        };
        let value = tree.as_ref().map_or(Value::Null, |tree| {
            ec2::legacy_response(renderer, call.facts.tables().ec2(), tree)
        });
        Ok((value, tree))
    });
    match read {
        Ok((value, tree)) => Answer { value, tree },
        Err(error) => {
            note(wrong, Some(error));
            Answer::default()
        }
    }
}

fn is_s3(call: &Call<'_>) -> bool {
    call.route.event_source == "s3.amazonaws.com"
}

/// S3 puts brackets around what clients call themselves.
fn user_agent(call: &Call<'_>) -> Option<String> {
    let agent = call.request.headers.shown("user-agent")?;
    let own = agent.ends_with(".amazonaws.com") || agent == "AWS Internal";
    Some(if is_s3(call) && !own { format!("[{agent}]") } else { agent.into_owned() })
}

fn additional(call: &Call<'_>, stage: Stage) -> Map<String, Value> {
    let mut object = Map::new();
    if is_s3(call) && stage == Stage::Finished {
        s3::additional(call, &mut object);
    }
    if call.route.event_source == "ses.amazonaws.com" && call.context.signature.is_some() {
        // Real records of SES say the version alone.
        object.insert("SignatureVersion".to_owned(), Value::from("4"));
    }
    if let Some(word) = call.context.trust.word() {
        object.insert("trailboxIdentity".to_owned(), Value::from(word));
    }
    let signed = call.context.signed_region.as_ref();
    if let Some(region) = signed.filter(|region| **region != call.context.region) {
        object.insert("trailboxSignedRegion".to_owned(), Value::from(region.as_str()));
    }
    object
}

fn api_version(call: &Call<'_>) -> Option<String> {
    let service = call.route.service.as_deref()?;
    let items = service.name == "dynamodb" && category(call) == Category::Data;
    if !items && !WITH_API_VERSION.contains(&service.name.as_str()) {
        return None;
    }
    let dashes = service.name != "logs";
    Some(service.api_version.chars().filter(|c| dashes || *c != '-').collect())
}

/// Present when the caller is a service or of another account: then AWS writes
/// a record for each side, and this id joins them.
fn shared_event_id(call: &Call<'_>) -> Option<[u8; 16]> {
    let identity = &call.context.user_identity;
    let foreign = identity["accountId"].as_str().is_some_and(|account| {
        account.len() == 12
            && account.bytes().all(|digit| digit.is_ascii_digit())
            && account != call.context.account
    });
    (foreign || identity["type"] == "AWSService")
        .then(|| crate::derived_id(&call.context.event_id, b"shared", 0))
}
