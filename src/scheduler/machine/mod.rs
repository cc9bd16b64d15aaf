//! The pure core: it decides, and does nothing itself. No async, no clock, no I/O, no lock, no hash order: equal inputs
//! give equal actions.
//!
//! The driver calls [`handle`](Machine::handle) with what happened and [`handle_timeout`](Machine::handle_timeout) when
//! the time of [`poll_timeout`](Machine::poll_timeout) has come, and does what [`poll_action`](Machine::poll_action)
//! gives. A call too many never harms.
//!
//! Each store has a desk, where one cycle at a time goes round: find what is due, plan, claim, dispatch what was won,
//! find out when the next is due, sleep.

mod action;
mod counts;
mod desk;
mod due;
mod ending;
mod input;
mod lease;
mod overlap;
mod plan;
mod recover;
mod running;
mod sharing;
mod waits;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::after;
use crate::events::{Event, EventMask};
use crate::stores::{
    Claim, ClaimOutcome, Decision, Finish, FinishOutcome, Found, NextDue, Retry, RunEnd, StoreError, Then,
};
use crate::task::{
    Count, Ended, Occurrence, Overlap, Report, RunId, RunStatus, StoreKey, TaskDefinition, Ticket, Waiting,
};

pub(crate) use action::{Action, Dispatch, KnownRuns, Question};
pub use counts::RunCounts;
pub(crate) use desk::Terms;
pub(crate) use input::{Answer, Input, OpenRuns};
pub(crate) use plan::{plan_by_hand, plan_missed};
pub(crate) use sharing::Retention;

use desk::{Desk, StartTerms};
use running::{Running, RunningRuns};
use waits::start_of;

/// From the cancellation of a run to its abort.
pub(crate) const ABORT_GRACE: Duration = Duration::from_secs(2);

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Machine {
    run_ids: RunIds,
    /// The last time that was heard.
    heard_at: Option<DateTime<Utc>>,
    /// Nothing will start any more.
    is_stopping: bool,
    store_retry_interval: Duration,
    retention: Retention,
    /// When deciding began; `None`: paused or stopping.
    deciding_since: Option<DateTime<Utc>>,
    /// When deciding begins.
    begins_at: Option<DateTime<Utc>>,
    desks: BTreeMap<Arc<str>, Desk>,
    running: RunningRuns,
    /// Runs that users are claiming.
    claiming: BTreeSet<RunId>,
    /// Claimed runs that start later: jitter holds them back, or they try again what failed.
    delayed: BTreeMap<(DateTime<Utc>, RunId), Dispatch>,
    /// When runs that were told to stop are aborted.
    aborts: BTreeSet<(DateTime<Utc>, RunId, Ticket)>,
    actions: VecDeque<Action>,
    /// The kinds of events that somebody hears: no others are made.
    heard: EventMask,
    counts: RunCounts,
}

/// Names runs, one unlike the other.
#[derive(Debug)]
struct RunIds {
    boot: u64,
    so_far: u64,
}

impl RunIds {
    fn next(&mut self) -> RunId {
        self.so_far += 1;
        RunId::new(self.boot, self.so_far)
    }
}

impl Machine {
    /// A machine that decides nothing yet. `boot` tells its runs from those of all other schedulers.
    pub(crate) fn new(boot: u64, store_retry_interval: Duration, retention: Retention) -> Self {
        Self {
            run_ids: RunIds { boot, so_far: 0 },
            heard_at: None,
            is_stopping: false,
            store_retry_interval,
            retention,
            deciding_since: None,
            begins_at: None,
            desks: BTreeMap::new(),
            running: RunningRuns::default(),
            claiming: BTreeSet::new(),
            delayed: BTreeMap::new(),
            aborts: BTreeSet::new(),
            actions: VecDeque::new(),
            heard: EventMask::all(),
            counts: RunCounts::default(),
        }
    }

    /// Hears what happened.
    pub(crate) fn handle(&mut self, input: Input, now: DateTime<Utc>) {
        self.notice(now);
        match input {
            Input::StoreAdded(store, terms) => {
                self.desks.insert(store.clone(), Desk::new(terms, now));
                self.look(&store);
            }
            Input::StoreRemoved(store) => self.leave(&store, now),
            Input::Changed(store) => self.look(&store),
            Input::BeginAt(begin) => self.begins_at = Some(begin),
            Input::Resume => self.begin(now),
            Input::Pause => {
                self.deciding_since = None;
                self.begins_at = None;
            }
            Input::Stop => self.stop(now),
            Input::ClaimingByHand(run) => _ = self.claiming.insert(run),
            Input::ClaimedByHand(store, claim) => self.dispatch_claimed(&store, *claim, now),
            Input::NotClaimedByHand(store, run) => {
                self.claiming.remove(&run);
                if let Some(desk) = self.desks.get_mut(&store) {
                    desk.doubt(now);
                }
            }
            Input::Cancel(run) => self.cancel(run, now),
            Input::Ended(reports) => reports.into_iter().for_each(|report| self.end(report)),
            Input::GiveUp(started) => self.give_up(now, &started),
            Input::Answer(store, answer) => self.answer(&store, answer, now),
        }
    }

    /// Makes only events of these kinds from now on.
    pub(crate) fn make_events(&mut self, heard: EventMask) {
        self.heard = heard;
    }

    /// Starts what is due by `now`.
    pub(crate) fn handle_timeout(&mut self, now: DateTime<Utc>) {
        self.notice(now);
        self.abort_due(now);
        if self.begins_at.is_some_and(|begin| begin <= now) {
            self.begin(now);
        }
        self.ask_beside(now);
        let deciding = self.deciding_since.is_some();
        if deciding {
            self.release(now);
        }
        for (store, desk) in &mut self.desks {
            desk.finish_after = desk.finish_after.filter(|at| *at > now);
            if deciding && desk.start_cycle(now) {
                let question = Question::FindDue { now: desk.time(now), limit: desk.batch };
                self.actions.push_back(Action::Ask(store.clone(), question));
            }
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called next.
    pub(crate) fn poll_timeout(&self) -> Option<DateTime<Utc>> {
        let deciding = self.deciding_since.is_some();
        let desks =
            self.desks.values().flat_map(|desk| [desk.timeout().filter(|_| deciding), desk.other_timeout()]);
        let released = self.delayed.iter().find(|(_, run)| self.may_start(run)).map(|((at, _), _)| *at);
        let abort = self.aborts.first().map(|(at, ..)| *at);
        desks.chain([released.filter(|_| deciding), abort, self.begins_at]).flatten().min()
    }

    /// The next thing to do.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        // Ends wait until everything that was heard is heard, so that many go in one question. But while more and more is due
        // there is no such moment, and what has ended would take its task's place from what is due next.
        let has_nothing_else = self.actions.is_empty();
        for (store, desk) in &mut self.desks {
            if (has_nothing_else || desk.ends.len() >= desk.batch)
                && let Some(ends) = desk.start_finishing()
            {
                self.actions.push_back(Action::Ask(store.clone(), Question::Finish(ends)));
            }
        }
        if has_nothing_else {
            self.let_leave();
        }
        self.actions.pop_front()
    }

    /// Whether something may still be claimed: it decides, or a claim is being written.
    pub(crate) fn is_deciding(&self) -> bool {
        self.deciding_since.is_some() || self.desks.values().any(Desk::is_in_cycle)
    }

    /// Whether nothing goes on: no claim, no run, no end to be written.
    pub(crate) fn is_quiet(&self) -> bool {
        self.running.is_empty() && self.desks.values().all(Desk::is_quiet)
    }

    /// Whether a run is going on, or may be as far as questions go that are not answered yet.
    #[cfg(feature = "testing")]
    pub(crate) fn knows(&self, run: RunId) -> bool {
        self.running.find(run).is_some() || !self.desks.values().all(Desk::is_quiet)
    }

    /// The runs that are going on.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    fn begin(&mut self, now: DateTime<Utc>) {
        self.begins_at = None;
        self.deciding_since.get_or_insert(now);
    }

    /// What became of occurrences so far.
    pub(crate) fn counts(&self) -> RunCounts {
        self.counts
    }

    /// Dispatches the claimed runs whose time has come.
    fn release(&mut self, now: DateTime<Utc>) {
        let held_back = self.delayed.split_off(&(now, RunId::LAST));
        let mut released = Vec::new();
        for (place, run) in std::mem::replace(&mut self.delayed, held_back) {
            match self.may_start(&run) {
                true => released.push(run),
                false => drop(self.delayed.insert(place, run)),
            }
        }
        self.dispatch(released);
    }

    /// Whether a run that was won a while ago is still ours, as far as we know.
    fn may_start(&self, run: &Dispatch) -> bool {
        let store = self.running.store_of(run.ticket);
        store.and_then(|store| self.desks.get(store)).is_some_and(Desk::may_start)
    }

    /// Finds out anew when the store's next task is due.
    fn look(&mut self, store: &Arc<str>) {
        if let Some(desk) = self.desks.get_mut(store)
            && desk.start_looking()
        {
            self.actions.push_back(Action::Ask(store.clone(), Question::FindNextDue));
        }
    }

    fn answer(&mut self, store: &Arc<str>, answer: Answer, now: DateTime<Utc>) {
        let failed = match answer {
            Answer::FindDue(Ok(found)) => return self.plan(store, found, now),
            Answer::FindNextDue(Ok(due)) => return self.rest(store, &due, now),
            Answer::Claim(claims, Ok(outcomes)) => return self.won(store, claims, &outcomes, now),
            Answer::Finish(ends, Ok(outcomes)) => return self.finished(store, ends, &outcomes, now),
            Answer::Claim(_, Err(error)) => {
                // It may be written all the same.
                let again = after(now, self.store_retry_interval);
                self.desk(store).doubt(again);
                self.desk(store).break_cycle(again);
                error
            }
            Answer::FindDue(Err(error)) | Answer::FindNextDue(Err(error)) => {
                let again = after(now, self.store_retry_interval);
                self.desk(store).break_cycle(again);
                error
            }
            Answer::Finish(ends, Err(error)) if self.is_leaving(store) => {
                self.desk(store).is_finishing = false;
                ends.iter().for_each(|finish| self.tell_end(store, finish, now));
                error
            }
            Answer::Finish(ends, Err(error)) => {
                let again = after(now, self.store_retry_interval);
                self.desk(store).finish_again(ends, again);
                error
            }
            beside => match self.answer_beside(store, beside, now) {
                Ok(()) => return,
                Err(error) => error,
            },
        };
        self.store_failed(store, &failed, now);
    }

    /// Decides what is due.
    fn plan(&mut self, store: &Arc<str>, found: Found, now: DateTime<Utc>) {
        let Found { tasks, now: told, unreadable } = found;
        self.tell_unreadable(store, unreadable, now);
        let deciding_since = self.deciding_since.filter(|_| !self.is_leaving(store));
        let desk = self.desk(store);
        desk.note_time(told, now);
        let Some(since) = deciding_since else { return desk.break_cycle(now) };
        let (since, at) = (desk.time(since), told.unwrap_or(now));
        let mut run_id = || self.run_ids.next();
        let mut claims = Vec::with_capacity(tasks.len());
        for task in tasks {
            plan::plan(task, at, since, &mut run_id, &mut claims);
        }
        let question = if claims.is_empty() { Question::FindNextDue } else { Question::Claim(claims) };
        self.ask(store, question);
    }

    /// Dispatches what was won, and goes on where there may be more.
    fn won(&mut self, store: &Arc<str>, claims: Vec<Claim>, outcomes: &[ClaimOutcome], now: DateTime<Utc>) {
        let more = claims.len() >= self.desk(store).batch || outcomes.contains(&ClaimOutcome::Lost);
        self.carry_out_won(store, &claims, outcomes, now);
        if self.is_leaving(store) {
            self.desk(store).break_cycle(now);
            return self.leave(store, now);
        }
        let desk = self.desk(store);
        let question = match more && desk.lease.is_held() && self.deciding_since.is_some() {
            true => Question::FindDue { now: self.desk(store).time(now), limit: self.desk(store).batch },
            false => Question::FindNextDue,
        };
        self.actions.push_back(Action::Ask(store.clone(), question));
    }

    fn carry_out_won(
        &mut self,
        store: &Arc<str>,
        claims: &[Claim],
        outcomes: &[ClaimOutcome],
        now: DateTime<Utc>,
    ) {
        let terms = self.desk(store).start_terms();
        let mut dispatched = Vec::with_capacity(claims.len());
        for (claim, outcome) in claims.iter().zip(outcomes) {
            let ClaimOutcome::Won { removed } = outcome else { continue };
            self.carry_out(store, claim, terms, &mut dispatched, now);
            if *removed {
                let event = Event::new(EventMask::TASK_REMOVED, now).alias(store);
                self.emit(event.task(&claim.definition.id));
            }
        }
        self.dispatch(dispatched);
        if outcomes.contains(&ClaimOutcome::Lapsed) {
            self.desk(store).lease.lose(now);
        }
    }

    /// What a user's claim has won runs at once.
    fn dispatch_claimed(&mut self, store: &Arc<str>, claim: Claim, now: DateTime<Utc>) {
        for decision in &claim.decisions {
            self.claiming.remove(&decision.run);
        }
        // Claimed a moment before its store was removed: there is nobody to write its end.
        if !self.desks.contains_key(store) {
            return;
        }
        let terms = self.desk(store).start_terms();
        let mut dispatched = Vec::with_capacity(1);
        self.carry_out(store, &claim, terms, &mut dispatched, now);
        self.dispatch(dispatched);
    }

    /// Carries out the decisions of a claim that was won.
    fn carry_out(
        &mut self,
        store: &Arc<str>,
        claim: &Claim,
        terms: StartTerms,
        dispatched: &mut Vec<Dispatch>,
        now: DateTime<Utc>,
    ) {
        let Claim { definition, decisions, .. } = claim;
        if decisions.iter().any(|decision| decision.status == RunStatus::Queued) {
            self.make_room(store, definition, now);
        }
        for decision in decisions {
            let Decision { run, occurrence, occurrences, status, starts_at, reason } = decision;
            if *status != RunStatus::Claimed {
                self.counts.note(*status, *occurrences);
                self.tell(store, definition, *run, occurrence, *status, now, |event| {
                    event.count = occurrences.at_least.into();
                    event.error.clone_from(reason);
                });
                continue;
            }
            let what = Waiting { run: *run, occurrence: *occurrence, starts_at: *starts_at };
            let dispatch = self.submit(store, (claim.key, definition), what, now);
            match terms.our_time(start_of(occurrence, *starts_at, definition)) {
                // What runs at the stop itself does not wait.
                start if (start > now || !terms.may_start) && !self.is_stopping => {
                    drop(self.delayed.insert((start, dispatch.run), dispatch))
                }
                _ => dispatched.push(dispatch),
            }
        }
    }

    fn dispatch(&mut self, runs: Vec<Dispatch>) {
        if !runs.is_empty() {
            self.actions.push_back(Action::Dispatch(runs));
        }
    }

    /// Makes room for what has begun to wait, where the task's overlap says so.
    fn make_room(&mut self, store: &Arc<str>, definition: &TaskDefinition, now: DateTime<Utc>) {
        let of_task = |running: &Running| running.store == *store && running.definition.id == definition.id;
        let others = self.running.iter().filter(|(_, run)| of_task(run));
        match definition.rules.overlap {
            Overlap::CancelOther => {
                let others: Vec<_> = others.map(|(_, run)| run.run).collect();
                others.into_iter().for_each(|run| self.cancel(run, now));
            }
            Overlap::AbortOther => {
                let others = others.map(|(ticket, _)| ticket).collect();
                self.actions.push_back(Action::Abort(others));
            }
            Overlap::Skip | Overlap::Queue | Overlap::QueueAll | Overlap::Allow => {}
        }
    }

    /// Sleeps until the next task is due.
    fn rest(&mut self, store: &Arc<str>, next: &NextDue, now: DateTime<Utc>) {
        let desk = self.desk(store);
        desk.note_time(next.now, now);
        let at = next.at.map(|at| desk.our_time(at));
        if desk.end_cycle(at) {
            self.look(store);
        }
        for run in &next.cancelled {
            // It is told once; who wants it to be cancelled may be told again and again.
            if !self.aborts.iter().any(|(_, known, _)| known == run) {
                self.cancel(*run, now);
            }
        }
    }

    /// Notes a run as going on.
    fn submit(
        &mut self,
        store: &Arc<str>,
        (key, definition): (StoreKey, &Arc<TaskDefinition>),
        what: Waiting,
        now: DateTime<Utc>,
    ) -> Dispatch {
        let Waiting { run, occurrence, starts_at } = what;
        self.counts.submitted += 1;
        self.tell(store, definition, run, &occurrence, RunStatus::Claimed, now, |_| {});
        let (store, definition) = (store.clone(), definition.clone());
        let running = Running { store, key, definition: definition.clone(), run, occurrence, starts_at };
        let ticket = self.running.insert(running);
        Dispatch { definition, run, ticket, occurrence }
    }

    /// A run has ended: to be written. A report of a run that is over already changes nothing.
    fn end(&mut self, report: Report) {
        let Some(running) = self.running.remove(report.ticket, report.run) else { return };
        let is_unstarted = matches!(report.ended, Ended::Unstarted(_));
        let (status, value, error) = match report.ended {
            Ended::Returned(Ok(value)) => (RunStatus::Succeeded, value, None),
            Ended::Returned(Err(error)) | Ended::Panicked(error) | Ended::Refused(error) => {
                (RunStatus::Failed, None, Some(error))
            }
            Ended::Aborted(reason) | Ended::Unstarted(reason) => (RunStatus::Cancelled, None, Some(reason)),
        };
        let Report { started_at, finished_at, .. } = report;
        let end = RunEnd { status, started_at, finished_at, value, error };
        let then = self.after(&running, report.ticket, &end, is_unstarted);
        self.write_end(running, end, then);
    }

    /// A run's end is to be written to its store.
    fn write_end(&mut self, running: Running, end: RunEnd, then: Then) {
        let Running { store, key, definition, run, occurrence, .. } = running;
        // A desk stays as long as runs of its store go on.
        let Some(desk) = self.desks.get_mut(&store) else { return };
        desk.ends.push(Finish { key, definition, run, occurrence, end, then });
    }

    fn finished(
        &mut self,
        store: &Arc<str>,
        mut ends: Vec<Finish>,
        outcomes: &[FinishOutcome],
        now: DateTime<Utc>,
    ) {
        let desk = self.desk(store);
        desk.is_finishing = false;
        if std::mem::take(&mut desk.finishes_again) || outcomes.iter().any(|outcome| outcome.makes_room) {
            self.look(store);
        }
        for (finish, outcome) in ends.iter().zip(outcomes) {
            match finish.then {
                Then::Retry(retry) if outcome.retried => self.try_again(store, finish, retry, now),
                _ if outcome.refused => self.tell_refused(store, finish, now),
                _ => self.tell_end(store, finish, now),
            }
            if outcome.removed {
                let event = Event::new(EventMask::TASK_REMOVED, now).alias(store);
                self.emit(event.task(&finish.definition.id));
            }
        }
        ends.clear();
        self.desk(store).spare = ends;
    }

    /// Lets a retry start when its time comes.
    fn try_again(&mut self, store: &Arc<str>, failed: &Finish, retry: Retry, now: DateTime<Utc>) {
        self.counts.retried += 1;
        let Finish { key, definition, run, occurrence, end, .. } = failed;
        let start = self.desk(store).our_time(retry.starts_at.unwrap_or(end.finished_at));
        let mut event = Event::new(EventMask::TASK_RETRIED, now).alias(store).task(&definition.id);
        event.error.clone_from(&end.error);
        self.emit(event.run(*run, occurrence.due));
        let dispatch = self.submit(store, (*key, definition), retry.waiting(), now);
        self.delayed.insert((start, dispatch.run), dispatch);
        if self.is_stopping {
            self.stop(now);
        }
        if self.is_leaving(store) {
            self.leave(store, now);
        }
    }

    /// A run has ended that was taken over meanwhile: how it ended counts nowhere.
    fn tell_refused(&mut self, store: &Arc<str>, finish: &Finish, now: DateTime<Utc>) {
        let Finish { definition, run, occurrence, .. } = finish;
        self.counts.note(RunStatus::Lost, Count::ONE);
        self.tell(store, definition, *run, occurrence, RunStatus::Lost, now, |event| {
            event.error = Some("it was taken over by another scheduler, as its lease had lapsed".to_owned());
        });
    }

    fn tell_end(&mut self, store: &Arc<str>, finish: &Finish, now: DateTime<Utc>) {
        let Finish { definition, run, occurrence, end, .. } = finish;
        self.counts.note(end.status, Count::ONE);
        self.tell(store, definition, *run, occurrence, end.status, now, |event| {
            event.value.clone_from(&end.value);
            event.error.clone_from(&end.error);
        });
    }

    /// Tells what became of an occurrence, where somebody hears it.
    #[expect(clippy::too_many_arguments, reason = "they are what an event tells")]
    fn tell(
        &mut self,
        store: &Arc<str>,
        definition: &TaskDefinition,
        run: RunId,
        occurrence: &Occurrence,
        status: RunStatus,
        now: DateTime<Utc>,
        say: impl FnOnce(&mut Event),
    ) {
        let kind = match status {
            RunStatus::Queued | RunStatus::Running => return,
            RunStatus::Claimed => EventMask::TASK_SUBMITTED,
            RunStatus::Succeeded => EventMask::TASK_EXECUTED,
            RunStatus::Failed => EventMask::TASK_ERROR,
            RunStatus::Missed => EventMask::TASK_MISSED,
            RunStatus::Skipped => EventMask::TASK_MAX_INSTANCES,
            RunStatus::Coalesced => EventMask::TASK_COALESCED,
            RunStatus::Cancelled => EventMask::TASK_CANCELLED,
            RunStatus::Lost => EventMask::TASK_LOST,
        };
        if self.heard.contains(kind) {
            let mut event = Event::new(kind, now).alias(store).task(&definition.id).run(run, occurrence.due);
            say(&mut event);
            self.emit(event);
        }
    }

    fn store_failed(&mut self, store: &Arc<str>, error: &StoreError, now: DateTime<Utc>) {
        let error = crate::task::in_words(error);
        self.emit(Event::new(EventMask::STORE_ERROR, now).alias(store).error(error));
    }

    fn ask(&mut self, store: &Arc<str>, question: Question) {
        self.actions.push_back(Action::Ask(store.clone(), question));
    }

    fn emit(&mut self, event: Event) {
        self.actions.push_back(Action::Emit(event));
    }

    fn desk(&mut self, store: &Arc<str>) -> &mut Desk {
        if !self.desks.contains_key(store) {
            self.desks.insert(store.clone(), Desk::default());
        }
        self.desks.get_mut(store).expect("it was put in just now")
    }
}
