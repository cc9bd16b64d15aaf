//! Events, and the log.

use asyncz::{EventMask, Task};

use super::{check_status, each_hour};
use crate::scheduler::{Notes, seconds, started};

/// `scheduler.add_listener(my_custom_listener, TASK_ADDED | TASK_REMOVED)`
#[tokio::test]
async fn a_listener_hears_of_tasks_that_come_and_go() {
    let (clock, scheduler) = started().await;
    let notes = Notes::default();
    let noted = notes.clone();
    let listener = scheduler.add_listener(EventMask::TASK_ADDED | EventMask::TASK_REMOVED, move |event| {
        match &event.error {
            None => noted.add("all good"),
            Some(error) => noted.add(format!("problem with the task: {error}")),
        }
    });

    let task = scheduler.add_task(check_status::task().trigger(each_hour())).await.unwrap();
    task.pause().await.unwrap();
    task.delete().await.unwrap();
    clock.settle().await;
    assert_eq!(notes.all(), ["all good", "all good"]);

    assert!(scheduler.remove_listener(listener));
    assert!(!scheduler.remove_listener(listener));
}

/// `event.exception`
#[tokio::test]
async fn what_went_wrong_stands_in_the_event() {
    async fn fails() -> Result<(), &'static str> {
        Err("no connection")
    }
    let (clock, scheduler) = started().await;
    let notes = Notes::default();
    let noted = notes.clone();
    scheduler.add_listener(EventMask::TASK_ERROR, move |event| {
        noted.add(format!("{}: {}", event.task_id.as_ref().unwrap(), event.error.as_ref().unwrap()));
    });
    scheduler.add_task(Task::from_fn("fails", fails).id("mail").every(seconds(60))).await.unwrap();
    clock.advance(seconds(60)).await;

    assert_eq!(notes.all(), ["mail: no connection"]);
}
