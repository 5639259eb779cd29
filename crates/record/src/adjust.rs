//! What no row of the tables can say: values that hang on their neighbours.

use crate::call::Call;
use crate::render::lower_first;
use crate::{kms, secrets};
use serde_json::{Map, Value, json};
use trailbox_service_facts::decode::Tree;

/// Changes `requestParameters` where one parameter decides about another.
pub(crate) fn request(call: &Call<'_>, tree: Option<&Tree>, value: &mut Value) {
    match (call.route.service_name(), call.route.operation_name()) {
        ("apigateway", operation) => {
            hide_patches(value);
            wrap_body(call, operation, tree, value);
        }
        ("dynamodb", "TransactWriteItems" | "TransactGetItems") => name_operations(value),
        ("ec2", "ModifySnapshotAttribute") => share_snapshot(call, tree, value),
        _ => {}
    }
}

/// Adds to `responseElements` of a call that succeeded what AWS repeats there
/// of the request.
pub(crate) fn response(call: &Call<'_>, request: Option<&Tree>, value: &mut Value) {
    let Some(arn) = kms::managed_key(call, request) else { return };
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    if let Value::Object(object) = value {
        object.insert("keyId".to_owned(), Value::from(arn));
    }
}

/// What API Gateway reads from the body stands in `createRestApiInput` and its
/// like; what the path and the query say stays outside.
fn wrap_body(call: &Call<'_>, operation: &str, tree: Option<&Tree>, value: &mut Value) {
    let (Some(service), Some(Tree::Structure(shape, ..)), Some(object)) =
        (call.route.service.as_deref(), tree, value.as_object_mut())
    else {
        return;
    };
    let members = service.members(*shape);
    let of_body = |name: &String| {
        let member = members.iter().find(|member| lower_first(&member.name) == *name);
        name != "body" && member.is_none_or(|member| member.location.is_none())
    };
    let (inner, outer): (Map<_, _>, Map<_, _>) =
        std::mem::take(object).into_iter().partition(|(name, _)| of_body(name));
    *object = outer;
    if !inner.is_empty() {
        object.insert(format!("{}Input", lower_first(operation)), Value::Object(inner));
    }
}

/// `{"put": {…}}` of a transaction becomes `{"operation": "Put", …}`.
fn name_operations(value: &mut Value) {
    let Some(items) = value.get_mut("requestItems").and_then(Value::as_array_mut) else { return };
    for item in items {
        let Some(wrapper) = item.as_object_mut().filter(|wrapper| wrapper.len() == 1) else {
            continue;
        };
        let Some((name, Value::Object(inner))) = std::mem::take(wrapper).into_iter().next() else {
            continue;
        };
        let mut letters = name.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        let operation: String = first.into_iter().chain(letters).collect();
        wrapper.insert("operation".to_owned(), Value::from(operation));
        let mut inner = inner;
        if let Some(table) = inner.shift_remove("tableName") {
            wrapper.insert("tableName".to_owned(), table);
        }
        wrapper.extend(inner);
    }
}

/// The flat form of sharing a snapshot is written as the nested one.
fn share_snapshot(call: &Call<'_>, tree: Option<&Tree>, value: &mut Value) {
    let (Some(service), Some(tree), Some(object)) =
        (call.route.service.as_deref(), tree, value.as_object_mut())
    else {
        return;
    };
    if object.get("attributeType").is_some_and(|kind| kind == "createVolumePermission") {
        object.insert("attributeType".to_owned(), Value::from("CREATE_VOLUME_PERMISSION"));
    }
    let texts = |name: &str, key: &str| -> Vec<Value> {
        let list = tree.member(service, name).map_or(&[][..], Tree::elements);
        list.iter().filter_map(Tree::text).map(|text| json!({key: text})).collect()
    };
    let mut items = texts("UserIds", "userId");
    items.extend(texts("GroupNames", "group"));
    let Some(verb) = tree.member(service, "OperationType").and_then(Tree::text) else { return };
    if items.is_empty() || !matches!(verb, "add" | "remove") {
        return;
    }
    object.retain(|name, _| matches!(name.as_str(), "snapshotId"));
    object.insert("createVolumePermission".to_owned(), json!({verb: {"items": items}}));
    object.insert("attributeType".to_owned(), Value::from("CREATE_VOLUME_PERMISSION"));
}

/// A patch says by `path` what its `value` is: an API key, a stage variable.
fn hide_patches(value: &mut Value) {
    let Some(patches) = value.get_mut("patchOperations").and_then(Value::as_array_mut) else {
        return;
    };
    for patch in patches {
        let path = patch["path"].as_str().unwrap_or_default();
        let instead = match path.trim_start_matches('/') {
            "value" => secrets::HIDDEN,
            path if path.starts_with("variables") => "***",
            _ => continue,
        };
        if let Some(shown) = patch.get_mut("value") {
            *shown = Value::from(instead);
        }
    }
}
