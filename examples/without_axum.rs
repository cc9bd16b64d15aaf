//! A plain tokio program: no axum, no macro.
//!
//! `cargo run --example without_axum --no-default-features`; in `Cargo.toml` of your own,
//! `asyncz = { version = "…", default-features = false }`. It ends by itself after three seconds.

#![expect(clippy::print_stdout, reason = "it tells what happens")]

use std::time::Duration;

use asyncz::{Args, AsynczConfig, RunFilter, RunStatus, Task, TaskContext};

async fn tick(ctx: TaskContext) {
    println!("tick, due at {}", ctx.scheduled_at().format("%H:%M:%S%.3f"));
}

async fn greet(Args(name): Args<String>) -> Result<String, std::convert::Infallible> {
    Ok(format!("hello {name}"))
}

/// A `fn` may block: it has a thread of its own.
fn sum() -> Result<u64, std::convert::Infallible> {
    Ok((1..=1_000_000).sum())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scheduler =
        AsynczConfig::new().task(Task::from_fn("tick", tick).id("tick").cron("* * * * * *")).scheduler();
    scheduler.start().await?;

    // Once, now.
    scheduler.add_task(Task::from_fn("greet", greet).id("greet").args("world")?).await?;
    scheduler.add_task(Task::from_fn("sum", sum).id("sum")).await?;

    wait(Duration::from_secs(3)).await;
    // Waits for what runs.
    scheduler.stop().await?;

    let runs = scheduler.runs(RunFilter::new().status(RunStatus::Succeeded)).await?;
    for run in runs.iter().rev().filter(|run| run.value.is_some()) {
        println!("{}: {}", run.task, run.value.as_ref().expect("just looked at"));
    }
    println!("{} runs in all", runs.len());
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this program has something to do in the real world")]
async fn wait(time: Duration) {
    tokio::time::sleep(time).await;
}
