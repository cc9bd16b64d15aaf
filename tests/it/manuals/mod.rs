//! The manual pages of Asyncz's schedulers and of Esmerald's `SchedulerConfig`, example by example.
//!
//! `docs/guide/from-asyncz.md` has a row for each thing that these pages name, and a test for each row.

mod adding;
mod changing;
mod configuring;
mod custom;
mod declaring;
mod deleting;
mod living;
mod pausing;
mod plugging;
mod table;
mod telling;

use asyncz::{CronTrigger, RunStatus, Scheduler, TaskState, task};

use crate::scheduler::history;

/// The three functions of the manual's examples.
#[task]
async fn send_email_newsletter() {}

#[task]
async fn collect_www_info() {}

#[task]
async fn check_status() {}

/// `CronTrigger(day_of_week="mon,wed,fri", hour="8", minute="1", second="5")`
fn newsletter_time() -> CronTrigger {
    CronTrigger::fields().day_of_week("mon,wed,fri").hour("8").minute("1").second("5").build().unwrap()
}

/// `CronTrigger(hour="0-23", minute="1")`
fn each_hour() -> CronTrigger {
    CronTrigger::fields().hour("0-23").minute("1").build().unwrap()
}

/// Most examples have these two tasks: by the id `send_newsletter`, and by the handle that is returned.
async fn add_both(scheduler: &Scheduler) -> asyncz::TaskHandle {
    let newsletter = send_email_newsletter::task().id("send_newsletter").trigger(newsletter_time());
    scheduler.add_task(newsletter).await.unwrap();
    scheduler.add_task(check_status::task().id("status").trigger(each_hour())).await.unwrap()
}

async fn state(scheduler: &Scheduler, id: &str) -> TaskState {
    scheduler.get_task(id).await.unwrap().state
}

/// How often a task has run well.
async fn runs(scheduler: &Scheduler, id: &str) -> usize {
    let history = history(scheduler, id).await;
    history.iter().filter(|(status, _)| *status == RunStatus::Succeeded).count()
}
