//! How runs ended: written once, and by the scheduler that has the run.

use std::collections::{BTreeMap, HashMap};

use mongodb::bson::{RawDocumentBuf, doc, rawdoc};
use serde::Deserialize;

use super::MongoStore;
use super::database::{Clock, Database};
use super::documents::{
    self, Made, Open, TaskDocument, run_id, set_schedule, unreadable, without_definition,
};
use super::step::{Step, is_conflict, let_pass};
use crate::stores::crypt::Seal;
use crate::stores::{Finish, FinishOutcome, StoreError, Then};
use crate::task::{NodeId, RunId, RunRecord, Schedule, TaskId, Waiting};

/// An entry of the history as far as its end goes.
#[derive(Debug, Deserialize)]
struct Entry {
    #[serde(rename = "_id")]
    id: String,
    task: String,
    open: Option<Open>,
    node: Option<String>,
}

impl Entry {
    fn of(entry: &RunRecord) -> Self {
        Self {
            id: entry.id.to_string(),
            task: entry.task.to_string(),
            open: Open::of(entry.status),
            node: entry.node.map(|node| node.to_string()),
        }
    }
}

/// A task as far as the ends of its runs go.
#[derive(Debug)]
struct Place {
    was: u64,
    schedule: Schedule,
    waiting: Vec<Waiting>,
    max_instances: u32,
}

impl Place {
    fn read(document: &RawDocumentBuf) -> Result<(String, Self), String> {
        let task: TaskDocument = documents::read(document)?;
        let schedule = task.schedule()?;
        let (waiting, max_instances) = (task.waiting()?, task.max_instances());
        Ok((task.id, Self { was: schedule.version, schedule, waiting, max_instances }))
    }

    fn is_over(&self) -> bool {
        self.schedule.is_over(!self.waiting.is_empty())
    }
}

/// What is to be written.
struct Ends<'a> {
    by: NodeId,
    node: &'a str,
    clock: Clock,
    seal: &'a Seal,
    entries: HashMap<RunId, Entry>,
    places: HashMap<String, Place>,
    /// Statements on the history.
    written: Vec<RawDocumentBuf>,
    /// Statements on tasks that can't be read.
    counted: Vec<RawDocumentBuf>,
}

/// How often a part of a batch is tried before it is halved.
const TRIES: usize = 3;

/// How often in all others are let pass, before what they hold is left for later: some seconds.
const PATIENCE: usize = 100;

impl MongoStore {
    pub(super) async fn try_finish(
        &self,
        database: &Database,
        by: NodeId,
        ends: &[Finish],
    ) -> Result<Vec<FinishOutcome>, StoreError> {
        let node = by.to_string();
        match finish_all(database, &node, by, ends).await {
            Ok(true) => {
                let outcome = |end: &Finish| FinishOutcome {
                    retried: matches!(end.then, Then::Retry(_)),
                    ..FinishOutcome::default()
                };
                return Ok(ends.iter().map(outcome).collect());
            }
            Err(error) if !is_conflict(&error) => return Err(error),
            _ => {}
        }
        let outcomes = self.finish_each(database, by, ends).await?;
        for (end, outcome) in ends.iter().zip(&outcomes) {
            if outcome.removed {
                self.definitions.forget(&end.definition.id);
            }
        }
        Ok(outcomes)
    }

    /// Writes as many as can be. Where another transaction has touched one of the tasks and does not come to its end, that
    /// run's end is an error at last, when all others are written: asked again, they say the same.
    async fn finish_each(
        &self,
        database: &Database,
        by: NodeId,
        ends: &[Finish],
    ) -> Result<Vec<FinishOutcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(ends.len());
        let (mut parts, mut failed, mut patience) = (vec![ends], None, PATIENCE);
        while let Some(part) = parts.pop() {
            let mut tries = 0;
            let done = loop {
                tries += 1;
                match self.finish_part(database, by, part).await {
                    Err(error)
                        if is_conflict(&error) && patience > 0 && (tries < TRIES || part.len() == 1) =>
                    {
                        patience -= 1;
                        let_pass(tries).await;
                    }
                    done => break done,
                }
            };
            match done {
                Ok(done) => outcomes.extend(done),
                Err(error) if !is_conflict(&error) => return Err(error),
                Err(error) if part.len() == 1 => failed = Some(error),
                Err(_) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        match failed {
            None => Ok(outcomes),
            Some(error) => Err(StoreError::new("another transaction holds a task").with_source(error)),
        }
    }

    async fn finish_part(
        &self,
        database: &Database,
        by: NodeId,
        ends: &[Finish],
    ) -> Result<Vec<FinishOutcome>, StoreError> {
        let node = by.to_string();
        let mut step = database.begin().await?;
        let mut all = Ends::read(&mut step, &node, by, ends).await?;
        let outcomes = ends.iter().map(|end| all.finish(end)).collect::<Result<_, _>>()?;
        all.write(&mut step).await?;
        if ends.iter().any(|end| matches!(end.then, Then::HandOn(_))) {
            self.tell_in(&mut step).await?;
        }
        step.commit().await?;
        Ok(outcomes)
    }
}

/// The statement that writes the end of a run that has a place among a task's.
fn end_run(finish: &Finish, node: &str, open: Open, seal: &Seal) -> Result<RawDocumentBuf, StoreError> {
    Ok(rawdoc! {
        "q": { "_id": finish.run.to_string(), "open": open.as_str(), "node": node },
        "u": { "$set": documents::set_end(finish, seal)? },
    })
}

/// The statement that writes the entry of a run that tries another again. That has ended by its scheduler's own clock.
fn write_next(clock: Clock, entry: RunRecord) -> Result<RawDocumentBuf, StoreError> {
    let made = match clock {
        Clock::Server => Made::Now,
        Clock::Told => Made::At(entry.decided_at),
    };
    documents::write_entry(entry, made)
}

/// Writes ends of which nothing more follows, as of most: all the runs are the scheduler's, nothing waits for their places,
/// and no task is over with them. `false`: it is not so, and nothing is written.
async fn finish_all(
    database: &Database,
    node: &str,
    by: NodeId,
    ends: &[Finish],
) -> Result<bool, StoreError> {
    let (mut written, mut counts) = (Vec::new(), BTreeMap::<&TaskId, (i64, i64)>::new());
    for finish in ends {
        let (ended, over) = counts.entry(&finish.definition.id).or_default();
        *ended += 1;
        match finish.then {
            Then::Over => *over += 1,
            Then::Retry(_) => {}
            Then::HandOn(_) => return Ok(false),
        }
        written.push(end_run(finish, node, Open::Runs, &database.seal)?);
        if let Some((retry, status)) = finish.next() {
            written.push(write_next(database.clock, finish.entry(by, &retry, status))?);
        }
    }
    let count = |(id, (ended, over)): (&TaskId, (i64, i64))| {
        rawdoc! {
            "q": {
                "_id": id.as_str(),
                "schedule.ended": false,
                "waiting": null,
                "schedule.running": { "$gte": over },
            },
            "u": { "$inc": { "schedule.version": ended, "schedule.running": -over } },
        }
    };
    let (runs, tasks) = (written.len(), counts.len());
    let mut step = database.begin().await?;
    // The tasks come last: see the claims.
    let is_all = step.write(&database.names.runs, written).await? == runs
        && step.write(&database.names.tasks, counts.into_iter().map(count).collect()).await? == tasks;
    match is_all {
        true => step.commit().await?,
        false => step.undo().await?,
    }
    Ok(is_all)
}

impl<'a> Ends<'a> {
    /// Reads what the ends are about.
    async fn read(
        step: &mut Step<'a>,
        node: &'a str,
        by: NodeId,
        ends: &[Finish],
    ) -> Result<Self, StoreError> {
        let database = step.database;
        let tasks: Vec<_> = ends.iter().map(|end| end.definition.id.as_str()).collect();
        let tasks = doc! { "_id": { "$in": tasks } };
        // Touched before they are read, so that nobody changes them in between: of many who end runs of a task at once each
        // comes to its turn.
        let touch = rawdoc! {
            "q": RawDocumentBuf::try_from(&tasks).map_err(|error| unreadable(error.to_string()))?,
            "u": { "$inc": { "touched": 1_i64 } },
            "multi": true,
        };
        step.write(&database.names.tasks, vec![touch]).await?;
        let next = ends.iter().filter_map(|end| end.next().map(|(retry, _)| retry.run));
        let runs = ends.iter().map(|end| end.run).chain(next);
        let runs: Vec<_> = runs.map(|run| run.to_string()).collect();
        let fields = doc! { "task": 1, "open": 1, "node": 1 };
        let mut entries = HashMap::new();
        for document in step.find(&database.names.runs, doc! { "_id": { "$in": runs } }, fields).await? {
            let entry: Entry = documents::read(&document).map_err(unreadable)?;
            entries.insert(run_id(&entry.id).map_err(unreadable)?, entry);
        }
        let tasks = step.find(&database.names.tasks, tasks, without_definition()).await?;
        let places = tasks.iter().filter_map(|task| Place::read(task).ok()).collect();
        let (written, counted) = (Vec::new(), Vec::new());
        let (clock, seal) = (database.clock, &database.seal);
        Ok(Self { by, node, clock, seal, entries, places, written, counted })
    }

    fn finish(&mut self, finish: &Finish) -> Result<FinishOutcome, StoreError> {
        let open = match self.entries.get_mut(&finish.run) {
            Some(entry) if entry.open.is_some() && entry.node.as_deref() != Some(self.node) => {
                return Ok(FinishOutcome { refused: true, ..FinishOutcome::default() });
            }
            Some(entry) => entry.open.take(),
            None => None,
        };
        let Some(open) = open else { return Ok(self.again(finish)) };
        self.written.push(end_run(finish, self.node, open, self.seal)?);
        // A run of a task that was deleted meanwhile is counted nowhere, and nobody tries it again.
        if open != Open::Runs {
            return Ok(FinishOutcome::default());
        }
        let task = self.entries.get(&finish.run).map(|entry| entry.task.as_str()).unwrap_or_default();
        let Some(place) = self.places.get_mut(task) else {
            // What can't be read of it waits for whoever can; its run is over.
            self.counted.push(rawdoc! {
                "q": { "_id": task, "schedule.running": { "$gt": 0_i64 } },
                "u": { "$inc": { "schedule.version": 1_i64, "schedule.running": -1_i64 } },
            });
            return Ok(FinishOutcome::default());
        };
        if let Some((retry, status)) = finish.next() {
            let entry = finish.entry(self.by, &retry, status);
            self.entries.insert(retry.run, Entry::of(&entry));
            self.written.push(write_next(self.clock, entry)?);
        }
        if let Then::HandOn(retry) = finish.then {
            place.waiting.insert(0, retry.waiting());
        }
        let retried = matches!(finish.then, Then::Retry(_));
        let schedule = place.schedule;
        place.schedule = if retried { schedule.with_run_retried() } else { schedule.with_run_ended() };
        Ok(FinishOutcome {
            retried,
            removed: place.is_over(),
            makes_room: !retried && !place.waiting.is_empty(),
            ..FinishOutcome::default()
        })
    }

    /// A run that is over already: the answer was lost and it is asked again, or somebody else has closed it.
    fn again(&self, finish: &Finish) -> FinishOutcome {
        let known = self.entries.get(&finish.run);
        let refused = known.is_some_and(|entry| entry.node.as_deref() != Some(self.node));
        let retried = match finish.then {
            Then::Retry(retry) => {
                let again = self.entries.get(&retry.run).and_then(|entry| entry.open);
                again.is_some_and(|open| open != Open::Orphan)
            }
            _ => false,
        };
        FinishOutcome { refused, retried, ..FinishOutcome::default() }
    }

    async fn write(self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let database = step.database;
        step.write(&database.names.runs, self.written).await?;
        let mut changed: Vec<_> =
            self.places.iter().filter(|(_, place)| place.schedule.version != place.was).collect();
        changed.sort_unstable_by_key(|(id, _)| *id);
        let (mut updates, mut deletes) = (self.counted, Vec::new());
        for (id, place) in &changed {
            if place.is_over() {
                deletes.push(rawdoc! { "q": { "_id": id.as_str() }, "limit": 1 });
            } else {
                let set = set_schedule(&place.schedule, &place.waiting, place.max_instances)?;
                updates.push(rawdoc! { "q": { "_id": id.as_str() }, "u": { "$set": set } });
            }
        }
        step.write(&database.names.tasks, updates).await?;
        step.delete(&database.names.tasks, deletes).await.map(drop)
    }
}
