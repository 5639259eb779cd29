//! What no row of the tables can say: values that hang on their neighbours.

use crate::call::Call;
use crate::secrets;
use serde_json::Value;

/// Changes `requestParameters` where one parameter decides about another.
pub(crate) fn request(call: &Call<'_>, value: &mut Value) {
    if call.route.service_name() == "apigateway" {
        hide_patches(value);
    }
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
