//! The exact `userIdentity` of every kind of principal.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{ACCOUNT, assume_role, caller, credentials, exchange, people};
use serde_json::{Value, json};
use trailbox_identity::{Caller, Directory, Learned, Principal, QUARANTINE_ACCOUNT, Trust};

const CREATED: &str = "2026-11-22T17:30:00Z";

fn attributes(mfa: &str) -> Value {
    json!({ "creationDate": CREATED, "mfaAuthenticated": mfa })
}

fn issuer(kind: &str, id: &str, resource: &str, name: Option<&str>) -> Value {
    let mut issuer = json!({
        "type": kind,
        "principalId": id,
        "arn": format!("arn:aws:iam::{ACCOUNT}:{resource}"),
        "accountId": ACCOUNT,
    });
    if let Some(name) = name {
        issuer["userName"] = name.into();
    }
    issuer
}

fn take(directory: &mut Directory, facts: Vec<Learned>) {
    for fact in facts {
        directory.learn(fact);
    }
}

/// People, and one session of every kind, learned from passing answers.
fn world() -> Directory {
    let mut directory = people();
    let alice = caller(&directory, "AKIAALICE");
    let root = caller(&directory, "AKIAROOT");
    let federated = |key: &str, name: &str| {
        let user = format!(
            "<FederatedUser><FederatedUserId>{ACCOUNT}:{name}</FederatedUserId>\
             <Arn>arn:aws:sts::{ACCOUNT}:federated-user/{name}</Arn></FederatedUser>"
        );
        exchange("sts", "GetFederationToken", &format!("Name={name}"), &(credentials(key) + &user))
    };
    let own = |key: &str, form: &str| exchange("sts", "GetSessionToken", form, &credentials(key));
    let mfa = "SerialNumber=arn%3Aaws%3Aiam%3A%3A1%3Amfa%2FA&TokenCode=123456";
    let made = [
        (own("ASIAOWN", mfa), &alice),
        (own("ASIAROOT", ""), &root),
        (
            assume_role(
                "deploy",
                "AROADEPLOY0000000000A",
                "run-1",
                "ASIAROLE",
                "&SourceIdentity=Al",
            ),
            &alice,
        ),
        (federated("ASIAFED", "Bob"), &alice),
    ];
    for (exchange, caller) in made {
        take(&mut directory, exchange.learn(caller));
    }
    let role = caller(&directory, "ASIAROLE");
    let chained = assume_role("audit", "AROAAUDIT00000000000A", "look", "ASIACHAIN", "");
    take(&mut directory, chained.learn(&role));
    let (saml, web) = (saml(), web_identity());
    let saml_caller = saml.federated(Trust::Upstream);
    let web_caller = web.federated(Trust::Upstream);
    take(&mut directory, saml.learn(&saml_caller));
    take(&mut directory, web.learn(&web_caller));
    let assumed_root =
        exchange("sts", "AssumeRoot", "TargetPrincipal=444455556666", &credentials("ASIAMEMBER"));
    take(&mut directory, assumed_root.learn(&alice));
    directory
}

fn saml() -> common::Exchange {
    let form = format!(
        "RoleArn=arn%3Aaws%3Aiam%3A%3A{ACCOUNT}%3Arole%2Fsso&PrincipalArn=arn%3Aaws%3Aiam%3A%3A{ACCOUNT}%3Asaml-provider%2Fidp&SAMLAssertion=PHg%2B"
    );
    let told = format!(
        "{}<AssumedRoleUser><AssumedRoleId>AROASSO0000000000000A:ann@x.org</AssumedRoleId>\
         <Arn>arn:aws:sts::{ACCOUNT}:assumed-role/sso/ann@x.org</Arn></AssumedRoleUser>\
         <Subject>ann@x.org</Subject><SubjectType>persistent</SubjectType><Issuer>https://idp.x.org</Issuer>\
         <Audience>https://signin.aws.amazon.com/saml</Audience><NameQualifier>SbdGOnUkh1i4=</NameQualifier>",
        credentials("ASIASAML")
    );
    exchange("sts", "AssumeRoleWithSAML", &form, &told)
}

fn web_identity() -> common::Exchange {
    let form = format!(
        "RoleArn=arn%3Aaws%3Aiam%3A%3A{ACCOUNT}%3Arole%2Fweb&RoleSessionName=app1&WebIdentityToken=a.b.c"
    );
    let told = format!(
        "{}<SubjectFromWebIdentityToken>1103</SubjectFromWebIdentityToken>\
         <AssumedRoleUser><Arn>arn:aws:sts::{ACCOUNT}:assumed-role/web/app1</Arn>\
         <AssumedRoleId>AROAWEB0000000000000A:app1</AssumedRoleId></AssumedRoleUser>\
         <Provider>accounts.google.com</Provider><Audience>my-app</Audience>",
        credentials("ASIAWEB")
    );
    exchange("sts", "AssumeRoleWithWebIdentity", &form, &told)
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table, one row per kind of principal")]
fn every_kind_of_principal_has_its_own_shape() {
    let world = world();
    let known = |key: &str| caller(&world, key).user_identity;
    let cases: Vec<(&str, Value, Value)> = vec![
        (
            "root",
            known("AKIAROOT"),
            json!({ "type": "Root", "principalId": ACCOUNT, "arn": "arn:aws:iam::111122223333:root",
                "accountId": ACCOUNT, "accessKeyId": "AKIAROOT" }),
        ),
        (
            "user",
            known("AKIAALICE"),
            json!({ "type": "IAMUser", "principalId": "AIDAALICE00000000000A",
                "arn": "arn:aws:iam::111122223333:user/ops/Alice", "accountId": ACCOUNT,
                "accessKeyId": "AKIAALICE", "userName": "Alice" }),
        ),
        (
            "user by GetSessionToken with a second factor",
            known("ASIAOWN"),
            json!({ "type": "IAMUser", "principalId": "AIDAALICE00000000000A",
                "arn": "arn:aws:iam::111122223333:user/ops/Alice", "accountId": ACCOUNT,
                "accessKeyId": "ASIAOWN", "userName": "Alice",
                "sessionContext": { "attributes": attributes("true") } }),
        ),
        (
            "root by GetSessionToken",
            known("ASIAROOT"),
            json!({ "type": "Root", "principalId": ACCOUNT, "arn": "arn:aws:iam::111122223333:root",
                "accountId": ACCOUNT, "accessKeyId": "ASIAROOT",
                "sessionContext": { "attributes": attributes("false") } }),
        ),
        (
            "assumed role with a source identity",
            known("ASIAROLE"),
            json!({ "type": "AssumedRole", "principalId": "AROADEPLOY0000000000A:run-1",
                "arn": "arn:aws:sts::111122223333:assumed-role/deploy/run-1", "accountId": ACCOUNT,
                "accessKeyId": "ASIAROLE", "sessionContext": {
                    "sessionIssuer": issuer("Role", "AROADEPLOY0000000000A", "role/ops/deploy", Some("deploy")),
                    "attributes": attributes("false"), "sourceIdentity": "Al" } }),
        ),
        (
            "chained role: the issuer is the last role, the source identity stays",
            known("ASIACHAIN"),
            json!({ "type": "AssumedRole", "principalId": "AROAAUDIT00000000000A:look",
                "arn": "arn:aws:sts::111122223333:assumed-role/audit/look", "accountId": ACCOUNT,
                "accessKeyId": "ASIACHAIN", "sessionContext": {
                    "sessionIssuer": issuer("Role", "AROAAUDIT00000000000A", "role/ops/audit", Some("audit")),
                    "attributes": attributes("false"), "sourceIdentity": "Al" } }),
        ),
        (
            "role by SAML",
            known("ASIASAML"),
            json!({ "type": "AssumedRole", "principalId": "AROASSO0000000000000A:ann@x.org",
                "arn": "arn:aws:sts::111122223333:assumed-role/sso/ann@x.org", "accountId": ACCOUNT,
                "accessKeyId": "ASIASAML", "sessionContext": {
                    "sessionIssuer": issuer("Role", "AROASSO0000000000000A", "role/sso", Some("sso")),
                    "attributes": attributes("false") } }),
        ),
        (
            "role by web identity",
            known("ASIAWEB"),
            json!({ "type": "AssumedRole", "principalId": "AROAWEB0000000000000A:app1",
                "arn": "arn:aws:sts::111122223333:assumed-role/web/app1", "accountId": ACCOUNT,
                "accessKeyId": "ASIAWEB", "sessionContext": {
                    "sessionIssuer": issuer("Role", "AROAWEB0000000000000A", "role/web", Some("web")),
                    "webIdFederationData": { "federatedProvider": "accounts.google.com", "attributes": {
                        "accounts.google.com:aud": "my-app", "accounts.google.com:sub": "1103" } },
                    "attributes": attributes("false") } }),
        ),
        (
            "federated user",
            known("ASIAFED"),
            json!({ "type": "FederatedUser", "principalId": "111122223333:Bob",
                "arn": "arn:aws:sts::111122223333:federated-user/Bob", "accountId": ACCOUNT,
                "accessKeyId": "ASIAFED", "sessionContext": {
                    "sessionIssuer": issuer("IAMUser", "AIDAALICE00000000000A", "user/ops/Alice", Some("Alice")),
                    "attributes": attributes("false") } }),
        ),
        (
            "root of a member account by AssumeRoot",
            known("ASIAMEMBER"),
            json!({ "type": "Root", "principalId": "444455556666",
                "arn": "arn:aws:iam::444455556666:root", "accountId": "444455556666",
                "accessKeyId": "ASIAMEMBER",
                "sessionContext": { "attributes": attributes("false"), "assumedRoot": "true" } }),
        ),
        (
            "who called AssumeRoleWithSAML",
            saml().federated(Trust::Upstream).user_identity,
            json!({ "type": "SAMLUser", "principalId": "SbdGOnUkh1i4=:ann@x.org",
                "userName": "ann@x.org", "identityProvider": "SbdGOnUkh1i4=" }),
        ),
        (
            "who called AssumeRoleWithWebIdentity",
            web_identity().federated(Trust::Upstream).user_identity,
            json!({ "type": "WebIdentityUser", "principalId": "accounts.google.com:my-app:1103",
                "userName": "1103", "identityProvider": "accounts.google.com" }),
        ),
        (
            "AWS service",
            Caller::service("ec2.amazonaws.com", ACCOUNT).user_identity,
            json!({ "type": "AWSService", "invokedBy": "ec2.amazonaws.com" }),
        ),
        (
            "anonymous, S3",
            Caller::anonymous(true, ACCOUNT).user_identity,
            json!({ "type": "AWSAccount", "principalId": "", "accountId": "ANONYMOUS_PRINCIPAL" }),
        ),
        (
            "anonymous, elsewhere",
            Caller::anonymous(false, ACCOUNT).user_identity,
            json!({ "type": "Unknown", "principalId": "Anonymous" }),
        ),
        (
            "unknown key, claimed",
            Caller::claimed("AKIAWHO", QUARANTINE_ACCOUNT).user_identity,
            json!({ "type": "Unknown", "accountId": "000000000000", "accessKeyId": "AKIAWHO" }),
        ),
        (
            "unknown key, accepted by a verifying upstream",
            Caller::upstream("AKIAWHO", ACCOUNT).user_identity,
            json!({ "type": "Unknown", "accountId": ACCOUNT, "accessKeyId": "AKIAWHO" }),
        ),
        (
            "unknown key, test mode",
            Caller::test_administrator("test", ACCOUNT).user_identity,
            json!({ "type": "Unknown", "accountId": ACCOUNT, "accessKeyId": "test" }),
        ),
    ];
    for (name, found, want) in cases {
        // As text: the order of members counts too.
        assert_eq!(found.to_string(), want.to_string(), "{name}");
    }
}

#[test]
fn what_get_caller_identity_answers_is_known_too() {
    let world = world();
    let cases = [
        ("AKIAROOT", ACCOUNT, "arn:aws:iam::111122223333:root"),
        ("AKIAALICE", "AIDAALICE00000000000A", "arn:aws:iam::111122223333:user/ops/Alice"),
        (
            "ASIAROLE",
            "AROADEPLOY0000000000A:run-1",
            "arn:aws:sts::111122223333:assumed-role/deploy/run-1",
        ),
        ("ASIAFED", "111122223333:Bob", "arn:aws:sts::111122223333:federated-user/Bob"),
        ("ASIAOWN", "AIDAALICE00000000000A", "arn:aws:iam::111122223333:user/ops/Alice"),
    ];
    for (key, id, arn) in cases {
        let caller = caller(&world, key);
        assert_eq!(
            (caller.user_id.as_deref(), caller.arn.as_deref()),
            (Some(id), Some(arn)),
            "{key}"
        );
        assert_eq!((caller.trust, &*caller.account), (Trust::Verified, ACCOUNT), "{key}");
    }
    let test = Caller::test_administrator("test", ACCOUNT);
    assert!(test.administrator && test.arn.is_some() && test.user_id.is_some());
}

#[test]
fn a_chain_leads_back_to_the_person() {
    let chain = caller(&world(), "ASIACHAIN").session.unwrap().chain.clone();
    let keys: Vec<_> = chain.iter().map(|link| link.access_key_id.as_deref()).collect();
    assert_eq!(keys, [Some("AKIAALICE"), Some("ASIAROLE")]);
    let saml = caller(&world(), "ASIASAML").session.unwrap().chain.clone();
    assert_eq!(saml[0].arn.as_deref(), Some("SbdGOnUkh1i4=:ann@x.org"));
}

#[test]
fn a_caller_survives_the_way_to_the_engine_and_holds_no_secret() {
    let world = world();
    for key in ["AKIAALICE", "ASIACHAIN", "ASIAWEB", "ASIAFED", "ASIAMEMBER"] {
        let caller = caller(&world, key);
        let text = serde_json::to_string(&caller).unwrap();
        assert!(!text.contains("secret of") && !text.contains("token of"), "{text}");
        assert_eq!(serde_json::from_str::<Caller>(&text).unwrap(), caller);
    }
}

#[test]
fn a_principal_whose_id_nobody_knows_has_none() {
    let mut directory = Directory::new();
    let bob = Principal::user(ACCOUNT, "/", "Bob", "");
    directory.add_key(trailbox_identity::AccessKey::lasting("AKIABOB", "s".into(), &bob.arn));
    let want = json!({ "type": "IAMUser", "arn": bob.arn, "accountId": ACCOUNT,
        "accessKeyId": "AKIABOB", "userName": "Bob" });
    assert_eq!(caller(&directory, "AKIABOB").user_identity, want);
}
