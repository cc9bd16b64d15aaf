//! Reads the ledger and what the handlers wrote, and says whether every promise was kept.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::Result;
use asyncz::chrono::{DateTime, TimeDelta, Utc};
use asyncz::stores::Query;
use asyncz::{RunFilter, RunRecord, RunStatus, TaskRecord};

use crate::orchestra::Story;
use crate::{Asked, Target, node};

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    name: &'static str,
    story: Story,
    /// Nominal instants, by what became of them.
    instants: BTreeMap<&'static str, u64>,
    /// Runs that were started again elsewhere.
    runs_again: u64,
    /// Occurrences that were executed to the end more than once: at least once is promised.
    executed_again: u64,
    completed: u64,
    lateness_ms: Vec<i64>,
    pub(crate) broken: Vec<String>,
}

/// What the handlers of all processes wrote, by run.
#[derive(Debug, Default)]
struct Effects {
    starts: BTreeMap<String, u32>,
    ends: BTreeMap<String, u32>,
    /// By occurrence.
    started: BTreeMap<String, u32>,
    ended: BTreeMap<String, u32>,
}

pub(crate) async fn check(asked: &Asked, target: &Target, place: &Path, story: &Story) -> Result<Verdict> {
    let store = node::store(&target.url);
    store.start().await?;
    let mut verdict = Verdict { name: target.name, story: story.clone(), ..Verdict::default() };
    verdict.broken.clone_from(&story.broken);
    let effects = Effects::read(place)?;
    let tasks = store.query(Query::All).await?.tasks;
    for n in 0..asked.tasks {
        let name = node::name(n);
        let Some(task) = tasks.iter().find(|task| *task.id() == *name) else {
            verdict.broken.push(format!("{name} is gone"));
            continue;
        };
        let mut entries = store.runs(&RunFilter::new().task(&*name)).await?;
        entries.reverse();
        verdict.check_task(n, task, &entries, &effects);
    }
    for (run, starts) in effects.starts.iter().filter(|(_, starts)| **starts > 1) {
        verdict.broken.push(format!("run {run} was started {starts} times"));
    }
    store.shutdown().await?;
    Ok(verdict)
}

impl Effects {
    fn read(place: &Path) -> Result<Self> {
        let mut effects = Self::default();
        for file in std::fs::read_dir(place)? {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "diary") {
                continue;
            }
            for line in std::fs::read_to_string(path)?.lines() {
                let words: Vec<_> = line.splitn(4, ' ').collect();
                let [what, run, _, occurrence] = words[..] else { continue };
                let (runs, occurrences) = match what {
                    "start" => (&mut effects.starts, &mut effects.started),
                    _ => (&mut effects.ends, &mut effects.ended),
                };
                *runs.entry(run.to_owned()).or_default() += 1;
                *occurrences.entry(occurrence.to_owned()).or_default() += 1;
            }
        }
        Ok(effects)
    }
}

impl Verdict {
    fn check_task(&mut self, n: usize, task: &TaskRecord, entries: &[RunRecord], effects: &Effects) {
        let name = task.id();
        let generation = u32::from(node::period(n, 1) != node::period(n, 2));
        if task.schedule.generation != generation {
            let found = task.schedule.generation;
            self.broken.push(format!("{name}: it has had {found} changes of its trigger, not {generation}"));
        }
        let mut occurrences: BTreeMap<(u32, DateTime<Utc>), Vec<&RunRecord>> = BTreeMap::new();
        for entry in entries {
            let key = (entry.occurrence.generation, entry.occurrence.due);
            occurrences.entry(key).or_default().push(entry);
        }
        let mut before: Option<(u32, DateTime<Utc>)> = None;
        for ((generation, due), entries) in &occurrences {
            let period = TimeDelta::seconds(node::period(n, 1 + u64::from(*generation)) as i64);
            let together = entries.iter().map(|entry| entry.occurrences.at_least).max().unwrap_or(1);
            let first = *due - period * (together as i32 - 1);
            match before {
                Some((before, last)) if before == *generation && last + period != first => {
                    self.broken.push(format!("{name}: after {last} came {first}, it is due every {period}"));
                }
                _ => {}
            }
            before = Some((*generation, *due));
            self.check_occurrence(n, task, entries, effects);
        }
        let last = before.filter(|(last, _)| *last == task.schedule.generation).map(|(_, due)| due);
        if last.is_some() && last != task.schedule.watermark {
            let watermark = task.schedule.watermark;
            self.broken.push(format!("{name}: decided up to {last:?}, its watermark is {watermark:?}"));
        }
    }

    /// One decision, one completion, and nothing forgotten.
    fn check_occurrence(&mut self, n: usize, task: &TaskRecord, entries: &[&RunRecord], effects: &Effects) {
        let (name, due) = (task.id(), entries[0].occurrence.due);
        let is_run = |entry: &&&RunRecord| {
            !matches!(entry.status, RunStatus::Missed | RunStatus::Skipped | RunStatus::Coalesced)
        };
        let runs: Vec<_> = entries.iter().filter(is_run).collect();
        let decisions = entries.len() - runs.len() + usize::from(!runs.is_empty());
        if decisions != 1 {
            self.broken.push(format!("{name} due {due}: it has {decisions} decisions: {entries:#?}"));
        }
        let kind = runs.last().map_or(entries[0].status, |run| run.status);
        *self.instants.entry(kind.as_str()).or_default() += u64::from(entries[0].occurrences.at_least);
        let Some(last) = runs.last() else { return };
        self.lateness_ms.push((entries[0].decided_at - due).num_milliseconds());
        self.runs_again += runs.len() as u64 - 1;
        let completions = runs.iter().filter(|run| run.status == RunStatus::Succeeded).count();
        self.completed += completions as u64;
        if completions > 1 {
            self.broken.push(format!("{name} due {due}: it has {completions} completions"));
        }
        let abandons = n % 5 == 3;
        let is_settled = match last.status {
            RunStatus::Succeeded | RunStatus::Failed => true,
            // Handed on by the last to stop.
            RunStatus::Queued => true,
            RunStatus::Lost | RunStatus::Cancelled => abandons,
            _ => false,
        };
        if !is_settled && completions == 0 {
            self.broken.push(format!("{name} due {due}: it is left as {}: {runs:#?}", last.status));
        }
        let key = format!("{name}/{}/{}", last.occurrence.generation, iso(due));
        if effects.ended.get(&key).is_some_and(|ends| *ends > 1) {
            self.executed_again += 1;
        }
        if abandons && effects.started.get(&key).is_some_and(|starts| *starts > 1) {
            self.broken.push(format!("{name} due {due}: at most once, but it was started more often"));
        }
        for run in runs.iter().filter(|run| run.status == RunStatus::Succeeded) {
            if effects.ends.get(&run.id.to_string()) != Some(&1) {
                self.broken.push(format!("{name} due {due}: it succeeded, and its handler did not end"));
            }
        }
    }
}

fn iso(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(asyncz::chrono::SecondsFormat::Millis, true)
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Story { kills, stops, stalls, cuts, delays, database_restarts, skewed_nodes, extras, .. } =
            &self.story;
        writeln!(
            f,
            "{}: {kills} kills, {stops} orderly stops, {stalls} stalls beyond the lease, {cuts} cuts, {delays} delays, \
             {database_restarts} restarts of the database, {skewed_nodes} skewed clocks, {extras} tasks paused and deleted",
            self.name
        )?;
        let total: u64 = self.instants.values().sum();
        write!(f, "  {total} nominal instants:")?;
        for (what, count) in &self.instants {
            write!(f, " {count} {what}")?;
        }
        let (again, twice, completed) = (self.runs_again, self.executed_again, self.completed);
        writeln!(f, "; {completed} completions, {again} runs again, {twice} occurrences executed twice")?;
        let mut lateness = self.lateness_ms.clone();
        lateness.sort_unstable();
        write!(f, "  decided after due:")?;
        let mut from = 0;
        for (limit, name) in
            [(10, "10 ms"), (100, "100 ms"), (1_000, "1 s"), (5_000, "5 s"), (i64::MAX, "more")]
        {
            let until = lateness.partition_point(|late| *late < limit);
            write!(f, " < {name}: {}", until - from)?;
            from = until;
        }
        let at = |part: usize| lateness.get(lateness.len() * part / 1_000).copied().unwrap_or_default();
        writeln!(f, "; p50 {} ms, p99 {} ms, p999 {} ms", at(500), at(990), at(999))?;
        match self.broken.len() {
            0 => write!(f, "  0 lost, 0 double"),
            broken => {
                writeln!(f, "  BROKEN {broken} times")?;
                self.broken.iter().take(10).try_for_each(|what| writeln!(f, "  {what}"))
            }
        }
    }
}
