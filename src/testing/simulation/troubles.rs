//! What goes wrong, and how all comes to its end.

use chrono::TimeDelta;

use super::invariant::Invariant;
use super::ledger::Who;
use super::node::Up;
use super::users::Wish;
use super::world::{Coming, World};
use crate::clock::Clock;
use crate::scheduler::State;

/// How late a decision may be when nothing fails: the longest sleep, and some time for questions and answers.
const LATE: TimeDelta = TimeDelta::seconds(60);

/// As much when things fail all the time.
const LONG: TimeDelta = TimeDelta::minutes(4);

impl World {
    /// Takes away a scheduler that is no more.
    pub(super) fn bury(&mut self, who: Who) {
        let Some(mut up) = self.nodes[who.scheduler].up.take() else { return };
        if !up.scheduler.replays() {
            self.broken = Some((Invariant::Replays, format!("{who} heard the same and did something else")));
        }
    }

    pub(super) fn trouble(&mut self) {
        if self.is_calm {
            return;
        }
        let next = self.random.millis(240_000);
        self.come(next, Coming::Trouble);
        let Some(who) = self.any_up() else { return };
        match self.random.below(8) {
            0 | 1 => {
                self.report.crashes += 1;
                self.note(format_args!("{who} crashes"));
                self.bury(who);
                let after = self.random.millis(600_000);
                self.come(after, Coming::Start(who.scheduler));
            }
            2 => self.stop(who),
            3 | 4 => {
                self.set_clock(who);
            }
            5 => self.pause(who),
            _ => self.resume(who),
        }
    }

    /// Sets a scheduler's clock back or forth.
    pub(super) fn set_clock(&mut self, who: Who) {
        let most = self.random.choose(&[2, 600, 3 * 3_600]);
        let by = self.random.either_way(most);
        self.report.clock_steps += 1;
        self.note(format_args!("the clock of {who} is set by {} ms", by.num_milliseconds()));
        self.nodes[who.scheduler].clock.step(by);
        let (now, is_shared) = (self.time.now(), self.has_leases && !self.has_clock);
        for node in &mut self.nodes {
            if let Some(up) = node.up.as_mut().filter(|_| is_shared || node.who == who) {
                up.undisturbed_since = now;
            }
        }
    }

    /// What is due is decided, and what has ended is written, by a scheduler that has long been left alone.
    pub(super) fn check_that_none_is_forgotten(&mut self) {
        let long_ago = self.time.now() - LONG;
        let is_well = |up: &Up| {
            up.undisturbed_since <= long_ago
                && !up.is_stopping
                && up.scheduler.handle().state() == State::Running
        };
        let well = self.nodes.iter().find(|node| node.up.as_ref().is_some_and(is_well));
        let Some((who, clock)) = well.map(|node| (node.who, node.clock.now())) else { return };
        if let Some(due) = self.line.with_ledger(|ledger| ledger.forgotten(clock, LONG)) {
            self.broken = Some((Invariant::AllIsDecided, format!("{due}, it is {clock} for {who}")));
        }
        let line = self.line.clone();
        let Some(up) = self.up(who) else { return };
        up.reported.retain(|(_, run)| !line.with_ledger(|ledger| ledger.has_ended(*run)));
        if let Some((ended, run)) = up.reported.first().filter(|(ended, _)| *ended <= long_ago) {
            let what = format!("{run} has ended at {ended}, and {who} has not written it");
            self.broken = Some((Invariant::EveryRunEnds, what));
        }
    }

    fn stop(&mut self, who: Who) {
        let Some(up) = self.up(who) else { return };
        up.is_stopping = true;
        up.scheduler.stop();
        self.note(format_args!("{who} stops"));
        let after = if self.is_calm { TimeDelta::minutes(12) } else { TimeDelta::seconds(30) };
        self.come(after, Coming::GiveUp(who));
        self.settle(who.scheduler);
    }

    fn pause(&mut self, who: Who) {
        let Some(up) = self.up(who) else { return };
        let scheduler = up.scheduler.handle();
        let done = Box::pin(async move { scheduler.pause().await });
        self.ask_for(who, Wish { says: "pause all".to_owned(), done });
        self.settle(who.scheduler);
    }

    fn resume(&mut self, who: Who) {
        let now = self.time.now();
        let Some(up) = self.up(who) else { return };
        up.undisturbed_since = now;
        let scheduler = up.scheduler.handle();
        let done = Box::pin(async move { scheduler.resume().await });
        self.ask_for(who, Wish { says: "resume all".to_owned(), done });
        self.settle(who.scheduler);
    }

    /// From now on nothing fails.
    pub(super) fn calm_down(&mut self) {
        self.is_calm = true;
        self.note(format_args!("nothing fails from here on"));
        for scheduler in 0..self.nodes.len() {
            let who = self.nodes[scheduler].who;
            match self.up(who).map(|up| up.is_stopping) {
                None => self.start(scheduler),
                Some(false) => self.resume(who),
                Some(true) => {}
            }
        }
    }

    /// All that is due by any scheduler's clock must be decided.
    pub(super) fn check(&mut self) {
        self.is_ending = true;
        for scheduler in 0..self.nodes.len() {
            let who = self.nodes[scheduler].who;
            let now = self.nodes[scheduler].clock.now();
            let Some(up) = self.up(who) else { continue };
            if up.is_stopping {
                continue;
            }
            if let Some(overdue) = self.line.with_ledger(|ledger| ledger.overdue(now, LATE)) {
                self.broken = Some((Invariant::AllIsDecided, format!("{overdue}, it is {now} for {who}")));
                return;
            }
        }
        if self.has_leases && self.has_clock {
            self.check_that_none_is_stranded();
        }
        for scheduler in 0..self.nodes.len() {
            let who = self.nodes[scheduler].who;
            if self.up(who).is_some_and(|up| !up.is_stopping) {
                self.stop(who);
            }
        }
    }

    /// Each run that has not ended is known to a scheduler that lives.
    fn check_that_none_is_stranded(&mut self) {
        for (run, what) in self.line.with_ledger(|ledger| ledger.open_runs()) {
            let is_known =
                self.nodes.iter().filter_map(|node| node.up.as_ref()).any(|up| up.scheduler.knows(run));
            if !is_known {
                self.broken = Some((Invariant::NoneStranded, what));
                return;
            }
        }
    }

    pub(super) fn all_have_stopped(&mut self) {
        for scheduler in 0..self.nodes.len() {
            let who = self.nodes[scheduler].who;
            let unended = self.line.with_ledger(|ledger| ledger.unended(who));
            if let Some(up) = self.up(who) {
                let (quiet, pending) = (up.scheduler.is_quiet(), up.pending.len());
                let what = format!("{who} goes on, quiet: {quiet}, pending: {pending}");
                self.broken = Some((Invariant::ComesToRest, what));
            } else if let [first, ..] = &*unended {
                self.broken = Some((Invariant::EveryRunEnds, format!("{who} never ended {first}")));
            }
        }
    }
}
