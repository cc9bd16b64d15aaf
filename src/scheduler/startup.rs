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
use crate::stores::{ClaimOutcome, Decision, Edit, EditOutcome, Store, StoreError};
use crate::task::{
    Handler, Mistake, Provided, Schedule, Task, TaskDefaults, TaskRecord, declared_tasks, digest_of,
};
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
    ended: Vec<Ended>,
}

/// A declared task that is left out, as its trigger has ended.
struct Ended {
    store: Arc<str>,
    id: TaskId,
    trigger_digest: u64,
}

/// A task as it goes to its store.
struct Entry {
    /// The task in messages.
    label: String,
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
        ended: Vec::new(),
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
        tracing::warn!(
            target: "asyncz.scheduler",
            "no tasks: a crate that nobody names is not linked, write `use its_name as _;`"
        );
    }
    let mut handlers = Vec::new();
    let mut entries = Vec::new();
    for task in &declared {
        plan.take(task, true, &mut handlers, &mut entries);
    }
    for task in &setup.tasks {
        // What a macro declared is the same task whether the registry brings it or a hand.
        plan.take(task, task.handler.location.is_some(), &mut handlers, &mut entries);
    }
    for task in waiting {
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
        let store = self.stores.get_key_value(&*task.store).map(|(alias, _)| alias.clone());
        if store.is_none() {
            self.task_problem(task, missing_alias("store", &task.store, self.stores.keys()));
        }
        if !self.executors.contains_key(&*task.executor) {
            self.task_problem(task, missing_alias("executor", &task.executor, self.executors.keys()));
        }
        if declared && task.is_only_a_handler() {
            // Without arguments they come when it is added.
            if !task.args.is_null()
                && let Err(rejection) = task.handler.check_args(&task.args)
            {
                self.task_problem(task, rejection.to_string());
            }
            return;
        }
        let record = task.record(declared, &self.defaults, self.now, &self.zone);
        match (record, store) {
            (Ok(_), None) => {}
            (Ok(record), Some(store)) => {
                let replace = task.replace_existing.unwrap_or(declared);
                entries.push(Entry { label: task.label(), store, record, replace, declared });
            }
            (Err(Mistake::Ended(why)), Some(store)) if declared => self.leave_out(task, &why, store),
            (Err(mistake), _) => self.mistaken(task, mistake),
        }
    }

    fn mistaken(&mut self, task: &Task, mistake: Mistake) {
        // The arguments are looked at after the options.
        if let (Mistake::Option(_), Err(rejection)) = (&mistake, task.handler.check_args(&task.args)) {
            self.task_problem(task, rejection.to_string());
        }
        self.task_problem(task, mistake.into_message());
    }

    /// A deploy after a task's last instant is a start like any other.
    fn leave_out(&mut self, task: &Task, why: &str, store: Arc<str>) {
        let label = task.label();
        tracing::warn!(target: "asyncz.scheduler", task = label, "the task is left out: {why}");
        let id = task.id.clone().unwrap_or_else(|| task.handler.name.clone().into());
        let trigger_digest = task.trigger.as_deref().map_or(0, digest_of);
        self.ended.push(Ended { store, id, trigger_digest });
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
        let mut seen: BTreeMap<(&str, &TaskId), &Entry> = BTreeMap::new();
        let mut doubles = Vec::new();
        for entry in entries {
            let id = entry.record.id();
            let Some(first) = seen.insert((&entry.store, id), entry) else { continue };
            // Where it comes from the handler's name, that has been told.
            let told = first.label != entry.label && told_of_handler(declared, id.as_str());
            if (entry.declared || !entry.replace) && !told {
                let message = format!("there are two tasks of this id, also {}", first.label);
                doubles.push(StartProblem::new(entry.label.clone(), message));
            }
        }
        self.problems.extend(doubles);
    }
}

/// Whether two declared functions have this handler's name.
fn told_of_handler(declared: &[Task], name: &str) -> bool {
    declared.iter().filter(|task| &*task.handler.name == name).count() > 1
}

fn missing_alias<'a>(kind: &str, alias: &str, known: impl Iterator<Item = &'a Arc<str>>) -> String {
    let known: Vec<_> = known.map(|known| &**known).collect();
    format!("there is no {kind} `{alias}`; there are: {}", known.join(", "))
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
    for ended in &plan.ended {
        events.extend(forget(&*plan.stores[&ended.store], ended, plan.now).await?);
    }
    for entry in entries {
        let store = &plan.stores[&entry.store];
        events.extend(put(shared, &**store, entry, plan.now).await?);
    }
    Ok(())
}

/// Removes a task that was given a trigger which has ended. One whose trigger is the same stays: what was due while nobody
/// was there is decided, and then it goes by itself.
async fn forget(store: &dyn Store, ended: &Ended, now: DateTime<Utc>) -> Result<Option<Event>, Error> {
    let Ended { store: alias, id, trigger_digest } = ended;
    let failed = |source| Error::Store { store: alias.clone(), source };
    let known = store.load(std::slice::from_ref(id)).await.map_err(failed)?.pop().flatten();
    if known.is_none_or(|known| known.definition.trigger_digest == *trigger_digest) {
        return Ok(None);
    }
    store.put(&[Edit::Delete(id.clone())]).await.map_err(failed)?;
    Ok(Some(Event::new(EventMask::TASK_REMOVED, now).alias(alias).task(id)))
}

/// Puts one task in its store. An unchanged task keeps its place in time, its pause and its history.
async fn put(
    shared: &Shared,
    store: &dyn Store,
    entry: Entry,
    now: DateTime<Utc>,
) -> Result<Vec<Event>, Error> {
    let Entry { store: alias, record, replace, declared, label: _ } = entry;
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
        return TaskRecord {
            definition: new.definition.clone(),
            schedule,
            waiting: known.waiting.clone(),
            key: known.key,
        };
    }
    let mut definition = (*new.definition).clone();
    // What was left open in the trigger was fixed when the task was first added.
    definition.trigger = known.definition.trigger.clone();
    let schedule = Schedule { version, ..known.schedule };
    TaskRecord { definition: Arc::new(definition), schedule, waiting: known.waiting.clone(), key: known.key }
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
