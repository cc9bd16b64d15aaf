//! Names that a script may trip over.

use asyncz::stores::{Edit, EditOutcome, Query};
use asyncz::{RunFilter, RunStatus, Store};

use super::{Place, at_noon_in, started};
use crate::scheduler::{history, nothing, seconds};

const STRANGE: [&str; 12] = [
    "",
    " ",
    "-",
    "{",
    "}{",
    "{other}",
    "nul\0nul",
    "line\nline",
    "1 2 3",
    "\u{1f680} \u{202e}\"'\\%s%d$1[[",
    "'; redis.call('FLUSHALL') --",
    "*?[a-z]",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_strange_ids_and_handlers_run_and_are_pruned() {
    for place in [Place::server(), Place::cluster()] {
        let (clock, config) = at_noon_in(&place);
        let config = STRANGE.iter().fold(config.keep_runs_a_task(1), |config, id| {
            let overlapping = asyncz::Task::from_fn(format!("handler {id}"), nothing).id(*id);
            config.task(overlapping.every(seconds(10)).replace_existing(true))
        });
        let scheduler = config.scheduler();
        scheduler.start().await.unwrap();

        clock.advance(seconds(120)).await;

        for id in STRANGE {
            let entries = history(&scheduler, id).await;
            assert_eq!(entries.last(), Some(&(RunStatus::Succeeded, 120)), "{id:?}: {entries:?}");
            // They are pruned each minute.
            assert!(entries.len() <= 7, "{id:?}: {entries:?}");
        }
        scheduler.stop().await.unwrap();
        let store = started(&place).await;
        for id in STRANGE {
            assert_eq!(store.put(&[Edit::Delete(id.into())]).await.unwrap(), [EditOutcome::Done], "{id:?}");
        }
        assert!(store.query(Query::All).await.unwrap().tasks.is_empty());
        assert!(store.runs(&RunFilter::new()).await.unwrap().len() >= STRANGE.len());
    }
}
