//! clokwerk's AsyncScheduler, polled every 100 ms as its documentation does.

use std::time::Duration;

use asyncz_peers::{Job, Mode, Peer, fire, fire_later};
use clokwerk::{AsyncScheduler, Job as _, TimeUnits};

struct Clokwerk(Job, Option<AsyncScheduler<chrono::Utc>>);

impl Peer for Clokwerk {
    const NAME: &str = "clokwerk 0.4";

    async fn prepare(job: Job) -> Self {
        Self(job, Some(AsyncScheduler::with_tz(chrono::Utc)))
    }

    async fn add(&mut self) {
        let Some(scheduler) = &mut self.1 else { return };
        let far_away = format!("{}:00", Job::far_hour());
        for _ in 0..self.0.tasks {
            match self.0.mode {
                Mode::HerdAwait => scheduler.every(1.seconds()).run(fire_later),
                Mode::Idle => scheduler.every(1.day()).at(&far_away).run(|| async { fire() }),
                Mode::Burst => scheduler.every(1.seconds()).once().run(|| async { fire() }),
                Mode::BurstAwait => scheduler.every(1.seconds()).once().run(fire_later),
                Mode::Herd | Mode::Spread => scheduler.every(1.seconds()).run(|| async { fire() }),
            };
        }
        if self.0.mode.is_burst() {
            // Until they are due: none can be from the beginning.
            tokio::time::sleep(Duration::from_millis(1_100)).await;
        }
    }

    async fn go(&mut self) {
        let Some(mut scheduler) = self.1.take() else { return };
        tokio::spawn(async move {
            loop {
                scheduler.run_pending().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
}

fn main() {
    asyncz_peers::run::<Clokwerk>();
}
