//! Every option does what the builder's method of its name does.

use std::time::Duration;

use asyncz::{Args, Overlap, Recover, TaskState, task};
use chrono::Utc;

use super::added;

#[task(every = "1h")]
async fn says_little() {}

#[tokio::test]
async fn what_is_not_said_is_the_default() {
    let task = added(says_little::task()).await.unwrap();
    assert_eq!(&*task.handler, "it::macros::options::says_little");
    assert_eq!(task.name, task.handler);
    assert_eq!((&*task.store, &*task.executor), ("default", "default"));
    assert!(task.rules.coalesce);
    assert_eq!((task.rules.max_instances, task.rules.max_catch_up), (1, 1_000));
    assert_eq!((task.rules.misfire_grace_time, task.rules.jitter), (None, Duration::ZERO));
    assert_eq!((task.rules.overlap, task.rules.queue_limit), (Overlap::Skip, 1_000));
    assert_eq!((task.rules.retries, task.rules.retry_backoff), (0, Duration::from_secs(1)));
    assert_eq!((task.rules.timeout, task.rules.recover), (None, Recover::Rerun));
    assert_eq!(task.state, TaskState::Scheduled);
    assert!(task.args.is_null());
}

#[task(
    every = "1h",
    id = "everything",
    name = "says everything",
    store = "default",
    executor = "default",
    coalesce = false,
    max_instances = 3,
    max_catch_up = 7,
    misfire_grace_time = "1m30s",
    overlap = "queue_all",
    queue_limit = 5,
    retries = 2,
    retry_backoff = "3s",
    timeout = "4s",
    recover = "abandon",
    next_run_time = "2026-11-24T01:00:00+01:00",
    jitter = "1500ms",
    args = ("you", 2),
    enabled = true,
    replace_existing = true,
    handler = "mail::everything"
)]
async fn says_everything(Args((_to, _copies)): Args<(String, u32)>) {}

#[tokio::test]
async fn what_is_said_is_kept() {
    let task = added(says_everything::task()).await.unwrap();
    assert_eq!(task.id, "everything");
    assert_eq!((&*task.name, &*task.handler), ("says everything", "mail::everything"));
    assert!(!task.rules.coalesce);
    assert_eq!((task.rules.max_instances, task.rules.max_catch_up), (3, 7));
    assert_eq!(task.rules.misfire_grace_time, Some(Duration::from_secs(90)));
    assert_eq!(task.rules.jitter, Duration::from_millis(1_500));
    assert_eq!((task.rules.overlap, task.rules.queue_limit), (Overlap::QueueAll, 5));
    assert_eq!((task.rules.retries, task.rules.retry_backoff), (2, Duration::from_secs(3)));
    assert_eq!((task.rules.timeout, task.rules.recover), (Some(Duration::from_secs(4)), Recover::Abandon));
    assert_eq!(task.next_run_time, Some("2026-11-24T00:00:00Z".parse().unwrap()));
    assert_eq!(task.args, serde_json::json!(["you", 2]));
}

const INSTANCES: u32 = 2;

fn new_year() -> chrono::DateTime<Utc> {
    "2027-01-01T00:00:00Z".parse().expect("it is a time")
}

#[task(
    every = "1h",
    id = format!("computed-{}", INSTANCES),
    max_instances = INSTANCES,
    coalesce = cfg!(windows) && cfg!(unix),
    misfire_grace_time = Duration::from_secs(5),
    jitter = Duration::from_secs(6),
    overlap = Overlap::CancelOther,
    recover = if INSTANCES == 2 { Recover::Abandon } else { Recover::Rerun },
    next_run_time = new_year()
)]
async fn computes() {}

#[tokio::test]
async fn values_may_be_expressions() {
    let task = added(computes::task()).await.unwrap();
    assert_eq!(task.id, "computed-2");
    assert_eq!(task.rules.max_instances, 2);
    assert!(!task.rules.coalesce);
    assert_eq!(task.rules.misfire_grace_time, Some(Duration::from_secs(5)));
    assert_eq!(task.rules.jitter, Duration::from_secs(6));
    assert_eq!((task.rules.overlap, task.rules.recover), (Overlap::CancelOther, Recover::Abandon));
    assert_eq!(task.next_run_time, Some(new_year()));
}

#[task(every = "1h", next_run_time = none, misfire_grace_time = none)]
async fn waits_to_be_resumed() {}

#[tokio::test]
async fn no_next_run_time_is_a_paused_task() {
    let task = added(waits_to_be_resumed::task()).await.unwrap();
    assert_eq!((task.state, task.next_run_time), (TaskState::Paused, None));
}

#[task(every = "1h", mistrigger_grace_time = "30s")]
async fn comes_from_asyncz() {}

#[tokio::test]
async fn the_grace_time_may_be_spelt_as_in_asyncz() {
    let task = added(comes_from_asyncz::task()).await.unwrap();
    assert_eq!(task.rules.misfire_grace_time, Some(Duration::from_secs(30)));
}

const LINE: u32 = line!() + 1;
#[task(every = "1h", args = "not a number")]
async fn takes_a_number(Args(_number): Args<u32>) {}

#[tokio::test]
async fn wrong_arguments_are_told_when_the_task_is_added() {
    let error = added(takes_a_number::task()).await.unwrap_err().to_string();
    assert!(error.contains("expected u32"), "{error}");
    assert!(error.contains(&format!("tests/it/macros/options.rs:{LINE}")), "{error}");
}

#[tokio::test]
async fn the_builder_goes_on_where_the_attribute_ends() {
    let task = takes_a_number::task().id("later").args(5).unwrap().cron("@daily");
    let task = added(task).await.unwrap();
    assert_eq!((task.args, task.trigger.describe()), (5.into(), "at 00:00 every day, UTC".to_owned()));
}
