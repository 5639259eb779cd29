//! What a source of principals lists, made ours: one transaction per sync.
//!
//! A source owns what it brought and nothing else: what people registered, or
//! another source brought, is left alone and told as a conflict. What the
//! source lists no more is marked, never deleted: its keys count no longer,
//! and records keep their names.

use crate::State;
use crate::error::{Doing as _, StateError};
use crate::people::{columns, key_context};
use sqlx::{Row as _, Sqlite, Transaction};
use std::collections::{HashMap, HashSet};
use std::fmt;
use trailbox_identity::{Principal, Secret};

/// What is done here, for errors.
const DOING: &str = "take in what a source lists";

/// Conflicts that are told one by one; all are counted.
pub const CONFLICTS_TOLD: usize = 20;

/// A user as a source lists it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The user; with an empty id a new one gets one.
    pub principal: Principal,
    /// Its keys.
    pub keys: Vec<ListedKey>,
}

/// A key as a source lists it.
#[derive(Debug, Clone)]
pub struct ListedKey {
    /// The access key id.
    pub id: String,
    /// Its secret, where the source tells it.
    pub secret: Option<Secret>,
    /// Whether the source lets it in.
    pub active: bool,
}

/// How to take in what a source lists.
#[derive(Debug, Clone)]
pub struct Sync<'a> {
    /// Whose list it is: `sync:<kind>:<endpoint>`.
    pub source: &'a str,
    /// Believe a source that lists nobody although it listed somebody before.
    pub allow_empty: bool,
    /// Say what would change and change nothing.
    pub dry_run: bool,
}

/// What a sync changed, or would change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Synced {
    /// Users that the source lists and that are its own here.
    pub users: u64,
    /// Keys that are.
    pub keys: u64,
    /// Keys among them whose secret is known.
    pub keys_with_secret: u64,
    /// New users and those that are back.
    pub users_added: u64,
    /// New keys and those that are back.
    pub keys_added: u64,
    /// Keys whose secret, owner or state is another now.
    pub keys_changed: u64,
    /// Users that the source lists no more.
    pub users_removed: u64,
    /// Keys that it lists no more.
    pub keys_removed: u64,
    /// Users and keys left out because they are somebody else's.
    pub conflicts: u64,
    /// The first [`CONFLICTS_TOLD`] of them.
    pub conflicts_told: Vec<Conflict>,
    ids_changed: u64,
}

impl Synced {
    /// Whether anything is another now than before.
    #[must_use]
    pub fn is_change(&self) -> bool {
        let changes = [
            self.users_added,
            self.keys_added,
            self.keys_changed,
            self.users_removed,
            self.keys_removed,
            self.ids_changed,
        ];
        changes.iter().any(|count| *count != 0)
    }

    fn conflict(&mut self, conflict: Conflict) {
        self.conflicts += 1;
        if self.conflicts_told.len() < CONFLICTS_TOLD {
            self.conflicts_told.push(conflict);
        }
    }
}

/// Something a source lists that is not the source's here. It was left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The user's ARN or the access key id.
    pub what: String,
    /// Whose it is: a source, or empty for people's own doing.
    pub held_by: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, held_by } = self;
        match &**held_by {
            "" => write!(f, "{what} was registered by hand and stays as it is"),
            source => write!(f, "{what} comes from {source} and stays as it is"),
        }
    }
}

/// A principal as the table has it.
struct PrincipalRow {
    arn: String,
    id: String,
    source: String,
    removed: bool,
}

/// A key as the table has it.
struct KeyRow {
    principal: String,
    sealed: Option<Vec<u8>>,
    source: String,
    suspended: bool,
    removed: bool,
}

/// Account, kind and name: unique, whatever the path.
type Handle = (String, String, String);

impl State {
    /// Takes in what a source lists, all of it or nothing.
    ///
    /// Who administrates here is nothing a source says: new users do not, and
    /// those that do go on.
    ///
    /// # Errors
    ///
    /// [`StateError::EmptySource`] when it lists nobody although it did before;
    /// otherwise when the database fails.
    pub async fn sync(&self, how: &Sync<'_>, listed: &[Listed]) -> Result<Synced, StateError> {
        let mut db = self.change(DOING).await?;
        let mut run = Run {
            state: self,
            how,
            principals: read_principals(&mut db).await?,
            keys: read_keys(&mut db).await?,
            now: self.ports.clock.now().0,
            seen: HashSet::new(),
            done: Synced::default(),
        };
        let ours = |row: &&PrincipalRow| row.source == how.source && !row.removed;
        let had = run.principals.values().filter(ours).count();
        if listed.is_empty() && had != 0 && !how.allow_empty {
            let source = how.source.to_owned();
            return Err(StateError::EmptySource { origin: source, had });
        }
        for user in listed {
            run.user(&mut db, user).await?;
        }
        run.mark_the_rest(&mut db).await?;
        let done = run.done;
        if how.dry_run || !done.is_change() {
            db.rollback().await.doing(DOING)?;
        } else {
            db.commit().await.doing(DOING)?;
        }
        Ok(done)
    }
}

/// One sync under way.
struct Run<'a> {
    state: &'a State,
    how: &'a Sync<'a>,
    principals: HashMap<Handle, PrincipalRow>,
    keys: HashMap<String, KeyRow>,
    now: i64,
    /// ARNs and key ids that the source lists and that are its own.
    seen: HashSet<String>,
    done: Synced,
}

impl Run<'_> {
    async fn user(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        user: &Listed,
    ) -> Result<(), StateError> {
        let Some(arn) = self.principal(db, &user.principal).await? else { return Ok(()) };
        self.done.users += u64::from(self.seen.insert(arn.clone()));
        for key in &user.keys {
            self.key(db, &arn, key).await?;
        }
        Ok(())
    }

    /// The ARN of the user as it is registered; `None` when it is somebody else's.
    async fn principal(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        asked: &Principal,
    ) -> Result<Option<String>, StateError> {
        let handle = handle(asked);
        let Some(row) = self.principals.get_mut(&handle) else {
            let asked = Principal { administrator: false, ..asked.clone() };
            let made = self.state.put_principal(db, &asked).await?;
            let source = self.how.source.to_owned();
            sqlx::query("UPDATE principals SET source = ? WHERE arn = ?")
                .bind(&source)
                .bind(&made.arn)
                .execute(&mut **db)
                .await
                .doing(DOING)?;
            let arn = made.arn;
            let row = PrincipalRow { arn: arn.clone(), id: made.id, source, removed: false };
            self.principals.insert(handle, row);
            self.done.users_added += 1;
            return Ok(Some(arn));
        };
        let arn = row.arn.clone();
        if row.source != self.how.source {
            let held_by = row.source.clone();
            self.done.conflict(Conflict { what: arn, held_by });
            return Ok(None);
        }
        let renamed = !asked.id.is_empty() && asked.id != row.id;
        if row.removed || renamed {
            self.done.users_added += u64::from(row.removed);
            self.done.ids_changed += u64::from(renamed);
            row.removed = false;
            if renamed {
                asked.id.clone_into(&mut row.id);
            }
            sqlx::query("UPDATE principals SET id = ?, removed = NULL WHERE arn = ?")
                .bind(&row.id)
                .bind(&arn)
                .execute(&mut **db)
                .await
                .doing(DOING)?;
        }
        Ok(Some(arn))
    }

    async fn key(
        &mut self,
        db: &mut Transaction<'_, Sqlite>,
        owner: &str,
        asked: &ListedKey,
    ) -> Result<(), StateError> {
        let held = self.keys.get(&asked.id);
        if let Some(row) = held.filter(|row| row.source != self.how.source) {
            let conflict = Conflict { what: asked.id.clone(), held_by: row.source.clone() };
            self.done.conflict(conflict);
            return Ok(());
        }
        if !self.seen.insert(asked.id.clone()) {
            // The source lists one key twice: the first one stands.
            let held_by = self.how.source.to_owned();
            self.done.conflict(Conflict { what: asked.id.clone(), held_by });
            return Ok(());
        }
        let sealed = self.sealed(held, asked)?;
        self.done.keys += 1;
        self.done.keys_with_secret += u64::from(sealed.is_some());
        match held {
            Some(row) if row.removed => self.done.keys_added += 1,
            Some(row)
                if row.sealed == sealed
                    && row.principal == owner
                    && row.suspended != asked.active =>
            {
                return Ok(());
            }
            Some(_) => self.done.keys_changed += 1,
            None => self.done.keys_added += 1,
        }
        sqlx::query(
            "INSERT INTO access_keys
                 (id, principal, sealed_secret, active, created, source, suspended)
             VALUES (?, ?, ?, 1, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET
                 principal = excluded.principal, sealed_secret = excluded.sealed_secret,
                 suspended = excluded.suspended, removed = NULL",
        )
        .bind(&asked.id)
        .bind(owner)
        .bind(sealed)
        .bind(self.now)
        .bind(self.how.source)
        .bind(!asked.active)
        .execute(&mut **db)
        .await
        .map(drop)
        .doing(DOING)
    }

    /// The secret as it is to stand: as it is when it is the same or none was
    /// told, for a secret is never given up for none.
    fn sealed(
        &self,
        held: Option<&KeyRow>,
        asked: &ListedKey,
    ) -> Result<Option<Vec<u8>>, StateError> {
        let kept = held.and_then(|row| row.sealed.clone());
        let Some(secret) = &asked.secret else { return Ok(kept) };
        let context = key_context(&asked.id);
        if let Some(sealed) = &kept {
            let plain = self.state.open_secret(&context, sealed)?;
            if *plain == secret.expose().as_bytes() {
                return Ok(kept);
            }
        }
        Ok(Some(self.state.ports.sealer.seal(&context, secret.expose().as_bytes())))
    }

    /// Marks what the source brought once and lists no more.
    async fn mark_the_rest(&mut self, db: &mut Transaction<'_, Sqlite>) -> Result<(), StateError> {
        let gone = |source: &str, removed: bool, name: &str| {
            source == self.how.source && !removed && !self.seen.contains(name)
        };
        let users = self.principals.values().filter(|row| gone(&row.source, row.removed, &row.arn));
        let users: Vec<&str> = users.map(|row| &*row.arn).collect();
        let keys = self.keys.iter().filter(|(id, row)| gone(&row.source, row.removed, id));
        let keys: Vec<&str> = keys.map(|(id, _)| &**id).collect();
        let queries = [
            ("UPDATE principals SET removed = ? WHERE arn = ?", &users),
            ("UPDATE access_keys SET removed = ? WHERE id = ?", &keys),
        ];
        for (query, names) in queries {
            for name in names {
                sqlx::query(query)
                    .bind(self.now)
                    .bind(*name)
                    .execute(&mut **db)
                    .await
                    .doing(DOING)?;
            }
        }
        self.done.users_removed = users.len() as u64;
        self.done.keys_removed = keys.len() as u64;
        Ok(())
    }
}

fn handle(principal: &Principal) -> Handle {
    let (kind, name, _) = columns(principal);
    (principal.account.clone(), kind.to_owned(), name.to_owned())
}

async fn read_principals(
    db: &mut Transaction<'_, Sqlite>,
) -> Result<HashMap<Handle, PrincipalRow>, StateError> {
    let query = "SELECT account, kind, name, arn, id, source, removed IS NOT NULL FROM principals";
    let rows = sqlx::query(query).fetch_all(&mut **db).await.doing(DOING)?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let held = PrincipalRow {
            arn: row.get(3),
            id: row.get(4),
            source: row.get(5),
            removed: row.get(6),
        };
        ((row.get(0), row.get(1), row.get(2)), held)
    };
    Ok(rows.iter().map(read).collect())
}

async fn read_keys(
    db: &mut Transaction<'_, Sqlite>,
) -> Result<HashMap<String, KeyRow>, StateError> {
    let query = "SELECT id, principal, sealed_secret, source, suspended, removed IS NOT NULL
                 FROM access_keys";
    let rows = sqlx::query(query).fetch_all(&mut **db).await.doing(DOING)?;
    let read = |row: &sqlx::sqlite::SqliteRow| {
        let held = KeyRow {
            principal: row.get(1),
            sealed: row.get(2),
            source: row.get(3),
            suspended: row.get(4),
            removed: row.get(5),
        };
        (row.get(0), held)
    };
    Ok(rows.iter().map(read).collect())
}
