//! The history: read newest first, and pruned in small steps.

use std::collections::HashSet;

use super::RedisStore;
use super::answers::{self, Answer};
use super::records;
use super::scripts::{LOOK, PRUNE_LONG, PRUNE_OLD, RUNS};
use super::words::Words;
use crate::stores::{Prune, RunFilter, StoreError};
use crate::task::RunRecord;

/// So many entries are read in a step.
const PAGE: usize = 200;
/// So many are removed in a step.
const REMOVED: usize = 200;
/// So many are looked at in a step for tasks that have too many, and so many steps are made in one go.
const LOOKED_AT: usize = 500;
const LOOKS: usize = 100;

/// Where a page begins.
struct Place {
    score: String,
    place: String,
}

impl RedisStore {
    pub(super) async fn try_runs(&self, filter: &RunFilter) -> Result<Vec<RunRecord>, StoreError> {
        let seal = self.seal()?;
        let limit = filter.limit.unwrap_or(usize::MAX);
        let is_set = filter.id.is_none() && filter.open_of.is_some();
        let mut place = Place { score: "+inf".to_owned(), place: "0".to_owned() };
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        // What a scheduler has comes in no order: all of it is read before the newest are taken.
        while is_set || found.len() < limit {
            let words = page_of(filter, &place);
            let mut answer = Answer::new(self.run("read the history", &RUNS, words).await?)?;
            place = Place { score: answer.text()?, place: answer.text()? };
            while answer.len() > 0 {
                let (run, entry, result) = (answer.text()?, answer.text()?, answer.maybe_text()?);
                match records::read_entry(&run, &entry, result.as_deref(), &seal) {
                    // One may come twice where others come or go meanwhile.
                    Ok(entry) if filter.matches(&entry) && seen.insert(entry.id) => found.push(entry),
                    Ok(_) => {}
                    Err(reason) => tracing::warn!("the entry of run {run} can't be read: {reason}"),
                }
            }
            if place.place.is_empty() {
                break;
            }
        }
        if is_set {
            found.sort_unstable_by_key(|run| std::cmp::Reverse((run.decided_at, run.id)));
        }
        found.truncate(limit);
        Ok(found)
    }

    pub(super) async fn try_prune(&self, prune: &Prune) -> Result<usize, StoreError> {
        let mut removed = 0;
        if let Some(before) = prune.before {
            let mut stay = 0;
            while removed < prune.limit {
                let count = REMOVED.min(prune.limit - removed);
                let mut words = Words::new();
                words.written(format_args!("{}", before.timestamp_micros())).number(stay).number(count);
                let mut answer = Answer::new(self.run("prune the history", &PRUNE_OLD, words).await?)?;
                let looked_at = answer.number()?;
                stay += answer.number()?;
                removed += answer.number()?;
                if looked_at < count {
                    break;
                }
            }
        }
        if let Some(most) = prune.a_task {
            self.look(most).await?;
            removed += self.prune_long(most, prune.limit.saturating_sub(removed)).await?;
        }
        Ok(removed)
    }

    /// Looks for tasks that have too many entries, where nobody has counted them as they came: once after it was said how
    /// many that are.
    async fn look(&self, most: usize) -> Result<(), StoreError> {
        for _ in 0..LOOKS {
            let mut words = Words::new();
            words.written(format_args!("{most}")).number(LOOKED_AT);
            if answers::number(self.run("prune the history", &LOOK, words).await?)? == 0 {
                break;
            }
        }
        Ok(())
    }

    async fn prune_long(&self, most: usize, limit: usize) -> Result<usize, StoreError> {
        let mut removed = 0;
        while removed < limit {
            let mut words = Words::new();
            words.written(format_args!("{most}")).number(REMOVED.min(limit - removed));
            let mut answer = Answer::new(self.run("prune the history", &PRUNE_LONG, words).await?)?;
            let (gone, left) = (answer.number()?, answer.number()?);
            removed += gone;
            if left == 0 {
                break;
            }
        }
        Ok(removed)
    }
}

/// See `scripts/runs.lua`.
fn page_of(filter: &RunFilter, place: &Place) -> Words {
    let mut words = Words::new();
    let statuses: String = filter.statuses.iter().map(|status| records::letter(*status)).collect();
    let offset = place.place.parse().unwrap_or_default();
    if let Some(run) = filter.id {
        words.text("run").written(format_args!("{run}"));
    } else if let Some(node) = filter.open_of {
        words.text("open").written(format_args!("{node}")).text(&place.place).number(PAGE);
    } else if let Some(task) = &filter.task {
        words.text("task").text(task.as_str()).number(offset).number(PAGE).text(&statuses);
    } else {
        words.text("all").text(&place.score).number(offset).number(PAGE).text(&statuses);
    }
    words
}
