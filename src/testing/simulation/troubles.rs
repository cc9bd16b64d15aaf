//! What goes wrong, and how all comes to its end.

use chrono::TimeDelta;

use super::invariant::Invariant;
use super::ledger::Who;
use super::users::Wish;
use super::world::{Coming, World};
use crate::clock::Clock;

/// How late a decision may be when nothing fails: the longest sleep, and some time for questions and answers.
const LATE: TimeDelta = TimeDelta::seconds(60);

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
                let most = self.random.choose(&[2, 60, 3 * 3_600]);
                let by = self.random.either_way(most);
                self.report.clock_steps += 1;
                self.note(format_args!("the clock of {who} is stepped by {} ms", by.num_milliseconds()));
                self.nodes[who.scheduler].clock.step(by);
            }
            5 => self.pause(who),
            _ => self.resume(who),
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
        let Some(up) = self.up(who) else { return };
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
            self.stop(who);
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
