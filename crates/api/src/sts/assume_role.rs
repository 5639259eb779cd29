//! `AssumeRole`: temporary credentials that act as a role.
//!
//! Source: STS API Reference, `API_AssumeRole`.
//! Not yet as AWS does it: trust policies; see `trailbox_identity::mint` for
//! who may. Session policies are read and not evaluated; session tags,
//! external ids and transitive tags are passed over.

use super::wire::Node;
use super::{Fields, StsError, credentials};
use crate::engine::Engine;
use trailbox_identity::Caller;
use trailbox_identity::mint;

/// Answers one call.
pub(super) fn assume_role(
    engine: &Engine,
    caller: &Caller,
    fields: &Fields,
) -> Result<Node, StsError> {
    let role_arn = fields.required("RoleArn")?;
    let session_name = fields.required("RoleSessionName")?;
    if let Some(policy) = fields.get("Policy") {
        check_policy(policy)?;
    }
    let source_identity = fields.get("SourceIdentity");
    let asked = mint::AssumeRole {
        role_arn,
        session_name,
        duration_seconds: fields.seconds()?,
        source_identity,
        mfa: fields.mfa(),
    };

    let directory = engine.people.directory();
    let minted =
        mint::assume_role(&directory, caller, &asked, &*engine.random, engine.clock.now())?;

    let mut members = vec![
        ("Credentials", credentials(&minted)),
        (
            "AssumedRoleUser",
            Node::Members(vec![
                ("AssumedRoleId", Node::text(&minted.user_id)),
                ("Arn", Node::text(&minted.arn)),
            ]),
        ),
    ];
    if let Some(name) = source_identity {
        members.push(("SourceIdentity", Node::text(name)));
    }
    Ok(Node::Members(members))
}

/// A session policy must at least be a JSON object.
fn check_policy(text: &str) -> Result<(), StsError> {
    let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
    object.map(drop).map_err(|_| {
        StsError::refused(
            400,
            "MalformedPolicyDocument",
            "The policy is not in the valid JSON format.",
        )
    })
}
