//! More tasks than a store remembers.

use std::sync::Arc;

use asyncz::stores::Edit;
use asyncz::{Store, StoreKey, TaskDefinition, TaskId, TaskRecord};

use super::{Place, started, with_a_history};

/// More than 100,000.
const MANY: usize = 100_100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_of_many_tasks_is_lost_among_those_that_are_remembered() {
    let place = Place::sqlite();
    let (_clock, scheduler) = with_a_history(&place).await;
    scheduler.stop().await.unwrap();
    let store = started(&place).await;
    let known = store.load(&["t".into()]).await.unwrap().pop().flatten().unwrap();
    let ids: Vec<TaskId> = (0..MANY).map(|number| format!("{number}").into()).collect();
    for part in ids.chunks(10_000) {
        let edits: Vec<_> = part.iter().map(|id| Edit::Insert(renamed(&known, id))).collect();
        store.put(&edits).await.unwrap();
    }

    let found = store.load(&ids).await.unwrap();

    assert_eq!(found.iter().flatten().count(), MANY);
}

fn renamed(task: &TaskRecord, id: &TaskId) -> TaskRecord {
    let definition = Arc::new(TaskDefinition { id: id.clone(), ..(*task.definition).clone() });
    TaskRecord { definition, key: StoreKey::default(), ..task.clone() }
}
