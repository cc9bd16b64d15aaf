//! The schedulers that share the database: their leases, what the dead have left, and what is to be cancelled.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{ReadConcern, ReturnDocument};
use serde::Deserialize;

use super::MongoStore;
use super::database::{Clock, Database, all};
use super::documents::{
    self, EntryDocument, TaskDocument, due, instant, micros, node_id, run_id, unreadable, without_definition,
};
use super::tasks::{limit_of, names_of, runnable, time_first, time_of};
use crate::stores::leases::REMEMBERED;
use crate::stores::{Beat, LapsedRun, NextDue, NodeRecord, Renewal, StoreError};
use crate::task::{Handlers, NodeId, RunId, TaskRecord};

/// A scheduler as it is stored.
#[derive(Debug, Deserialize)]
struct NodeDocument {
    #[serde(rename = "_id")]
    id: String,
    /// As JSON.
    node: String,
    renewed_at: i64,
    leased_until: i64,
    /// What it was before.
    was_leased_until: Option<i64>,
    skew_ms: Option<i64>,
}

impl NodeDocument {
    fn record(&self) -> Result<NodeRecord, String> {
        Ok(NodeRecord {
            node: serde_json::from_str(&self.node).map_err(|error| error.to_string())?,
            renewed_at: instant(self.renewed_at)?,
            leased_until: instant(self.leased_until)?,
            skew_ms: self.skew_ms,
        })
    }
}

/// Runs that go on, by what they have in `open` and by their schedulers.
#[derive(Debug, Deserialize)]
struct Busy {
    #[serde(rename = "_id")]
    who: Who,
}

#[derive(Debug, Deserialize)]
struct Who {
    open: String,
    node: String,
}

/// A run that a lapsed scheduler had, with its task.
#[derive(Debug, Deserialize)]
struct Left {
    run: EntryDocument,
    node: String,
    task: RawDocumentBuf,
}

impl MongoStore {
    pub(super) async fn try_renew(&self, database: &Database, beat: &Beat) -> Result<Renewal, StoreError> {
        database.keep_sessions().await?;
        let me = self.beat(database, beat).await?;
        database.close_sessions().await;
        let now = me.renewed_at;
        let had_lapsed = me.was_leased_until.is_none_or(|until| until <= now);
        // In this order: who has runs then is known by then.
        let busy = busy(database).await?;
        let known = nodes(database).await?;
        let held: HashSet<&str> =
            known.iter().filter(|node| node.leased_until > now).map(|node| &*node.id).collect();
        // Also of one who is not known any more, if ever there is such.
        let is_gone = |node: &str| node != me.id && !held.contains(node);
        let with = |open: &'static str| busy.iter().filter(move |who| who.open == open).map(|who| &*who.node);
        let gone: Vec<&str> = with("runs").filter(|node| is_gone(node)).collect();
        let orphaned: Vec<&str> = with("orphan").filter(|node| is_gone(node)).collect();
        let lapsed = match gone.is_empty() {
            true => Vec::new(),
            false => self.lapsed(database, beat, &gone, &known, now).await?,
        };
        if !orphaned.is_empty() {
            close_orphans(database, &me.id, &orphaned, now).await?;
        }
        let with_runs: HashSet<&str> = with("runs").collect();
        let others = known.iter().filter(|node| node.id != me.id && with_runs.contains(&*node.id));
        let next_lapse = others.map(|node| node.leased_until).filter(|until| *until > now).min();
        let long_ago = now - REMEMBERED.num_microseconds().unwrap_or_default();
        let is_forgotten = |node: &NodeDocument| {
            let has_left = node.leased_until <= node.renewed_at;
            node.id != me.id && !with_runs.contains(&*node.id) && (has_left || node.leased_until <= long_ago)
        };
        let (forgotten, known): (Vec<_>, Vec<_>) = known.into_iter().partition(is_forgotten);
        for node in forgotten {
            // Unless it lives after all.
            let which = doc! { "_id": node.id, "leased_until": node.leased_until };
            database.nodes.delete_one(which).await?;
        }
        let told = instant(now).map_err(unreadable)?;
        Ok(Renewal {
            now: (database.clock == Clock::Server).then_some(told),
            had_lapsed,
            lapsed,
            next_lapse: next_lapse.map(instant).transpose().map_err(unreadable)?,
            nodes: known.iter().map(NodeDocument::record).collect::<Result<_, _>>().map_err(unreadable)?,
        })
    }

    /// Notes that a scheduler lives, by the time of this one step.
    async fn beat(&self, database: &Database, beat: &Beat) -> Result<NodeDocument, StoreError> {
        let node = serde_json::to_string(&beat.node)
            .map_err(|error| StoreError::new("a scheduler can't be written as JSON").with_source(error))?;
        let now = database.clock.now(beat.now);
        let record = beat.record(beat.now);
        let lease = micros(record.leased_until).saturating_sub(micros(record.renewed_at));
        let skew = record.skew_ms.map_or(Bson::Null, Bson::Int64);
        let id = beat.node.id.to_string();
        let set = doc! {
            "was_leased_until": "$leased_until",
            "node": { "$literal": node },
            "renewed_at": now.clone(),
            "leased_until": { "$add": [now, lease] },
            "skew_ms": skew,
        };
        let write = database.nodes.clone_with_type::<NodeDocument>();
        let write = write.find_one_and_update(doc! { "_id": id }, vec![doc! { "$set": set }]);
        let written = write.upsert(true).return_document(ReturnDocument::After).await?;
        written.ok_or_else(|| StoreError::new("what was just written is not there"))
    }

    /// The runs of schedulers that are gone.
    async fn lapsed(
        &self,
        database: &Database,
        beat: &Beat,
        gone: &[&str],
        known: &[NodeDocument],
        now: i64,
    ) -> Result<Vec<LapsedRun>, StoreError> {
        if beat.limit == 0 {
            return Ok(Vec::new());
        }
        // A run and its task as they were at the same time: who takes it over by the task's version must not get one that has
        // ended, or is somebody else's, by then.
        let find = database.runs.aggregate(lapsed_runs(database, gone, &beat.handlers, beat.limit));
        let (mut left, mut tasks) = (Vec::new(), Vec::new());
        for document in all(find.read_concern(ReadConcern::snapshot()).await?).await? {
            let Left { run, node, task } = documents::read(&document).map_err(unreadable)?;
            let version = documents::read::<TaskDocument>(&task).and_then(|task| task.schedule());
            left.push((
                run.record(&database.seal).map_err(unreadable)?,
                node,
                version.map(|schedule| schedule.version),
            ));
            tasks.push(task);
        }
        let found = self.records(database, tasks).await?;
        let leases: HashMap<&str, i64> = known.iter().map(|node| (&*node.id, node.leased_until)).collect();
        let mut lapsed = Vec::new();
        for (run, node, version) in left {
            // One that was read again and had changed, or can't be read, is left for the next time.
            let is_it =
                |task: &&TaskRecord| *task.id() == run.task && version.as_ref() == Ok(&task.schedule.version);
            let Some(task) = found.tasks.iter().find(is_it).cloned() else { continue };
            let leased_until = instant(*leases.get(&*node).unwrap_or(&now)).map_err(unreadable)?;
            lapsed.push(LapsedRun { task, run, leased_until });
        }
        Ok(lapsed)
    }

    pub(super) async fn try_next_due(
        &self,
        database: &Database,
        by: NodeId,
        handlers: &Handlers,
    ) -> Result<NextDue, StoreError> {
        let readable = self.readable();
        let pipeline = next_due(database, by, handlers, readable);
        let found = all(database.all.aggregate(pipeline).await?).await?;
        let (now, found) = time_of(database, found)?;
        let mut next = NextDue { now, ..NextDue::default() };
        for document in found {
            match document.get_i64("due_at") {
                Ok(at) => next.at = Some(due(at).map_err(unreadable)?),
                Err(_) => {
                    let id = document.get_str("_id").map_err(|error| unreadable(error.to_string()))?;
                    next.cancelled.push(run_id(id).map_err(unreadable)?);
                }
            }
        }
        next.cancelled.sort_unstable();
        Ok(next)
    }

    pub(super) async fn try_cancel(&self, database: &Database, run: RunId) -> Result<bool, StoreError> {
        let open = doc! { "_id": run.to_string(), "open": { "$in": ["runs", "orphan"] } };
        let noted = database.runs.update_one(open, doc! { "$set": { "cancel": true } }).await?;
        self.tell(database).await?;
        Ok(noted.matched_count > 0)
    }
}

/// The time, when the first task is due, and the runs of a scheduler that are to be cancelled.
pub(super) fn next_due(
    database: &Database,
    by: NodeId,
    handlers: &Handlers,
    readable: Document,
) -> Vec<Document> {
    let told = DateTime::<Utc>::UNIX_EPOCH;
    let cancelled = vec![doc! { "$match": cancelled(by) }, doc! { "$project": { "_id": 1 } }];
    vec![
        time_first(database, told),
        doc! { "$unionWith": { "coll": &database.names.tasks, "pipeline": first_due(handlers, readable) } },
        doc! { "$unionWith": { "coll": &database.names.runs, "pipeline": cancelled } },
    ]
}

/// Runs of a scheduler that are to be cancelled.
pub(super) fn cancelled(by: NodeId) -> Document {
    doc! { "node": by.to_string(), "cancel": true }
}

pub(super) fn first_due(handlers: &Handlers, readable: Document) -> Vec<Document> {
    let mut filter = runnable(handlers);
    filter.extend(readable);
    vec![
        doc! { "$match": filter },
        doc! { "$sort": { "due_at": 1 } },
        doc! { "$limit": 1 },
        doc! { "$project": { "due_at": 1 } },
    ]
}

/// Runs of these schedulers, each with its task, where that has one of the handlers.
pub(super) fn lapsed_runs(
    database: &Database,
    nodes: &[&str],
    handlers: &Handlers,
    limit: usize,
) -> Vec<Document> {
    let task = vec![
        doc! { "$match": { "handler": { "$in": names_of(handlers) } } },
        doc! { "$project": without_definition() },
    ];
    let task = doc! {
        "from": &database.names.tasks, "localField": "task", "foreignField": "_id", "pipeline": task, "as": "of",
    };
    vec![
        doc! { "$match": { "open": "runs", "node": { "$in": nodes } } },
        doc! { "$sort": { "made_at": 1, "_id": 1 } },
        doc! { "$lookup": task },
        doc! { "$match": { "of": { "$ne": [] } } },
        doc! { "$limit": limit_of(limit) },
        doc! { "$project": { "run": "$$ROOT", "node": 1, "task": { "$first": "$of" } } },
    ]
}

async fn nodes(database: &Database) -> Result<Vec<NodeDocument>, StoreError> {
    let mut cursor =
        database.nodes.clone_with_type::<NodeDocument>().find(doc! {}).sort(doc! { "_id": 1 }).await?;
    let mut nodes = Vec::new();
    while cursor.advance().await? {
        nodes.push(cursor.deserialize_current()?);
    }
    Ok(nodes)
}

async fn busy(database: &Database) -> Result<Vec<Who>, StoreError> {
    let pipeline = [
        doc! { "$match": { "open": { "$in": ["runs", "orphan"] } } },
        doc! { "$group": { "_id": { "open": "$open", "node": "$node" } } },
    ];
    let found = all(database.runs.aggregate(pipeline).await?).await?;
    let who = |found: &RawDocumentBuf| documents::read(found).map(|busy: Busy| busy.who).map_err(unreadable);
    let busy: Vec<Who> = found.iter().map(who).collect::<Result<_, _>>()?;
    busy.iter().try_for_each(|who| node_id(&who.node).map(drop)).map_err(unreadable)?;
    Ok(busy)
}

/// Closes the runs of deleted tasks whose schedulers are gone.
async fn close_orphans(database: &Database, me: &str, gone: &[&str], now: i64) -> Result<(), StoreError> {
    let lost = doc! {
        "open": Bson::Null,
        "cancel": Bson::Null,
        "status": "lost",
        "node": me,
        "finished_at": now,
        "error": "its task was deleted, and its scheduler is gone",
    };
    let which = doc! { "open": "orphan", "node": { "$in": gone } };
    database.runs.update_many(which, doc! { "$set": lost }).await?;
    Ok(())
}
