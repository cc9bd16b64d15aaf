//! Another scheduler behind the same plug: `tokio-cron-scheduler` lives and ends with an axum server.
//!
//! `cargo run --example custom_config`, then `curl localhost:3002`; Ctrl-C ends it in order. `PORT` chooses another port.

#![expect(clippy::print_stdout, reason = "it tells what happens")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use asyncz::{Error, SchedulerConfig, ServeExt, async_trait};
use axum::{Router, routing::get};
use tokio::sync::Mutex;
use tokio_cron_scheduler::{Job, JobScheduler};

/// What it takes to plug a scheduler in: how it starts and how it stops.
#[derive(Default)]
struct CronJobs {
    ticks: Arc<AtomicU64>,
    running: Mutex<Option<JobScheduler>>,
}

#[async_trait]
impl SchedulerConfig for CronJobs {
    /// Before the first request is answered; an error here ends the program, and nothing is served.
    async fn start(&self) -> Result<(), Error> {
        let jobs = JobScheduler::new().await.map_err(Error::other)?;
        let ticks = Arc::clone(&self.ticks);
        let tick = Job::new("* * * * * *", move |_, _| {
            println!("tick {}", ticks.fetch_add(1, Ordering::Relaxed) + 1);
        });
        jobs.add(tick.map_err(Error::other)?).await.map_err(Error::other)?;
        jobs.start().await.map_err(Error::other)?;
        println!("The scheduler has started.");
        *self.running.lock().await = Some(jobs);
        Ok(())
    }

    /// After the last request, and on every other way out of the program.
    async fn shutdown(&self) -> Result<(), Error> {
        let Some(mut jobs) = self.running.lock().await.take() else { return Ok(()) };
        jobs.shutdown().await.map_err(Error::other)?;
        println!("The scheduler has stopped.");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "3002".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("Listening on http://{}", listener.local_addr()?);

    let config = CronJobs::default();
    let ticks = Arc::clone(&config.ticks);
    let count = move || async move { format!("{} ticks\n", ticks.load(Ordering::Relaxed)) };
    let app = Router::new().route("/", get(count));

    axum::serve(listener, app).with_scheduler(config).await?;
    println!("Stopped.");
    Ok(())
}
