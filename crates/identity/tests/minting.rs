//! Temporary credentials that Trailbox gives out itself.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{ACCOUNT, NOW, caller, people};
use trailbox_clock::SeededRandom;
use trailbox_identity::mint::{AssumeRole, GetSessionToken, MintError, assume_role, session_token};
use trailbox_identity::{Admission, Caller, Directory, Fact, Learned, Principal, Trust};

const ROLE: &str = "arn:aws:iam::111122223333:role/ops/deploy";

fn asked() -> AssumeRole<'static> {
    AssumeRole { role_arn: ROLE, session_name: "run-1", ..AssumeRole::default() }
}

fn boss(directory: &mut Directory) -> Caller {
    let boss = Principal::user(ACCOUNT, "/", "Boss", "AIDABOSS").as_administrator();
    directory.add_key(trailbox_identity::AccessKey::lasting("AKIABOSS", "s".into(), &boss.arn));
    directory.add_principal(boss);
    caller(directory, "AKIABOSS")
}

#[test]
fn a_verified_caller_assumes_a_registered_role_and_is_known_by_it() {
    let mut directory = people();
    let alice = caller(&directory, "AKIAALICE");
    let random = SeededRandom::new(1);
    let minted = assume_role(&directory, &alice, &asked(), &random, NOW).unwrap();
    assert_eq!(minted.arn, "arn:aws:sts::111122223333:assumed-role/deploy/run-1");
    assert_eq!(minted.user_id, "AROADEPLOY0000000000A:run-1");
    assert_eq!(minted.expires.0 - NOW.0, 3_600_000_000);
    let (id, token) = (minted.key.id.clone(), minted.session_token.clone());
    let fact = Fact::Session(Box::new(minted.key));
    directory.learn(Learned { event_id: [0; 16], at: NOW, trust: Trust::Verified, fact });
    assert!(matches!(directory.admit(&id, Some(token.expose()), NOW), Admission::Known(_)));
    let session = caller(&directory, &id);
    assert_eq!(session.arn.as_deref(), Some("arn:aws:sts::111122223333:assumed-role/deploy/run-1"));
    assert!(!session.administrator);
    let refused = session_token(&session, GetSessionToken::default(), &random, NOW).unwrap_err();
    assert_eq!(refused, MintError::SessionAsksForToken);
}

#[test]
fn who_may_assume_what() {
    let mut directory = people();
    let boss = boss(&mut directory);
    directory.add_principal(Principal::role(ACCOUNT, "/", "chief", "AROACHIEF").as_administrator());
    directory.add_principal(Principal::role("444455556666", "/", "theirs", "AROATHEIRS"));
    let alice = caller(&directory, "AKIAALICE");
    let chief = "arn:aws:iam::111122223333:role/chief";
    let unknown = "arn:aws:iam::111122223333:role/unknown";
    let theirs = "arn:aws:iam::444455556666:role/theirs";
    let test = Caller::test_administrator("test", ACCOUNT);
    let claimed = Caller::claimed("AKIAX", ACCOUNT);
    let cases = [
        (&alice, ROLE, true),
        (&alice, chief, false),
        (&alice, unknown, false),
        (&alice, theirs, false),
        (&boss, chief, true),
        (&boss, unknown, true),
        (&boss, theirs, false),
        (&test, unknown, true),
        (&claimed, ROLE, false),
    ];
    for (caller, role_arn, allowed) in cases {
        let asked = AssumeRole { role_arn, ..asked() };
        let minted = assume_role(&directory, caller, &asked, &SeededRandom::new(1), NOW);
        match minted {
            Ok(_) => assert!(allowed, "{role_arn} by {caller:?}"),
            Err(err) => assert!(!allowed && matches!(err, MintError::Denied { .. }), "{err}"),
        }
    }
}

#[test]
fn bad_input_is_refused_by_name() {
    let directory = people();
    let alice = caller(&directory, "AKIAALICE");
    let cases = [
        (AssumeRole { role_arn: "deploy", ..asked() }, "\"deploy\" is not the ARN of a role"),
        (
            AssumeRole { role_arn: "arn:aws:iam::111122223333:user/Alice", ..asked() },
            "\"arn:aws:iam::111122223333:user/Alice\" is not the ARN of a role",
        ),
        (
            AssumeRole { session_name: "a", ..asked() },
            "RoleSessionName \"a\" needs 2 to 64 characters out of letters, digits and `_+=,.@-`",
        ),
        (
            AssumeRole { source_identity: Some("a b"), ..asked() },
            "SourceIdentity \"a b\" needs 2 to 64 characters out of letters, digits and `_+=,.@-`",
        ),
        (
            AssumeRole { duration_seconds: Some(899), ..asked() },
            "DurationSeconds is 899; it needs 900 to 43200",
        ),
        (
            AssumeRole { duration_seconds: Some(43_201), ..asked() },
            "DurationSeconds is 43201; it needs 900 to 43200",
        ),
    ];
    for (asked, want) in cases {
        let err = assume_role(&directory, &alice, &asked, &SeededRandom::new(1), NOW).unwrap_err();
        assert_eq!(err.to_string(), want);
    }
    let asked = GetSessionToken { duration_seconds: Some(129_601), mfa: false };
    let err = session_token(&alice, asked, &SeededRandom::new(1), NOW).unwrap_err();
    assert_eq!(err, MintError::Duration { seconds: 129_601, max: 129_600 });
}

#[test]
fn a_chain_is_one_hour_long_and_keeps_its_source_identity() {
    let mut directory = people();
    let alice = caller(&directory, "AKIAALICE");
    let random = SeededRandom::new(1);
    let first = AssumeRole { source_identity: Some("Alice"), ..asked() };
    let minted = assume_role(&directory, &alice, &first, &random, NOW).unwrap();
    let id = minted.key.id.clone();
    let fact = Fact::Session(Box::new(minted.key));
    directory.learn(Learned { event_id: [0; 16], at: NOW, trust: Trust::Verified, fact });
    let session = caller(&directory, &id);
    let long = AssumeRole { duration_seconds: Some(3601), ..asked() };
    let err = assume_role(&directory, &session, &long, &random, NOW).unwrap_err();
    assert_eq!(err, MintError::Duration { seconds: 3601, max: 3600 });
    let other = AssumeRole { source_identity: Some("Bob"), ..asked() };
    let err = assume_role(&directory, &session, &other, &random, NOW).unwrap_err();
    assert_eq!(err, MintError::SourceIdentityIsSet);
    let again = assume_role(&directory, &session, &asked(), &random, NOW).unwrap();
    let Fact::Session(key) = Fact::Session(Box::new(again.key)) else { panic!() };
    let trailbox_identity::Owner::Session(session) = key.owner else { panic!("no session") };
    assert_eq!(session.source_identity.as_deref(), Some("Alice"));
    assert_eq!(session.parent(), Some(&*id));
}

#[test]
fn root_gets_an_hour_and_a_user_half_a_day() {
    let directory = people();
    for (key, hours) in [("AKIAROOT", 1), ("AKIAALICE", 12)] {
        let caller = caller(&directory, key);
        let minted =
            session_token(&caller, GetSessionToken::default(), &SeededRandom::new(1), NOW).unwrap();
        assert_eq!(minted.expires.0 - NOW.0, hours * 3_600_000_000, "{key}");
        assert_eq!(Some(&minted.arn), caller.arn.as_ref());
    }
    let nobody = Caller::claimed("AKIAX", ACCOUNT);
    let refused = session_token(&nobody, GetSessionToken::default(), &SeededRandom::new(1), NOW);
    assert!(matches!(refused, Err(MintError::Denied { .. })));
}
