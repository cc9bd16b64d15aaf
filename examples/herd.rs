//! A herd: many tasks of every second on the real clock, and how late their runs start.
//!
//! `cargo run --release --example herd -- 1000 60`: tasks, seconds. With 0 tasks it idles and counts
//! the wake-ups of the scheduler's thread instead.

#![expect(clippy::print_stdout, reason = "it tells what it measures")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize};
use std::time::Duration;

use asyncz::{Args, AsynczConfig, CronTrigger, Provide, Task, TaskContext};

/// What the runs note, without waiting for each other: (task, due in seconds, microseconds late).
#[derive(Clone)]
struct Seen(Arc<(AtomicUsize, Vec<Note>)>);

#[derive(Default)]
struct Note {
    task: AtomicU64,
    due: AtomicI64,
    late: AtomicI64,
}

async fn note(ctx: TaskContext, Provide(seen): Provide<Seen>, Args(task): Args<u64>) {
    let (next, notes) = &*seen.0;
    let Some(note) = notes.get(next.fetch_add(1, Relaxed)) else { return };
    let late = ctx.started_at() - ctx.scheduled_at();
    note.task.store(task, Relaxed);
    note.due.store(ctx.scheduled_at().timestamp(), Relaxed);
    note.late.store(late.num_microseconds().unwrap_or(i64::MAX), Relaxed);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let tasks = arguments.next().unwrap_or(Ok(1_000))?;
    let seconds = arguments.next().unwrap_or(Ok(60))?;

    let room = usize::try_from(tasks * (seconds + 10))?;
    let notes = std::iter::repeat_with(Note::default).take(room).collect();
    let seen = Seen(Arc::new((AtomicUsize::new(0), notes)));
    let scheduler = AsynczConfig::new().without_registry().provide(seen.clone()).scheduler();
    scheduler.start().await?;
    if tasks == 0 {
        let far_away = CronTrigger::new("0 0 1 1 *")?;
        scheduler.add_task(Task::from_fn("note", note).args(0)?.trigger(far_away)).await?;
        return idle(seconds).await;
    }
    for n in 0..tasks {
        let task = Task::from_fn("note", note).id(n.to_string()).args(n)?;
        scheduler.add_task(task.cron("* * * * * *")).await?;
    }
    let cpu_before = cpu_milliseconds();
    sleep(seconds).await;
    scheduler.stop().await?;
    let cpu = cpu_milliseconds() - cpu_before;

    let (noted, notes) = &*seen.0;
    let notes = &notes[..noted.load(Relaxed).min(room)];
    let mut late: Vec<_> = notes.iter().map(|note| note.late.load(Relaxed)).collect();
    let mut runs: HashMap<u64, Vec<i64>> = HashMap::new();
    for note in notes {
        runs.entry(note.task.load(Relaxed)).or_default().push(note.due.load(Relaxed));
    }
    let (mut lost, mut twice) = (0, 0);
    for ran in runs.values_mut() {
        ran.sort_unstable();
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
