//! From a setup to stores full of tasks, or one error that tells everything that is wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;
use tracing::Level;

use super::check::{Ended, Entry, Plan, prepare};
use super::machine::plan_missed;
use super::placing::{Placed, Placements};
use super::shared::Shared;
use super::tasks::failed;
use crate::Error;
use crate::clock::RealDeadline;
use crate::events::{Event, EventMask};
use crate::log::{Line, Target};
use crate::panics::note_places;
use crate::stores::{ClaimOutcome, Decision, Edit, Query, Store, StoreError};
use crate::task::{Handlers, Task, TaskRecord, in_words};

/// What has started.
pub(super) struct Started {
    pub(super) stores: Vec<Arc<str>>,
    pub(super) events: Vec<Event>,
}

/// [Starts](start), and gives up where that takes longer than it may.
pub(super) async fn start_in_time(shared: &Arc<Shared>, runtime: &Handle) -> Result<Started, Error> {
    let limit = shared.setup().start_timeout;
    tokio::select! {
        biased;
        started = start(shared, runtime) => return started,
        () = limit.map_or(RealDeadline::NEVER, RealDeadline::after).passed() => {}
    }
    // Whoever did not start in time need not stop in time.
    tokio::select! {
        biased;
        () = stop(shared) => {}
        () = RealDeadline::after(LONGEST_STOP).passed() => {}
    }
    Err(Error::StartTimeout { limit: limit.unwrap_or_default() })
}

/// After a start that took too long.
const LONGEST_STOP: Duration = Duration::from_secs(2);

/// Starts executors and stores and puts the tasks in; what has started is stopped again where something fails.
async fn start(shared: &Arc<Shared>, runtime: &Handle) -> Result<Started, Error> {
    note_places();
    let waiting = Waiting::take(shared);
    let started = prepare_and_open(shared, runtime, &waiting.tasks).await?;
    waiting.end();
    Ok(started)
}

/// The tasks that have waited for the start. They go on waiting, unless it comes to its end: it may be tried again.
struct Waiting<'a> {
    shared: &'a Shared,
    tasks: Vec<Task>,
    is_over: bool,
}

impl<'a> Waiting<'a> {
    fn take(shared: &'a Shared) -> Self {
        let tasks = shared.pending().take().unwrap_or_default();
        Self { shared, tasks, is_over: false }
    }

    fn end(mut self) {
        self.is_over = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.shared.pending().get_or_insert_default().splice(0..0, self.tasks.drain(..));
        }
    }
}

/// Stops executors and stores.
pub(super) async fn stop(shared: &Shared) {
    for executor in shared.executors().values() {
        executor.shutdown();
    }
    for (alias, store) in shared.stores() {
        shared.leave(&alias, &*store).await;
        if let Err(error) = store.shutdown().await {
            let line = Line { error: Some(&in_words(&error)), ..Line::default() };
            shared.log_line(Level::ERROR, Target::Store(&alias), "the store did not close well", line);
        }
    }
    shared.pending().get_or_insert_default();
}

async fn prepare_and_open(
    shared: &Arc<Shared>,
    runtime: &Handle,
    waiting: &[Task],
) -> Result<Started, Error> {
    let (plan, handlers, entries) = prepare(shared, waiting)?;
    shared.install(plan.executors.clone(), handlers);
    let mut events = Vec::new();
    for (alias, executor) in &plan.executors {
        executor.start(runtime);
        events.push(Event::new(EventMask::EXECUTOR_ADDED, plan.now).alias(alias));
    }
    let opened = open(shared, &plan, entries, &mut events).await;
    if let Err(error) = opened {
        stop(shared).await;
        return Err(error);
    }
    Ok(Started { stores: plan.stores.into_keys().collect(), events })
}

impl Shared {
    /// Lets go of what this scheduler has left in a store: others take it over at once.
    pub(super) async fn leave(&self, alias: &Arc<str>, store: &dyn Store) {
        if store.lease().is_none() {
            return;
        }
        if let Err(error) = self.beat(store, Duration::ZERO).await {
            let line = Line { error: Some(&in_words(&error)), ..Line::default() };
            self.log_line(
                Level::WARN,
                Target::Store(alias),
                "others will know later that this one left",
                line,
            );
        }
    }
}

/// Starts the stores and puts the tasks in.
async fn open(
    shared: &Shared,
    plan: &Plan,
    entries: Vec<Entry>,
    events: &mut Vec<Event>,
) -> Result<(), Error> {
    for (alias, store) in &plan.stores {
        // Before it has started: it is stopped again whatever becomes of that, and those that come after it are not.
        shared.insert_store(alias.clone(), store.clone());
        store.start().await.map_err(|source| failed(alias, source))?;
        events.push(Event::new(EventMask::STORE_ADDED, plan.now).alias(alias));
    }
    for ended in &plan.ended {
        events.extend(forget(&*plan.stores[&ended.store], ended, plan.now).await?);
    }
    events.extend(put(shared, plan, entries).await?);
    for (alias, store) in &plan.stores {
        tell_of_orphans(&**store, alias, shared.handlers()).await?;
    }
    Ok(())
}

/// Says in the log which tasks of a store can't be run here: they are kept, for a program that has their handlers.
pub(super) async fn tell_of_orphans(
    store: &dyn Store,
    alias: &Arc<str>,
    handlers: Handlers,
) -> Result<(), Error> {
    let orphans = store.query(Query::Orphans { handlers, limit: ORPHANS_TOLD }).await;
    for task in orphans.map_err(|source| failed(alias, source))?.tasks {
        tracing::warn!(
            target: "asyncz.scheduler",
            store = &**alias,
            task = tracing::field::display(task.id()),
            handler = &*task.definition.handler,
            "the task is kept but not run here: its handler is not in this program; if it is an older name, say `was`"
        );
    }
    Ok(())
}

const ORPHANS_TOLD: usize = 100;

/// Removes a task that was given a trigger which has ended. One whose trigger is the same stays: what was due while nobody
/// was there is decided, and then it goes by itself.
async fn forget(store: &dyn Store, ended: &Ended, now: DateTime<Utc>) -> Result<Option<Event>, Error> {
    let Ended { store: alias, id, trigger_digest } = ended;
    let failed = |source| failed(alias, source);
    let known = store.load(std::slice::from_ref(id)).await.map_err(failed)?.pop().flatten();
    if known.is_none_or(|known| known.definition.trigger_digest == *trigger_digest) {
        return Ok(None);
    }
    store.put(&[Edit::Delete(id.clone())]).await.map_err(failed)?;
    Ok(Some(Event::new(EventMask::TASK_REMOVED, now).alias(alias).task(id)))
}

/// Puts the tasks in their stores; what was due before it was declared is missed.
async fn put(shared: &Shared, plan: &Plan, entries: Vec<Entry>) -> Result<Vec<Event>, Error> {
    let mut tasks = BTreeMap::new();
    let mut past = BTreeMap::new();
    for Entry { store, mut record, replace, declared, .. } in entries {
        shared.share_parts(&mut record);
        record.schedule.version = shared.first_version();
        if declared && record.schedule.next_run_time.is_some_and(|due| due < plan.now) {
            past.insert((store.clone(), record.id().clone()), record.clone());
        }
        let of_store = tasks
            .entry(store)
            .or_insert_with_key(|alias| Placements::new(alias.clone(), plan.stores[alias].clone()));
        of_store.push(record, replace);
    }
    let mut events = Vec::new();
    for (alias, mut tasks) in tasks {
        let (store, mut placed) = (&*plan.stores[&alias], Vec::new());
        tasks.yield_to_newer = true;
        shared.place(tasks, &mut placed).await?;
        for Placed { store: alias, task, kind } in placed {
            events.push(Event::new(kind, plan.now).alias(&alias).task(&task.id));
            if kind == EventMask::TASK_ADDED
                && let Some(record) = past.get(&(alias.clone(), task.id.clone()))
            {
                let missed = miss(shared, store, record, plan.now).await;
                let missed = missed.map_err(|source| failed(&alias, source))?;
                events.extend(missed.into_iter().map(|event| event.alias(&alias)));
            }
        }
    }
    Ok(events)
}

/// Records a date that was past when its task was declared as missed.
async fn miss(
    shared: &Shared,
    store: &dyn Store,
    record: &TaskRecord,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, StoreError> {
    let Some(claim) = plan_missed(record, now, shared.run_id_by_hand()) else { return Ok(Vec::new()) };
    let ClaimOutcome::Won { removed } = shared.claim(store, &claim).await? else { return Ok(Vec::new()) };
    let event = |decision: Decision| {
        let event = Event::new(EventMask::TASK_MISSED, now).task(record.id());
        Event { error: decision.reason, ..event.run(decision.run, decision.occurrence.due) }
    };
    let mut events: Vec<_> = claim.decisions.into_iter().map(event).collect();
    if removed {
        events.push(Event::new(EventMask::TASK_REMOVED, now).task(record.id()));
    }
    Ok(events)
}
