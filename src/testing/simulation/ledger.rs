//! What every store must have, by what it was asked and what it said: kept beside the store, and compared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use chrono::{DateTime, TimeDelta, Utc};

use super::check::{Check, check_completeness, check_time, has_entry, must, same};
use super::invariant::Invariant;
use super::trace::OfDay;
use crate::stores::{Beat, Claim, ClaimOutcome, Decision, Finish, FinishOutcome, Renewal, StoreError, Then};
use crate::task::{NodeId, Occurrence, Overlap, RunId, RunRecord, RunStatus, TaskId, TaskRecord, in_words};

/// A scheduler from one start to its end: its number, and which start it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Who {
    pub(super) scheduler: usize,
    pub(super) start: u32,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.scheduler, self.start)
    }
}

/// A scheduler as a store knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct By {
    pub(super) who: Who,
    pub(super) node: NodeId,
}

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) tasks: BTreeMap<TaskId, Entered>,
    pub(super) runs: BTreeMap<RunId, Run>,
    /// The store gives leases.
    has_leases: bool,
    /// The store goes by the true time, and not by what it is told.
    has_clock: bool,
    leases: BTreeMap<NodeId, DateTime<Utc>>,
    /// The lives of tasks so far: an id that was deleted and added again is another task.
    pub(super) lives: u64,
    violation: Option<(Invariant, String)>,
    /// The true time.
    pub(super) now: DateTime<Utc>,
    /// What the store was last asked and said, in words.
    pub(super) said: String,
    pub(super) counts: Counts,
}

/// What was counted in the store.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) decisions: u64,
    pub(super) runs: u64,
    pub(super) won: u64,
    pub(super) lost: u64,
    pub(super) edits: u64,
    pub(super) taken_over: u64,
}

fn then_in_words(then: &Then) -> &'static str {
    match then {
        Then::Over => "over",
        Then::Retry(_) => "again",
        Then::HandOn(_) => "handed on",
    }
}

/// A task as it must be.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) life: u64,
    pub(super) record: TaskRecord,
    /// The last occurrence that is decided, by generation.
    pub(super) decided: BTreeMap<u32, DateTime<Utc>>,
    /// Its runs that go on.
    pub(super) running: BTreeSet<RunId>,
    /// Since when what waits for a place has one, by the true time.
    pub(super) has_room_since: Option<DateTime<Utc>>,
    /// The true time.
    pub(super) written_at: DateTime<Utc>,
}

#[derive(Debug)]
pub(super) struct Run {
    pub(super) task: TaskId,
    pub(super) life: u64,
    pub(super) occurrence: Occurrence,
    pub(super) status: RunStatus,
    /// Who won it.
    pub(super) of: Who,
    /// Who has it, as the store knows; `None`: it waits.
    pub(super) node: Option<NodeId>,
    pub(super) was_started: bool,
}

impl Run {
    fn is_open(&self) -> bool {
        matches!(self.status, RunStatus::Claimed | RunStatus::Running)
    }
}

impl Ledger {
    /// A ledger of a store that gives leases or not, and goes by the true time or by what it is told.
    pub(super) fn new(has_leases: bool, has_clock: bool) -> Self {
        Self { has_leases, has_clock, ..Self::default() }
    }

    /// The store's time.
    fn time(&self, told: DateTime<Utc>) -> DateTime<Utc> {
        if self.has_clock { self.now } else { told }
    }

    fn is_held(&self, node: NodeId, told: DateTime<Utc>) -> bool {
        self.leases.get(&node).is_some_and(|until| *until > self.time(told))
    }

    /// The first invariant that was broken, and how.
    pub(super) fn take_violation(&mut self) -> Option<(Invariant, String)> {
        self.violation.take()
    }

    pub(super) fn say(&mut self, what: fmt::Arguments<'_>) {
        let separator = if self.said.is_empty() { "" } else { ", " };
        // Writing to a string can't fail.
        _ = write!(self.said, "{separator}{what}");
    }

    pub(super) fn note(&mut self, check: Check) {
        if let Err(violation) = check {
            self.violation.get_or_insert(violation);
        }
    }

    /// The store failed by itself.
    pub(super) fn failed(&mut self, error: &StoreError) {
        self.note(Err((Invariant::StoreWorks, in_words(error))));
    }

    /// Decisions were to be written.
    pub(super) fn claimed(
        &mut self,
        by: By,
        claims: &[Claim],
        outcomes: &[ClaimOutcome],
        after: &[Option<TaskRecord>],
        entries: &[Option<RunRecord>],
    ) {
        let mut checks = must(claims.len() == outcomes.len(), Invariant::AnswersAll, String::new);
        self.said.clear();
        for (claim, outcome) in claims.iter().zip(outcomes) {
            self.say(format_args!("{}/{} {outcome:?}", claim.definition.id, claim.schedule.version));
            for Decision { occurrence, status, .. } in &claim.decisions {
                self.say(format_args!(" {} {status}", OfDay(occurrence.due)));
            }
        }
        for (claim, outcome) in claims.iter().zip(outcomes) {
            checks = checks.and_then(|()| match outcome {
                ClaimOutcome::Won { removed } => self.won(by, claim, *removed),
                ClaimOutcome::Lost => self.lost(claim),
                ClaimOutcome::Lapsed => self.lapsed(by, claim),
            });
        }
        let mut entries = entries.iter();
        for (claim, outcome) in claims.iter().zip(outcomes) {
            for decision in &claim.decisions {
                let entry = entries.next().and_then(Option::as_ref);
                if matches!(outcome, ClaimOutcome::Won { .. }) {
                    checks = checks.and_then(|()| has_entry(by.node, claim, decision, entry));
                }
            }
        }
        let ids = claims.iter().map(|claim| &claim.definition.id);
        let checks = checks.and_then(|()| self.compare(ids, after));
        self.note(checks);
    }

    fn lost(&mut self, claim: &Claim) -> Check {
        self.counts.lost += 1;
        let known = self.tasks.get(&claim.definition.id);
        let is_from_last =
            known.is_some_and(|known| known.record.schedule.version + 1 == claim.schedule.version);
        let is_too_early = claim.taken_from.is_some_and(|node| self.is_held(node, claim.decided_at));
        must(!is_from_last || is_too_early, Invariant::OnlyStaleLose, || {
            format!("a claim of {} from its last version was lost", claim.definition.id)
        })
    }

    /// A claim was refused, as its scheduler's lease had lapsed.
    fn lapsed(&self, by: By, claim: &Claim) -> Check {
        let is_held = !self.has_leases || self.is_held(by.node, claim.decided_at);
        must(!is_held && claim.claims_runs(), Invariant::OnlyStaleLose, || {
            format!("{} was refused a claim of {} as lapsed", by.who, claim.definition.id)
        })
    }

    fn check_leases(&self, by: By, claim: &Claim) -> Check {
        let id = &claim.definition.id;
        let is_held = !self.has_leases || self.is_held(by.node, claim.decided_at);
        must(is_held || !claim.claims_runs(), Invariant::NeedsLease, || {
            format!("{} claimed a run of {id}, and its lease has lapsed", by.who)
        })?;
        let is_too_early = claim.taken_from.is_some_and(|node| self.is_held(node, claim.decided_at));
        must(!is_too_early, Invariant::NeedsLease, || {
            format!("{} took over runs of {id} from one whose lease has not lapsed", by.who)
        })
    }

    fn won(&mut self, by: By, claim: &Claim, removed: bool) -> Check {
        self.counts.won += 1;
        let id = &claim.definition.id;
        self.check_leases(by, claim)?;
        self.counts.taken_over += u64::from(claim.taken_from.is_some());
        let Self { tasks, runs, counts, .. } = self;
        let Some(task) = tasks.get_mut(id) else {
            return Err((Invariant::NotAfterDeletion, format!("{id} was deleted before the claim was won")));
        };
        let before = task.record.schedule;
        for decision in &claim.decisions {
            decided(by, claim.taken_from, decision, task, runs, counts)?;
        }
        must(claim.definition.name == task.record.definition.name, Invariant::OneLife, || {
            format!("{id} was claimed as it was before it was deleted and added again")
        })?;
        let running = task.running.len() as u32;
        let rules = &task.record.definition.rules;
        let starts = running > before.running;
        let is_by_hand =
            |decision: &&Decision| decision.status == RunStatus::Claimed && decision.occurrence.by_hand;
        let by_hand = claim.decisions.iter().filter(is_by_hand).count() as u32;
        // With `Allow` what is due by schedule needs no room, but what a user has asked for does.
        let has_room = by_hand == 0 || before.running + by_hand <= rules.max_instances;
        let may_be_more = rules.overlap == Overlap::Allow && has_room;
        must(!starts || may_be_more || running <= rules.max_instances, Invariant::MaxInstances, || {
            format!("{running} runs of {id} go on, max_instances is {}", rules.max_instances)
        })?;
        check_completeness(claim, &task.record)?;
        must(claim.schedule.version == before.version + 1, Invariant::CompareAndSwap, || {
            format!(
                "{id} was claimed from version {} at version {}",
                claim.schedule.version - 1,
                before.version
            )
        })?;
        must(claim.schedule.running == running, Invariant::CountsRuns, || {
            format!("{running} runs of {id} go on, its schedule says {}", claim.schedule.running)
        })?;
        task.record.schedule = claim.schedule;
        task.record.waiting.clone_from(&claim.waiting);
        check_time(&task.record, &task.decided, &before)?;
        self.removed_as_over(id, removed)
    }

    /// A task goes with the last that it had to do, and not before.
    fn removed_as_over(&mut self, id: &TaskId, removed: bool) -> Check {
        let is_over = self.tasks.get(id).is_some_and(|task| task.record.is_over());
        if is_over {
            self.tasks.remove(id);
        }
        must(is_over == removed, Invariant::KeepsWhatItSaid, || {
            format!("{id}: over {is_over}, and removed {removed}")
        })
    }

    /// Ends were to be written.
    pub(super) fn finished(
        &mut self,
        by: By,
        ends: &[Finish],
        outcomes: &[FinishOutcome],
        after: &[Option<TaskRecord>],
        entries: &[Option<RunRecord>],
    ) {
        let mut checks = must(ends.len() == outcomes.len(), Invariant::AnswersAll, String::new);
        self.said.clear();
        for (Finish { definition, occurrence, end, then, .. }, outcome) in ends.iter().zip(outcomes) {
            let (id, due) = (&definition.id, OfDay(occurrence.due));
            let then = then_in_words(then);
            let refused = if outcome.refused { " refused" } else { "" };
            self.say(format_args!("{id} {due} {} {then} retried: {}{refused}", end.status, outcome.retried));
        }
        for ((end, outcome), entry) in ends.iter().zip(outcomes).zip(entries) {
            checks = checks.and_then(|()| self.ended(by, end, *outcome, entry.as_ref()));
        }
        let checks = checks.and_then(|()| self.compare(ends.iter().map(|end| &end.definition.id), after));
        self.note(checks);
    }

    fn ended(&mut self, by: By, finish: &Finish, outcome: FinishOutcome, entry: Option<&RunRecord>) -> Check {
        let (id, run) = (&finish.definition.id, finish.run);
        let Some(known) = self.runs.get_mut(&run) else {
            return Err((Invariant::ClaimedFirst, format!("a run of {id} has ended that nobody has won")));
        };
        let is_ours = known.node == Some(by.node);
        must(outcome.refused != is_ours, Invariant::Fenced, || {
            format!("{} ended a run of {id} that {:?} has, refused: {}", by.who, known.node, outcome.refused)
        })?;
        if !is_ours {
            return Ok(());
        }
        let is_first = !known.status.is_final();
        let life = known.life;
        let task = self.tasks.get_mut(id).filter(|task| task.life == life);
        let status = finish.end.status;
        must(entry.is_some_and(|entry| entry.status == status), Invariant::EndsAreKept, || {
            format!("a run of {id} ended as {status}, its entry says {entry:?}")
        })?;
        known.status = status;
        match finish.then {
            Then::Retry(retry) if !is_first => {
                let is_open = self.runs.get(&retry.run).is_some_and(|retry| retry.is_open());
                must(outcome.retried == (is_open && task.is_some()), Invariant::AnswersAgain, || {
                    format!("the retry of a run of {id} is written, but was denied when asked again")
                })?;
            }
            then => {
                let retries = matches!(then, Then::Retry(_)) && task.is_some();
                must(outcome.retried == retries, Invariant::KeepsWhatItSaid, || {
                    format!("retry of a run of {id}: asked for {then:?}, got {}", outcome.retried)
                })?;
            }
        }
        let Some(task) = task.filter(|_| is_first) else { return Ok(()) };
        task.running.remove(&run);
        task.record.schedule.version += 1;
        if let Some((retry, status)) = finish.next() {
            let is_claimed = status == RunStatus::Claimed;
            self.counts.runs += u64::from(is_claimed);
            let entry = Run {
                task: id.clone(),
                life,
                occurrence: retry.occurrence,
                status,
                of: by.who,
                node: is_claimed.then_some(by.node),
                was_started: false,
            };
            self.runs.insert(retry.run, entry);
            if is_claimed {
                task.running.insert(retry.run);
                return Ok(());
            }
            task.record.waiting.insert(0, retry.waiting());
        }
        task.record.schedule.running -= 1;
        let makes_room = !task.record.waiting.is_empty();
        must(makes_room == outcome.makes_room, Invariant::KeepsWhatItSaid, || {
            format!("the end of a run of {id} makes room for one that waits: {makes_room}")
        })?;
        self.removed_as_over(id, outcome.removed)
    }

    /// A store forgets who has no runs and has left, or is not heard of for an hour.
    fn forget(&mut self, me: NodeId, now: DateTime<Utc>) {
        let Self { leases, runs, .. } = self;
        let has_runs = |node: &NodeId| runs.values().any(|run| run.is_open() && run.node == Some(*node));
        leases.retain(|node, until| *node == me || *until > now - TimeDelta::hours(1) || has_runs(node));
    }

    /// A scheduler said that it lives.
    pub(super) fn renewed(&mut self, beat: &Beat, renewal: &Renewal) {
        if !self.has_leases {
            return;
        }
        let (me, now) = (beat.node.id, self.time(beat.now));
        let had_lapsed = !self.is_held(me, beat.now);
        self.leases.insert(me, now + TimeDelta::from_std(beat.lease).unwrap_or(TimeDelta::MAX));
        self.said = format!("lapsed: {}", renewal.lapsed.len());
        self.forget(me, now);
        let mut checks = must(renewal.had_lapsed == had_lapsed, Invariant::NeedsLease, || {
            format!("the lease of {me} had lapsed: {had_lapsed}, the store says {}", renewal.had_lapsed)
        });
        let has_lapsed = |run: &Run| {
            let node = run.node.filter(|node| *node != me && run.is_open());
            node.is_some_and(|node| self.leases.get(&node).is_none_or(|until| *until <= now))
        };
        let is_alive = |run: &Run| self.tasks.get(&run.task).is_some_and(|task| task.life == run.life);
        let lapsed = self.runs.values().filter(|run| has_lapsed(run) && is_alive(run)).count();
        checks = checks.and_then(|()| {
            must(renewal.lapsed.len() == lapsed.min(beat.limit), Invariant::FindsWhatLapsed, || {
                format!("{lapsed} runs have lapsed, the store says {}", renewal.lapsed.len())
            })
        });
        for found in &renewal.lapsed {
            checks = checks.and_then(|()| {
                let is_right = self.runs.get(&found.run.id).is_some_and(has_lapsed);
                must(is_right, Invariant::FindsWhatLapsed, || {
                    format!("{} has not lapsed, the store says that it has", found.run.id)
                })?;
                let known = self.tasks.get(found.task.id());
                let known =
                    known.ok_or((Invariant::NotAfterDeletion, String::from("it lapsed with its task")))?;
                same(&found.task, &known.record)
            });
        }
        let orphans: Vec<_> = {
            let orphans = self.runs.iter().filter(|(_, run)| has_lapsed(run) && !is_alive(run));
            orphans.map(|(id, _)| *id).collect()
        };
        for orphan in orphans {
            if let Some(run) = self.runs.get_mut(&orphan) {
                run.status = RunStatus::Lost;
                run.node = Some(me);
            }
        }
        self.note(checks);
    }

    /// Compares what the store has with what it must have.
    pub(super) fn compare<'a>(
        &mut self,
        ids: impl Iterator<Item = &'a TaskId>,
        after: &[Option<TaskRecord>],
    ) -> Check {
        for (id, after) in ids.zip(after) {
            let known = self.tasks.get_mut(id).map(|task| {
                let has_room = task.record.due_at() == Some(DateTime::<Utc>::MIN_UTC);
                task.written_at = self.now;
                task.has_room_since = has_room.then(|| task.has_room_since.unwrap_or(self.now));
                &*task
            });
            match (known, after) {
                (None, None) => {}
                (Some(known), Some(after)) => same(after, &known.record)?,
                (known, _) => {
                    let there = if known.is_some() { "there" } else { "gone" };
                    return Err((Invariant::KeepsWhatItSaid, format!("{id} must be {there}")));
                }
            }
        }
        Ok(())
    }

    /// A scheduler starts to execute a run.
    pub(super) fn started(&mut self, who: Who, id: RunId) {
        let check = match self.runs.get_mut(&id) {
            // One that was taken over meanwhile may start, as long as its scheduler has not heard of it.
            Some(run) if run.of == who && (run.is_open() || run.status == RunStatus::Lost) => {
                let is_first = !std::mem::replace(&mut run.was_started, true);
                must(is_first, Invariant::ClaimedFirst, || {
                    format!("a run of {} due {} was started twice", run.task, run.occurrence.due)
                })
            }
            run => Err((Invariant::ClaimedFirst, format!("{who:?} started what it had not won: {run:?}"))),
        };
        self.note(check);
    }

    /// The runs that this scheduler has started and whose end is not in the store, in words.
    pub(super) fn unended(&self, who: Who) -> Vec<String> {
        let unended = self.runs.values().filter(|run| run.of == who && run.was_started);
        let unended = unended.filter(|run| !run.status.is_final());
        unended.map(|run| format!("{} due {}", run.task, run.occurrence.due)).collect()
    }

    /// Whether the end of a run is written.
    pub(super) fn has_ended(&self, run: RunId) -> bool {
        self.runs.get(&run).is_none_or(|run| run.status.is_final())
    }

    /// Runs that were won and that nobody will execute any more: of schedulers that died, or whose answer was lost.
    pub(super) fn stranded(&self) -> u64 {
        self.runs.values().filter(|run| run.is_open()).count() as u64
    }

    /// The runs of tasks that are there which somebody has and that have not ended, and what they are in words.
    pub(super) fn open_runs(&self) -> Vec<(RunId, String)> {
        let is_alive = |run: &Run| self.tasks.get(&run.task).is_some_and(|task| task.life == run.life);
        let open = self.runs.iter().filter(|(_, run)| run.is_open() && is_alive(run));
        open.map(|(id, run)| (*id, format!("{} due {} of {}", run.task, run.occurrence.due, run.of)))
            .collect()
    }

    /// A task that should have been decided, `late` ago, by a clock that says `clock`.
    pub(super) fn overdue(&self, clock: DateTime<Utc>, late: TimeDelta) -> Option<String> {
        let clock = self.time(clock);
        let is_overdue = |task: &&Entered| match task.has_room_since {
            Some(since) => since <= self.now - late,
            None => task.record.due_at().is_some_and(|due| due <= clock - late),
        };
        let overdue = self.tasks.values().find(is_overdue)?;
        Some(format!("{} is due since {:?}", overdue.record.id(), overdue.record.schedule.next_run_time))
    }

    /// A task that is due for so long, by a clock that says `clock`, and that nobody has touched meanwhile.
    pub(super) fn forgotten(&self, clock: DateTime<Utc>, long: TimeDelta) -> Option<String> {
        let clock = self.time(clock);
        let is_forgotten = |task: &&Entered| {
            task.written_at <= self.now - long && task.record.due_at().is_some_and(|due| due <= clock - long)
        };
        let task = self.tasks.values().find(is_forgotten)?;
        Some(format!("{} is due since {:?}", task.record.id(), task.record.due_at()))
    }

    /// The time is now.
    pub(super) fn set_time(&mut self, now: DateTime<Utc>) {
        self.now = now;
    }
}

/// Enters one decision of a claim that was won.
fn decided(
    by: By,
    taken_from: Option<NodeId>,
    decision: &Decision,
    task: &mut Entered,
    runs: &mut BTreeMap<RunId, Run>,
    counts: &mut Counts,
) -> Check {
    let Decision { run, occurrence, status, reason, .. } = decision;
    let id = task.record.id().clone();
    let waited = task.record.waiting.iter().any(|waiting| waiting.run == *run);
    let starts = *status == RunStatus::Claimed;
    counts.decisions += u64::from(!waited && taken_from.is_none());
    counts.runs += u64::from(starts);
    let may_be = occurrence.by_hand || !task.record.schedule.paused || (taken_from.is_some() && !starts);
    must(may_be, Invariant::NotWhilePaused, || {
        format!("{id} due {} was decided while it was paused", occurrence.due)
    })?;
    must(*status == RunStatus::Claimed || reason.is_some(), Invariant::Reasons, || {
        format!("{id} due {} is {status} without a reason", occurrence.due)
    })?;
    let known = runs.get(run);
    let is_taken = |known: &Run| known.is_open() && known.node.is_some() && known.node == taken_from;
    let goes_on = known.is_some_and(|known| match known.status {
        RunStatus::Queued => waited,
        // It is lost; another run is in its place.
        _ => is_taken(known) && *status == RunStatus::Lost,
    });
    let is_new = !waited && known.is_none();
    must(*status != RunStatus::Lost || taken_from.is_some(), Invariant::NeedsLease, || {
        format!("a run of {id} was given up as lost, and nobody had lapsed")
    })?;
    must(goes_on || is_new, Invariant::OneDecision, || {
        format!("the run of {id} due {} was decided again, as {status}", occurrence.due)
    })?;
    if is_new && !occurrence.by_hand && taken_from.is_none() {
        let last = task.decided.insert(occurrence.generation, occurrence.due);
        must(last.is_none_or(|last| last < occurrence.due), Invariant::OneDecision, || {
            format!("{id} due {} was decided again, as {status}: all was up to {last:?}", occurrence.due)
        })?;
    }
    let entry = Run {
        task: id,
        life: task.life,
        occurrence: *occurrence,
        status: *status,
        of: known.filter(|_| *status == RunStatus::Lost).map_or(by.who, |known| known.of),
        node: (*status != RunStatus::Queued).then_some(by.node),
        was_started: false,
    };
    runs.insert(*run, entry);
    match starts {
        true => task.running.insert(*run),
        false => task.running.remove(run),
    };
    Ok(())
}
