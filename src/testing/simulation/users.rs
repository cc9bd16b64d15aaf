//! What users do: they add tasks of all kinds, change them, and take them away.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::check::DECLARED;
use super::random::Random;
use super::trace::OfDay;
use crate::scheduler::{Scheduler, TaskUpdate};
use crate::task::{BoxFuture, Handler, Overlap, Provided, RunId, Task};
use crate::triggers::{DateTrigger, IntervalTrigger, OrTrigger, Trigger};

/// What a user wants of a scheduler, in words, and what comes of it.
pub(super) struct Wish {
    pub(super) says: String,
    pub(super) done: BoxFuture<Result<(), crate::Error>>,
}

const IDS: [&str; 4] = ["a", "b", "c", "d"];
/// Tasks that each scheduler declares when it starts.
const DECLARED_IDS: [&str; 2] = ["x", "y"];

async fn simulated() {}

/// What all tasks call.
pub(super) fn handler() -> Handler {
    Handler::new::<Provided, _, _>("simulated", simulated)
}

/// Which task is meant. Often that of the last wish, so that wishes meet.
fn choose(random: &mut Random, last: &mut &'static str) -> &'static str {
    *last = match random.below(8) {
        0..4 => *last,
        4 => random.choose(&DECLARED_IDS),
        _ => random.choose(&IDS),
    };
    last
}

/// The first task that anybody means.
pub(super) const FIRST: &str = IDS[0];

/// What a scheduler declares when it starts.
pub(super) fn declare(scheduler: &Scheduler, random: &mut Random) -> Vec<Wish> {
    let declare = |id| {
        // Now and then there is a new version of the program.
        let period = if random.once_in(10) { random.seconds(30, 300) } else { Duration::from_secs(120) };
        let task = Task::from_fn("simulated", simulated).id(id).name(DECLARED).every(period);
        add(scheduler, task.replace_existing(true), format!("declare {id}"))
    };
    DECLARED_IDS.map(declare).into()
}

/// A task that was not there yet.
pub(super) fn add_one(
    scheduler: &Scheduler,
    random: &mut Random,
    now: DateTime<Utc>,
    last: &mut &'static str,
) -> Wish {
    let id = choose(random, last);
    let (trigger, says) = trigger(random, now);
    let says = format!("add {id} {says}");
    let task = Task::from_fn("simulated", simulated).id(id).name(format!("{id} {}", random.next()));
    add(scheduler, with_options(task.trigger(trigger), random), says)
}

fn add(scheduler: &Scheduler, task: Task, says: String) -> Wish {
    let scheduler = scheduler.clone();
    Wish { says, done: Box::pin(async move { scheduler.add_task(task).await.map(drop) }) }
}

/// Any wish of any user.
pub(super) fn wish(
    scheduler: &Scheduler,
    random: &mut Random,
    now: DateTime<Utc>,
    running: Option<RunId>,
    last: &mut &'static str,
) -> Wish {
    if random.once_in(4) {
        return add_one(scheduler, random, now, last);
    }
    let id = choose(random, last);
    let scheduler = scheduler.clone();
    match (random.below(12), running) {
        (0..2, _) => Wish {
            says: format!("delete {id}"),
            done: Box::pin(async move { scheduler.delete_task(id).await }),
        },
        (2..4, _) => Wish {
            says: format!("pause {id}"),
            done: Box::pin(async move { scheduler.pause_task(id).await }),
        },
        (4..7, _) => Wish {
            says: format!("resume {id}"),
            done: Box::pin(async move { scheduler.resume_task(id).await }),
        },
        (7, _) => {
            let (trigger, says) = trigger(random, now);
            Wish {
                says: format!("reschedule {id} {says}"),
                done: Box::pin(async move { scheduler.reschedule_task(id, trigger).await }),
            }
        }
        (8..10, _) => {
            let (update, says) = update(random, now);
            Wish {
                says: format!("update {id} {says}"),
                done: Box::pin(async move { scheduler.update_task(id, update).await }),
            }
        }
        (10, Some(run)) => Wish {
            says: format!("cancel {run}"),
            done: Box::pin(async move { scheduler.cancel_run(run).await }),
        },
        _ => Wish {
            says: format!("run {id}"),
            done: Box::pin(async move { scheduler.run_task(id).await.map(drop) }),
        },
    }
}

fn trigger(random: &mut Random, now: DateTime<Utc>) -> (Box<dyn Trigger>, String) {
    let soon = |random: &mut Random| now + random.millis(600_000) - TimeDelta::minutes(1);
    match random.below(10) {
        0 | 1 => {
            let at = soon(random);
            (Box::new(DateTrigger::at(at)), format!("at {}", OfDay(at)))
        }
        2 => {
            let dates: Vec<Box<dyn Trigger>> =
                (0..3).map(|_| Box::new(DateTrigger::at(soon(random))) as _).collect();
            match OrTrigger::new(dates) {
                Ok(dates) => (Box::new(dates), "at three times".to_owned()),
                Err(_) => (Box::new(DateTrigger::now()), "now".to_owned()),
            }
        }
        3 => {
            let period = random.seconds(20, 200);
            let interval = IntervalTrigger::every(period).end_at(now + random.millis(1_000_000));
            (Box::new(interval), format!("every {period:?} for a while"))
        }
        _ => {
            let period = if random.once_in(8) { random.seconds(1, 20) } else { random.seconds(60, 600) };
            (Box::new(IntervalTrigger::every(period)), format!("every {period:?}"))
        }
    }
}

fn with_options(mut task: Task, random: &mut Random) -> Task {
    if random.once_in(2) {
        task = task.coalesce(false).max_catch_up(1 + random.below(10) as u32);
    }
    if random.once_in(2) {
        task = task.max_instances(1 + random.below(3) as u32);
    }
    if random.once_in(3) {
        task = task.misfire_grace_time(random.seconds(1, 60));
    }
    if random.once_in(3) {
        task = task.retries(1 + random.below(2) as u32).retry_backoff(random.seconds(0, 20));
    }
    if random.once_in(4) {
        task = task.jitter(random.seconds(1, 20));
    }
    match random.below(8) {
        0 => task.overlap(Overlap::Queue),
        1 => task.overlap(Overlap::QueueAll).queue_limit(1 + random.below(3) as u32),
        2 => task.overlap(Overlap::CancelOther),
        3 => task.overlap(Overlap::AbortOther),
        4 => task.overlap(Overlap::Allow),
        _ => task,
    }
}

fn update(random: &mut Random, now: DateTime<Utc>) -> (TaskUpdate, String) {
    let update = TaskUpdate::new();
    match random.below(5) {
        0 => (update.max_instances(1 + random.below(3) as u32), "max_instances".to_owned()),
        1 => (update.misfire_grace_time(random.seconds(1, 60)), "misfire_grace_time".to_owned()),
        2 => (
            update.overlap(random.choose(&[Overlap::Skip, Overlap::Queue, Overlap::Allow])),
            "overlap".to_owned(),
        ),
        3 => (update.next_run_time(None), "paused".to_owned()),
        _ => {
            let at = now + random.either_way(120);
            (update.next_run_time(at), format!("next at {}", OfDay(at)))
        }
    }
}
