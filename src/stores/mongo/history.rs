//! The history: read newest first, and pruned in small steps.

use std::collections::HashSet;
use std::sync::PoisonError;

use mongodb::bson::{Bson, DateTime as Date, Document, RawDocumentBuf, doc};

use super::MongoStore;
use super::database::{Database, all};
use super::documents::{self, EntryDocument, micros, unreadable};
use super::tasks::limit_of;
use crate::stores::{Prune, RunFilter, StoreError};
use crate::task::RunRecord;

/// So many new entries are looked at for tasks that have too many, in one go.
const LOOKED_AT: i64 = 10_000;

impl MongoStore {
    pub(super) async fn try_runs(
        &self,
        database: &Database,
        filter: &RunFilter,
    ) -> Result<Vec<RunRecord>, StoreError> {
        if filter.limit == Some(0) {
            return Ok(Vec::new());
        }
        let find = database.runs.find(entries(filter)).sort(doc! { "made_at": -1, "_id": -1 });
        let found = all(find.limit(filter.limit.map(limit_of).unwrap_or_default()).await?).await?;
        let record = |found: &RawDocumentBuf| {
            documents::read(found)
                .and_then(|entry: EntryDocument| entry.record(&database.seal))
                .map_err(unreadable)
        };
        found.iter().map(record).collect()
    }

    pub(super) async fn try_prune(&self, database: &Database, prune: &Prune) -> Result<usize, StoreError> {
        let mut ids = HashSet::new();
        if let (Some(before), true) = (prune.before, prune.limit > 0) {
            let find = database.runs.find(old(micros(before))).sort(doc! { "made_at": 1 });
            let find = find.limit(limit_of(prune.limit)).projection(doc! { "_id": 1 });
            for found in all(find.await?).await? {
                ids.insert(id_of(&found)?);
            }
        }
        let mut looked_at = None;
        if let (Some(most), true) = (prune.a_task, ids.len() < prune.limit) {
            let from = *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
            let limit = prune.limit - ids.len();
            let newest = newest(database, from).await?;
            let found = all(database.runs.aggregate(superfluous(database, from, most, limit)).await?).await?;
            looked_at = newest.filter(|_| found.len() < limit);
            for found in found {
                ids.insert(id_of(&found)?);
            }
        }
        let mut removed = 0;
        if !ids.is_empty() {
            let ids: Vec<_> = ids.into_iter().collect();
            let over = doc! { "_id": { "$in": ids }, "open": Bson::Null };
            removed = database.runs.delete_many(over).await?.deleted_count;
        }
        if let Some(looked_at) = looked_at {
            *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner) = looked_at;
        }
        Ok(usize::try_from(removed).unwrap_or_default())
    }
}

fn id_of(found: &RawDocumentBuf) -> Result<String, StoreError> {
    found.get_str("_id").map(str::to_owned).map_err(|error| unreadable(error.to_string()))
}

/// The entries that a filter asks for.
pub(super) fn entries(filter: &RunFilter) -> Document {
    let mut which = Document::new();
    if let Some(id) = filter.id {
        which.insert("_id", id.to_string());
    }
    if let Some(task) = &filter.task {
        which.insert("task", task.as_str());
    }
    if let Some(node) = filter.open_of {
        which.insert("open", doc! { "$in": ["runs", "orphan"] });
        which.insert("node", node.to_string());
    }
    if !filter.statuses.is_empty() {
        let statuses: Vec<_> = filter.statuses.iter().map(|status| status.as_str()).collect();
        which.insert("status", doc! { "$in": statuses });
    }
    which
}

/// Entries decided before then that are over. They were made then or before, which is what the index knows.
pub(super) fn old(before: i64) -> Document {
    let made = Date::from_millis(before.div_euclid(1_000) + 1);
    doc! { "made_at": { "$lte": made }, "decided_at": { "$lt": before }, "open": Bson::Null }
}

/// Among which entries tasks are looked for that have new ones. One that comes later than others that were made after it is
/// not among them; its task is, with the next one.
fn new(from: i64) -> Document {
    doc! { "made_at": { "$gt": Date::from_millis(from) } }
}

/// The time of the last of the new entries that are looked at.
async fn newest(database: &Database, from: i64) -> Result<Option<i64>, StoreError> {
    let pipeline = [
        doc! { "$match": new(from) },
        doc! { "$sort": { "made_at": 1 } },
        doc! { "$limit": LOOKED_AT },
        doc! { "$group": { "_id": Bson::Null, "to": { "$max": "$made_at" } } },
    ];
    let found = all(database.runs.aggregate(pipeline).await?).await?;
    Ok(found.first().and_then(|found| found.get_datetime("to").ok()).map(|to| to.timestamp_millis()))
}

/// Entries of tasks that have too many, among the tasks that have got new ones since then.
pub(super) fn superfluous(database: &Database, from: i64, most: usize, limit: usize) -> Vec<Document> {
    let mut of_task = vec![
        doc! { "$match": { "$expr": { "$eq": ["$task", "$$of"] } } },
        doc! { "$sort": { "made_at": -1, "_id": -1 } },
    ];
    if most > 0 {
        of_task.push(doc! { "$skip": limit_of(most) });
    }
    of_task.extend([
        doc! { "$match": { "open": Bson::Null } },
        doc! { "$limit": limit_of(limit) },
        doc! { "$project": { "_id": 1 } },
    ]);
    let lookup =
        doc! { "from": &database.names.runs, "let": { "of": "$_id" }, "pipeline": of_task, "as": "old" };
    vec![
        doc! { "$match": new(from) },
        doc! { "$sort": { "made_at": 1 } },
        doc! { "$limit": LOOKED_AT },
        doc! { "$group": { "_id": "$task" } },
        doc! { "$lookup": lookup },
        doc! { "$unwind": "$old" },
        doc! { "$limit": limit_of(limit) },
        doc! { "$replaceRoot": { "newRoot": "$old" } },
    ]
}
