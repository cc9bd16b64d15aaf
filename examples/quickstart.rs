//! An axum server with tasks in two modules, which can be seen and steered over HTTP.
//!
//! `cargo run --example quickstart`, then do what it prints. `PORT` chooses another port than 3000.
//!
//! Its tasks are in memory. `cargo run --example quickstart --features sqlite -- --store sqlite://tasks.db` keeps them and their
//! history in a file, for the next time and for other processes; likewise `postgres` and `mysql`.

#![expect(clippy::print_stdout, reason = "it tells what to try")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use asyncz::{AsynczConfig, Scheduler, ServeExt};
use axum::Router;
use axum::extract::FromRef;

/// What requests and tasks share.
#[derive(Clone, FromRef)]
struct AppState {
    visits: Visits,
}

#[derive(Clone, Default)]
struct Visits(Arc<AtomicU64>);

/// Tasks about the weather of this server.
mod reports {
    use asyncz::{TaskContext, task};
    use axum::extract::State;

    use super::{Ordering, Visits};

    /// Every second.
    #[task(every = "1s", id = "tick")]
    async fn tick() {}

    /// By cron, at every full minute, and with a value to keep.
    #[task(cron = "* * * * *", timezone = "Europe/Berlin", id = "minute")]
    async fn minute(ctx: TaskContext) -> Result<String, std::convert::Infallible> {
        Ok(format!("it was {} when this began", ctx.started_at().format("%H:%M:%S")))
    }

    /// With a part of the application's state.
    #[task(every = "10s", id = "visits", state = super::AppState)]
    async fn count_visits(State(visits): State<Visits>) -> Result<u64, std::convert::Infallible> {
        Ok(visits.0.load(Ordering::Relaxed))
    }
}

/// A task without a trigger: `POST /emails` adds one for each email.
mod emails {
    use asyncz::{Args, TaskId, task};
    use axum::http::StatusCode;
    use axum::{Json, extract::rejection::JsonRejection};
    use serde::{Deserialize, Serialize};
    use serde_json::{Value, json};

    use super::Scheduler;
    use super::api::Problem;

    #[derive(Serialize, Deserialize)]
    pub(super) struct Email {
        to: String,
        subject: String,
    }

    #[task]
    async fn send_email(Args(email): Args<Email>) -> Result<String, String> {
        match email.to.contains('@') {
            true => Ok(format!("sent \"{}\" to {}", email.subject, email.to)),
            false => Err(format!("\"{}\" is no address", email.to)),
        }
    }

    /// Adds a task that runs once, now.
    pub(super) async fn send(
        scheduler: Scheduler,
        email: Result<Json<Email>, JsonRejection>,
    ) -> Result<(StatusCode, Json<Value>), Problem> {
        let Json(email) = email.map_err(Problem::wrong_json)?;
        let task = scheduler.add_task(send_email::task().args(email)?.id(short_id())).await?;
        Ok((StatusCode::CREATED, Json(json!({ "id": task.id() }))))
    }

    /// Short, so that it can be typed; the number of emails so far.
    fn short_id() -> TaskId {
        static EMAILS: super::AtomicU64 = super::AtomicU64::new(1);
        format!("email-{}", EMAILS.fetch_add(1, super::Ordering::Relaxed)).into()
    }
}

/// The scheduler over HTTP.
mod api {
    use asyncz::{Error, RunFilter, TaskFilter};
    use axum::extract::rejection::JsonRejection;
    use axum::extract::{Path, Query};
    use axum::http::StatusCode;
    use axum::response::{IntoResponse, Response};
    use axum::{Json, Router, routing};
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::Scheduler;

    pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
        Router::new()
            .route("/tasks", routing::get(tasks))
            .route("/tasks/{id}", routing::delete(delete))
            .route("/tasks/{id}/pause", routing::post(pause))
            .route("/tasks/{id}/resume", routing::post(resume))
            .route("/tasks/{id}/run", routing::post(run))
            .route("/runs", routing::get(runs))
            .route("/emails", routing::post(super::emails::send))
    }

    /// What went wrong, as JSON.
    pub(super) struct Problem(StatusCode, String);

    impl Problem {
        pub(super) fn wrong_json(rejection: JsonRejection) -> Self {
            Self(StatusCode::UNPROCESSABLE_ENTITY, rejection.body_text())
        }
    }

    impl From<Error> for Problem {
        fn from(error: Error) -> Self {
            let status = match error {
                Error::TaskNotFound { .. } => StatusCode::NOT_FOUND,
                Error::ConflictId { .. } | Error::MaxInstances { .. } => StatusCode::CONFLICT,
                Error::InvalidArguments { .. } => StatusCode::UNPROCESSABLE_ENTITY,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Self(status, error.to_string())
        }
    }

    impl IntoResponse for Problem {
        fn into_response(self) -> Response {
            (self.0, Json(json!({ "error": self.1 }))).into_response()
        }
    }

    async fn tasks(scheduler: Scheduler) -> Result<Json<Vec<Value>>, Problem> {
        let mut list = Vec::new();
        for task in scheduler.tasks(TaskFilter::new()).await? {
            // It may have ended and gone meanwhile.
            let next = scheduler.preview(&task.id, 3).await.unwrap_or_default();
            list.push(json!({
                "id": task.id,
                "handler": task.handler,
                "trigger": task.trigger.to_string(),
                "state": task.state.as_str(),
                "next_run_times": next,
            }));
        }
        Ok(Json(list))
    }

    #[derive(Deserialize)]
    struct OfTask {
        task: Option<String>,
    }

    async fn runs(scheduler: Scheduler, Query(of): Query<OfTask>) -> Result<Json<Vec<Value>>, Problem> {
        let filter =
            of.task.iter().fold(RunFilter::new().limit(1_000), |filter, id| filter.task(id.as_str()));
        let runs = scheduler.runs(filter).await?;
        if let (Some(id), true) = (of.task, runs.is_empty()) {
            // No run yet, or no such task?
            scheduler.get_task(id).await?;
        }
        let as_json = |run: &asyncz::RunRecord| {
            json!({
                "id": run.id,
                "task": run.task,
                "scheduled_at": run.scheduled_at(),
                "started_at": run.started_at,
                "lateness": run.lateness().map(|late| late.as_secs_f64()),
                "status": run.status,
                "value": run.value,
                "error": run.error,
            })
        };
        Ok(Json(runs.iter().map(as_json).collect()))
    }

    async fn pause(scheduler: Scheduler, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
        scheduler.pause_task(id.as_str()).await?;
        Ok(Json(json!({ "id": id, "state": "paused" })))
    }

    async fn resume(scheduler: Scheduler, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
        scheduler.resume_task(id.as_str()).await?;
        Ok(Json(json!({ "id": id, "state": "scheduled" })))
    }

    async fn run(scheduler: Scheduler, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
        let run = scheduler.run_task(id.as_str()).await?;
        Ok(Json(json!({ "id": id, "run": run })))
    }

    async fn delete(scheduler: Scheduler, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
        scheduler.delete_task(id.as_str()).await?;
        Ok(Json(json!({ "id": id, "state": "deleted" })))
    }
}

async fn visit(axum::extract::State(visits): axum::extract::State<Visits>) -> String {
    format!("visit {}\n", visits.0.fetch_add(1, Ordering::Relaxed) + 1)
}

/// What stands behind `--store`.
fn store_url() -> Result<Option<String>, String> {
    let words: Vec<_> = std::env::args().skip(1).collect();
    match &words[..] {
        [] => Ok(None),
        [word, url] if word == "--store" => Ok(Some(url.clone())),
        _ => Err(format!("`{}` is not understood: write `--store sqlite://tasks.db`", words.join(" "))),
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
fn with_store(config: AsynczConfig, url: &str) -> Result<AsynczConfig, String> {
    Ok(config.store("default", asyncz::SqlStore::new(url)))
}

#[cfg(not(any(feature = "sqlite", feature = "postgres", feature = "mysql")))]
fn with_store(_: AsynczConfig, url: &str) -> Result<AsynczConfig, String> {
    Err(format!(
        "`--store {url}` needs a feature: write `--features sqlite`, `postgres` or `mysql` before the `--`"
    ))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    let here = format!("http://{}", listener.local_addr()?);

    let state = AppState { visits: Visits::default() };
    let app =
        Router::new().route("/", axum::routing::get(visit)).merge(api::routes()).with_state(state.clone());
    let mut config = AsynczConfig::new().state(state).expect_tasks(4);
    if let Some(url) = store_url()? {
        config = with_store(config, &url)?;
    }

    println!("Listening on {here}. Try:");
    println!("  curl {here}/tasks");
    println!("  curl '{here}/runs?task=tick'");
    println!("  curl -X POST {here}/tasks/tick/pause       (or resume, or run)");
    println!("  curl -X DELETE {here}/tasks/minute");
    println!(
        "  curl {here}/emails -H 'content-type: application/json' -d '{{\"to\": \"you@example.org\", \"subject\": \"Hello\"}}'"
    );
    println!("Ctrl-C lets running tasks end.");

    axum::serve(listener, app).with_scheduler(config).await?;
    println!("Stopped.");
    Ok(())
}
