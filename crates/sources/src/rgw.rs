//! Ceph's RADOS Gateway. Source: Ceph documentation, "Admin Operations".
//!
//! Users are listed by `GET /admin/metadata/user`, page by page, then each is
//! read by `GET /admin/user`. A subuser's key belongs to `<user>:<subuser>`; a
//! user of a tenant is `<tenant>$<user>`. Who administrates Ceph (`system`,
//! `admin`, capabilities) does not administrate here.

use crate::client::{Answer, Ask, Client};
use crate::error::SourceError;
use crate::listing::{FoundKey, FoundUser, Listing, USERS_MAX};
use crate::{CONNECTIONS, PAGE};
use futures::{StreamExt as _, TryStreamExt as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use trailbox_identity::Secret;

/// What SigV4 has percent-encoded in a query: all but the unreserved.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A page of names: an object when `max-entries` was understood, else a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Page {
    Paged {
        keys: Vec<String>,
        #[serde(default)]
        truncated: Flag,
        marker: Option<String>,
        count: Option<u64>,
    },
    All(Vec<String>),
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    tenant: String,
    #[serde(rename = "user_id")]
    id: String,
    #[serde(default)]
    suspended: Flag,
    /// Absent for those who may read users without their keys.
    keys: Option<Vec<Key>>,
}

#[derive(Deserialize)]
struct Key {
    user: String,
    #[serde(rename = "access_key")]
    id: String,
    #[serde(rename = "secret_key", default)]
    secret: String,
    /// Newer releases switch single keys.
    active: Option<Flag>,
}

/// `true`, `"true"` or 1, by release and by place: 16.2 writes `truncated` as text
/// and `suspended` as a number.
#[derive(Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Flag {
    Bool(bool),
    Number(i64),
    Word(Word),
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    True,
    False,
}

impl Default for Flag {
    fn default() -> Self {
        Self::Bool(false)
    }
}

impl Flag {
    const fn is_set(self) -> bool {
        match self {
            Self::Bool(set) => set,
            Self::Word(word) => matches!(word, Word::True),
            Self::Number(number) => number != 0,
        }
    }
}

/// Everybody, or an error.
pub(crate) async fn read(client: &Client<'_>, prefix: &str) -> Result<Listing, SourceError> {
    let names = names(client).await?;
    let users: Vec<Option<User>> = futures::stream::iter(names)
        .map(|name| user(client, name))
        .buffered(CONNECTIONS)
        .try_collect()
        .await?;
    let mut listing = Listing::default();
    for user in users.into_iter().flatten() {
        for found in found(user, prefix) {
            listing.add(found)?;
        }
    }
    Ok(listing)
}

/// The names of all users, each once.
async fn names(client: &Client<'_>) -> Result<BTreeSet<String>, SourceError> {
    let mut names = BTreeSet::new();
    let mut marker: Option<String> = None;
    loop {
        let mut target = format!("/admin/metadata/user?format=json&max-entries={PAGE}");
        if let Some(marker) = &marker {
            target.extend(["&marker=", &utf8_percent_encode(marker, QUERY).to_string()]);
        }
        let ask = get(target, "the list of users".to_owned());
        let page: Page = parse(&ask, &good(&ask, client.send(&ask).await?)?)?;
        let (keys, truncated, next, count) = match page {
            Page::All(keys) => (keys, false, None, None),
            Page::Paged { keys, truncated, marker, count } => {
                (keys, truncated.is_set(), marker, count)
            }
        };
        if count.is_some_and(|count| count != keys.len() as u64) {
            let rule = format!("`count` is the number of keys, which is {}", keys.len());
            return Err(broken(&ask, &rule));
        }
        names.extend(keys);
        if USERS_MAX < names.len() {
            return Err(SourceError::TooMany { what: "users", max: USERS_MAX });
        }
        if !truncated {
            return Ok(names);
        }
        if next.is_none() || next == marker {
            return Err(broken(&ask, "a truncated page has a new `marker`"));
        }
        marker = next;
    }
}

/// One user; `None` when it is gone since it was listed.
async fn user(client: &Client<'_>, name: String) -> Result<Option<User>, SourceError> {
    let target = format!("/admin/user?format=json&uid={}", utf8_percent_encode(&name, QUERY));
    let ask = get(target, format!("user {name:?}"));
    let answer = client.send(&ask).await?;
    if answer.status == 404 && code(&answer.body) == "NoSuchUser" {
        return Ok(None);
    }
    let user: User = parse(&ask, &good(&ask, answer)?)?;
    if user.keys.is_none() {
        return Err(broken(&ask, "it has `keys`, which takes the capability users=read"));
    }
    if user.full_name() != name {
        return Err(broken(&ask, "it is about the user that was asked for"));
    }
    Ok(Some(user))
}

impl User {
    fn full_name(&self) -> String {
        match &*self.tenant {
            "" => self.id.clone(),
            tenant => format!("{tenant}${}", self.id),
        }
    }
}

/// The user, and each subuser that has keys.
fn found(user: User, prefix: &str) -> Vec<FoundUser> {
    let name = user.full_name();
    let is_subuser = |of: &str| {
        let rest = of.strip_prefix(&name).or_else(|| of.strip_prefix(&user.id));
        rest.and_then(|rest| rest.strip_prefix(':')).map(|sub| format!("{name}:{sub}"))
    };
    let mut by_name = BTreeMap::from([(name.clone(), Vec::new())]);
    let let_in = !user.suspended.is_set();
    for key in user.keys.unwrap_or_default() {
        let holder = is_subuser(&key.user).unwrap_or_else(|| name.clone());
        by_name.entry(holder).or_default().push(FoundKey {
            id: key.id,
            secret: (!key.secret.is_empty()).then(|| Secret::from(key.secret)),
            active: let_in && key.active.is_none_or(Flag::is_set),
        });
    }
    let found = |(name, keys): (String, Vec<FoundKey>)| FoundUser {
        name: format!("{prefix}{name}"),
        path: "/".to_owned(),
        id: String::new(),
        account: None,
        keys,
    };
    by_name.into_iter().map(found).collect()
}

fn get(target: String, what: String) -> Ask {
    Ask { method: "GET", target, form: String::new(), what }
}

/// The body of an answer that is no error.
fn good(ask: &Ask, answer: Answer) -> Result<bytes::Bytes, SourceError> {
    if answer.status == 200 {
        return Ok(answer.body);
    }
    let hint = match answer.status {
        401 | 403 => {
            "; the key's user needs the capabilities users=read and metadata=read: \
             radosgw-admin caps add --uid=USER --caps=\"users=read;metadata=read\""
        }
        404 | 405 => "; is this a RADOS Gateway with its admin API on?",
        _ => "",
    };
    let code = match &*code(&answer.body) {
        "" => String::new(),
        code => format!(" {code}"),
    };
    Err(SourceError::Refused { asked: ask.what.clone(), status: answer.status, code, hint })
}

/// `Code` of an error, cut to plain text.
fn code(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Error {
        #[serde(rename = "Code")]
        code: String,
    }
    let code = serde_json::from_slice::<Error>(body).map(|error| error.code).unwrap_or_default();
    code.chars().filter(char::is_ascii_alphanumeric).take(64).collect()
}

/// The text of an error names the place only: there are secrets in answers.
fn parse<T: DeserializeOwned>(ask: &Ask, body: &[u8]) -> Result<T, SourceError> {
    serde_json::from_slice(body).map_err(|err| {
        let (line, column) = (err.line(), err.column());
        broken(ask, &format!("JSON as Ceph documents it (line {line}, column {column})"))
    })
}

fn broken(ask: &Ask, rule: &str) -> SourceError {
    SourceError::Broken { asked: ask.what.clone(), rule: rule.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{User, found};

    /// Name; id, whether there is a secret, whether it is active.
    type Told = (String, Vec<(String, bool, bool)>);

    fn names_and_keys(json: &str) -> Vec<Told> {
        let user: User = serde_json::from_str(json).unwrap();
        let keys = |user: &crate::FoundUser| {
            let key = |key: &crate::FoundKey| (key.id.clone(), key.secret.is_some(), key.active);
            user.keys.iter().map(key).collect()
        };
        found(user, "ceph-").iter().map(|user| (user.name.clone(), keys(user))).collect()
    }

    #[test]
    fn keys_belong_to_the_user_or_the_subuser_that_they_name() {
        let json = r#"{"tenant":"acme","user_id":"bob","suspended":0,"max_buckets":1000,
            "subusers":[{"id":"acme$bob:sw","permissions":"full-control"}],
            "keys":[{"user":"acme$bob","access_key":"K1","secret_key":"s"},
                    {"user":"acme$bob:sw","access_key":"K2","secret_key":""},
                    {"user":"acme$bob","access_key":"K3","secret_key":"s","active":false}],
            "swift_keys":[],"caps":[]}"#;
        let key = |id: &str, secret, active| (id.to_owned(), secret, active);
        let want = [
            ("ceph-acme$bob".to_owned(), vec![key("K1", true, true), key("K3", true, false)]),
            ("ceph-acme$bob:sw".to_owned(), vec![key("K2", false, true)]),
        ];
        assert_eq!(names_and_keys(json), want);
    }

    #[test]
    fn a_suspended_user_has_no_key_that_counts() {
        for suspended in ["1", "true", "\"true\""] {
            let json = format!(
                r#"{{"user_id":"al","suspended":{suspended},
                     "keys":[{{"user":"al","access_key":"K1","secret_key":"s","active":true}}]}}"#
            );
            assert_eq!(names_and_keys(&json)[0].1, [("K1".to_owned(), true, false)]);
        }
    }
}
