//! The firing rule: what becomes of a task's due occurrences.

use chrono::{DateTime, TimeDelta, Utc};

use super::due::Due;
use crate::stores::Claim;
use crate::task::{Count, Occurrence, RunId, RunRecord, RunStatus, Schedule, TaskRecord};

/// Decides everything of `task` that is due at `now`; `None` where nothing is.
///
/// `deciding_since`: occurrences due before then came while nobody decided, so their runs catch up.
pub(super) fn plan(
    task: &TaskRecord,
    now: DateTime<Utc>,
    deciding_since: DateTime<Utc>,
    mut run_id: impl FnMut() -> RunId,
) -> Option<Claim> {
    let TaskRecord { definition, schedule } = task;
    let rules = &definition.rules;
    let first = schedule.next_run_time.filter(|first| *first <= now)?;
    let due = Due::find(&*definition.trigger, first, now, rules);

    let mut entries = Vec::with_capacity(due.instants.len() + usize::from(due.earlier.is_some()));
    let behind = due.earlier.is_some() || due.instants.len() > 1;
    let mut entry = |due: DateTime<Utc>, occurrences: Count, status: RunStatus, error: Option<String>| {
        let is_catch_up = behind || due < deciding_since;
        let occurrence =
            Occurrence { due, generation: schedule.generation, attempt: 1, is_catch_up, by_hand: false };
        decided(task, run_id(), occurrence, now, occurrences, status, error)
    };

    if let Some(earlier) = due.earlier {
        let (status, reason) = match rules.coalesce {
            true => (RunStatus::Coalesced, "a later occurrence was due, too".to_owned()),
            false => (RunStatus::Missed, format!("more than max_catch_up = {} were due", rules.max_catch_up)),
        };
        entries.push(entry(earlier.last, earlier.count, status, Some(reason)));
    }
    let mut running = schedule.running;
    for instant in &due.instants {
        let (status, error) = if let Some(late) = missed_by(*instant, now, task) {
            (RunStatus::Missed, Some(late))
        } else if running >= rules.max_instances {
            (RunStatus::Skipped, Some(at_max_instances(running, rules.max_instances)))
        } else {
            running += 1;
            (RunStatus::Claimed, None)
        };
        entries.push(entry(*instant, Count::ONE, status, error));
    }

    let schedule = Schedule {
        version: schedule.version + 1,
        running,
        next_run_time: due.next,
        watermark: due.instants.last().copied().max(schedule.watermark),
        ended: due.next.is_none(),
        ..*schedule
    };
    Some(Claim { definition: definition.clone(), schedule, entries })
}

/// A run now, beside the schedule; `Err` tells why there is no room for it.
pub(crate) fn plan_by_hand(task: &TaskRecord, now: DateTime<Utc>, run_id: RunId) -> Result<Claim, String> {
    let TaskRecord { definition, schedule } = task;
    if schedule.running >= definition.rules.max_instances {
        return Err(at_max_instances(schedule.running, definition.rules.max_instances));
    }
    let occurrence = Occurrence {
        due: now,
        generation: schedule.generation,
        attempt: 1,
        is_catch_up: false,
        by_hand: true,
    };
    let run = decided(task, run_id, occurrence, now, Count::ONE, RunStatus::Claimed, None);
    let schedule = Schedule { version: schedule.version + 1, running: schedule.running + 1, ..*schedule };
    Ok(Claim { definition: definition.clone(), schedule, entries: vec![run] })
}

/// Decides that an instant before the task was declared is not run.
pub(crate) fn plan_missed(task: &TaskRecord, now: DateTime<Utc>, run_id: RunId) -> Option<Claim> {
    let due = task.schedule.next_run_time?;
    let schedule = task.schedule;
    let occurrence =
        Occurrence { due, generation: schedule.generation, attempt: 1, is_catch_up: true, by_hand: false };
    let reason = "it was past when the task was declared";
    let entry =
        decided(task, run_id, occurrence, now, Count::ONE, RunStatus::Missed, Some(reason.to_owned()));
    let next_run_time = task.definition.trigger.next_after(now);
    let schedule = Schedule {
        version: schedule.version + 1,
        next_run_time,
        watermark: Some(due),
        ended: next_run_time.is_none(),
        ..schedule
    };
    Some(Claim { definition: task.definition.clone(), schedule, entries: vec![entry] })
}

fn decided(
    task: &TaskRecord,
    id: RunId,
    occurrence: Occurrence,
    decided_at: DateTime<Utc>,
    occurrences: Count,
    status: RunStatus,
    error: Option<String>,
) -> RunRecord {
    RunRecord {
        id,
        task: task.id().clone(),
        occurrence,
        occurrences,
        status,
        decided_at,
        started_at: None,
        finished_at: None,
        value: None,
        error,
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

fn at_max_instances(running: u32, most: u32) -> String {
    format!("{running} of its runs were going on, max_instances is {most}")
}
