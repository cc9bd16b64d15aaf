//! What the limits schedule: no ids, no triggers, no records.

use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;

use crate::{Job, Mode, fire, fire_due_at, fire_later, now_ns};

pub type Handler = Arc<dyn Fn(u64) -> Running + Send + Sync>;

pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Polls what a handler does; answers whether it waits, or that it has panicked.
pub fn poll(running: &mut Running, context: &mut Context<'_>) -> std::thread::Result<bool> {
    catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context).is_pending()))
}

const SECOND: u64 = 1_000_000_000;

/// A handler, when it is due next, and its period: nanoseconds, 0 for once.
pub struct Entry {
    pub due: u64,
    pub period: u64,
    pub handler: Handler,
}

pub fn entries(job: Job) -> impl Iterator<Item = Entry> {
    let now = now_ns();
    let next_second = (now / SECOND + 1) * SECOND;
    (0..job.tasks).map(move |n| {
        let (due, period) = match job.mode {
            Mode::Herd | Mode::HerdAwait => (next_second, SECOND),
            Mode::Spread => (next_second + job.phase(n).as_nanos() as u64, SECOND),
            Mode::Burst | Mode::BurstAwait => (now, 0),
            Mode::Idle => (now + 86_400 * SECOND, 86_400 * SECOND),
        };
        // A box for each, as any scheduler must have.
        let handler: Handler = match job.mode {
            Mode::HerdAwait | Mode::BurstAwait => Arc::new(|_| Box::pin(fire_later())),
            Mode::Spread => Arc::new(|due| Box::pin(async move { fire_due_at(due) })),
            _ => Arc::new(|_| Box::pin(async { fire() })),
        };
        Entry { due, period, handler }
    })
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.due.cmp(&other.due)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Entry {}
