//! What answers teach, what they may not, and how much is kept.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{ACCOUNT, Exchange, NOW, assume_role, caller, credentials, exchange, people};
use trailbox_clock::Micros;
use trailbox_identity::{
    AccessKey, Admission, CHAIN_MAX, Caller, Directory, Fact, KeyRefusal, Learned, Origin,
    Principal, QUARANTINE_ACCOUNT, Secret, Trust,
};

fn take(directory: &mut Directory, exchange: &Exchange, caller: &Caller) -> usize {
    let facts = exchange.learn(caller);
    let count = facts.len();
    for fact in facts {
        directory.learn(fact);
    }
    count
}

fn create_key(user: &str, key: &str) -> Exchange {
    let told = format!(
        "<AccessKey><UserName>{user}</UserName><AccessKeyId>{key}</AccessKeyId><Status>Active</Status>\
         <SecretAccessKey>secret of {key}</SecretAccessKey></AccessKey>"
    );
    exchange("iam", "CreateAccessKey", &format!("UserName={user}"), &told)
}

fn create_user(user: &str, id: &str) -> Exchange {
    let told = format!(
        "<User><Path>/x/</Path><UserName>{user}</UserName><UserId>{id}</UserId>\
         <Arn>arn:aws:iam::{ACCOUNT}:user/x/{user}</Arn></User>"
    );
    exchange("iam", "CreateUser", &format!("UserName={user}&Path=%2Fx%2F"), &told)
}

#[test]
fn a_learned_session_is_proved_by_its_secret_and_token_until_it_ends() {
    let mut directory = people();
    let alice = caller(&directory, "AKIAALICE");
    let role = assume_role("deploy", "AROA1", "s1", "ASIA1", "");
    assert_eq!(take(&mut directory, &role, &alice), 1);
    let key = directory.key("ASIA1").unwrap();
    assert_eq!(key.secret.as_ref().unwrap().expose(), "secret of ASIA1");
    let end = Micros(NOW.0 + 3_600_000_000);
    let at = |token: Option<&str>, now: Micros| match directory.admit("ASIA1", token, now) {
        Admission::Known(_) => "known".to_owned(),
        Admission::Refused(why) => format!("{why:?}").split(' ').next().unwrap().to_owned(),
        Admission::Unproven(_) => "unproven".to_owned(),
        Admission::Unknown => "unknown".to_owned(),
    };
    assert_eq!(at(Some("token of ASIA1"), NOW), "known");
    assert_eq!(at(Some("token of ASIA2"), NOW), "TokenWrong");
    assert_eq!(at(None, NOW), "TokenMissing");
    assert_eq!(at(Some("token of ASIA1"), end), "Expired");
    assert!(directory.caller("ASIA1", end).is_none());
    assert!(matches!(directory.admit("ASIA2", None, NOW), Admission::Unknown));
    let lasting = directory.admit("AKIAALICE", Some("any"), NOW);
    assert!(matches!(lasting, Admission::Refused(KeyRefusal::TokenWrong { .. })));
    assert_eq!(directory.expire(Micros(end.0 - 1)), 0);
    assert_eq!(directory.expire(end), 1);
    assert!(directory.key("ASIA1").is_none() && directory.key("AKIAALICE").is_some());
}

#[test]
fn a_new_user_gets_its_id_and_a_new_key_its_owner() {
    let mut directory = people();
    let alice = caller(&directory, "AKIAALICE");
    take(&mut directory, &create_key("Bob", "AKIABOB"), &alice);
    assert_eq!(caller(&directory, "AKIABOB").user_identity["principalId"], serde_json::Value::Null);
    take(&mut directory, &create_user("Bob", "AIDABOB"), &alice);
    take(&mut directory, &create_key("Bob", "AKIABOB2"), &alice);
    for key in ["AKIABOB", "AKIABOB2"] {
        let bob = caller(&directory, key);
        assert_eq!(bob.user_identity["principalId"], "AIDABOB", "{key}");
        assert_eq!(bob.trust, Trust::Verified, "{key}");
    }
    let arn = caller(&directory, "AKIABOB2").arn;
    assert_eq!(arn.as_deref(), Some("arn:aws:iam::111122223333:user/x/Bob"));
    let told = format!(
        "<Role><Path>/</Path><RoleName>r</RoleName><RoleId>AROAR</RoleId>\
         <Arn>arn:aws:iam::{ACCOUNT}:role/r</Arn></Role>"
    );
    let role = exchange("iam", "CreateRole", "RoleName=r&AssumeRolePolicyDocument=%7B%7D", &told);
    take(&mut directory, &role, &alice);
    assert_eq!(directory.principal("arn:aws:iam::111122223333:role/r").unwrap().id, "AROAR");
}

#[test]
fn a_learned_key_is_switched_and_removed_by_answers_and_a_registered_one_is_not() {
    let mut directory = people();
    let alice = caller(&directory, "AKIAALICE");
    take(&mut directory, &create_key("Bob", "AKIABOB"), &alice);
    let status = |key: &str, status: &str| {
        exchange(
            "iam",
            "UpdateAccessKey",
            &format!("UserName=x&AccessKeyId={key}&Status={status}"),
            "",
        )
    };
    let delete = |key: &str| exchange("iam", "DeleteAccessKey", &format!("AccessKeyId={key}"), "");
    for key in ["AKIABOB", "AKIAALICE"] {
        take(&mut directory, &status(key, "Inactive"), &alice);
    }
    assert!(matches!(
        directory.admit("AKIABOB", None, NOW),
        Admission::Refused(KeyRefusal::Inactive { .. })
    ));
    assert!(matches!(directory.admit("AKIAALICE", None, NOW), Admission::Known(_)));
    take(&mut directory, &status("AKIABOB", "Active"), &alice);
    assert!(matches!(directory.admit("AKIABOB", None, NOW), Admission::Known(_)));
    for key in ["AKIABOB", "AKIAALICE"] {
        take(&mut directory, &delete(key), &alice);
    }
    assert!(directory.key("AKIABOB").is_none() && directory.key("AKIAALICE").is_some());
}

#[test]
fn no_answer_replaces_what_an_administrator_registered() {
    let mut directory = people();
    let alice = caller(&directory, "AKIAALICE");
    take(&mut directory, &create_key("Mallory", "AKIAROOT"), &alice);
    take(&mut directory, &assume_role("deploy", "AROA1", "s1", "AKIAALICE", ""), &alice);
    take(&mut directory, &create_user("Alice", "AIDAMALLORY"), &alice);
    assert_eq!(
        directory.key("AKIAROOT").unwrap().secret.as_ref().unwrap().expose(),
        "secret of AKIAROOT"
    );
    assert_eq!(
        caller(&directory, "AKIAALICE").user_identity["principalId"],
        "AIDAALICE00000000000A"
    );
}

#[test]
fn a_session_is_trusted_no_further_than_its_maker() {
    let cases = [
        (Caller::claimed("AKIAX", QUARANTINE_ACCOUNT), Trust::Claimed, QUARANTINE_ACCOUNT),
        (Caller::upstream("AKIAX", ACCOUNT), Trust::Upstream, ACCOUNT),
        (Caller::anonymous(false, QUARANTINE_ACCOUNT), Trust::Claimed, QUARANTINE_ACCOUNT),
    ];
    for (maker, trust, account) in cases {
        let mut directory = people();
        take(&mut directory, &assume_role("deploy", "AROA1", "s1", "ASIA1", ""), &maker);
        take(&mut directory, &create_key("Bob", "AKIABOB"), &maker);
        for key in ["ASIA1", "AKIABOB"] {
            let holder = caller(&directory, key);
            assert_eq!((holder.trust, &*holder.account), (trust, account), "{key} of {maker:?}");
        }
    }
}

#[test]
fn only_an_administrator_makes_a_session_that_administrates() {
    let mut directory = people();
    let chief = Principal::role(ACCOUNT, "/ops/", "chief", "AROACHIEF").as_administrator();
    directory.add_principal(chief);
    let boss = Principal::user(ACCOUNT, "/", "Boss", "AIDABOSS").as_administrator();
    directory.add_key(AccessKey::lasting("AKIABOSS", "s".into(), &boss.arn));
    directory.add_principal(boss);
    let (alice, boss) = (caller(&directory, "AKIAALICE"), caller(&directory, "AKIABOSS"));
    assert!(boss.administrator && !alice.administrator);
    take(&mut directory, &assume_role("chief", "AROACHIEF", "a", "ASIAALICE", ""), &alice);
    take(&mut directory, &assume_role("chief", "AROACHIEF", "b", "ASIABOSS", ""), &boss);
    take(&mut directory, &assume_role("deploy", "AROADEPLOY", "b", "ASIADEPLOY", ""), &boss);
    take(&mut directory, &exchange("sts", "GetSessionToken", "", &credentials("ASIATOKEN")), &boss);
    take(&mut directory, &create_key("Boss", "AKIAMORE"), &alice);
    let cases = [
        ("ASIAALICE", false),
        ("ASIABOSS", true),
        ("ASIADEPLOY", false),
        ("ASIATOKEN", true),
        ("AKIAMORE", false),
    ];
    for (key, administrates) in cases {
        assert_eq!(caller(&directory, key).administrator, administrates, "{key}");
    }
    let claimed = Caller { administrator: true, ..Caller::claimed("AKIAX", ACCOUNT) };
    take(&mut directory, &assume_role("chief", "AROACHIEF", "c", "ASIACLAIM", ""), &claimed);
    assert!(!caller(&directory, "ASIACLAIM").administrator);
}

#[test]
fn an_answer_that_lacks_a_part_teaches_nothing() {
    let alice = caller(&people(), "AKIAALICE");
    let cases = [
        exchange("sts", "AssumeRole", "RoleArn=nonsense&RoleSessionName=s", &credentials("ASIA1")),
        exchange(
            "sts",
            "GetSessionToken",
            "",
            "<Credentials><AccessKeyId>A</AccessKeyId></Credentials>",
        ),
        exchange("sts", "GetSessionToken", "", ""),
        exchange("iam", "CreateUser", "UserName=x", "<User><UserName>x</UserName></User>"),
        exchange("iam", "CreateAccessKey", "", "<AccessKey><UserName>x</UserName></AccessKey>"),
        exchange("sts", "GetCallerIdentity", "", ""),
    ];
    for case in cases {
        assert_eq!(case.learn(&alice), [], "{}", case.route.operation_name());
    }
}

#[test]
fn facts_survive_the_journal_and_debug_shows_no_secret() {
    let alice = caller(&people(), "AKIAALICE");
    let exchanges = [
        assume_role("deploy", "AROA1", "s1", "ASIA1", "&SourceIdentity=Al"),
        create_key("Bob", "AKIABOB"),
        create_user("Bob", "AIDABOB"),
        exchange("iam", "DeleteAccessKey", "AccessKeyId=AKIABOB", ""),
        exchange("iam", "UpdateAccessKey", "AccessKeyId=AKIABOB&Status=Inactive", ""),
    ];
    for exchange in exchanges {
        for fact in exchange.learn(&alice) {
            let bytes = fact.to_bytes();
            assert_eq!(Learned::from_bytes(&bytes).unwrap(), fact);
            assert!(!format!("{fact:?}").contains("secret of"), "{fact:?}");
            let text = String::from_utf8(bytes).unwrap();
            assert!(!text.contains("token of"), "{text}");
        }
    }
    let later = br#"{"version":2,"learned":{"anything":1}}"#;
    assert_eq!(
        Learned::from_bytes(later).unwrap_err().to_string(),
        "learned fact has version 2; this program reads up to 1"
    );
    assert!(Learned::from_bytes(b"{").is_err());
}

#[test]
fn learned_keys_are_bounded_and_the_first_to_end_goes_first() {
    let mut directory = Directory::with_room_for(3);
    let session = |key: &str, minutes: i64| {
        let Fact::Session(mut held) = assume_role("deploy", "AROA1", "s1", key, "")
            .learn(&Caller::upstream("AKIAX", ACCOUNT))
            .remove(0)
            .fact
        else {
            panic!("no session")
        };
        held.expires = Some(Micros(NOW.0 + minutes * 60_000_000));
        Learned { event_id: [0; 16], at: NOW, trust: Trust::Upstream, fact: Fact::Session(held) }
    };
    directory.add_key(AccessKey::lasting("AKIAKEEP", Secret::new("s"), "arn:aws:iam::1:root"));
    for (key, minutes) in [("ASIA30", 30), ("ASIA10", 10), ("ASIA20", 20), ("ASIA40", 40)] {
        directory.learn(session(key, minutes));
    }
    assert!(directory.key("ASIA10").is_none());
    assert_eq!((directory.learned_keys(), directory.evicted(), directory.len()), (3, 1, 4));
    // The same key again is no second key.
    directory.learn(session("ASIA30", 35));
    assert_eq!((directory.learned_keys(), directory.evicted()), (3, 1));
    assert_eq!(directory.expire(Micros(NOW.0 + 35 * 60_000_000)), 2);
    assert!(directory.key("ASIA40").is_some() && directory.key("AKIAKEEP").is_some());
}

#[test]
fn a_directory_is_written_and_read_back_whole() {
    let mut directory = people();
    let alice = caller(&directory, "AKIAALICE");
    take(&mut directory, &assume_role("deploy", "AROA1", "s1", "ASIA1", ""), &alice);
    take(&mut directory, &create_user("Bob", "AIDABOB"), &alice);
    take(&mut directory, &create_key("Bob", "AKIABOB"), &alice);
    directory.set_active("AKIAROOT", false);
    let back = Directory::from_bytes(&directory.to_bytes()).unwrap();
    let keys = |directory: &Directory| {
        let mut keys: Vec<AccessKey> = directory.keys().cloned().collect();
        keys.sort_by(|a, b| a.id.cmp(&b.id));
        keys
    };
    assert_eq!(keys(&back), keys(&directory));
    for key in ["AKIAALICE", "ASIA1", "AKIABOB"] {
        assert_eq!(caller(&back, key), caller(&directory, key));
    }
    assert_eq!(back.key("AKIABOB").unwrap().origin, Origin::Learned);
    let text = format!("{directory:?}");
    assert!(!text.contains("secret of") && !text.contains("token of"), "{text}");
    assert!(Directory::from_bytes(b"{}").is_err());
}

#[test]
fn removing_a_principal_removes_its_keys_and_no_others() {
    let mut directory = people();
    assert!(directory.remove_principal("arn:aws:iam::111122223333:user/Alice"));
    assert!(directory.key("AKIAALICE").is_none() && directory.key("AKIAROOT").is_some());
    assert!(!directory.remove_principal("arn:aws:iam::111122223333:user/Alice"));
}

#[test]
fn a_chain_keeps_the_person_and_the_newest_links() {
    let mut directory = people();
    let mut maker = caller(&directory, "AKIAALICE");
    for step in 0..CHAIN_MAX + 5 {
        let key = format!("ASIA{step}");
        take(&mut directory, &assume_role("deploy", "AROA1", "s1", &key, ""), &maker);
        maker = caller(&directory, &key);
    }
    let session = maker.session.unwrap();
    assert_eq!(session.chain.len(), CHAIN_MAX);
    assert_eq!(session.origin().unwrap().access_key_id.as_deref(), Some("AKIAALICE"));
    assert_eq!(session.parent(), Some(&*format!("ASIA{}", CHAIN_MAX + 3)));
}
