//! What must hold for every file and every fact.
#![allow(clippy::unwrap_used, reason = "a test")]

use proptest::prelude::*;
use trailbox_clock::Micros;
use trailbox_identity::import::parse;
use trailbox_identity::{
    AccessKey, AccountId, Arn, Directory, Fact, Learned, Link, Principal, Session, SessionKind,
    Trust,
};

fn account() -> AccountId {
    AccountId::parse("111122223333").unwrap()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn sessions() -> impl Strategy<Value = Learned> {
    let kind = prop_oneof![
        ("[a-z]{1,8}", "[a-z]{2,8}").prop_map(|(role, name)| SessionKind::AssumedRole {
            arn: format!("arn:aws:sts::111122223333:assumed-role/{role}/{name}"),
            role: Principal::role("111122223333", "/", &role, "AROA1"),
            name,
            web_identity: None,
        }),
        "[a-z]{2,8}".prop_map(|name| SessionKind::Federated {
            arn: format!("arn:aws:sts::111122223333:federated-user/{name}"),
            name,
            issuer: Some(Principal::root("111122223333")),
        }),
        Just(SessionKind::Own { principal: Principal::root("111122223333") }),
        Just(SessionKind::AssumedRoot { member: "444455556666".into() }),
    ];
    let links = prop::collection::vec(prop::option::of("[A-Z]{4,8}"), 0..4);
    (kind, any::<bool>(), links, "ASIA[A-Z]{1,2}", 1i64..1000, any::<[u8; 16]>()).prop_map(
        |(kind, mfa, links, id, expires, event_id)| {
            let session = Session {
                kind,
                account: "111122223333".into(),
                created: Micros(0),
                expires: Micros(expires),
                mfa,
                source_identity: mfa.then(|| "someone".into()),
                chain: links
                    .into_iter()
                    .map(|key| Link { access_key_id: key, arn: None })
                    .collect(),
                trust: Trust::Upstream,
                by_administrator: mfa,
            };
            let key = AccessKey::temporary(&id, "secret".into(), "token", session);
            let fact = Fact::Session(Box::new(key));
            Learned { event_id, at: Micros(7), trust: Trust::Upstream, fact }
        },
    )
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_without_panic(bytes: Vec<u8>, text in ".{0,200}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            let _ = parse(bytes, &account());
            prop_assert!(Learned::from_bytes(bytes).is_err());
            prop_assert!(Directory::from_bytes(bytes).is_err());
        }
        let _ = (Arn::parse(&text), Principal::of_arn(&text, ""));
    }

    #[test]
    fn rows_with_commas_quotes_and_line_ends_are_read_as_written(
        rows in prop::collection::vec(("[A-Za-z0-9_+=.@-]{1,20}", "[!-~]([ -~\r\n]{0,20}[!-~])?"), 0..8),
        newline in prop::sample::select(vec!["\n", "\r\n"]),
    ) {
        let mut text = format!("Secret Access Key,User name,Access key ID{newline}");
        for (place, (name, secret)) in rows.iter().enumerate() {
            text.extend([&*quoted(secret), ",", name, ",AKIA", &place.to_string(), newline]);
        }
        let keys = parse(text.as_bytes(), &account()).unwrap();
        prop_assert_eq!(keys.len(), rows.len());
        for (key, (name, secret)) in keys.iter().zip(&rows) {
            prop_assert_eq!(key.principal.name(), Some(&**name));
            prop_assert_eq!(key.secret.expose(), &**secret);
        }
    }

    #[test]
    fn a_fact_is_read_back_as_it_was_written(learned in sessions()) {
        prop_assert_eq!(Learned::from_bytes(&learned.to_bytes()).unwrap(), learned);
    }

    /// However facts come, the bound holds, nothing outlives its end, and the copy is equal.
    #[test]
    fn a_directory_stays_in_bounds(facts in prop::collection::vec(sessions(), 0..40), now in 0i64..1200) {
        let mut directory = Directory::with_room_for(5);
        for fact in facts {
            directory.learn(fact);
            prop_assert!(directory.learned_keys() <= 5);
            prop_assert_eq!(directory.learned_keys(), directory.len());
        }
        directory.expire(Micros(now));
        prop_assert!(directory.keys().all(|key| key.expires.unwrap() > Micros(now)));
        let copy = Directory::from_bytes(&directory.to_bytes()).unwrap();
        prop_assert_eq!(copy.len(), directory.len());
        for key in directory.keys() {
            prop_assert_eq!(copy.key(&key.id), Some(key));
        }
    }
}
