//! Where each reader of the journal stands.

use crate::State;
use crate::error::{Doing as _, StateError};
use sqlx::{Row as _, Sqlite, Transaction};

impl State {
    /// The position `reader` has reached, in the journal's own text form.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn position(&self, reader: &str) -> Result<Option<String>, StateError> {
        sqlx::query("SELECT position FROM positions WHERE reader = ?")
            .bind(reader)
            .fetch_optional(&self.pool)
            .await
            .map(|row| row.map(|row| row.get(0)))
            .doing("read a position")
    }

    /// Says that `reader` has reached `position`; it is read back after a crash.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn advance(&self, reader: &str, position: &str) -> Result<(), StateError> {
        let doing = "move a position";
        let mut db = self.change(doing).await?;
        self.put_position(&mut db, reader, position).await?;
        db.commit().await.doing(doing)
    }

    pub(crate) async fn put_position(
        &self,
        db: &mut Transaction<'_, Sqlite>,
        reader: &str,
        position: &str,
    ) -> Result<(), StateError> {
        sqlx::query(
            "INSERT INTO positions (reader, position, advanced) VALUES (?, ?, ?)
             ON CONFLICT (reader) DO UPDATE SET
                 position = excluded.position, advanced = excluded.advanced",
        )
        .bind(reader)
        .bind(position)
        .bind(self.ports.clock.now().0)
        .execute(&mut **db)
        .await
        .map(drop)
        .doing("move a position")
    }
}
