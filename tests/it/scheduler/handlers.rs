//! What handlers take, what they give back, and how they fail.

use asyncz::{
    Args, Error, FromTask, Provide, Rejection, Run, RunFilter, RunRecord, RunStatus, Scheduler, Task,
    TaskContext, TaskUpdate,
};
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::{Notes, after_noon, at_noon, nothing, seconds, started};

#[derive(Serialize, Deserialize)]
struct Email {
    to: String,
    copies: u8,
}

/// Runs a task once and gives its run.
async fn run_once(task: Task) -> RunRecord {
    let (clock, scheduler) = started().await;
    scheduler.add_task(task.id("t")).await.unwrap();
    clock.settle().await;
    scheduler.runs(RunFilter::new().task("t")).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_struct_is_read_from_named_arguments() {
    async fn send(Args(email): Args<Email>) -> Result<String, String> {
        Ok(format!("{} to {}", email.copies, email.to))
    }
    let email = Email { to: "you".into(), copies: 3 };
    let run = run_once(Task::from_fn("send", send).args(email).unwrap()).await;
    assert_eq!(run.value.unwrap(), "3 to you");
}

#[tokio::test]
async fn a_tuple_is_read_from_positional_arguments() {
    async fn send(Args((to, copies)): Args<(String, u8)>) -> Result<String, String> {
        Ok(format!("{copies} to {to}"))
    }
    let run = run_once(Task::from_fn("send", send).args(("you", 3)).unwrap()).await;
    assert_eq!(run.value.unwrap(), "3 to you");
}

#[tokio::test]
async fn an_enum_is_read_from_arguments() {
    #[derive(Debug, Serialize, Deserialize)]
    #[serde(tag = "by", rename_all = "lowercase")]
    enum Way {
        Mail { to: String },
        Post { zip: u32 },
    }
    async fn send(Args(way): Args<Way>) -> Result<String, String> {
        Ok(format!("{way:?}"))
    }
    let run = run_once(Task::from_fn("send", send).args(Way::Post { zip: 12_345 }).unwrap()).await;
    assert_eq!(run.value.unwrap(), "Post { zip: 12345 }");
    let run = run_once(Task::from_fn("send", send).args(Way::Mail { to: "you".into() }).unwrap()).await;
    assert_eq!(run.value.unwrap(), r#"Mail { to: "you" }"#);

    let wrong = serde_json::json!({ "by": "pigeon" });
    let refused = Task::from_fn("send", send).args(wrong).unwrap_err().to_string();
    assert!(refused.contains("unknown variant `pigeon`, expected `mail` or `post`"), "{refused}");
}

#[tokio::test]
async fn what_arguments_leave_out_is_their_types_default() {
    #[derive(Deserialize)]
    struct Letter {
        to: String,
        #[serde(default = "one")]
        copies: u8,
        copy_to: Option<String>,
    }
    fn one() -> u8 {
        1
    }
    async fn send(Args(letter): Args<Letter>) -> Result<String, String> {
        Ok(format!("{} to {} and {:?}", letter.copies, letter.to, letter.copy_to))
    }
    let letter = serde_json::json!({ "to": "you" });
    let run = run_once(Task::from_fn("send", send).args(letter).unwrap()).await;
    assert_eq!(run.value.unwrap(), "1 to you and None");
}

#[tokio::test]
async fn wrong_arguments_of_an_update_are_refused_with_their_place() {
    async fn send(Args(emails): Args<Vec<Email>>) -> Result<usize, String> {
        Ok(emails.len())
    }
    let (_clock, scheduler) = started().await;
    let none: Vec<Email> = Vec::new();
    let task = Task::from_fn("send", send).id("t").args(none).unwrap().every(seconds(10));
    scheduler.add_task(task).await.unwrap();

    let wrong = serde_json::json!([{ "to": "you", "copies": 1 }, { "to": 7, "copies": 1 }]);
    let refused = scheduler.update_task("t", TaskUpdate::new().args(wrong).unwrap()).await.unwrap_err();

    assert!(matches!(refused, Error::InvalidArguments { .. }), "{refused}");
    assert!(refused.to_string().contains("arguments at `[1].to`: "), "{refused}");
    let args = scheduler.get_task("t").await.unwrap().args;
    assert_eq!(args, serde_json::json!([]), "nothing is changed");
}

#[tokio::test]
async fn wrong_arguments_are_refused_with_their_place() {
    async fn send(Args(_): Args<Email>) {}
    let wrong = serde_json::json!({ "to": "you", "copies": 1000 });

    let refused = Task::from_fn("send", send).args(wrong).unwrap_err();

    assert!(matches!(refused, Error::InvalidArguments { .. }));
    assert!(refused.to_string().starts_with("task `send`: arguments at `copies`: "), "{refused}");
}

#[tokio::test]
async fn missing_arguments_are_refused_when_the_task_is_added() {
    async fn send(Args(_): Args<Email>) {}
    let (_clock, scheduler) = started().await;

    let refused = scheduler.add_task(Task::from_fn("send", send).id("t")).await.unwrap_err();

    assert!(matches!(refused, Error::InvalidArguments { .. }), "{refused}");
}

#[tokio::test]
async fn an_optional_argument_is_none_only_where_it_is_absent() {
    async fn send(email: Option<Args<Email>>, state: Option<Provide<u64>>) -> Result<String, String> {
        Ok(format!("{:?} {:?}", email.map(|Args(email)| email.copies), state))
    }
    let run = run_once(Task::from_fn("send", send)).await;
    assert_eq!(run.value.unwrap(), "None None");

    let refused = Task::from_fn("send", send).args(serde_json::json!({ "to": 7 })).unwrap_err();
    assert!(refused.to_string().contains("`to`"), "{refused}");
}

#[tokio::test]
async fn state_and_provided_values_are_found_by_their_types() {
    async fn tell(State(number): State<u64>, Provide(text): Provide<String>) -> Result<String, String> {
        Ok(format!("{number} {text}"))
    }
    let (clock, config) = at_noon();
    let scheduler = config.state(7_u64).provide("seven".to_owned()).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("tell", tell).id("t")).await.unwrap();
    clock.settle().await;

    let run = scheduler.runs(RunFilter::new()).await.unwrap().remove(0);
    assert_eq!(run.value.unwrap(), "7 seven");
}

#[tokio::test]
async fn missing_state_is_told_when_the_task_is_added() {
    async fn tell(State(_): State<Notes>) {}
    let (_clock, scheduler) = started().await;

    let refused = scheduler.add_task(Task::from_fn("tell", tell).id("t")).await.unwrap_err().to_string();

    assert!(refused.contains("task `t`: needs state `it::scheduler::Notes`"), "{refused}");
}

#[tokio::test]
async fn everything_that_is_missing_is_told_in_one_start_error() {
    async fn tell(State(_): State<Notes>, Provide(_): Provide<u16>) {}
    async fn send(Args(_): Args<Email>) {}
    let (_clock, config) = at_noon();
    let config = config
        .timezone("Europe/Berln")
        .task(Task::from_fn("tell", tell).every(seconds(1)))
        .task(Task::from_fn("send", send).id("send").every(seconds(1)))
        .task(Task::from_fn("lost", nothing).id("lost").store("mongo").every(seconds(1)))
        .task(Task::from_fn("slow", nothing).id("slow").executor("gpu").every(seconds(1)))
        .task(Task::from_fn("wrong", nothing).id("wrong").cron("61 * * * *"))
        .task(Task::from_fn("double", nothing).id("double").every(seconds(1)))
        .task(Task::from_fn("double", nothing).id("double").every(seconds(1)));

    let Err(Error::Start { problems }) = config.scheduler().start().await else { panic!("it can't start") };

    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let has = |parts: &[&str]| told.iter().any(|told| parts.iter().all(|part| told.contains(part)));
    assert!(has(&["timezone", "Europe/Berln"]), "{told:#?}");
    assert!(has(&["`tell`", "it::scheduler::Notes"]), "{told:#?}");
    assert!(has(&["`tell`", "u16"]), "{told:#?}");
    assert!(has(&["`send`", "arguments"]), "{told:#?}");
    assert!(has(&["`lost`", "no store `mongo`"]), "{told:#?}");
    assert!(has(&["`slow`", "no executor `gpu`"]), "{told:#?}");
    assert!(has(&["`wrong`", "61"]), "{told:#?}");
    assert!(has(&["`double`", "two tasks"]), "{told:#?}");
    assert_eq!(told.len(), 8, "{told:#?}");
}

#[tokio::test]
async fn an_extractor_of_the_users_own_is_one_like_any_other() {
    struct Shouted(String);
    impl<K> FromTask<K> for Shouted {
        fn from_task(run: &Run) -> Result<Self, Rejection> {
            match run.context().task_name() {
                "quiet" => Err(Rejection::invalid("it is quiet")),
                name => Ok(Self(name.to_uppercase())),
            }
        }
    }
    async fn shout(Shouted(name): Shouted) -> Result<String, String> {
        Ok(name)
    }
    assert_eq!(run_once(Task::from_fn("shout", shout)).await.value.unwrap(), "SHOUT");
    let refused = run_once(Task::from_fn("shout", shout).name("quiet")).await;
    assert_eq!((refused.status, refused.error.as_deref()), (RunStatus::Failed, Some("it is quiet")));
}

#[tokio::test]
async fn a_context_knows_its_run() {
    async fn tell(
        ctx: TaskContext,
        scheduler: Scheduler,
    ) -> Result<(String, String, i64, i64, u32, bool), String> {
        let due = after_noon(ctx.scheduled_at());
        let began = after_noon(ctx.started_at());
        Ok((ctx.task_id().to_string(), ctx.occurrence_id(), due, began, ctx.attempt(), scheduler.running()))
    }
    let (clock, scheduler) = started().await;
    scheduler.add_task(Task::from_fn("tell", tell).id("t").every(seconds(10))).await.unwrap();
    clock.advance(seconds(10)).await;

    let run = scheduler.runs(RunFilter::new()).await.unwrap().remove(0);
    let expected = serde_json::json!(["t", "t/0/2026-11-23T12:00:10.000Z", 10, 10, 1, true]);
    assert_eq!(run.value.unwrap(), expected);
}

#[tokio::test]
async fn eight_arguments_are_possible() {
    type C = TaskContext;
    #[expect(clippy::too_many_arguments, reason = "as many as there may be")]
    async fn many(a: C, _b: C, _c: C, _d: C, _e: C, _f: C, _g: C, h: C) -> Result<bool, String> {
        Ok(a.run_id() == h.run_id())
    }
    assert_eq!(run_once(Task::from_fn("many", many)).await.value.unwrap(), true);
}

#[tokio::test]
async fn a_sync_handler_runs_on_a_thread_that_knows_the_runtime() {
    fn work(Args(n): Args<u64>) -> Result<u64, std::io::Error> {
        tokio::runtime::Handle::try_current().map_err(std::io::Error::other)?;
        Ok(n * 2)
    }
    let run = run_once(Task::from_fn("work", work).args(21).unwrap()).await;
    assert_eq!(run.value.unwrap(), 42);
}

#[tokio::test]
async fn a_handler_can_add_tasks() {
    async fn spread(scheduler: Scheduler) -> Result<(), Error> {
        for n in 0..4 {
            scheduler.add_task(Task::from_fn("nothing", nothing).id(n.to_string())).await?;
        }
        Ok(())
    }
    let (clock, scheduler) = started().await;
    scheduler.add_task(Task::from_fn("spread", spread)).await.unwrap();
    clock.settle().await;

    assert_eq!(scheduler.runs(RunFilter::new().status(RunStatus::Succeeded)).await.unwrap().len(), 5);
}

#[tokio::test]
async fn a_handler_that_sleeps_or_is_cancelled_holds_back_the_test_clock_no_longer_than_its_sleep() {
    async fn select(ctx: TaskContext) -> Result<String, String> {
        tokio::select! {
            () = ctx.cancelled() => Err("cancelled".to_owned()),
            () = ctx.sleep(seconds(70)) => Err("the longer sleep".to_owned()),
            () = ctx.sleep(seconds(5)) => {
                // Awake: the clock stands still until this has ended, however long it takes.
                for _ in 0..1_000 {
                    tokio::task::yield_now().await;
                }
                Ok(ctx.now().to_rfc3339())
            }
        }
    }
    let (clock, scheduler) = started().await;
    scheduler.add_task(Task::from_fn("select", select).id("t")).await.unwrap();
    clock.advance(seconds(60)).await;

    let run = scheduler.runs(RunFilter::new()).await.unwrap().remove(0);
    assert_eq!(run.value.unwrap(), "2026-11-23T12:00:05+00:00");
}

#[tokio::test]
async fn what_two_arguments_lack_is_told_once() {
    async fn tell(_: State<Notes>, _: Provide<Notes>) {}
    let (_clock, config) = at_noon();
    let config = config.task(Task::from_fn("tell", tell).every(seconds(1)));
    let Err(Error::Start { problems }) = config.scheduler().start().await else { panic!("it can't start") };
    assert_eq!(problems.len(), 1, "{problems:#?}");
}

#[tokio::test]
async fn wrong_arguments_are_told_with_their_place_in_the_value() {
    async fn send(Args(_): Args<std::collections::BTreeMap<String, Vec<u8>>>) {}
    let told = |args: serde_json::Value| {
        let refused = Task::from_fn("send", send).args(args).unwrap_err().to_string();
        refused.strip_prefix("task `send`: ").unwrap().to_owned()
    };
    let json = |text: &str| serde_json::from_str(text).unwrap();
    assert_eq!(
        told(json(r#"{"to": [1, 300]}"#)),
        "arguments at `to[1]`: invalid value: integer `300`, expected u8"
    );
    assert_eq!(told(json("[]")), "arguments: invalid type: sequence, expected a map");
    assert_eq!(
        told(json("null")),
        "a value for its arguments (invalid type: null, expected a map) was not given"
    );
}
