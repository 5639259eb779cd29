//! Everybody Trailbox knows: principals, keys, learned sessions.
//!
//! A plain value: the recorder keeps it behind a lock and hands it what it
//! learns; the state database makes a new one at start. What an administrator
//! registered is never changed by what an answer showed.

use crate::account::Arn;
use crate::caller::Caller;
use crate::key::{AccessKey, KeyRefusal, Origin, Owner};
use crate::learned::{Fact, Learned};
use crate::principal::{Principal, PrincipalKind};
use crate::trust::Trust;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use trailbox_clock::Micros;

/// The key type under its name in the gateway's sentences.
pub use crate::key::AccessKey as KnownKey;

/// Most learned keys that are held, when nothing else is said.
pub const LEARNED_KEYS_MAX: usize = 100_000;

/// Principals and keys, with constant-time lookup by access key id.
#[derive(Debug, Clone)]
pub struct Directory {
    registered: HashMap<Handle, Principal>,
    learned: HashMap<Handle, Principal>,
    keys: HashMap<String, Entry>,
    /// Learned keys by end; lasting ones last.
    ends: BTreeSet<(Micros, String)>,
    learned_max: usize,
    evicted: u64,
}

#[derive(Debug, Clone)]
struct Entry {
    key: AccessKey,
    /// Made at the first call of the key, forgotten when principals change.
    caller: OnceLock<Arc<Caller>>,
}

/// `(account, kind, name)`: unique, whatever the path.
type Handle = (String, &'static str, String);

/// What the directory says about a key that was sent.
#[derive(Debug)]
pub enum Admission<'a> {
    /// It counts; its secret proves the signature.
    Known(&'a AccessKey),
    /// It counts, and its secret is not known: nothing can be proved here.
    Unproven(&'a AccessKey),
    /// It is known and does not count now.
    Refused(KeyRefusal),
    /// Nobody knows it.
    Unknown,
}

impl Default for Directory {
    fn default() -> Self {
        Self::new()
    }
}

impl Directory {
    /// Nobody, with room for [`LEARNED_KEYS_MAX`] learned keys.
    #[must_use]
    pub fn new() -> Self {
        Self::with_room_for(LEARNED_KEYS_MAX)
    }

    /// Nobody, with room for so many learned keys, at least one.
    #[must_use]
    pub fn with_room_for(learned_max: usize) -> Self {
        Self {
            registered: HashMap::new(),
            learned: HashMap::new(),
            keys: HashMap::new(),
            ends: BTreeSet::new(),
            learned_max: learned_max.max(1),
            evicted: 0,
        }
    }

    /// Registers a principal, replacing one of the same account, kind and name.
    pub fn add_principal(&mut self, principal: Principal) {
        self.registered.insert(handle(&principal), principal);
        self.forget_callers();
    }

    /// Removes a registered principal with its keys; says whether it was there.
    pub fn remove_principal(&mut self, arn: &str) -> bool {
        let Some(gone) = handle_of(arn).and_then(|handle| self.registered.remove(&handle)) else {
            return false;
        };
        let gone = handle(&gone);
        self.keys.retain(|_, entry| {
            entry.key.origin == Origin::Learned || owner_handle(&entry.key).as_ref() != Some(&gone)
        });
        self.forget_callers();
        true
    }

    /// A registered principal.
    #[must_use]
    pub fn registered(&self, arn: &str) -> Option<&Principal> {
        self.registered.get(&handle_of(arn)?)
    }

    /// A registered or learned principal.
    #[must_use]
    pub fn principal(&self, arn: &str) -> Option<&Principal> {
        let handle = handle_of(arn)?;
        self.registered.get(&handle).or_else(|| self.learned.get(&handle))
    }

    /// All registered principals, in no order.
    pub fn principals(&self) -> impl Iterator<Item = &Principal> {
        self.registered.values()
    }

    /// The principal of that ARN, or one of that name whose id nobody knows.
    pub(crate) fn principal_or_named(&self, arn: &str) -> Principal {
        self.principal(arn).cloned().or_else(|| Principal::of_arn(arn, "")).unwrap_or_else(|| {
            let account = Arn::parse(arn).map_or("", |arn| arn.account);
            Principal::user(account, "/", arn, "")
        })
    }

    /// Registers a key, replacing any of the same id.
    ///
    /// A learned key of the same owner stays where the registered one has no
    /// secret: it proves more.
    pub fn add_key(&mut self, key: AccessKey) {
        if self.key(&key.id).is_some_and(|held| proves_more(held, &key)) {
            return;
        }
        self.drop_end(&key.id);
        self.keys.insert(key.id.clone(), Entry { key, caller: OnceLock::new() });
    }

    /// Removes a key; says whether it was there.
    pub fn remove_key(&mut self, id: &str) -> bool {
        self.drop_end(id);
        self.keys.remove(id).is_some()
    }

    /// Switches a key on or off; says whether it was there.
    pub fn set_active(&mut self, id: &str, active: bool) -> bool {
        self.keys.get_mut(id).map(|entry| entry.key.active = active).is_some()
    }

    /// A key by its id.
    #[must_use]
    pub fn key(&self, id: &str) -> Option<&AccessKey> {
        self.keys.get(id).map(|entry| &entry.key)
    }

    /// All keys, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &AccessKey> {
        self.keys.values().map(|entry| &entry.key)
    }

    /// Whether the key that was sent with `token` counts at `now`.
    #[must_use]
    pub fn admit(&self, id: &str, token: Option<&str>, now: Micros) -> Admission<'_> {
        let Some(key) = self.key(id) else { return Admission::Unknown };
        match key.check(token, now) {
            Err(why) => Admission::Refused(why),
            Ok(()) if key.secret.is_none() => Admission::Unproven(key),
            Ok(()) => Admission::Known(key),
        }
    }

    /// The caller of an accepted signature under the key `id`, made once and kept.
    /// It is trusted as far as [`AccessKey::trust`] says.
    ///
    /// `None` when nobody knows the key or its time is over at `now`.
    #[must_use]
    pub fn caller(&self, id: &str, now: Micros) -> Option<Arc<Caller>> {
        let entry =
            self.keys.get(id).filter(|entry| entry.key.expires.is_none_or(|at| now < at))?;
        let make = || Arc::new(Caller::verified(self, &entry.key));
        Some(entry.caller.get_or_init(make).clone())
    }

    /// Takes in what an answer showed. Registered keys and principals stay as they are.
    pub fn learn(&mut self, learned: Learned) {
        match learned.fact {
            Fact::Session(key) => self.learn_key(*key, learned.at),
            Fact::Key { account, user_name, id, secret } => {
                let arn = self.user_arn(&account, &user_name);
                let key = AccessKey::lasting(&id, secret, &arn);
                let trust = learned.trust;
                self.learn_key(AccessKey { origin: Origin::Learned, trust, ..key }, learned.at);
            }
            Fact::KeyStatus { id, active } => {
                if self.is_learned(&id) {
                    self.set_active(&id, active);
                }
            }
            Fact::KeyRemoved { id } => {
                if self.is_learned(&id) {
                    self.remove_key(&id);
                }
            }
            Fact::Principal(principal) => self.learn_principal(principal),
        }
    }

    fn is_learned(&self, id: &str) -> bool {
        self.key(id).is_some_and(|key| key.origin == Origin::Learned)
    }

    fn user_arn(&self, account: &str, name: &str) -> String {
        let guess = Principal::user(account, "/", name, "").arn;
        self.principal(&guess).map_or(guess, |user| user.arn.clone())
    }

    /// A key stays with its owner while it lives: an answer that shows its id
    /// again would make somebody out of somebody else. Only a session with the
    /// same secret gives way to a newer one: some emulators give one to all.
    /// A registered key without a secret gives way to its owner's own.
    fn learn_key(&mut self, key: AccessKey, now: Micros) {
        let stays = |held: &AccessKey| {
            let lives = held.expires.is_none_or(|end| now < end);
            let session = |key: &AccessKey| matches!(key.owner, Owner::Session(_));
            let renewed = session(held) && session(&key) && held.secret == key.secret;
            held.origin == Origin::Registered || (lives && !renewed)
        };
        if self.key(&key.id).is_some_and(|held| stays(held) && !proves_more(&key, held)) {
            return;
        }
        self.drop_end(&key.id);
        self.ends.insert((key.expires.unwrap_or(Micros(i64::MAX)), key.id.clone()));
        self.keys.insert(key.id.clone(), Entry { key, caller: OnceLock::new() });
        while self.ends.len() > self.learned_max {
            let Some((_, id)) = self.ends.pop_first() else { return };
            self.keys.remove(&id);
            self.evicted += 1;
        }
    }

    fn learn_principal(&mut self, principal: Principal) {
        if self.learned.len() >= self.learned_max {
            return;
        }
        self.learned.insert(handle(&principal), principal);
        self.forget_callers();
    }

    /// Forgets learned keys whose time is over; says how many.
    pub fn expire(&mut self, now: Micros) -> usize {
        let mut count = 0;
        while let Some((end, id)) = self.ends.first() {
            if *end > now {
                break;
            }
            self.keys.remove(id);
            self.ends.pop_first();
            count += 1;
        }
        count
    }

    /// How many keys are held, learned ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many learned keys are held.
    #[must_use]
    pub fn learned_keys(&self) -> usize {
        self.ends.len()
    }

    /// How many learned keys had to go before their time, since the start.
    #[must_use]
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    fn drop_end(&mut self, id: &str) {
        let learned = self.key(id).filter(|key| key.origin == Origin::Learned);
        if let Some(key) = learned {
            let end = (key.expires.unwrap_or(Micros(i64::MAX)), key.id.clone());
            self.ends.remove(&end);
        }
    }

    fn forget_callers(&mut self) {
        for entry in self.keys.values_mut() {
            entry.caller = OnceLock::new();
        }
    }
}

/// Whether `learned` shows the secret of what `registered` knows by its id only.
fn proves_more(learned: &AccessKey, registered: &AccessKey) -> bool {
    learned.origin == Origin::Learned
        && learned.active
        && learned.secret.is_some()
        && learned.expires.is_none()
        && matches!(learned.trust, Trust::Verified | Trust::Upstream)
        && registered.origin == Origin::Registered
        && registered.active
        && registered.secret.is_none()
        && owner_handle(learned).is_some_and(|owner| Some(owner) == owner_handle(registered))
}

fn handle(principal: &Principal) -> Handle {
    let name = principal.name().unwrap_or("").to_owned();
    let kind = match principal.kind {
        PrincipalKind::Root => "root",
        PrincipalKind::User { .. } => "user",
        PrincipalKind::Role { .. } => "role",
    };
    (principal.account.clone(), kind, name)
}

fn handle_of(arn: &str) -> Option<Handle> {
    Principal::of_arn(arn, "").map(|principal| handle(&principal))
}

fn owner_handle(key: &AccessKey) -> Option<Handle> {
    match &key.owner {
        Owner::Principal(arn) => handle_of(arn),
        Owner::Session(_) => None,
    }
}

/// Bytes that are not a directory.
#[derive(Debug, thiserror::Error)]
pub enum ParseDirectoryError {
    /// A later version.
    #[error("directory has version {version}; this program reads up to 1")]
    Version {
        /// The version.
        version: u64,
    },
    /// Not JSON of the right shape. The text holds no value, only the place.
    #[error("directory is broken at column {column}")]
    Shape {
        /// Where.
        column: usize,
    },
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u64,
    registered: Vec<Principal>,
    learned: Vec<Principal>,
    keys: Vec<AccessKey>,
}

impl Directory {
    /// Everything as versioned JSON, secrets in clear. Seal the bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let written = Written {
            version: 1,
            registered: self.registered.values().cloned().collect(),
            learned: self.learned.values().cloned().collect(),
            keys: self.keys().cloned().collect(),
        };
        // Maps with text keys and plain values only: it cannot fail.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    /// Reads what [`Directory::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// When the bytes are something else or of a later version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ParseDirectoryError> {
        let written: Written = serde_json::from_slice(bytes)
            .map_err(|err| ParseDirectoryError::Shape { column: err.column() })?;
        if written.version != 1 {
            return Err(ParseDirectoryError::Version { version: written.version });
        }
        let mut directory = Self::new();
        for principal in written.registered {
            directory.add_principal(principal);
        }
        for principal in written.learned {
            directory.learn_principal(principal);
        }
        for key in written.keys {
            match key.origin {
                Origin::Registered => directory.add_key(key),
                Origin::Learned => directory.learn_key(key, Micros(i64::MIN)),
            }
        }
        Ok(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::{AccessKey, Directory, Fact, Learned, Micros};
    use crate::trust::Trust;

    fn key(user: &str, secret: &str, at: i64) -> Learned {
        let fact = Fact::Key {
            account: "111122223333".to_owned(),
            user_name: user.to_owned(),
            id: "AKIALEARNED".to_owned(),
            secret: secret.into(),
        };
        Learned { event_id: [0; 16], at: Micros(at), trust: Trust::Verified, fact }
    }

    #[test]
    fn a_learned_key_that_lives_is_never_made_somebody_elses() {
        let mut directory = Directory::new();
        directory.learn(key("alice", "first", 1));
        let first = directory.key("AKIALEARNED").cloned();
        for (user, secret) in [("mallory", "second"), ("alice", "second"), ("mallory", "first")] {
            directory.learn(key(user, secret, 2));
            assert_eq!(directory.key("AKIALEARNED").cloned(), first, "{user} {secret}");
        }
        assert_eq!(directory.learned_keys(), 1);
    }

    #[test]
    fn a_learned_key_whose_time_is_over_may_be_replaced() {
        let mut directory = Directory::new();
        let arn = "arn:aws:iam::111122223333:user/alice";
        let ended = AccessKey {
            expires: Some(Micros(5)),
            ..AccessKey::lasting("AKIALEARNED", "first".into(), arn)
        };
        let ended = AccessKey { origin: super::Origin::Learned, ..ended };
        let fact = Fact::Session(Box::new(ended));
        directory.learn(Learned { fact, ..key("", "", 1) });
        directory.learn(key("bob", "second", 4));
        assert_eq!(
            directory.key("AKIALEARNED").unwrap().secret.as_ref().unwrap().expose(),
            "first"
        );
        directory.learn(key("bob", "second", 5));
        assert_eq!(
            directory.key("AKIALEARNED").unwrap().secret.as_ref().unwrap().expose(),
            "second"
        );
        assert_eq!(directory.learned_keys(), 1);
    }
}
