//! What the log tells, and where.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock};

use asyncz::testing::{Fault, FaultyStore, StoreCall};
use asyncz::{Args, DebugExecutor, Error, MemoryStore, Scheduler, Task, TaskContext, ThreadPoolExecutor};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::scheduler::{NOON, at_noon, ninety_seconds, nothing, seconds};

/// Everything that is logged in this process. A scheduler's lines come from threads of its own.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Logged>>);

#[derive(Default)]
struct Logged {
    lines: Vec<Line>,
    spans: BTreeMap<u64, String>,
}

#[derive(Clone, Debug)]
struct Line {
    level: Level,
    target: String,
    text: String,
    /// The innermost span in which it was told.
    span: Option<String>,
}

thread_local! {
    static INSIDE: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

impl Log {
    fn of_the_process() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Log::default();
            tracing::subscriber::set_global_default(log.clone()).expect("nobody else has one");
            log
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Logged) -> T) -> T {
        look(&mut self.0.lock().expect("no panic while it is held"))
    }

    /// The lines with this in their texts or their spans.
    fn about(&self, word: &str) -> Vec<Line> {
        let is_about = |line: &&Line| {
            line.text.contains(word) || line.span.as_ref().is_some_and(|span| span.contains(word))
        };
        self.with(|logged| logged.lines.iter().filter(is_about).cloned().collect())
    }

    fn spans(&self, word: &str) -> Vec<String> {
        self.with(|logged| logged.spans.values().filter(|span| span.contains(word)).cloned().collect())
    }
}

/// Fields in words.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}={value:?} "));
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("asyncz.") || metadata.target().starts_with("it::")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text(format!("{} {} ", span.metadata().target(), span.metadata().name()));
        span.record(&mut text);
        self.with(|logged| {
            let id = logged.spans.len() as u64 + 1;
            logged.spans.insert(id, text.0);
            Id::from_u64(id)
        })
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let inside = INSIDE.with_borrow(|inside| inside.last().copied());
        let (level, target) = (*event.metadata().level(), event.metadata().target().to_owned());
        self.with(|logged| {
            let span = inside.and_then(|id| logged.spans.get(&id).cloned());
            logged.lines.push(Line { level, target, text: text.0, span });
        });
    }

    fn enter(&self, id: &Id) {
        INSIDE.with_borrow_mut(|inside| inside.push(id.into_u64()));
    }

    fn exit(&self, _: &Id) {
        INSIDE.with_borrow_mut(|inside| inside.pop());
    }
}

fn told(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| format!("{} {}: {}", line.level, line.target, line.text.trim_end())).collect()
}

/// Whether one of the lines has all of this.
#[track_caller]
fn assert_told(lines: &[Line], parts: &[&str]) {
    let lines = told(lines);
    let found = lines.iter().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(found, "{parts:?} not in {lines:#?}");
}

#[tokio::test]
async fn a_scheduler_s_life_is_told_at_info_under_its_name() {
    let log = Log::of_the_process();
    let (_clock, config) = at_noon();
    let scheduler = config.logger_name("life").scheduler();
    scheduler.start().await.unwrap();
    scheduler.pause().await.unwrap();
    scheduler.resume().await.unwrap();
    scheduler.stop().await.unwrap();

    let info: Vec<_> =
        log.about("scheduler=\"life\"").into_iter().filter(|line| line.level == Level::INFO).collect();

    let line = |word| format!("INFO asyncz.scheduler.life: message=scheduler {word} scheduler=\"life\"");
    assert_eq!(told(&info), ["started", "paused", "resumed", "stopped"].map(line));
}

#[tokio::test]
async fn without_a_name_the_target_has_none() {
    let log = Log::of_the_process();
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).id("nameless").every(seconds(10))).await.unwrap();
    clock.advance(seconds(10)).await;

    let lines = log.about("task=nameless");
    assert!(lines.iter().all(|line| line.target == "asyncz.scheduler"), "{lines:?}");
    assert!(lines.iter().all(|line| !line.text.contains("scheduler=")), "{lines:?}");
}

#[tokio::test]
async fn each_run_is_told_at_debug() {
    let log = Log::of_the_process();
    let (clock, config) = at_noon();
    let scheduler = config.logger_name("debug").scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).id("quiet").every(seconds(10))).await.unwrap();
    clock.advance(seconds(10)).await;

    let lines = log.about("task=quiet");
    assert_told(
        &lines,
        &["DEBUG asyncz.scheduler.debug: message=run submitted", "store=\"default\"", "run="],
    );
    assert_told(
        &lines,
        &["DEBUG asyncz.scheduler.debug: message=run succeeded", "store=\"default\"", "run="],
    );
    assert!(lines.iter().all(|line| line.level == Level::DEBUG), "{lines:?}");
}

#[tokio::test]
async fn what_is_missed_or_skipped_is_told_as_a_warning() {
    let log = Log::of_the_process();
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let late = Task::from_fn("nothing", nothing).id("too-late").every(seconds(10));
    scheduler.add_task(late.misfire_grace_time(seconds(1))).await.unwrap();
    scheduler
        .add_task(Task::from_fn("slow", ninety_seconds).id("too-slow").every(seconds(60)))
        .await
        .unwrap();
    scheduler.pause().await.unwrap();
    clock.advance(seconds(15)).await;
    scheduler.resume().await.unwrap();
    clock.advance(seconds(125)).await;

    assert_told(
        &log.about("task=too-late"),
        &["WARN asyncz.scheduler: message=occurrence missed", "decided 5 s late, misfire_grace_time is 1 s"],
    );
    let skipped = ["WARN asyncz.scheduler: message=occurrence skipped", "max_instances is 1"];
    assert_told(&log.about("task=too-slow"), &skipped);
}

#[derive(Debug, thiserror::Error)]
#[error("mail not sent")]
struct MailError(#[source] std::io::Error);

#[tokio::test]
async fn a_failure_is_told_as_an_error_with_its_sources() {
    async fn send() -> Result<(), MailError> {
        Err(MailError(std::io::Error::other("connection refused")))
    }
    let log = Log::of_the_process();
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let task = Task::from_fn("send", send).id("failing").every(seconds(10)).retries(1);
    scheduler.add_task(task).await.unwrap();
    clock.advance(seconds(15)).await;

    let lines = log.about("task=failing");
    let error = "error=mail not sent: connection refused";
    assert_told(&lines, &["WARN asyncz.scheduler: message=run failed, trying again", error]);
    assert_told(&lines, &["ERROR asyncz.scheduler: message=run failed ", error]);
}

#[tokio::test]
async fn a_store_that_fails_is_told_under_its_alias() {
    let log = Log::of_the_process();
    let store = FaultyStore::in_memory();
    let (clock, config) = at_noon();
    let scheduler = config.store("archive", store.clone()).scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).store("archive").every(seconds(10))).await.unwrap();
    store.inject(Fault::error("the disk is full").on(StoreCall::Claim));
    clock.advance(seconds(10)).await;

    let lines = log.about("store=\"archive\"");
    assert_told(&lines, &["ERROR asyncz.stores.archive: message=store failed, asking again later", "error="]);
    assert_told(&lines, &["DEBUG asyncz.stores.archive: message=store added"]);
}

#[tokio::test]
async fn an_executor_is_told_of_under_its_alias() {
    let log = Log::of_the_process();
    let (_clock, config) = at_noon();
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_executor("crunchers", DebugExecutor::new()).await.unwrap();
    scheduler.remove_executor("crunchers").await.unwrap();

    let lines = told(&log.about("executor=\"crunchers\""));
    let line =
        |word| format!("DEBUG asyncz.executors.crunchers: message=executor {word} executor=\"crunchers\"");
    assert_eq!(lines, ["added", "removed"].map(line));
}

/// Tells a line before it waits for something, and one after.
async fn talks(ctx: TaskContext, Args(word): Args<String>) {
    tracing::info!("{word} begins");
    ctx.sleep(seconds(1)).await;
    tracing::info!("{word} ends");
}

fn talks_blocking(Args(word): Args<String>) {
    tracing::info!("{word} talks");
}

async fn run_late(scheduler: &Scheduler, task: Task) -> Result<(), Error> {
    scheduler.pause().await?;
    scheduler.add_task(task.every(seconds(10))).await?;
    Ok(())
}

#[tokio::test]
async fn a_run_is_a_span_around_its_handlers_lines() {
    let log = Log::of_the_process();
    let (clock, config) = at_noon();
    let scheduler = config.executor("pool", ThreadPoolExecutor::new(2)).scheduler();
    scheduler.start().await.unwrap();
    let task = Task::from_fn("talks", talks).id("talker").args("talker").unwrap();
    run_late(&scheduler, task).await.unwrap();
    let task = Task::from_fn("talks_blocking", talks_blocking).id("blocker").args("blocker").unwrap();
    run_late(&scheduler, task.executor("pool")).await.unwrap();
    clock.advance(seconds(12)).await;
    scheduler.resume().await.unwrap();
    clock.advance(seconds(2)).await;

    let run = scheduler.runs(asyncz::RunFilter::new().task("talker")).await.unwrap()[0].id;
    let due = NOON.replace("00Z", "10.000Z");
    let expected =
        format!("asyncz.executors.default run task=talker run={run} due={due} late_ms=2000 attempt=1 ");
    assert_eq!(log.spans("task=talker"), std::slice::from_ref(&expected));
    let lines: Vec<_> =
        log.about("talker").into_iter().filter(|line| line.target.starts_with("it::")).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, word) in lines.iter().zip(["begins", "ends"]) {
        assert!(line.text.contains(word), "{line:?}");
        assert_eq!(line.span.as_ref(), Some(&expected));
    }
    let blocking = log.about("blocker talks");
    let span = blocking[0].span.as_ref().unwrap();
    assert!(span.starts_with("asyncz.executors.pool run task=blocker"), "{span}");
}

/// Hears one target alone.
struct Only(&'static str, Log);

impl Subscriber for Only {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == self.0
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.1.new_span(span)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.1.event(event);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn lines_are_chosen_by_their_targets() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(Only("asyncz.scheduler.loud", log.clone()));
    for name in ["loud", "louder", "hushed"] {
        let (_clock, config) = at_noon();
        let scheduler = config.logger_name(name).store("other", MemoryStore::new()).scheduler();
        scheduler.start().await.unwrap();
        // On this thread, where somebody hears it.
        scheduler.pause().await.unwrap();
        scheduler.remove_store("other").await.unwrap();
    }
    let told = told(&log.with(|logged| logged.lines.clone()));
    assert_eq!(told, ["INFO asyncz.scheduler.loud: message=scheduler paused scheduler=\"loud\""]);
}
