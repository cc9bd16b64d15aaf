//! The tables, and how they come to be as this version needs them.

use std::fmt::Write;

use super::batch::Cell;
use super::database::{Database, Pool, Step};
use super::dialect::{Dialect, Writer};
use super::settings::Settings;
use crate::stores::StoreError;
use crate::task::Digest;

/// What changes the tables from one version to the next: for SQLite, PostgreSQL and MySQL.
///
/// A program works with tables that are one version newer than it knows, so that programs can be replaced one by one: a
/// migration adds, and only the one after it takes away what nobody uses any more.
const MIGRATIONS: [[&str; 3]; 2] = [
    [
        include_str!("migrations/0001_sqlite.sql"),
        include_str!("migrations/0001_postgres.sql"),
        include_str!("migrations/0001_mysql.sql"),
    ],
    [
        include_str!("migrations/0002_sqlite.sql"),
        include_str!("migrations/0002_postgres.sql"),
        include_str!("migrations/0002_mysql.sql"),
    ],
];

/// The version of the tables that this program knows.
const KNOWN: i64 = MIGRATIONS.len() as i64;

const TABLES: [&str; 6] = ["tasks", "runs", "nodes", "cancels", "handlers", "marks"];

impl Writer {
    /// What makes the tables as they are in a version from those of the one before it.
    fn migration(&self, version: i64) -> String {
        let texts = MIGRATIONS[usize::try_from(version - 1).expect("versions begin with 1")];
        let text = match self.dialect {
            Dialect::Sqlite => texts[0],
            Dialect::Postgres => texts[1],
            Dialect::MySql => texts[2],
        };
        let text = text.replace("{prefix}", &self.names.prefix);
        TABLES.iter().fold(text, |text, name| text.replace(&format!("{{{name}}}"), &self.names.table(name)))
    }

    /// The table that tells the version of the others.
    fn version_table(&self) -> String {
        let table = self.names.table("schema_version");
        match &self.names.schema {
            Some(schema) => format!(
                "CREATE SCHEMA IF NOT EXISTS {schema};\nCREATE TABLE IF NOT EXISTS {table} (version BIGINT PRIMARY KEY);\n"
            ),
            None => format!("CREATE TABLE IF NOT EXISTS {table} (version BIGINT PRIMARY KEY);\n"),
        }
    }

    fn note_version(&self, version: i64) -> String {
        format!("INSERT INTO {} (version) VALUES ({version});\n", self.names.table("schema_version"))
    }

    /// All that makes the tables, for a database whose owner does it by hand.
    pub(super) fn all_migrations(&self) -> String {
        let mut all = self.version_table();
        for version in 1..=KNOWN {
            write!(all, "\n-- Version {version}\n{}{}", self.migration(version), self.note_version(version))
                .expect("a string takes all that is written");
        }
        all
    }

    /// Names what is locked while the tables are changed.
    fn lock(&self) -> u64 {
        Digest::of(self.names.table("schema_version").as_bytes())
    }
}

/// Brings the tables to the version that this program knows. Any number of programs may do so at once: one does it, and the
/// others wait for it.
pub(super) async fn migrate(database: &Database, settings: &Settings) -> Result<(), StoreError> {
    let count = "SELECT COUNT(*), MAX(version) FROM {schema_version}";
    // Who may not change tables, as somebody else does that, is not to be refused for trying.
    let found = match database.read(count, &[]).await {
        Ok(rows) => rows.first().map(|row| row.int(1)).transpose()?.flatten(),
        Err(sqlx::Error::Database(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if found.is_none_or(|found| found < KNOWN) {
        return change(database, settings).await;
    }
    check(found)
}

/// Refuses tables that are newer than this program can work with.
fn check(found: Option<i64>) -> Result<(), StoreError> {
    match found {
        Some(found) if found > KNOWN + 1 => Err(StoreError::new(format!(
            "the tables have version {found}, and this program knows up to {KNOWN} and works with {}: update the program",
            KNOWN + 1
        ))),
        _ => Ok(()),
    }
}

async fn change(database: &Database, settings: &Settings) -> Result<(), StoreError> {
    let writer = &database.writer;
    if writer.dialect != Dialect::MySql {
        let mut step = database.begin().await?;
        if writer.dialect == Dialect::Postgres {
            // Until the transaction ends.
            let lock = [("lock", Cell::Int(writer.lock().cast_signed()))];
            step.run("SELECT pg_advisory_xact_lock(:lock)", &lock).await?;
        }
        apply(&mut step).await?;
        return Ok(step.commit().await?);
    }
    // MySQL commits after each change of a table, so that the lock is the connection's: it is one that goes with the lock.
    let pool = Pool::new(writer.dialect, &settings.url, 1)?;
    let own = Database { writer: writer.clone(), pool, seal: database.seal.clone() };
    let done = change_locked(&own).await;
    own.pool.close().await;
    done
}

async fn change_locked(database: &Database) -> Result<(), StoreError> {
    let mut step = database.begin().await?;
    let name = format!("asyncz_{:016x}", database.writer.lock());
    let locked = step.fetch("SELECT GET_LOCK(:lock, 60)", &[("lock", name.into())]).await?;
    if locked.first().map(|row| row.int(0)).transpose()?.flatten() != Some(1) {
        return Err(StoreError::new("another program has been changing the tables for more than a minute"));
    }
    apply(&mut step).await?;
    Ok(step.commit().await?)
}

/// Applies the migrations that are not applied yet.
async fn apply(step: &mut Step<'_>) -> Result<(), StoreError> {
    let writer = step.writer;
    step.run_script(&writer.version_table()).await?;
    let found = step.fetch("SELECT MAX(version) FROM {schema_version}", &[]).await?;
    let found = found.first().map(|row| row.int(0)).transpose()?.flatten();
    check(found)?;
    for version in found.unwrap_or_default() + 1..=KNOWN {
        step.run_script(&writer.migration(version)).await?;
        step.run_script(&writer.note_version(version)).await?;
    }
    Ok(())
}
