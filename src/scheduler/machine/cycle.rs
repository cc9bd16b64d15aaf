//! A desk's cycle: find what is due, plan, claim, dispatch what was won, find out when the next is due, sleep.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::action::Action;
use super::{Machine, Question, plan};
use crate::stores::{Claim, ClaimOutcome, Found, NextDue};

impl Machine {
    /// Finds out anew when the store's next task is due.
    pub(super) fn look(&mut self, store: &Arc<str>) {
        if let Some(desk) = self.desks.get_mut(store)
            && desk.start_looking()
        {
            self.actions.push_back(Action::Ask(store.clone(), Question::FindNextDue));
        }
    }

    /// Decides what is due.
    pub(super) fn plan(&mut self, store: &Arc<str>, found: Found, now: DateTime<Utc>) {
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
    pub(super) fn won(
        &mut self,
        store: &Arc<str>,
        claims: Vec<Claim>,
        outcomes: &[ClaimOutcome],
        now: DateTime<Utc>,
    ) {
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

    /// Sleeps until the next task is due.
    pub(super) fn rest(&mut self, store: &Arc<str>, next: &NextDue, now: DateTime<Utc>) {
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
}
