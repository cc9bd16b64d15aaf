//! What a claim costs as more and more tasks are stored.

use std::time::Instant;

use asyncz::stores::Query;
use asyncz::{Clock, Handlers, Store, SystemClock};

use crate::fires::{HANDLER, Ours};
use crate::{Failure, Place, median};

/// So many of the tasks are due over and over.
const DUE: usize = 1_000;
const BATCHES: [usize; 2] = [200, 1];
const ROUNDS: usize = 200;

pub(crate) async fn print(database: &str) -> Result<(), Failure> {
    println!();
    println!("{:<12}{:>6}{:>10}{:>14}{:>14}{:>8}", "", "batch", "tasks", "find µs", "fire µs", "ratio");
    let mut first = [None; BATCHES.len()];
    for tasks in [1_000, 10_000, 100_000, 1_000_000] {
        let place = Place::of(database)?;
        let store = place.store(&format!("{}flat_", place.prefix));
        let mut ours = Ours::new(store, DUE, tasks / DUE - 1).await?;
        for (batch, first) in BATCHES.into_iter().zip(&mut first) {
            let (find, fire) = measure(&mut ours, batch).await?;
            let all = find + fire;
            let ratio = all / *first.get_or_insert(all);
            println!("{database:<12}{batch:>6}{tasks:>10}{find:>14.1}{fire:>14.1}{ratio:>8.2}   a task");
        }
        ours.store.shutdown().await?;
    }
    Ok(())
}

/// Microseconds a task to find what is due, and to claim and end it.
async fn measure(ours: &mut Ours, batch: usize) -> Result<(f64, f64), Failure> {
    let (mut found, mut fired) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let handlers = Handlers::from_iter([HANDLER]);
        let now = SystemClock.now();
        let due = ours.store.query(Query::Due { now, limit: batch, handlers }).await?.tasks;
        found.push(start.elapsed().as_secs_f64());
        if due.len() != batch || due[0].id() != ours.fires.first() {
            let (first, next) = (due.first().map(|task| task.id()), ours.fires.first());
            return Err(format!("{} are due, the first is {first:?}, and {next} was to be", due.len()).into());
        }
        let start = Instant::now();
        ours.fire(batch).await?;
        fired.push(start.elapsed().as_secs_f64());
    }
    let micros = |seconds: Vec<f64>| median(seconds) / batch as f64 * 1e6;
    Ok((micros(found), micros(fired)))
}
