//! From a setup to stores full of tasks, or one error that tells everything that is wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::runtime::Handle;

use super::machine::plan_missed;
use super::shared::Shared;
use crate::Error;
use crate::error::StartProblem;
use crate::events::{Event, EventMask};
use crate::executors::Executor;
use crate::panics::note_places;
use crate::stores::{ClaimOutcome, Edit, EditOutcome, Store, StoreError};
use crate::task::{Handler, Provided, Schedule, Task, TaskDefaults, TaskRecord, declared_tasks};
use crate::{TaskId, Zone};

/// What has started.
pub(super) struct Started {
    pub(super) stores: Vec<Arc<str>>,
    pub(super) events: Vec<Event>,
}

/// A setup with all its tasks, to be checked as a whole.
struct Plan {
    zone: Zone,
    now: DateTime<Utc>,
    defaults: TaskDefaults,
    provided: Provided,
    stores: BTreeMap<Arc<str>, Arc<dyn Store>>,
    executors: BTreeMap<Arc<str>, Arc<dyn Executor>>,
    problems: Vec<StartProblem>,
}

/// A task as it goes to its store.
struct Entry {
    store: Arc<str>,
    record: TaskRecord,
    replace: bool,
    declared: bool,
}

/// Starts executors and stores and puts the tasks in; what has started is stopped again where something fails.
pub(super) async fn start(shared: &Arc<Shared>, runtime: &Handle) -> Result<Started, Error> {
    note_places();
    let waiting =
        shared.pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take().unwrap_or_default();
    let started = prepare_and_open(shared, runtime, &waiting).await;
    let mut pending = shared.pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if started.is_err() {
        // It may be tried again.
        pending.get_or_insert_default().splice(0..0, waiting);
    }
    started
}

/// Stops executors and stores.
pub(super) async fn stop(shared: &Shared) {
    for executor in shared.executors().values() {
        executor.shutdown();
    }
    for (alias, store) in shared.stores() {
        if let Err(error) = store.shutdown().await {
            tracing::error!(target: "asyncz.stores", store = &*alias, %error, "the store did not close well");
        }
    }
    shared.pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert_default();
}

async fn prepare_and_open(
    shared: &Arc<Shared>,
    runtime: &Handle,
    waiting: &[Task],
) -> Result<Started, Error> {
    let (plan, handlers, entries) = prepare(shared, waiting)?;
    shared.install(plan.stores.clone(), plan.executors.clone(), handlers);
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

/// All tasks, checked.
fn prepare(shared: &Shared, waiting: &[Task]) -> Result<(Plan, Vec<Handler>, Vec<Entry>), Error> {
    let setup = shared.setup();
    let mut plan = Plan {
        zone: setup.zone,
        now: setup.clock.now(),
        defaults: setup.task_defaults.clone(),
        provided: setup.provided.clone(),
        stores: setup.stores.clone(),
        executors: setup.executors.clone(),
        problems: setup.mistakes.iter().map(StartProblem::configuration).collect(),
    };
    let declared = if setup.registry { declared_tasks() } else { Vec::new() };
    let declared = plan.chosen(declared, setup.only.as_deref());
    let found = declared.len() + setup.tasks.len();
    if found < setup.expect_tasks {
        plan.problem(format!(
            "expect_tasks({}): {found} found; a crate that nobody names is not linked: write `use its_name as _;`",
            setup.expect_tasks
        ));
    }
    if found + waiting.len() == 0 {
        tracing::warn!(target: "asyncz.scheduler", "no tasks: a crate that nobody names is not linked, write `use its_name as _;`");
    }
    let mut handlers = Vec::new();
    let mut entries = Vec::new();
    for task in &declared {
        plan.take(task, true, &mut handlers, &mut entries);
    }
    for task in setup.tasks.iter().chain(waiting) {
        plan.take(task, false, &mut handlers, &mut entries);
    }
    plan.refuse_doubles(&declared, &entries);
    match plan.problems.is_empty() {
        true => Ok((plan, handlers, entries)),
        false => Err(Error::Start { problems: plan.problems }),
    }
}

impl Plan {
    fn problem(&mut self, message: String) {
        self.problems.push(StartProblem::configuration(message));
    }

    /// The declared tasks that were asked for by their handlers' names.
    fn chosen(&mut self, declared: Vec<Task>, only: Option<&[String]>) -> Vec<Task> {
        let Some(only) = only else { return declared };
        for name in only {
            if !declared.iter().any(|task| task.handler.answers_to(name)) {
                let known: Vec<_> = declared.iter().map(|task| &*task.handler.name).collect();
                self.problem(format!("tasks([…]): no handler `{name}`; there are: {}", known.join(", ")));
            }
        }
        declared.into_iter().filter(|task| only.iter().any(|name| task.handler.answers_to(name))).collect()
    }

    /// Checks a task and makes it an entry of its store.
    fn take(&mut self, task: &Task, declared: bool, handlers: &mut Vec<Handler>, entries: &mut Vec<Entry>) {
        if !task.enabled {
            return;
        }
        for missing in task.handler.missing(&self.provided) {
            self.task_problem(
                task,
                format!("needs {missing}: give it with `AsynczConfig::state` or `provide`"),
            );
        }
        handlers.push(task.handler.clone());
        if declared && task.is_only_a_handler() {
            return;
        }
        let Some((store, _)) = self.stores.get_key_value(&*task.store) else {
            return self.task_problem(task, format!("there is no store `{}`", task.store));
        };
        let store = store.clone();
        if !self.executors.contains_key(&*task.executor) {
            return self.task_problem(task, format!("there is no executor `{}`", task.executor));
        }
        match task.record(declared, &self.defaults, self.now, &self.zone) {
            Ok(record) => {
                let replace = task.replace_existing.unwrap_or(declared);
                entries.push(Entry { store, record, replace, declared });
            }
            Err(mistake) => self.problems.push(StartProblem::new(task.label(), mistake.into_message())),
        }
    }

    fn task_problem(&mut self, task: &Task, message: String) {
        self.problems.push(StartProblem::new(task.label(), message));
    }

    /// Two declared tasks of one handler name, or two tasks of one id, are a mistake.
    fn refuse_doubles(&mut self, declared: &[Task], entries: &[Entry]) {
        for (first, second) in declared.iter().zip(declared.iter().skip(1)) {
            if first.handler.name == second.handler.name {
                self.task_problem(
                    second,
                    format!("its handler is declared twice, also at {}", first.label()),
                );
            }
        }
        let mut seen: BTreeMap<(&str, &TaskId), ()> = BTreeMap::new();
        let mut doubles = Vec::new();
        for entry in entries {
            let known = seen.insert((&entry.store, entry.record.id()), ()).is_some();
            if known && (entry.declared || !entry.replace) {
                doubles.push(entry.record.id().clone());
            }
        }
        for id in doubles {
            self.problems
                .push(StartProblem::new(format!("`{id}`"), "there are two tasks of this id".to_owned()));
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
        store.start().await.map_err(|source| Error::Store { store: alias.clone(), source })?;
        events.push(Event::new(EventMask::STORE_ADDED, plan.now).alias(alias));
    }
    for entry in entries {
        let store = &plan.stores[&entry.store];
        events.extend(put(shared, &**store, entry, plan.now).await?);
    }
    Ok(())
}

/// Puts one task in its store. An unchanged task keeps its place in time, its pause and its history.
async fn put(
    shared: &Shared,
    store: &dyn Store,
    entry: Entry,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, Error> {
    let Entry { store: alias, record, replace, declared } = entry;
    let failed = |source| Error::Store { store: alias.clone(), source };
    let event = |kind| Event::new(kind, now).alias(&alias).task(record.id());
    loop {
        let known = store.load(std::slice::from_ref(record.id())).await.map_err(failed)?.pop().flatten();
        let (edit, kind) = match &known {
            None => (Edit::Insert(record.clone()), EventMask::TASK_ADDED),
            Some(_) if !replace => {
                return Err(Error::ConflictId { id: record.id().clone(), store: alias.to_string() });
            }
            Some(known) => (Edit::Replace(replacement(known, &record)), EventMask::TASK_MODIFIED),
        };
        if store.put(&[edit]).await.map_err(failed)? != [EditOutcome::Done] {
            // Another scheduler was quicker: look again.
            continue;
        }
        let mut events = vec![event(kind)];
        let is_past =
            known.is_none() && declared && record.schedule.next_run_time.is_some_and(|due| due < now);
        if is_past {
            let missed = miss(shared, store, &record, now).await.map_err(failed)?;
            events.extend(missed.into_iter().map(|event| event.alias(&alias)));
        }
        return Ok(events);
    }
}

/// `new` in the place of `known`: where the trigger is the same, so is its place in time.
pub(super) fn replacement(known: &TaskRecord, new: &TaskRecord) -> TaskRecord {
    let version = known.schedule.version + 1;
    let same_trigger = known.definition.trigger_digest == new.definition.trigger_digest;
    if !same_trigger {
        let schedule = Schedule {
            version,
            generation: known.schedule.generation + 1,
            running: known.schedule.running,
            watermark: known.schedule.watermark,
            ..new.schedule
        };
        return TaskRecord { definition: new.definition.clone(), schedule, waiting: known.waiting.clone() };
    }
    let mut definition = (*new.definition).clone();
    // What was left open in the trigger was fixed when the task was first added.
    definition.trigger = known.definition.trigger.clone();
    let schedule = Schedule { version, ..known.schedule };
    TaskRecord { definition: Arc::new(definition), schedule, waiting: known.waiting.clone() }
}

/// Records a date that was past when its task was declared as missed.
async fn miss(
    shared: &Shared,
    store: &dyn Store,
    record: &TaskRecord,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, StoreError> {
    let Some(claim) = plan_missed(record, now, shared.run_id_by_hand()) else { return Ok(Vec::new()) };
    let outcome = store.claim(std::slice::from_ref(&claim)).await?;
    let [ClaimOutcome::Won { removed }] = outcome[..] else { return Ok(Vec::new()) };
    let mut events: Vec<_> =
        claim.entries.into_iter().map(|run| Event::new(EventMask::TASK_MISSED, now).run(run)).collect();
    if removed {
        events.push(Event::new(EventMask::TASK_REMOVED, now).task(record.id()));
    }
    Ok(events)
}
