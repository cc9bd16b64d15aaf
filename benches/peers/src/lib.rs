//! How all are measured: the same handler, the same windows, the same figures, one process for each measurement.
//!
//! A binary gives its [`Peer`] to [`run`] and prints one line of JSON.
//! `ours herd 10000 10`: the mode, how many tasks, for how many seconds.

pub mod book;
pub mod limit;
mod process;
mod seen;

use std::time::{Duration, Instant, SystemTime};

use serde_json::{Map, Value, json};

pub use process::{cpu, resident_bytes, switches};
pub use seen::{Fired, fire, fire_due_at, now_ns};

/// The handler that is not ready when it is first polled.
pub async fn fire_later() {
    tokio::task::yield_now().await;
    fire();
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All tasks at every whole second.
    Herd,
    /// The same; the handler yields once, so that it is not ready when it is first polled.
    HerdAwait,
    /// Each task once a second, at a phase of its own of whole milliseconds.
    Spread,
    /// Each task once, now.
    Burst,
    /// The same; the handler yields once.
    BurstAwait,
    /// Nothing is due before tomorrow.
    Idle,
}

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    pub mode: Mode,
    pub tasks: u32,
    pub seconds: u32,
    /// How all are added together: only ours can.
    pub batch: Option<Batch>,
}

/// How tasks are added that are not added one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// All at once, while it runs.
    Running,
    /// They wait for the start.
    AtStart,
}

impl Mode {
    /// Whether each task runs once.
    pub fn is_burst(self) -> bool {
        matches!(self, Self::Burst | Self::BurstAwait)
    }
}

impl Job {
    fn from_arguments() -> Result<Self, String> {
        let usage = "<herd|herd-await|spread|burst|burst-await|idle> <tasks> <seconds> [batch|start]";
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let (mode, tasks, seconds) = match &arguments[..] {
            [mode, tasks, seconds, ..] => (mode.as_str(), tasks.parse(), seconds.parse()),
            _ => return Err(usage.to_owned()),
        };
        let mode = match mode {
            "herd" => Mode::Herd,
            "herd-await" => Mode::HerdAwait,
            "spread" => Mode::Spread,
            "burst" => Mode::Burst,
            "burst-await" => Mode::BurstAwait,
            "idle" => Mode::Idle,
            _ => return Err(usage.to_owned()),
        };
        let (Ok(tasks), Ok(seconds)) = (tasks, seconds) else { return Err(usage.to_owned()) };
        let batch = match arguments.get(3).map(String::as_str) {
            Some("batch") => Some(Batch::Running),
            Some("start") => Some(Batch::AtStart),
            _ => None,
        };
        Ok(Self { mode, tasks, seconds, batch })
    }

    /// Where in a second a task is due, in [`Mode::Spread`].
    pub fn phase(&self, task: u32) -> Duration {
        Duration::from_millis(u64::from(task) * 1_000 / u64::from(self.tasks))
    }

    /// An hour of the day (UTC) that is far away.
    pub fn far_hour() -> u32 {
        let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        u32::try_from((seconds / 3_600 + 12) % 24).unwrap_or_default()
    }
}

/// A scheduler that is measured.
pub trait Peer: Sized {
    /// What it is called in the tables.
    const NAME: &str;

    /// All that comes before the first task. In [`Mode::Idle`] it already runs when tasks are added, if it can.
    fn prepare(job: Job) -> impl Future<Output = Self>;

    /// Adds all tasks.
    fn add(&mut self) -> impl Future<Output = ()>;

    /// Lets them run.
    fn go(&mut self) -> impl Future<Output = ()>;
}

/// Measures and prints. On a runtime of two workers, as everybody gets.
pub fn run<P: Peer>() {
    let job = match Job::from_arguments() {
        Ok(job) => job,
        Err(usage) => {
            eprintln!("{usage}");
            std::process::exit(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let figures = runtime.expect("a runtime").block_on(measure::<P>(job));
    println!("{}", Value::Object(figures));
    // Nobody is shut down: that is not what is measured.
    std::process::exit(0);
}

async fn measure<P: Peer>(job: Job) -> Map<String, Value> {
    let mut figures = Map::new();
    let mut note = |name: &str, value: Value| drop(figures.insert(name.to_owned(), value));
    let how = match job.batch {
        None => "",
        Some(Batch::Running) => " (all at once)",
        Some(Batch::AtStart) => " (all at its start)",
    };
    note("scheduler", format!("{}{how}", P::NAME).into());
    note("mode", json!(std::env::args().nth(1)));
    note("tasks", job.tasks.into());
    note("seconds", job.seconds.into());

    // Before all: queues that are made for so many tasks are theirs.
    let resident = resident_bytes();
    let mut peer = P::prepare(job).await;
    let (cpu_before, wall) = (cpu(), Instant::now());
    peer.add().await;
    let tasks = f64::from(job.tasks.max(1));
    note("add_us", json!((cpu() - cpu_before).as_secs_f64() * 1e6 / tasks));
    note("add_wall_s", json!(wall.elapsed().as_secs_f64()));
    note("rss_per_task", json!((resident_bytes() - resident) / tasks));

    let began = now_ns();
    let (cpu_before, fired) = (cpu(), Fired::so_far());
    let (before, cpu_before) = match job.mode {
        mode if mode.is_burst() => {
            peer.go().await;
            let patience = Instant::now() + Duration::from_secs(30);
            while Fired::so_far().count < u64::from(job.tasks) && Instant::now() < patience {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            note("burst_s", json!((seen::latest_ns().saturating_sub(began)) as f64 / 1e9));
            (fired, cpu_before)
        }
        mode => {
            peer.go().await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            if mode != Mode::Idle {
                // Just before a whole second: who is late by less than 0.95 s is counted in his own second.
                let into_second = now_ns() % 1_000_000_000;
                let left = (1_950_000_000 - into_second) % 1_000_000_000;
                tokio::time::sleep(Duration::from_nanos(left)).await;
            }
            let (before, cpu_before, switches_before) = (Fired::so_far(), cpu(), switches());
            let wall = Instant::now();
            tokio::time::sleep(Duration::from_secs(job.seconds.into())).await;
            let wall = wall.elapsed().as_secs_f64();
            if job.seconds > 0 {
                note("cpu_s_per_s", json!((cpu() - cpu_before).as_secs_f64() / wall));
                note("switches_per_s", json!((switches() - switches_before) / wall));
            }
            (before, cpu_before)
        }
    };

    let cpu = (cpu() - cpu_before).as_secs_f64();
    let fired = Fired::so_far().since(&before);
    let expected = match job.mode {
        mode if mode.is_burst() => u64::from(job.tasks),
        Mode::Idle => 0,
        _ => u64::from(job.tasks) * u64::from(job.seconds),
    };
    note("fires", fired.count.into());
    note("expected", expected.into());
    note("cpu_s", cpu.into());
    if fired.count > 0 {
        note("cpu_ns_per_fire", json!(cpu * 1e9 / fired.count as f64));
    }
    if !job.mode.is_burst() && fired.count > 0 {
        for (name, part) in [("late_p50_ms", 0.5), ("late_p99_ms", 0.99), ("late_max_ms", 1.0)] {
            note(name, json!(fired.late_ms(part)));
        }
    }
    note("rss_per_task_after", json!((resident_bytes() - resident) / tasks));
    figures
}
