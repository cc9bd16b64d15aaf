//! The schedulers that share the database: their leases, what the dead have left, and what is to be cancelled.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::SqlStore;
use super::batch::{Batch, Cell};
use super::database::{Database, Row, Step};
use super::dialect::Dialect;
use super::finishes::close_completed;
use super::rows::{self, RUN, RUN_COLUMNS, TASK, TaskRow};
use super::tasks::{IDS, batch_of, limit_of};
use crate::stores::leases::REMEMBERED;
use crate::stores::{Beat, LapsedRun, NextDue, NodeRecord, Renewal, StoreError};
use crate::task::{Handlers, NodeId, RunId, TaskRecord};

/// A run that a lapsed scheduler had: the run, the task's row, and the lease.
type Lapsed = (crate::task::RunRecord, TaskRow, DateTime<Utc>);

impl SqlStore {
    pub(super) async fn try_renew(&self, database: &Database, beat: &Beat) -> Result<Renewal, StoreError> {
        let mut step = database.begin().await?;
        // One time for all that follows.
        let own = self.time_in(&mut step).await?;
        let now = own.unwrap_or(beat.now);
        let had_lapsed = self.beat(&mut step, beat, now).await?;
        close_completed(&mut step, &beat.node.id.to_string(), rows::micros(now)).await?;
        let lapsed = lapsed(&mut step, beat, now).await?;
        close_orphans(&mut step, beat, now).await?;
        let next_lapse = next_lapse(&mut step, beat, now).await?;
        forget(&mut step, beat, now).await?;
        let nodes = nodes(&mut step).await?;
        step.commit().await?;
        let lapsed = self.with_tasks(database, lapsed).await?;
        Ok(Renewal { now: own, had_lapsed, lapsed, next_lapse, nodes })
    }

    /// Notes that a scheduler lives; answers whether its lease had lapsed, or there was none.
    async fn beat(&self, step: &mut Step<'_>, beat: &Beat, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let node = beat.node.id.to_string();
        let held = "SELECT n.leased_until FROM {nodes} AS n WHERE n.id = :node {lock}";
        let held = step.fetch(held, &[("node", node.as_str().into())]).await?;
        let held = held.first().map(|row| row.number(0)).transpose()?;
        let record = beat.record(now);
        let text = serde_json::to_string(&record)
            .map_err(|error| StoreError::new("a scheduler can't be written as JSON").with_source(error))?;
        let values = [
            ("node", node.as_str().into()),
            ("record", text.into()),
            ("renewed", rows::micros(record.renewed_at).into()),
            ("until", until(&record).into()),
        ];
        let insert = "INSERT INTO {nodes} (id, record, renewed_at, leased_until) VALUES (:node, :record, :renewed, :until)";
        let update = match step.dialect() {
            Dialect::MySql => {
                "ON DUPLICATE KEY UPDATE record = VALUES(record), renewed_at = VALUES(renewed_at), \
                 leased_until = VALUES(leased_until)"
            }
            _ => {
                "ON CONFLICT (id) DO UPDATE SET record = excluded.record, renewed_at = excluded.renewed_at, \
                 leased_until = excluded.leased_until"
            }
        };
        step.run(&format!("{insert} {update}"), &values).await?;
        Ok(held.is_none_or(|until| until <= rows::micros(now)))
    }

    async fn with_tasks(
        &self,
        database: &Database,
        lapsed: Vec<Lapsed>,
    ) -> Result<Vec<LapsedRun>, StoreError> {
        let tasks = lapsed.iter().map(|(_, task, _)| task.clone()).collect();
        let found = self.records(database, tasks).await?;
        // One that changed in between, so that the run may be somebody else's already, or can't be read, is left for the next
        // time.
        let task = |row: &TaskRow| {
            let is_it = |task: &&TaskRecord| {
                rows::key(task.key) == row.key && task.schedule.version == row.schedule.version
            };
            found.tasks.iter().find(is_it).cloned()
        };
        let with_task =
            |(run, row, leased_until): Lapsed| Some(LapsedRun { task: task(&row)?, run, leased_until });
        Ok(lapsed.into_iter().filter_map(with_task).collect())
    }

    pub(super) async fn try_next_due(
        &self,
        database: &Database,
        by: NodeId,
        handlers: &Handlers,
    ) -> Result<NextDue, sqlx::Error> {
        let readable = self.readable();
        let sql = format!("{NEXT_DUE}{readable}{FIRST_DUE} UNION ALL {CANCELLED}");
        let values = [("node", by.to_string().into()), ("now", Cell::Int(0))];
        let mut next = NextDue::default();
        for row in database.read_batch(&sql, &values, Some(&batch_of(handlers))).await? {
            match row.text(1)? {
                Some(run) => next.cancelled.push(rows::run_id(&run)?),
                None => {
                    next.at = row.int(0)?.map(rows::due).transpose()?;
                    next.now =
                        row.int(2)?.filter(|_| database.writer.has_clock()).map(rows::instant).transpose()?;
                }
            }
        }
        next.cancelled.sort_unstable();
        Ok(next)
    }

    pub(super) async fn try_cancel(&self, database: &Database, run: RunId) -> Result<bool, StoreError> {
        let mut step = database.begin().await?;
        let values = [("run", run.to_string().into())];
        let open = "SELECT r.id FROM {runs} AS r WHERE r.id = :run AND r.place IS NOT NULL AND r.status IN ('claimed', 'running') {lock}";
        let is_open = !step.fetch(open, &values).await?.is_empty();
        if is_open {
            let note = match step.dialect() {
                Dialect::MySql => "INSERT IGNORE INTO {cancels} (run_id) VALUES (:run)",
                _ => "INSERT INTO {cancels} (run_id) VALUES (:run) ON CONFLICT (run_id) DO NOTHING",
            };
            step.run(note, &values).await?;
        }
        self.tell(&mut step).await?;
        step.commit().await?;
        Ok(is_open)
    }
}

/// When the first task is due, of those that more is said of.
pub(super) const NEXT_DUE: &str =
    "SELECT (SELECT due_at FROM {tasks} AS t {by_due} WHERE due_at IS NOT NULL AND {runnable}";
/// What ends it: one row, whatever there is.
pub(super) const FIRST_DUE: &str = " ORDER BY due_at, task_key LIMIT 1), NULL, {now}";
/// The runs of a scheduler that are to be cancelled.
pub(super) const CANCELLED: &str = "SELECT NULL, c.run_id, NULL FROM {cancels} AS c JOIN {runs} AS r ON r.id = c.run_id \
     WHERE r.node = :node AND r.place IS NOT NULL AND r.status IN ('claimed', 'running')";
/// Runs of other schedulers that go on.
const OPEN: &str = "FROM {runs} AS r {by_place} JOIN {nodes} AS n ON n.id = r.node \
     WHERE r.place > 0 AND r.status IN ('claimed', 'running') AND n.id <> :node";

fn until(record: &NodeRecord) -> i64 {
    rows::micros(record.leased_until)
}

pub(super) fn lapsed_runs() -> String {
    format!(
        "SELECT {RUN}, {TASK}, n.leased_until FROM {{runs}} AS r {{by_place}} JOIN {{nodes}} AS n ON n.id = r.node \
         JOIN {{tasks}} AS t ON t.task_key = r.place \
         WHERE r.place > 0 AND r.status IN ('claimed', 'running') AND n.id <> :node AND n.leased_until <= :told AND {{runnable}} \
         ORDER BY r.seq LIMIT :limit"
    )
}

/// The runs of others whose leases have lapsed.
async fn lapsed(step: &mut Step<'_>, beat: &Beat, now: DateTime<Utc>) -> Result<Vec<Lapsed>, sqlx::Error> {
    let values = [
        ("node", beat.node.id.to_string().into()),
        ("told", rows::micros(now).into()),
        ("limit", limit_of(beat.limit)),
    ];
    let seal = step.seal;
    let read = |row: &Row| -> Result<Lapsed, sqlx::Error> {
        let leased_until = rows::instant(row.number(RUN_COLUMNS + rows::TASK_COLUMNS)?)?;
        Ok((rows::read_run(row, 0, seal)?, TaskRow::read(row, RUN_COLUMNS)?, leased_until))
    };
    step.fetch_batch(&lapsed_runs(), &values, batch_of(&beat.handlers)).await?.iter().map(read).collect()
}

/// Closes the runs of deleted tasks whose schedulers have lapsed.
async fn close_orphans(step: &mut Step<'_>, beat: &Beat, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let sql = "UPDATE {runs} SET status = 'lost', node = :node, finished_at = :told, error = :reason, place = NULL \
               WHERE place = 0 AND status IN ('claimed', 'running') AND node IN (SELECT n.id FROM {nodes} AS n WHERE n.leased_until <= :told)";
    let values = [
        ("node", beat.node.id.to_string().into()),
        ("told", rows::micros(now).into()),
        ("reason", "its task was deleted, and its scheduler is gone".into()),
    ];
    step.run(sql, &values).await?;
    // What has ended is not to be cancelled any more.
    let cancels =
        "DELETE FROM {cancels} WHERE run_id NOT IN (SELECT r.id FROM {runs} AS r WHERE r.place IS NOT NULL)";
    step.run(cancels, &[]).await.map(drop)
}

/// When the first lease of these others lapses that is held.
async fn next_lapse(
    step: &mut Step<'_>,
    beat: &Beat,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
    let values = [("node", beat.node.id.to_string().into()), ("told", rows::micros(now).into())];
    let sql = format!("SELECT MIN(n.leased_until) {OPEN} AND n.leased_until > :told");
    let rows = step.fetch(&sql, &values).await?;
    rows.first().map(|row| row.int(0)).transpose()?.flatten().map(rows::instant).transpose()
}

/// Forgets those who have left, or have lapsed long ago, and have no runs.
async fn forget(step: &mut Step<'_>, beat: &Beat, now: DateTime<Utc>) -> Result<(), sqlx::Error> {
    let values =
        [("node", beat.node.id.to_string().into()), ("long_ago", rows::micros(now - REMEMBERED).into())];
    let sql = "SELECT n.id FROM {nodes} AS n WHERE n.id <> :node AND (n.leased_until <= n.renewed_at OR n.leased_until <= :long_ago)";
    let idle: Vec<String> =
        step.fetch(sql, &values).await?.iter().map(|row| row.string(0)).collect::<Result<_, _>>()?;
    if idle.is_empty() {
        return Ok(());
    }
    let busy = step.fetch(&format!("SELECT DISTINCT n.id {OPEN}"), &values).await?;
    let busy: HashSet<String> = busy.iter().map(|row| row.string(0)).collect::<Result<_, _>>()?;
    let gone: Vec<_> = idle.iter().filter(|node| !busy.contains(*node)).map(|node| &**node).collect();
    let sql = "DELETE FROM {nodes} WHERE id IN (SELECT b_id FROM {batch} AS b)";
    step.run_batch(sql, &[], Batch::of(IDS, gone)).await.map(drop)
}

/// All schedulers that are known.
async fn nodes(step: &mut Step<'_>) -> Result<Vec<NodeRecord>, sqlx::Error> {
    let rows = step.fetch("SELECT n.record FROM {nodes} AS n ORDER BY n.id", &[]).await?;
    let record = |row: &Row| serde_json::from_str(&row.string(0)?).map_err(rows::read_error);
    rows.iter().map(record).collect()
}
