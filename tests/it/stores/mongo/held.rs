//! What a process leaves that dies in the middle of a transaction.

use asyncz::mongodb::bson::{DateTime as Date, Document, doc};
use asyncz::mongodb::{Client, ClientSession};
use asyncz::stores::{Beat, Claim, ClaimOutcome, Node};
use asyncz::{Clock, Handlers, NodeId, Store, SystemClock, TaskRecord};
use chrono::{DateTime, TimeDelta, Utc};

use super::{Place, at_noon_in, every_ten_seconds};
use crate::scheduler::seconds;

/// A transaction that has touched a task and stays open, as its process has died.
async fn left_open(place: &Place, client: &Client, id: &str) -> ClientSession {
    let mut session = client.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    let database = client.database(place.database().await.name());
    let tasks = database.collection::<Document>(&place.collection);
    let touch = doc! { "$inc": { "touched": 1_i64 } };
    tasks.update_one(doc! { "_id": id }, touch).session(&mut session).await.unwrap();
    session
}

fn beat(node: u64) -> Beat {
    let node = Node {
        id: NodeId::from(node),
        identity: "test".into(),
        host: "localhost".into(),
        pid: std::process::id(),
        version: "0".into(),
        release: 0,
        started_at: SystemClock.now(),
    };
    let handlers = Handlers::from_iter(["nothing"]);
    Beat { node, lease: seconds(60), now: SystemClock.now(), skew: None, handlers, limit: 100 }
}

/// Decides that a task is not due for an hour.
pub(super) fn claim(task: &TaskRecord, now: DateTime<Utc>) -> Claim {
    let mut schedule = task.schedule;
    schedule.version += 1;
    schedule.next_run_time = Some(now + TimeDelta::hours(1));
    Claim {
        key: task.key,
        definition: task.definition.clone(),
        schedule,
        waiting: Vec::new(),
        decided_at: now,
        decisions: Default::default(),
        taken_from: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_holds_costs_others_nothing_and_is_free_when_it_was_not_heard_of() {
    let place = Place::new();
    let (_clock, config) = at_noon_in(&place);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let ids: Vec<_> = (0..40).map(|n| format!("task-{n:02}")).collect();
    scheduler.add_tasks(ids.iter().map(|id| every_ten_seconds(id))).await.unwrap();
    scheduler.stop().await.unwrap();
    let client = Client::with_uri_str(&place.url).await.unwrap();
    let session = left_open(&place, &client, "task-17").await;
    let store = place.store();
    store.start().await.unwrap();
    let ids: Vec<_> = ids.iter().map(|id| id.as_str().into()).collect();
    let load = async || store.load(&ids).await.unwrap().into_iter().flatten().collect::<Vec<_>>();
    let claims = async || load().await.iter().map(|task| claim(task, SystemClock.now())).collect::<Vec<_>>();

    let outcomes = store.claim(NodeId::from(1), &claims().await).await.unwrap();

    let lost: Vec<_> = (0..40).filter(|n| outcomes[*n] == ClaimOutcome::Lost).collect();
    assert_eq!(lost, [17], "{outcomes:?}");

    // As the dead one was heard of last.
    let dead = doc! { "_id": "dead", "sessions": [session.id().clone()], "until": Date::from_millis(1) };
    place.collection("sessions").await.insert_one(dead).await.unwrap();
    store.renew(&beat(1)).await.unwrap();

    let outcomes = store.claim(NodeId::from(1), &claims().await).await.unwrap();

    assert_eq!(outcomes, [ClaimOutcome::Won { removed: false }; 40]);
    store.shutdown().await.unwrap();
}
