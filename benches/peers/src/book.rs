//! What the limits keep that know of terms and of a history, in one table: each fire asks a trigger, looks whether the task
//! runs already, and leaves an entry that says when it was decided, started and ended, and how. There is no store that others
//! could share, and nothing can be changed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use asyncz::{CronTrigger, DateTrigger, IntervalTrigger, RunStatus, TaskId, Trigger};
use chrono::{DateTime, Utc};

use crate::limit::{Entry, Handler, entries};
use crate::{Job, Mode};

/// As many as our history has.
const ENTRIES: usize = 100_000;

struct Task {
    id: TaskId,
    trigger: Box<dyn Trigger>,
    handler: Handler,
    is_running: bool,
}

/// An entry of the history.
#[allow(dead_code, reason = "it is written as ours is; nobody reads it here")]
struct Run {
    number: u64,
    task: TaskId,
    due: DateTime<Utc>,
    decided_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    status: RunStatus,
    error: Option<String>,
}

#[derive(Default)]
pub struct Book {
    tasks: Vec<Task>,
    /// By milliseconds.
    due: BTreeMap<i64, Vec<u32>>,
    runs: Vec<Run>,
    so_far: u64,
}

/// What is handed over.
pub struct Fire {
    pub task: u32,
    pub run: u64,
    pub due: u64,
    pub handler: Handler,
}

/// What comes back.
#[derive(Clone, Copy)]
pub struct End {
    pub task: u32,
    pub run: u64,
    pub started_at: DateTime<Utc>,
    pub finished_at: DateTime<Utc>,
    pub has_panicked: bool,
}

impl Book {
    /// Adds all tasks of a job.
    pub fn add(&mut self, job: Job) {
        for (number, Entry { due, handler, .. }) in entries(job).enumerate() {
            let first = DateTime::from_timestamp_nanos(due as i64);
            let trigger: Box<dyn Trigger> = match job.mode {
                Mode::Herd | Mode::HerdAwait => CronTrigger::new("* * * * * *").expect("it is right").into(),
                Mode::Spread => IntervalTrigger::every(Duration::from_secs(1)).start_at(first).into(),
                Mode::Burst | Mode::BurstAwait => DateTrigger::at(first).into(),
                Mode::Idle => {
                    CronTrigger::new(&format!("0 {} * * *", Job::far_hour())).expect("it is right").into()
                }
            };
            self.due.entry(first.timestamp_millis()).or_default().push(number as u32);
            self.tasks.push(Task {
                id: format!("task-{number}").into(),
                trigger,
                handler,
                is_running: false,
            });
        }
    }

    /// Decides all that is due; answers when something is due next.
    pub fn decide(&mut self, now: DateTime<Utc>) -> (Vec<Fire>, Option<DateTime<Utc>>) {
        let later = self.due.split_off(&(now.timestamp_millis() + 1));
        let due = std::mem::replace(&mut self.due, later);
        let mut fires = Vec::with_capacity(due.values().map(Vec::len).sum());
        for (instant, numbers) in due {
            let due = DateTime::from_timestamp_millis(instant).expect("it is not that late");
            for number in numbers {
                let task = &mut self.tasks[number as usize];
                let next = task.trigger.next_after(due);
                let status = if task.is_running { RunStatus::Skipped } else { RunStatus::Claimed };
                let run = self.so_far;
                self.so_far += 1;
                let entry = Run {
                    number: run,
                    task: task.id.clone(),
                    due,
                    decided_at: now,
                    started_at: None,
                    finished_at: None,
                    status,
                    error: None,
                };
                match self.runs.get_mut(run as usize % ENTRIES) {
                    Some(place) => *place = entry,
                    None => self.runs.push(entry),
                }
                if status == RunStatus::Claimed {
                    task.is_running = true;
                    let due = due.timestamp_nanos_opt().unwrap_or_default() as u64;
                    fires.push(Fire { task: number, run, due, handler: task.handler.clone() });
                }
                if let Some(next) = next {
                    self.due.entry(next.timestamp_millis()).or_default().push(number);
                }
            }
        }
        let next = self.due.keys().next().and_then(|next| DateTime::from_timestamp_millis(*next));
        (fires, next)
    }

    /// A run has ended.
    pub fn end(&mut self, end: End) {
        self.tasks[end.task as usize].is_running = false;
        let entry = &mut self.runs[end.run as usize % ENTRIES];
        if entry.number == end.run {
            entry.started_at = Some(end.started_at);
            entry.finished_at = Some(end.finished_at);
            entry.status = if end.has_panicked { RunStatus::Failed } else { RunStatus::Succeeded };
        }
    }
}

pub fn lock<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().expect("nothing panics under it")
}
