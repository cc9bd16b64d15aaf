//! Tasks: changed by their owners, and found.

use std::collections::{HashMap, HashSet};

use super::SqlStore;
use super::batch::{Batch, Cell, Columns, Kind};
use super::database::{Database, Row, Step};
use super::dialect::Dialect;
use super::rows::{self, TASK, TASK_COLUMNS, TaskRow};
use crate::stores::crypt::Seal;
use crate::stores::edit_groups::{Kin, groups, kin};
use crate::stores::{Edit, EditOutcome, Found, Query, StoreError, Unreadable, envelope};
use crate::task::{Handlers, RunId, TaskId, TaskRecord};

/// A task as its owner writes it.
const WRITTEN: Columns = &[
    ("b_id", Kind::Text),
    ("b_handler", Kind::Text),
    ("b_envelope", Kind::Text),
    ("b_edited", Kind::Int),
    ("b_was", Kind::Int),
    ("b_version", Kind::Int),
    ("b_generation", Kind::Int),
    ("b_running", Kind::Int),
    ("b_next", Kind::Int),
    ("b_watermark", Kind::Int),
    ("b_paused", Kind::Int),
    ("b_ended", Kind::Int),
    ("b_waiting", Kind::Text),
    ("b_max", Kind::Int),
    ("b_due", Kind::Int),
];
const INTO: &str = "handler, envelope, edited, version, generation, running, next_run_time, watermark, paused, ended, \
     waiting, max_instances, due_at";
const FROM: &str = "b_handler, b_envelope, b_edited, b_version, b_generation, b_running, b_next, b_watermark, b_paused, \
     b_ended, b_waiting, b_max, b_due";
pub(super) const IDS: Columns = &[("b_id", Kind::Text)];
pub(super) const KEYS: Columns = &[("b_key", Kind::Int)];
pub(super) const HANDLERS: Columns = &[("b_handler", Kind::Text)];

/// A record to be written, and the number of its edit.
type Written<'a> = (&'a TaskRecord, i64);

impl SqlStore {
    pub(super) async fn try_put(
        &self,
        database: &Database,
        edits: &[Edit],
    ) -> Result<Vec<EditOutcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(edits.len());
        // Unlike every other number of an edit, whoever makes it.
        let mut edited = (RunId::boot() >> 1).cast_signed();
        let mut kept = Vec::new();
        let mut step = database.begin().await?;
        for group in groups(edits) {
            let records = group.iter().filter_map(|edit| match edit {
                Edit::Insert(task) | Edit::Replace(task) => Some(task),
                Edit::Delete(_) => None,
            });
            let written: Vec<Written<'_>> = records
                .map(|task| {
                    edited = edited.wrapping_add(1);
                    (task, edited)
                })
                .collect();
            let done = match kin(&group[0]).0 {
                Kin::Insert => insert(&mut step, &written).await?,
                Kin::Replace => replace(&mut step, &written).await?,
                Kin::Delete => delete(&mut step, group).await?,
            };
            let missed = match kin(&group[0]).0 {
                Kin::Replace => there(&mut step, group, &done).await?,
                Kin::Insert | Kin::Delete => HashSet::new(),
            };
            for edit in group {
                let (kind, id) = kin(edit);
                outcomes.push(match kind {
                    _ if done.contains_key(id.as_str()) => EditOutcome::Done,
                    Kin::Insert => EditOutcome::Conflict,
                    Kin::Replace if missed.contains(id.as_str()) => EditOutcome::Conflict,
                    Kin::Replace | Kin::Delete => EditOutcome::NotFound,
                });
            }
            kept.extend(written.iter().filter_map(|(task, edited)| {
                Some((*done.get(task.id().as_str())?, *edited, task.definition.clone()))
            }));
        }
        self.tell(&mut step).await?;
        step.commit().await?;
        for (key, edited, definition) in kept {
            self.definitions.keep(key, edited, definition);
        }
        Ok(outcomes)
    }

    pub(super) async fn try_load(
        &self,
        database: &Database,
        ids: &[TaskId],
    ) -> Result<Vec<Option<TaskRecord>>, sqlx::Error> {
        let mut found = HashMap::new();
        for part in
            Batch::of(IDS, ids.iter().map(|id| id.as_str())).parts(database.writer.dialect.most_rows())
        {
            let sql = format!(
                "SELECT {TASK} FROM {{batch}} AS b JOIN {{tasks}} AS t ON {{by_id}} WHERE t.deleted = 0"
            );
            let rows = database.read_batch(&sql, &[], Some(&part)).await?;
            let records = self.records(database, read_tasks(&rows)?).await?;
            found.extend(records.tasks.into_iter().map(|task| (task.id().clone(), task)));
        }
        // The same id may be asked for twice.
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    pub(super) async fn try_query(&self, database: &Database, query: &Query) -> Result<Found, sqlx::Error> {
        let readable = self.readable();
        let rows = match query {
            Query::Due { now, limit, handlers } => {
                let sql = format!("{DUE_TASKS}{readable} ORDER BY due_at, task_key LIMIT :limit")
                    .replace("{task}", TASK);
                let values = [("now", rows::micros(*now).into()), ("limit", limit_of(*limit))];
                database.read_batch(&sql, &values, Some(&batch_of(handlers))).await?
            }
            Query::Orphans { handlers, limit } => self.orphans(database, handlers, *limit, &readable).await?,
            Query::All => {
                let sql = format!("SELECT {TASK} FROM {{tasks}} AS t WHERE deleted = 0{readable}");
                database.read(&sql, &[]).await?
            }
        };
        let mut found = self.records(database, read_tasks(&rows)?).await?;
        if matches!(query, Query::All) {
            // Databases have their own ideas of an order.
            found.tasks.sort_unstable_by(|a, b| a.id().cmp(b.id()));
        }
        found.now = match (query, rows.first()) {
            (Query::Due { .. }, Some(row)) if database.writer.has_clock() => {
                Some(rows::instant(row.number(TASK_COLUMNS)?)?)
            }
            _ => self.time(database).await?,
        };
        Ok(found)
    }

    /// A condition that leaves out what can't be read, as SQL: nothing where nothing is.
    pub(super) fn readable(&self) -> String {
        let unreadable = self.definitions.unreadable().into_iter();
        unreadable.map(|(key, edited)| format!(" AND NOT (task_key = {key} AND edited = {edited})")).collect()
    }

    /// Tasks of handlers that nobody here has. Few programs have such, and then no table is read through for them.
    async fn orphans(
        &self,
        database: &Database,
        handlers: &Handlers,
        limit: usize,
        readable: &str,
    ) -> Result<Vec<Row>, sqlx::Error> {
        let known = database.read("SELECT handler FROM {handlers}", &[]).await?;
        let known = known.iter().map(|row| row.string(0)).collect::<Result<Vec<_>, _>>()?;
        let unknown: Vec<_> = known.iter().filter(|handler| !handlers.has(handler)).map(|h| &**h).collect();
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT {TASK} FROM {{tasks}} AS t WHERE deleted = 0 AND {{runnable}}{readable} ORDER BY task_key LIMIT :limit"
        );
        database.read_batch(&sql, &[("limit", limit_of(limit))], Some(&Batch::of(HANDLERS, unknown))).await
    }

    /// The rows as records, in their order, their definitions from memory or else from the database.
    pub(super) async fn records(
        &self,
        database: &Database,
        tasks: Vec<TaskRow>,
    ) -> Result<Found, sqlx::Error> {
        // Taken now: what is read meanwhile may push it out of memory.
        let tasks: Vec<_> = tasks
            .into_iter()
            .map(|task| {
                let known = self.definitions.find(&task.key, task.edited);
                (task, known)
            })
            .collect();
        let unknown: Vec<i64> =
            tasks.iter().filter(|(_, known)| known.is_none()).map(|(task, _)| task.key).collect();
        let mut found = Found::default();
        let mut read = HashMap::new();
        for part in Batch::of(KEYS, unknown).parts(database.writer.dialect.most_rows()) {
            if part.is_empty() {
                continue;
            }
            let sql = format!(
                "SELECT {TASK}, t.id, t.envelope FROM {{batch}} AS b JOIN {{tasks}} AS t ON t.task_key = b_key \
                 WHERE t.deleted = 0"
            );
            for row in database.read_batch(&sql, &[], Some(&part)).await? {
                // Read again as a whole, as it may have changed in between.
                let task = TaskRow::read(&row, 0)?;
                let id = TaskId::from(row.string(TASK_COLUMNS)?);
                let definition = envelope::read(&row.string(TASK_COLUMNS + 1)?, &id, &database.seal);
                if let Ok(definition) = &definition {
                    self.definitions.keep(task.key, task.edited, definition.clone());
                }
                read.insert(task.key, (task, id, definition));
            }
        }
        for (task, known) in tasks {
            let (task, id, definition) = match known {
                Some(definition) => (task, definition.id.clone(), Ok(definition)),
                None => match read.remove(&task.key) {
                    Some(read) => read,
                    // It was deleted in between.
                    None => continue,
                },
            };
            let (key, edited) = (task.key, task.edited);
            match definition.and_then(|definition| task.record(definition)) {
                Ok(record) => found.tasks.push(record),
                Err(reason) if self.definitions.set_aside(key, edited) => {
                    found.unreadable.push(Unreadable { id, reason });
                }
                Err(_) => {}
            }
        }
        Ok(found)
    }
}

/// Due, the earliest first.
pub(super) const DUE_TASKS: &str =
    "SELECT {task}, {now} FROM {tasks} AS t {by_due} WHERE due_at <= {now} AND {runnable}";

fn read_tasks(rows: &[Row]) -> Result<Vec<TaskRow>, sqlx::Error> {
    rows.iter().map(|row| TaskRow::read(row, 0)).collect()
}

pub(super) fn limit_of(limit: usize) -> Cell<'static> {
    Cell::Int(i64::try_from(limit).unwrap_or(i64::MAX))
}

pub(super) fn batch_of(handlers: &Handlers) -> Batch<'_> {
    // In one order, so that equal questions are equal texts.
    let mut names: Vec<_> = handlers.names().collect();
    names.sort_unstable();
    Batch::of(HANDLERS, names)
}

fn batch(written: &[Written<'_>], seal: &Seal) -> Result<Batch<'static>, StoreError> {
    let mut batch = Batch::new(WRITTEN);
    for (task, edited) in written {
        let schedule = &task.schedule;
        batch.push([
            task.id().to_string().into(),
            task.definition.handler.to_string().into(),
            envelope::write(&task.definition, seal)?.into(),
            (*edited).into(),
            schedule.version.wrapping_sub(1).cast_signed().into(),
            schedule.version.cast_signed().into(),
            schedule.generation.into(),
            schedule.running.into(),
            schedule.next_run_time.map(rows::micros).into(),
            schedule.watermark.map(rows::micros).into(),
            schedule.paused.into(),
            schedule.ended.into(),
            rows::waiting_text(&task.waiting)?.into(),
            task.definition.rules.max_instances.into(),
            rows::due_at(task).into(),
        ]);
    }
    Ok(batch)
}

/// Writes the columns of [`WRITTEN`].
fn set() -> String {
    let columns = INTO.split(", ").zip(FROM.split(", ")).map(|(to, from)| format!("{to} = {from}"));
    columns.collect::<Vec<_>>().join(", ")
}

/// What was written: keys by ids.
type Done = HashMap<String, i64>;

fn done(rows: &[Row]) -> Result<Done, sqlx::Error> {
    rows.iter().map(|row| Ok((row.string(1)?, row.number(0)?))).collect()
}

async fn insert(step: &mut Step<'_>, written: &[Written<'_>]) -> Result<Done, StoreError> {
    note_handlers(step, written).await?;
    let batch = batch(written, step.seal)?;
    if step.dialect() == Dialect::MySql {
        return insert_by_steps(step, written, batch).await;
    }
    let set: Vec<_> = INTO.split(", ").map(|column| format!("{column} = excluded.{column}")).collect();
    let sql = format!(
        "INSERT INTO {{tasks}} AS t (id, {INTO}) SELECT b_id, {FROM} {{rows}} WHERE true \
         ON CONFLICT (id) DO UPDATE SET {}, deleted = 0 WHERE t.deleted = 1 RETURNING task_key, id",
        set.join(", ")
    );
    Ok(done(&step.fetch_batch(&sql, &[], batch).await?)?)
}

/// MySQL tells neither what it has inserted, nor inserts only where something holds. An id that is taken meanwhile is an
/// error, with which all is tried again.
async fn insert_by_steps(
    step: &mut Step<'_>,
    written: &[Written<'_>],
    batch: Batch<'static>,
) -> Result<Done, StoreError> {
    let ids = || Batch::of(IDS, written.iter().map(|(task, _)| task.id().as_str()));
    let find = "SELECT t.task_key, t.id, t.deleted FROM {batch} AS b JOIN {tasks} AS t ON {by_id} FOR UPDATE";
    let known = step.fetch_batch(find, &[], ids()).await?;
    let taken: HashSet<String> = known
        .iter()
        .filter(|row| row.number(2).is_ok_and(|deleted| deleted == 0))
        .map(|row| row.string(1))
        .collect::<Result<_, _>>()?;
    let known = done(&known)?;
    let (mut revived, mut new) = (Batch::new(WRITTEN), Batch::new(WRITTEN));
    for (row, (task, _)) in batch.cells.chunks(WRITTEN.len()).zip(written) {
        match known.get(task.id().as_str()) {
            Some(_) if taken.contains(task.id().as_str()) => {}
            Some(_) => revived.cells.extend_from_slice(row),
            None => new.cells.extend_from_slice(row),
        }
    }
    let revive = step.writer.update("tasks", &format!("{}, deleted = 0", set()), "{by_id}", "");
    step.run_batch(&revive, &[], revived).await?;
    let sql = format!("INSERT INTO {{tasks}} (id, {INTO}) SELECT b_id, {FROM} {{rows}}");
    step.run_batch(&sql, &[], new).await?;
    let mut all = done(&step.fetch_batch(find, &[], ids()).await?)?;
    all.retain(|id, _| !taken.contains(id));
    Ok(all)
}

/// Notes which handlers there are tasks of.
async fn note_handlers(step: &mut Step<'_>, written: &[Written<'_>]) -> Result<(), StoreError> {
    let handlers: HashSet<_> = written.iter().map(|(task, _)| &*task.definition.handler).collect();
    let mut handlers: Vec<_> = handlers.into_iter().collect();
    handlers.sort_unstable();
    let sql = match step.dialect() {
        Dialect::MySql => "INSERT IGNORE INTO {handlers} (handler) SELECT b_handler {rows}",
        _ => {
            "INSERT INTO {handlers} (handler) SELECT b_handler {rows} WHERE true \
             ON CONFLICT (handler) DO NOTHING"
        }
    };
    step.run_batch(sql, &[], Batch::of(HANDLERS, handlers)).await?;
    Ok(())
}

async fn replace(step: &mut Step<'_>, written: &[Written<'_>]) -> Result<Done, StoreError> {
    note_handlers(step, written).await?;
    let on = "{by_id} AND t.version = b_was AND t.deleted = 0";
    let batch = batch(written, step.seal)?;
    let rows = step.change("tasks", &set(), on, "task_key, id", &[], batch).await?;
    Ok(done(&rows)?)
}

/// Which of the tasks that were not replaced are there.
async fn there(step: &mut Step<'_>, group: &[Edit], done: &Done) -> Result<HashSet<String>, sqlx::Error> {
    let missed: Vec<_> =
        group.iter().map(|edit| kin(edit).1.as_str()).filter(|id| !done.contains_key(*id)).collect();
    let sql = "SELECT t.id FROM {batch} AS b JOIN {tasks} AS t ON {by_id} WHERE t.deleted = 0";
    let rows = step.fetch_batch(sql, &[], Batch::of(IDS, missed)).await?;
    rows.iter().map(|row| row.string(0)).collect()
}

/// Deletes tasks. Runs of them that go on end as usual; what waits for a place among them never gets one.
async fn delete(step: &mut Step<'_>, group: &[Edit]) -> Result<Done, StoreError> {
    let ids = Batch::of(IDS, group.iter().map(|edit| kin(edit).1.as_str()));
    let set = "deleted = 1, due_at = NULL, waiting = NULL, running = 0, envelope = ''";
    let deleted = step.change("tasks", set, "{by_id} AND t.deleted = 0", "task_key, id", &[], ids).await?;
    let deleted = done(&deleted)?;
    let mut keys: Vec<i64> = deleted.values().copied().collect();
    keys.sort_unstable();
    let cancel = step.writer.update(
        "runs",
        "status = 'cancelled', error = :reason, place = NULL",
        "t.place = b_key AND t.status = 'queued'",
        "",
    );
    let reason = [("reason", "its task was deleted while it waited".into())];
    step.run_batch(&cancel, &reason, Batch::of(KEYS, keys.iter().copied())).await?;
    let abandon = step.writer.update("runs", "place = 0", "t.place = b_key", "");
    step.run_batch(&abandon, &[], Batch::of(KEYS, keys)).await?;
    Ok(deleted)
}
