//! Records that can't be read.

use asyncz::mongodb::bson::{Document, doc};
use asyncz::stores::Query;
use asyncz::{RunStatus, Store};

use super::{Place, at_noon_in, every_ten_seconds, started};
use crate::scheduler::{history, ninety_seconds, seconds};

/// What somebody has done to a task: of a newer program, of a trigger that nobody knows, of no program, of another task, of
/// another form.
fn foreign() -> Vec<(Document, &'static str)> {
    vec![
        (doc! { "envelope": r#"{"v":2,"id":"broken"}"# }, "a newer program wrote it"),
        (doc! { "envelope": r#"{"v":1,"id":"broken","handler":"nothing"}"# }, "missing field"),
        (doc! { "envelope": "no JSON" }, "no envelope"),
        (doc! { "envelope": 7 }, "invalid type"),
        (doc! { "schedule.version": "seven" }, "invalid type"),
        (doc! { "schedule": "none" }, "invalid type"),
        (doc! { "waiting": "[" }, "what waits"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_cant_be_read_stops_nobody_is_told_of_once_and_kept() {
    let place = Place::new();
    for (change, why) in foreign() {
        let (clock, config) = at_noon_in(&place);
        let scheduler = config.scheduler();
        scheduler.start().await.unwrap();
        for id in ["broken", "whole"] {
            scheduler.add_task(every_ten_seconds(id).replace_existing(true)).await.unwrap();
        }
        scheduler.stop().await.unwrap();
        let tasks = place.collection("tasks").await;
        let broken = || doc! { "_id": "broken" };
        let update = doc! { "$set": change, "$inc": { "edited": 1_i64 } };
        tasks.update_one(broken(), update).await.unwrap();
        let store = started(&place).await;

        let found = store.query(Query::All).await.unwrap();

        assert_eq!(found.tasks.len(), 1);
        assert_eq!(found.unreadable.len(), 1);
        assert_eq!(found.unreadable[0].id, "broken");
        assert!(found.unreadable[0].reason.contains(why), "{}", found.unreadable[0].reason);
        assert!(store.query(Query::All).await.unwrap().unreadable.is_empty());

        let (_, config) = at_noon_in(&place);
        let scheduler = config.clock(clock.clone()).scheduler();
        scheduler.start().await.unwrap();
        scheduler.add_task(every_ten_seconds("whole").replace_existing(true)).await.unwrap();
        let before = history(&scheduler, "whole").await.len();
        clock.advance(seconds(10)).await;
        assert_eq!(history(&scheduler, "whole").await.len(), before + 1);
        scheduler.stop().await.unwrap();
        assert_eq!(tasks.count_documents(broken()).await.unwrap(), 1);
        for what in ["tasks", "runs"] {
            place.collection(what).await.delete_many(doc! {}).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_record_that_was_mended_is_read_again() {
    let place = Place::new();
    let (_clock, config) = at_noon_in(&place);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    scheduler.stop().await.unwrap();
    let tasks = place.collection("tasks").await;
    let envelope = async |change: Document| {
        let next = doc! { "$set": { "envelope": change, "edited": { "$add": ["$edited", 1_i64] } } };
        tasks.update_one(doc! {}, vec![next]).await.unwrap();
    };
    envelope(doc! { "$concat": ["-", "$envelope"] }).await;
    let store = started(&place).await;
    assert_eq!(store.query(Query::All).await.unwrap().unreadable.len(), 1);

    envelope(doc! { "$substrCP": ["$envelope", 1, { "$strLenCP": "$envelope" }] }).await;

    assert_eq!(store.query(Query::All).await.unwrap().tasks.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_a_record_that_cant_be_read_any_more_ends_and_gives_up_its_place() {
    let place = Place::new();
    let (clock, config) = at_noon_in(&place);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    let task = asyncz::Task::from_fn("ninety seconds", ninety_seconds).id("t").every(seconds(1_000));
    scheduler.add_task(task).await.unwrap();
    clock.advance(seconds(1_000)).await;
    let tasks = place.collection("tasks").await;
    let running = async || tasks.find_one(doc! { "schedule.running": 1_i64 }).await.unwrap().is_some();
    assert!(running().await);
    tasks.update_one(doc! {}, doc! { "$set": { "waiting": "[" } }).await.unwrap();

    clock.advance(seconds(100)).await;

    assert_eq!(history(&scheduler, "t").await, [(RunStatus::Succeeded, 1_000)]);
    assert!(!running().await);
    scheduler.stop().await.unwrap();
}
