//! The state: what is kept, sealed, migrated and refused.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use trailbox_clock::{ManualClock, Micros, SeededRandom};
use trailbox_identity::{
    AccessKey, AccountId, Admission, Caller, Fact, Learned, Link, Principal, Sealer, Secret,
    Session, SessionKind, Trust, UnsealError,
};
use trailbox_state::{Ports, Registration, State, StateError, VERSION};

const ACCOUNT: &str = "111122223333";
/// 2026-11-22T17:30:00Z.
const NOW: Micros = Micros(1_795_368_600_000_000);

/// No secrecy, but as strict about context and change as the real one.
#[derive(Debug)]
struct TestSealer(u8);

impl Sealer for TestSealer {
    fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let sum = plain.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        let mut sealed = vec![self.0, sum];
        sealed.extend(context.bytes());
        sealed.push(0);
        sealed.extend(plain.iter().map(|byte| byte ^ 0x5a));
        sealed
    }

    fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
        let mut prefix = vec![self.0];
        prefix.extend(sealed.get(1));
        prefix.extend(context.bytes());
        prefix.push(0);
        let plain = sealed.strip_prefix(&prefix[..]).map(|rest| rest.iter().map(|b| b ^ 0x5a));
        plain.map(Iterator::collect).ok_or_else(|| UnsealError { context: context.to_owned() })
    }
}

fn ports(seed: u64) -> Ports {
    Ports {
        sealer: Arc::new(TestSealer(7)),
        clock: Arc::new(ManualClock::at(NOW)),
        random: Arc::new(SeededRandom::new(seed)),
    }
}

async fn open(path: &Path) -> State {
    State::open(path, ports(1)).await.unwrap()
}

fn place(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("state.db")
}

fn alice(key: &str) -> Registration {
    let principal = Principal::user(ACCOUNT, "/ops/", "Alice", "");
    let key = AccessKey::lasting(key, format!("secret of {key}").into(), &principal.arn);
    Registration { principal, key: Some(key) }
}

fn session(key: &str, minutes: i64) -> Learned {
    let session = Session {
        kind: SessionKind::AssumedRole {
            role: Principal::role(ACCOUNT, "/", "deploy", "AROADEPLOY"),
            name: "run-1".into(),
            arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/deploy/run-1"),
            web_identity: None,
        },
        account: ACCOUNT.into(),
        created: NOW,
        expires: NOW.plus(minutes * 60_000_000),
        mfa: false,
        source_identity: None,
        chain: vec![Link { access_key_id: Some("AKIAALICE".into()), arn: None }],
        trust: Trust::Verified,
        by_administrator: false,
    };
    let key = AccessKey::temporary(key, Secret::new("temporary secret"), "the token", session);
    fact(Fact::Session(Box::new(key)))
}

fn fact(fact: Fact) -> Learned {
    Learned { event_id: [3; 16], at: NOW, trust: Trust::Verified, fact }
}

fn learned_key(id: &str) -> Learned {
    let (account, user_name) = (ACCOUNT.to_owned(), "Bob".to_owned());
    fact(Fact::Key { account, user_name, id: id.into(), secret: "s".into() })
}

#[tokio::test]
async fn what_is_registered_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&place(&folder)).await;
    let root = Registration { principal: Principal::root(ACCOUNT), key: None };
    let role = Principal::role(ACCOUNT, "/", "deploy", "AROADEPLOY").as_administrator();
    let role = Registration { principal: role, key: None };
    let registered = state.register(&[alice("AKIAALICE"), root, role]).await.unwrap();
    assert!(registered[0].id.starts_with("AIDA") && registered[0].id.len() == 21);
    assert_eq!((&*registered[1].id, &*registered[2].id), (ACCOUNT, "AROADEPLOY"));
    state.put_learned(&[(5, session("ASIA1", 60))], Some(("engine", "n-1-5"))).await.unwrap();
    state.close().await;

    let state = open(&place(&folder)).await;
    assert_eq!(state.principals().await.unwrap().len(), 3);
    assert_eq!(state.position("engine").await.unwrap().as_deref(), Some("n-1-5"));
    assert_eq!(state.position("other").await.unwrap(), None);
    let directory = state.directory().await.unwrap();
    let key = directory.key("AKIAALICE").unwrap();
    assert_eq!(key.secret.as_ref().unwrap().expose(), "secret of AKIAALICE");
    let alice = directory.caller("AKIAALICE", NOW).unwrap();
    assert_eq!(alice.user_id.as_deref(), Some(&*registered[0].id));
    assert!(matches!(directory.admit("ASIA1", Some("the token"), NOW), Admission::Known(_)));
    assert!(directory.registered(&registered[2].arn).unwrap().administrator);
}

#[tokio::test]
async fn no_secret_stands_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&place(&folder)).await;
    state.register(&[alice("AKIAALICE")]).await.unwrap();
    state
        .put_learned(&[(1, session("ASIA1", 60)), (2, learned_key("AKIABOB"))], None)
        .await
        .unwrap();
    state.put_secret("webhook", b"a webhook password").await.unwrap();
    let account = AccountId::parse(ACCOUNT).unwrap();
    let key = state.ensure_administrator(&account).await.unwrap().unwrap();
    state.close().await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for secret in [
            "secret of AKIAALICE",
            "temporary secret",
            "the token",
            "a webhook password",
            key.secret.expose(),
        ] {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let state = open(&place(&folder)).await;
    state.put_meta("a", b"b").await.unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.path());
    }
}

#[tokio::test]
async fn the_administrator_is_made_once_and_its_key_kept_for_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&place(&folder)).await;
    let account = AccountId::parse(ACCOUNT).unwrap();
    assert_eq!(state.administrator_key().await.unwrap(), None);
    let key = state.ensure_administrator(&account).await.unwrap().unwrap();
    assert!(key.id.starts_with("AKIA") && key.secret.expose().len() == 40);
    assert!(state.ensure_administrator(&account).await.unwrap().is_none());
    assert!(!format!("{key:?}").contains(key.secret.expose()));
    let directory = state.directory().await.unwrap();
    assert!(directory.caller(&key.id, NOW).unwrap().administrator);
    assert_eq!(state.administrator_key().await.unwrap(), Some(key));
}

#[tokio::test]
async fn registering_again_keeps_the_id_and_takes_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&place(&folder)).await;
    let first = state.register(&[alice("AKIAALICE")]).await.unwrap().remove(0);
    let mut again = alice("AKIAALICE2");
    again.principal = Principal::user(ACCOUNT, "/", "Alice", "AIDAOTHER").as_administrator();
    let second = state.register(&[again]).await.unwrap().remove(0);
    assert_eq!((&second.id, &second.arn), (&first.id, &first.arn));
    assert!(second.administrator);
    let mut changed = alice("AKIAALICE");
    changed.key.as_mut().unwrap().secret = Some("new secret".into());
    state.register(&[changed]).await.unwrap();
    let directory = state.directory().await.unwrap();
    assert_eq!(directory.key("AKIAALICE").unwrap().secret.as_ref().unwrap().expose(), "new secret");
    assert!(directory.key("AKIAALICE2").is_some());
}

#[tokio::test]
async fn a_key_that_belongs_to_another_refuses_the_whole_registration() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&place(&folder)).await;
    state.register(&[alice("AKIAALICE")]).await.unwrap();
    let bob = Principal::user(ACCOUNT, "/", "Bob", "");
    let stolen = AccessKey::lasting("AKIAALICE", "x".into(), &bob.arn);
    let carol = Registration { principal: Principal::user(ACCOUNT, "/", "Carol", ""), key: None };
    let bob = Registration { principal: bob, key: Some(stolen) };
    let err = state.register(&[carol, bob]).await.unwrap_err();
    let want = "access key AKIAALICE belongs to arn:aws:iam::111122223333:user/ops/Alice";
    assert_eq!(err.to_string(), want);
    assert_eq!(state.principals().await.unwrap().len(), 1);
    let directory = state.directory().await.unwrap();
    assert_eq!(
        directory.key("AKIAALICE").unwrap().secret.as_ref().unwrap().expose(),
        "secret of AKIAALICE"
    );
}

#[tokio::test]
async fn keys_are_switched_and_removed_and_go_with_their_principal() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&place(&folder)).await;
    state.register(&[alice("AKIA1"), alice("AKIA2"), alice("AKIA3")]).await.unwrap();
    assert!(state.set_key_active("AKIA1", false).await.unwrap());
    assert!(!state.set_key_active("AKIA9", false).await.unwrap());
    assert!(state.remove_key("AKIA2").await.unwrap());
    assert!(!state.remove_key("AKIA2").await.unwrap());
    let directory = state.directory().await.unwrap();
    assert!(!directory.key("AKIA1").unwrap().active);
    assert!(directory.key("AKIA2").is_none() && directory.key("AKIA3").unwrap().active);
    // Without the path: names are unique without it.
    assert!(state.remove_principal("arn:aws:iam::111122223333:user/Alice").await.unwrap());
    assert!(!state.remove_principal("arn:aws:iam::111122223333:user/Alice").await.unwrap());
    assert!(!state.remove_principal("nonsense").await.unwrap());
    assert!(state.directory().await.unwrap().is_empty());
}

#[tokio::test]
async fn learned_facts_end_in_the_same_state_however_often_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&place(&folder)).await;
    let user = Principal::user(ACCOUNT, "/x/", "Bob", "AIDABOB");
    let off = |id: &str| fact(Fact::KeyStatus { id: id.into(), active: false });
    let facts = vec![
        (1, fact(Fact::Principal(user))),
        (2, learned_key("AKIABOB")),
        (3, learned_key("AKIAGONE")),
        (4, off("AKIABOB")),
        (5, fact(Fact::KeyRemoved { id: "AKIAGONE".into() })),
        (6, session("ASIA10", 10)),
        (7, session("ASIA20", 20)),
    ];
    for _ in 0..2 {
        state.put_learned(&facts, None).await.unwrap();
        state.put_learned(&facts[..2], None).await.unwrap();
        let directory = state.directory().await.unwrap();
        assert!(!directory.key("AKIABOB").unwrap().active);
        assert!(directory.key("AKIAGONE").is_none());
        let bob: Caller = (*directory.caller("AKIABOB", NOW).unwrap()).clone();
        assert_eq!(bob.user_id.as_deref(), Some("AIDABOB"));
        assert_eq!(directory.learned_keys(), 3);
    }
    assert_eq!(state.expire(NOW.plus(10 * 60_000_000)).await.unwrap(), 1);
    let directory = state.directory().await.unwrap();
    assert!(directory.key("ASIA10").is_none() && directory.key("ASIA20").is_some());
}

#[tokio::test]
async fn a_learned_fact_does_not_touch_a_registered_key() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&place(&folder)).await;
    state.register(&[alice("AKIAALICE")]).await.unwrap();
    let off = fact(Fact::KeyStatus { id: "AKIAALICE".into(), active: false });
    state.put_learned(&[(1, learned_key("AKIAALICE")), (2, off)], None).await.unwrap();
    let directory = state.directory().await.unwrap();
    let key = directory.key("AKIAALICE").unwrap();
    assert!(key.active);
    assert_eq!(key.secret.as_ref().unwrap().expose(), "secret of AKIAALICE");
}

#[tokio::test]
async fn values_and_positions_are_replaced_and_secret_ones_opened() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&place(&folder)).await;
    for value in [&b"one"[..], b"two"] {
        state.put_meta("plain", value).await.unwrap();
        state.put_secret("secret", value).await.unwrap();
        state.advance("history", std::str::from_utf8(value).unwrap()).await.unwrap();
    }
    assert_eq!(state.meta("plain").await.unwrap().as_deref(), Some(&b"two"[..]));
    assert_eq!(**state.secret("secret").await.unwrap().unwrap(), *b"two");
    assert_eq!(state.position("history").await.unwrap().as_deref(), Some("two"));
    assert_eq!(state.meta("absent").await.unwrap(), None);
    assert!(state.secret("absent").await.unwrap().is_none());
}

#[tokio::test]
async fn another_master_key_does_not_open_what_is_sealed() {
    let folder = tempfile::tempdir().unwrap();
    let state = open(&place(&folder)).await;
    state.register(&[alice("AKIAALICE")]).await.unwrap();
    state.close().await;
    let other = Ports { sealer: Arc::new(TestSealer(8)), ..ports(1) };
    let state = State::open(&place(&folder), other).await.unwrap();
    let err = state.directory().await.unwrap_err();
    assert_eq!(
        err.to_string(),
        "the secret of `key/AKIAALICE` does not open; it was sealed with another master key or changed"
    );
}

#[tokio::test]
async fn a_file_of_a_later_version_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    open(&place(&folder)).await.close().await;
    let later = sqlx::SqlitePool::connect(place(&folder).to_str().unwrap()).await.unwrap();
    let insert = "INSERT INTO schema_version (version, applied) VALUES (1000, 0)";
    sqlx::query(insert).execute(&later).await.unwrap();
    later.close().await;
    let before = std::fs::read(place(&folder)).unwrap();
    let err = State::open(&place(&folder), ports(1)).await.unwrap_err();
    assert!(matches!(err, StateError::Newer { found: 1000, known: VERSION }));
    let want = format!(
        "the state has version 1000; this program knows up to {VERSION}: use the newer one"
    );
    assert_eq!(err.to_string(), want);
    assert_eq!(std::fs::read(place(&folder)).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(place(&folder), "this is no database, whatever its name says".repeat(20))
        .unwrap();
    let err = State::open(&place(&folder), ports(1)).await.unwrap_err();
    assert!(matches!(err, StateError::Sql { .. }), "{err:?}");
    let nowhere = folder.path().join("no/such/folder/state.db");
    let err = State::open(&nowhere, ports(1)).await.unwrap_err();
    assert!(matches!(err, StateError::File { .. }), "{err:?}");
}

/// `TRAILBOX_WRITE_FIXTURE=1` writes the fixture of the present version; a committed one stays.
#[tokio::test]
async fn the_fixture_of_every_version_opens() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let newest = fixtures.join(format!("version-{VERSION}.db"));
    if std::env::var_os("TRAILBOX_WRITE_FIXTURE").is_some() && !newest.exists() {
        let state = open(&newest).await;
        let account = AccountId::parse(ACCOUNT).unwrap();
        state.ensure_administrator(&account).await.unwrap();
        state.register(&[alice("AKIAALICE")]).await.unwrap();
        let facts = [(1, session("ASIA1", 60)), (2, learned_key("AKIABOB"))];
        state.put_learned(&facts, Some(("engine", "n-1-2"))).await.unwrap();
        state.close().await;
    }
    for version in 1..=VERSION {
        let folder = tempfile::tempdir().unwrap();
        let fixture = fixtures.join(format!("version-{version}.db"));
        std::fs::copy(&fixture, place(&folder))
            .unwrap_or_else(|err| panic!("{}: {err}", fixture.display()));
        let state = open(&place(&folder)).await;
        let directory = state.directory().await.unwrap();
        for key in ["AKIAALICE", "ASIA1", "AKIABOB"] {
            assert!(directory.caller(key, NOW).is_some(), "version {version}: {key}");
        }
        let admin = state.administrator_key().await.unwrap().unwrap();
        assert!(directory.caller(&admin.id, NOW).unwrap().administrator, "version {version}");
        assert_eq!(state.position("engine").await.unwrap().as_deref(), Some("n-1-2"));
    }
}
