//! What passing answers showed, copied from the journal.

use crate::State;
use crate::error::{Doing as _, StateError};
use sqlx::{Row as _, Sqlite, SqliteConnection, Transaction};
use trailbox_clock::Micros;
use trailbox_identity::{Directory, Fact, LEARNED_KEYS_MAX, Learned};
use zeroize::Zeroizing;

impl State {
    /// Takes in facts with their journal sequence, all of them or none.
    ///
    /// Reading the journal again from an earlier position ends in the same state.
    /// With `reached`, a reader and its position, the position moves in the same transaction.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn put_learned(
        &self,
        facts: &[(u64, Learned)],
        reached: Option<(&str, &str)>,
    ) -> Result<(), StateError> {
        let doing = "keep what was learned";
        let mut db = self.change(doing).await?;
        for (sequence, learned) in facts {
            self.put_fact(&mut db, sequence.cast_signed(), learned).await?;
        }
        if let Some((reader, position)) = reached {
            self.put_position(&mut db, reader, position).await?;
        }
        db.commit().await.doing(doing)
    }

    async fn put_fact(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        sequence: i64,
        learned: &Learned,
    ) -> Result<(), StateError> {
        let query = match &learned.fact {
            Fact::Session(key) => {
                return self
                    .put_sealed(db, &key_subject(&key.id), sequence, key.expires, learned)
                    .await;
            }
            Fact::Key { id, .. } => {
                return self.put_sealed(db, &key_subject(id), sequence, None, learned).await;
            }
            Fact::Principal(principal) => {
                let subject = format!("principal/{}", principal.arn);
                return self.put_sealed(db, &subject, sequence, None, learned).await;
            }
            Fact::KeyStatus { id, active } => sqlx::query(
                "UPDATE learned SET active = ?, sequence = ? WHERE subject = ? AND sequence <= ?",
            )
            .bind(*active)
            .bind(sequence)
            .bind(key_subject(id))
            .bind(sequence),
            Fact::KeyRemoved { id } => {
                sqlx::query("DELETE FROM learned WHERE subject = ? AND sequence <= ?")
                    .bind(key_subject(id))
                    .bind(sequence)
            }
        };
        query.execute(&mut **db).await.map(drop).doing("keep what was learned")
    }

    async fn put_sealed(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        subject: &str,
        sequence: i64,
        expires: Option<Micros>,
        learned: &Learned,
    ) -> Result<(), StateError> {
        if self.is_another(db, subject, learned).await? {
            return Ok(());
        }
        let plain = Zeroizing::new(learned.to_bytes());
        sqlx::query(
            "INSERT INTO learned (subject, sequence, expires, active, sealed)
             VALUES (?, ?, ?, 1, ?)
             ON CONFLICT (subject) DO UPDATE SET
                 sequence = excluded.sequence, expires = excluded.expires,
                 active = 1, sealed = excluded.sealed
             WHERE learned.sequence < excluded.sequence",
        )
        .bind(subject)
        .bind(sequence)
        .bind(expires.map(|at| at.0))
        .bind(self.ports.sealer.seal(&context(subject), &plain))
        .execute(&mut **db)
        .await
        .map(drop)
        .doing("keep what was learned")
    }

    /// Whether a key of that id lives and stays, as in [`Directory::learn`]: all
    /// but a session with the same secret.
    async fn is_another(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        subject: &str,
        learned: &Learned,
    ) -> Result<bool, StateError> {
        let Some(secret) = learned.fact.secret() else { return Ok(false) };
        let row = sqlx::query(
            "SELECT sealed FROM learned WHERE subject = ? AND (expires IS NULL OR expires > ?)",
        )
        .bind(subject)
        .bind(learned.at.0)
        .fetch_optional(&mut **db)
        .await
        .doing("keep what was learned")?;
        let Some(row) = row else { return Ok(false) };
        let plain = self.open_secret(&context(subject), row.get(0))?;
        let held = Learned::from_bytes(&plain)
            .map_err(|_| StateError::Broken { what: format!("the fact about {subject}") })?;
        let session = |fact: &Fact| matches!(fact, Fact::Session(_));
        let renewed = session(&held.fact) && session(&learned.fact);
        Ok(!renewed || held.fact.secret() != Some(secret))
    }

    /// Forgets learned keys whose time is over at `now`, and the soonest to end
    /// beyond [`LEARNED_KEYS_MAX`], and learned principals beyond as many; says
    /// how many.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn expire(&self, now: Micros) -> Result<u64, StateError> {
        let doing = "forget what is over";
        let mut db = self.change(doing).await?;
        let over = sqlx::query("DELETE FROM learned WHERE expires <= ?")
            .bind(now.0)
            .execute(&mut *db)
            .await
            .doing(doing)?;
        let beyond = sqlx::query(
            "DELETE FROM learned WHERE subject IN (
                 SELECT subject FROM learned WHERE subject LIKE 'key/%'
                 ORDER BY expires IS NULL DESC, expires DESC, subject LIMIT -1 OFFSET ?)",
        )
        .bind(LEARNED_KEYS_MAX.cast_signed() as i64)
        .execute(&mut *db)
        .await
        .doing(doing)?;
        // A directory holds the first so many: the state needs no more.
        let names = sqlx::query(
            "DELETE FROM learned WHERE subject IN (
                 SELECT subject FROM learned WHERE subject LIKE 'principal/%'
                 ORDER BY sequence, subject LIMIT -1 OFFSET ?)",
        )
        .bind(LEARNED_KEYS_MAX.cast_signed() as i64)
        .execute(&mut *db)
        .await
        .doing(doing)?;
        db.commit().await.doing(doing)?;
        Ok(over.rows_affected() + beyond.rows_affected() + names.rows_affected())
    }

    pub(crate) async fn read_learned(
        &self,
        db: &mut SqliteConnection,
        directory: &mut Directory,
    ) -> Result<(), StateError> {
        let rows =
            sqlx::query("SELECT subject, active, sealed FROM learned ORDER BY sequence, subject")
                .fetch_all(db)
                .await
                .doing("read what was learned")?;
        let mut off = Vec::new();
        for row in rows {
            let (subject, active): (String, bool) = (row.get(0), row.get(1));
            let plain = self.open_secret(&context(&subject), row.get(2))?;
            let learned = Learned::from_bytes(&plain)
                .map_err(|_| StateError::Broken { what: format!("the fact about {subject}") })?;
            directory.learn(learned);
            if !active {
                off.push(subject);
            }
        }
        for subject in off {
            let id = subject.strip_prefix("key/").unwrap_or(&subject);
            // A registered key of the same id is the administrator's to switch.
            if directory.key(id).is_some_and(|key| key.origin == trailbox_identity::Origin::Learned)
            {
                directory.set_active(id, false);
            }
        }
        Ok(())
    }
}

fn key_subject(id: &str) -> String {
    format!("key/{id}")
}

fn context(subject: &str) -> String {
    format!("learned/{subject}")
}
