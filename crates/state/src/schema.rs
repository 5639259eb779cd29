//! The shape of the database, and how older ones become it.
//!
//! Migrations run forward only, each in the transaction that also writes its
//! number; a committed file is never edited. A file of a later version is
//! refused untouched.

use crate::error::{Doing, StateError};
use sqlx::{Row as _, SqliteConnection};
use trailbox_clock::Micros;

/// Migrations in order; the place in the list, from 1, is the version.
pub(crate) const MIGRATIONS: [&str; 2] =
    [include_str!("../migrations/0001_begin.sql"), include_str!("../migrations/0002_sources.sql")];

/// The version this program writes.
pub const VERSION: i64 = MIGRATIONS.len().cast_signed() as i64;

/// Brings the database to [`VERSION`].
pub(crate) async fn migrate(db: &mut SqliteConnection, now: Micros) -> Result<(), StateError> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *db).await.doing("lock the state")?;
    let done = migrate_locked(db, now).await;
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = sqlx::query(end).execute(&mut *db).await.doing("finish a migration");
    done.and(ended.map(drop))
}

async fn migrate_locked(db: &mut SqliteConnection, now: Micros) -> Result<(), StateError> {
    let found = version(db).await?;
    if VERSION < found {
        return Err(StateError::Newer { found, known: VERSION });
    }
    if found == 0 {
        sqlx::query("CREATE TABLE schema_version (version INTEGER NOT NULL, applied INTEGER NOT NULL) STRICT")
            .execute(&mut *db)
            .await
            .doing("begin the state")?;
    }
    for (version, migration) in (1..).zip(MIGRATIONS) {
        if version <= found {
            continue;
        }
        sqlx::raw_sql(migration).execute(&mut *db).await.doing("migrate the state")?;
        sqlx::query("INSERT INTO schema_version (version, applied) VALUES (?, ?)")
            .bind(version)
            .bind(now.0)
            .execute(&mut *db)
            .await
            .doing("migrate the state")?;
    }
    Ok(())
}

/// The version of the file; 0 for an empty one.
async fn version(db: &mut SqliteConnection) -> Result<i64, StateError> {
    let doing = "read the version of the state";
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_version'";
    let row = sqlx::query(tables).fetch_one(&mut *db).await.doing(doing)?;
    if row.get::<i64, _>(0) == 0 {
        return Ok(0);
    }
    let newest = "SELECT coalesce(max(version), 0) FROM schema_version";
    let row = sqlx::query(newest).fetch_one(&mut *db).await.doing(doing)?;
    Ok(row.get(0))
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    #[test]
    fn every_migration_file_is_in_the_list() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        let texts: Vec<_> =
            files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
        assert_eq!(texts, MIGRATIONS);
        for (version, file) in (1..).zip(&files) {
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(name.starts_with(&format!("{version:04}_")), "{name}");
        }
    }
}
