//! What the link-time registry holds. It is one for each binary, so here is one of its own, full of mistakes.

use std::fmt::Debug;
use std::sync::{Mutex, OnceLock};

use asyncz::testing::TestClock;
use asyncz::{Args, AsynczConfig, Error, Provide, Scheduler, Task, TaskFilter, TaskSnapshot, task};
use axum::extract::State;
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata, Subscriber, span};

#[path = "registry/linking.rs"]
mod linking;

mod mail {
    #[asyncz::task(every = "1h")]
    pub(crate) async fn send() {}

    #[asyncz::task(every = "1h", was = ["registry::post::dispatch"], handler = "mail::dispatch")]
    pub(crate) async fn dispatch() {}

    #[asyncz::task(every = "1h", enabled = crate::is_enabled())]
    async fn digest() {}
}

mod news {
    #[asyncz::task(every = "1h")]
    async fn send() {}

    #[asyncz::task(every = "1h", end_at = "2020-01-01T00:00:00Z")]
    pub(crate) async fn of_last_year() {}

    #[asyncz::task]
    pub(crate) async fn by_hand() {}
}

/// Two functions that are mistaken for one another.
mod twins {
    pub(crate) fn first() {
        #[asyncz::task(every = "1h")]
        async fn twin() {}
    }

    pub(crate) fn second() {
        #[asyncz::task(every = "1h")]
        async fn twin() {}
    }
}

/// Tasks that can't start.
mod wrong {
    use super::*;

    #[task(every = "1h")]
    async fn lacks(_: State<u64>, _: Provide<String>) {}

    #[task(every = "1h", store = "mongo", executor = "gpu")]
    async fn elsewhere() {}

    #[task(cron = "0 0 30 2 *")]
    async fn on_no_day() {}

    #[task(every = "1h", args = ("you", 1000))]
    async fn overdone(Args(_): Args<(String, u8)>) {}

    #[task(args = "many")]
    async fn waits_for_a_number(Args(_): Args<u8>) {}

    #[task(every = "1h", id = "taken")]
    async fn takes() {}

    #[task(every = "1h", id = "taken")]
    async fn takes_too() {}
}

/// By an expression, as it would be by the environment.
fn is_enabled() -> bool {
    std::env::args().any(|argument| argument == "no test is called that")
}

fn config() -> AsynczConfig {
    heard();
    AsynczConfig::new().clock(TestClock::at("2026-11-23T12:00:00Z"))
}

/// The tasks of a configuration that starts.
async fn tasks_of(config: AsynczConfig) -> Vec<TaskSnapshot> {
    let scheduler = config.scheduler();
    scheduler.start().await.expect("nothing is wrong");
    scheduler.tasks(TaskFilter::new()).await.expect("memory does not fail")
}

fn handlers(tasks: &[TaskSnapshot]) -> Vec<&str> {
    tasks.iter().map(|task| &*task.handler).collect()
}

/// What is wrong with a configuration that does not start.
async fn problems_of(config: AsynczConfig) -> Vec<String> {
    match config.scheduler().start().await {
        Err(Error::Start { problems }) => problems.iter().map(ToString::to_string).collect(),
        other => panic!("it should not start: {other:?}"),
    }
}

#[tokio::test]
async fn functions_of_one_name_in_two_modules_are_two_tasks() {
    let tasks = tasks_of(config().tasks(["registry::mail::send", "registry::news::send"])).await;
    assert_eq!(handlers(&tasks), ["registry::mail::send", "registry::news::send"]);
    assert!(tasks.iter().all(|task| task.id.as_str() == &*task.handler));
}

#[tokio::test]
async fn a_task_is_chosen_by_its_handlers_name_or_an_old_one() {
    let tasks = tasks_of(config().tasks(["mail::dispatch"])).await;
    assert_eq!(handlers(&tasks), ["mail::dispatch"]);
    let tasks = tasks_of(config().tasks(["registry::post::dispatch"])).await;
    assert_eq!(handlers(&tasks), ["mail::dispatch"]);
}

#[tokio::test]
async fn a_task_chosen_by_an_unknown_name_is_told() {
    let problems = problems_of(config().tasks(["registry::mail::sent"])).await;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].contains("no handler `registry::mail::sent`"), "{problems:#?}");
    assert!(problems[0].contains("registry::mail::send,"), "{problems:#?}");
}

#[tokio::test]
async fn a_task_that_is_not_enabled_is_left_out() {
    let tasks = tasks_of(config().tasks(["registry::mail::digest", "registry::mail::send"])).await;
    assert_eq!(handlers(&tasks), ["registry::mail::send"]);
}

#[tokio::test]
async fn without_the_registry_tasks_are_given_by_hand() {
    async fn own() {}
    let hour = std::time::Duration::from_secs(3_600);
    let config = config()
        .without_registry()
        .task(mail::send::task())
        .task(news::by_hand::task())
        .task(Task::from_fn("own", own).id("own").every(hour));
    let tasks = tasks_of(config).await;
    // A declared task has the same id however it comes, so that a store knows it after the next start.
    let ids: Vec<_> = tasks.iter().map(|task| task.id.as_str()).collect();
    assert_eq!(ids, ["own", "registry::mail::send"]);
}

#[tokio::test]
async fn a_task_of_the_registry_that_is_also_given_by_hand_is_told() {
    let config = config().tasks(["registry::mail::send"]).task(mail::send::task());
    let problems = problems_of(config).await;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].contains("two tasks of this id, also `registry::mail::send`"), "{problems:#?}");
}

#[tokio::test]
async fn too_few_tasks_are_told_with_the_cure() {
    let config = config().tasks(["registry::mail::send"]).expect_tasks(2);
    let problems = problems_of(config).await;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(problems[0].starts_with("expect_tasks(2): 1 found"), "{problems:#?}");
    assert!(problems[0].contains("use its_name as _;"), "{problems:#?}");
}

#[tokio::test]
async fn no_task_at_all_is_a_warning_with_the_cure() {
    assert!(tasks_of(config().without_registry()).await.is_empty());
    assert!(was_warned(&["use its_name as _;"]));
}

#[tokio::test]
async fn a_task_whose_trigger_has_ended_is_left_out_with_a_warning() {
    let config = config().tasks(["registry::news::of_last_year", "registry::mail::send"]);
    assert_eq!(handlers(&tasks_of(config).await), ["registry::mail::send"]);
    assert!(was_warned(&["registry::news::of_last_year", "has ended"]));
}

#[tokio::test]
async fn a_task_whose_trigger_has_ended_can_not_be_added() {
    let scheduler: Scheduler = config().without_registry().scheduler();
    scheduler.start().await.unwrap();
    let refused = scheduler.add_task(news::of_last_year::task()).await.unwrap_err().to_string();
    assert!(refused.contains("has ended"), "{refused}");
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_in_one_start_error_with_its_place() {
    twins::first();
    twins::second();
    let problems = problems_of(config().expect_tasks(100)).await;

    let has = |parts: &[&str]| {
        let found = problems.iter().filter(|told| parts.iter().all(|part| told.contains(part))).count();
        assert_eq!(found, 1, "{parts:?} in {problems:#?}");
    };
    has(&["expect_tasks(100)", "use its_name as _;"]);
    has(&["`registry::wrong::lacks`", "tests/registry.rs:", "needs state `u64`"]);
    has(&["`registry::wrong::lacks`", "tests/registry.rs:", "needs state `alloc::string::String`"]);
    has(&["`registry::wrong::elsewhere`", "tests/registry.rs:", "no store `mongo`", "default"]);
    has(&["`registry::wrong::elsewhere`", "tests/registry.rs:", "no executor `gpu`", "default"]);
    has(&["`registry::wrong::on_no_day`", "tests/registry.rs:", "never matches"]);
    has(&["`registry::wrong::overdone`", "tests/registry.rs:", "arguments at `[1]`"]);
    has(&["`registry::wrong::waits_for_a_number`", "tests/registry.rs:", "expected u8"]);
    has(&["`registry::twins::twin`", "tests/registry.rs:", "declared twice"]);
    has(&["`taken`", "tests/registry.rs:", "two tasks of this id, also `taken` (tests/registry.rs:"]);
    assert_eq!(problems.len(), 10, "{problems:#?}");
}

/// What the scheduler logs, from all tests and their threads.
fn heard() -> &'static Mutex<Vec<String>> {
    static HEARD: OnceLock<Mutex<Vec<String>>> = OnceLock::new();
    HEARD.get_or_init(|| {
        tracing::subscriber::set_global_default(Ear).expect("nobody else listens");
        Mutex::default()
    })
}

fn was_warned(parts: &[&str]) -> bool {
    let heard = heard().lock().expect("nobody panics here");
    heard.iter().any(|line| parts.iter().all(|part| line.contains(part)))
}

struct Ear;

impl Subscriber for Ear {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        heard().lock().expect("nobody panics here").push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}
