//! Several stores on one server.

use std::sync::Arc;
use std::time::Duration;

use asyncz::stores::{ChangeListener, Changes, Edit};
use asyncz::{AsynczConfig, Handlers, NodeId, Store};
use tokio::sync::mpsc;

use super::backlog::task;
use super::{Place, at_noon_in, every_ten_seconds, started};
use crate::scheduler::{at_noon, history, seconds};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_schedulers_share_the_runs_of_a_store() {
    let place = Place::server();
    let (clock, config) = at_noon_in(&place);
    let (_, other) = at_noon();
    let other = other.clock(clock.clone()).store("default", place.store());
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
async fn the_clock_is_the_servers_unless_told_otherwise() {
    for place in [Place::server(), Place::cluster()] {
        assert_eq!(place.store().now().await.unwrap(), None);
        let own = place.timed_store();
        let now = own.now().await.unwrap().unwrap();

        let since = std::time::UNIX_EPOCH.elapsed().unwrap();
        let ahead = now.timestamp_millis() - i64::try_from(since.as_millis()).unwrap();
        assert!(ahead.abs() < 10_000, "the server runs on this host, and is {ahead} ms ahead");
        let next = own.next_due(NodeId::from(1), &["none"].into_iter().collect::<Handlers>()).await.unwrap();
        assert!(next.now.is_some_and(|next| next >= now));
    }
}

/// What a listener hears, once it has begun to listen.
async fn ears(store: &Arc<asyncz::RedisStore>) -> mpsc::UnboundedReceiver<()> {
    let (heard, mut hears) = mpsc::unbounded_channel();
    let listener = ChangeListener::new(move || heard.send(()).is_ok());
    assert_eq!(store.changes(listener), Changes::Told);
    while tokio::time::timeout(Duration::from_millis(1_500), hears.recv()).await.is_ok() {}
    hears
}

async fn a_change_is_told_of_within_100_ms(place: Place) {
    let (teller, hearer) = (started(&place).await, Arc::new(started(&place).await));
    let mut hears = ears(&hearer).await;

    let mut in_time = 0;
    for n in 0..10 {
        teller.put(&[Edit::Insert(task(&format!("task-{n}"), 0))]).await.unwrap();
        in_time += usize::from(tokio::time::timeout(Duration::from_millis(100), hears.recv()).await.is_ok());
        while tokio::time::timeout(Duration::from_millis(200), hears.recv()).await.is_ok() {}
    }

    // The machine may be busy with other tests now and then.
    assert!(in_time >= 5, "{in_time} of 10 were told of in time");
    // Where nothing has changed nobody is woken.
    teller.put(&[Edit::Delete("none".into())]).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(300), hears.recv()).await.is_err());
    hearer.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_server_tells_of_a_change_within_100_ms() {
    a_change_is_told_of_within_100_ms(Place::server()).await;
}

#[tokio::test]
async fn a_cluster_tells_of_a_change_within_100_ms() {
    a_change_is_told_of_within_100_ms(Place::cluster()).await;
}

#[tokio::test]
async fn a_store_that_has_made_a_change_itself_is_not_told_of_it() {
    let place = Place::server();
    let store = Arc::new(started(&place).await);
    let mut hears = ears(&store).await;

    store.put(&[Edit::Insert(task("t", 0))]).await.unwrap();

    assert!(tokio::time::timeout(Duration::from_millis(500), hears.recv()).await.is_err());
    store.shutdown().await.unwrap();
}

#[test]
fn who_is_on_no_runtime_asks_each_second() {
    let listener = ChangeListener::new(|| true);
    let store = asyncz::RedisStore::new("redis://localhost");

    assert_eq!(store.changes(listener), Changes::Ask(Duration::from_secs(1)));
}
