//! tokio-cron-scheduler. `wide` as the fourth argument: its channels hold two messages for each task, in place of 200 in all.

use std::time::Duration;

use asyncz_peers::{Job, Mode, Peer, fire, fire_later};
use tokio_cron_scheduler::{Job as Theirs, JobScheduler};

struct TokioCron<const WIDE: bool>(Job, JobScheduler);

impl<const WIDE: bool> Peer for TokioCron<WIDE> {
    const NAME: &str =
        if WIDE { "tokio-cron-scheduler 0.15, channel 2N" } else { "tokio-cron-scheduler 0.15" };

    async fn prepare(job: Job) -> Self {
        let scheduler = match WIDE {
            true => JobScheduler::new_with_channel_size(2 * job.tasks as usize).await,
            false => JobScheduler::new().await,
        };
        let scheduler = scheduler.expect("a scheduler");
        if job.mode == Mode::Idle {
            scheduler.start().await.expect("it starts");
        }
        Self(job, scheduler)
    }

    async fn add(&mut self) {
        let idle = format!("0 0 {} * * *", Job::far_hour());
        for _ in 0..self.0.tasks {
            let job = match self.0.mode {
                Mode::HerdAwait => Theirs::new_async("* * * * * *", |_, _| Box::pin(fire_later())),
                Mode::Burst => {
                    Theirs::new_one_shot_async(Duration::from_secs(1), |_, _| Box::pin(async { fire() }))
                }
                Mode::BurstAwait => {
                    Theirs::new_one_shot_async(Duration::from_secs(1), |_, _| Box::pin(fire_later()))
                }
                Mode::Idle => Theirs::new_async(idle.as_str(), |_, _| Box::pin(async { fire() })),
                Mode::Herd | Mode::Spread => {
                    Theirs::new_async("* * * * * *", |_, _| Box::pin(async { fire() }))
                }
            };
            self.1.add(job.expect("it is right")).await.expect("it is added");
        }
        if self.0.mode.is_burst() {
            // Until they are due: none can be from the beginning.
            tokio::time::sleep(Duration::from_millis(1_100)).await;
        }
    }

    async fn go(&mut self) {
        if self.0.mode != Mode::Idle {
            self.1.start().await.expect("it starts");
        }
    }
}

fn main() {
    match std::env::args().nth(4).as_deref() {
        Some("wide") => asyncz_peers::run::<TokioCron<true>>(),
        _ => asyncz_peers::run::<TokioCron<false>>(),
    }
}
