//! Registered principals and their keys.

use crate::State;
use crate::error::{Doing as _, StateError};
use sqlx::{Row as _, Sqlite, SqliteConnection, Transaction};
use std::collections::HashMap;
use std::sync::Arc;
use trailbox_clock::Micros;
use trailbox_identity::ids::{IdKind, new_id};
use trailbox_identity::{AccessKey, Directory, Principal, PrincipalKind, Secret};

/// A principal to register, with a key or without.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The principal; an empty id is filled in.
    pub principal: Principal,
    /// A key that will belong to it.
    pub key: Option<AccessKey>,
}

impl State {
    /// Registers principals and keys, all of them or none; returns the
    /// principals as they stand now.
    ///
    /// A principal of the same account, kind and name that is registered
    /// already keeps its id and ARN; its `administrator` flag is taken from the
    /// registration. A key its owner has already gets the given secret, and is
    /// people's own from then on, whatever source listed it.
    ///
    /// # Errors
    ///
    /// [`StateError::KeyTaken`] when a key id belongs to another principal.
    pub async fn register(&self, many: &[Registration]) -> Result<Vec<Principal>, StateError> {
        let doing = "register a principal";
        let mut db = self.change(doing).await?;
        let mut registered = Vec::with_capacity(many.len());
        for Registration { principal, key } in many {
            let principal = self.put_principal(&mut db, principal).await?;
            if let Some(key) = key {
                self.put_key(&mut db, &principal.arn, key).await?;
            }
            registered.push(principal);
        }
        db.commit().await.doing(doing)?;
        Ok(registered)
    }

    /// Removes a principal with its keys; says whether it was there.
    ///
    /// The path in `arn` does not matter, as names are unique without it.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn remove_principal(&self, arn: &str) -> Result<bool, StateError> {
        let Some(principal) = Principal::of_arn(arn, "") else { return Ok(false) };
        let (kind, name, _) = columns(&principal);
        sqlx::query("DELETE FROM principals WHERE account = ? AND kind = ? AND name = ?")
            .bind(&principal.account)
            .bind(kind)
            .bind(name)
            .execute(&self.pool)
            .await
            .map(|done| 0 < done.rows_affected())
            .doing("remove a principal")
    }

    /// All registered principals, by ARN.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn principals(&self) -> Result<Vec<Principal>, StateError> {
        let mut db = self.pool.acquire().await.doing("read principals")?;
        read_principals(&mut db).await
    }

    /// Removes a key; says whether it was there.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn remove_key(&self, id: &str) -> Result<bool, StateError> {
        sqlx::query("DELETE FROM access_keys WHERE id = ?")
            .bind(id)
            .execute(&self.pool)
            .await
            .map(|done| 0 < done.rows_affected())
            .doing("remove an access key")
    }

    /// Switches a key on or off; says whether it was there.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn set_key_active(&self, id: &str, active: bool) -> Result<bool, StateError> {
        sqlx::query("UPDATE access_keys SET active = ? WHERE id = ?")
            .bind(active)
            .bind(id)
            .execute(&self.pool)
            .await
            .map(|done| 0 < done.rows_affected())
            .doing("switch an access key")
    }

    pub(crate) async fn put_principal(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        asked: &Principal,
    ) -> Result<Principal, StateError> {
        let (kind, name, path) = columns(asked);
        let id = match (&asked.kind, asked.id.is_empty()) {
            (_, false) => asked.id.clone(),
            (PrincipalKind::Root, true) => asked.account.clone(),
            (PrincipalKind::User { .. }, true) => new_id(IdKind::User, &*self.ports.random),
            (PrincipalKind::Role { .. }, true) => new_id(IdKind::Role, &*self.ports.random),
        };
        let row = sqlx::query(
            "INSERT INTO principals (arn, account, kind, name, path, id, administrator, created)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (account, kind, name) DO UPDATE SET administrator = excluded.administrator
             RETURNING arn, account, kind, name, path, id, administrator",
        )
        .bind(&asked.arn)
        .bind(&asked.account)
        .bind(kind)
        .bind(name)
        .bind(path)
        .bind(id)
        .bind(asked.administrator)
        .bind(self.ports.clock.now().0)
        .fetch_one(&mut **db)
        .await
        .doing("register a principal")?;
        principal_of(&row)
    }

    pub(crate) async fn put_key(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        owner: &str,
        key: &AccessKey,
    ) -> Result<(), StateError> {
        let seal = |secret: &Secret| {
            self.ports.sealer.seal(&key_context(&key.id), secret.expose().as_bytes())
        };
        let sealed = key.secret.as_ref().map(seal);
        let row = sqlx::query(
            "INSERT INTO access_keys (id, principal, sealed_secret, active, created)
             VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE SET
                 sealed_secret = CASE principal WHEN excluded.principal
                     THEN coalesce(excluded.sealed_secret, sealed_secret)
                     ELSE sealed_secret END,
                 active = CASE principal WHEN excluded.principal
                     THEN excluded.active ELSE active END,
                 source = CASE principal WHEN excluded.principal THEN '' ELSE source END,
                 suspended = CASE principal WHEN excluded.principal THEN 0 ELSE suspended END,
                 removed = CASE principal WHEN excluded.principal THEN NULL ELSE removed END
             RETURNING principal",
        )
        .bind(&key.id)
        .bind(owner)
        .bind(sealed)
        .bind(key.active)
        .bind(self.ports.clock.now().0)
        .fetch_one(&mut **db)
        .await
        .doing("register an access key")?;
        let held: String = row.get(0);
        if held == owner {
            return Ok(());
        }
        Err(StateError::KeyTaken { id: key.id.clone(), owner: held })
    }

    pub(crate) async fn read_people(
        &self,
        db: &mut SqliteConnection,
        directory: &mut Directory,
    ) -> Result<(), StateError> {
        for principal in read_principals(db).await? {
            directory.add_principal(principal);
        }
        let rows = sqlx::query(
            "SELECT id, principal, sealed_secret, active AND NOT suspended AND removed IS NULL,
                 source, removed FROM access_keys",
        )
        .fetch_all(db)
        .await
        .doing("read access keys")?;
        // One text for all keys of a source.
        let mut sources: HashMap<String, Arc<str>> = HashMap::new();
        for row in rows {
            let (id, owner, source): (String, String, String) =
                (row.get(0), row.get(1), row.get(4));
            let key = match row.get::<Option<&[u8]>, _>(2) {
                None => AccessKey::without_secret(&id, &owner),
                Some(sealed) => {
                    let secret = self.open_secret(&key_context(&id), sealed)?;
                    let secret = std::str::from_utf8(&secret).map_err(|_| StateError::Broken {
                        what: format!("the secret of key {id}"),
                    })?;
                    AccessKey::lasting(&id, Secret::new(secret), &owner)
                }
            };
            let source = (!source.is_empty()).then(|| {
                sources.entry(source).or_insert_with_key(|text| Arc::from(&**text)).clone()
            });
            let removed = row.get::<Option<i64>, _>(5).map(Micros);
            directory.add_key(AccessKey { active: row.get(3), source, removed, ..key });
        }
        Ok(())
    }
}

/// What a key's secret is sealed under.
pub(crate) fn key_context(id: &str) -> String {
    format!("key/{id}")
}

/// Kind, name and path as the table has them.
pub(crate) fn columns(principal: &Principal) -> (&'static str, &str, &str) {
    match &principal.kind {
        PrincipalKind::Root => ("root", "", "/"),
        PrincipalKind::User { name, path } => ("user", name, path),
        PrincipalKind::Role { name, path } => ("role", name, path),
    }
}

async fn read_principals(db: &mut SqliteConnection) -> Result<Vec<Principal>, StateError> {
    let rows = sqlx::query(
        "SELECT arn, account, kind, name, path, id, administrator FROM principals ORDER BY arn",
    )
    .fetch_all(db)
    .await
    .doing("read principals")?;
    rows.iter().map(principal_of).collect()
}

fn principal_of(row: &sqlx::sqlite::SqliteRow) -> Result<Principal, StateError> {
    let (arn, kind, name, path): (String, String, String, String) =
        (row.get("arn"), row.get("kind"), row.get("name"), row.get("path"));
    let kind = match &*kind {
        "root" => PrincipalKind::Root,
        "user" => PrincipalKind::User { name, path },
        "role" => PrincipalKind::Role { name, path },
        _ => return Err(StateError::Broken { what: format!("principal {arn}") }),
    };
    Ok(Principal {
        kind,
        account: row.get("account"),
        id: row.get("id"),
        arn,
        administrator: row.get("administrator"),
    })
}
