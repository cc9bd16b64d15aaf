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
mod cycle;
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
mod starting;
mod telling;
mod waits;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::clock::after;
use crate::events::EventMask;
use crate::task::{RunId, Ticket};

pub(crate) use action::{Action, Dispatch, KnownRuns, Question};
pub use counts::RunCounts;
pub(crate) use desk::Terms;
pub(crate) use input::{Answer, Input, OpenRuns};
pub(crate) use plan::{plan_by_hand, plan_missed};
pub(crate) use sharing::Retention;

use desk::Desk;
use running::RunningRuns;

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

    fn ask(&mut self, store: &Arc<str>, question: Question) {
        self.actions.push_back(Action::Ask(store.clone(), question));
    }

    fn desk(&mut self, store: &Arc<str>) -> &mut Desk {
        if !self.desks.contains_key(store) {
            self.desks.insert(store.clone(), Desk::default());
        }
        self.desks.get_mut(store).expect("it was put in just now")
    }
}
