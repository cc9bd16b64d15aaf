//! Claims: decisions written in one step with the schedule that follows from them, or not at all.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use super::SqlStore;
use super::batch::{Batch, Columns, Kind, Values};
use super::database::{Database, Step};
use super::dialect::Dialect;
use super::rows::{self, ENTRY, SCHEDULE, SET_SCHEDULE};
use super::tasks::IDS;
use crate::stores::{Claim, ClaimOutcome, StoreError};
use crate::task::{NodeId, RunStatus, TaskRecord};

/// The claims in groups in which no task comes twice.
fn groups(claims: &[Claim]) -> Vec<&[Claim]> {
    let (mut groups, mut first, mut keys) = (Vec::new(), 0, HashSet::new());
    for (at, claim) in claims.iter().enumerate() {
        if !keys.insert(claim.key.0) {
            groups.push(&claims[first..at]);
            first = at;
            keys = HashSet::from([claim.key.0]);
        }
    }
    groups.push(&claims[first..]);
    groups
}

/// The task as it is after its claim.
fn claimed(claim: &Claim) -> TaskRecord {
    TaskRecord {
        definition: claim.definition.clone(),
        schedule: claim.schedule,
        waiting: claim.waiting.clone(),
        key: claim.key,
    }
}

/// A run that is lost.
const LOSS: Columns = &[
    ("b_id", Kind::Text),
    ("b_key", Kind::Int),
    ("b_status", Kind::Text),
    ("b_finished", Kind::Int),
    ("b_error", Kind::Text),
];

/// What becomes of a batch of which something may have changed since it was read.
///
/// Nothing has, as a rule, and then all that is asked of the database is how many rows it has changed: to answer which takes
/// longer than to change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    /// Only all of it is written.
    AllOrNothing,
    /// What can be written is, and the answer says which.
    Each,
}

impl SqlStore {
    pub(super) async fn try_claim(
        &self,
        database: &Database,
        by: NodeId,
        claims: &[Claim],
    ) -> Result<Vec<ClaimOutcome>, StoreError> {
        let outcomes = match claim_with(database, by, claims, Care::AllOrNothing).await? {
            Some(outcomes) => outcomes,
            None => claim_with(database, by, claims, Care::Each).await?.unwrap_or_default(),
        };
        for (claim, outcome) in claims.iter().zip(&outcomes) {
            if *outcome == (ClaimOutcome::Won { removed: true }) {
                self.definitions.forget(&rows::key(claim.key));
            }
        }
        Ok(outcomes)
    }
}

/// `None`: some were lost, and nothing is written.
async fn claim_with(
    database: &Database,
    by: NodeId,
    claims: &[Claim],
    care: Care,
) -> Result<Option<Vec<ClaimOutcome>>, StoreError> {
    let mut outcomes = Vec::with_capacity(claims.len());
    let mut step = database.begin().await?;
    for group in groups(claims) {
        match claim_group(&mut step, by, group, care).await? {
            Some(group) => outcomes.extend(group),
            None => {
                step.undo().await?;
                return Ok(None);
            }
        }
    }
    step.commit().await?;
    Ok(Some(outcomes))
}

async fn claim_group(
    step: &mut Step<'_>,
    by: NodeId,
    claims: &[Claim],
    care: Care,
) -> Result<Option<Vec<ClaimOutcome>>, StoreError> {
    let node = by.to_string();
    let now = claims.iter().map(|claim| claim.decided_at).max().unwrap_or_default();
    let held = held(step, claims, now).await?;
    let is_held = |claim: &Claim| claim.taken_from.is_some_and(|node| held.contains(&node.to_string()));

    let tasks: Vec<_> = claims.iter().map(claimed).collect();
    let mut wanted: Vec<_> = claims.iter().zip(&tasks).filter(|(claim, _)| !is_held(claim)).collect();
    // Whoever claims several locks them in the same order.
    wanted.sort_by_key(|(claim, _)| claim.key.0);
    let mut batch = Batch::new(SCHEDULE);
    for (claim, task) in wanted {
        rows::push_schedule(&mut batch, task, claim.schedule.version.wrapping_sub(1), claim.claims_runs())?;
    }
    let values = [("node", node.as_str().into()), ("now", rows::micros(now).into())];
    let Some(won) = change_tasks(step, batch, &values, care).await? else { return Ok(None) };
    let has_won = |claim: &Claim| won.contains(&rows::key(claim.key)) && !is_held(claim);
    write_decisions(step, by, claims.iter().filter(|claim| has_won(claim))).await?;

    // Where the scheduler's own lease has lapsed, that is why.
    let lost_runs = claims.iter().any(|claim| !has_won(claim) && claim.claims_runs());
    let has_lapsed = lost_runs && step.fetch(HELD, &values).await?.is_empty();
    let outcome = |claim: &Claim| match has_won(claim) {
        true => ClaimOutcome::Won { removed: claim.is_over() },
        false if has_lapsed && claim.claims_runs() => ClaimOutcome::Lapsed,
        false => ClaimOutcome::Lost,
    };
    Ok(Some(claims.iter().map(outcome).collect()))
}

/// Writes the schedules of tasks that are as they were read, and answers which these are.
async fn change_tasks(
    step: &mut Step<'_>,
    batch: Batch<'_>,
    values: Values<'_>,
    care: Care,
) -> Result<Option<HashSet<i64>>, StoreError> {
    if care == Care::Each {
        let won = step.change("tasks", SET_SCHEDULE, &still_so(), "task_key", values, batch).await?;
        return Ok(Some(won.iter().map(|row| row.number(0)).collect::<Result<_, _>>()?));
    }
    let keys: HashSet<i64> = batch.cells.chunks(SCHEDULE.len()).filter_map(|row| row[0].number()).collect();
    let update = step.writer.update("tasks", SET_SCHEDULE, &still_so(), "");
    let changed = step.run_batch(&update, values, batch).await?;
    Ok((changed == keys.len() as u64).then_some(keys))
}

/// Writes the entries of claims that were won.
async fn write_decisions<'a>(
    step: &mut Step<'_>,
    by: NodeId,
    claims: impl Iterator<Item = &'a Claim>,
) -> Result<(), StoreError> {
    let (mut entries, mut losses) = (Batch::new(ENTRY), Batch::new(LOSS));
    for claim in claims {
        for decision in &claim.decisions {
            if decision.status == RunStatus::Lost {
                losses.push([
                    decision.run.to_string().into(),
                    rows::key(claim.key).into(),
                    decision.status.as_str().into(),
                    rows::micros(claim.decided_at).into(),
                    decision.reason.clone().map(rows::clean).into(),
                ]);
            } else {
                rows::push_entry(&mut entries, claim.key, claim.entry(by, decision));
            }
        }
    }
    write_entries(step, entries).await?;
    let lose = step.writer.update(
        "runs",
        "status = b_status, node = :node, finished_at = b_finished, error = b_error, place = NULL",
        "t.id = b_id AND t.place = b_key",
        "",
    );
    step.run_batch(&lose, &[("node", by.to_string().into())], losses).await?;
    Ok(())
}

/// The task is as it was when it was read; who claims runs of it must hold a lease.
pub(super) fn still_so() -> String {
    format!("t.task_key = b_key AND t.version = b_was AND t.deleted = 0 AND (b_runs = 0 OR EXISTS ({HELD}))")
}

/// One row where the scheduler's lease is held.
const HELD: &str = "SELECT 1 FROM {nodes} AS n WHERE n.id = :node AND n.leased_until > {now}";

/// Of the schedulers that runs are taken from, those whose leases are held. They can't be renewed before the claim is written.
async fn held(
    step: &mut Step<'_>,
    claims: &[Claim],
    now: DateTime<Utc>,
) -> Result<HashSet<String>, sqlx::Error> {
    let from: HashSet<_> = claims.iter().filter_map(|claim| claim.taken_from).collect();
    let mut from: Vec<_> = from.into_iter().map(|node| node.to_string()).collect();
    from.sort_unstable();
    let sql = "SELECT n.id, CASE WHEN n.leased_until > {now} THEN 1 ELSE 0 END FROM {batch} AS b \
               JOIN {nodes} AS n ON n.id = b_id ORDER BY n.id {lock}";
    let rows = step.fetch_batch(sql, &[("now", rows::micros(now).into())], Batch::of(IDS, from)).await?;
    let mut held = HashSet::new();
    for row in rows {
        if row.number(1)? != 0 {
            held.insert(row.string(0)?);
        }
    }
    Ok(held)
}

/// The columns of [`ENTRY`].
const COLUMNS: &str = "id, task_key, place, due, generation, attempt, flags, occurrences, status, node, starts_at, \
     decided_at, error";

/// Writes entries, each in the place of the one of the same run, where there is one.
pub(super) async fn write_entries(step: &mut Step<'_>, entries: Batch<'_>) -> Result<(), sqlx::Error> {
    let new = |column: &str| match step.dialect() {
        Dialect::MySql => format!("{column} = VALUES({column})"),
        _ => format!("{column} = excluded.{column}"),
    };
    let set = COLUMNS.split(", ").skip(2).map(new).collect::<Vec<_>>().join(", ");
    let set = format!("{set}, started_at = NULL, finished_at = NULL, value = NULL");
    let insert = format!("INSERT {{or_fail}}INTO {{runs}} ({COLUMNS}) {{cells}}");
    let sql = match step.dialect() {
        Dialect::MySql => format!("{insert} ON DUPLICATE KEY UPDATE {set}"),
        _ => format!("{insert} ON CONFLICT (id) DO UPDATE SET {set}"),
    };
    step.run_batch(&sql, &[], entries).await.map(drop)
}
