//! Who may reach a bucket, as put and shown: ACL, policy, public access block,
//! object ownership. Kept and given back; nothing here is enforced.

use super::{bucket, owner};
use crate::bucket::Bucket;
use crate::errors;
use crate::meta::{Acl, BucketMeta, GrantText};
use crate::store::{Store, blocking};
use s3s::dto::{self, AccessControlPolicy, Grant, Grantee, Permission, Type};
use s3s::{S3ErrorCode, S3Request, S3Result};
use serde_json::Value;
use std::sync::Arc;

/// Longest bucket policy, bytes.
const POLICY_MAX: usize = 20 * 1024;
const ALL_USERS: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const ALL_SIGNED: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";
const LOG_DELIVERY: &str = "http://acs.amazonaws.com/groups/s3/LogDelivery";

/// Changes a bucket where files may block.
pub(super) async fn change(
    store: &Arc<Store>,
    bucket: Arc<Bucket>,
    act: impl FnOnce(&mut BucketMeta) + Send + 'static,
) -> S3Result<()> {
    let fresh = store.fresh();
    blocking(move || bucket.change(&fresh, act)).await
}

/// The grants an ACL stands for.
pub(super) fn grants(store: &Store, acl: &Acl) -> Vec<Grant> {
    let (id, _name) = store.owner();
    let own = ("CanonicalUser", id.as_str(), "FULL_CONTROL");
    let texts: Vec<(&str, &str, &str)> = match acl {
        Acl::Grants(list) => {
            list.iter().map(|grant| (&*grant.kind, &*grant.grantee, &*grant.permission)).collect()
        }
        Acl::Canned(name) => match name.as_str() {
            "public-read" => vec![own, ("Group", ALL_USERS, "READ")],
            "public-read-write" => {
                vec![own, ("Group", ALL_USERS, "READ"), ("Group", ALL_USERS, "WRITE")]
            }
            "authenticated-read" => vec![own, ("Group", ALL_SIGNED, "READ")],
            "log-delivery-write" => {
                vec![own, ("Group", LOG_DELIVERY, "WRITE"), ("Group", LOG_DELIVERY, "READ_ACP")]
            }
            _ => vec![own],
        },
    };
    texts.into_iter().map(|text| grant(store, text)).collect()
}

fn grant(store: &Store, (kind, grantee, permission): (&str, &str, &str)) -> Grant {
    let (id, name) = store.owner();
    let is = |wanted: &str| (kind == wanted).then(|| grantee.to_owned());
    Grant {
        grantee: Some(Grantee {
            display_name: (grantee == id).then_some(name),
            email_address: is("AmazonCustomerByEmail"),
            id: is("CanonicalUser"),
            type_: Type::from(kind.to_owned()),
            uri: is("Group"),
        }),
        permission: Some(Permission::from(permission.to_owned())),
    }
}

/// The ACL that a request puts: canned, in the body, or in grant headers.
pub(super) fn acl_put(
    canned: Option<&str>,
    body: Option<AccessControlPolicy>,
    headers: [(&str, Option<String>); 5],
) -> S3Result<Acl> {
    if let Some(name) = canned {
        return Ok(Acl::Canned(name.to_owned()));
    }
    if let Some(policy) = body {
        let given = policy.grants.unwrap_or_default().into_iter().filter_map(grant_text);
        return Ok(Acl::Grants(given.collect()));
    }
    let mut listed = Vec::new();
    for (permission, text) in headers {
        for one in text.iter().flat_map(|text| text.split(',')) {
            listed.push(header_grant(permission, one)?);
        }
    }
    if listed.is_empty() { Err(errors::malformed_xml()) } else { Ok(Acl::Grants(listed)) }
}

fn grant_text(grant: Grant) -> Option<GrantText> {
    let to = grant.grantee?;
    Some(GrantText {
        kind: to.type_.as_str().to_owned(),
        grantee: to.id.or(to.uri).or(to.email_address)?,
        permission: grant.permission?.as_str().to_owned(),
    })
}

/// `id="…"`, `uri="…"` or `emailAddress="…"`.
fn header_grant(permission: &str, text: &str) -> S3Result<GrantText> {
    let (name, value) = text.trim().split_once('=').ok_or_else(|| {
        errors::invalid_argument("a grant header needs id=, uri= or emailAddress=")
    })?;
    let kind = match name.trim() {
        "uri" => "Group",
        "emailAddress" => "AmazonCustomerByEmail",
        _ => "CanonicalUser",
    };
    Ok(GrantText {
        kind: kind.to_owned(),
        grantee: value.trim().trim_matches('"').to_owned(),
        permission: permission.to_owned(),
    })
}

pub(super) async fn get_bucket_acl(
    store: &Arc<Store>,
    request: S3Request<dto::GetBucketAclInput>,
) -> S3Result<dto::GetBucketAclOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let grants = Some(grants(store, &found.meta().acl));
    Ok(dto::GetBucketAclOutput { grants, owner: Some(owner(store)) })
}

pub(super) async fn put_bucket_acl(
    store: &Arc<Store>,
    request: S3Request<dto::PutBucketAclInput>,
) -> S3Result<dto::PutBucketAclOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let headers = [
        ("FULL_CONTROL", input.grant_full_control),
        ("READ", input.grant_read),
        ("WRITE", input.grant_write),
        ("READ_ACP", input.grant_read_acp),
        ("WRITE_ACP", input.grant_write_acp),
    ];
    let canned = input.acl.as_ref().map(dto::BucketCannedACL::as_str);
    let acl = acl_put(canned, input.access_control_policy, headers)?;
    change(store, found, move |meta| meta.acl = acl).await?;
    Ok(dto::PutBucketAclOutput {})
}

/// The policy text of a bucket.
fn policy(bucket: &Bucket) -> S3Result<String> {
    match bucket.meta().settings.remove("policy") {
        Some(Value::String(text)) => Ok(text),
        _ => Err(errors::no_such_policy()),
    }
}

pub(super) async fn get_bucket_policy(
    store: &Arc<Store>,
    request: S3Request<dto::GetBucketPolicyInput>,
) -> S3Result<dto::GetBucketPolicyOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    Ok(dto::GetBucketPolicyOutput { policy: Some(policy(&found)?) })
}

pub(super) async fn put_bucket_policy(
    store: &Arc<Store>,
    request: S3Request<dto::PutBucketPolicyInput>,
) -> S3Result<dto::PutBucketPolicyOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    check_policy(&input.policy)?;
    change(store, found, move |meta| {
        meta.settings.insert("policy".to_owned(), Value::String(input.policy));
    })
    .await?;
    Ok(dto::PutBucketPolicyOutput {})
}

fn check_policy(text: &str) -> S3Result<()> {
    let malformed = |message: &str| {
        s3s::S3Error::with_message(S3ErrorCode::MalformedPolicy, message.to_owned())
    };
    if text.len() > POLICY_MAX {
        return Err(malformed("bucket policy is longer than 20480 bytes"));
    }
    let parsed: Value =
        serde_json::from_str(text).map_err(|_| malformed("Policies must be valid JSON"))?;
    match parsed.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => Ok(()),
        Some(Value::Object(_)) => Ok(()),
        _ => Err(malformed("Missing required field Statement")),
    }
}

pub(super) async fn delete_bucket_policy(
    store: &Arc<Store>,
    request: S3Request<dto::DeleteBucketPolicyInput>,
) -> S3Result<dto::DeleteBucketPolicyOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    change(store, found, |meta| drop(meta.settings.remove("policy"))).await?;
    Ok(dto::DeleteBucketPolicyOutput {})
}

pub(super) async fn get_bucket_policy_status(
    store: &Arc<Store>,
    request: S3Request<dto::GetBucketPolicyStatusInput>,
) -> S3Result<dto::GetBucketPolicyStatusOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let parsed = serde_json::from_str(&policy(&found)?).unwrap_or(Value::Null);
    let status = dto::PolicyStatus { is_public: Some(is_public(&parsed)) };
    Ok(dto::GetBucketPolicyStatusOutput { policy_status: Some(status) })
}

/// Whether a statement allows everybody, without a condition.
fn is_public(policy: &Value) -> bool {
    let statements = listed(&policy["Statement"]);
    statements.iter().any(|statement| {
        let principal = &statement["Principal"];
        let anyone = |value: &Value| listed(value).iter().any(|one| one == "*");
        statement["Effect"] == "Allow"
            && (anyone(principal) || anyone(&principal["AWS"]))
            && statement.get("Condition").is_none()
    })
}

/// A list, or a single value as a list of one.
fn listed(value: &Value) -> &[Value] {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

pub(super) async fn get_public_access_block(
    store: &Arc<Store>,
    request: S3Request<dto::GetPublicAccessBlockInput>,
) -> S3Result<dto::GetPublicAccessBlockOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let held = super::bucket_settings::setting(&found, "publicAccessBlock")?;
    let block = held.ok_or_else(errors::no_public_access_block)?;
    Ok(dto::GetPublicAccessBlockOutput { public_access_block_configuration: Some(block) })
}

pub(super) async fn put_public_access_block(
    store: &Arc<Store>,
    request: S3Request<dto::PutPublicAccessBlockInput>,
) -> S3Result<dto::PutPublicAccessBlockOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let block = input.public_access_block_configuration;
    super::bucket_settings::set(store, found, "publicAccessBlock", &block).await?;
    Ok(dto::PutPublicAccessBlockOutput {})
}

pub(super) async fn delete_public_access_block(
    store: &Arc<Store>,
    request: S3Request<dto::DeletePublicAccessBlockInput>,
) -> S3Result<dto::DeletePublicAccessBlockOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    change(store, found, |meta| drop(meta.settings.remove("publicAccessBlock"))).await?;
    Ok(dto::DeletePublicAccessBlockOutput {})
}

pub(super) async fn get_bucket_ownership_controls(
    store: &Arc<Store>,
    request: S3Request<dto::GetBucketOwnershipControlsInput>,
) -> S3Result<dto::GetBucketOwnershipControlsOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let held: Option<Vec<String>> = super::bucket_settings::setting(&found, "ownership")?;
    let names =
        held.ok_or_else(|| errors::no_such_setting(S3ErrorCode::OwnershipControlsNotFoundError))?;
    let rules = names
        .into_iter()
        .map(|name| dto::OwnershipControlsRule { object_ownership: name.into() })
        .collect();
    let controls = dto::OwnershipControls { rules };
    Ok(dto::GetBucketOwnershipControlsOutput { ownership_controls: Some(controls) })
}

pub(super) async fn put_bucket_ownership_controls(
    store: &Arc<Store>,
    request: S3Request<dto::PutBucketOwnershipControlsInput>,
) -> S3Result<dto::PutBucketOwnershipControlsOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    let rules = input.ownership_controls.rules;
    let names: Vec<String> =
        rules.into_iter().map(|rule| rule.object_ownership.as_str().to_owned()).collect();
    super::bucket_settings::set(store, found, "ownership", &names).await?;
    Ok(dto::PutBucketOwnershipControlsOutput {})
}

pub(super) async fn delete_bucket_ownership_controls(
    store: &Arc<Store>,
    request: S3Request<dto::DeleteBucketOwnershipControlsInput>,
) -> S3Result<dto::DeleteBucketOwnershipControlsOutput> {
    let input = request.input;
    let found = bucket(store, &input.bucket, input.expected_bucket_owner.as_deref())?;
    change(store, found, |meta| drop(meta.settings.remove("ownership"))).await?;
    Ok(dto::DeleteBucketOwnershipControlsOutput {})
}

#[cfg(test)]
mod tests {
    use super::{check_policy, is_public};
    use serde_json::json;

    #[test]
    fn a_policy_is_public_when_it_allows_everybody_unconditionally() {
        let statement = |principal| json!({"Effect": "Allow", "Principal": principal});
        let cases = [
            (json!({"Statement": [statement(json!("*"))]}), true),
            (json!({"Statement": statement(json!({"AWS": ["*"]}))}), true),
            (json!({"Statement": [statement(json!({"AWS": "arn:aws:iam::1:root"}))]}), false),
            (json!({"Statement": [{"Effect": "Deny", "Principal": "*"}]}), false),
            (json!({"Statement": [{"Effect": "Allow", "Principal": "*", "Condition": {}}]}), false),
        ];
        for (policy, want) in cases {
            assert_eq!(is_public(&policy), want, "{policy}");
        }
    }

    #[test]
    fn what_is_not_a_policy_is_refused() {
        for bad in ["", "{", "{}", r#"{"Statement":[]}"#, &" ".repeat(20_481)] {
            assert!(check_policy(bad).is_err(), "{:?}", &bad[..bad.len().min(20)]);
        }
        assert!(check_policy(r#"{"Statement":[{"Effect":"Deny"}]}"#).is_ok());
    }
}
