//! Tasks: changed by their owners, and found.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};

use super::MongoStore;
use super::claims::versions;
use super::database::{Clock, Database, all};
use super::documents::{self, TaskDocument, instant, task_document, unreadable, without_definition};
use super::schema::EARLIEST;
use super::step::Step;
use crate::stores::crypt::Seal;
use crate::stores::edit_groups::{Kin, groups, kin};
use crate::stores::{Edit, EditOutcome, Found, Query, StoreError, Unreadable, envelope};
use crate::task::{Handlers, RunId, TaskId, TaskRecord};

/// So many ids are asked for at a time.
const IDS: usize = 1_000;

impl MongoStore {
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
            let known = versions(&mut step, group.iter().map(|edit| kin(edit).1.as_str())).await?;
            let outcome = |edit: &Edit| {
                let version = known.get(kin(edit).1.as_str());
                match (edit, version) {
                    (Edit::Insert(_), None) => EditOutcome::Done,
                    (Edit::Insert(_), Some(_)) => EditOutcome::Conflict,
                    (Edit::Replace(_) | Edit::Delete(_), None) => EditOutcome::NotFound,
                    (Edit::Replace(task), Some(version)) => match *version == was(task) {
                        true => EditOutcome::Done,
                        false => EditOutcome::Conflict,
                    },
                    (Edit::Delete(_), Some(_)) => EditOutcome::Done,
                }
            };
            let group_outcomes: Vec<_> = group.iter().map(outcome).collect();
            let is_done = group.iter().zip(&group_outcomes).filter(|(_, is)| **is == EditOutcome::Done);
            let mut documents = Vec::new();
            let mut deleted = Vec::new();
            for (edit, _) in is_done {
                match edit {
                    Edit::Insert(task) | Edit::Replace(task) => {
                        edited = edited.wrapping_add(1);
                        documents.push((task, task_document(task, edited, &database.seal)?));
                        kept.push((edited, task.definition.clone()));
                    }
                    Edit::Delete(id) => deleted.push(id),
                }
            }
            match kin(&group[0]).0 {
                Kin::Insert => insert(&mut step, documents).await?,
                Kin::Replace => replace(&mut step, documents).await?,
                Kin::Delete => delete(&mut step, &deleted).await?,
            }
            outcomes.extend(group_outcomes);
        }
        if outcomes.contains(&EditOutcome::Done) {
            self.tell_in(&mut step).await?;
        }
        step.commit().await?;
        for (edited, definition) in kept {
            self.definitions.keep(definition.id.clone(), edited, definition);
        }
        Ok(outcomes)
    }

    pub(super) async fn try_load(
        &self,
        database: &Database,
        ids: &[TaskId],
    ) -> Result<Vec<Option<TaskRecord>>, StoreError> {
        let mut found = HashMap::new();
        for part in ids.chunks(IDS) {
            let ids: Vec<_> = part.iter().map(TaskId::as_str).collect();
            let find = database.tasks.find(doc! { "_id": { "$in": ids } }).projection(without_definition());
            let records = self.records(database, all(find.await?).await?).await?;
            found.extend(records.tasks.into_iter().map(|task| (task.id().clone(), task)));
        }
        // The same id may be asked for twice.
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    pub(super) async fn try_query(&self, database: &Database, query: &Query) -> Result<Found, StoreError> {
        if let Query::Due { now, limit, handlers } = query {
            let pipeline = due(database, *now, *limit, handlers, self.readable());
            let found = all(database.all.aggregate(pipeline).await?).await?;
            let (now, found) = time_of(database, found)?;
            return Ok(Found { now, ..self.records(database, found).await? });
        }
        let mut filter = self.readable();
        // None: 0.
        let mut most = 0;
        if let Query::Orphans { handlers, limit } = query {
            if *limit == 0 {
                return Ok(Found { now: database.time().await?, ..Found::default() });
            }
            filter.extend(orphans(handlers));
            most = limit_of(*limit);
        }
        let find = database.tasks.find(filter).projection(without_definition()).limit(most);
        let mut found = self.records(database, all(find.await?).await?).await?;
        found.tasks.sort_unstable_by(|a, b| a.id().cmp(b.id()));
        found.now = database.time().await?;
        Ok(found)
    }

    /// The documents as records, in their order, their definitions from memory or else from the database.
    pub(super) async fn records(
        &self,
        database: &Database,
        documents: Vec<RawDocumentBuf>,
    ) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let mut tasks = Vec::with_capacity(documents.len());
        for document in documents {
            match documents::read::<TaskDocument>(&document) {
                Ok(task) => {
                    let known = self.definitions.find(&TaskId::from(&*task.id), task.edited);
                    tasks.push((document, task, known));
                }
                Err(reason) => self.set_aside(&mut found, &document, reason),
            }
        }
        let unknown = tasks.iter().filter(|(.., known)| known.is_none());
        let mut read = whole(database, unknown.map(|(_, task, _)| &*task.id).collect()).await?;
        for (document, task, known) in tasks {
            let (document, record) = match known {
                Some(definition) => (document, task.record(definition)),
                None => match read.remove(&task.id) {
                    Some(document) => {
                        let record = self.read_record(&document, &database.seal);
                        (document, record)
                    }
                    // It was deleted in between.
                    None => continue,
                },
            };
            match record {
                Ok(record) => found.tasks.push(record),
                Err(reason) => self.set_aside(&mut found, &document, reason),
            }
        }
        Ok(found)
    }

    /// The record of a document with its definition, or why it can't be read.
    fn read_record(&self, document: &RawDocumentBuf, seal: &Seal) -> Result<TaskRecord, String> {
        let task: TaskDocument = documents::read(document)?;
        let text = task.envelope.as_deref().ok_or("it has no envelope")?;
        let definition = envelope::read(text, &TaskId::from(&*task.id), seal)?;
        let record = task.record(definition.clone())?;
        self.definitions.keep(definition.id.clone(), task.edited, definition);
        Ok(record)
    }

    /// A condition that leaves out what is set aside; empty where nothing is.
    pub(super) fn readable(&self) -> Document {
        let unreadable: Vec<_> = self.definitions.unreadable().into_iter().map(|(_, which)| which).collect();
        if unreadable.is_empty() {
            Document::new()
        } else {
            doc! { "$nor": unreadable }
        }
    }

    /// A record that can't be read: it is told of once, and left out until it changes.
    fn set_aside(&self, found: &mut Found, document: &RawDocumentBuf, reason: String) {
        let field = |name: &str| -> Bson {
            let value = document.get(name).ok().flatten();
            value.and_then(|value| Bson::try_from(value).ok()).unwrap_or(Bson::Null)
        };
        let (id, edited) = (field("_id"), field("edited"));
        let which = doc! { "_id": id.clone(), "edited": edited };
        let id = TaskId::from(id.as_str().map_or_else(|| id.to_string(), str::to_owned));
        if self.definitions.set_aside(id.clone(), which) {
            found.unreadable.push(Unreadable { id, reason });
        }
    }
}

/// Tasks with their definitions, by their ids: read again as a whole, as they may have changed in between.
async fn whole(database: &Database, ids: Vec<&str>) -> Result<HashMap<String, RawDocumentBuf>, StoreError> {
    let mut read = HashMap::new();
    for part in ids.chunks(IDS) {
        let mut fields = without_definition();
        fields.insert("envelope", 1);
        let find = database.tasks.find(doc! { "_id": { "$in": part } }).projection(fields);
        for document in all(find.await?).await? {
            if let Ok(id) = document.get_str("_id") {
                read.insert(id.to_owned(), document);
            }
        }
    }
    Ok(read)
}

fn was(task: &TaskRecord) -> i64 {
    task.schedule.version.wrapping_sub(1).cast_signed()
}

pub(super) fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn names_of(handlers: &Handlers) -> Vec<&str> {
    // In one order, so that equal questions are equal texts.
    let mut names: Vec<_> = handlers.names().collect();
    names.sort_unstable();
    names
}

/// What a scheduler with these handlers has to decide, or will have to.
pub(super) fn runnable(handlers: &Handlers) -> Document {
    doc! { "due_at": { "$gte": EARLIEST }, "handler": { "$in": names_of(handlers) } }
}

/// What none of these handlers can run.
pub(super) fn orphans(handlers: &Handlers) -> Document {
    doc! { "handler": { "$nin": names_of(handlers) } }
}

/// One document that tells the time, by which all that follows in the same pipeline goes.
pub(super) fn time_first(database: &Database, told: DateTime<Utc>) -> Document {
    doc! { "$documents": [{ "now": database.clock.now(told) }] }
}

/// What [`time_first`] tells, and what follows it; `None`: the server's clock does not count.
pub(super) fn time_of(
    database: &Database,
    mut found: Vec<RawDocumentBuf>,
) -> Result<(Option<DateTime<Utc>>, Vec<RawDocumentBuf>), StoreError> {
    let rest = found.split_off(found.len().min(1));
    let Some(first) = found.first() else { return Err(unreadable("the time is not told".to_owned())) };
    if database.clock == Clock::Told {
        return Ok((None, rest));
    }
    let now = first.get_i64("now").map_err(|error| unreadable(error.to_string()))?;
    Ok((Some(instant(now).map_err(unreadable)?), rest))
}

/// The time, and what is due then, the earliest first.
fn due(
    database: &Database,
    told: DateTime<Utc>,
    limit: usize,
    handlers: &Handlers,
    readable: Document,
) -> Vec<Document> {
    let mut pipeline = vec![time_first(database, told)];
    if limit > 0 {
        let due = due_tasks(database.clock.now(told), limit, handlers, readable);
        pipeline.push(doc! { "$unionWith": { "coll": &database.names.tasks, "pipeline": due } });
    }
    pipeline
}

pub(super) fn due_tasks(now: Bson, limit: usize, handlers: &Handlers, readable: Document) -> Vec<Document> {
    let mut filter = runnable(handlers);
    filter.extend(readable);
    filter.insert("$expr", doc! { "$lte": ["$due_at", now] });
    vec![
        doc! { "$match": filter },
        doc! { "$sort": { "due_at": 1 } },
        doc! { "$limit": limit_of(limit) },
        doc! { "$project": without_definition() },
    ]
}

/// Tasks as they are to be written.
type Written<'a> = Vec<(&'a TaskRecord, RawDocumentBuf)>;

async fn insert(step: &mut Step<'_>, written: Written<'_>) -> Result<(), StoreError> {
    let names = step.database.names.tasks.clone();
    step.insert(&names, written.into_iter().map(|(_, document)| document).collect()).await.map(drop)
}

async fn replace(step: &mut Step<'_>, written: Written<'_>) -> Result<(), StoreError> {
    let statement = |(task, document): (&TaskRecord, RawDocumentBuf)| {
        rawdoc! { "q": { "_id": task.id().as_str(), "schedule.version": was(task) }, "u": document }
    };
    let names = step.database.names.tasks.clone();
    step.write(&names, written.into_iter().map(statement).collect()).await.map(drop)
}

/// Deletes tasks. Runs of them that go on end as usual; what waits for a place among them never gets one.
async fn delete(step: &mut Step<'_>, ids: &[&TaskId]) -> Result<(), StoreError> {
    let (tasks, runs) = (step.database.names.tasks.clone(), step.database.names.runs.clone());
    let mut ends = Vec::new();
    for id in ids {
        let cancel =
            rawdoc! { "open": null, "status": "cancelled", "error": "its task was deleted while it waited" };
        ends.push(rawdoc! {
            "q": { "open": "waits", "task": id.as_str() }, "u": { "$set": cancel }, "multi": true,
        });
        ends.push(rawdoc! {
            "q": { "open": "runs", "task": id.as_str() }, "u": { "$set": { "open": "orphan" } }, "multi": true,
        });
    }
    step.write(&runs, ends).await?;
    let gone = ids.iter().map(|id| rawdoc! { "q": { "_id": id.as_str() }, "limit": 1 });
    step.delete(&tasks, gone.collect()).await.map(drop)
}
