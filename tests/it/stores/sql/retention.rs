//! Old entries go, in small batches; what is decided stays decided.

use asyncz::{RunFilter, TaskSnapshot};

use super::{Place, at_noon_in, every_ten_seconds, on_each_database};
use crate::scheduler::{after_noon, history, seconds};

on_each_database! {
    entries_older_than_is_said_go
    no_more_entries_of_a_task_are_kept_than_is_said
}

async fn entries_older_than_is_said_go(place: Place) {
    let (clock, config) = at_noon_in(&place);
    let config = config.keep_history_for(seconds(300)).task(every_ten_seconds("t"));
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();

    clock.advance(seconds(900)).await;

    let kept = history(&scheduler, "t").await;
    let (first, last) = (kept.first().unwrap().1, kept.last().unwrap().1);
    // They are looked for once a minute.
    assert!((540..=610).contains(&first) && last == 900, "from {first} to {last}");
    assert_eq!(kept.len() as i64, (last - first) / 10 + 1, "of those that are kept none is missing");
    scheduler.stop().await.unwrap();

    // Whoever comes then decides nothing again.
    let (_, config) = at_noon_in(&place);
    let next = config.task(every_ten_seconds("t").replace_existing(true)).scheduler();
    next.start().await.unwrap();
    let TaskSnapshot { next_run_time, .. } = next.get_task("t").await.unwrap();
    assert_eq!(next_run_time.map(after_noon), Some(910));
    next.stop().await.unwrap();
}

async fn no_more_entries_of_a_task_are_kept_than_is_said(place: Place) {
    let (clock, config) = at_noon_in(&place);
    let config = config.keep_runs_a_task(5).task(every_ten_seconds("t")).task(every_ten_seconds("u"));
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();

    clock.advance(seconds(301)).await;

    for task in ["t", "u"] {
        let kept = scheduler.runs(RunFilter::new().task(task)).await.unwrap();
        // Those of the last minute are not looked at yet.
        assert!((5..=11).contains(&kept.len()), "{} entries of {task}", kept.len());
        assert_eq!(after_noon(kept[0].scheduled_at()), 300);
    }
    scheduler.stop().await.unwrap();
}
