//! Carries out what the machine decides, on a thread of its own.
//!
//! It is no task of the application's runtime, so that a handler that blocks a worker can't hold it back (a task in
//! tokio's LIFO slot can't be stolen).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rustc_hash::FxHashMap;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::Level;

use super::lock;
use super::machine::{Action, Answer, Dispatch, Input, KnownRuns, Machine, OpenRuns, Question};
use super::shared::Shared;
use crate::clock::{Busy, Clock, after};
use crate::events::Event;
use crate::executors::Job;
use crate::log::{Line, Target};
use crate::panics::catching;
use crate::stores::{Beat, Query, RunFilter, Store, StoreError};
use crate::task::{Batch, BoxFuture, Call, NodeId, Run, Surroundings, Ticket};

/// Clocks that differ by more are told of.
const MOST_SKEW: TimeDelta = TimeDelta::seconds(1);

/// How many runs that are over are kept.
const RUNS_KEPT: usize = 1_000;

/// The loop between the machine and the world.
pub(super) struct Driver {
    pub(super) machine: Machine,
    pub(super) shared: Arc<Shared>,
    surroundings: Surroundings,
    clock: Arc<dyn Clock>,
    /// Where stores that don't answer at once do their work.
    runtime: Handle,
    /// Questions that stores have not answered yet.
    asked: JoinSet<(Arc<str>, Answer, Busy)>,
    /// Removed stores that are needed no more.
    left: Vec<Arc<str>>,
    /// Runs that are over: new ones take their places in memory.
    over: Vec<Run>,
    /// The clock of tests stands still while the driver does anything but sleep.
    busy: Busy,
}

impl Driver {
    pub(super) fn new(
        machine: Machine,
        shared: Arc<Shared>,
        surroundings: Surroundings,
        runtime: Handle,
    ) -> Self {
        let clock = surroundings.clock.clone();
        let busy = clock.busy();
        Self {
            machine,
            shared,
            surroundings,
            clock,
            runtime,
            asked: JoinSet::new(),
            left: Vec::new(),
            over: Vec::new(),
            busy,
        }
    }

    /// Does all there is to do now, then waits for one thing to happen and hears of it.
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn step(&mut self) {
        let has_acted = self.act();
        let now = self.clock.now();
        let mut timeout = self.machine.poll_timeout().unwrap_or(DateTime::<Utc>::MAX_UTC);
        let gathers = has_acted && !self.clock.granularity().is_zero();
        if gathers {
            // What comes in between waits for the tick: mail and what falls due.
            timeout = next_tick(now, self.clock.granularity());
        }
        if timeout <= now {
            return;
        }
        let shared = self.shared.clone();
        tokio::select! {
            () = shared.mailbox.came(), if !gathers => {}
            Some(answered) = self.asked.join_next() => {
                // A question can't panic: `answer` catches that.
                if let Ok((store, answer, _busy)) = answered {
                    self.hear(Input::Answer(store, answer));
                }
            }
            // After each wake the clock decides, not the timer.
            () = self.busy.asleep(self.clock.sleep_until(timeout)) => {}
        }
    }

    /// Lets the machine decide, and does what it says, until it has nothing more to say.
    ///
    /// Answers whether there was something to do.
    pub(super) fn act(&mut self) -> bool {
        self.machine.make_events(self.shared.heard_events());
        let (inputs, _busy) = self.shared.mailbox.take();
        let mut has_acted = !inputs.is_empty();
        for input in inputs {
            self.hear(input);
            self.do_all();
        }
        self.machine.handle_timeout(self.clock.now());
        has_acted |= self.do_all();
        self.shared.note_progress(&self.machine);
        // Whoever waited for it finds all of it told and counted.
        self.left.drain(..).for_each(|store| self.shared.leaving.has_left(&store));
        has_acted
    }

    /// Does what the machine says, until it has nothing more to say; answers whether it said something.
    fn do_all(&mut self) -> bool {
        let mut has_acted = false;
        while let Some(action) = self.machine.poll_action() {
            has_acted = true;
            match action {
                Action::Ask(store, question) => self.ask(store, question),
                Action::Dispatch(runs) => {
                    self.dispatch(runs);
                    // Those that have ended meanwhile were dispatched a moment ago: all there is of them is still in the
                    // processor's caches. After the whole herd it would not be, and each end would cost twice as much.
                    for reports in self.shared.mailbox.take_reports() {
                        self.hear(Input::Ended(reports));
                    }
                }
                Action::Cancel(runs) => self.with_live(&runs, |run| run.live().cancel()),
                Action::Abort(runs) => self.with_live(&runs, |run| run.live().abort()),
                Action::Emit(event) => self.emit(&event),
                Action::Left(store) => self.left.push(store),
            }
        }
        has_acted
    }

    pub(super) fn hear(&mut self, input: Input) {
        if let Input::Answer(store, answer) = &input
            && answer.is_ok()
        {
            self.shared.health.note_answer(store);
        }
        if let Input::Answer(store, Answer::Renew(_, Ok(renewal))) = &input {
            self.shared.health.note_nodes(store, &renewal.nodes);
            self.warn_of_skew(store, renewal.now);
        }
        if let Input::Ended(reports) = &input {
            let mut live = self.shared.live();
            let over = reports.iter().filter_map(|report| live.remove(report.ticket, report.run));
            self.over.extend(over.take(RUNS_KEPT.saturating_sub(self.over.len())));
        }
        if let Input::Stop = input {
            self.shared.locks.note_end();
        }
        self.machine.handle(input, self.clock.now());
    }

    pub(super) fn emit(&self, event: &Event) {
        self.shared.emit(event);
    }

    /// The store's clock decides: one far from ours makes what is seen here look early or late.
    fn warn_of_skew(&self, store: &Arc<str>, told: Option<DateTime<Utc>>) {
        let Some(skew) = told.map(|told| told - self.clock.now()) else { return };
        if self.shared.health.note_skew(store, skew.abs() > MOST_SKEW) {
            let ahead = skew.num_milliseconds();
            let message = format!("the store's clock is {ahead} ms ahead of ours: set one of them");
            self.shared.log_line(Level::WARN, Target::Store(store), &message, Line::default());
        }
    }

    /// Puts a question to a store. An answer that is there at once, as a store in memory gives it, is heard at once.
    fn ask(&mut self, alias: Arc<str>, question: Question) {
        let mut answer: BoxFuture<Answer> = match self.shared.locks.stands_by(&alias) {
            true => Box::pin(lock::answer(self.shared.clone(), alias.clone(), question)),
            false => Box::pin(answer(self.shared.clone(), alias.clone(), question)),
        };
        match Pin::new(&mut answer).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => self.hear(Input::Answer(alias, answer)),
            Poll::Pending => {
                let busy = self.clock.busy();
                self.asked.spawn_on(async move { (alias, answer.await, busy) }, &self.runtime);
            }
        }
    }

    fn with_live(&self, runs: &[Ticket], act: impl Fn(&Run)) {
        let live = self.shared.live();
        runs.iter().filter_map(|run| live.get(*run)).for_each(act);
    }

    /// Hands runs to their executors.
    fn dispatch(&mut self, runs: Vec<Dispatch>) {
        let mut calls = Calls::default();
        let call_of: Vec<_> =
            runs.iter().map(|run| calls.find(&run.definition.handler, &self.shared)).collect();
        let batch = Arc::new(Batch::new(self.surroundings.clone(), calls.found));
        let mut jobs: Vec<(Arc<str>, Vec<Job>)> = Vec::new();
        let most = runs.len();
        {
            let mut live = self.shared.live();
            for (Dispatch { definition, run, ticket, occurrence }, call) in runs.into_iter().zip(call_of) {
                let executor = &definition.executor;
                let at = jobs.iter().position(|(alias, _)| is_same(alias, executor)).unwrap_or_else(|| {
                    jobs.push((executor.clone(), Vec::with_capacity(most)));
                    jobs.len() - 1
                });
                let run =
                    Run::new(definition, occurrence, (run, ticket), batch.clone(), call, self.over.pop());
                live.insert(ticket, run.clone());
                jobs[at].1.push(Job::new(run));
            }
        }
        for (alias, jobs) in jobs {
            self.submit(&alias, jobs);
        }
    }

    fn submit(&self, alias: &str, jobs: Vec<Job>) {
        let Some(executor) = self.shared.executor(alias) else {
            return jobs.into_iter().for_each(|job| job.refuse(format!("there is no executor `{alias}`")));
        };
        if let Err(panic) = catching(|| executor.submit(jobs)) {
            let message = format!("the executor {panic}");
            self.shared.log_line(Level::ERROR, Target::Executor(alias), &message, Line::default());
        }
    }
}

/// The next instant at which a clock of this granularity ticks.
///
/// Runs that were started together end one soon after the other, and where there are thousands of tasks something is due all
/// the time: whoever has just done something waits for a tick before he does more. Whoever had nothing to do is on time.
/// Ticks stand where occurrences are due, on whole milliseconds, so that one wake-up serves both.
fn next_tick(now: DateTime<Utc>, granularity: Duration) -> DateTime<Utc> {
    let tick = i64::try_from(granularity.as_micros()).unwrap_or(i64::MAX).max(1);
    let into_tick = now.timestamp_micros().rem_euclid(tick);
    after(now, Duration::from_micros((tick - into_tick).unsigned_abs()))
}

/// Whether two names are the same: mostly they are in one place, too.
fn is_same(one: &Arc<str>, other: &Arc<str>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}

/// The handlers of a batch, each found once.
#[derive(Default)]
struct Calls {
    found: Vec<Call>,
    /// By the place of the name in memory: most tasks share their names with their handlers.
    known: FxHashMap<*const str, Option<u32>>,
    /// The last one that was asked for: tasks of one handler often come in a row.
    last: Option<(*const str, Option<u32>)>,
}

impl Calls {
    /// The number of a handler in the batch; `None`: it is not in this program.
    fn find(&mut self, name: &Arc<str>, shared: &Shared) -> Option<u32> {
        let place = Arc::as_ptr(name);
        if let Some((_, call)) = self.last.filter(|(last, _)| std::ptr::eq(*last, place)) {
            return call;
        }
        let call = *self.known.entry(place).or_insert_with(|| {
            let handler = shared.handler(name)?;
            self.found.push(handler.call);
            u32::try_from(self.found.len() - 1).ok()
        });
        self.last = Some((place, call));
        call
    }
}

/// A store's answer to a question of this scheduler.
pub(super) async fn answer(shared: Arc<Shared>, alias: Arc<str>, question: Question) -> Answer {
    let store = shared.store_of_driver(&alias).ok_or_else(|| StoreError::new("the store was removed"));
    let (by, handlers) = (shared.node_id(), shared.handlers());
    match question {
        Question::FindDue { now, limit } => {
            Answer::FindDue(async { store?.query(Query::Due { now, limit, handlers }).await }.await)
        }
        Question::FindNextDue => Answer::FindNextDue(async { store?.next_due(by, &handlers).await }.await),
        Question::Claim(claims) => {
            let outcomes = async { store?.claim(by, &claims).await }.await;
            Answer::Claim(claims, outcomes)
        }
        Question::Finish(ends) => {
            let outcomes = async { store?.finish(by, &ends).await }.await;
            Answer::Finish(ends, outcomes)
        }
        Question::Renew { now, lease, skew, limit } => {
            let beat = Beat { node: shared.node(), lease, now, skew, handlers, limit };
            Answer::Renew(now, async { store?.renew(&beat).await }.await)
        }
        Question::TakeOver(claims) => {
            let outcomes = async { store?.claim(by, &claims).await }.await;
            Answer::TakeOver(claims, outcomes)
        }
        Question::FindOpen(known) => {
            let open = async { find_open(&*store?, by, &known).await }.await;
            Answer::FindOpen(known, open)
        }
        Question::Prune(prune) => Answer::Prune(async { store?.prune(&prune).await }.await),
    }
}

/// The runs that a store has as this scheduler's; with those that it does not know come their tasks.
async fn find_open(store: &dyn Store, by: NodeId, known: &KnownRuns) -> Result<OpenRuns, StoreError> {
    let ids = known.ids();
    let mut open = OpenRuns::default();
    let mut strays = Vec::new();
    for run in store.runs(&RunFilter::open_of(by)).await? {
        match ids.contains(&run.id) {
            true => drop(open.known.insert(run.id)),
            false => strays.push(run),
        }
    }
    let tasks: Vec<_> = strays.iter().map(|run| run.task.clone()).collect();
    let tasks = if tasks.is_empty() { Vec::new() } else { store.load(&tasks).await? };
    // One whose task was deleted ends with the lease.
    open.strays = strays.into_iter().zip(tasks).filter_map(|(run, task)| Some((run, task?))).collect();
    Ok(open)
}
