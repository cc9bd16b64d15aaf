//! One of the processes: a scheduler with tasks that write down what they do.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use asyncz::chrono::{DateTime, TimeDelta, Utc};
use asyncz::{
    AsynczConfig, Clock, FileStore, MongoStore, RedisStore, SchedulerConfig, SqlStore, Store, SystemClock,
    Task, TaskContext,
};

use crate::LEASE;

/// Where a process writes what its handlers do: a line at a start, one at an end.
#[derive(Clone)]
struct Diary(Arc<Mutex<File>>);

impl Diary {
    fn write(&self, line: &str) {
        // One call writes the whole line: a kill leaves it or not.
        if let Ok(mut file) = self.0.lock() {
            _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}

/// A clock that is wrong.
#[derive(Debug)]
struct SkewedClock(TimeDelta);

impl Clock for SkewedClock {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + self.0
    }

    fn sleep_until(&self, deadline: DateTime<Utc>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        SystemClock.sleep_until(deadline - self.0)
    }
}

async fn work(asyncz::Provide(diary): asyncz::Provide<Diary>, ctx: TaskContext) -> Result<()> {
    let (run, occurrence, attempt) = (ctx.run_id(), ctx.occurrence_id().to_owned(), ctx.attempt());
    diary.write(&format!("start {run} {attempt} {occurrence}"));
    // By its own id, so that each kind is met on each store: some are done at once, some take up to three seconds.
    let digest =
        occurrence.bytes().fold(7_u64, |digest, byte| digest.wrapping_mul(31).wrapping_add(byte.into()));
    match digest % 10 {
        0 => tokio::time::sleep(Duration::from_millis(digest / 10 % 3_000)).await,
        1..4 => tokio::time::sleep(Duration::from_millis(digest / 10 % 100)).await,
        4 if attempt == 1 => anyhow::bail!("it fails the first time"),
        _ => {}
    }
    diary.write(&format!("end {run} {attempt} {occurrence}"));
    Ok(())
}

/// How often a task is due, in whole seconds, by the release that declares it: a newer one has changed every fourth.
pub(crate) fn period(task: usize, release: u64) -> u64 {
    let base = 1 + task as u64 % 4;
    if task.is_multiple_of(4) && release > 1 { base + 1 } else { base }
}

/// The tasks that every process declares.
fn tasks(count: usize, release: u64) -> impl Iterator<Item = Task> {
    (0..count).map(move |n| {
        let every = Duration::from_secs(period(n, release));
        let task = Task::from_fn("work", work).id(name(n)).every(every).replace_existing(true);
        match n % 5 {
            0 => task.coalesce(false).max_instances(3),
            1 => task.retries(2).retry_backoff(Duration::from_millis(200)),
            2 => task.overlap(asyncz::Overlap::Queue),
            3 => task.recover(asyncz::Recover::Abandon),
            _ => task.jitter(Duration::from_millis(300)),
        }
    })
}

pub(crate) fn name(task: usize) -> String {
    format!("t{task:04}")
}

/// A task that is added, paused and deleted while all goes on.
pub(crate) fn extra(name: &str) -> Task {
    Task::from_fn("work", work).id(name.to_owned()).every(Duration::from_secs(1))
}

/// A directory, or the url of a database.
pub(crate) fn store(url: &str) -> Arc<dyn Store> {
    if let Some(directory) = url.strip_prefix("file://") {
        return Arc::new(FileStore::new(directory).lease(LEASE));
    }
    if url.starts_with("mongodb:") {
        return Arc::new(MongoStore::new(url).database("asyncz_chaos").lease(LEASE));
    }
    if url.starts_with("redis:") {
        return Arc::new(RedisStore::new(url).prefix("chaos").lease(LEASE));
    }
    Arc::new(SqlStore::new(url).table_prefix("chaos_").lease(LEASE))
}

/// A scheduler on the store of the test.
pub(crate) fn config(url: &str, diary: &Path) -> Result<AsynczConfig> {
    let file = OpenOptions::new().append(true).create(true).open(diary)?;
    Ok(AsynczConfig::new()
        .without_registry()
        .store("default", store(url))
        .store_retry_interval(Duration::from_millis(500))
        .store_timeout(Duration::from_secs(2))
        .keep_history_for(None)
        .keep_runs_a_task(None)
        .provide(Diary(Arc::new(Mutex::new(file)))))
}

/// `node URL DIARY TASKS RELEASE SKEW_MS`, until it is killed or told to stop.
pub(crate) async fn run(words: &[String]) -> Result<()> {
    let [url, diary, count, release, skew] = words else {
        anyhow::bail!("node URL DIARY TASKS RELEASE SKEW_MS")
    };
    let (release, skew) = (release.parse()?, TimeDelta::milliseconds(skew.parse()?));
    let mut config = config(url, Path::new(diary))?.release(release).clock(SkewedClock(skew));
    for task in tasks(count.parse()?, release) {
        config = config.task(task);
    }
    let mut told = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    // The database may be away just now.
    while let Err(error) = config.start().await {
        eprintln!("start: {error}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    told.recv().await.context("no signals to be had")?;
    config.scheduler().shutdown(asyncz::Shutdown::Within(Duration::from_secs(1))).await?;
    Ok(())
}
