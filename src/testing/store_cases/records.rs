//! What is stored comes back as it was.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::run;
use super::tested::{Tested, claim, defined, end, ids, task};
use crate::stores::{Edit, EditOutcome, Query, Then};
use crate::{
    AndTrigger, CalendarIntervalTrigger, CronTrigger, DateTrigger, IntervalTrigger, OrTrigger, Overlap,
    Recover, RunFilter, RunStatus, ShutdownTrigger, Store, TaskId, TaskRecord, Trigger, Zone,
};

fn as_json(task: &TaskRecord) -> serde_json::Value {
    serde_json::to_value(task).expect("a record is JSON")
}

/// Ids that a store may confuse, cut or trip over.
fn strange_ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        "task",
        "Task",
        "TASK",
        "task ",
        " task",
        "täsk",
        "ta\u{308}sk",
        "task/1",
        "task\\1",
        "task'1",
        "task\"1",
        "task`1",
        "'; drop table tasks; --",
        "task%",
        "task_",
        "%",
        "*",
        "?",
        "$1",
        ":id",
        "{id}",
        "\u{1f680}",
        "任務",
        "ß",
        "ss",
        "i",
        "ı",
        "İ",
        "line\nline",
        "tab\t",
        "null",
        "0",
        "00",
        "../task",
        "\u{202e}right to left",
    ]
    .map(str::to_owned)
    .into();
    ids.extend(["x".repeat(1_000), "x".repeat(999), format!("{}y", "x".repeat(999)), "é".repeat(500)]);
    ids
}

/// Ids of any text are kept, and kept apart: other case, spaces, quotes, a thousand characters.
pub fn strange_ids_are_kept_apart<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let (by, now) = (tested.node().await, tested.now().await);
        let strange = strange_ids();
        tested.add(strange.iter().map(|id| task(id, now - TimeDelta::seconds(10)))).await;
        let mut sorted: Vec<_> = strange.iter().map(|id| TaskId::from(id.as_str())).collect();
        sorted.sort();
        assert_eq!(ids(&tested.query(Query::All).await.tasks), sorted, "each is one of its own");
        for (n, id) in strange.iter().enumerate() {
            assert_eq!(tested.run_of(by, id).await.definition.id, id.as_str(), "it is found by its id");
            let runs = tested.runs_of(id).await;
            assert_eq!(runs.len(), 1, "its history is its own: {id:?}");
            assert_eq!(runs[0].task, id.as_str(), "its history names it");
            if n % 2 == 0 {
                tested.delete(id).await;
            }
        }
        for (n, id) in strange.iter().enumerate() {
            assert_eq!(tested.find(id).await.is_some(), n % 2 == 1, "only what is deleted is gone: {id:?}");
        }
    });
}

/// Triggers of all kinds come back as they were.
pub fn triggers_come_back_as_they_were<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let zone: Zone = "Europe/Berlin".parse().expect("a zone");
        let now = DateTime::from_timestamp_millis(1_774_742_399_123).expect("an instant");
        let cron = || CronTrigger::new("*/5 8-17 * * mon-fri").expect("an expression");
        let interval = || IntervalTrigger::every(Duration::from_millis(90_500));
        let triggers: Vec<(&str, Box<dyn Trigger>)> = vec![
            ("cron", cron().into()),
            ("date", DateTrigger::at(now).into()),
            ("interval", interval().into()),
            ("calendar", CalendarIntervalTrigger::builder().months(1).build().expect("an interval").into()),
            (
                "and",
                AndTrigger::new([cron().into(), interval().into()] as [Box<dyn Trigger>; 2])
                    .expect("members")
                    .into(),
            ),
            (
                "or",
                OrTrigger::new([cron().into(), DateTrigger::at(now).into()] as [Box<dyn Trigger>; 2])
                    .expect("members")
                    .into(),
            ),
            ("shutdown", ShutdownTrigger.into()),
        ];
        let tasks: Vec<_> = triggers
            .into_iter()
            .map(|(id, trigger)| {
                let trigger: Arc<dyn Trigger> = trigger.anchored(now, &zone).into();
                defined(task(id, now), |definition| definition.trigger = trigger)
            })
            .collect();
        tested.add(tasks.clone()).await;
        for task in tasks {
            let read = tested.task(task.id().as_str()).await;
            assert_eq!(as_json(&read), as_json(&task), "it comes back as it was");
            let next = |task: &TaskRecord| task.definition.trigger.next_after(now);
            assert_eq!(next(&read), next(&task), "it has the same instants");
        }
    });
}

/// A task comes back with all of its fields as they were, and so after it was replaced.
pub fn tasks_come_back_as_they_were<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let due = tested.now().await + TimeDelta::milliseconds(1);
        let mut other = defined(task("task", due), |definition| {
            definition.name = "täglich \u{1f680} \"um 9\"".into();
            definition.trigger_digest = u64::MAX;
            let args = json!({"who": ["é", null, 9_007_199_254_740_993_u64, -1.5, {"": "\u{0}\n"}], "b": true, "a": 1});
            definition.args = Some(Box::new(args));
            definition.executor = "pool".into();
            definition.release = 20_260_101_000_000;
            let rules = Arc::make_mut(&mut definition.rules);
            rules.coalesce = false;
            rules.max_instances = u32::MAX;
            rules.misfire_grace_time = Some(Duration::from_millis(1));
            rules.max_catch_up = 7;
            rules.jitter = Duration::from_millis(1_500);
            rules.overlap = Overlap::AbortOther;
            rules.queue_limit = 8;
            rules.retries = 9;
            rules.retry_backoff = Duration::from_millis(2_250);
            rules.timeout = Some(Duration::from_secs(86_400 * 365));
            rules.recover = Recover::Abandon;
        });
        other.schedule.generation = 3;
        other.schedule.watermark = Some(due - TimeDelta::hours(1));
        other.schedule.ended = true;
        // As large as the first version of a new task can be.
        other.schedule.version = (1 << 48) - 1;
        tested.add([other.clone()]).await;
        assert_eq!(as_json(&tested.task("task").await), as_json(&other), "it comes back as it was");
        let mut plain = task("task", due);
        plain.schedule.version = other.schedule.version + 1;
        (plain.schedule.paused, plain.schedule.next_run_time) = (true, None);
        assert_eq!(tested.edit(&[Edit::Replace(plain.clone())]).await, [EditOutcome::Done]);
        assert_eq!(as_json(&tested.task("task").await), as_json(&plain), "it is replaced by what it is now");
    });
}

/// Results and errors come back as they were, large ones too.
pub fn results_come_back_as_they_were<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        let values = [
            json!({"b": [1, 2.5, "é\u{1f680}", null, {"": []}], "a": {"nested": {"deep": [[[[]]]]}}}),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(false),
            json!(""),
            json!("quotes ' \" ` \\ and \u{0} and \n"),
            json!("1 MB ".repeat(200_000)),
        ];
        for (n, value) in values.into_iter().enumerate() {
            let id = format!("task-{n}");
            tested.add_due(&id).await;
            let runs = tested.run_of(by, &id).await;
            let mut ended = end(&runs, RunStatus::Succeeded, Then::Over);
            ended.end.value = Some(value);
            tested.finish_one(by, &ended).await;
            let read = tested.run(ended.run).await;
            assert!(read.value == ended.end.value, "value {n} comes back as it was: {}", short(&read.value));
            assert_eq!(read.error, None, "it has no error");
        }
        for (n, error) in ["", "é\u{1f680} ' \" ` \\ \n\t", &"1 MB ".repeat(200_000)].into_iter().enumerate()
        {
            let id = format!("failing-{n}");
            tested.add_due(&id).await;
            let runs = tested.run_of(by, &id).await;
            let mut ended = end(&runs, RunStatus::Failed, Then::Over);
            ended.end.error = Some(error.to_owned());
            tested.finish_one(by, &ended).await;
            let read = tested.run(ended.run).await;
            assert!(read.error == ended.end.error, "error {n} comes back as it was: {}", short(&read.error));
            assert_eq!(read.value, None, "it has no value");
        }
        // Some databases can't keep it, but a handler's error may have it.
        tested.add_due("nul").await;
        let runs = tested.run_of(by, "nul").await;
        let mut ended = end(&runs, RunStatus::Failed, Then::Over);
        ended.end.error = Some("before \u{0} after".to_owned());
        tested.finish_one(by, &ended).await;
        let read = tested.run(ended.run).await;
        assert!(
            read.error.is_some_and(|error| error.starts_with("before")),
            "a NUL in an error does not lose it"
        );
    });
}

/// The beginning of what may be large.
fn short(what: &impl std::fmt::Debug) -> String {
    format!("{what:?}").chars().take(300).collect()
}

/// Times of runs come back to the microsecond, those of schedules to the millisecond.
pub fn times_come_back_as_they_were<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested| {
        let by = tested.node().await;
        let micros = |micros| tested_time() + TimeDelta::microseconds(micros);
        // A due time is an instant of a trigger, which has milliseconds.
        let due = tested_time() + TimeDelta::milliseconds(1);
        tested.add([task("task", due)]).await;
        let mut runs = claim(&tested.task("task").await, &[RunStatus::Claimed], tested.now().await);
        runs.decided_at += TimeDelta::microseconds(7);
        tested.win(by, &runs).await;
        let mut ended = end(&runs, RunStatus::Succeeded, Then::Over);
        (ended.end.started_at, ended.end.finished_at) = (Some(micros(1)), micros(999_999));
        tested.finish_one(by, &ended).await;
        let read = tested.run(ended.run).await;
        assert_eq!(read.occurrence.due, due, "when it was due");
        assert_eq!(read.decided_at, runs.decided_at, "when it was decided");
        assert_eq!((read.started_at, read.finished_at), (Some(micros(1)), Some(micros(999_999))));
        let schedule = tested.task("task").await.schedule;
        assert_eq!(schedule, runs.schedule.with_run_ended(), "the schedule's times");
    });
}

/// A whole second.
fn tested_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_774_742_399, 0).expect("an instant")
}

/// What was written is there after the store was shut down and started again.
pub fn what_is_written_outlives_a_restart<S: Store>(new: impl AsyncFnOnce() -> S) {
    run(new, async |tested: &Tested| {
        let by = tested.node().await;
        let runs = claim(
            &tested.add_due("task").await,
            &[RunStatus::Claimed, RunStatus::Queued],
            tested.now().await,
        );
        tested.win(by, &runs).await;
        tested.add_due("other").await;
        tested.delete("other").await;
        let before = (tested.state("task").await, tested.runs(RunFilter::new()).await);
        tested.store.shutdown().await.expect("it is shut down");
        tested.store.start().await.expect("it is started again");
        let after = (tested.state("task").await, tested.runs(RunFilter::new()).await);
        assert_eq!(after, before, "it is as it was");
        assert!(tested.find("other").await.is_none(), "what was deleted stays so");
        let ended = end(&runs, RunStatus::Succeeded, Then::Over);
        let outcome = tested.finish_one(by, &ended).await;
        assert_eq!((outcome.refused, outcome.makes_room), (false, true), "what went on goes on");
    });
}
