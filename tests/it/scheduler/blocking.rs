//! The scheduler for programs without a runtime, anywhere.

use std::sync::mpsc;

use asyncz::blocking::Scheduler;
use asyncz::{AsynczConfig, Error, EventMask, MemoryStore, RunFilter, State, Task, TaskContext, TaskFilter};

use super::{nothing, seconds};

fn without_registry() -> AsynczConfig {
    AsynczConfig::new().without_registry()
}

fn every_hour(id: &str) -> Task {
    Task::from_fn("nothing", nothing).id(id).every(seconds(3600))
}

/// What every method comes to, wherever it is called.
fn use_it() {
    let scheduler = Scheduler::new(without_registry()).unwrap();
    scheduler.start().unwrap();
    let events = scheduler.events();
    let task = scheduler.add_task(every_hour("t")).unwrap();
    task.pause().unwrap();
    task.resume().unwrap();
    let run = task.run().unwrap();
    scheduler.pause().unwrap();
    assert_eq!(scheduler.state(), State::Paused);
    scheduler.resume().unwrap();

    let export = scheduler.export_tasks().unwrap();
    scheduler.add_store("other", MemoryStore::new()).unwrap();
    assert_eq!(scheduler.in_store("other").import_tasks(export).unwrap(), 1);
    assert_eq!(scheduler.tasks(TaskFilter::new()).unwrap().len(), 2);
    scheduler.remove_store("other").unwrap();
    scheduler.remove_executor("default").unwrap();
    assert_eq!(scheduler.preview(&task, 3).unwrap().len(), 3);
    assert_eq!(scheduler.remove_all_tasks(None).unwrap(), 1);
    assert!(matches!(task.delete(), Err(Error::TaskNotFound { .. })));
    scheduler.stop().unwrap();

    assert_eq!(scheduler.run(run).unwrap().status, asyncz::RunStatus::Succeeded);
    let kinds: Vec<_> = events.map(|event| event.kind).collect();
    assert!(kinds.contains(&EventMask::TASK_EXECUTED), "{kinds:?}");
    assert_eq!(kinds.last(), Some(&EventMask::SCHEDULER_SHUTDOWN));
}

#[test]
fn it_works_without_a_runtime() {
    use_it();
}

#[tokio::test]
async fn it_works_on_a_current_thread_runtime() {
    use_it();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn it_works_on_a_worker_of_a_multi_thread_runtime() {
    tokio::spawn(async { use_it() }).await.unwrap();
}

#[tokio::test]
async fn it_works_however_much_a_task_of_tokio_has_done_already() {
    // A task of tokio may do 128 things before it must give way.
    let scheduler = Scheduler::new(without_registry()).unwrap();
    for _ in 0..1_000 {
        scheduler.start().unwrap();
    }
    drop(scheduler);
}

#[test]
fn it_works_in_handlers_of_its_own() {
    let scheduler = Scheduler::new(without_registry()).unwrap();
    scheduler.start().unwrap();
    let (told, heard) = mpsc::channel();
    let count = {
        let (scheduler, told) = (scheduler.clone(), told.clone());
        move || told.send(scheduler.tasks(TaskFilter::new()).unwrap().len()).unwrap_or_default()
    };
    let count_async = {
        let (scheduler, count) = (scheduler.clone(), count.clone());
        move |ctx: TaskContext| {
            let (scheduler, count) = (scheduler.clone(), count.clone());
            async move {
                assert_eq!(&scheduler.get_task(ctx.task_id()).unwrap().id, ctx.task_id());
                count();
            }
        }
    };
    scheduler.add_task(Task::from_fn("sync", count).id("a").every(seconds(3600))).unwrap().run().unwrap();
    assert_eq!(heard.recv(), Ok(1));
    scheduler
        .add_task(Task::from_fn("async", count_async).id("b").every(seconds(3600)))
        .unwrap()
        .run()
        .unwrap();
    assert_eq!(heard.recv(), Ok(2));
    scheduler.stop().unwrap();
}

#[test]
fn with_the_last_handle_the_scheduler_goes() {
    async fn until_cancelled(ctx: TaskContext) {
        ctx.cancelled().await;
    }
    let scheduler = Scheduler::new(without_registry()).unwrap();
    scheduler.start().unwrap();
    scheduler.start().unwrap();
    let task = Task::from_fn("until_cancelled", until_cancelled).every(seconds(3600));
    let task = scheduler.add_task(task).unwrap();
    task.run().unwrap();
    let handle = scheduler.handle();

    drop(scheduler);
    assert_eq!(handle.state(), State::Running);
    drop(task);
    assert_eq!(handle.state(), State::Stopped);
}

#[test]
fn a_scope_ends_with_its_shutdown() {
    let scheduler = Scheduler::new(without_registry()).unwrap();
    let scope = scheduler.scope().unwrap();
    scheduler.add_task(every_hour("t")).unwrap().run().unwrap();
    scope.shutdown().unwrap();
    assert_eq!((scheduler.state(), scheduler.runs(RunFilter::new()).unwrap().len()), (State::Stopped, 1));
}
