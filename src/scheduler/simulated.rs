//! A scheduler for the simulation: machine, mailbox and handle are the real ones; what the driver would do is handed out as
//! [deeds](Deed), and time passes when the simulation says so.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::driver::answer;
use super::machine::{Action, Answer, Dispatch, Input, Machine, Retention, Terms};
use super::shared::Shared;
use super::{Scheduler, State};
use crate::clock::Clock;
use crate::executors::{DebugExecutor, Executor};
use crate::stores::{Store, StoreError};
use crate::task::{BoxFuture, Handler, Report, RunId, Ticket, in_words};

/// See the [module](self).
pub(crate) struct Simulated {
    machine: Machine,
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    log: Option<Log>,
}

/// What a driver would do.
pub(crate) enum Deed {
    /// Wait for a store's answer, and let it be [heard](Simulated::hear_answer).
    Ask(BoxFuture<Heard>),
    /// Execute runs.
    Start(Vec<(RunId, Ticket)>),
    /// Tell runs to stop.
    Cancel(Vec<Ticket>),
    /// Stop runs.
    Abort(Vec<Ticket>),
}

/// A store's answer.
pub(crate) struct Heard(Answer);

const STORE: &str = "default";
/// What the simulation compares must not be forgotten.
const KEEPS_ALL: Retention = Retention { keep_for: None, a_task: None };

impl Simulated {
    /// A scheduler that has one handler and has started on a store that has. Those with another `boot` give their runs other ids.
    pub(crate) fn start(
        boot: u64,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        store_retry_interval: Duration,
        handler: Handler,
    ) -> Self {
        let shared = Shared::named(boot);
        let terms = Terms { lease: store.lease(), ask_every: store.lease(), batch: store.batch() };
        shared.add_handler(handler);
        shared.setup().clock = clock.clone();
        let executor: Arc<dyn Executor> = Arc::new(DebugExecutor::new());
        let default = || Arc::from(STORE);
        shared.install(BTreeMap::from([(default(), executor)]), []);
        shared.insert_store(default(), store);
        shared.pending().take();
        shared.set_state(State::Running);
        let boot = !boot;
        let machine = Machine::new(boot, store_retry_interval, KEEPS_ALL);
        let mut simulated = Self { machine, shared, clock, log: None };
        simulated.log = Some(Log { boot, store_retry_interval, heard: Vec::new(), did: Digest::new() });
        simulated.hear(Input::StoreAdded(default(), terms));
        simulated.hear(Input::Resume);
        simulated
    }

    /// Keeps nothing for [`replays`](Self::replays).
    pub(crate) fn without_log(mut self) -> Self {
        self.log = None;
        self
    }

    /// The handle that its users hold.
    pub(crate) fn handle(&self) -> Scheduler {
        Scheduler::of(self.shared.clone())
    }

    /// What is to be done now, until there is nothing more.
    pub(crate) fn act(&mut self) -> Vec<Deed> {
        let (inputs, _busy) = self.shared.mailbox.take();
        for input in inputs {
            self.hear(input);
        }
        let now = self.clock.now();
        self.machine.handle_timeout(now);
        let mut actions = Vec::new();
        while let Some(action) = self.machine.poll_action() {
            actions.push(action);
        }
        if let Some(log) = &mut self.log {
            log.heard.push((now, Entry::Timeout));
            actions.iter().for_each(|action| log.did.note(action));
        }
        self.shared.note_progress(&self.machine);
        actions.into_iter().filter_map(|action| self.deed(action)).collect()
    }

    fn deed(&self, action: Action) -> Option<Deed> {
        Some(match action {
            Action::Ask(store, question) => {
                let answer = answer(self.shared.clone(), store, question);
                Deed::Ask(Box::pin(async move { Heard(answer.await) }))
            }
            Action::Dispatch(runs) => {
                Deed::Start(runs.iter().map(|Dispatch { run, ticket, .. }| (*run, *ticket)).collect())
            }
            Action::Cancel(runs) => Deed::Cancel(runs),
            Action::Abort(runs) => Deed::Abort(runs),
            // Nobody listens, and no store is removed.
            Action::Emit(_) | Action::Left(_) => return None,
        })
    }

    pub(crate) fn hear_answer(&mut self, heard: Heard) {
        self.hear(Input::Answer(STORE.into(), heard.0));
    }

    /// Runs have ended.
    pub(crate) fn hear_reports(&mut self, reports: Vec<Report>) {
        self.hear(Input::Ended(reports));
    }

    /// Another scheduler has changed tasks.
    pub(crate) fn hear_news(&mut self) {
        self.hear(Input::Changed(STORE.into()));
    }

    /// Nothing more is claimed, and nothing starts.
    pub(crate) fn stop(&mut self) {
        self.hear(Input::Stop);
    }

    /// The runs that go on are lost.
    pub(crate) fn give_up(&mut self) {
        self.hear(Input::GiveUp(BTreeMap::new()));
    }

    /// When to [act](Self::act) next.
    pub(crate) fn timeout(&self) -> Option<DateTime<Utc>> {
        self.machine.poll_timeout()
    }

    /// Whether it has a run, or writes its end.
    pub(crate) fn knows(&self, run: RunId) -> bool {
        self.machine.knows(run)
    }

    /// Whether nothing goes on: no claim, no run, no end to be written.
    pub(crate) fn is_quiet(&self) -> bool {
        self.machine.is_quiet()
    }

    fn hear(&mut self, input: Input) {
        let now = self.clock.now();
        if let Some(log) = &mut self.log {
            log.heard.push((now, Entry::Input(copy(&input))));
        }
        self.machine.handle(input, now);
    }

    /// Whether a machine that hears the same at the same instants does the same.
    pub(crate) fn replays(&mut self) -> bool {
        let Some(log) = self.log.take() else { return true };
        let mut machine = Machine::new(log.boot, log.store_retry_interval, KEEPS_ALL);
        let mut did = Digest::new();
        for (now, entry) in log.heard {
            match entry {
                Entry::Input(input) => machine.handle(input, now),
                Entry::Timeout => {
                    machine.handle_timeout(now);
                    while let Some(action) = machine.poll_action() {
                        did.note(&action);
                    }
                }
            }
        }
        did == log.did
    }
}

/// What a machine heard, and a digest of all it did.
struct Log {
    boot: u64,
    store_retry_interval: Duration,
    heard: Vec<(DateTime<Utc>, Entry)>,
    did: Digest,
}

enum Entry {
    Input(Input),
    /// The time was looked at, and actions were taken.
    Timeout,
}

/// A digest of all that can be seen of actions.
#[derive(PartialEq)]
struct Digest(u64);

impl Digest {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn note(&mut self, action: &Action) {
        // Writing to a digest can't fail.
        _ = write!(self, "{action:?}");
    }
}

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Ok(())
    }
}

fn copy(input: &Input) -> Input {
    match input {
        Input::StoreAdded(store, terms) => Input::StoreAdded(store.clone(), *terms),
        Input::StoreRemoved(store) => Input::StoreRemoved(store.clone()),
        Input::Changed(store) => Input::Changed(store.clone()),
        Input::BeginAt(begin) => Input::BeginAt(*begin),
        Input::Resume => Input::Resume,
        Input::Pause => Input::Pause,
        Input::ClaimedByHand(store, claim) => Input::ClaimedByHand(store.clone(), claim.clone()),
        Input::ClaimingByHand(run) => Input::ClaimingByHand(*run),
        Input::NotClaimedByHand(store, run) => Input::NotClaimedByHand(store.clone(), *run),
        Input::Cancel(run) => Input::Cancel(*run),
        Input::Ended(reports) => Input::Ended(reports.clone()),
        Input::Stop => Input::Stop,
        Input::GiveUp(started) => Input::GiveUp(started.clone()),
        Input::Answer(store, answer) => Input::Answer(store.clone(), copy_of_answer(answer)),
    }
}

fn copy_of_answer(answer: &Answer) -> Answer {
    match answer {
        Answer::FindDue(tasks) => Answer::FindDue(copy_of_result(tasks)),
        Answer::FindNextDue(due) => Answer::FindNextDue(copy_of_result(due)),
        Answer::Claim(claims, outcomes) => Answer::Claim(claims.clone(), copy_of_result(outcomes)),
        Answer::Finish(ends, outcomes) => Answer::Finish(ends.clone(), copy_of_result(outcomes)),
        Answer::Renew(asked_at, renewal) => Answer::Renew(*asked_at, copy_of_result(renewal)),
        Answer::TakeOver(claims, outcomes) => Answer::TakeOver(claims.clone(), copy_of_result(outcomes)),
        Answer::FindOpen(asked, open) => Answer::FindOpen(asked.clone(), copy_of_result(open)),
        Answer::Prune(pruned) => Answer::Prune(copy_of_result(pruned)),
    }
}

fn copy_of_result<T: Clone>(result: &Result<T, StoreError>) -> Result<T, StoreError> {
    match result {
        Ok(answer) => Ok(answer.clone()),
        Err(error) => Err(StoreError::new(in_words(error))),
    }
}
