//! apalis-cron: a worker for each schedule. A burst goes through a queue in memory and one worker.

use std::str::FromStr;

use apalis::prelude::{MemoryStorage, TaskSink, WorkerBuilder};
use apalis_cron::{CronScheduler, Tick};
use asyncz_peers::{Job, Mode, Peer, fire, fire_later};
use cron::Schedule;

struct Apalis(Job, Option<MemoryStorage<u32>>);

async fn ready(_: Tick) {
    fire();
}

async fn awaits(_: Tick) {
    fire_later().await;
}

async fn once(_: u32) {
    fire();
}

async fn once_later(_: u32) {
    fire_later().await;
}

impl Peer for Apalis {
    const NAME: &str = "apalis 1.0";

    async fn prepare(job: Job) -> Self {
        Self(job, None)
    }

    async fn add(&mut self) {
        if self.0.mode.is_burst() {
            let mut queue = MemoryStorage::new();
            for n in 0..self.0.tasks {
                queue.push(n).await.expect("there is room");
            }
            self.1 = Some(queue);
            return;
        }
        let idle = format!("0 0 {} * * *", Job::far_hour());
        for n in 0..self.0.tasks {
            let text = if self.0.mode == Mode::Idle { &idle } else { "* * * * * *" };
            let backend = CronScheduler::new(Schedule::from_str(text).expect("it is right"));
            let worker = WorkerBuilder::new(format!("task-{n}")).backend(backend);
            if self.0.mode == Mode::HerdAwait {
                tokio::spawn(worker.build(awaits).run());
            } else {
                tokio::spawn(worker.build(ready).run());
            }
        }
    }

    async fn go(&mut self) {
        if let Some(queue) = self.1.take() {
            let worker = WorkerBuilder::new("burst").backend(queue);
            match self.0.mode {
                Mode::BurstAwait => tokio::spawn(worker.build(once_later).run()),
                _ => tokio::spawn(worker.build(once).run()),
            };
        }
    }
}

fn main() {
    asyncz_peers::run::<Apalis>();
}
