//! asyncz: cron tasks with an id each, in memory, on the system's clock.

use asyncz::{AsynczConfig, IntervalTrigger, Scheduler, Task, TaskContext};
use asyncz_peers::{Batch, Job, Mode, Peer, fire, fire_due_at, fire_later};
use chrono::{DateTime, Utc};

struct Ours {
    job: Job,
    scheduler: Scheduler,
}

async fn ready() {
    fire();
}

async fn when_due(ctx: TaskContext) {
    fire_due_at(ctx.scheduled_at().timestamp_nanos_opt().unwrap_or_default() as u64);
}

impl Ours {
    fn task(&self, n: u32, start: DateTime<Utc>) -> Task {
        let task = match self.job.mode {
            Mode::Herd => Task::from_fn("ready", ready).cron("* * * * * *"),
            Mode::HerdAwait => Task::from_fn("awaits", fire_later).cron("* * * * * *"),
            Mode::Spread => {
                let every = IntervalTrigger::every(std::time::Duration::from_secs(1));
                Task::from_fn("when_due", when_due).trigger(every.start_at(start + self.job.phase(n)))
            }
            Mode::Burst => Task::from_fn("ready", ready).at(start),
            Mode::BurstAwait => Task::from_fn("awaits", fire_later).at(start),
            Mode::Idle => Task::from_fn("ready", ready).cron(&format!("0 {} * * *", Job::far_hour())),
        };
        task.id(format!("task-{n}"))
    }
}

impl Peer for Ours {
    const NAME: &str = "asyncz";

    async fn prepare(job: Job) -> Self {
        let scheduler = AsynczConfig::new().without_registry().scheduler();
        match job.mode {
            // The tasks wait for the start.
            _ if job.batch == Some(Batch::AtStart) => Ok(()),
            Mode::Idle => scheduler.start().await,
            _ => scheduler.start_paused().await,
        }
        .expect("it starts");
        Self { job, scheduler }
    }

    async fn add(&mut self) {
        let start = DateTime::from_timestamp(Utc::now().timestamp(), 0).expect("it is not that late");
        if self.job.batch == Some(Batch::Running) {
            let tasks = (0..self.job.tasks).map(|n| self.task(n, start));
            self.scheduler.add_tasks(tasks).await.expect("they are right");
            return;
        }
        for n in 0..self.job.tasks {
            self.scheduler.add_task(self.task(n, start)).await.expect("it is right");
        }
        if self.job.batch == Some(Batch::AtStart) {
            self.scheduler.start_paused().await.expect("it starts");
        }
    }

    async fn go(&mut self) {
        if self.job.batch == Some(Batch::AtStart) || self.job.mode != Mode::Idle {
            self.scheduler.resume().await.expect("it runs");
        }
    }
}

fn main() {
    asyncz_peers::run::<Ours>();
}
