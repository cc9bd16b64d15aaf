//! Claims: decisions written in one step with the schedule that follows from them, or not at all.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use mongodb::bson::{RawDocumentBuf, doc, rawdoc};
use serde::Deserialize;

use super::MongoStore;
use super::database::Database;
use super::documents::{self, Made, node_id, unreadable};
use super::step::{Step, is_conflict, let_pass};
use crate::stores::{Claim, ClaimOutcome, StoreError};
use crate::task::{NodeId, Overlap, RunStatus};

/// The claims in groups in which no task comes twice.
fn groups(claims: &[Claim]) -> Vec<&[Claim]> {
    let (mut groups, mut first, mut ids) = (Vec::new(), 0, HashSet::new());
    for (at, claim) in claims.iter().enumerate() {
        if !ids.insert(&claim.definition.id) {
            groups.push(&claims[first..at]);
            first = at;
            ids = HashSet::from([&claim.definition.id]);
        }
    }
    groups.push(&claims[first..]);
    groups
}

fn was(claim: &Claim) -> i64 {
    claim.schedule.version.wrapping_sub(1).cast_signed()
}

/// What becomes of a batch of which something may have changed since it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Care {
    /// Only all of it is written: nothing has changed, as a rule, and then nothing need be read again.
    AllOrNothing,
    /// What can be written is, and the answer says which.
    Each,
}

/// How often a part of a batch is tried before it is halved.
const TRIES: usize = 3;

impl MongoStore {
    pub(super) async fn try_claim(
        &self,
        database: &Database,
        by: NodeId,
        claims: &[Claim],
    ) -> Result<Vec<ClaimOutcome>, StoreError> {
        let outcomes = match claim_with(database, by, claims, Care::AllOrNothing).await {
            Ok(Some(outcomes)) => outcomes,
            Err(error) if !is_conflict(&error) => return Err(error),
            _ => claim_each(database, by, claims).await?,
        };
        for (claim, outcome) in claims.iter().zip(&outcomes) {
            if *outcome == (ClaimOutcome::Won { removed: true }) {
                self.definitions.forget(&claim.definition.id);
            }
        }
        Ok(outcomes)
    }
}

/// Claims as many as can be. Where somebody else's transaction has touched one of them and does not come to its end, as its
/// process is dead or stands still, that one is lost, and its neighbours are not.
async fn claim_each(
    database: &Database,
    by: NodeId,
    claims: &[Claim],
) -> Result<Vec<ClaimOutcome>, StoreError> {
    let mut outcomes = Vec::with_capacity(claims.len());
    let mut parts = vec![claims];
    while let Some(part) = parts.pop() {
        let mut tries = 0;
        let done = loop {
            tries += 1;
            match claim_with(database, by, part, Care::Each).await {
                Err(error) if is_conflict(&error) && tries < TRIES => let_pass(tries).await,
                Err(error) if is_conflict(&error) => break None,
                done => break done?,
            }
        };
        match done {
            Some(done) => outcomes.extend(done),
            None if part.len() == 1 => {
                tracing::debug!(task = %part[0].definition.id, "another transaction holds the task");
                outcomes.push(ClaimOutcome::Lost);
            }
            None => {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
        }
    }
    Ok(outcomes)
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
    let held = held(step, by, claims).await?;
    let versions = match care {
        Care::AllOrNothing => None,
        Care::Each => Some(versions(step, claims.iter().map(|claim| claim.definition.id.as_str())).await?),
    };
    let outcome = |claim: &Claim| {
        if claim.claims_runs() && !held.contains(&by) {
            return ClaimOutcome::Lapsed;
        }
        let is_taken_back = claim.taken_from.is_some_and(|node| held.contains(&node));
        let version = versions.as_ref().map(|versions| versions.get(claim.definition.id.as_str()));
        match version.is_none_or(|version| version == Some(&was(claim))) && !is_taken_back {
            true => ClaimOutcome::Won { removed: claim.is_over() },
            false => ClaimOutcome::Lost,
        }
    };
    let outcomes: Vec<_> = claims.iter().map(outcome).collect();
    let has_won = |(_, outcome): &(&Claim, &ClaimOutcome)| matches!(outcome, ClaimOutcome::Won { .. });
    let won: Vec<&Claim> = claims.iter().zip(&outcomes).filter(has_won).map(|(claim, _)| claim).collect();
    if care == Care::AllOrNothing && won.len() < claims.len() {
        return Ok(None);
    }
    // As a rule the tasks come last: nobody waits for what is new, so that for the tasks others wait the shortest time. Where
    // others have been in the way they come first, and nobody comes in between.
    if care == Care::Each && !write_tasks(step, &won).await? {
        return Ok(None);
    }
    write_decisions(step, by, &won, care).await?;
    fence(step, &won).await?;
    if care == Care::AllOrNothing && !write_tasks(step, &won).await? {
        return Ok(None);
    }
    Ok(Some(outcomes))
}

/// Of the scheduler itself and those that runs are taken from, the ones whose leases are held.
async fn held(step: &mut Step<'_>, by: NodeId, claims: &[Claim]) -> Result<HashSet<NodeId>, StoreError> {
    let mut asked: HashSet<_> = claims.iter().filter_map(|claim| claim.taken_from).collect();
    if claims.iter().any(Claim::claims_runs) {
        asked.insert(by);
    }
    if asked.is_empty() {
        return Ok(asked);
    }
    #[derive(Deserialize)]
    struct Lease {
        #[serde(rename = "_id")]
        id: String,
    }
    let ids: Vec<_> = asked.iter().map(NodeId::to_string).collect();
    let now = step.database.clock.now(latest(claims));
    let filter = doc! { "_id": { "$in": ids }, "$expr": { "$gt": ["$leased_until", now] } };
    let names = step.database.names.nodes.clone();
    let found = step.find(&names, filter, doc! { "_id": 1 }).await?;
    let id = |found: &RawDocumentBuf| {
        documents::read::<Lease>(found).and_then(|lease| node_id(&lease.id)).map_err(unreadable)
    };
    found.iter().map(id).collect()
}

fn latest(claims: &[Claim]) -> DateTime<Utc> {
    claims.iter().map(|claim| claim.decided_at).max().unwrap_or_default()
}

/// The versions of tasks, by their ids.
pub(super) async fn versions<'a>(
    step: &mut Step<'_>,
    ids: impl Iterator<Item = &'a str>,
) -> Result<HashMap<String, i64>, StoreError> {
    #[derive(Deserialize)]
    struct Versioned {
        #[serde(rename = "_id")]
        id: String,
        schedule: Version,
    }
    #[derive(Deserialize)]
    struct Version {
        version: i64,
    }
    let filter = doc! { "_id": { "$in": ids.collect::<Vec<_>>() } };
    let names = step.database.names.tasks.clone();
    let found = step.find(&names, filter, doc! { "schedule.version": 1 }).await?;
    let version = |found: &RawDocumentBuf| {
        let found: Versioned = documents::read(found).map_err(unreadable)?;
        Ok((found.id, found.schedule.version))
    };
    found.iter().map(version).collect()
}

/// Writes the entries of claims. Those of runs that have waited stand there already: where that is not to be expected they are
/// inserted, which takes less, and one that is there after all is a conflict.
async fn write_decisions(
    step: &mut Step<'_>,
    by: NodeId,
    claims: &[&Claim],
    care: Care,
) -> Result<(), StoreError> {
    let (mut new, mut statements) = (Vec::new(), Vec::new());
    for claim in claims {
        let never_waits = matches!(claim.definition.rules.overlap, Overlap::Skip | Overlap::Allow);
        for decision in &claim.decisions {
            if decision.status == RunStatus::Lost {
                let set = documents::set_loss(by, claim.decided_at, decision.reason.as_deref());
                statements.push(rawdoc! {
                    "q": { "_id": decision.run.to_string(), "open": "runs" },
                    "u": { "$set": set },
                });
            } else if care == Care::AllOrNothing && never_waits {
                new.push(documents::new_entry(claim.entry(by, decision))?);
            } else {
                let made = Made::At(claim.decided_at);
                statements.push(documents::write_entry(claim.entry(by, decision), made)?);
            }
        }
    }
    let names = step.database.names.runs.clone();
    step.insert(&names, new).await?;
    step.write(&names, statements).await.map(drop)
}

/// Those that runs are taken from can't renew their leases before the claim is written: they would believe to have them still.
async fn fence(step: &mut Step<'_>, claims: &[&Claim]) -> Result<(), StoreError> {
    let from: HashSet<_> = claims.iter().filter_map(|claim| claim.taken_from).collect();
    let fence = |node: &NodeId| {
        rawdoc! { "q": { "_id": node.to_string() }, "u": { "$inc": { "taken": 1_i64 } } }
    };
    let names = step.database.names.nodes.clone();
    step.write(&names, from.iter().map(fence).collect()).await.map(drop)
}

/// Writes the schedules of tasks that are as they were read; `false`: one was not.
async fn write_tasks(step: &mut Step<'_>, claims: &[&Claim]) -> Result<bool, StoreError> {
    // Whoever claims several comes to them in the same order.
    let mut claims = claims.to_vec();
    claims.sort_unstable_by_key(|claim| &claim.definition.id);
    let (mut updates, mut deletes) = (Vec::new(), Vec::new());
    for claim in &claims {
        let which = rawdoc! { "_id": claim.definition.id.as_str(), "schedule.version": was(claim) };
        if claim.is_over() {
            deletes.push(rawdoc! { "q": which, "limit": 1 });
        } else {
            let max_instances = claim.definition.rules.max_instances;
            let set = documents::set_schedule(&claim.schedule, &claim.waiting, max_instances)?;
            updates.push(rawdoc! { "q": which, "u": { "$set": set } });
        }
    }
    let names = step.database.names.tasks.clone();
    let written = step.write(&names, updates).await? + step.delete(&names, deletes).await?;
    Ok(written == claims.len())
}
