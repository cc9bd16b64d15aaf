//! From a claim that was won to runs that go on.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Machine;
use super::action::{Action, Dispatch};
use super::desk::{Desk, StartTerms};
use super::running::Running;
use super::waits::start_of;
use crate::events::{Event, EventMask};
use crate::stores::{Claim, ClaimOutcome, Decision};
use crate::task::{Overlap, RunId, RunStatus, StoreKey, TaskDefinition, Waiting};

impl Machine {
    /// Dispatches the claimed runs whose time has come.
    pub(super) fn release(&mut self, now: DateTime<Utc>) {
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
    pub(super) fn may_start(&self, run: &Dispatch) -> bool {
        let store = self.running.store_of(run.ticket);
        store.and_then(|store| self.desks.get(store)).is_some_and(Desk::may_start)
    }

    pub(super) fn carry_out_won(
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
    pub(super) fn dispatch_claimed(&mut self, store: &Arc<str>, claim: Claim, now: DateTime<Utc>) {
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

    pub(super) fn dispatch(&mut self, runs: Vec<Dispatch>) {
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

    /// Notes a run as going on.
    pub(super) fn submit(
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
}
