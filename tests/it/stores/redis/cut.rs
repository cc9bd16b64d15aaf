//! Servers that go away and come back, or have forgotten what they were told.

use std::sync::Arc;
use std::time::Duration;

use asyncz::stores::{ChangeListener, Edit};
use asyncz::{RunStatus, Store, redis};
use tokio::sync::mpsc;

use super::between::Between;
use super::{Place, every_ten_seconds, started, with_a_history};
use crate::scheduler::{at_noon, history, seconds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_redis_is_away() {
    let place = Place::server();
    let between = Between::new(&place).await;
    let (clock, config) = at_noon();
    let config = config.store_retry_interval(seconds(5)).store("default", between.store(&place));
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t").coalesce(false)).await.unwrap();
    clock.advance(seconds(15)).await;

    between.cut();
    clock.advance(seconds(20)).await;
    between.mend();
    clock.advance(seconds(20)).await;

    let entries = history(&scheduler, "t").await;
    let due: Vec<_> = entries.iter().map(|(_, due)| *due).collect();
    assert_eq!(due, [10, 20, 30, 40, 50], "{entries:?}");
    // One of them may have been claimed just when the connection was cut.
    let succeeded = entries.iter().filter(|(status, _)| *status == RunStatus::Succeeded).count();
    assert!(succeeded >= 2, "{entries:?}");
    scheduler.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_is_listened_to_again_after_it_was_away() {
    let place = Place::server();
    let between = Between::new(&place).await;
    let teller = started(&place).await;
    let hearer = Arc::new(between.store(&place));
    hearer.start().await.unwrap();
    let (heard, mut hears) = mpsc::unbounded_channel();
    hearer.changes(ChangeListener::new(move || heard.send(()).is_ok()));
    while tokio::time::timeout(Duration::from_millis(1_500), hears.recv()).await.is_ok() {}

    between.cut();
    // It is told each second while nothing can be heard.
    for _ in 0..2 {
        tokio::time::timeout(Duration::from_secs(5), hears.recv()).await.unwrap().unwrap();
    }
    between.mend();
    while tokio::time::timeout(Duration::from_millis(1_500), hears.recv()).await.is_ok() {}

    let task = crate::stores::redis::backlog::task("heard", 0);
    teller.put(&[Edit::Insert(task)]).await.unwrap();
    tokio::time::timeout(Duration::from_secs(1), hears.recv()).await.unwrap().unwrap();
    hearer.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_is_asked_again_where_its_connection_was_lost() {
    let place = Place::server();
    let between = Between::new(&place).await;
    let store = between.store(&place);
    store.start().await.unwrap();

    between.cut();
    assert!(store.count().await.is_err(), "nobody answers");
    between.mend();
    store.count().await.unwrap();
    between.cut();
    // As when the server was started again meanwhile: the connection is gone, and another can be had.
    between.mend();

    store.count().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_has_forgotten_the_scripts_is_told_them_again() {
    let place = Place::server();
    let (clock, scheduler) = with_a_history(&place).await;

    place.ask::<()>(redis::cmd("SCRIPT").arg("FLUSH")).await;
    clock.advance(seconds(10)).await;

    assert_eq!(history(&scheduler, "t").await.len(), 3);
    scheduler.stop().await.unwrap();
}
