//! Who is told what, and when.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::mpsc;

use asyncz::testing::TestClock;
use asyncz::{EventMask, Scheduler, Task};

use super::{Notes, after_noon, at_noon, ninety_seconds, nothing, seconds, started};

/// Notes each event: its kind and its task.
fn listen(scheduler: &Scheduler, kinds: EventMask) -> Notes {
    let notes = Notes::default();
    let noted = notes.clone();
    scheduler.add_listener(kinds, move |event| {
        let names: Vec<_> = event.kind.iter_names().map(|(name, _)| name).collect();
        let task = event.task_id.as_ref().map_or("", |id| id.as_str());
        noted.add(format!("{} {task}", names.join("|")).trim_end().to_owned());
    });
    notes
}

async fn at_noon_plus(clock: &TestClock, s: u64) {
    clock.advance(seconds(s)).await;
}

#[test]
fn the_kinds_have_asynczs_values() {
    let asyncz = [
        (EventMask::SCHEDULER_START, 1),
        (EventMask::SCHEDULER_SHUTDOWN, 2),
        (EventMask::SCHEDULER_PAUSED, 4),
        (EventMask::SCHEDULER_RESUMED, 8),
        (EventMask::EXECUTOR_ADDED, 16),
        (EventMask::EXECUTOR_REMOVED, 32),
        (EventMask::STORE_ADDED, 64),
        (EventMask::STORE_REMOVED, 128),
        (EventMask::ALL_TASKS_REMOVED, 256),
        (EventMask::TASK_ADDED, 512),
        (EventMask::TASK_REMOVED, 1024),
        (EventMask::TASK_MODIFIED, 2048),
        (EventMask::TASK_EXECUTED, 4096),
        (EventMask::TASK_ERROR, 8192),
        (EventMask::TASK_MISSED, 16384),
        (EventMask::TASK_SUBMITTED, 32768),
        (EventMask::TASK_MAX_INSTANCES, 65536),
    ];
    for (kind, value) in asyncz {
        assert_eq!(kind.bits(), value, "{kind:?}");
    }
}

#[tokio::test]
async fn a_whole_life_is_told_in_order() {
    let (clock, config) = at_noon();
    let scheduler = config.scheduler();
    let notes = listen(&scheduler, EventMask::all());
    scheduler.start().await.unwrap();
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").every(seconds(10))).await.unwrap();
    at_noon_plus(&clock, 10).await;
    scheduler.pause_task("t").await.unwrap();
    scheduler.delete_task("t").await.unwrap();
    scheduler.pause().await.unwrap();
    scheduler.resume().await.unwrap();
    scheduler.stop().await.unwrap();
    clock.settle().await;

    assert_eq!(
        notes.all(),
        [
            "EXECUTOR_ADDED",
            "STORE_ADDED",
            "SCHEDULER_START",
            "TASK_ADDED t",
            "TASK_SUBMITTED t",
            "TASK_EXECUTED t",
            "TASK_MODIFIED t",
            "TASK_REMOVED t",
            "SCHEDULER_PAUSED",
            "SCHEDULER_RESUMED",
            "SCHEDULER_SHUTDOWN",
        ]
    );
}

#[tokio::test]
async fn the_removal_of_a_task_is_told_after_its_last_run() {
    let (clock, scheduler) = started().await;
    let notes = listen(&scheduler, EventMask::TASK_EXECUTED | EventMask::TASK_REMOVED);
    scheduler.add_task(Task::from_fn("slow", ninety_seconds).id("t")).await.unwrap();

    at_noon_plus(&clock, 60).await;
    assert_eq!(notes.all(), Vec::<String>::new());
    at_noon_plus(&clock, 60).await;
    assert_eq!(notes.all(), ["TASK_EXECUTED t", "TASK_REMOVED t"]);
}

#[tokio::test]
async fn what_did_not_run_is_told_with_its_reason() {
    let (clock, scheduler) = started().await;
    let kinds = EventMask::TASK_MISSED | EventMask::TASK_MAX_INSTANCES | EventMask::TASK_COALESCED;
    let notes = Notes::default();
    let noted = notes.clone();
    scheduler.add_listener(kinds, move |event| {
        let due = event.scheduled_at.map(after_noon).unwrap();
        noted.add(format!("{} {due} {}", event.count, event.error.clone().unwrap()));
    });
    scheduler.add_task(Task::from_fn("slow", ninety_seconds).every(seconds(60))).await.unwrap();
    at_noon_plus(&clock, 120).await;
    let graced = Task::from_fn("nothing", nothing).every(seconds(10)).misfire_grace_time(seconds(1));
    scheduler.add_task(graced).await.unwrap();
    scheduler.pause().await.unwrap();
    at_noon_plus(&clock, 25).await;
    scheduler.resume().await.unwrap();
    clock.settle().await;

    assert_eq!(
        notes.all(),
        [
            "1 120 1 of its runs were going on, max_instances is 1",
            "1 130 a later occurrence was due, too",
            "1 140 decided 5 s late, misfire_grace_time is 1 s",
        ]
    );
}

#[tokio::test]
async fn an_error_is_told_with_its_words_and_a_value_with_itself() {
    async fn fail() -> Result<(), String> {
        Err("no luck".to_owned())
    }
    async fn succeed() -> Result<u8, String> {
        Ok(7)
    }
    let (clock, scheduler) = started().await;
    let notes = Notes::default();
    let noted = notes.clone();
    scheduler.add_listener(EventMask::TASK_ERROR | EventMask::TASK_EXECUTED, move |event| {
        noted.add(format!("{:?} {:?}", event.error, event.value));
    });
    scheduler.add_task(Task::from_fn("fail", fail)).await.unwrap();
    clock.settle().await;
    scheduler.add_task(Task::from_fn("succeed", succeed)).await.unwrap();
    clock.settle().await;

    assert_eq!(notes.all(), ["Some(\"no luck\") None", "None Some(Number(7))"]);
}

#[tokio::test]
async fn a_listener_hears_only_the_kinds_it_wants_and_nothing_once_removed() {
    let (clock, scheduler) = started().await;
    let notes = listen(&scheduler, EventMask::TASK_ADDED);
    let other = scheduler.add_listener(EventMask::all(), |_| {});
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").every(seconds(1))).await.unwrap();
    at_noon_plus(&clock, 3).await;

    assert_eq!(notes.all(), ["TASK_ADDED t"]);
    assert!(scheduler.remove_listener(other));
    assert!(!scheduler.remove_listener(other));
}

#[tokio::test]
async fn a_listener_that_panics_hears_the_next_event() {
    let (clock, scheduler) = started().await;
    let notes = Notes::default();
    let noted = notes.clone();
    scheduler.add_listener(EventMask::TASK_EXECUTED, move |event| {
        noted.add(event.task_id.as_ref().unwrap().as_str());
        panic!("a listener that panics");
    });
    scheduler.add_task(Task::from_fn("nothing", nothing).id("one")).await.unwrap();
    clock.settle().await;
    scheduler.add_task(Task::from_fn("nothing", nothing).id("two")).await.unwrap();
    clock.settle().await;

    assert_eq!(notes.all(), ["one", "two"]);
}

#[tokio::test]
async fn a_listener_that_lags_delays_nobody_and_is_told_what_it_missed() {
    // On the system's clock: that of tests would wait for the listener.
    let scheduler = asyncz::AsynczConfig::new().without_registry().scheduler();
    scheduler.start().await.unwrap();
    let (release, released) = mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let (tell, told) = mpsc::channel();
    scheduler.add_listener(EventMask::TASK_ADDED, move |event| {
        let _ = released.lock().unwrap().recv();
        tell.send((event.kind, event.count)).unwrap();
    });
    for n in 0..1_500 {
        let task = Task::from_fn("nothing", nothing).id(n.to_string()).every(seconds(3600));
        scheduler.add_task(task).await.unwrap();
    }
    drop(release);
    // It holds one event and 1,024 wait: the others are lost, which it learns before the next.
    let first: Vec<_> = told.iter().take(1_025).collect();
    assert!(first.iter().all(|event| *event == (EventMask::TASK_ADDED, 1)));
    scheduler.add_task(Task::from_fn("nothing", nothing).id("last").every(seconds(3600))).await.unwrap();
    assert_eq!(told.recv().unwrap(), (EventMask::EVENTS_LOST, 475));
    assert_eq!(told.recv().unwrap(), (EventMask::TASK_ADDED, 1));
    scheduler.stop().await.unwrap();
}

#[tokio::test]
async fn the_event_stream_ends_with_the_scheduler() {
    let (clock, scheduler) = started().await;
    let mut events = pin!(scheduler.events());
    scheduler.add_task(Task::from_fn("nothing", nothing).id("t").every(seconds(60))).await.unwrap();
    clock.settle().await;
    scheduler.stop().await.unwrap();

    let mut kinds = Vec::new();
    while let Some(event) = poll_fn(|context| futures_core::Stream::poll_next(events.as_mut(), context)).await
    {
        kinds.push(event.kind);
    }
    assert_eq!(kinds, [EventMask::TASK_ADDED, EventMask::SCHEDULER_SHUTDOWN]);
}
