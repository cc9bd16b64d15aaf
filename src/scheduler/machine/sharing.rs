//! What schedulers that share a store know of each other: leases, runs that are taken over, old entries.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::Machine;
use super::action::{KnownRuns, Question};
use super::input::{Answer, OpenRuns};
use super::recover::plan_recovery;
use crate::clock::after;
use crate::stores::{Finish, Prune, Renewal, Retry, RunEnd, StoreError, Then};
use crate::task::RunStatus;

/// What is kept of the history in stores that outlive the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retention {
    /// `None`: for good.
    pub(crate) keep_for: Option<Duration>,
    /// Entries of each task; `None`: all.
    pub(crate) a_task: Option<usize>,
}

/// So many old entries are removed at a time.
const PRUNED_AT_ONCE: usize = 1_000;

/// After another's lease has lapsed, so that the store thinks so, too.
const JUST_AFTER: Duration = Duration::from_millis(50);

/// So many runs are taken over in one round.
const TAKEN_OVER_AT_ONCE: usize = 200;

/// From one round of taking runs over to the next.
const NEXT_ROUND: Duration = Duration::from_secs(1);

impl Machine {
    /// Asks each store what has nothing to do with what is due.
    pub(super) fn ask_beside(&mut self, now: DateTime<Utc>) {
        let retention = self.retention;
        let stores: Vec<_> = self.desks.keys().cloned().collect();
        for store in stores {
            let desk = self.desk(&store);
            let renews = desk.lease.start_beating(now);
            let (skew, looks, prunes, checks) =
                (desk.skew, desk.start_asking(now), desk.start_pruning(now), desk.start_checking(now));
            let before = retention.keep_for.and_then(|time| TimeDelta::from_std(time).ok());
            let before = before.and_then(|reach| desk.time(now).checked_sub_signed(reach));
            if let Some(lease) = renews {
                self.ask(&store, Question::Renew { now, lease, skew, limit: TAKEN_OVER_AT_ONCE });
            }
            if looks {
                self.look(&store);
            }
            if prunes {
                let prune = Prune { before, a_task: retention.a_task, limit: PRUNED_AT_ONCE };
                self.ask(&store, Question::Prune(prune));
            }
            if checks {
                self.ask(&store, Question::FindOpen(self.known_runs(&store)));
            }
        }
    }

    /// Hears an answer about leases and the like; answers why the store failed.
    pub(super) fn answer_beside(
        &mut self,
        store: &Arc<str>,
        answer: Answer,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        match answer {
            Answer::Renew(asked_at, Ok(renewal)) => self.renewed(store, renewal, asked_at, now),
            Answer::Renew(_, Err(error)) => {
                let retry_interval = self.store_retry_interval;
                self.desk(store).lease.failed(retry_interval, now);
                return Err(error);
            }
            Answer::TakeOver(claims, outcomes) => {
                self.taken_over(store, outcomes.is_err(), now);
                self.carry_out_won(store, &claims, &outcomes?, now);
            }
            Answer::FindOpen(known, open) => {
                let again = after(now, self.store_retry_interval);
                self.desk(store).has_checked(open.is_err().then_some(again));
                self.settle(store, &known, open?, now);
                self.ask(store, Question::FindNextDue);
            }
            Answer::Prune(pruned) => {
                if pruned? >= PRUNED_AT_ONCE {
                    self.desk(store).prune_soon(now);
                }
            }
            Answer::FindDue(_) | Answer::FindNextDue(_) | Answer::Claim(..) | Answer::Finish(..) => {}
        }
        Ok(())
    }

    fn renewed(&mut self, store: &Arc<str>, renewal: Renewal, asked_at: DateTime<Utc>, now: DateTime<Utc>) {
        let Renewal { now: told, had_lapsed, lapsed, next_lapse, .. } = renewal;
        let is_deciding = self.deciding_since.is_some();
        let desk = self.desk(store);
        desk.note_time(told, now);
        desk.lease.renewed(asked_at, now);
        if had_lapsed {
            desk.note_lapse(now);
        }
        if let Some(lapse) = next_lapse {
            let at = after(desk.our_time(lapse), JUST_AFTER);
            desk.lease.beat_soon(at.max(after(now, JUST_AFTER)));
        }
        let at = desk.time(now);
        if !lapsed.is_empty() && is_deciding && desk.start_taking_over() {
            let claims = plan_recovery(&lapsed, at, &mut || self.run_ids.next());
            self.ask(store, Question::TakeOver(claims));
        }
    }

    fn taken_over(&mut self, store: &Arc<str>, has_failed: bool, now: DateTime<Utc>) {
        let again = after(now, self.store_retry_interval);
        let desk = self.desk(store);
        desk.is_taking_over = false;
        if has_failed {
            desk.doubt(again);
        }
        // There may be more.
        desk.lease.beat_soon(after(now, NEXT_ROUND));
    }

    /// The runs of a store that are ours as far as we know.
    fn known_runs(&self, store: &Arc<str>) -> KnownRuns {
        let of_store = self.running.iter().filter(|(_, running)| running.store == *store);
        let ends = self.desks.get(store).map(|desk| &*desk.ends).unwrap_or_default();
        let ended = ends.iter().flat_map(|end| [Some(end.run), end.next().map(|(retry, _)| retry.run)]);
        KnownRuns {
            running: of_store.map(|(ticket, running)| (ticket, running.run)).collect(),
            others: ended.flatten().chain(self.claiming.iter().copied()).collect(),
        }
    }

    /// Lets go of the runs that are not ours any more: what they do from here on counts nowhere. Hands on those that are
    /// ours and that we did not know of, as the answer was lost when they were claimed: they were never started.
    fn settle(&mut self, store: &Arc<str>, known: &KnownRuns, open: OpenRuns, now: DateTime<Utc>) {
        for (ticket, run) in &known.running {
            if open.known.contains(run) || !self.running.contains(*ticket, *run) {
                continue;
            }
            let held_back = self.delayed.keys().find(|(_, delayed)| delayed == run).copied();
            if let Some(place) = held_back {
                self.delayed.remove(&place);
                self.running.remove(*ticket, *run);
            } else {
                self.cancel(*run, now);
            }
        }
        // Some were claimed and have ended meanwhile.
        let known = self.known_runs(store).ids();
        for (run, task) in open.strays.into_iter().filter(|(run, _)| !known.contains(&run.id)) {
            let error = Some("the answer to its claim was lost, and it was not started".to_owned());
            let end = RunEnd {
                status: RunStatus::Cancelled,
                started_at: None,
                finished_at: now,
                value: None,
                error,
            };
            let (run, occurrence, starts_at) = (run.id, run.occurrence, run.starts_at);
            let then = Then::HandOn(Retry { run: self.run_ids.next(), occurrence, starts_at });
            let (key, definition) = (task.key, task.definition);
            self.desk(store).ends.push(Finish { key, definition, run, occurrence, end, then });
        }
    }
}
