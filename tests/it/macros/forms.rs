//! What a function may take and give.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use asyncz::{Args, Provide, Scheduler, TaskContext, task};
use axum::extract::{FromRef, State};

use super::added;

#[derive(Clone, FromRef)]
struct AppState {
    mailer: Mailer,
    copies: u32,
}

#[derive(Clone, Debug)]
struct Mailer;

#[derive(Debug)]
struct MailError;

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no mail today")
    }
}

impl std::error::Error for MailError {}

#[task(state = AppState)]
async fn typed(
    State(_mailer): State<Mailer>,
    State(_copies): State<u32>,
    _: TaskContext,
) -> Result<(), MailError> {
    Err(MailError)
}

#[task]
async fn looked_up(_: State<Mailer>, _: Provide<String>, _: Option<State<i64>>, _: Scheduler) {}

#[task]
async fn keeps_a_value(Args(number): Args<u32>) -> Result<u32, Box<dyn std::error::Error + Send + Sync>> {
    Ok(number)
}

#[task]
fn blocks(mut _context: TaskContext) -> Result<(), String> {
    Err("sync".to_owned())
}

#[task]
fn gives_a_future(_: TaskContext) -> impl Future<Output = Result<u8, String>> + Send {
    std::future::ready(Ok(1))
}

#[task]
fn gives_a_box(_: TaskContext) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async {})
}

#[task]
#[expect(clippy::too_many_arguments, reason = "as many as there may be")]
async fn takes_eight(
    _a: TaskContext,
    _b: TaskContext,
    _c: TaskContext,
    _d: TaskContext,
    _e: TaskContext,
    _f: Scheduler,
    _g: Option<Args<u8>>,
    #[cfg(windows)] _no: NoExtractor,
    _h: Option<Provide<u8>>,
) {
}

#[cfg(windows)]
struct NoExtractor;

#[tokio::test]
async fn functions_of_every_form_are_tasks() {
    for task in [blocks::task(), gives_a_future::task(), gives_a_box::task(), takes_eight::task()] {
        added(task.every(std::time::Duration::from_secs(1))).await.unwrap();
    }
    added(keeps_a_value::task().args(1).unwrap()).await.unwrap();
}

#[tokio::test]
async fn the_function_is_left_as_it_was() {
    assert_eq!(keeps_a_value(Args(3)).await.unwrap(), 3);
}

#[tokio::test]
async fn what_a_task_lacks_is_told_with_its_place() {
    for (task, lacks) in [(typed::task(), "AppState"), (looked_up::task(), "Mailer")] {
        let error = added(task).await.unwrap_err().to_string();
        assert!(error.contains(lacks) && error.contains("forms.rs:"), "{error}");
    }
}

struct Unserialised;

#[task]
async fn keeps_nothing() -> Result<Unserialised, String> {
    Ok(Unserialised)
}

#[tokio::test]
async fn a_value_that_can_not_be_kept_is_no_mistake() {
    let (clock, scheduler) = crate::scheduler::started().await;
    let kept = scheduler.add_task(keeps_a_value::task().args(7).unwrap().id("kept")).await.unwrap();
    let lost = scheduler.add_task(keeps_nothing::task().id("lost")).await.unwrap();
    clock.advance(std::time::Duration::from_secs(1)).await;
    for (task, value) in [(kept, Some(7.into())), (lost, None)] {
        let runs = scheduler.runs(asyncz::RunFilter::new().task(task.id())).await.unwrap();
        assert_eq!((runs[0].status, &runs[0].value), (asyncz::RunStatus::Succeeded, &value));
    }
}

#[task]
async fn fails_unsent() -> Result<u8, Box<dyn std::error::Error>> {
    std::future::ready(()).await;
    Err(MailError)?
}

#[task]
fn fails_unsent_and_unkept() -> Result<Unserialised, Box<dyn std::error::Error>> {
    Err("no mail today".into())
}

#[task]
async fn fails_anyhow() -> anyhow::Result<Unserialised> {
    Err(MailError.into())
}

#[tokio::test]
async fn errors_of_every_form_are_told() {
    let (clock, scheduler) = crate::scheduler::started().await;
    for task in [fails_unsent::task(), fails_unsent_and_unkept::task(), fails_anyhow::task()] {
        let task = scheduler.add_task(task).await.unwrap();
        clock.advance(std::time::Duration::from_secs(1)).await;
        let runs = scheduler.runs(asyncz::RunFilter::new().task(task.id())).await.unwrap();
        assert_eq!(runs[0].error.as_deref(), Some("no mail today"));
    }
}
