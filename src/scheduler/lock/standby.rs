//! What a scheduler does with a store that another process schedules.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use smallvec::smallvec;

use crate::scheduler::driver;
use crate::scheduler::machine::{Answer, Question};
use crate::scheduler::shared::Shared;
use crate::stores::{Claim, ClaimOutcome, Decision, Found, NextDue, Query, Renewal, Store, StoreError};
use crate::task::{Count, Occurrence, RunStatus, TaskRecord};

/// How long an occurrence is left to the process that schedules the store before this one passes over it: where that process
/// dies meanwhile it is run here.
const LEFT: TimeDelta = TimeDelta::seconds(1);

/// How many tasks are looked at together.
const BATCH: usize = 200;

/// The answer to a question about what is due: nothing is.
///
/// A store that processes share has what the other one has decided. One in memory has not: there the same occurrences come
/// up in each process, and this one passes over them, so that none is run again when it takes over.
pub(in crate::scheduler) async fn answer(shared: Arc<Shared>, alias: Arc<str>, question: Question) -> Answer {
    let store = shared.store_of_driver(&alias).ok_or_else(|| StoreError::new("the store was removed"));
    match question {
        Question::FindDue { now, .. } => {
            let passed = async { pass_over(&shared, &*store?, now).await }.await;
            Answer::FindDue(passed.map(|()| Found::default()))
        }
        Question::Renew { .. } => without_lapsed(driver::answer(shared, alias, question).await),
        Question::FindNextDue => Answer::FindNextDue(async { next_passed(&shared, &*store?).await }.await),
        question => driver::answer(shared, alias, question).await,
    }
}

/// What a scheduler has left that has died, the one that holds the lock takes over.
fn without_lapsed(answer: Answer) -> Answer {
    match answer {
        Answer::Renew(asked_at, Ok(renewal)) => {
            Answer::Renew(asked_at, Ok(Renewal { lapsed: Vec::new(), ..renewal }))
        }
        answer => answer,
    }
}

/// No other process knows of what is kept there.
fn goes_with_the_process(store: &dyn Store) -> bool {
    store.lease().is_none()
}

async fn next_passed(shared: &Shared, store: &dyn Store) -> Result<NextDue, StoreError> {
    let next = store.next_due(shared.node_id(), &shared.handlers()).await?;
    let at = match goes_with_the_process(store) {
        true => next.at.and_then(|due| due.checked_add_signed(LEFT)),
        // This scheduler is told when the lock is its own.
        false => None,
    };
    Ok(NextDue { at, ..next })
}

/// Decides that what the other process has decided is not run here.
async fn pass_over(shared: &Shared, store: &dyn Store, now: DateTime<Utc>) -> Result<(), StoreError> {
    let Some(until) = now.checked_sub_signed(LEFT).filter(|_| goes_with_the_process(store)) else {
        return Ok(());
    };
    loop {
        let query = Query::Due { now: until, limit: BATCH, handlers: shared.handlers() };
        let due = store.query(query).await?.tasks;
        let claims: Vec<_> = due.iter().filter_map(|task| passed_over(shared, task, until, now)).collect();
        let is_won = |outcome: &ClaimOutcome| matches!(outcome, ClaimOutcome::Won { .. });
        if claims.is_empty() || !store.claim(shared.node_id(), &claims).await?.iter().any(is_won) {
            // What somebody has changed meanwhile is looked at again for that.
            return Ok(());
        }
    }
}

fn passed_over(
    shared: &Shared,
    task: &TaskRecord,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<Claim> {
    let mut schedule = task.schedule;
    let due = schedule.next_run_time.filter(|due| *due <= until)?;
    let trigger = &task.definition.trigger;
    let several = trigger.next_after(due).is_some_and(|second| second <= until);
    let occurrence =
        Occurrence { due, generation: schedule.generation, attempt: 1, is_catch_up: false, by_hand: false };
    schedule.next_run_time = trigger.next_after(until.max(due));
    schedule.watermark = schedule.watermark.max(Some(due));
    schedule.ended = schedule.next_run_time.is_none() && !trigger.at_shutdown();
    schedule.version += 1;
    let decision = Decision {
        run: shared.run_id_by_hand(),
        occurrence,
        occurrences: Count { at_least: 1, more: several },
        status: RunStatus::Skipped,
        starts_at: None,
        reason: Some("another process holds the lock of this store".to_owned()),
    };
    Some(Claim {
        key: task.key,
        definition: task.definition.clone(),
        schedule,
        waiting: task.waiting.clone(),
        decided_at: now,
        decisions: smallvec![decision],
        taken_from: None,
    })
}
