//! A year in a second: what a program's tests do with a clock that they move.
//!
//! `cargo run --example testing --features testing`

#![expect(clippy::print_stdout, reason = "it tells what it finds")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use asyncz::testing::TestClock;
use asyncz::{
    AsynczConfig, CronTrigger, Provide, RunFilter, RunRecord, RunStatus, Scheduler, Task, TaskContext,
};
use chrono::Duration;

/// The bank answers every third time only.
#[derive(Clone, Default)]
struct Bank(Arc<AtomicU32>);

/// The 09:00 of working days in Berlin, and it has to be right through both changes of the clock.
async fn collect_payments(Provide(bank): Provide<Bank>) -> Result<u32, &'static str> {
    match bank.0.fetch_add(1, Ordering::Relaxed) % 3 {
        2 => Ok(42),
        _ => Err("the bank does not answer"),
    }
}

/// A handler that takes its time, by the scheduler's clock.
async fn nightly_backup(ctx: TaskContext) {
    ctx.sleep(Duration::hours(2).to_std().unwrap_or_default()).await;
}

/// What `main` of the program would do, but for the clock.
async fn started(clock: &TestClock) -> Result<Scheduler, asyncz::Error> {
    let nine = CronTrigger::new("0 9 * * mon-fri")?.timezone("Europe/Berlin".parse::<asyncz::Zone>()?);
    let payments =
        Task::from_fn("collect_payments", collect_payments).id("payments").trigger(nine).retries(5);
    let backup = Task::from_fn("nightly_backup", nightly_backup).id("backup").cron("0 1 * * *");
    let config = AsynczConfig::new().clock(clock.clone()).provide(Bank::default());
    let scheduler = config.without_registry().task(payments).task(backup).scheduler();
    scheduler.start().await?;
    Ok(scheduler)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = TestClock::at("2026-01-01T00:00:00Z");
    let scheduler = started(&clock).await?;

    // A month of it, and it is over at once. Nothing here sleeps or guesses.
    clock.advance_to("2026-02-01T00:00:00Z".parse()?).await;
    let backups = scheduler.runs(RunFilter::new().task("backup")).await?;
    assert_eq!(backups.len(), 31);
    let took = |run: &RunRecord| Some(run.finished_at? - run.started_at?);
    assert!(backups.iter().all(|run| took(run) == Some(Duration::hours(2))));
    println!("January: {} backups of two hours each", backups.len());

    // To the Friday before the clock is put forward, and to the Monday after it.
    clock.advance_to("2026-03-30T12:00:00Z".parse()?).await;
    let payments = RunFilter::new().task("payments").status(RunStatus::Succeeded);
    let runs = scheduler.runs(payments.clone()).await?;
    let days: Vec<String> = runs.iter().take(2).map(|run| run.scheduled_at().to_rfc3339()).collect();
    assert_eq!(days, ["2026-03-30T07:00:00+00:00", "2026-03-27T08:00:00+00:00"]);
    println!("09:00 in Berlin: {} before the change of the clock, {} after it", days[1], days[0]);

    // The first two attempts of each failed, the third did not.
    let failed = scheduler.runs(RunFilter::new().task("payments").status(RunStatus::Failed)).await?;
    assert!(runs.iter().all(|run| run.occurrence.attempt == 3));
    println!("of the last 100 runs, which is what is kept: {} paid, {} failed", runs.len(), failed.len());

    // The rest of the year.
    clock.advance_to("2027-01-01T00:00:00Z".parse()?).await;
    println!("the year is over: next is {}", scheduler.preview("payments", 1).await?[0]);
    scheduler.stop().await?;
    Ok(())
}
