//! What is compared, after each call to the store.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::invariant::Invariant;
use crate::stores::{Claim, Decision};
use crate::task::{Count, NodeId, RunRecord, RunStatus, Schedule, TaskRecord};

pub(super) type Check = Result<(), (Invariant, String)>;

/// `Err` unless it holds.
pub(super) fn must(holds: bool, invariant: Invariant, says: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err((invariant, says())) }
}

pub(super) fn has_entry(by: NodeId, claim: &Claim, decision: &Decision, entry: Option<&RunRecord>) -> Check {
    let due = decision.occurrence.due;
    let is_as_decided = entry.is_some_and(|entry| match decision.status {
        RunStatus::Lost => {
            entry.status == decision.status && entry.node == Some(by) && entry.error == decision.reason
        }
        _ => *entry == claim.entry(by, decision),
    });
    must(is_as_decided, Invariant::OneStep, || {
        format!("{} due {due} was won as {}, its entry is {entry:?}", claim.definition.id, decision.status)
    })
}

/// All that was due up to the claim's next run is decided by it: no occurrence is passed over.
pub(super) fn check_completeness(claim: &Claim, before: &TaskRecord) -> Check {
    let Some(first) = before.schedule.next_run_time else { return Ok(()) };
    if claim.schedule.next_run_time == Some(first) {
        return Ok(());
    }
    let is_new = |decision: &&Decision| {
        !decision.occurrence.by_hand && !before.waiting.iter().any(|waiting| waiting.run == decision.run)
    };
    let (mut decided, mut more) = (0, false);
    for Decision { occurrences: Count { at_least, more: and_more }, .. } in
        claim.decisions.iter().filter(is_new)
    {
        decided += u64::from(*at_least);
        more |= and_more;
    }
    let trigger = &before.definition.trigger;
    let due = std::iter::successors(Some(first), |instant| trigger.next_after(*instant));
    let end = claim.schedule.next_run_time;
    let due =
        due.take_while(|instant| end.is_none_or(|end| *instant < end)).take(MOST_COUNTED).count() as u64;
    let is_complete = if more { decided <= due } else { decided == due };
    must(is_complete, Invariant::NoneForgotten, || {
        format!(
            "{due} occurrences of {} were due from {first} to {end:?}, {decided} were decided",
            before.id()
        )
    })
}

/// More occurrences than any task of a simulation can miss.
const MOST_COUNTED: usize = 100_000;

/// What comes next was not decided yet, and what is decided stays so.
pub(super) fn check_time(
    record: &TaskRecord,
    decided: &BTreeMap<u32, DateTime<Utc>>,
    before: &Schedule,
) -> Check {
    let now = &record.schedule;
    must(
        now.generation > before.generation
            || (now.generation == before.generation && now.watermark >= before.watermark),
        Invariant::Onward,
        || {
            let id = record.id();
            format!("the watermark of {id} went from {:?} back to {:?}", before.watermark, now.watermark)
        },
    )?;
    let last = decided.get(&now.generation);
    let is_ahead = now.next_run_time.is_none_or(|next| last.is_none_or(|last| next > *last));
    must(is_ahead, Invariant::Onward, || {
        format!("{} runs next at {:?}, but all is decided up to {last:?}", record.id(), now.next_run_time)
    })
}

/// Each life of a task has a name of its own, and only who declares tasks replaces one that it has not read.
pub(super) fn is_of_life(new: &TaskRecord, known: &TaskRecord) -> bool {
    let name = &*new.definition.name;
    *name == *known.definition.name || name == DECLARED
}

/// The name of tasks that are declared.
pub(super) const DECLARED: &str = "declared";

pub(super) fn same(found: &TaskRecord, known: &TaskRecord) -> Check {
    let is_same = found.schedule == known.schedule
        && found.waiting == known.waiting
        && found.definition.name == known.definition.name
        && found.definition.trigger_digest == known.definition.trigger_digest
        && found.definition.rules == known.definition.rules;
    must(is_same, Invariant::KeepsWhatItSaid, || {
        format!("{} is {:?} in the store, it must be {:?}", known.id(), found.schedule, known.schedule)
    })
}
