//! The firing rule: what becomes of a task's due occurrences.

use chrono::{DateTime, TimeDelta, Utc};
use smallvec::SmallVec;

use super::due::Due;
use super::overlap::Places;
use crate::stores::{Claim, Decision};
use crate::task::{Count, Occurrence, RunId, RunStatus, Schedule, TaskRecord, Waiting};

/// Decides everything of `task` that is due at `now`, and lets in what waits for a place. Where there is something, it
/// goes to `claims`: a claim is large, and to hand it up would be to copy it twice.
///
/// `deciding_since`: occurrences due before then came while nobody decided, so their runs catch up.
pub(super) fn plan(
    task: TaskRecord,
    now: DateTime<Utc>,
    deciding_since: DateTime<Utc>,
    run_id: &mut dyn FnMut() -> RunId,
    claims: &mut Vec<Claim>,
) {
    let mut schedule = task.schedule;
    if schedule.paused {
        return;
    }
    let mut decisions = Decisions::of(&task, now, run_id);
    let mut places = Places::of(&task);
    places.let_in(&mut decisions);
    if let Some(first) = schedule.next_run_time.filter(|first| *first <= now) {
        let due = Due::find(&*task.definition.trigger, first, now, &task.definition.rules);
        schedule.next_run_time = due.next;
        schedule.watermark = schedule.watermark.max(Some(due.last));
        schedule.ended = due.next.is_none() && !task.definition.trigger.at_shutdown();
        decide_due(due, deciding_since, &mut places, &mut decisions);
    }
    let decisions = decisions.made;
    if decisions.is_empty() {
        return;
    }
    schedule.version += 1;
    schedule.running = places.running;
    let (key, definition, waiting) = (task.key, task.definition, places.waiting.into());
    claims.push(Claim { key, definition, schedule, waiting, decided_at: now, decisions, taken_from: None });
}

fn decide_due(due: Due, deciding_since: DateTime<Utc>, places: &mut Places, decisions: &mut Decisions<'_>) {
    let rules = &decisions.task.definition.rules;
    let generation = decisions.task.schedule.generation;
    let behind = due.earlier.is_some() || !due.before.is_empty();
    let occurrence = |due: DateTime<Utc>| {
        let is_catch_up = behind || due < deciding_since;
        Occurrence { due, generation, attempt: 1, is_catch_up, by_hand: false }
    };
    if let Some(earlier) = due.earlier {
        let (status, reason) = match rules.coalesce {
            true => (RunStatus::Coalesced, "a later occurrence was due, too".to_owned()),
            false => (RunStatus::Missed, format!("more than max_catch_up = {} were due", rules.max_catch_up)),
        };
        decisions.make(occurrence(earlier.last), earlier.count, status, Some(reason));
    }
    for instant in due.before.into_iter().chain([due.last]) {
        match missed_by(instant, decisions.now, decisions.task) {
            Some(late) => {
                decisions.make(occurrence(instant), Count::ONE, RunStatus::Missed, Some(late));
            }
            None => places.take_in(occurrence(instant), decisions),
        }
    }
}

/// A run now, beside the schedule; `Err` tells why there is no room for it.
pub(crate) fn plan_by_hand(task: &TaskRecord, now: DateTime<Utc>, run_id: RunId) -> Result<Claim, String> {
    let mut schedule = task.schedule;
    let max_instances = task.definition.rules.max_instances;
    if schedule.running >= max_instances {
        return Err(at_max_instances(schedule.running, max_instances));
    }
    let occurrence = Occurrence {
        due: now,
        generation: schedule.generation,
        attempt: 1,
        is_catch_up: false,
        by_hand: true,
    };
    schedule.running += 1;
    Ok(single(task, now, run_id, schedule, occurrence, RunStatus::Claimed, None))
}

/// Decides that an instant before the task was declared is not run.
pub(crate) fn plan_missed(task: &TaskRecord, now: DateTime<Utc>, run_id: RunId) -> Option<Claim> {
    let mut schedule = task.schedule;
    let due = schedule.next_run_time?;
    let occurrence =
        Occurrence { due, generation: schedule.generation, attempt: 1, is_catch_up: true, by_hand: false };
    schedule.next_run_time = task.definition.trigger.next_after(now);
    schedule.watermark = Some(due);
    schedule.ended = schedule.next_run_time.is_none() && !task.definition.trigger.at_shutdown();
    let reason = "it was past when the task was declared".to_owned();
    Some(single(task, now, run_id, schedule, occurrence, RunStatus::Missed, Some(reason)))
}

/// A claim with one decision.
fn single(
    task: &TaskRecord,
    now: DateTime<Utc>,
    run_id: RunId,
    schedule: Schedule,
    occurrence: Occurrence,
    status: RunStatus,
    error: Option<String>,
) -> Claim {
    let mut run_id = || run_id;
    let mut decisions = Decisions::of(task, now, &mut run_id);
    decisions.make(occurrence, Count::ONE, status, error);
    let schedule = Schedule { version: schedule.version + 1, ..schedule };
    decisions.claim(schedule, task.waiting.clone())
}

/// The decisions of one claim, as they are made.
pub(super) struct Decisions<'a> {
    task: &'a TaskRecord,
    now: DateTime<Utc>,
    run_id: &'a mut dyn FnMut() -> RunId,
    made: SmallVec<[Decision; 1]>,
}

impl<'a> Decisions<'a> {
    pub(super) fn of(task: &'a TaskRecord, now: DateTime<Utc>, run_id: &'a mut dyn FnMut() -> RunId) -> Self {
        Self { task, now, run_id, made: SmallVec::new() }
    }

    /// An id that no other run has.
    pub(super) fn new_run(&mut self) -> RunId {
        (self.run_id)()
    }

    /// Decides an occurrence for the first time.
    pub(super) fn make(
        &mut self,
        occurrence: Occurrence,
        occurrences: Count,
        status: RunStatus,
        error: Option<String>,
    ) -> RunId {
        let run = self.new_run();
        self.enter(Waiting { run, occurrence, starts_at: None }, occurrences, status, error);
        run
    }

    /// Decides what has waited until now.
    pub(super) fn remake(&mut self, waited: Waiting, status: RunStatus, error: Option<String>) {
        // A claim decides about each run once, whatever came to wait and had to go in it.
        self.made.retain(|made| made.run != waited.run);
        self.enter(waited, Count::ONE, status, error);
    }

    pub(super) fn enter(
        &mut self,
        what: Waiting,
        occurrences: Count,
        status: RunStatus,
        reason: Option<String>,
    ) {
        let Waiting { run, occurrence, starts_at } = what;
        self.made.push(Decision { run, occurrence, occurrences, status, starts_at, reason });
    }

    /// All of them, to be written.
    pub(super) fn claim(self, schedule: Schedule, waiting: Vec<Waiting>) -> Claim {
        let Self { task, now: decided_at, made: decisions, .. } = self;
        let (key, definition) = (task.key, task.definition.clone());
        Claim { key, definition, schedule, waiting, decided_at, decisions, taken_from: None }
    }
}

/// How late an occurrence is, where that is too late.
fn missed_by(due: DateTime<Utc>, now: DateTime<Utc>, task: &TaskRecord) -> Option<String> {
    let rules = &task.definition.rules;
    let grace = rules.misfire_grace_time?;
    let allowed = TimeDelta::from_std(rules.jitter.saturating_add(grace)).ok()?;
    let late = now - due;
    (late > allowed)
        .then(|| format!("decided {} late, misfire_grace_time is {}", seconds(late), seconds_of(grace)))
}

fn seconds(delta: TimeDelta) -> String {
    seconds_of(delta.to_std().unwrap_or_default())
}

fn seconds_of(duration: std::time::Duration) -> String {
    format!("{} s", duration.as_millis() as f64 / 1_000.0)
}

pub(super) fn at_max_instances(running: u32, most: u32) -> String {
    format!("{running} of its runs were going on, max_instances is {most}")
}
