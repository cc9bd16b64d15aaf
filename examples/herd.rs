//! A herd: many tasks of every second on the real clock, and how late their runs start.
//!
//! `cargo run --release --example herd -- 1000 60`: tasks, seconds. With 0 tasks it idles and counts
//! the wake-ups of the scheduler's thread instead.

#![expect(clippy::print_stdout, reason = "it tells what it measures")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use asyncz::{AsynczConfig, CronTrigger, Provide, Task, TaskContext};

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Runs>>);

#[derive(Default)]
struct Runs {
    /// The seconds at which each task ran.
    of_task: HashMap<String, Vec<i64>>,
    /// In microseconds.
    late: Vec<i64>,
}

async fn note(ctx: TaskContext, Provide(seen): Provide<Seen>) {
    let late = (ctx.started_at() - ctx.scheduled_at()).num_microseconds().unwrap_or(i64::MAX);
    let mut seen = seen.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    seen.of_task.entry(ctx.task_id().to_string()).or_default().push(ctx.scheduled_at().timestamp());
    seen.late.push(late);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let tasks = arguments.next().unwrap_or(Ok(1_000))?;
    let seconds = arguments.next().unwrap_or(Ok(60))?;

    let seen = Seen::default();
    let scheduler = AsynczConfig::new().without_registry().provide(seen.clone()).scheduler();
    scheduler.start().await?;
    if tasks == 0 {
        let far_away = CronTrigger::new("0 0 1 1 *")?;
        scheduler.add_task(Task::from_fn("note", note).trigger(far_away)).await?;
        return idle(seconds).await;
    }
    for n in 0..tasks {
        let trigger = CronTrigger::new("* * * * * *")?;
        scheduler.add_task(Task::from_fn("note", note).id(n.to_string()).trigger(trigger)).await?;
    }
    let cpu_before = cpu_milliseconds();
    sleep(seconds).await;
    scheduler.stop().await?;
    let cpu = cpu_milliseconds() - cpu_before;

    let Runs { of_task: runs, mut late } =
        std::mem::take(&mut *seen.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let (mut lost, mut twice) = (0, 0);
    for ran in runs.values() {
        // Every second between the first and the last, each once.
        lost += ran.windows(2).map(|pair| (pair[1] - pair[0] - 1).max(0)).sum::<i64>();
        twice += ran.windows(2).filter(|pair| pair[0] >= pair[1]).count();
    }
    late.sort_unstable();
    let percentile = |p: usize| late[(late.len() * p / 100).min(late.len() - 1)] as f64 / 1_000.0;
    println!("{} of {tasks} tasks ran, {} runs, {lost} lost, {twice} twice", runs.len(), late.len());
    println!("late: p50 {} ms, p99 {} ms, most {} ms", percentile(50), percentile(99), percentile(100));
    println!("cpu: {cpu} ms, {:.2} µs a run", cpu as f64 * 1_000.0 / late.len() as f64);
    Ok(())
}

async fn idle(seconds: u64) -> Result<(), Box<dyn std::error::Error>> {
    sleep(1).await;
    let before = wake_ups()?;
    sleep(seconds).await;
    println!("the scheduler's thread woke up {} times in {seconds} s", wake_ups()? - before);
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "it measures real time")]
async fn sleep(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// The voluntary context switches of the scheduler's thread (Linux).
fn wake_ups() -> Result<u64, Box<dyn std::error::Error>> {
    for thread in std::fs::read_dir("/proc/self/task")? {
        let path = thread?.path();
        if std::fs::read_to_string(path.join("comm"))?.starts_with("asyncz-schedule") {
            let status = std::fs::read_to_string(path.join("status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            return Ok(line.ok_or("no count of switches")?.trim().parse()?);
        }
    }
    Err("the scheduler's thread is not to be found".into())
}

/// The processor time of this process so far (Linux, in hundredths of a second); 0 where that can't be read.
fn cpu_milliseconds() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}
