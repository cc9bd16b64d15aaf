//! What the terms of our own tables cost by themselves: [`limit_buckets`](../limit_buckets/index.html), and each fire asks a
//! trigger, looks whether the task runs already, and leaves an entry in a history that says when it was decided, started and
//! ended, and how. All in one step under one lock: there is no store that others could share, and nothing can be changed.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use asyncz::{CronTrigger, DateTrigger, IntervalTrigger, RunStatus, TaskId, Trigger};
use asyncz_peers::limit::{Entry, Handler, entries};
use asyncz_peers::{Job, Mode, Peer};
use chrono::{DateTime, Utc};

const BATCH: usize = 64;
/// As many as our history has.
const ENTRIES: usize = 100_000;

struct Recorded(Job, Arc<Mutex<Book>>);

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
struct Book {
    tasks: Vec<Task>,
    /// By milliseconds.
    due: BTreeMap<i64, Vec<u32>>,
    runs: Vec<Run>,
    so_far: u64,
}

/// What is handed over.
struct Fire {
    task: u32,
    run: u64,
    due: u64,
    handler: Handler,
}

/// What comes back.
struct End {
    task: u32,
    run: u64,
    started_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
    has_panicked: bool,
}

impl Peer for Recorded {
    const NAME: &str = "limit: buckets and a history";

    async fn prepare(job: Job) -> Self {
        Self(job, Arc::default())
    }

    async fn add(&mut self) {
        let mut book = lock(&self.1);
        for (number, Entry { due, handler, .. }) in entries(self.0).enumerate() {
            let first = DateTime::from_timestamp_nanos(due as i64);
            let trigger: Box<dyn Trigger> = match self.0.mode {
                Mode::Herd | Mode::HerdAwait => CronTrigger::new("* * * * * *").expect("it is right").into(),
                Mode::Spread => IntervalTrigger::every(Duration::from_secs(1)).start_at(first).into(),
                Mode::Burst | Mode::BurstAwait => DateTrigger::at(first).into(),
                Mode::Idle => {
                    CronTrigger::new(&format!("0 {} * * *", Job::far_hour())).expect("it is right").into()
                }
            };
            book.due.entry(first.timestamp_millis()).or_default().push(number as u32);
            book.tasks.push(Task {
                id: format!("task-{number}").into(),
                trigger,
                handler,
                is_running: false,
            });
        }
    }

    async fn go(&mut self) {
        tokio::spawn(drive(self.1.clone()));
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().expect("nothing panics under it")
}

async fn drive(book: Arc<Mutex<Book>>) {
    loop {
        let now = Utc::now();
        let (fires, next) = lock(&book).decide(now);
        let mut fires = fires.into_iter().peekable();
        while fires.peek().is_some() {
            tokio::spawn(fire_all(fires.by_ref().take(BATCH).collect(), book.clone()));
        }
        let Some(next) = next else { return };
        tokio::time::sleep((next - Utc::now()).to_std().unwrap_or_default()).await;
    }
}

impl Book {
    /// Decides all that is due; answers when something is due next.
    fn decide(&mut self, now: DateTime<Utc>) -> (Vec<Fire>, Option<DateTime<Utc>>) {
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

    fn end(&mut self, end: End) {
        self.tasks[end.task as usize].is_running = false;
        let entry = &mut self.runs[end.run as usize % ENTRIES];
        if entry.number == end.run {
            entry.started_at = Some(end.started_at);
            entry.finished_at = Some(end.finished_at);
            entry.status = if end.has_panicked { RunStatus::Failed } else { RunStatus::Succeeded };
        }
    }
}

async fn fire_all(batch: Vec<Fire>, book: Arc<Mutex<Book>>) {
    let mut ends = Vec::with_capacity(batch.len());
    let mut started_at = Utc::now();
    for Fire { task, run, due, handler } in batch {
        let mut future = handler(due);
        let first = poll_fn(|context| {
            Poll::Ready(catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context).is_pending())))
        });
        let is_pending = first.await;
        let finished_at = Utc::now();
        let has_panicked = is_pending.is_err();
        let end = End { task, run, started_at, finished_at, has_panicked };
        match is_pending {
            Ok(true) => drop(tokio::spawn(rest(future, end, book.clone()))),
            _ => ends.push(end),
        }
        started_at = finished_at;
    }
    let mut book = lock(&book);
    ends.into_iter().for_each(|end| book.end(end));
}

async fn rest(mut future: Pin<Box<dyn Future<Output = ()> + Send>>, end: End, book: Arc<Mutex<Book>>) {
    let has_panicked = poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context).is_pending())) {
            Ok(true) => Poll::Pending,
            ended => Poll::Ready(ended.is_err()),
        }
    })
    .await;
    lock(&book).end(End { finished_at: Utc::now(), has_panicked, ..end });
}

fn main() {
    asyncz_peers::run::<Recorded>();
}
