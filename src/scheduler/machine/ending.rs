//! How runs end and what comes then; the early ends of a run, of a store, of the machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::action::{Action, Dispatch};
use super::desk::Desk;
use super::recover::run_again;
use super::running::Running;
use super::{ABORT_GRACE, Machine};
use crate::clock::after;
use crate::events::{Event, EventMask};
use crate::stores::{Finish, FinishOutcome, Retry, RunEnd, Then};
use crate::task::{Ended, Occurrence, Report, RunId, RunStatus, Ticket};

impl Machine {
    /// A run has ended: to be written. A report of a run that is over already changes nothing.
    pub(super) fn end(&mut self, report: Report) {
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
    pub(super) fn write_end(&mut self, running: Running, end: RunEnd, then: Then) {
        let Running { store, key, definition, run, occurrence, .. } = running;
        // A desk stays as long as runs of its store go on.
        let Some(desk) = self.desks.get_mut(&store) else { return };
        desk.ends.push(Finish { key, definition, run, occurrence, end, then });
    }

    pub(super) fn finished(
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

    /// Tells a run to stop, and aborts it if it goes on. One that has not started never will.
    pub(super) fn cancel(&mut self, run: RunId, now: DateTime<Utc>) {
        let delayed = self.delayed.keys().find(|(_, delayed)| *delayed == run).copied();
        if let Some(Dispatch { ticket, .. }) = delayed.and_then(|place| self.delayed.remove(&place)) {
            let ended = Ended::Aborted("cancelled before it started".to_owned());
            self.end(Report { run, ticket, started_at: None, finished_at: now, ended });
        } else if let Some(ticket) = self.running.find(run) {
            self.actions.push_back(Action::Cancel(vec![ticket]));
            self.aborts.insert((after(now, ABORT_GRACE), run, ticket));
        }
    }

    /// Nothing more starts: not what jitter holds back, and no retry.
    pub(super) fn stop(&mut self, now: DateTime<Utc>) {
        self.deciding_since = None;
        self.begins_at = None;
        self.is_stopping = true;
        for Dispatch { run, ticket, .. } in std::mem::take(&mut self.delayed).into_values() {
            let ended = Ended::before_start();
            self.end(Report { run, ticket, started_at: None, finished_at: now, ended });
        }
    }

    /// Nothing of this store starts any more.
    pub(super) fn leave(&mut self, store: &Arc<str>, now: DateTime<Utc>) {
        self.desk(store).leave();
        let Self { delayed, running, .. } = self;
        let of_store = delayed.iter().filter(|(_, run)| running.is_of_store(run.ticket, store));
        let held_back: Vec<_> = of_store.map(|(place, _)| *place).collect();
        for place in held_back {
            let Some(Dispatch { run, ticket, .. }) = self.delayed.remove(&place) else { continue };
            let ended = Ended::Unstarted("its store was removed before it started".to_owned());
            self.end(Report { run, ticket, started_at: None, finished_at: now, ended });
        }
    }

    /// What comes after a run that has ended so.
    pub(super) fn after(
        &mut self,
        ended: &Running,
        ticket: Ticket,
        end: &RunEnd,
        was_held_back: bool,
    ) -> Then {
        if end.status == RunStatus::Succeeded {
            return Then::Over;
        }
        let Running { store, definition, occurrence, .. } = ended;
        let is_ending = self.is_stopping || self.is_leaving(store);
        let next = match end.status {
            // Another starts it in its place.
            RunStatus::Cancelled if was_held_back => Some((occurrence.attempt, ended.starts_at)),
            RunStatus::Failed => {
                let wait = definition.rules.retry_after(occurrence.attempt);
                wait.map(|wait| {
                    (occurrence.attempt + 1, Some(self.store_time(store, after(end.finished_at, wait))))
                })
            }
            // Cut short by the end of this scheduler, and not by a user: another runs it again.
            RunStatus::Cancelled | RunStatus::Lost => {
                let is_wished = self.aborts.iter().any(|(.., told)| *told == ticket);
                let again = (is_ending && !is_wished).then(|| run_again(occurrence, definition));
                again.and_then(Result::ok).map(|attempt| (attempt, None))
            }
            _ => None,
        };
        let Some((attempt, starts_at)) = next.filter(|_| !is_ending || self.is_durable(store)) else {
            return Then::Over;
        };
        let occurrence = Occurrence { attempt, ..*occurrence };
        let retry = Retry { run: self.run_ids.next(), occurrence, starts_at };
        if is_ending { Then::HandOn(retry) } else { Then::Retry(retry) }
    }

    fn store_time(&self, store: &str, at: DateTime<Utc>) -> DateTime<Utc> {
        self.desks.get(store).map_or(at, |desk| desk.time(at))
    }

    /// Whether what a store keeps outlives this process.
    pub(super) fn is_durable(&self, store: &str) -> bool {
        self.desks.get(store).is_some_and(Desk::is_durable)
    }

    /// Whether a store was removed.
    pub(super) fn is_leaving(&self, store: &Arc<str>) -> bool {
        self.desks.get(store).is_some_and(|desk| desk.is_leaving)
    }

    /// Lets the removed stores go for which nothing goes on.
    pub(super) fn let_leave(&mut self) {
        let Self { desks, running, actions, .. } = self;
        desks.retain(|store, desk| {
            let has_left = desk.is_leaving
                && desk.is_quiet()
                && !running.iter().any(|(_, running)| running.store == *store);
            if has_left {
                actions.push_back(Action::Left(store.clone()));
            }
            !has_left
        });
    }

    /// What has not ended by now never will.
    pub(super) fn give_up(&mut self, now: DateTime<Utc>, started: &BTreeMap<RunId, DateTime<Utc>>) {
        self.stop(now);
        for running in std::mem::take(&mut self.running) {
            let error = Some("it had not ended when the scheduler stopped".to_owned());
            let started_at = started.get(&running.run).copied();
            let end = RunEnd { status: RunStatus::Lost, started_at, finished_at: now, value: None, error };
            let then = self.after(&running, Ticket::LAST, &end, false);
            self.write_end(running, end, then);
        }
    }
}
