//! Handlers in processes of their own: one crashes, one is stuck and is killed, and the program goes on.
//!
//! `cargo run --example processes --features process`

#![expect(clippy::print_stdout, reason = "it tells what happens")]

use std::time::Duration;

use asyncz::{
    Args, AsynczConfig, Event, EventMask, ProcessPoolExecutor, Shutdown, TaskContext, Worker, task,
};
use tokio::sync::mpsc;

/// Divides in a library that ends the whole process where it does not know what to do.
#[task(executor = "processes")]
fn divide(Args((dividend, divisor)): Args<(i32, i32)>) -> Result<i32, std::io::Error> {
    match divisor {
        0 => std::process::abort(),
        _ => Ok(dividend / divisor),
    }
}

/// Nothing but a kill ends this.
#[task(executor = "processes", timeout = "500ms")]
fn searches_for_ever() {
    loop {
        std::hint::spin_loop();
    }
}

/// One that can wait can also stop in order.
#[task(executor = "processes")]
async fn writes(ctx: TaskContext) -> Result<&'static str, std::io::Error> {
    tokio::select! {
        () = ctx.sleep(Duration::from_secs(60)) => Ok("all is written"),
        () = ctx.cancelled() => Ok("half is written, the rest next time"),
    }
}

/// The same for the program and its workers.
fn config() -> AsynczConfig {
    AsynczConfig::new().executor("processes", ProcessPoolExecutor::new(2))
}

#[tokio::main]
async fn main() -> Result<(), asyncz::Error> {
    // First of all: what stands before this each worker does, too.
    if let Some(worker) = Worker::from_env() {
        return worker.run(config()).await;
    }
    let scheduler = config().scheduler();
    let (tell, mut told) = mpsc::unbounded_channel();
    let ends = EventMask::TASK_EXECUTED | EventMask::TASK_ERROR;
    scheduler.add_listener(ends, move |event| _ = tell.send(event.clone()));
    scheduler.start().await?;
    scheduler.add_task(divide::task().id("by two").args((84, 2))?).await?;
    scheduler.add_task(divide::task().id("by zero").args((84, 0))?).await?;
    scheduler.add_task(searches_for_ever::task().id("search")).await?;
    scheduler.add_task(writes::task().id("write")).await?;

    // All but the last end by themselves, and that where the scheduler stops.
    for _ in 0..3 {
        told.recv().await.as_ref().map(print);
    }
    scheduler.shutdown(Shutdown::Now).await?;
    told.recv().await.as_ref().map(print);
    Ok(())
}

fn print(event: &Event) {
    let task = event.task_id.as_ref().expect("it is of a task");
    match (&event.value, &event.error) {
        (Some(value), _) => println!("{task}: {value}"),
        (None, error) => println!("{task}: {}", error.as_deref().unwrap_or("done")),
    }
}
