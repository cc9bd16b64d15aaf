//! The history: read newest first, and pruned in small steps.

use std::sync::PoisonError;

use super::SqlStore;
use super::batch::{Batch, Cell, Columns, Kind};
use super::database::Database;
use super::rows::{self, RUN};
use super::tasks::{KEYS, limit_of};
use crate::stores::{Prune, RunFilter, StoreError};
use crate::task::RunRecord;

const STATUSES: Columns = &[("b_status", Kind::Text)];
/// So many new entries are looked at for tasks that have too many, in one go.
const LOOKED_AT: i64 = 10_000;

impl SqlStore {
    pub(super) async fn try_runs(
        &self,
        database: &Database,
        filter: &RunFilter,
    ) -> Result<Vec<RunRecord>, sqlx::Error> {
        let mut sql = entries();
        let mut values: Vec<(&'static str, Cell<'_>)> = Vec::new();
        if let Some(id) = filter.id {
            sql += " AND r.id = :run";
            values.push(("run", id.to_string().into()));
        }
        if let Some(task) = &filter.task {
            // By the key, so that the index of the task's entries gives them in order.
            let id = [("task", task.as_str().into())];
            let found = database.read("SELECT task_key FROM {tasks} AS t WHERE {is_task}", &id).await?;
            let Some(row) = found.first() else { return Ok(Vec::new()) };
            sql += OF_TASK;
            values.push(("task", row.number(0)?.into()));
        }
        if let Some(node) = filter.open_of {
            sql += " AND r.place IS NOT NULL AND r.status IN ('claimed', 'running') AND r.node = :node";
            values.push(("node", node.to_string().into()));
        }
        let statuses = (!filter.statuses.is_empty())
            .then(|| Batch::of(STATUSES, filter.statuses.iter().map(|status| status.as_str())));
        if statuses.is_some() {
            sql += " AND r.status IN (SELECT b_status FROM {batch} AS b)";
        }
        sql += NEWEST;
        if let Some(limit) = filter.limit {
            sql += " LIMIT :limit";
            values.push(("limit", limit_of(limit)));
        }
        let rows = database.read_batch(&sql, &values, statuses.as_ref()).await?;
        rows.iter().map(|row| rows::read_run(row, 0, &database.seal)).collect()
    }

    pub(super) async fn try_prune(&self, database: &Database, prune: &Prune) -> Result<usize, StoreError> {
        let mut seqs = Vec::new();
        if let Some(before) = prune.before {
            // The oldest stand first. None of the few that go on or wait among them is in the way for long.
            let values = [("before", rows::micros(before).into()), ("limit", limit_of(prune.limit))];
            let found = database.read(OLD, &values).await?;
            seqs.extend(found.iter().map(|row| row.number(0)).collect::<Result<Vec<_>, _>>()?);
        }
        let mut looked_at = None;
        if let (Some(most), true) = (prune.a_task, seqs.len() < prune.limit) {
            let (superfluous, seq) = self.superfluous(database, most, prune.limit - seqs.len()).await?;
            seqs.extend(superfluous);
            looked_at = seq;
        }
        seqs.sort_unstable();
        seqs.dedup();
        let count = seqs.len();
        let mut step = database.begin().await?;
        let sql = "DELETE FROM {runs} WHERE place IS NULL AND seq IN (SELECT b_key FROM {batch} AS b)";
        step.run_batch(sql, &[], Batch::of(KEYS, seqs)).await?;
        let ids = step.fetch(GONE, &[("limit", limit_of(prune.limit))]).await?;
        let ids = ids.iter().map(|row| row.number(0)).collect::<Result<Vec<_>, _>>()?;
        let sql = "DELETE FROM {tasks} WHERE deleted = 1 AND task_key IN (SELECT b_key FROM {batch} AS b)";
        step.run_batch(sql, &[], Batch::of(KEYS, ids)).await?;
        step.commit().await?;
        if let Some(seq) = looked_at {
            *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = seq;
        }
        Ok(count)
    }

    /// Entries of tasks that have too many, among the tasks that have got new ones since this was asked last; and up to which
    /// entry that is, where all of them were found.
    async fn superfluous(
        &self,
        database: &Database,
        most: usize,
        limit: usize,
    ) -> Result<(Vec<i64>, Option<i64>), sqlx::Error> {
        let from = *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let values = [("from", Cell::Int(from)), ("limit", Cell::Int(LOOKED_AT))];
        let mut to = from;
        let mut tasks = Vec::new();
        for row in database.read(NEW, &values).await? {
            tasks.push(row.number(0)?);
            to = to.max(row.number(1)?);
        }
        let values = [("most", limit_of(most))];
        let mut found = Vec::new();
        for part in Batch::of(KEYS, tasks).parts(database.writer.dialect.most_rows()) {
            if part.is_empty() {
                continue;
            }
            for row in database.read_batch(FIRST_TOO_MANY, &values, Some(&part)).await? {
                let Some(last) = row.int(1)? else { continue };
                let values = [
                    ("task", row.number(0)?.into()),
                    ("last", last.into()),
                    ("limit", limit_of(limit - found.len())),
                ];
                let rows = database.read(TOO_MANY, &values).await?;
                found.extend(rows.iter().map(|row| row.number(0)).collect::<Result<Vec<_>, _>>()?);
                if found.len() >= limit {
                    return Ok((found, None));
                }
            }
        }
        Ok((found, Some(to)))
    }
}

/// Entries of the history, of which more is said.
pub(super) fn entries() -> String {
    format!("SELECT {RUN} FROM {{runs}} AS r JOIN {{tasks}} AS t ON t.task_key = r.task_key WHERE true")
}

/// Those of a task.
pub(super) const OF_TASK: &str = " AND r.task_key = :task";
/// The newest first.
pub(super) const NEWEST: &str = " ORDER BY r.seq DESC";

/// The oldest entries that have ended.
pub(super) const OLD: &str = "SELECT o.seq FROM (SELECT r.seq, r.decided_at FROM {runs} AS r WHERE r.place IS NULL \
     ORDER BY r.seq LIMIT :limit) AS o WHERE o.decided_at < :before";
/// Tasks that have new entries.
pub(super) const NEW: &str = "SELECT n.task_key, MAX(n.seq) FROM (SELECT r.task_key, r.seq FROM {runs} AS r \
     WHERE r.seq > :from ORDER BY r.seq LIMIT :limit) AS n GROUP BY n.task_key";
/// For each task the newest entry that is too many.
pub(super) const FIRST_TOO_MANY: &str = "SELECT b_key, (SELECT r.seq FROM {runs} AS r WHERE r.task_key = b_key \
     ORDER BY r.seq DESC LIMIT 1 OFFSET :most) FROM {batch} AS b";
/// The entries of a task up to one.
pub(super) const TOO_MANY: &str = "SELECT r.seq FROM {runs} AS r WHERE r.task_key = :task AND r.seq <= :last \
     AND r.place IS NULL ORDER BY r.seq LIMIT :limit";
/// Deleted tasks without history.
pub(super) const GONE: &str = "SELECT t.task_key FROM {tasks} AS t WHERE t.deleted = 1 \
     AND NOT EXISTS (SELECT 1 FROM {runs} AS r WHERE r.task_key = t.task_key) LIMIT :limit";
