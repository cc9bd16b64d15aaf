//! What is heard of changes when the runtime that listened is gone.

use std::time::Duration;

use asyncz::stores::{Beat, ChangeListener, Changes, Node};
use asyncz::{AsynczConfig, Clock, Handlers, NodeId, Store, SystemClock, Task};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::scheduler::{nothing, seconds};

fn beat() -> Beat {
    let node = Node {
        id: NodeId::from(7),
        identity: "hearing".into(),
        host: "localhost".into(),
        pid: 1,
        version: "0".into(),
        release: 0,
        started_at: SystemClock.now(),
    };
    Beat {
        node,
        lease: seconds(60),
        now: SystemClock.now(),
        skew: None,
        handlers: Handlers::default(),
        limit: 1,
    }
}

/// Two stores of one place: what one changes the other hears, whose first runtime is gone.
fn is_heard_on_another_runtime<S: Store>(hearer: &S, teller: S) {
    let (heard, mut hears) = mpsc::unbounded_channel();
    let listener = ChangeListener::new(move || heard.send(()).is_ok());
    let first = Runtime::new().unwrap();
    first.block_on(async {
        hearer.start().await.unwrap();
        assert_eq!(hearer.changes(listener), Changes::Told);
        hears.recv().await.unwrap();
    });
    drop(first);

    Runtime::new().unwrap().block_on(async {
        // A connection of the first runtime is of no use here; then another is opened.
        drop(timeout(seconds(5), hearer.renew(&beat())).await);
        let listens = timeout(seconds(2), hears.recv()).await;
        assert!(listens.is_ok(), "who begins to listen is told, as something may have changed before");
        // Until it hears for sure, it is told each second.
        while timeout(Duration::from_millis(1_500), hears.recv()).await.is_ok() {}
        let config = AsynczConfig::new().without_registry().store("default", teller);
        let scheduler = config.task(Task::from_fn("nothing", nothing).id("t").every(seconds(60))).scheduler();
        scheduler.start().await.unwrap();
        assert!(timeout(seconds(2), hears.recv()).await.is_ok(), "it hears");
        scheduler.stop().await.unwrap();
        hearer.shutdown().await.unwrap();
    });
}

#[cfg(feature = "redis")]
#[test]
fn redis_is_listened_to_on_another_runtime() {
    let place = super::RedisPlace::server();
    is_heard_on_another_runtime(&place.timed_store(), place.timed_store());
}

#[cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql"))]
#[test]
fn postgres_is_listened_to_on_another_runtime() {
    let place = super::sql::Place::postgres();
    is_heard_on_another_runtime(&place.store(), place.store());
}
