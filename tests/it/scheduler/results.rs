//! What comes of a run: values, errors in words, panics with their places.

use std::fmt;

use asyncz::{RunFilter, RunRecord, RunStatus, Task};

use super::{history, nothing, seconds, started};

/// Runs a task once and gives its run.
async fn run_once(task: Task) -> RunRecord {
    let (clock, scheduler) = started().await;
    scheduler.add_task(task.id("t")).await.unwrap();
    clock.settle().await;
    scheduler.runs(RunFilter::new().task("t")).await.unwrap().remove(0)
}

async fn error_of(task: Task) -> String {
    let run = run_once(task).await;
    assert_eq!(run.status, RunStatus::Failed);
    run.error.unwrap()
}

/// An error with a source.
#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no number")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn number() -> Result<u8, Outer> {
    "x".parse().map_err(Outer)
}

const IN_WORDS: &str = "no number: invalid digit found in string";

#[tokio::test]
async fn an_error_is_recorded_with_its_sources() {
    async fn fail() -> Result<(), Outer> {
        number().map(drop)
    }
    assert_eq!(error_of(Task::from_fn("fail", fail)).await, IN_WORDS);
}

#[tokio::test]
async fn errors_may_be_texts() {
    async fn fail() -> Result<(), String> {
        Err("no mail".to_owned())
    }
    fn fail_at_once() -> Result<(), &'static str> {
        Err("no post")
    }
    assert_eq!(error_of(Task::from_fn("fail", fail)).await, "no mail");
    assert_eq!(error_of(Task::from_fn("fail_at_once", fail_at_once)).await, "no post");
}

#[tokio::test]
async fn errors_may_be_boxed_whether_they_can_be_sent_or_not() {
    type Sent = Box<dyn std::error::Error + Send + Sync>;
    type Unsent = Box<dyn std::error::Error>;
    async fn sent() -> Result<u8, Sent> {
        Ok(number()?)
    }
    async fn unsent() -> Result<u8, Unsent> {
        nothing().await;
        Ok(number()?)
    }
    fn unsent_at_once() -> Result<u8, Unsent> {
        Ok(number()?)
    }
    assert_eq!(error_of(Task::from_fn("sent", sent)).await, IN_WORDS);
    assert_eq!(error_of(Task::from_fn("unsent", unsent)).await, IN_WORDS);
    assert_eq!(error_of(Task::from_fn("unsent_at_once", unsent_at_once)).await, IN_WORDS);
}

#[tokio::test]
async fn errors_may_be_of_anyhow() {
    async fn fail() -> anyhow::Result<()> {
        use anyhow::Context as _;
        number().map(drop).context("no mailbox")
    }
    assert_eq!(error_of(Task::from_fn("fail", fail)).await, format!("no mailbox: {IN_WORDS}"));
}

#[tokio::test]
async fn a_value_is_kept_unless_it_is_nothing() {
    async fn gives() -> Result<Vec<u8>, String> {
        Ok(vec![1, 2])
    }
    async fn gives_nothing() -> Result<(), String> {
        Ok(())
    }
    assert_eq!(run_once(Task::from_fn("gives", gives)).await.value.unwrap(), serde_json::json!([1, 2]));
    assert_eq!(run_once(Task::from_fn("gives_nothing", gives_nothing)).await.value, None);
}

#[tokio::test]
async fn a_panic_is_recorded_and_harms_nobody() {
    const LINE: u32 = line!() + 1;
    async fn panics() {
        panic!("at the disco");
    }
    fn panics_at_once() {
        panic!("before {}", "noon");
    }
    let (clock, scheduler) = started().await;
    for task in [
        Task::from_fn("panics", panics).id("async"),
        Task::from_fn("panics_at_once", panics_at_once).id("sync"),
        Task::from_fn("nothing", nothing).id("other"),
    ] {
        scheduler.add_task(task.every(seconds(10))).await.unwrap();
    }

    clock.advance(seconds(20)).await;

    let twice = |status| [(status, 10), (status, 20)];
    assert_eq!(history(&scheduler, "async").await, twice(RunStatus::Failed));
    assert_eq!(history(&scheduler, "sync").await, twice(RunStatus::Failed));
    assert_eq!(history(&scheduler, "other").await, twice(RunStatus::Succeeded));
    let error =
        async |id: &str| scheduler.runs(RunFilter::new().task(id)).await.unwrap().remove(0).error.unwrap();
    let panicked = |line: u32, message: &str| format!("panicked at {}:{line}:9: {message}", file!());
    assert_eq!(error("async").await, panicked(LINE + 1, "at the disco"));
    assert_eq!(error("sync").await, panicked(LINE + 4, "before noon"));
}

#[tokio::test]
async fn a_panic_that_comes_from_elsewhere_is_given_no_wrong_place() {
    async fn passes_on() {
        let caught = std::panic::catch_unwind(|| panic!("a first one, which is caught"));
        assert!(caught.is_err());
        let elsewhere = tokio::spawn(async { panic!("a second one") }).await;
        std::panic::resume_unwind(elsewhere.unwrap_err().into_panic());
    }
    async fn passes_on_a_number() {
        std::panic::resume_unwind(Box::new(7));
    }
    assert_eq!(error_of(Task::from_fn("passes_on", passes_on)).await, "panicked: a second one");
    let error = error_of(Task::from_fn("passes_on_a_number", passes_on_a_number)).await;
    assert_eq!(error, "panicked: with a value that is no text");
}

#[tokio::test]
async fn a_panic_is_still_told_to_the_hook_that_was_there() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    async fn panics() {
        panic!("for the hook");
    }
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload().downcast_ref::<&str>() == Some(&"for the hook") {
            HEARD.fetch_add(1, Ordering::Relaxed);
        }
        previous(info);
    }));
    let error = error_of(Task::from_fn("panics", panics)).await;
    assert!(error.starts_with("panicked at ") && error.ends_with(": for the hook"), "{error}");
    assert_eq!(HEARD.load(Ordering::Relaxed), 1);
}
