//! The key that a management call of KMS is about.

use crate::call::Call;
use trailbox_service_facts::decode::Tree;

/// Calls whose records name the key in `responseElements`, as AWS writes them
/// since 2023, though the wire says less.
const REPEATING: [&str; 18] = [
    "CreateAlias",
    "CreateGrant",
    "DeleteAlias",
    "DeleteImportedKeyMaterial",
    "DisableKey",
    "DisableKeyRotation",
    "EnableKey",
    "EnableKeyRotation",
    "ImportKeyMaterial",
    "PutKeyPolicy",
    "RetireGrant",
    "RevokeGrant",
    "ScheduleKeyDeletion",
    "TagResource",
    "UntagResource",
    "UpdateAlias",
    "UpdateKeyDescription",
    "UpdatePrimaryRegion",
];

/// ARN of the key of such a call, when the call tells it; an alias does not.
pub(crate) fn managed_key(call: &Call<'_>, request: Option<&Tree>) -> Option<String> {
    let service = call.route.service.as_deref().filter(|service| service.name == "kms")?;
    if !REPEATING.contains(&call.route.operation_name()) {
        return None;
    }
    if let Some(arn) = &call.context.kms_key_arn {
        return Some(arn.clone());
    }
    let tree = request?;
    let id =
        tree.member(service, "KeyId").or_else(|| tree.member(service, "TargetKeyId"))?.text()?;
    if id.starts_with("arn:") {
        return id.contains(":key/").then(|| id.to_owned());
    }
    let context = call.context;
    is_key_id(id).then(|| format!("arn:aws:kms:{}:{}:key/{id}", context.region, context.account))
}

/// A UUID, or `mrk-` and 32 hexadecimal digits.
fn is_key_id(id: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    if let Some(rest) = id.strip_prefix("mrk-") {
        return rest.len() == 32 && hex(rest);
    }
    id.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && id.split('-').all(hex)
}

#[cfg(test)]
mod tests {
    use super::is_key_id;

    #[test]
    fn ids_of_keys_are_told_from_aliases() {
        assert!(is_key_id("1234abcd-12ab-34cd-56ef-1234567890ab"));
        assert!(is_key_id("mrk-1234abcd12ab34cd56ef1234567890ab"));
        for name in ["alias/mine", "mrk-", "mine", "", "1234abcd-12ab-34cd-56ef"] {
            assert!(!is_key_id(name), "{name}");
        }
    }
}
