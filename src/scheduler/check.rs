//! What is wrong with a setup and its tasks, all of it at once, before anything starts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::shared::Shared;
use crate::error::StartProblem;
use crate::executors::Executor;
use crate::stores::Store;
use crate::task::{Handler, Mistake, Provided, Task, TaskDefaults, TaskRecord, declared_tasks, digest_of};
use crate::{Error, TaskId, Zone};

/// A setup with all its tasks, to be checked as a whole.
pub(super) struct Plan {
    zone: Zone,
    pub(super) now: DateTime<Utc>,
    defaults: TaskDefaults,
    provided: Provided,
    /// Of the program.
    release: u64,
    pub(super) stores: BTreeMap<Arc<str>, Arc<dyn Store>>,
    pub(super) executors: BTreeMap<Arc<str>, Arc<dyn Executor>>,
    problems: Vec<StartProblem>,
    pub(super) ended: Vec<Ended>,
}

/// A declared task that is left out, as its trigger has ended.
pub(super) struct Ended {
    pub(super) store: Arc<str>,
    pub(super) id: TaskId,
    pub(super) trigger_digest: u64,
}

/// A task as it goes to its store.
pub(super) struct Entry {
    /// The task in messages.
    label: String,
    pub(super) store: Arc<str>,
    pub(super) record: TaskRecord,
    pub(super) replace: bool,
    pub(super) declared: bool,
}

/// All tasks, checked.
pub(super) fn prepare(shared: &Shared, waiting: &[Task]) -> Result<(Plan, Vec<Handler>, Vec<Entry>), Error> {
    let mut setup = shared.setup();
    setup.fill_in_defaults();
    let mut plan = Plan {
        zone: setup.zone,
        now: setup.clock.now(),
        defaults: setup.task_defaults.clone(),
        provided: setup.provided.clone(),
        stores: setup.guarded_stores(),
        release: setup.release,
        executors: setup.executors.clone(),
        problems: setup.mistakes.iter().map(StartProblem::configuration).collect(),
        ended: Vec::new(),
    };
    plan.problems.extend(setup.lock_mistake().map(StartProblem::configuration));
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
            (Ok(mut record), Some(store)) => {
                if let Some(definition) = Arc::get_mut(&mut record.definition) {
                    definition.release = self.release;
                }
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
        // It can be written: that was looked at before its end.
        let trigger_digest =
            task.trigger.as_deref().and_then(|given| digest_of(given).ok()).unwrap_or_default();
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
        let mut seen: HashMap<(&str, &TaskId), &Entry> = HashMap::with_capacity(entries.len());
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
