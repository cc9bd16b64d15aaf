//! What the executor promises, one case each, behind the handlers that it takes.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fs, io, thread};

use asyncz::testing::TestClock;
use asyncz::{
    Args, Lifespan, ProcessPoolExecutor, Provide, RunFilter, RunStatus, Scheduler, Shutdown, TaskContext,
    task,
};
use serde_json::{Value, json};

use crate::tested::{Mailer, PidFile, Tested, children, config, error, in_time, kill, no_child_is_left};

macro_rules! cases {
    ($($name:ident)*) => { &[$((stringify!($name), || in_time($name()))),*] };
}

pub(super) const CASES: &[(&str, fn())] = cases![
    a_result_comes_back
    an_error_comes_back_in_words
    a_panic_comes_back_with_its_place
    args_context_and_state_are_right
    a_run_is_tried_again_as_its_task_says
    a_crash_costs_one_run
    a_stuck_fn_is_killed
    a_run_out_of_time_ends
    an_async_handler_is_ended_without_its_process
    a_cancellation_is_heard
    a_run_that_waits_for_its_process_can_be_aborted
    at_most_so_many_processes_are_there_and_they_are_kept
    what_waits_runs_in_order_before_an_orderly_end
    what_waits_is_counted_and_let_go
    the_clock_of_tests_waits_for_processes
    a_worker_needs_no_runtime
    idle_workers_go
    a_killed_idle_worker_costs_nothing
    signals_to_stop_are_left_to_the_scheduler
    a_shutdown_leaves_nothing
    a_parent_that_is_killed_leaves_nothing
    a_missing_hook_is_told
    without_a_hook_no_scheduler_starts
    a_hook_that_is_never_reached_is_told
    a_handler_that_the_worker_lacks_is_told
    state_that_the_worker_lacks_is_told
    no_scheduler_starts_in_a_worker
    a_worker_has_no_tasks
    what_a_handler_starts_is_no_worker
    who_does_not_know_the_token_is_sent_away
];

#[task]
fn add(Args((one, other)): Args<(i64, i64)>) -> Result<i64, String> {
    Ok(one + other)
}

async fn a_result_comes_back() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let run = tested.run(add::task().args((2, 40)).unwrap()).await;
    assert_eq!((run.status, run.value), (RunStatus::Succeeded, Some(42.into())));
    assert!(run.started_at.is_some());
    tested.end().await;
}

#[task]
async fn fails() -> Result<(), io::Error> {
    Err(io::Error::other("no such mailbox"))
}

async fn an_error_comes_back_in_words() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    assert_eq!(error(&tested.run(fails::task()).await), "no such mailbox");
    tested.end().await;
}

#[task]
fn panics() {
    panic!("no such mailbox")
}

async fn a_panic_comes_back_with_its_place() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let before = tested.pid().await;
    let run = tested.run(panics::task()).await;
    assert!(error(&run).starts_with("panicked at tests/processes/cases.rs:"), "{run:?}");
    assert!(error(&run).ends_with(": no such mailbox"), "{run:?}");
    assert_eq!(tested.pid().await, before, "the process goes on");
    tested.end().await;
}

#[task(name = "all that can be asked")]
async fn tells(
    ctx: TaskContext,
    Args(args): Args<Value>,
    Provide(mailer): Provide<Mailer>,
) -> Result<Value, io::Error> {
    let before = ctx.now();
    ctx.sleep(Duration::from_millis(20)).await;
    Ok(json!({
        "task": ctx.task_id(),
        "name": ctx.task_name(),
        "run": ctx.run_id(),
        "occurrence": ctx.occurrence_id(),
        "due": ctx.scheduled_at(),
        "attempt": ctx.attempt(),
        "late": ctx.is_catch_up(),
        "slept": (ctx.now() - before).num_milliseconds() >= 20,
        "args": args,
        "mailer": mailer.0,
        "pid": std::process::id(),
        "stdin": io::stdin().lines().count(),
    }))
}

async fn args_context_and_state_are_right() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let numbers: Vec<_> = (1..500).map(|n| f64::from(n).sqrt() / 7e5).collect();
    let args = json!({"numbers": numbers, "to": [i64::MIN, u64::MAX, null], "text": "two\nlines, \u{1F980}"});
    let run = tested.run(tells::task().id("told").args(&args).unwrap()).await;
    let mut told = run.value.clone().unwrap();
    let pid = told["pid"].take();
    assert!(pid.is_u64() && pid != std::process::id());
    let occurrence =
        format!("told/0/{}", run.scheduled_at().to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    let expected = json!({
        "task": "told", "name": "all that can be asked", "run": run.id, "occurrence": occurrence,
        "due": run.scheduled_at(), "attempt": 1, "late": run.occurrence.is_catch_up, "slept": true, "args": args, "mailer": "smtp", "pid": null,
        "stdin": 0,
    });
    assert_eq!(told, expected);
    tested.end().await;
}

#[task]
fn succeeds_at_last(ctx: TaskContext) -> Result<u32, String> {
    if ctx.attempt() < 3 {
        std::process::abort();
    }
    Ok(ctx.attempt())
}

async fn a_run_is_tried_again_as_its_task_says() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let task = succeeds_at_last::task().id("task").retries(2).retry_backoff(Duration::from_millis(1));
    tested.begin(task).await;
    let run = tested.until("task", |run| run.value.is_some()).await;
    assert_eq!(run.value, Some(3.into()));
    tested.end().await;
}

#[task]
pub(super) fn pid() -> Result<u32, String> {
    Ok(std::process::id())
}

#[task]
fn dies(Args(how): Args<String>) {
    match how.as_str() {
        "abort" => std::process::abort(),
        "exit" => std::process::exit(7),
        _ => kill("KILL", std::process::id().into()),
    }
}

async fn a_crash_costs_one_run() {
    let tested = Tested::start(ProcessPoolExecutor::new(2)).await;
    let beside = tested.begin(hears::task().id("beside")).await;
    tested.running(&beside).await;
    for (how, told) in [("abort", "signal 6"), ("exit", "exit code 7"), ("kill", "signal 9")] {
        let run = tested.run(dies::task().args(how).unwrap()).await;
        assert_eq!(error(&run), format!("the worker process died: {told}"));
        assert_eq!(tested.run(pid::task()).await.status, RunStatus::Succeeded, "the next has a new process");
    }
    let run = tested.running(&beside).await;
    tested.0.cancel_run(run.id).await.unwrap();
    assert_eq!(tested.ended(&beside).await.status, RunStatus::Succeeded, "the other has gone on");
    tested.end().await;
}

/// Says in a file who it is, and never returns.
#[task]
fn never(Args(file): Args<String>) {
    fs::write(file, std::process::id().to_string()).unwrap();
    loop {
        thread::park();
    }
}

async fn a_stuck_fn_is_killed() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let file = PidFile::new();
    let stuck = tested.begin(never::task().id("stuck").args(&file.0).unwrap()).await;
    let pid = file.pid().await;
    assert_eq!(children(), [pid]);
    tested.0.cancel_run(tested.running(&stuck).await.id).await.unwrap();
    let run = tested.ended(&stuck).await;
    assert_eq!(run.status, RunStatus::Cancelled, "{run:?}");
    assert_eq!(run.error.as_deref(), Some("aborted: it went on after it was told to stop"));
    assert!(!children().contains(&pid), "its process is gone, zombie and all");
    assert_ne!(tested.pid().await, pid);
    tested.end().await;
}

async fn a_run_out_of_time_ends() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let file = PidFile::new();
    let task = never::task().args(&file.0).unwrap().timeout(Duration::from_millis(200));
    let run = tested.run(task).await;
    assert_eq!(error(&run), "timed out: it took longer than 200ms");
    assert!(!children().contains(&file.pid().await));
    let before = tested.pid().await;
    let run = tested.run(waits::task().timeout(Duration::from_millis(50))).await;
    assert_eq!(error(&run), "timed out: it took longer than 50ms");
    assert_eq!(tested.pid().await, before, "one that awaits ends without its process");
    tested.end().await;
}

#[task]
async fn waits() {
    std::future::pending().await
}

async fn an_async_handler_is_ended_without_its_process() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let before = tested.pid().await;
    let waits = tested.begin(waits::task().id("waits")).await;
    tested.0.cancel_run(tested.running(&waits).await.id).await.unwrap();
    assert_eq!(tested.ended(&waits).await.status, RunStatus::Cancelled);
    assert_eq!(tested.pid().await, before);
    tested.end().await;
}

#[task]
async fn hears(ctx: TaskContext) -> Result<&'static str, String> {
    ctx.cancelled().await;
    Ok("heard")
}

async fn a_cancellation_is_heard() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let hears = tested.begin(hears::task().id("hears")).await;
    tested.0.cancel_run(tested.running(&hears).await.id).await.unwrap();
    let run = tested.ended(&hears).await;
    assert_eq!((run.status, run.value), (RunStatus::Succeeded, Some("heard".into())));
    tested.end().await;
}

async fn a_run_that_waits_for_its_process_can_be_aborted() {
    let tested = Tested::start(ProcessPoolExecutor::new(1).args(["never ready"])).await;
    let id = tested.begin(pid::task().id("waits")).await;
    let run = tested.until(&id, |_| !children().is_empty()).await;
    tested.0.cancel_run(run.id).await.unwrap();
    let run = tested.ended(&id).await;
    assert_eq!((run.status, run.started_at), (RunStatus::Cancelled, None));
    assert!(children().is_empty());
    tested.end().await;
}

async fn at_most_so_many_processes_are_there_and_they_are_kept() {
    let tested = Tested::start(ProcessPoolExecutor::new(2)).await;
    let mut tasks = Vec::new();
    for _ in 0..20 {
        tasks.push(tested.begin(pid::task()).await);
        assert!(children().len() <= 2);
    }
    let mut pids = Vec::new();
    for task in &tasks {
        pids.push(tested.ended(task).await.value.unwrap());
        assert!(children().len() <= 2);
    }
    pids.sort_by_key(Value::as_u64);
    pids.dedup();
    assert!(pids.len() <= 2, "{pids:?}");
    tested.end().await;
}

async fn what_waits_runs_in_order_before_an_orderly_end() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    for _ in 0..10 {
        tested.begin(pid::task()).await;
    }
    let runs = async || tested.0.runs(RunFilter::new()).await.unwrap();
    while runs().await.len() < 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tested.0.stop().await.unwrap();
    let mut runs = runs().await;
    assert!(runs.iter().all(|run| run.status == RunStatus::Succeeded), "{runs:?}");
    runs.sort_by_key(|run| run.id);
    assert!(runs.is_sorted_by_key(|run| run.started_at), "{runs:?}");
    no_child_is_left().await;
}

async fn the_clock_of_tests_waits_for_processes() {
    let clock = TestClock::at("2026-03-29T00:30:00Z");
    let config = config().clock(clock.clone()).executor("default", ProcessPoolExecutor::new(1));
    let tested = Tested(config.scheduler());
    tested.0.start().await.unwrap();
    tested.begin(pid::task().id("hourly").every(Duration::from_secs(3_600))).await;
    clock.advance(Duration::from_secs(3 * 3_600)).await;
    let runs = tested.0.runs(RunFilter::new()).await.unwrap();
    assert_eq!(runs.iter().filter(|run| run.status == RunStatus::Succeeded).count(), 3, "{runs:?}");
    tested.end().await;
}

async fn a_worker_needs_no_runtime() {
    let tested = Tested::start(ProcessPoolExecutor::new(1).args(["without runtime"])).await;
    let waits = tested.begin(hears::task().id("hears")).await;
    tested.0.cancel_run(tested.running(&waits).await.id).await.unwrap();
    assert_eq!(tested.ended(&waits).await.value, Some("heard".into()));
    tested.end().await;
}

async fn what_waits_is_counted_and_let_go() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let first = tested.begin(waits::task()).await;
    tested.running(&first).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(tested.begin(waits::task()).await);
    }
    let executor = || tested.0.info().executors.remove(0);
    while executor().queued != 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(executor().workers, Some(1));
    tested.0.shutdown(Shutdown::Now).await.unwrap();
    for task in waiting.iter().chain([&first]) {
        assert_eq!(tested.ended(task).await.status, RunStatus::Cancelled);
    }
    no_child_is_left().await;
}

async fn idle_workers_go() {
    let tested = Tested::start(ProcessPoolExecutor::new(1).idle_time(Duration::from_millis(50))).await;
    let before = tested.pid().await;
    no_child_is_left().await;
    assert_ne!(tested.pid().await, before);
    tested.end().await;
}

async fn a_killed_idle_worker_costs_nothing() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let before = tested.pid().await;
    kill("KILL", before);
    no_child_is_left().await;
    assert_ne!(tested.pid().await, before);
    tested.end().await;
}

#[task]
async fn is_told_to_stop(ctx: TaskContext) -> Result<bool, io::Error> {
    kill("TERM", std::process::id().into());
    kill("INT", std::process::id().into());
    ctx.sleep(Duration::from_millis(50)).await;
    Ok(ctx.is_cancelled())
}

async fn signals_to_stop_are_left_to_the_scheduler() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let run = tested.run(is_told_to_stop::task()).await;
    assert_eq!((run.value, run.error), (Some(false.into()), None));
    tested.end().await;
}

async fn a_shutdown_leaves_nothing() {
    let tested = Tested::start(ProcessPoolExecutor::new(3)).await;
    let file = PidFile::new();
    tested.begin(never::task().args(&file.0).unwrap()).await;
    let waits = tested.begin(waits::task()).await;
    tested.pid().await;
    file.pid().await;
    tested.running(&waits).await;
    assert_eq!(children().len(), 3);
    tested.0.shutdown(Shutdown::Now).await.unwrap();
    no_child_is_left().await;
}

/// What a parent does until it is killed: one worker is stuck in a handler, one waits in one, one has nothing to do.
pub(super) async fn be_a_parent() {
    let config = config().executor("default", ProcessPoolExecutor::new(3));
    let scheduler = config.scheduler();
    let _lifespan = Lifespan::start(config).await.unwrap();
    let tested = Tested(scheduler);
    let file = PidFile::new();
    tested.begin(never::task().args(&file.0).unwrap()).await;
    let waits = tested.begin(waits::task()).await;
    tested.pid().await;
    file.pid().await;
    tested.running(&waits).await;
    drop(file);
    println!("{}", children().len());
    std::future::pending().await
}

async fn a_parent_that_is_killed_leaves_nothing() {
    let parent = Command::new(env::current_exe().unwrap()).arg("parent").stdout(Stdio::piped()).spawn();
    let mut parent = parent.unwrap();
    let mut output = BufReader::new(parent.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "3\n", "it has workers");
    parent.kill().unwrap();
    parent.wait().unwrap();
    // The workers hold the other end of the pipe, too: it ends with the last of them.
    let (ended, has_ended) = mpsc::channel();
    thread::spawn(move || _ = ended.send(output.read_to_end(&mut Vec::new())));
    has_ended.recv_timeout(Duration::from_secs(5)).expect("they end").unwrap();
}

async fn a_missing_hook_is_told() {
    let tested = Tested::start(ProcessPoolExecutor::new(1).args(["exits"])).await;
    let run = tested.run(pid::task()).await;
    assert!(error(&run).contains("exit code 3"), "{run:?}");
    assert!(error(&run).contains("if let Some(worker) = asyncz::Worker::from_env()"), "{run:?}");
    assert_eq!(run.started_at, None);
    tested.end().await;
}

async fn without_a_hook_no_scheduler_starts() {
    let tested = Tested::start(ProcessPoolExecutor::new(1).args(["no hook"])).await;
    let run = tested.run(pid::task()).await;
    assert!(error(&run).contains("exit code 4"), "{run:?}");
    tested.end().await;
}

async fn a_hook_that_is_never_reached_is_told() {
    let executor = ProcessPoolExecutor::new(1).args(["never ready"]);
    let tested = Tested::start(executor.start_limit(Duration::from_millis(100))).await;
    let run = tested.run(pid::task()).await;
    assert!(error(&run).contains("within 100ms; `main` must begin with"), "{run:?}");
    assert!(children().is_empty());
    tested.end().await;
}

async fn a_handler_that_the_worker_lacks_is_told() {
    let tested = Tested::start(ProcessPoolExecutor::new(1).args(["strange"])).await;
    let run = tested.run(pid::task()).await;
    let told = "its handler `processes::cases::pid` is not in the configuration that `Worker::run` was given";
    assert_eq!(error(&run), told);
    tested.end().await;
}

async fn state_that_the_worker_lacks_is_told() {
    let tested = Tested::start(ProcessPoolExecutor::new(1).args(["poor"])).await;
    let run = tested.run(tells::task().args(1).unwrap()).await;
    assert!(error(&run).contains("it needs state `processes::tested::Mailer`"), "{run:?}");
    tested.pid().await;
    tested.end().await;
}

#[task]
async fn starts_a_scheduler() -> Result<String, io::Error> {
    let nested = config().executor("default", ProcessPoolExecutor::new(1));
    Ok(nested.scheduler().start().await.unwrap_err().to_string())
}

async fn no_scheduler_starts_in_a_worker() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let run = tested.run(starts_a_scheduler::task()).await;
    let told = run.value.unwrap();
    assert!(told.as_str().unwrap().starts_with("this process is a worker"), "{told}");
    tested.end().await;
}

#[task]
async fn asks(scheduler: Scheduler) -> Result<Vec<String>, io::Error> {
    let errors = [
        scheduler.add_task(pid::task()).await.unwrap_err(),
        scheduler.run_task("asks").await.unwrap_err(),
        scheduler.delete_task("asks").await.unwrap_err(),
        scheduler.tasks(Default::default()).await.unwrap_err(),
    ];
    Ok(errors.map(|error| error.to_string()).to_vec())
}

async fn a_worker_has_no_tasks() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let run = tested.run(asks::task()).await;
    assert_eq!(run.value, Some(vec!["the scheduler is not running"; 4].into()), "{:?}", run.error);
    tested.end().await;
}

#[task]
fn starts_its_like() -> Result<String, io::Error> {
    let output = Command::new(env::current_exe()?).arg("worker?").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

async fn what_a_handler_starts_is_no_worker() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    assert_eq!(tested.run(starts_its_like::task()).await.value, Some("false".into()));
    tested.end().await;
}

/// Starts would-be workers: whether they come to run, and what they say.
#[task]
fn starts_impostors() -> Result<Vec<bool>, io::Error> {
    let invitation = env::var("ASYNCZ_WORKER").map_err(io::Error::other)?;
    let (address, tokens) = invitation.split_once('/').ok_or(io::ErrorKind::InvalidData)?;
    let reversed: String = tokens.chars().rev().collect();
    let wrong = [format!("{address}/{reversed}"), format!("127.0.0.1:1/{tokens}"), "nonsense".to_owned()];
    let run = |invitation| Command::new(env::current_exe()?).env("ASYNCZ_WORKER", invitation).status();
    wrong.into_iter().map(|invitation| Ok(run(invitation)?.success())).collect()
}

async fn who_does_not_know_the_token_is_sent_away() {
    let tested = Tested::start(ProcessPoolExecutor::new(1)).await;
    let run = tested.run(starts_impostors::task()).await;
    assert_eq!(run.value, Some(vec![false; 3].into()), "{:?}", run.error);
    tested.pid().await;
    tested.end().await;
}
