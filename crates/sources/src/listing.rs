//! What a source lists, checked and bounded.

use crate::error::SourceError;
use std::collections::HashSet;
use trailbox_identity::Secret;
use trailbox_identity::import::{check_name, check_path};

/// Most users, and most keys, of one source.
pub const USERS_MAX: usize = 100_000;

/// Entries left out that are told one by one; all are counted.
const TOLD_MAX: usize = 20;

/// A user and its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundUser {
    /// Its name, the prefix in front.
    pub name: String,
    /// `/` or `/…/`.
    pub path: String,
    /// `AIDA…` where the source says one, else empty.
    pub id: String,
    /// Its account, where the source says one of 12 digits.
    pub account: Option<String>,
    /// Its keys.
    pub keys: Vec<FoundKey>,
}

/// A key of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundKey {
    /// The access key id.
    pub id: String,
    /// The secret, where the source tells it.
    pub secret: Option<Secret>,
    /// Whether the source lets it in.
    pub active: bool,
}

/// All users of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The users, each name once.
    pub users: Vec<FoundUser>,
    /// Users and keys that cannot be taken over: a name or id beyond the rules.
    pub left_out: u64,
    /// Why, for the first of them.
    pub left_out_told: Vec<String>,
    keys: usize,
    names: HashSet<String>,
}

impl Listing {
    /// Adds a user; what breaks a rule is left out, counted and told.
    pub(crate) fn add(&mut self, mut user: FoundUser) -> Result<(), SourceError> {
        let checked = check_name(&user.name).and_then(|()| check_path(&user.path));
        if let Err(problem) = checked {
            self.leave_out(format!("user {:?}: {problem}", cut(&user.name)));
            return Ok(());
        }
        let (good, bad): (Vec<_>, Vec<_>) =
            std::mem::take(&mut user.keys).into_iter().partition(|key| is_key_id(&key.id));
        for key in bad {
            self.leave_out(format!(
                "access key id {:?} of {:?} needs 3 to 128 characters without spaces, `/` and `,`",
                cut(&key.id),
                user.name
            ));
        }
        if !self.names.insert(user.name.clone()) {
            self.leave_out(format!("user {:?} is listed twice", user.name));
            return Ok(());
        }
        user.keys = good;
        self.keys += user.keys.len();
        self.users.push(user);
        let max = USERS_MAX;
        if max < self.users.len() {
            return Err(SourceError::TooMany { what: "users", max });
        }
        if max < self.keys {
            return Err(SourceError::TooMany { what: "keys", max });
        }
        Ok(())
    }

    fn leave_out(&mut self, why: String) {
        self.left_out += 1;
        if self.left_out_told.len() < TOLD_MAX {
            self.left_out_told.push(why);
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(128).collect()
}

/// As long and as plain as SigV4 lets it be in a credential scope.
fn is_key_id(id: &str) -> bool {
    let plain = id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/' && byte != b',');
    plain && (3..=128).contains(&id.len())
}

#[cfg(test)]
mod tests {
    use super::{FoundKey, FoundUser, Listing};

    fn user(name: &str, keys: &[&str]) -> FoundUser {
        let key = |id: &&str| FoundKey { id: (*id).to_owned(), secret: None, active: true };
        FoundUser {
            name: name.to_owned(),
            path: "/".to_owned(),
            id: String::new(),
            account: None,
            keys: keys.iter().map(key).collect(),
        }
    }

    #[test]
    fn what_breaks_a_rule_is_left_out_and_told() {
        let mut listing = Listing::default();
        for user in [user("a", &["AKIA1", "A B", "a/b"]), user("b b", &["AKIA2"]), user("a", &[])] {
            listing.add(user).unwrap();
        }
        assert_eq!(listing.users, [user("a", &["AKIA1"])]);
        assert_eq!((listing.left_out, listing.left_out_told.len()), (4, 4));
        assert!(listing.left_out_told[2].starts_with("user \"b b\": name"));
    }
}
