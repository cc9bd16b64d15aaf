//! The early ends: of a run, of a store, of the machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::action::{Action, Dispatch};
use super::desk::Desk;
use super::recover::is_run_again;
use super::running::Running;
use super::{ABORT_GRACE, Machine};
use crate::clock::after;
use crate::stores::{Retry, RunEnd, Then};
use crate::task::{Ended, Occurrence, Report, RunId, RunStatus, Ticket};

impl Machine {
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
                let is_run_again = is_ending && !is_wished && is_run_again(occurrence, definition);
                is_run_again.then_some((occurrence.attempt + 1, None))
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
