//! What a claim costs as more and more tasks are stored.

use std::time::Instant;

use asyncz::stores::Query;
use asyncz::{Clock, Handlers, Store, SystemClock};

use crate::fires::{HANDLER, Ours};
use crate::{Failure, Place, median};

/// So many of the tasks are due over and over.
const DUE: usize = 1_000;
const BATCH: usize = 200;
const ROUNDS: usize = 200;

pub(crate) async fn print() -> Result<(), Failure> {
    println!();
    println!(
        "{:<12}{:>10}{:>14}{:>14}{:>8}   SQLite, {BATCH} a batch",
        "", "tasks", "find µs", "fire µs", "ratio"
    );
    let mut first = None;
    for tasks in [1_000, 10_000, 100_000, 1_000_000] {
        let (find, fire) = measure(tasks).await?;
        let all = find + fire;
        let ratio = all / *first.get_or_insert(all);
        println!("{:<12}{tasks:>10}{find:>14.1}{fire:>14.1}{ratio:>8.2}   a task", "");
    }
    Ok(())
}

/// Microseconds a task to find what is due, and to claim and end it.
async fn measure(tasks: usize) -> Result<(f64, f64), Failure> {
    let place = Place::of("sqlite")?;
    let mut ours = Ours::new(place.store("flat_"), DUE, tasks / DUE - 1).await?;
    let (mut found, mut fired) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let handlers = Handlers::from_iter([HANDLER]);
        let now = SystemClock.now();
        let due = ours.store.query(Query::Due { now, limit: BATCH, handlers }).await?.tasks;
        found.push(start.elapsed().as_secs_f64());
        if due.len() != BATCH || due[0].id() != ours.fires.first() {
            return Err("what is due is not what was to be".into());
        }
        let start = Instant::now();
        ours.fire(BATCH).await?;
        fired.push(start.elapsed().as_secs_f64());
    }
    let micros = |seconds: Vec<f64>| median(seconds) / BATCH as f64 * 1e6;
    let figures = (micros(found), micros(fired));
    ours.store.shutdown().await?;
    Ok(figures)
}
