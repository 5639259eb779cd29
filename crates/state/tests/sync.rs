//! Taking in what a source lists: what is its own, what is marked, what is refused.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use trailbox_clock::{ManualClock, Micros, SeededRandom};
use trailbox_identity::{
    AccessKey, Admission, Directory, Fact, Learned, Principal, Sealer, Secret, Trust, UnsealError,
};
use trailbox_state::{Listed, ListedKey, Ports, Registration, State, StateError, Sync, Synced};

const ACCOUNT: &str = "111122223333";
const NOW: Micros = Micros(1_795_368_600_000_000);
const CEPH: &str = "sync:rgw:http://ceph:7480";
const OTHER: &str = "sync:iam:http://iam:5000";

/// No secrecy: `state.rs` tests what is sealed.
#[derive(Debug)]
struct PlainSealer;

impl Sealer for PlainSealer {
    fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        [context.as_bytes(), b"=", plain].concat()
    }

    fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
        let plain = sealed.strip_prefix(context.as_bytes()).and_then(|it| it.strip_prefix(b"="));
        plain.map(<[u8]>::to_vec).ok_or_else(|| UnsealError { context: context.to_owned() })
    }
}

async fn state(folder: &tempfile::TempDir) -> State {
    let ports = Ports {
        sealer: Arc::new(PlainSealer),
        clock: Arc::new(ManualClock::at(NOW)),
        random: Arc::new(SeededRandom::new(1)),
    };
    State::open(&folder.path().join("state.db"), ports).await.unwrap()
}

fn user(name: &str, keys: &[(&str, Option<&str>)]) -> Listed {
    let keys = keys.iter().map(|(id, secret)| ListedKey {
        id: (*id).to_owned(),
        secret: secret.map(Into::into),
        active: true,
    });
    Listed { principal: Principal::user(ACCOUNT, "/", name, ""), keys: keys.collect() }
}

async fn sync(state: &State, source: &str, listed: &[Listed]) -> Result<Synced, StateError> {
    state.sync(&Sync { source, allow_empty: false, dry_run: false }, listed).await
}

fn secret<'a>(directory: &'a Directory, id: &str) -> Option<&'a str> {
    directory.key(id).unwrap().secret.as_ref().map(Secret::expose)
}

fn counts(done: &Synced) -> [u64; 5] {
    [done.users_added, done.keys_added, done.keys_changed, done.users_removed, done.keys_removed]
}

#[tokio::test]
async fn what_a_source_lists_is_known_and_a_second_look_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(&folder).await;
    let listed = [
        user("alice", &[("AKIA1", Some("s1")), ("AKIA2", Some("s2"))]),
        user("acme$bob:swift", &[("AKIA3", None)]),
    ];
    let first = sync(&state, CEPH, &listed).await.unwrap();
    assert_eq!(counts(&first), [2, 3, 0, 0, 0]);
    assert_eq!((first.users, first.keys, first.keys_with_secret), (2, 3, 2));
    let again = sync(&state, CEPH, &listed).await.unwrap();
    assert!(!again.is_change() && again.users == 2 && again.keys == 3);

    let directory = state.directory().await.unwrap();
    assert_eq!(secret(&directory, "AKIA2"), Some("s2"));
    assert_eq!(directory.key("AKIA1").unwrap().source.as_deref(), Some(CEPH));
    assert!(matches!(directory.admit("AKIA1", None, NOW), Admission::Known(_)));
    assert!(matches!(directory.admit("AKIA3", None, NOW), Admission::Unproven(_)));
    let bob = directory.caller("AKIA3", NOW).unwrap();
    assert_eq!(bob.user_identity["userName"], "acme$bob:swift");
    assert_eq!((bob.trust, bob.administrator), (Trust::Upstream, false));
}

#[tokio::test]
async fn what_is_listed_no_more_is_marked_and_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(&folder).await;
    let (alice, bob) =
        (user("alice", &[("AKIA1", Some("s1"))]), user("bob", &[("AKIA2", Some("s2"))]));
    sync(&state, CEPH, &[alice.clone(), bob.clone()]).await.unwrap();
    let id = state.directory().await.unwrap().caller("AKIA2", NOW).unwrap().user_id.clone();

    let less = sync(&state, CEPH, std::slice::from_ref(&alice)).await.unwrap();
    assert_eq!(counts(&less), [0, 0, 0, 1, 1]);
    let directory = state.directory().await.unwrap();
    assert!(matches!(directory.admit("AKIA2", None, NOW), Admission::Refused(_)));
    assert_eq!(directory.key("AKIA2").unwrap().removed, Some(NOW));
    assert_eq!(state.principals().await.unwrap().len(), 2);
    assert!(!sync(&state, CEPH, std::slice::from_ref(&alice)).await.unwrap().is_change());

    let back = sync(&state, CEPH, &[alice, bob]).await.unwrap();
    assert_eq!(counts(&back), [1, 1, 0, 0, 0]);
    let directory = state.directory().await.unwrap();
    assert!(matches!(directory.admit("AKIA2", None, NOW), Admission::Known(_)));
    assert_eq!(directory.caller("AKIA2", NOW).unwrap().user_id, id);
}

#[tokio::test]
async fn an_empty_list_marks_nobody_unless_it_is_allowed_to() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(&folder).await;
    assert!(!sync(&state, CEPH, &[]).await.unwrap().is_change());
    sync(&state, CEPH, &[user("alice", &[("AKIA1", Some("s1"))])]).await.unwrap();
    let err = sync(&state, CEPH, &[]).await.unwrap_err();
    assert!(matches!(err, StateError::EmptySource { had: 1, .. }), "{err}");
    assert!(state.directory().await.unwrap().key("AKIA1").unwrap().active);
    let how = Sync { source: CEPH, allow_empty: true, dry_run: false };
    assert_eq!(counts(&state.sync(&how, &[]).await.unwrap()), [0, 0, 0, 1, 1]);
    assert!(!state.directory().await.unwrap().key("AKIA1").unwrap().active);
}

#[tokio::test]
async fn what_is_somebody_elses_is_left_alone_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(&folder).await;
    let root = Principal::user(ACCOUNT, "/", "root", "").as_administrator();
    let key = AccessKey::lasting("AKIAHAND", "by hand".into(), &root.arn);
    state.register(&[Registration { principal: root, key: Some(key) }]).await.unwrap();
    sync(&state, OTHER, &[user("carol", &[("AKIAIAM", Some("iam"))])]).await.unwrap();

    let listed = [
        user("root", &[("AKIAEVIL", Some("evil"))]),
        user("alice", &[("AKIAHAND", Some("evil")), ("AKIAIAM", None), ("AKIA1", Some("s1"))]),
    ];
    let done = sync(&state, CEPH, &listed).await.unwrap();
    assert_eq!((done.conflicts, done.users, done.keys), (3, 1, 1));
    let told: Vec<String> = done.conflicts_told.iter().map(ToString::to_string).collect();
    assert_eq!(told[1], "AKIAHAND was registered by hand and stays as it is");
    assert_eq!(told[2], format!("AKIAIAM comes from {OTHER} and stays as it is"));
    let directory = state.directory().await.unwrap();
    assert!(directory.key("AKIAEVIL").is_none());
    assert_eq!(secret(&directory, "AKIAHAND"), Some("by hand"));
    assert_eq!(secret(&directory, "AKIAIAM"), Some("iam"));
    // Nor does one source mark what another brought, or people did.
    let how = Sync { source: CEPH, allow_empty: true, dry_run: false };
    assert_eq!(counts(&state.sync(&how, &[]).await.unwrap()), [0, 0, 0, 1, 1]);
    let directory = state.directory().await.unwrap();
    assert!(directory.key("AKIAHAND").unwrap().active && directory.key("AKIAIAM").unwrap().active);
}

#[tokio::test]
async fn a_source_changes_its_secrets_and_states_but_not_what_people_switched() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(&folder).await;
    sync(&state, CEPH, &[user("alice", &[("AKIA1", Some("old"))])]).await.unwrap();
    let done = sync(&state, CEPH, &[user("alice", &[("AKIA1", Some("new"))])]).await.unwrap();
    assert_eq!(counts(&done), [0, 0, 1, 0, 0]);
    // No secret told is no reason to forget one.
    let done = sync(&state, CEPH, &[user("alice", &[("AKIA1", None)])]).await.unwrap();
    assert!(!done.is_change());
    assert_eq!(secret(&state.directory().await.unwrap(), "AKIA1"), Some("new"));

    let mut suspended = user("alice", &[("AKIA1", Some("new"))]);
    suspended.keys[0].active = false;
    assert_eq!(counts(&sync(&state, CEPH, &[suspended]).await.unwrap()), [0, 0, 1, 0, 0]);
    assert!(!state.directory().await.unwrap().key("AKIA1").unwrap().active);
    state.set_key_active("AKIA1", false).await.unwrap();
    sync(&state, CEPH, &[user("alice", &[("AKIA1", Some("new"))])]).await.unwrap();
    assert!(!state.directory().await.unwrap().key("AKIA1").unwrap().active);
}

#[tokio::test]
async fn a_dry_run_tells_all_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(&folder).await;
    let how = Sync { source: CEPH, allow_empty: false, dry_run: true };
    let done = state.sync(&how, &[user("alice", &[("AKIA1", Some("s"))])]).await.unwrap();
    assert_eq!(counts(&done), [1, 1, 0, 0, 0]);
    assert!(state.principals().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_secret_that_passed_completes_a_key_that_a_source_knows_without() {
    let folder = tempfile::tempdir().unwrap();
    let state = state(&folder).await;
    let learned = |name: &str, id: &str, trust| {
        let (account, user_name) = (ACCOUNT.to_owned(), name.to_owned());
        let fact = Fact::Key { account, user_name, id: id.into(), secret: "passed".into() };
        Learned { event_id: [3; 16], at: NOW, trust, fact }
    };
    let facts = [
        (1, learned("alice", "AKIA1", Trust::Verified)),
        (2, learned("mallory", "AKIA2", Trust::Verified)),
        (3, learned("alice", "AKIA3", Trust::Claimed)),
    ];
    state.put_learned(&facts, None).await.unwrap();
    let keys = [("AKIA1", None), ("AKIA2", None), ("AKIA3", None)];
    sync(&state, OTHER, &[user("alice", &keys)]).await.unwrap();
    let directory = state.directory().await.unwrap();
    assert_eq!(secret(&directory, "AKIA1"), Some("passed"));
    assert_eq!((secret(&directory, "AKIA2"), secret(&directory, "AKIA3")), (None, None));
    let copy = Directory::from_bytes(&directory.to_bytes()).unwrap();
    assert!(matches!(copy.admit("AKIA1", None, NOW), Admission::Known(_)));
    assert!(matches!(copy.admit("AKIA2", None, NOW), Admission::Unproven(_)));
    // Listed no more, it counts no more, whoever showed its secret.
    sync(&state, OTHER, &[user("alice", &keys[1..])]).await.unwrap();
    let directory = state.directory().await.unwrap();
    assert!(matches!(directory.admit("AKIA1", None, NOW), Admission::Refused(_)));
}
