//! Single values, and the administrator's key among them.

use crate::State;
use crate::error::{Doing as _, StateError};
use sqlx::{Row as _, Sqlite, Transaction};
use trailbox_identity::ids::{IdKind, new_id, new_secret};
use trailbox_identity::{AccessKey, AccountId, Principal, Secret};
use zeroize::Zeroizing;

/// Where the administrator's key is kept for the command line.
const ADMINISTRATOR_KEY: &str = "administrator-key";
/// Name of the user the first start makes.
const ADMINISTRATOR: &str = "administrator";

/// The key of the data directory's administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdministratorKey {
    /// The access key id.
    pub id: String,
    /// The secret.
    pub secret: Secret,
}

impl State {
    /// A value that is no secret.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn meta(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        sqlx::query("SELECT value FROM meta WHERE name = ?")
            .bind(name)
            .fetch_optional(&self.pool)
            .await
            .map(|row| row.map(|row| row.get(0)))
            .doing("read a value")
    }

    /// Keeps a value that is no secret.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn put_meta(&self, name: &str, value: &[u8]) -> Result<(), StateError> {
        let mut db = self.change("keep a value").await?;
        put(&mut db, name, value).await?;
        db.commit().await.doing("keep a value")
    }

    /// A secret value, opened.
    ///
    /// # Errors
    ///
    /// When the database fails or the value does not open.
    pub async fn secret(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, StateError> {
        let Some(sealed) = self.meta(name).await? else { return Ok(None) };
        Ok(Some(self.open_secret(&context(name), &sealed)?))
    }

    /// Keeps a secret value, sealed.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn put_secret(&self, name: &str, value: &[u8]) -> Result<(), StateError> {
        self.put_meta(name, &self.ports.sealer.seal(&context(name), value)).await
    }

    /// Makes the administrator of `account` with a key, unless that was done before.
    ///
    /// The new key is returned once, to be shown; the sealed copy stays for the
    /// command line ([`State::administrator_key`]). Both are kept in one
    /// transaction, so a crash in between leaves all or nothing.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn ensure_administrator(
        &self,
        account: &AccountId,
    ) -> Result<Option<AdministratorKey>, StateError> {
        let doing = "make the administrator";
        let mut db = self.change(doing).await?;
        let made = sqlx::query("SELECT 1 FROM meta WHERE name = ?")
            .bind(ADMINISTRATOR_KEY)
            .fetch_optional(&mut *db)
            .await
            .doing(doing)?;
        if made.is_some() {
            return Ok(None);
        }
        let random = &*self.ports.random;
        let user = Principal::user(account.as_str(), "/", ADMINISTRATOR, "").as_administrator();
        let user = self.put_principal(&mut db, &user).await?;
        let key =
            AdministratorKey { id: new_id(IdKind::LastingKey, random), secret: new_secret(random) };
        let access = AccessKey::lasting(&key.id, key.secret.clone(), &user.arn);
        self.put_key(&mut db, &user.arn, &access).await?;
        let plain = Zeroizing::new(format!("{}\n{}", key.id, key.secret.expose()));
        let sealed = self.ports.sealer.seal(&context(ADMINISTRATOR_KEY), plain.as_bytes());
        put(&mut db, ADMINISTRATOR_KEY, &sealed).await?;
        db.commit().await.doing(doing)?;
        Ok(Some(key))
    }

    /// The administrator's key; `None` before the first start.
    ///
    /// It is the one that was made first: whoever removed it from the
    /// principals finds it refused.
    ///
    /// # Errors
    ///
    /// When the database fails or the value does not open.
    pub async fn administrator_key(&self) -> Result<Option<AdministratorKey>, StateError> {
        let Some(plain) = self.secret(ADMINISTRATOR_KEY).await? else { return Ok(None) };
        let broken = || StateError::Broken { what: "the administrator's key".to_owned() };
        let text = std::str::from_utf8(&plain).map_err(|_| broken())?;
        let (id, secret) = text.split_once('\n').ok_or_else(broken)?;
        Ok(Some(AdministratorKey { id: id.to_owned(), secret: Secret::new(secret) }))
    }
}

async fn put(db: &mut Transaction<'_, Sqlite>, name: &str, value: &[u8]) -> Result<(), StateError> {
    sqlx::query(
        "INSERT INTO meta (name, value) VALUES (?, ?)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .bind(name)
    .bind(value)
    .execute(&mut **db)
    .await
    .map(drop)
    .doing("keep a value")
}

fn context(name: &str) -> String {
    format!("meta/{name}")
}
