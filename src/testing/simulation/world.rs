//! What happens, one thing after the other.

use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::invariant::Invariant;
use super::ledger::{Ledger, Who};
use super::node::{Node, Pending, Running, SkewedClock, Time, Up};
use super::random::Random;
use super::trace::Trace;
use super::users::{self, Wish};
use super::wire::{Line, Progress, Stop, Wire};
use super::{ChosenStore, SimulationError, SimulationReport};
use crate::clock::Clock;
use crate::scheduler::{Deed, Simulated};
use crate::stores::Store;
use crate::task::{Ended, Report, RunId, Ticket};

pub(super) struct World {
    seed: u64,
    replays: bool,
    pub(super) random: Random,
    store: Arc<dyn Store>,
    pub(super) line: Arc<Line>,
    pub(super) has_leases: bool,
    pub(super) has_clock: bool,
    pub(super) time: Arc<Time>,
    pub(super) nodes: Vec<Node>,
    coming: BTreeMap<(DateTime<Utc>, u64), Coming>,
    /// Numbers what comes, and what is pending.
    numbers: u64,
    step: u64,
    trace: Trace,
    /// Nothing fails any more, and nobody wishes anything.
    pub(super) is_calm: bool,
    /// Schedulers declare tasks when they start.
    declares: bool,
    /// The task of the last wish.
    last_wish: &'static str,
    /// Everybody stops, and nobody starts again.
    pub(super) is_ending: bool,
    pub(super) broken: Option<(Invariant, String)>,
    pub(super) report: SimulationReport,
}

/// What will happen.
pub(super) enum Coming {
    /// The time to wake up, as far as it is still the time.
    Wake(Who),
    /// A question or an answer arrives, or is lost.
    GoOn(Who, u64, Result<(), &'static str>),
    /// A run ends.
    End(Who, Ticket, RunId, Ended),
    /// Word of a change comes to a scheduler that has not made it.
    News(Who),
    /// A user adds a task.
    Add,
    /// A user wishes something of one of the schedulers, and so on.
    Wish,
    /// Something goes wrong.
    Trouble,
    Start(usize),
    /// A scheduler that is stopping waits no longer.
    GiveUp(Who),
    /// A user waits no longer.
    LetGo(Who, u64),
    Calm,
    /// All must be decided by now; everybody stops.
    Check,
    /// Everybody must have stopped by now.
    Over,
}

/// A driver never sleeps longer.
const LONGEST_SLEEP: TimeDelta = TimeDelta::seconds(30);
const STORE_RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// From the last trouble to when all must be decided.
const CALM: TimeDelta = TimeDelta::minutes(8);
/// From there to when all must have stopped: longer than any run.
const STOPPING: TimeDelta = TimeDelta::minutes(20);

impl World {
    pub(super) fn new(
        seed: u64,
        schedulers: usize,
        lasting: Duration,
        replays: bool,
        store: ChosenStore,
    ) -> Self {
        let mut random = Random::new(seed);
        let begin = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(20_541) + random.millis(86_400_000);
        let time = Time::new(begin);
        let (store, has_clock) = store.build(&mut Random::new(!seed), &time);
        let has_leases = store.lease().is_some();
        // A store without a clock goes by ours: its leases hold what they promise where all have the same.
        let same = (has_leases && !has_clock).then(|| SkewedClock::new(time.clone(), random.either_way(5)));
        let node = |scheduler| {
            let skew = random.either_way(5);
            let clock = same.clone().unwrap_or_else(|| SkewedClock::new(time.clone(), skew));
            Node { who: Who { scheduler, start: 0 }, clock, up: None }
        };
        let nodes: Vec<_> = (0..schedulers).map(node).collect();
        let declares = random.once_in(2);
        let mut world = Self {
            seed,
            replays,
            random,
            store,
            line: Line::new(Ledger::new(has_leases, has_clock)),
            has_leases,
            has_clock,
            time,
            nodes,
            coming: BTreeMap::new(),
            numbers: 0,
            step: 0,
            trace: Trace::new(),
            is_calm: false,
            declares,
            last_wish: users::FIRST,
            is_ending: false,
            broken: None,
            report: SimulationReport { seed, ..SimulationReport::default() },
        };
        for scheduler in 0..schedulers {
            let after = world.random.millis(3_000);
            world.come(after, Coming::Start(scheduler));
        }
        // Where there are few tasks, nothing else wakes a scheduler that was told nothing.
        for _ in 0..world.random.below(4) {
            let after = TimeDelta::seconds(3) + world.random.millis(3_000);
            world.come(after, Coming::Add);
        }
        world.come(TimeDelta::seconds(10), Coming::Wish);
        world.come(TimeDelta::seconds(10), Coming::Trouble);
        let lasting = TimeDelta::from_std(lasting).unwrap_or(TimeDelta::days(365));
        world.come(lasting, Coming::Calm);
        world.come(lasting + CALM, Coming::Check);
        world.come(lasting + CALM + STOPPING, Coming::Over);
        world
    }

    /// Lets everything happen.
    pub(super) fn run(mut self) -> Result<SimulationReport, SimulationError> {
        while let Some(((at, _), coming)) = self.coming.pop_first() {
            self.time.set(at);
            self.line.with_ledger(|ledger| ledger.set_time(at));
            self.step += 1;
            let is_over = matches!(coming, Coming::Over);
            self.happen(coming);
            let broken = self.line.with_ledger(Ledger::take_violation);
            if let Some((invariant, what)) = self.broken.take().or(broken) {
                let (seed, step) = (self.seed, self.step);
                return Err(SimulationError { seed, step, invariant, what, trace: self.trace.into_tail() });
            }
            if is_over {
                break;
            }
        }
        let (counts, stranded) = self.line.with_ledger(|ledger| (ledger.counts, ledger.stranded()));
        let digest = self.trace.digest();
        let steps = self.step;
        Ok(SimulationReport { digest, steps, stranded, ..self.report.with(counts) })
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Wake(who) => {
                let now = self.time.now();
                if let Some(up) = self.up(who) {
                    up.wakes_at = up.wakes_at.filter(|at| *at > now);
                    self.settle(who.scheduler);
                }
            }
            Coming::GoOn(who, number, verdict) => self.go_on(who, number, Some(verdict)),
            Coming::End(who, ticket, run, ended) => self.end(who, ticket, run, ended),
            Coming::News(who) => {
                if let Some(up) = self.up(who) {
                    up.has_news = false;
                    up.scheduler.hear_news();
                    self.settle(who.scheduler);
                }
            }
            Coming::Add => self.wish_for(true),
            Coming::Wish => self.wish(),
            Coming::Trouble => self.trouble(),
            Coming::Start(scheduler) => self.start(scheduler),
            Coming::GiveUp(who) => {
                if let Some(up) = self.up(who) {
                    up.scheduler.give_up();
                    up.running.clear();
                    self.note(format_args!("{who} gives up"));
                    self.settle(who.scheduler);
                }
            }
            Coming::LetGo(who, number) => {
                if let Some(up) = self.up(who)
                    && matches!(up.pending.get(&number), Some(Pending::Wish { .. }))
                {
                    up.pending.remove(&number);
                    self.note(format_args!("{who}#{number} is let go"));
                    self.settle(who.scheduler);
                }
            }
            Coming::Calm => self.calm_down(),
            Coming::Check => self.check(),
            Coming::Over => self.all_have_stopped(),
        }
    }

    /// The scheduler, where it is still up.
    pub(super) fn up(&mut self, who: Who) -> Option<&mut Up> {
        let node = &mut self.nodes[who.scheduler];
        if node.who == who { node.up.as_mut() } else { None }
    }

    pub(super) fn come(&mut self, after: TimeDelta, coming: Coming) {
        self.numbers += 1;
        self.coming.insert((self.time.now() + after, self.numbers), coming);
    }

    pub(super) fn note(&mut self, what: Arguments<'_>) {
        self.trace.note(self.step, self.time.now(), what);
    }

    pub(super) fn start(&mut self, scheduler: usize) {
        let boot = self.random.next();
        let node = &mut self.nodes[scheduler];
        if node.up.is_some() || self.is_ending {
            return;
        }
        node.who.start += 1;
        let who = node.who;
        let wire = Wire { store: self.store.clone(), line: self.line.clone(), who };
        let (store, clock) = (Arc::new(wire), node.clock.clone());
        let mut simulated = Simulated::start(boot, store, clock, STORE_RETRY_INTERVAL, users::handler());
        if !self.replays {
            simulated = simulated.without_log();
        }
        let started_at = self.time.now();
        let declared = match self.declares {
            true => users::declare(&simulated.handle(), &mut self.random),
            false => Vec::new(),
        };
        node.up = Some(Up {
            scheduler: simulated,
            pending: BTreeMap::new(),
            running: BTreeMap::new(),
            reported: Vec::new(),
            wakes_at: None,
            has_news: false,
            undisturbed_since: started_at,
            is_stopping: false,
        });
        self.note(format_args!("{who} starts"));
        declared.into_iter().for_each(|wish| self.ask_for(who, wish));
        self.settle(scheduler);
    }

    /// One of the schedulers that are up.
    pub(super) fn any_up(&mut self) -> Option<Who> {
        let up: Vec<_> = self.nodes.iter().filter(|node| node.up.is_some()).map(|node| node.who).collect();
        (!up.is_empty()).then(|| self.random.choose(&up))
    }

    fn wish(&mut self) {
        if self.is_calm {
            return;
        }
        self.check_that_none_is_forgotten();
        let next = match self.random.below(10) {
            0 => TimeDelta::minutes(5),
            1..4 => self.random.millis(2_000),
            _ => self.random.millis(40_000),
        };
        self.come(next, Coming::Wish);
        self.wish_for(false);
    }

    fn wish_for(&mut self, is_to_add: bool) {
        let Some(who) = self.any_up() else { return };
        let now = self.nodes[who.scheduler].clock.now();
        let random = &mut self.random;
        let Some(up) = &self.nodes[who.scheduler].up else { return };
        let running = up.running.values().next().map(|running| running.run);
        let handle = up.scheduler.handle();
        let wish = match is_to_add {
            true => users::add_one(&handle, random, now, &mut self.last_wish),
            false => users::wish(&handle, random, now, running, &mut self.last_wish),
        };
        self.ask_for(who, wish);
        self.settle(who.scheduler);
    }

    pub(super) fn ask_for(&mut self, who: Who, Wish { says, done }: Wish) {
        self.numbers += 1;
        let number = self.numbers;
        self.note(format_args!("{who}#{number} {says}"));
        let Some(up) = self.up(who) else { return };
        up.pending.insert(number, Pending::Wish { wish: done, waits: false });
        if !self.is_calm && self.random.once_in(25) {
            let after = self.random.millis(100);
            self.come(after, Coming::LetGo(who, number));
        }
        self.go_on(who, number, None);
    }

    /// Lets a question or a wish go on, as far as it goes.
    fn go_on(&mut self, who: Who, number: u64, verdict: Option<Result<(), &'static str>>) {
        let line = self.line.clone();
        let Some(up) = self.up(who) else { return };
        let Some(mut pending) = up.pending.remove(&number) else { return };
        let stopped = match &mut pending {
            Pending::Question(question) => match line.go_on(question, verdict) {
                Progress::Done(heard) => {
                    up.scheduler.hear_answer(heard);
                    None
                }
                Progress::Stopped(stop) => Some(Some(stop)),
                Progress::Waits => Some(None),
            },
            Pending::Wish { wish, waits } => match line.go_on(wish, verdict) {
                Progress::Done(result) => {
                    let said = result.as_ref().err().map_or("done".to_owned(), ToString::to_string);
                    self.note(format_args!("{who}#{number} {said}"));
                    None
                }
                Progress::Stopped(stop) => Some(Some(stop)),
                Progress::Waits => {
                    *waits = true;
                    Some(None)
                }
            },
        };
        if let Some(stopped) = stopped {
            if let Some(up) = self.up(who) {
                up.pending.insert(number, pending);
            }
            if let Some(stop) = stopped {
                self.travel(who, number, stop);
            }
        }
        if line.take_changed() {
            self.tell_others(who);
        }
        if verdict.is_some() {
            self.settle(who.scheduler);
        }
    }

    /// Lets a question or an answer arrive after some time, or be lost.
    fn travel(&mut self, who: Who, number: u64, stop: Stop) {
        let is_lost = !self.is_calm && self.random.once_in(30);
        let longest = match self.random.below(if self.is_calm { 20 } else { 400 }) {
            0 if !self.is_calm => 30_000,
            1..40 if !self.is_calm => 5_000,
            _ => 50,
        };
        let after = self.random.millis(longest);
        let verdict = match stop {
            _ if !is_lost => Ok(()),
            Stop::Question(_) => Err("the question was lost"),
            Stop::Answer(_) => Err("the answer was lost"),
        };
        match stop {
            Stop::Question(what) => {
                self.report.questions += 1;
                self.note(format_args!(
                    "{who}#{number} asks {what}, {} ms, {verdict:?}",
                    after.num_milliseconds()
                ));
            }
            Stop::Answer(what) => {
                let said = self.line.with_ledger(|ledger| std::mem::take(&mut ledger.said));
                self.note(format_args!("{who}#{number} store did {what} {said} {verdict:?}"));
            }
        }
        if is_lost && self.random.once_in(5) {
            // A host that was suspended: its connections are gone, and its clock is wrong.
            self.set_clock(who);
        }
        self.report.lost_questions += u64::from(verdict.is_err() && matches!(stop, Stop::Question(_)));
        self.report.lost_answers += u64::from(verdict.is_err() && matches!(stop, Stop::Answer(_)));
        self.come(after, Coming::GoOn(who, number, verdict));
    }

    fn tell_others(&mut self, teller: Who) {
        let others: Vec<_> = self.nodes.iter().map(|node| node.who).filter(|who| *who != teller).collect();
        for who in others {
            // Within one process no word is lost, and nobody looks without one.
            if self.has_leases && !self.is_calm && self.random.once_in(20) {
                self.note(format_args!("{who} is not told"));
                continue;
            }
            // A feed tells of many changes at once.
            let knows = self.up(who).is_none_or(|up| std::mem::replace(&mut up.has_news, true));
            if knows {
                continue;
            }
            for _ in 0..1 + u64::from(self.random.once_in(20)) {
                let after = self.random.millis(1_000);
                self.come(after, Coming::News(who));
            }
        }
    }

    /// Lets a scheduler do all that it has to do now.
    pub(super) fn settle(&mut self, scheduler: usize) {
        let who = self.nodes[scheduler].who;
        loop {
            let Some(up) = self.up(who) else { return };
            let deeds = up.scheduler.act();
            let waiting: Vec<_> = up
                .pending
                .iter_mut()
                .filter_map(|(number, pending)| match pending {
                    Pending::Wish { waits, .. } => std::mem::take(waits).then_some(*number),
                    Pending::Question(_) => None,
                })
                .collect();
            if deeds.is_empty() && waiting.is_empty() {
                break;
            }
            let has_deeds = !deeds.is_empty();
            deeds.into_iter().for_each(|deed| self.act(who, deed));
            waiting.into_iter().for_each(|number| self.go_on(who, number, None));
            if !has_deeds {
                break;
            }
        }
        self.sleep(who);
    }

    fn act(&mut self, who: Who, deed: Deed) {
        match deed {
            Deed::Ask(question) => {
                self.numbers += 1;
                let number = self.numbers;
                if let Some(up) = self.up(who) {
                    up.pending.insert(number, Pending::Question(question));
                }
                self.go_on(who, number, None);
            }
            Deed::Start(runs) => runs.into_iter().for_each(|(run, ticket)| self.execute(who, run, ticket)),
            Deed::Cancel(tickets) => tickets.into_iter().for_each(|ticket| {
                let after = self.random.millis(1_000);
                self.end_early(who, ticket, after, Ended::Returned(Ok(None)));
            }),
            Deed::Abort(tickets) => tickets.into_iter().for_each(|ticket| {
                let after = self.random.millis(100);
                self.end_early(who, ticket, after, Ended::Aborted("aborted".to_owned()));
            }),
        }
    }

    fn execute(&mut self, who: Who, run: RunId, ticket: Ticket) {
        self.line.with_ledger(|ledger| ledger.started(who, run));
        self.note(format_args!("{who} executes {run}"));
        let started_at = self.nodes[who.scheduler].clock.now();
        let longest = match self.random.below(20) {
            0 => 600_000,
            1..6 => 90_000,
            _ => 2_000,
        };
        let after = self.random.millis(longest);
        let ended = match self.random.below(8) {
            0 => Ended::Returned(Err("it failed".to_owned())),
            1 => Ended::Panicked("it panicked".to_owned()),
            _ => Ended::Returned(Ok(None)),
        };
        let is_deaf = self.random.once_in(20);
        if let Some(up) = self.up(who) {
            up.running.insert(ticket, Running { run, started_at, is_deaf });
        }
        self.come(after, Coming::End(who, ticket, run, ended));
    }

    fn end_early(&mut self, who: Who, ticket: Ticket, after: TimeDelta, ended: Ended) {
        let Some(up) = self.up(who) else { return };
        let Some(running) = up.running.get(&ticket).filter(|running| !running.is_deaf) else { return };
        let run = running.run;
        self.come(after, Coming::End(who, ticket, run, ended));
    }

    fn end(&mut self, who: Who, ticket: Ticket, run: RunId, ended: Ended) {
        let finished_at = self.nodes[who.scheduler].clock.now();
        let Some(up) = self.up(who) else { return };
        if up.running.get(&ticket).is_none_or(|running| running.run != run) {
            return;
        }
        let Some(Running { started_at, .. }) = up.running.remove(&ticket) else { return };
        let report = Report { run, ticket, started_at: Some(started_at), finished_at, ended };
        let mut reports = vec![report.clone()];
        // Told twice, as it may be when a runtime is dropped.
        if self.random.once_in(50) {
            reports.push(report);
        }
        let now = self.time.now();
        if let Some(up) = self.up(who) {
            up.reported.push((now, run));
            up.scheduler.hear_reports(reports);
        }
        self.settle(who.scheduler);
    }

    /// Lets a scheduler wake up in time; now and then too early, too late or twice. One that has stopped is gone.
    fn sleep(&mut self, who: Who) {
        let now = self.time.now();
        let by_its_clock = self.nodes[who.scheduler].clock.now();
        let (late, early) = (self.random.below(20), self.random.below(40));
        let Some(up) = self.up(who) else { return };
        if up.is_stopping && up.scheduler.is_quiet() && up.pending.is_empty() {
            return self.leave(who);
        }
        let Some(up) = self.up(who) else { return };
        let wait = up.scheduler.timeout().map_or(LONGEST_SLEEP, |at| at - by_its_clock);
        let wait = wait.clamp(TimeDelta::milliseconds(1), LONGEST_SLEEP);
        if up.wakes_at.is_some_and(|at| at <= now + wait) {
            return;
        }
        let wait = match late {
            0 => wait + self.random.millis(5_000),
            _ => wait,
        };
        let Some(up) = self.up(who) else { return };
        up.wakes_at = Some(now + wait);
        self.come(wait, Coming::Wake(who));
        if early == 0 {
            let too_early = self.random.millis(wait.num_milliseconds().unsigned_abs());
            self.come(too_early, Coming::Wake(who));
        }
    }

    /// A scheduler that was stopped is at its end.
    fn leave(&mut self, who: Who) {
        self.note(format_args!("{who} has stopped"));
        self.bury(who);
        if !self.is_calm {
            let after = self.random.millis(300_000);
            self.come(after, Coming::Start(who.scheduler));
        }
    }
}
