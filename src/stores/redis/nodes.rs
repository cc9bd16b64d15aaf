//! The schedulers that share the store: their leases, what the dead have left, and what is to be cancelled.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::RedisStore;
use super::answers::{self, Answer};
use super::records::{self, Words as Read};
use super::scripts::{CANCEL, LAPSED, NEXT_DUE, RENEW};
use super::tasks::push_handlers;
use super::words::Words;
use crate::stores::leases::REMEMBERED;
use crate::stores::{Beat, LapsedRun, NextDue, Node, NodeRecord, Renewal, StoreError};
use crate::task::{Handlers, NodeId, RunId, RunRecord, TaskRecord};

/// So many runs of a lapsed scheduler are looked at in a step.
const PAGE: usize = 200;
/// A longer lease is none that lapses.
const LONGEST_LEASE: Duration = Duration::from_secs(1_000 * 365 * 86_400);

/// A run that a lapsed scheduler had, its task as it stands there, and until when it was believed alive.
type Lapsed = (RunRecord, (String, String), DateTime<Utc>);

impl RedisStore {
    pub(super) async fn try_renew(&self, beat: &Beat) -> Result<Renewal, StoreError> {
        let json = serde_json::to_string(&beat.node)
            .map_err(|error| StoreError::new("a scheduler can't be written as JSON").with_source(error))?;
        let mut words = Words::new();
        words.written(format_args!("{}", beat.node.id)).text(&self.told(beat.now));
        words.written(format_args!("{}", beat.lease.min(LONGEST_LEASE).as_micros()));
        match beat.skew {
            Some(skew) => words.written(format_args!("{}", skew.num_milliseconds())),
            None => words.text("-"),
        };
        words.text(&json).written(format_args!("{}", REMEMBERED.num_milliseconds() * 1_000));
        let mut answer = Answer::new(self.run("renew a lease", &RENEW, words).await?)?;
        let now = self.server_time(&answer.text()?)?;
        let had_lapsed = answer.number()? == 1;
        let next_lapse = match answer.text()? {
            none if none.is_empty() => None,
            at => Some(instant(&at)?),
        };
        let gone = answer.list()?.texts()?;
        let mut known = answer.list()?;
        let mut nodes = Vec::with_capacity(known.len() / 2);
        while known.len() > 0 {
            let (node, record) = (known.text()?, known.text()?);
            match read_node(&record) {
                Ok(record) => nodes.push(record),
                Err(reason) => tracing::warn!("the record of the scheduler {node} can't be read: {reason}"),
            }
        }
        nodes.sort_unstable_by_key(|record| record.node.id);
        let mut lapsed = Vec::new();
        for node in gone {
            self.left_by(&node, beat, &mut lapsed).await?;
            if lapsed.len() >= beat.limit {
                break;
            }
        }
        lapsed.truncate(beat.limit);
        let lapsed = self.with_tasks(lapsed).await?;
        Ok(Renewal { now, had_lapsed, lapsed, next_lapse, nodes })
    }

    /// Adds the runs of a scheduler that has lapsed; runs of deleted tasks are closed.
    async fn left_by(&self, node: &str, beat: &Beat, lapsed: &mut Vec<Lapsed>) -> Result<(), StoreError> {
        let (mut place, reason) = ("0".to_owned(), "its task was deleted, and its scheduler is gone");
        let seal = self.seal()?;
        loop {
            let mut words = Words::new();
            words.written(format_args!("{}", beat.node.id)).text(&self.told(beat.now)).text(node);
            words.text(&place).number(PAGE).number(beat.limit.saturating_sub(lapsed.len()));
            words.written(format_args!("{} {reason}", reason.len()));
            push_handlers(&mut words, &beat.handlers);
            let mut answer = Answer::new(self.run("find what a scheduler has left", &LAPSED, words).await?)?;
            place = answer.text()?;
            let until = answer.text()?;
            while answer.len() > 0 {
                let (run, entry) = (answer.text()?, answer.text()?);
                let task = (answer.text()?, answer.text()?);
                match records::read_entry(&run, &entry, None, &seal) {
                    Ok(entry) => lapsed.push((entry, task, instant(&until)?)),
                    Err(reason) => tracing::warn!("the entry of run {run} can't be read: {reason}"),
                }
            }
            if place == "0" || lapsed.len() >= beat.limit {
                return Ok(());
            }
        }
    }

    async fn with_tasks(&self, mut lapsed: Vec<Lapsed>) -> Result<Vec<LapsedRun>, StoreError> {
        lapsed.sort_unstable_by_key(|(run, ..)| (run.decided_at, run.id));
        let found = self.records(lapsed.iter().map(|(_, task, _)| task.clone()).collect()).await?.tasks;
        // The run is told with its task as it was when both were found: where the task has changed since, the run may be
        // somebody else's already. It is left for the next time, as is one that can't be read.
        let task = |(key, text): &(String, String)| {
            let version = records::version(text)?;
            let is_it =
                |task: &&TaskRecord| task.schedule.version == version && records::key_text(task.key) == *key;
            found.iter().find(is_it).cloned()
        };
        let with_task =
            |(run, at, leased_until): Lapsed| Some(LapsedRun { task: task(&at)?, run, leased_until });
        Ok(lapsed.into_iter().filter_map(with_task).collect())
    }

    pub(super) async fn try_next_due(&self, by: NodeId, handlers: &Handlers) -> Result<NextDue, StoreError> {
        let mut words = Words::new();
        words.text(&self.told(DateTime::UNIX_EPOCH)).written(format_args!("{by}"));
        self.push_unreadable(&mut words);
        push_handlers(&mut words, handlers);
        let mut answer = Answer::new(self.run("tell what is due", &NEXT_DUE, words).await?)?;
        let now = self.server_time(&answer.text()?)?;
        let at = records::due(&answer.text()?).map_err(StoreError::new)?;
        let cancelled = answer.list()?.texts()?;
        let mut cancelled: Vec<RunId> = cancelled.iter().filter_map(|run| run.parse().ok()).collect();
        cancelled.sort_unstable();
        Ok(NextDue { at, now, cancelled })
    }

    pub(super) async fn try_cancel(&self, run: RunId) -> Result<bool, StoreError> {
        let mut words = Words::new();
        words.written(format_args!("{run}")).text(self.hearing.name());
        Ok(answers::number(self.run("cancel a run", &CANCEL, words).await?)? == 1)
    }
}

/// The time that so many microseconds since 1970 are.
pub(super) fn instant(micros: &str) -> Result<DateTime<Utc>, StoreError> {
    let number =
        micros.parse().map_err(|_| StoreError::new(format!("Redis answers with the time `{micros}`")))?;
    records::instant(number).map_err(StoreError::new)
}

fn read_node(record: &str) -> Result<NodeRecord, String> {
    let mut words = Read(record);
    let (renewed, until): (i64, i64) = (words.number()?, words.number()?);
    let skew = words.word()?;
    let node: Node = serde_json::from_str(words.0).map_err(|error| error.to_string())?;
    let renewed_at = records::instant(renewed)?;
    Ok(NodeRecord {
        node,
        renewed_at,
        leased_until: renewed_at + TimeDelta::microseconds(until - renewed),
        skew_ms: skew.parse().ok(),
    })
}
