//! STS and IAM exchanges as they pass, and the people of these tests.
#![allow(dead_code, clippy::unwrap_used, reason = "a test helper: not every test uses all of it")]

use trailbox_clock::Micros;
use trailbox_exchange::{Headers, RequestHead, ResponseHead};
use trailbox_identity::{
    AccessKey, Caller, Directory, Learned, Principal, Trust, federated_caller,
};
use trailbox_service_facts::decode::{Tree, decode_request, decode_response};
use trailbox_service_facts::{Facts, Route, RouteHints};

pub(crate) const ACCOUNT: &str = "111122223333";
/// 2026-11-22T17:30:00Z.
pub(crate) const NOW: Micros = Micros(1_795_368_600_000_000);

/// Root with `AKIAROOT`, user Alice with `AKIAALICE`, role deploy.
pub(crate) fn people() -> Directory {
    let mut directory = Directory::new();
    let root = Principal::root(ACCOUNT);
    let alice = Principal::user(ACCOUNT, "/ops/", "Alice", "AIDAALICE00000000000A");
    let role = Principal::role(ACCOUNT, "/ops/", "deploy", "AROADEPLOY0000000000A");
    for (principal, key) in [(&root, "AKIAROOT"), (&alice, "AKIAALICE")] {
        directory.add_key(AccessKey::lasting(
            key,
            format!("secret of {key}").into(),
            &principal.arn,
        ));
    }
    for principal in [root, alice, role] {
        directory.add_principal(principal);
    }
    directory
}

pub(crate) fn caller(directory: &Directory, key: &str) -> Caller {
    Caller::clone(&directory.caller(key, NOW).unwrap())
}

/// One call to a query service, with the parts of its decoded answer.
pub(crate) struct Exchange {
    pub(crate) route: Route,
    pub(crate) asked: Tree,
    pub(crate) told: Tree,
}

/// `form` begins behind `Version`; `result` is what stands inside the result element.
pub(crate) fn exchange(service: &str, action: &str, form: &str, result: &str) -> Exchange {
    let facts = Facts::embedded();
    let model = facts.service(service).unwrap();
    let body = format!("Action={action}&Version={}&{form}", model.api_version);
    let credential = format!("AKIAX/20261122/us-east-1/{service}/aws4_request");
    let head = RequestHead {
        method: "POST".into(),
        target: "/".into(),
        headers: [
            ("host", "localhost:4747".to_owned()),
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned()),
            (
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature={}",
                    "0".repeat(64)
                ),
            ),
        ]
        .into_iter()
        .collect(),
    };
    let route = facts.route(&head, Some(body.as_bytes()), &RouteHints::default());
    assert!(route.is(service, action), "{action} routed to {}", route.operation_name());
    let answer = format!(
        "<{action}Response><{action}Result>{result}</{action}Result>\
         <ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    );
    let told_head =
        ResponseHead { status: 200, headers: Headers::from_iter([("content-type", "text/xml")]) };
    let asked = decode_request(&route, &head, body.as_bytes()).unwrap().unwrap_or(Tree::Null);
    let told = decode_response(&route, &told_head, answer.as_bytes()).unwrap();
    Exchange { route, asked, told: told.unwrap_or(Tree::Null) }
}

impl Exchange {
    pub(crate) fn learn(&self, caller: &Caller) -> Vec<Learned> {
        trailbox_identity::learn(&self.route, &self.asked, &self.told, caller, NOW, [7; 16])
    }

    pub(crate) fn federated(&self, trust: Trust) -> Caller {
        federated_caller(&self.route, &self.told, ACCOUNT, trust).unwrap()
    }
}

/// `Credentials` as STS writes them, one hour long.
pub(crate) fn credentials(key: &str) -> String {
    format!(
        "<Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>secret of {key}</SecretAccessKey>\
         <SessionToken>token of {key}</SessionToken><Expiration>2026-11-22T18:30:00Z</Expiration></Credentials>"
    )
}

/// `AssumeRole` of `role` as `session`, answered with `key`.
pub(crate) fn assume_role(role: &str, id: &str, session: &str, key: &str, more: &str) -> Exchange {
    let form = format!(
        "RoleArn=arn%3Aaws%3Aiam%3A%3A{ACCOUNT}%3Arole%2Fops%2F{role}&RoleSessionName={session}{more}"
    );
    let user = format!(
        "<AssumedRoleUser><AssumedRoleId>{id}:{session}</AssumedRoleId>\
         <Arn>arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{session}</Arn></AssumedRoleUser>"
    );
    exchange("sts", "AssumeRole", &form, &(credentials(key) + &user))
}
