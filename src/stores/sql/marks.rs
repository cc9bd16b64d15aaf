//! Marks: small texts about the store as a whole. The only one tells which key it is encrypted with.

use super::database::Database;
use super::dialect::Dialect;
use crate::stores::StoreError;

/// Refuses to work with what is encrypted with another key, and notes which key is used from now on.
pub(super) async fn check_key(database: &Database) -> Result<(), StoreError> {
    loop {
        let rows = database.read("SELECT mark FROM {marks} AS m WHERE m.name = 'key'", &[]).await?;
        let known = rows.first().map(|row| row.string(0)).transpose()?;
        let Some(mark) = database.seal.check(known.as_deref())? else { return Ok(()) };
        let mut step = database.begin().await?;
        let note = match (&known, step.dialect()) {
            (Some(_), _) => "UPDATE {marks} SET mark = :mark WHERE name = 'key' AND mark = :known",
            (None, Dialect::MySql) => "INSERT IGNORE INTO {marks} (name, mark) VALUES ('key', :mark)",
            (None, _) => {
                "INSERT INTO {marks} (name, mark) VALUES ('key', :mark) ON CONFLICT (name) DO NOTHING"
            }
        };
        let known = known.unwrap_or_default();
        step.run(note, &[("mark", mark.into()), ("known", known.into())]).await?;
        step.commit().await?;
    }
}
