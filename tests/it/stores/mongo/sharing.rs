//! Several stores on one database.

use std::sync::Arc;
use std::time::Duration;

use asyncz::stores::{ChangeListener, Changes, Edit};
use asyncz::{AsynczConfig, Handlers, NodeId, Store};
use tokio::sync::mpsc;

use super::{Place, at_noon_in, every_ten_seconds, started};
use crate::scheduler::{at_noon, history, seconds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_schedulers_share_the_runs_of_a_store() {
    let place = Place::new();
    let (clock, config) = at_noon_in(&place);
    let (_, other) = at_noon();
    let other = other.clock(clock.clone()).store("default", place.told());
    let schedulers = [config, other].map(|config| {
        let tasks = ["a", "b", "c"].map(|id| every_ten_seconds(id).replace_existing(true));
        tasks.into_iter().fold(config, AsynczConfig::task).scheduler()
    });
    for scheduler in &schedulers {
        scheduler.start().await.unwrap();
    }

    for _ in 0..6 {
        clock.advance(seconds(10)).await;
    }

    for id in ["a", "b", "c"] {
        let entries = history(&schedulers[0], id).await;
        let due: Vec<_> = entries.iter().map(|(_, due)| *due).collect();
        assert_eq!(due, [10, 20, 30, 40, 50, 60], "{entries:?}");
    }
    for scheduler in schedulers {
        scheduler.stop().await.unwrap();
    }
}

#[tokio::test]
async fn the_clock_is_the_servers() {
    let place = Place::new();
    let (told, own) = (place.told(), place.store());

    assert_eq!(told.now().await.unwrap(), None);
    let now = own.now().await.unwrap().unwrap();

    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    let ahead = now.timestamp_millis() - i64::try_from(since.as_millis()).unwrap();
    assert!(ahead.abs() < 10_000, "the server runs on this host, and is {ahead} ms ahead");
    let next = own.next_due(NodeId::from(1), &["none"].into_iter().collect::<Handlers>()).await.unwrap();
    assert!(next.now.is_some_and(|next| next >= now));
}

/// What a listener hears.
pub(super) fn ears() -> (ChangeListener, mpsc::UnboundedReceiver<()>) {
    let (heard, hears) = mpsc::unbounded_channel();
    (ChangeListener::new(move || heard.send(()).is_ok()), hears)
}

/// A change that is told.
pub(super) async fn change(store: &impl Store) {
    let task = store.load(&["t".into()]).await.unwrap().pop().flatten().expect("the task is there");
    let mut edited = task.clone();
    edited.schedule.version += 1;
    store.put(&[Edit::Replace(edited)]).await.unwrap();
}

/// A task that nobody runs.
pub(super) async fn with_a_task(place: &Place) {
    let (_clock, config) = at_noon_in(place);
    let scheduler = config.scheduler();
    scheduler.start().await.unwrap();
    scheduler.add_task(every_ten_seconds("t")).await.unwrap();
    scheduler.stop().await.unwrap();
}

#[tokio::test]
async fn a_change_is_told_of_within_100_ms() {
    let place = Place::new();
    with_a_task(&place).await;
    let (teller, hearer) = (started(&place).await, Arc::new(started(&place).await));
    let (listener, mut hears) = ears();
    assert_eq!(hearer.changes(listener), Changes::Told);
    // Until it hears for sure, it tells each second.
    while tokio::time::timeout(seconds(3), hears.recv()).await.is_ok() {}

    let mut in_time = 0;
    for _ in 0..10 {
        change(&teller).await;
        in_time += usize::from(tokio::time::timeout(Duration::from_millis(100), hears.recv()).await.is_ok());
        while tokio::time::timeout(Duration::from_millis(300), hears.recv()).await.is_ok() {}
    }

    // The machine may be busy with other tests now and then.
    assert!(in_time >= 5, "{in_time} of 10 were told of in time");
    hearer.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_store_that_has_made_a_change_itself_is_not_told_of_it() {
    let place = Place::new();
    with_a_task(&place).await;
    let store = started(&place).await;
    let (listener, mut hears) = ears();
    store.changes(listener);
    while tokio::time::timeout(seconds(3), hears.recv()).await.is_ok() {}

    change(&store).await;

    assert!(tokio::time::timeout(Duration::from_millis(500), hears.recv()).await.is_err());
    store.shutdown().await.unwrap();
}
