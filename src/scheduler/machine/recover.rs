//! What becomes of the runs of a scheduler that is gone.

use chrono::{DateTime, Utc};

use super::plan::Decisions;
use super::waits::start_of;
use crate::stores::{Claim, LapsedRun};
use crate::task::{
    Count, NodeId, Occurrence, Recover, Rules, RunId, RunRecord, RunStatus, TaskDefinition, TaskRecord,
    Waiting,
};

/// Takes lapsed runs over: those that have not started are handed on as they are, of others the task says whether they are
/// run again or lost. A claim is of one task and one scheduler; what is left is taken over in another round.
pub(super) fn plan_recovery(
    lapsed: &[LapsedRun],
    now: DateTime<Utc>,
    run_id: &mut dyn FnMut() -> RunId,
) -> Vec<Claim> {
    let mut claims: Vec<Claim> = Vec::new();
    for LapsedRun { task, run, .. } in lapsed {
        let Some(node) = run.node else { continue };
        let is_planned = claims.iter().any(|claim| claim.definition.id == *task.id());
        if !is_planned {
            let of_both =
                lapsed.iter().filter(|other| other.task.id() == task.id() && other.run.node == Some(node));
            claims.push(recover(task, node, of_both, now, run_id));
        }
    }
    claims
}

fn recover<'a>(
    task: &TaskRecord,
    node: NodeId,
    runs: impl Iterator<Item = &'a LapsedRun>,
    now: DateTime<Utc>,
    run_id: &mut dyn FnMut() -> RunId,
) -> Claim {
    let mut schedule = task.schedule;
    schedule.version += 1;
    // Nothing starts while the task is paused: what is run again waits until it is resumed.
    let mut waiting = Vec::new();
    let mut decisions = Decisions::of(task, now, run_id);
    for LapsedRun { run, leased_until, .. } in runs {
        let is_unstarted = start_of(&run.occurrence, run.starts_at, &task.definition) >= *leased_until;
        let attempt = if is_unstarted {
            Ok(run.occurrence.attempt)
        } else {
            run_again(&run.occurrence, &task.definition)
        };
        let reason = match &attempt {
            Ok(attempt) if is_unstarted => {
                format!("it had not started; it is handed on, as attempt {attempt}")
            }
            Ok(attempt) => format!("it is run again, as attempt {attempt}"),
            Err(why) => why.clone(),
        };
        decisions.lose(run, format!("its scheduler {node} is gone: {reason}"));
        let Ok(attempt) = attempt else {
            schedule.running = schedule.running.saturating_sub(1);
            continue;
        };
        // Under a name of its own: a run never changes hands, so that what is late to come is told from what is not.
        let again = Waiting {
            run: decisions.new_run(),
            occurrence: Occurrence { attempt, is_catch_up: true, ..run.occurrence },
            starts_at: run.starts_at.filter(|_| is_unstarted),
        };
        if schedule.paused {
            schedule.running = schedule.running.saturating_sub(1);
            let reason = "its scheduler is gone, and the task is paused".to_owned();
            decisions.enter(again, Count::ONE, RunStatus::Queued, Some(reason));
            waiting.push(again);
        } else {
            decisions.enter(again, Count::ONE, RunStatus::Claimed, None);
        }
    }
    waiting.extend(task.waiting.iter().copied());
    Claim { taken_from: Some(node), ..decisions.claim(schedule, waiting) }
}

/// The number of the attempt that runs again what was cut short; else why there is none.
pub(super) fn run_again(occurrence: &Occurrence, task: &TaskDefinition) -> Result<u32, String> {
    let rules = &task.rules;
    match rules.recover {
        Recover::Abandon => Err("it says recover = \"abandon\"".to_owned()),
        Recover::Rerun if is_of_shutdown(occurrence, task) => {
            Err("it belonged to that scheduler's shutdown".to_owned())
        }
        Recover::Rerun if has_tried_enough(occurrence, rules) => {
            Err(format!("so were those of {MOST_RECOVERIES} attempts before: it may be what ends them"))
        }
        Recover::Rerun => Ok(occurrence.attempt + 1),
    }
}

/// Whether a run was started by its scheduler's shutdown, and not by the schedule that its trigger may have beside.
fn is_of_shutdown(occurrence: &Occurrence, task: &TaskDefinition) -> bool {
    task.trigger.at_shutdown()
        && !occurrence.by_hand
        && task.trigger.first(occurrence.due) != Some(occurrence.due)
}

/// A run that takes its process with it each time comes to an end so.
fn has_tried_enough(occurrence: &Occurrence, rules: &Rules) -> bool {
    occurrence.attempt > rules.retries.saturating_add(MOST_RECOVERIES)
}

const MOST_RECOVERIES: u32 = 10;

impl Decisions<'_> {
    /// Decides that a run is lost that somebody had.
    fn lose(&mut self, run: &RunRecord, reason: String) {
        let lost = Waiting { run: run.id, occurrence: run.occurrence, starts_at: None };
        self.enter(lost, Count::ONE, RunStatus::Lost, Some(reason));
    }
}
